/* SPDX-License-Identifier: MIT */
/*
 * Which packet is which (GDB manual, E.2 "Packets", E.3, E.4 "General Query Packets").
 *
 * Packets have no common form: a name is followed by its arguments at once, after one of ":;,", or
 * never. So the table says of each which of these it is. What is not in the table is the target's,
 * or gets the empty reply, which says "not supported".
 */
#include <string.h>

#include "stub_internal.h"

enum form {
    WHOLE,  /* the name is all of the packet */
    PREFIX, /* arguments follow at once */
};

/* While the target runs, a client has no business with its state (all-stop mode, E.10 and E.3);
 * what says or stops something is still answered. */
enum when {
    STOPPED,
    ALWAYS,
};

struct command {
    const char *name;
    enum form form;
    enum when when;
    stub_handler *handle;
};

static void must_reply_empty(struct gdbstub *s, struct stub_cursor *c)
{
    (void)s;
    (void)c;
}

static const struct command commands[] = {
    {"?", WHOLE, ALWAYS, stub_why_stopped},
    {"!", WHOLE, ALWAYS, stub_extend},

    {"g", WHOLE, STOPPED, stub_read_registers},
    {"G", PREFIX, STOPPED, stub_write_registers},
    {"p", PREFIX, STOPPED, stub_read_register},
    {"P", PREFIX, STOPPED, stub_write_register},
    {"m", PREFIX, STOPPED, stub_read_memory},
    {"M", PREFIX, STOPPED, stub_write_memory},
    {"x", PREFIX, STOPPED, stub_read_memory_binary},
    {"X", PREFIX, STOPPED, stub_write_memory_binary},
    {"qSearch:memory:", PREFIX, STOPPED, stub_search_memory},
    {"qCRC:", PREFIX, STOPPED, stub_crc_memory},

    {"Z", PREFIX, STOPPED, stub_insert_point},
    {"z", PREFIX, STOPPED, stub_remove_point},

    {"c", PREFIX, STOPPED, stub_continue},
    {"C", PREFIX, STOPPED, stub_continue_signal},
    {"s", PREFIX, STOPPED, stub_step},
    {"S", PREFIX, STOPPED, stub_step_signal},
    {"bc", WHOLE, STOPPED, stub_reverse_continue},
    {"bs", WHOLE, STOPPED, stub_reverse_step},
    {"vCont?", WHOLE, ALWAYS, stub_vcont_query},
    {"vCont;", PREFIX, ALWAYS, stub_vcont},
    {"vCtrlC", WHOLE, ALWAYS, stub_vctrlc},

    {"H", PREFIX, ALWAYS, stub_select_thread},
    {"T", PREFIX, ALWAYS, stub_thread_alive},
    {"qC", WHOLE, ALWAYS, stub_current_thread},
    {"qfThreadInfo", WHOLE, ALWAYS, stub_first_threads},
    {"qsThreadInfo", WHOLE, ALWAYS, stub_more_threads},
    {"qThreadExtraInfo,", PREFIX, ALWAYS, stub_thread_extra},

    {"qSupported", PREFIX, ALWAYS, stub_supported},
    {"QStartNoAckMode", WHOLE, ALWAYS, stub_no_ack_mode},
    {"qAttached", PREFIX, ALWAYS, stub_attached},
    {"qSymbol:", PREFIX, ALWAYS, stub_symbol},
    {"qOffsets", WHOLE, ALWAYS, stub_offsets},
    {"qRcmd,", PREFIX, STOPPED, stub_monitor},
    {"qXfer:", PREFIX, ALWAYS, stub_transfer},
    {"QPassSignals:", PREFIX, ALWAYS, stub_signals},
    {"QProgramSignals:", PREFIX, ALWAYS, stub_signals},
    {"QThreadEvents:", PREFIX, ALWAYS, stub_thread_events},
    {"QNonStop:", PREFIX, ALWAYS, stub_non_stop},

    {"vFile:open:", PREFIX, ALWAYS, stub_file_open},
    {"vFile:close:", PREFIX, ALWAYS, stub_file_close},
    {"vFile:pread:", PREFIX, ALWAYS, stub_file_pread},
    {"vFile:fstat:", PREFIX, ALWAYS, stub_file_fstat},
    {"vFile:readlink:", PREFIX, ALWAYS, stub_file_readlink},
    {"vFile:setfs:", PREFIX, ALWAYS, stub_file_setfs},
    {"vFile:pwrite:", PREFIX, ALWAYS, stub_file_read_only},
    {"vFile:unlink:", PREFIX, ALWAYS, stub_file_read_only},

    {"R", PREFIX, STOPPED, stub_restart},
    {"vRun;", PREFIX, STOPPED, stub_run},
    {"vAttach;", PREFIX, ALWAYS, stub_attach},
    {"D", PREFIX, ALWAYS, stub_detach},
    {"k", WHOLE, ALWAYS, stub_kill},
    {"vKill;", PREFIX, ALWAYS, stub_vkill},

    {"vMustReplyEmpty", WHOLE, ALWAYS, must_reply_empty},
};

void stub_error(struct gdbstub *s, enum stub_error error)
{
    s->reply.len = 0;
    s->reply.overflow = false;
    stub_put_text(&s->reply, "E");
    stub_put_byte(&s->reply, (uint8_t)error);
}

void stub_ok(struct gdbstub *s)
{
    s->reply.len = 0;
    stub_put_text(&s->reply, "OK");
}

static const struct command *find_command(struct stub_cursor *c)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        const struct command *command = &commands[i];
        struct stub_cursor rest = *c;

        if (!stub_read_literal(&rest, command->name))
            continue;
        if (command->form == WHOLE && stub_left(&rest))
            continue;
        *c = rest;
        return command;
    }
    return NULL;
}

/* The target is asked with a string, so it is not asked with what is none. */
static void ask_target(struct gdbstub *s)
{
    char *text = (char *)s->reply.data;

    if (!s->target.packet || strlen(s->input.data) != s->input.len)
        return;
    text[0] = 0;
    if (!s->target.packet(s->user, s->input.data, text, sizeof(s->reply.data)))
        return;
    s->reply.len = strnlen(text, sizeof(s->reply.data));
}

void stub_dispatch(struct gdbstub *s)
{
    struct stub_cursor c = {s->input.data, s->input.data + s->input.len};
    const struct command *command = find_command(&c);

    if (!command)
        ask_target(s);
    else if (command->when == STOPPED && s->running)
        stub_error(s, STUB_EBUSY);
    else
        command->handle(s, &c);
}
