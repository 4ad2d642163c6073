/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints in a file beside a trace, and what the guest printed: what `deja index` writes, and a timeline
 * takes in instead of running through the trace first.
 *
 * The file is a cache: bound to the bytes of its trace and to the form of snapshots of the program that made
 * it. One that does not fit is left alone, with a reason. Contents are checked by hash when they are used.
 *
 *     header | contents (pages, pieces of snapshots, output_log_save()) | table
 *
 * All numbers little-endian. The header is written last, so a file that was not finished is none.
 */
#ifndef REPLAY_INDEX_FILE_H
#define REPLAY_INDEX_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct checkpoints;
struct output_log;

/* What tells a trace from others: its size and XXH3-128. */
struct trace_identity {
    uint64_t bytes, hash[2];
};
/* Reads all of the file. 0, or -1 with one line in `err`. */
int index_file_identify(const char *trace_path, struct trace_identity *id, char *err, size_t errlen);

/* Writes all checkpoints to the empty file `fd`, about that trace, and all output (NULL: not known). 0, or
 * -1 with one line in `err`. */
int index_file_write(int fd, const struct trace_identity *id, struct checkpoints *c,
                     const struct output_log *outputs, char *err, size_t errlen);

/*
 * Takes in the checkpoints of the file at `path`, keeping it open. `c` holds power-on alone. 1: done; 0:
 * there is no such file; -1: it cannot be used, one line in `err` says why; `c` is as it was. *outputs is the
 * caller's, NULL where the file has none.
 */
int index_file_read(const char *path, const char *trace_path, struct checkpoints *c,
                    struct output_log **outputs, char *err, size_t errlen);

#endif
