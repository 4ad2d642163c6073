/* SPDX-License-Identifier: MIT */
/* gdb's `monitor` commands: the table, and how a line becomes a call. */
#include <stdio.h>

#include "monitor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../guest_symbols.h"
#include "../numbers.h"

struct command {
    const char *name, *args, *help;
    monitor_fn *run;
    bool replay_only;
};

static monitor_fn help;

static const struct command commands[] = {
    {"when", "", "where the machine is: instruction, virtual time", monitor_when, false},
    {"seek", "N|begin|end|+N|-N", "go to an instruction; N+E: after E entries into handlers there",
     monitor_seek, true},
    {"checkpoint", "", "leave a checkpoint here", monitor_checkpoint, true},
    {"checkpoints", "", "the checkpoints there are", monitor_checkpoints, true},
    {"last-write", "ADDR[,LEN]", "go to the store that last wrote there; phys:ADDR for physical",
     monitor_last_write, true},
    {"events", "[FROM] [COUNT]", "inputs and interrupts around here, or from FROM on", monitor_events,
     true},
    {"info", "cpu|registers|pic|apic|pit|tlb|mem|devices|screen|checkpoints",
     "state of the machine", monitor_info, false},
    {"xp", "[/COUNT] ADDR", "bytes of guest-physical memory", monitor_xp, false},
    {"x", "[/COUNT] ADDR", "bytes of virtual memory, with what they are mapped to", monitor_x, false},
    {"screen", "", "the text screen", monitor_screen, false},
    {"handlers", "[pass|enter]",
     "whether steps back pass over the handlers of interrupts and exceptions, or enter them",
     monitor_handlers, true},
    {"digest", "", "digest of the whole state here, as recordings hold it", monitor_digest, false},
    {"help", "", "this list", help, false},
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(struct monitor_call *call)
{
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (!commands[i].replay_only || call->s->timeline != NULL)
            fprintf(call->out, "%s %s\n    %s\n", commands[i].name, commands[i].args,
                    commands[i].help);
    return 0;
}

bool monitor_number(const struct monitor_call *call, const char *text, uint64_t *value)
{
    if (number_parse(text, value))
        return true;
    return guest_symbols_find(call->s->symbols, text[0] == '&' ? text + 1 : text, value);
}

/* --- a line --- */

/* gdb users abbreviate: a prefix that only one command has is that command. */
static const struct command *find_command(const char *name)
{
    const struct command *found = NULL;
    size_t len = strlen(name);

    for (size_t i = 0; i < NCOMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
        if (strncmp(commands[i].name, name, len) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = &commands[i];
    }
    return found;
}

static void split(struct monitor_call *call, char *line)
{
    char *save = NULL;

    for (char *word = strtok_r(line, " \t", &save); word != NULL && call->n < MONITOR_WORDS;
         word = strtok_r(NULL, " \t", &save))
        call->words[call->n++] = word;
}

static int run(struct monitor_call *call)
{
    const char *name = call->n == 0 ? "help" : call->words[0];
    const struct command *cmd = find_command(name);

    if (cmd == NULL) {
        fprintf(call->out, "'%s' is no monitor command of deja: `monitor help` lists them\n", name);
        return -1;
    }
    if (cmd->replay_only && call->s->timeline == NULL) {
        fprintf(call->out, "monitor %s needs a recording: this machine runs live\n", cmd->name);
        return -1;
    }
    if (call->n > 0) {
        call->n--;
        memmove(call->words, call->words + 1, call->n * sizeof(call->words[0]));
    }
    return cmd->run(call);
}

int session_monitor(struct session *s, const char *command)
{
    struct monitor_call call = {.s = s};
    char *line = strdup(command), *text = NULL;
    size_t len = 0;
    int rc = -1;

    call.out = open_memstream(&text, &len);
    if (line != NULL && call.out != NULL) {
        split(&call, line);
        s->in_monitor = true;
        rc = run(&call);
        s->in_monitor = false;
    }
    if (call.out != NULL)
        fclose(call.out);
    if (text != NULL)
        gdbstub_console(s->stub, text, len);
    free(text);
    free(line);
    (void)rc; /* the text says what was wrong: gdb would add nothing but a number */
    return 0;
}
