/* SPDX-License-Identifier: MIT */
/*
 * Between address.c, which opens what is listened on, and server.c, which serves it.
 */
#ifndef GDBSTUB_SERVER_INTERNAL_H
#define GDBSTUB_SERVER_INTERNAL_H

#include <gdbstub/server.h>

#define STUB_ADDRESS_BYTES 320u

struct stub_listener {
    int fd;                         /* listens; -1: standard input and output are the client */
    char *path;                     /* of a Unix socket, to be removed; else NULL. Owned. */
    char shown[STUB_ADDRESS_BYTES]; /* what gdb would be given */
};

/* False with a line in `err`. */
bool stub_listen(const char *address, struct stub_listener *l, char *err, size_t errlen);

#endif
