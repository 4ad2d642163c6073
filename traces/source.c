/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a trace, from memory or from a file. Files are read by pread, not mapped: a file that
 * shrinks under the reader gives an error instead of SIGBUS.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "trace_internal.h"

static int read_file(int fd, uint64_t offset, uint8_t *buf, size_t len, struct trace_error *err)
{
    while (len) {
        ssize_t n = pread(fd, buf, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return trace_fail_errno(err, TRACE_ERR_IO, offset, errno, "reading the trace");
        if (n == 0)
            return trace_fail_errno(err, TRACE_ERR_IO, offset, EIO,
                                    "reading the trace: it shrank while it was read");
        buf += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return TRACE_OK;
}

int trace_source_read(struct trace_source *src, uint64_t offset, void *buf, size_t len,
                      struct trace_error *err)
{
    int rc;

    if (offset > src->size || len > src->size - offset)
        return trace_fail(err, TRACE_ERR_BUG, offset, "read past the end of the trace");
    if (!len)
        return TRACE_OK;
    if (src->mem) {
        memcpy(buf, src->mem + offset, len);
        return TRACE_OK;
    }
    if (len > TRACE_WINDOW / 2)
        return read_file(src->fd, offset, buf, len, err);
    if (offset < src->window_offset || offset + len > src->window_offset + src->window_len) {
        uint64_t left = src->size - offset;
        size_t fill = left < TRACE_WINDOW ? (size_t)left : TRACE_WINDOW;

        src->window_len = 0;
        rc = read_file(src->fd, offset, src->window, fill, err);
        if (rc < 0)
            return rc;
        src->window_offset = offset;
        src->window_len = fill;
    }
    memcpy(buf, src->window + (offset - src->window_offset), len);
    return TRACE_OK;
}
