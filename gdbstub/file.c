/* SPDX-License-Identifier: MIT */
/*
 * Files of the target, to be read by the client (GDB manual, E.7 "Host I/O Packets"). Nothing can
 * be written, and nothing is there but what target->file() has.
 *
 * A descriptor is an index into the names of what is open: the content is asked for anew at every
 * access, as the target promises it no longer than that.
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

/* Flags of open, mode of fstat (E.13.8 and E.13.9). */
#define OPEN_WRITES    (0x1u | 0x2u | 0x8u | 0x200u | 0x400u)
#define MODE_READ_ONLY 0100444u
#define STAT_BYTES     64u
#define STAT_MODE      8u
#define STAT_NLINK     12u
#define STAT_SIZE      28u
#define STAT_BLKSIZE   36u
#define STAT_BLOCKS    44u

static void put_result(struct gdbstub *s, uint64_t value)
{
    stub_put_text(&s->reply, "F");
    stub_put_number(&s->reply, value);
}

static void put_failure(struct gdbstub *s, enum stub_error error)
{
    stub_put_text(&s->reply, "F-1,");
    stub_put_number(&s->reply, error);
}

/* The path's digits up to a comma or the end, decoded into the scratch buffer. */
static enum stub_error read_path(struct gdbstub *s, struct stub_cursor *c, const char **path)
{
    const char *comma = memchr(c->p, ',', stub_left(c));
    size_t digits = comma ? (size_t)(comma - c->p) : stub_left(c), len = digits / 2;

    if (digits % 2 || !len)
        return STUB_EINVAL;
    if (len >= STUB_MAX_PATH)
        return STUB_ENAMETOOLONG;
    if (!stub_read_bytes(c, s->scratch, len) || memchr(s->scratch, 0, len))
        return STUB_EINVAL;
    s->scratch[len] = 0;
    *path = (const char *)s->scratch;
    return 0;
}

static const uint8_t *find_file(struct gdbstub *s, const char *path, size_t *size)
{
    *size = 0;
    return s->target.file(s->user, path, size);
}

/* Its content; NULL after a failure that was replied. */
static const uint8_t *open_file(struct gdbstub *s, struct stub_cursor *c, size_t *size)
{
    const uint8_t *data;
    uint64_t fd;

    if (!stub_read_number(c, &fd) || fd >= STUB_MAX_FILES || !s->files[fd]) {
        put_failure(s, STUB_EBADF);
        return NULL;
    }
    data = find_file(s, s->files[fd], size);
    if (!data)
        put_failure(s, STUB_ENOENT);
    return data;
}

static enum stub_error open_path(struct gdbstub *s, const char *path, uint64_t flags, size_t *fd)
{
    size_t i = 0, size;

    if (flags & OPEN_WRITES)
        return STUB_EROFS;
    if (!find_file(s, path, &size))
        return STUB_ENOENT;
    while (i < STUB_MAX_FILES && s->files[i])
        i++;
    if (i == STUB_MAX_FILES)
        return STUB_EMFILE;
    s->files[i] = strdup(path);
    *fd = i;
    return s->files[i] ? 0 : STUB_ENOMEM;
}

/* "path,flags,mode" */
void stub_file_open(struct gdbstub *s, struct stub_cursor *c)
{
    enum stub_error error;
    const char *path;
    uint64_t flags, mode;
    size_t fd;

    if (!s->target.file)
        return;
    error = read_path(s, c, &path);
    if (!error && (!stub_read_char(c, ',') || !stub_read_range(c, &flags, &mode) || stub_left(c)))
        error = STUB_EINVAL;
    if (!error)
        error = open_path(s, path, flags, &fd);
    if (error)
        put_failure(s, error);
    else
        put_result(s, fd);
}

void stub_file_close(struct gdbstub *s, struct stub_cursor *c)
{
    uint64_t fd;

    if (!s->target.file)
        return;
    if (!stub_read_number(c, &fd) || fd >= STUB_MAX_FILES || !s->files[fd]) {
        put_failure(s, STUB_EBADF);
        return;
    }
    free(s->files[fd]);
    s->files[fd] = NULL;
    put_result(s, 0);
}

void stub_close_files(struct gdbstub *s)
{
    for (size_t i = 0; i < STUB_MAX_FILES; i++) {
        free(s->files[i]);
        s->files[i] = NULL;
    }
}

/* The count comes before the data and depends on how much of it fits once escaped: the data is put
 * behind the longest count, and moved up. */
static void put_data(struct gdbstub *s, const uint8_t *data, size_t len)
{
    static const char longest[] = "Fffffffff;";
    size_t begin = sizeof(longest) - 1, n;

    stub_put_text(&s->reply, longest);
    n = stub_put_binary(&s->reply, data, len);
    s->reply.len = 0;
    put_result(s, n);
    stub_put_text(&s->reply, ";");
    memmove(s->reply.data + s->reply.len, s->reply.data + begin, n);
    s->reply.len += n;
}

/* "fd,count,offset" */
void stub_file_pread(struct gdbstub *s, struct stub_cursor *c)
{
    const uint8_t *data;
    uint64_t count, offset;
    size_t size;

    if (!s->target.file)
        return;
    data = open_file(s, c, &size);
    if (!data)
        return;
    if (!stub_read_char(c, ',') || !stub_read_range(c, &count, &offset) || stub_left(c)) {
        put_failure(s, STUB_EINVAL);
        return;
    }
    if (offset > size)
        offset = size;
    if (count > size - offset)
        count = size - offset;
    put_data(s, data + offset, (size_t)count);
}

/* Fields of struct stat are big-endian. */
static void set_field(uint8_t *stat, size_t offset, size_t len, uint64_t value)
{
    for (size_t i = 0; i < len; i++)
        stat[offset + i] = (uint8_t)(value >> 8 * (len - 1 - i));
}

void stub_file_fstat(struct gdbstub *s, struct stub_cursor *c)
{
    uint8_t stat[STAT_BYTES] = {0};
    size_t size;

    if (!s->target.file || !open_file(s, c, &size))
        return;
    set_field(stat, STAT_MODE, 4, MODE_READ_ONLY);
    set_field(stat, STAT_NLINK, 4, 1);
    set_field(stat, STAT_SIZE, 8, size);
    set_field(stat, STAT_BLKSIZE, 8, 4096);
    set_field(stat, STAT_BLOCKS, 8, size / 512 + (size % 512 != 0));
    put_result(s, STAT_BYTES);
    stub_put_text(&s->reply, ";");
    stub_put(&s->reply, stat, sizeof(stat));
}

/* There are no links: what exists is not one. */
void stub_file_readlink(struct gdbstub *s, struct stub_cursor *c)
{
    enum stub_error error;
    const char *path;
    size_t size;

    if (!s->target.file)
        return;
    error = read_path(s, c, &path);
    if (!error)
        error = find_file(s, path, &size) ? STUB_EINVAL : STUB_ENOENT;
    put_failure(s, error);
}

/* All processes see the same files. */
void stub_file_setfs(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (s->target.file)
        put_result(s, 0);
}

void stub_file_read_only(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (s->target.file)
        put_failure(s, STUB_EROFS);
}
