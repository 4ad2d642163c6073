/* SPDX-License-Identifier: MIT */
/*
 * The folder of a hunt:
 *
 *     hunt.json            what was asked, what came of it: written anew now and then, always whole
 *     run-000017.deja      kept recordings; run-000000.deja is the unperturbed run's
 *     results/NAME.jsonl   a line for each run as soon as it is done, a file for each process that hunts here
 *     results/HASH-000017.deja   recordings of single commands, until they are collected
 *     lock                 held by who changes more than its own file of results
 *
 * A process may be killed at any time: half-written recordings are called *.part, half-written lines are ignored.
 */
#ifndef CLI_HUNT_FOLDER_H
#define CLI_HUNT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "result.h"

#define FOLDER_NAME_BYTES 64u /* of a recording, below the folder */

struct hunt_folder {
    const char *given; /* as the user named it */
    char *path;        /* absolute */
    int lock;
    int journal;       /* -1: none is open */
};

/* Makes the folder, which must not be there or be empty; or finds it. With the lock: of all, or shared with others
 * that do single runs. 0, or an exit status after the error was printed; folder_close() is fine then, too. */
int folder_create(struct hunt_folder *f, const char *dir);
int folder_open(struct hunt_folder *f, const char *dir, bool shared);
void folder_close(struct hunt_folder *f);
/* Lets go of the lock for a while; and takes it again: 0, or an exit status. */
void folder_unlock(struct hunt_folder *f);
int folder_lock(struct hunt_folder *f, bool shared);

/* Opens results/NAME.jsonl to add to it. 0, or an exit status. */
int folder_open_journal(struct hunt_folder *f, const char *name);
/* The same. */
int folder_note(struct hunt_folder *f, const struct hunt_result *r);
/* Every result that was noted so far by whomever, or in results/NAME.jsonl, if there is such a file. `fn` returns 0 or an
 * exit status, which ends it. */
typedef int folder_result_fn(void *opaque, const struct hunt_result *r);
int folder_read_results(const struct hunt_folder *f, folder_result_fn *fn, void *opaque);
int folder_read_results_of(const struct hunt_folder *f, const char *name, folder_result_fn *fn, void *opaque);

/* "run-000017.deja" */
void folder_trace_name(uint64_t run, char out[FOLDER_NAME_BYTES]);
/* "results/HASH-000017.deja": sorted by site, so that it is seen how many there are of it. */
void folder_loose_name(uint64_t run, const char *site, char out[FOLDER_NAME_BYTES]);
/* What the recording is called while it is made; `loose`: in results/. */
void folder_part_name(uint64_t run, bool loose, char out[FOLDER_NAME_BYTES]);
/* The path of something in the folder. Cut to fit: the folder's own path is checked to be short enough. */
void folder_path(const struct hunt_folder *f, const char *name, char *out, size_t len);
bool folder_has(const struct hunt_folder *f, const char *name);
/* 0, or an exit status after the error was printed. */
int folder_rename(const struct hunt_folder *f, const char *from, const char *to);
/* How many loose recordings there are of a site by runs before this one. */
uint64_t folder_count_loose(const struct hunt_folder *f, uint64_t run, const char *site);
/* Removes what killed processes have left half-written. */
void folder_remove_parts(const struct hunt_folder *f);
/* Removes all loose recordings, and of the others those of runs that are not `kept`. */
void folder_remove_traces(const struct hunt_folder *f, bool (*kept)(void *opaque, uint64_t run), void *opaque);

#endif
