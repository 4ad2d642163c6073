/* SPDX-License-Identifier: MIT */
/*
 * Replays a trace: builds the machine that its header describes, gives it the recorded inputs at
 * the moments at which it got them, and checks that everything else comes out the same.
 *
 *     struct player *p = player_open("t.deja", &pc_board, err, sizeof(err));
 *     player_set_outputs(p, &observer);                  // who wants to see what the guest says
 *     switch (player_run(p, UINT64_MAX)) {
 *     case PLAYER_END: ...                               // exact to the end
 *     case PLAYER_CUT: ...                               // exact as far as the recording goes
 *     case PLAYER_DIVERGED: player_divergence(p) ...     // where, expected, found
 *     }
 *     player_destroy(p);
 *
 * The order of the trace's events is the truth. An event is due only when all before it are done:
 * an input is offered at its (icount, virtual time), an interrupt must be the recorded one at the
 * recorded icount, a digest must be that of the machine, and the end must be reached at its icount
 * and virtual time, for the recorded reason and with the recorded digest. The first departure stops
 * the machine at once; it never goes on from there.
 *
 * A trace without an end (its recorder was killed) is replayed up to the last event that is whole.
 *
 * Threading: a player is used by one thread at a time; players share nothing.
 */
#ifndef REPLAY_PLAYER_H
#define REPLAY_PLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/machine.h>
#include <traces/trace.h>

struct player;

enum player_status {
    PLAYER_EXACT,    /* the icount asked for is reached; everything so far was as recorded */
    PLAYER_END,      /* the recorded end is reached, everything was as recorded */
    PLAYER_CUT,      /* the recording is cut off, and what there is of it was replayed exactly */
    PLAYER_DIVERGED, /* a result, not an error: player_divergence() */
    PLAYER_ERROR, /* the trace cannot be read on, or is no trace of this machine: player_error() */
    PLAYER_STOPPED, /* at a debugger's point (emu/debug.h); everything so far was as recorded */
};

/* At what kind of event replay and recording parted. */
enum player_difference {
    PLAYER_DIFFERS_INTERRUPT, /* missing, extra, early, late, another vector or source */
    PLAYER_DIFFERS_INPUT,     /* an input could not be delivered: its moment has passed */
    PLAYER_DIFFERS_DIGEST,    /* the state is another one */
    PLAYER_DIFFERS_END,       /* the run ended elsewhere or for another reason, or did not end */
};
const char *player_difference_name(enum player_difference what); /* "interrupt", ... */

struct player_divergence {
    enum player_difference what;
    uint64_t icount; /* of the machine, where it was noticed */
    uint64_t vns;
    uint64_t rip;       /* of CPU 0 there */
    char expected[256]; /* the recorded event, with its icount */
    char found[256];    /* what there was instead */
    bool any_match;     /* a digest before this one matched, at: */
    uint64_t last_match_icount;
};

/* What was replayed so far. */
struct player_counts {
    uint64_t inputs;     /* delivered */
    uint64_t interrupts; /* as recorded */
    uint64_t digests;    /* that matched, the last one included */
};

/*
 * Opens a trace and creates its machine, at power-on. `board` is what the caller can build; a trace
 * of another one is refused. NULL on failure, with one line in `err` that names the file.
 */
struct player *player_open(const char *path, const struct machine_board *board, char *err,
                           size_t errlen);
/* NULL is fine. The machine goes with it. */
void player_destroy(struct player *p);

/* The machine, to be looked at. Its source and observer are the player's. */
struct machine *player_machine(struct player *p);

/* The trace's header, as long as the player lives. */
const struct trace_header *player_header(const struct player *p);

/* Who is told what the machine does, beside the player: all members of an observer work. Inputs and
 * interrupts are passed on only when they are as recorded. */
void player_set_outputs(struct player *p, const struct machine_observer *outputs);
const struct machine_observer *player_outputs(const struct player *p);
/* The same for one more, told first of what the guest prints: the timeline that the player belongs to. */
void player_set_tap(struct player *p, const struct machine_observer *tap);

/*
 * Runs until `icount` instructions have retired (PLAYER_EXACT; the machine stands before the next
 * instruction, timers and inputs of that moment done, interrupts not), or to the end. Also returns
 * PLAYER_EXACT, earlier, when somebody asked the machine to stop by machine_request_stop(m,
 * STOP_SOURCE). Where a replay is cut into several calls changes nothing. After END, CUT, DIVERGED
 * or ERROR it does nothing and returns the same again.
 */
enum player_status player_run(struct player *p, uint64_t icount);

/* The same to a moment: STOP_ICOUNT and STOP_DEBUG of machine_run_to() become PLAYER_EXACT and
 * PLAYER_STOPPED, after both of which it can be run on. */
enum player_status player_run_to(struct player *p, struct moment until);

/*
 * How far a player has got in its trace. With the state that the machine had then it makes up all that
 * is needed to go on from there again: take the place, save the machine; later load the machine, and
 * player_go() to the place. Before the first run, too.
 */
struct player_place {
    uint64_t ordinal; /* events read */
    uint64_t icount;  /* of the last of them, */
    uint64_t nth;     /* which is the nth of this icount */
    struct player_counts counts;
    bool any_match;
    uint64_t last_match_icount;
};
struct player_place player_place(const struct player *p);
void player_go(struct player *p, const struct player_place *place);

/* Makes the player the source and observer of its machine again, after somebody else was. */
void player_attach(struct player *p);

/* Valid after PLAYER_DIVERGED, else NULL. Belongs to the player. */
const struct player_divergence *player_divergence(const struct player *p);
/* One line that names the file; valid after PLAYER_ERROR, else empty. */
const char *player_error(const struct player *p);
/* The recorded end; NULL when the trace has none, or it cannot be read. */
const struct trace_end *player_end(const struct player *p);
/* Where the last whole frame of a recording without an end stops, in bytes; 0 when it has an end.
 */
uint64_t player_whole_bytes(const struct player *p);
struct player_counts player_counts(const struct player *p);

#endif
