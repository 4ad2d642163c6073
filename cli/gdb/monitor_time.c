/* SPDX-License-Identifier: MIT */
/* `monitor` commands about time: where the machine is, going elsewhere, what happened around here. */
#include <stdio.h>

#include "monitor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <emu/cpu.h>
#include <emu/registers.h>
#include <replay/describe.h>

#include "../guest_symbols.h"
#include "../numbers.h"

#define EVENT_TEXT 192

static void print_place(struct monitor_call *call)
{
    const struct session *s = call->s;
    const struct machine *m = s->m;
    struct moment now = machine_moment(m);
    uint64_t ns = clock_now_ns(&m->clock), second = NS_PER_SEC, length, rip = cpu_linear_rip(&m->cpus[0]);
    char n[NUMBER_TEXT], symbol[128];

    fprintf(call->out, "instruction %s", number_text(now.icount, n));
    if (now.entries > 0)
        fprintf(call->out, "+%u", now.entries);
    if (s->timeline != NULL && timeline_length(s->timeline, &length))
        fprintf(call->out, " of %s", number_text(length, n));
    fprintf(call->out, ", %" PRIu64 ".%09" PRIu64 " s, RIP %" PRIx64, ns / second,
            ns % second, rip);
    if (guest_symbols_describe(s->symbols, rip, symbol, sizeof(symbol)))
        fprintf(call->out, " <%s>", symbol);
    fputc('\n', call->out);
    if (s->timeline != NULL && timeline_is_branch(s->timeline))
        fprintf(call->out, "in a branch, live and unrecorded, from instruction %s on\n",
                number_text(timeline_branch_moment(s->timeline).icount, n));
}

int monitor_when(struct monitor_call *call)
{
    print_place(call);
    return 0;
}

int monitor_handlers(struct monitor_call *call)
{
    struct session *s = call->s;
    bool pass = call->n > 0 && strcmp(call->words[0], "pass") == 0;

    if (call->n > 0 && !pass && strcmp(call->words[0], "enter") != 0) {
        fputs("handlers takes pass or enter\n", call->out);
        return -1;
    }
    if (call->n > 0)
        s->pass_handlers = pass;
    else
        fprintf(call->out, "steps back %s handlers\n", s->pass_handlers ? "pass over" : "enter");
    return 0;
}

int monitor_digest(struct monitor_call *call)
{
    fprintf(call->out, "%016" PRIx64 "\n", machine_digest(call->s->m));
    return 0;
}

/* What a move of the timeline has come to. gdb does not know that the machine is elsewhere. */
static int print_move(struct monitor_call *call, enum timeline_status status)
{
    struct gdbstub_stop stop = {.kind = GDBSTUB_STOP_SIGNAL, .thread = SESSION_THREAD(0), .signal = 5};

    gdbstub_set_stop(call->s->stub, &stop);
    switch (status) {
    case TIMELINE_BEGIN: fputs("the beginning: ", call->out); break;
    case TIMELINE_END: fputs("the end of the recording: ", call->out); break;
    case TIMELINE_INTERRUPTED: fputs("interrupted: ", call->out); break;
    case TIMELINE_DIVERGED:
        fputs("the replay departs from its recording here (continue says how): ", call->out);
        break;
    case TIMELINE_ERROR: fprintf(call->out, "%s\n", timeline_error(call->s->timeline)); return -1;
    case TIMELINE_THERE:
    case TIMELINE_HIT: break;
    }
    print_place(call);
    fputs("(plain gdb keeps showing what it had read: `maintenance flush register-cache` or the next "
          "step makes it look)\n",
          call->out);
    return 0;
}

/* "123", "123+2", "+5", "-5", "begin", "end". */
static bool parse_moment(const struct monitor_call *call, const char *text, struct moment *to)
{
    uint64_t now = call->s->m->clock.icount, n;
    char *plus, copy[48];

    *to = (struct moment){0};
    if (strcmp(text, "begin") == 0)
        return true;
    if (strcmp(text, "end") == 0) {
        *to = timeline_end_moment();
        return true;
    }
    if (text[0] == '+' || text[0] == '-') {
        if (!monitor_number(call, text + 1, &n))
            return false;
        to->icount = text[0] == '+' ? now + n : now > n ? now - n : 0;
        return true;
    }
    snprintf(copy, sizeof(copy), "%s", text);
    plus = strchr(copy, '+');
    if (plus != NULL)
        *plus++ = '\0';
    if (!monitor_number(call, copy, &to->icount) || (plus != NULL && !monitor_number(call, plus, &n)))
        return false;
    to->entries = plus != NULL ? (uint32_t)n : 0;
    return true;
}

int monitor_seek(struct monitor_call *call)
{
    struct moment to;

    if (call->n != 1 || !parse_moment(call, call->words[0], &to)) {
        fputs("seek takes an instruction: N, begin, end, +N or -N\n", call->out);
        return -1;
    }
    return print_move(call, timeline_seek(call->s->timeline, to));
}

int monitor_checkpoint(struct monitor_call *call)
{
    if (!timeline_checkpoint(call->s->timeline)) {
        fputs("no checkpoint can be left here: in a branch, at the entry into a handler, or at the end\n", call->out);
        return -1;
    }
    fputs("checkpoint left at ", call->out);
    print_place(call);
    return 0;
}

