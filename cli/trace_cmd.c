/* SPDX-License-Identifier: MIT */
/* What the commands that look at traces share: trace_cmd.h. */
#include "trace_cmd.h"

#include <string.h>

#include <replay/describe.h>
#include <traces/trace.h>

#include "cli.h"

#define ERROR_TEXT 600u

bool is_option(const char *arg, const char *name)
{
    if (arg[0] != '-')
        return false;
    arg += arg[1] == '-' ? 2 : 1;
    return strcmp(arg, name) == 0;
}

int take_option(const char *name, const char *command, int argc, char **argv, int *i, const char **value)
{
    const char *arg = argv[*i];
    size_t len = strlen(name);

    if (arg[0] != '-')
        return 0;
    arg += arg[1] == '-' ? 2 : 1;
    if (strncmp(arg, name, len) != 0 || (arg[len] != '\0' && arg[len] != '='))
        return 0;
    if (arg[len] == '=') {
        *value = arg + len + 1;
        return 1;
    }
    if (*i + 1 == argc) {
        cli_error("%s: %s needs a value", command, argv[*i]);
        return -1;
    }
    *value = argv[++*i];
    return 1;
}

static int trace_args(int argc, char **argv, const char **path, bool *json)
{
    *path = NULL;
    *json = false;
    for (int i = 1; i < argc; i++) {
        if (is_option(argv[i], "json")) {
            *json = true;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            cli_error("%s: unknown option %s: only --json is known", argv[0], argv[i]);
            return EXIT_USAGE;
        } else if (*path != NULL) {
            cli_error("%s takes one trace: %s is a second", argv[0], argv[i]);
            return EXIT_USAGE;
        } else {
            *path = argv[i];
        }
    }
    if (*path == NULL) {
        cli_error("%s needs a trace: deja %s TRACE [--json]", argv[0], argv[0]);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static struct trace_reader *trace_open(const char *path)
{
    struct trace_error terr;
    struct trace_reader *r = trace_reader_open(path, &terr);
    char text[ERROR_TEXT];

    if (r == NULL) {
        replay_describe_error(path, &terr, text, sizeof(text));
        cli_error("%s", text);
    }
    return r;
}

int trace_command(int argc, char **argv, trace_command_fn *fn)
{
    struct trace_reader *r;
    const char *path;
    bool json;
    int status = trace_args(argc, argv, &path, &json);

    if (status != EXIT_DONE)
        return status;
    r = trace_open(path);
    if (r == NULL)
        return EXIT_USAGE;
    status = fn(path, r, json);
    trace_reader_destroy(r);
    return status;
}

int trace_read_status(const char *path, const struct trace_reader *r)
{
    struct trace_error terr;
    char text[ERROR_TEXT];

    if (trace_reader_error(r, &terr) == TRACE_OK)
        return EXIT_DONE;
    replay_describe_error(path, &terr, text, sizeof(text));
    cli_error("%s", text);
    return EXIT_USAGE;
}

/* --- JSON --- */

/* Length of the UTF-8 sequence (RFC 3629) at `p`, a NUL-terminated string; 0 if it is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80                    ? 1
               : p[0] >= 0xc2 && p[0] <= 0xdf ? 2
               : (p[0] & 0xf0) == 0xe0        ? 3
               : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                              : 0;

    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

bool json_can_say(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    for (size_t n; *p != '\0'; p += n) {
        n = utf8_length(p);
        if (n == 0)
            return false;
    }
    return true;
}

void json_string(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    putc('"', out);
    while (*p != '\0') {
        size_t n = utf8_length(p);

        if (n == 0)
            fputs("\\ufffd", out);
        else if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\u%04x", *p);
        else
            fwrite(p, 1, n, out);
        p += n == 0 ? 1 : n;
    }
    putc('"', out);
}

void json_hex(FILE *out, const uint8_t *data, size_t len)
{
    putc('"', out);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02x", data[i]);
    putc('"', out);
}
