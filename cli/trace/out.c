/* SPDX-License-Identifier: MIT */
/* Lines and JSON objects of `deja trace`. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../moments.h"
#include "../trace_cmd.h"
#include "trace.h"
#include "values.h"

void text_add(struct text *text, const char *fmt, ...)
{
    size_t room = sizeof(text->data) - text->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text->data + text->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        text->len += (size_t)n < room ? (size_t)n : room - 1;
}

void text_add_seconds(struct text *text, int width, uint64_t ns)
{
    uint64_t second = NS_PER_SEC;

    text_add(text, "%*" PRIu64 ".%06" PRIu64, width, ns / second, ns % second / 1000);
}

/* --- lines --- */

/* Names come from the guest: nothing in them is to move the reader's cursor. */
static void make_plain(struct text *line)
{
    for (size_t i = 0; i < line->len; i++)
        if ((unsigned char)line->data[i] < ' ' || line->data[i] == 0x7f)
            line->data[i] = '?';
}

void out_flush(struct tracer *t)
{
    struct text *line = &t->out.held;

    if (t->out.held_id == 0)
        return;
    t->out.held_id = 0;
    make_plain(line);
    fwrite(line->data, 1, line->len, stdout);
    putchar('\n');
}

static void add_who(struct text *line, const struct process *who)
{
    char name[48];

    if (who->named)
        snprintf(name, sizeof(name), "%s[%" PRIu32 "]", who->comm, who->pid);
    else
        snprintf(name, sizeof(name), "cr3=%" PRIx64, who->cr3);
    text_add(line, "%-17s ", name);
}

void out_line(struct tracer *t, const struct stamp *at, uint64_t id, const struct text *text)
{
    struct text *line = &t->out.held;
    char n[MOMENT_TEXT];

    out_flush(t);
    line->len = 0;
    text_add(line, "%18s ", moment_text(at->at, n));
    text_add_seconds(line, 5, at->vns);
    text_add(line, "  ");
    if (t->out.who_column)
        add_who(line, &at->who);
    text_add(line, "%s", text->data);
    t->out.held_id = id != 0 ? id : UINT64_MAX;
    if (id == 0)
        out_flush(t);
}

bool out_join(struct tracer *t, uint64_t id, const struct text *text)
{
    if (t->out.held_id != id)
        return false;
    text_add(&t->out.held, "%s", text->data);
    out_flush(t);
    return true;
}

/* --- JSON --- */

void record_key(struct tracer *t, const char *name)
{
    printf("%s\"%s\": ", t->out.first_field ? "" : ", ", name);
    t->out.first_field = false;
}

void record_number(struct tracer *t, const char *name, uint64_t n)
{
    record_key(t, name);
    printf("%" PRIu64, n);
}

void record_address(struct tracer *t, const char *name, uint64_t address)
{
    record_key(t, name);
    printf("\"0x%" PRIx64 "\"", address);
}

void record_text(struct tracer *t, const char *name, const char *text)
{
    record_key(t, name);
    json_string(stdout, text);
}

void record_code(struct tracer *t, const char *name, const char *symbol_name, uint64_t address)
{
    char symbol[SYMBOL_TEXT];

    record_address(t, name, address);
    if (symbol_of(t, address, symbol, sizeof(symbol)))
        record_text(t, symbol_name, symbol);
}

void record_begin(struct tracer *t, const struct stamp *at, const char *type)
{
    t->out.first_field = true;
    putchar('{');
    record_number(t, "icount", at->at.icount);
    record_number(t, "entries", at->at.entries);
    record_number(t, "vns", at->vns);
    record_text(t, "type", type);
    record_address(t, "cr3", at->who.cr3);
    if (at->who.task != 0)
        record_address(t, "task", at->who.task);
    if (at->who.named) {
        record_number(t, "pid", at->who.pid);
        record_text(t, "comm", at->who.comm);
    }
}

void record_end(struct tracer *t)
{
    (void)t;
    puts("}");
}