int monitor_checkpoints(struct monitor_call *call)
{
    struct timeline_checkpoints c = timeline_checkpoints(call->s->timeline);
    uint64_t icount, here = call->s->m->clock.icount;
    size_t pages, shown = 0, step = c.count / 64 + 1;
    char n[NUMBER_TEXT];

    fprintf(call->out, "%zu checkpoints, %zu MiB of %zu; %" PRIu64 " taken, %" PRIu64 " dropped\n",
            c.count, c.bytes >> 20, c.budget >> 20, c.taken, c.dropped);
    for (size_t i = 0; timeline_checkpoint_at(call->s->timeline, i, &icount, &pages); i += step, shown++)
        fprintf(call->out, "%c %20s  %zu pages\n", icount <= here ? ' ' : '>',
                number_text(icount, n), pages);
    if (step > 1)
        fprintf(call->out, "(every %zuth shown)\n", step);
    return 0;
}

/* ADDR[,LEN], the address physical after "phys:". */
static bool parse_range(struct monitor_call *call, char *text, uint64_t *address, uint64_t *len,
                        bool *physical)
{
    char *comma;

    *physical = strncmp(text, "phys:", 5) == 0;
    if (*physical)
        text += 5;
    comma = strchr(text, ',');
    if (comma != NULL)
        *comma = '\0';
    *len = 8;
    return monitor_number(call, text, address) &&
           (comma == NULL || (monitor_number(call, comma + 1, len) && *len > 0));
}

int monitor_last_write(struct monitor_call *call)
{
    struct session *s = call->s;
    enum timeline_status status;
    uint64_t address, len, gpa;
    bool physical;

    if (call->n != 1 || !parse_range(call, call->words[0], &address, &len, &physical)) {
        fputs("last-write takes an address, and how many bytes (8): ADDR[,LEN] or phys:ADDR[,LEN]\n",
              call->out);
        return -1;
    }
    gpa = physical ? address : cpu_peek_translate(&s->m->cpus[0], address);
    if (gpa == UINT64_MAX || ram_page_of(&s->m->ram, gpa) == UINT64_MAX) {
        fprintf(call->out, "%s%" PRIx64 " is not RAM here\n", physical ? "phys:" : "", address);
        return -1;
    }
    if (!physical && (address & PAGE_OFFSET_MASK) + len > PAGE_BYTES)
        len = PAGE_BYTES - (address & PAGE_OFFSET_MASK); /* what follows is another page's */
    status = timeline_last_write(s->timeline, gpa, len);
    if (status == TIMELINE_HIT)
        fprintf(call->out, "the next instruction stores %u bytes at phys:%" PRIx64 "\n",
                timeline_hit(s->timeline)->size, timeline_hit(s->timeline)->address);
    else if (status == TIMELINE_BEGIN)
        fputs("nothing in the recording writes there before: ", call->out);
    return print_move(call, status);
}

/* --- events --- */

static void print_event(struct monitor_call *call, const struct trace_event *ev)
{
    char text[EVENT_TEXT], n[NUMBER_TEXT];

    replay_describe_event(ev, text, sizeof(text));
    fprintf(call->out, "%c %20s  %s\n", ev->icount < call->s->m->clock.icount ? ' ' : '>',
            number_text(ev->icount, n), text);
}

static bool is_of_interest(const struct trace_event *ev)
{
    return ev->kind != TRACE_EVENT_DIGEST;
}

/* The icount from which on about `count` events lie before `here`. */
static uint64_t start_before(struct trace_reader *r, uint64_t here, uint64_t count)
{
    uint64_t *ring = calloc(count + 1, sizeof(*ring)), n = 0, span = 1 << 22, from, result = 0;
    struct trace_event ev;

    if (ring == NULL)
        return here;
    for (; n < count; span *= 4) {
        from = here > span ? here - span : 0;
        n = 0;
        trace_reader_seek(r, from);
        while (trace_reader_next(r, &ev) > 0 && ev.icount < here)
            if (is_of_interest(&ev))
                ring[n++ % count] = ev.icount;
        if (from == 0)
            break;
    }
    if (n > 0)
        result = n < count ? ring[0] : ring[n % count];
    else
        result = here;
    free(ring);
    return result;
}

int monitor_events(struct monitor_call *call)
{
    struct trace_reader *r = call->s->events;
    uint64_t from = call->s->m->clock.icount, count = 20, shown = 0;
    struct trace_event ev;

    if ((call->n > 0 && !monitor_number(call, call->words[0], &from)) ||
        (call->n > 1 && !monitor_number(call, call->words[1], &count)) || call->n > 2 ||
        count > 100000) {
        fputs("events takes an instruction to begin at, and how many to show\n", call->out);
        return -1;
    }
    if (call->n == 0)
        from = start_before(r, from, count / 2);
    trace_reader_seek(r, from);
    while (shown < count && trace_reader_next(r, &ev) > 0) {
        if (!is_of_interest(&ev))
            continue;
        print_event(call, &ev);
        shown++;
    }
    if (shown == 0)
        fputs("none\n", call->out);
    return 0;
}
