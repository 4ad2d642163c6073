/* SPDX-License-Identifier: MIT */
/* Whole files into memory: see files.h. Pipes are read to their end, up to the size allowed. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#define FIRST_BYTES (1u << 20)

struct content {
    uint8_t *data;
    size_t len, room;
};

static int grow(struct content *c, size_t want)
{
    uint8_t *data = realloc(c->data, want);

    if (data == NULL)
        return -1;
    c->data = data;
    c->room = want;
    return 0;
}

/* 0; or -1, and errno says why: EFBIG when there is more than `max`. */
static int read_all(int fd, size_t max, struct content *c)
{
    ssize_t n;

    for (;;) {
        if (c->len == c->room && grow(c, c->room * 2) != 0)
            return -1;
        n = read(fd, c->data + c->len, c->room - c->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        c->len += (size_t)n;
        if (c->len > max) {
            errno = EFBIG;
            return -1;
        }
    }
}

static int load_fd(int fd, size_t max, struct content *c)
{
    struct stat st;
    size_t first = FIRST_BYTES;

    if (fstat(fd, &st) != 0)
        return -1;
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
        errno = EFBIG;
        return -1;
    }
    if (S_ISREG(st.st_mode))
        first = (size_t)st.st_size + 1; /* one more, so that the end is met without growing */
    return grow(c, first) != 0 ? -1 : read_all(fd, max, c);
}

static const char *why(int error, size_t max, char *text, size_t textlen)
{
    if (error != EFBIG)
        return strerror(error);
    snprintf(text, textlen, "larger than the %zu MiB that fit here", max >> 20);
    return text;
}

int file_load(const char *option, const char *path, size_t max, uint8_t **data, size_t *len)
{
    struct content c = {0};
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || load_fd(fd, max, &c) != 0) {
        cli_error("%s: cannot read '%s': %s", option, path, why(errno, max, text, sizeof(text)));
        goto fail;
    }
    if (c.len == 0) {
        cli_error("%s: '%s' is empty", option, path);
        goto fail;
    }
    close(fd);
    *data = c.data;
    *len = c.len;
    return 0;

fail:
    free(c.data);
    if (fd >= 0)
        close(fd);
    return EXIT_USAGE;
}
