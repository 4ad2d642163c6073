/* SPDX-License-Identifier: MIT */
/* The folder in which a machine's server and its gdb meet: meeting.h. */
#include "meeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cli.h"

#define LONGEST_TMP 40 /* a socket's path has little room */

extern const char deja_gdb_commands[], deja_gdb_commands_end[];

static int write_commands(const struct meeting *p)
{
    size_t len = (size_t)(deja_gdb_commands_end - deja_gdb_commands);
    FILE *out = fopen(p->commands, "w");

    if (out == NULL)
        return -1;
    if (fwrite(deja_gdb_commands, 1, len, out) != len) {
        fclose(out);
        return -1;
    }
    return fclose(out);
}

void meeting_leave(const struct meeting *p)
{
    unlink(p->socket);
    unlink(p->commands);
    unlink(p->symbols);
    rmdir(p->folder);
}

int meeting_make(struct meeting *p, const char *who)
{
    const char *tmp = getenv("TMPDIR");

    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > LONGEST_TMP)
        tmp = "/tmp";
    snprintf(p->folder, sizeof(p->folder), "%s/deja-XXXXXX", tmp);
    if (mkdtemp(p->folder) == NULL) {
        cli_error("%s: cannot make a folder in %s: %s", who, tmp, strerror(errno));
        return EXIT_USAGE;
    }
    snprintf(p->socket, sizeof(p->socket), "%s/gdb", p->folder);
    snprintf(p->commands, sizeof(p->commands), "%s/deja.py", p->folder);
    snprintf(p->symbols, sizeof(p->symbols), "%s/guest-symbols", p->folder);
    snprintf(p->address, sizeof(p->address), "unix:%s", p->socket);
    snprintf(p->source, sizeof(p->source), "source %s", p->commands);
    if (write_commands(p) == 0)
        return EXIT_DONE;
    cli_error("%s: cannot write to %s: %s", who, p->folder, strerror(errno));
    meeting_leave(p);
    return EXIT_USAGE;
}

int meeting_gdb_args(const struct meeting *p, const struct meeting_gdb *gdb, char **args)
{
    int n = 0;

    args[n++] = (char *)gdb->program;
    args[n++] = "-q";
    /* Before any file of the user's commands. */
    args[n++] = "-iex";
    args[n++] = (char *)p->source;
    /* Everything that gdb may want to read is a file of this host. */
    args[n++] = "-iex";
    args[n++] = "set sysroot /";
    if (gdb->modules) { /* else gdb looks for shared libraries as a Linux process has them */
        args[n++] = "-iex";
        args[n++] = "set osabi none";
    }
    if (gdb->vmlinux != NULL)
        args[n++] = (char *)gdb->vmlinux;
    else if (gdb->symbols)
        args[n++] = (char *)p->symbols;
    return n;
}
