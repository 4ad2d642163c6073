/* SPDX-License-Identifier: MIT */
/*
 * The process that searches for `deja bisect --run` and `--gdb-script`: bisect_run.h.
 *
 * It stands at a moment, tells the other process, and serves gdb until that has the verdict. Each client finds the
 * machine at the moment that is asked about, whatever the one before has done to it. With the verdict all connections
 * are ended; the other process has taken the socket's name away by then, so that what a command has left behind
 * cannot come back and disturb the next question.
 *
 * A signal to stop reaches the other process alone, which then closes the socket between the two: that is what
 * interrupts here.
 */
#include "bisect_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "console_term.h"
#include "gdb/session.h"
#include "progress.h"
#include "sandbox.h"

struct asking {
    struct bisect b;
    struct session *session;
    int fd;         /* to the process that judges */
    bool serving;   /* a client may want the run to stop */
    bool symbols;   /* are in their file */
    bool not_run;   /* the last verdict is that of a shell that could not run the command */
};

static bool interrupted(void *opaque)
{
    const struct asking *q = opaque;

    if (q->serving && session_interrupted(q->session))
        return true;
    return term_stop_asked() || (q->session != NULL && session_owner_speaks(q->session));
}

/* --- a question --- */

/* Clients, one after the other, until there is a verdict: THERE. */
static enum timeline_status serve(struct asking *q, struct moment at)
{
    enum timeline_status status = TIMELINE_THERE;

    while (!session_owner_speaks(q->session) && (status == TIMELINE_THERE || status == TIMELINE_END)) {
        session_set_status(q->session, status);
        q->serving = true;
        session_serve_client(q->session);
        q->serving = false;
        status = timeline_seek(q->b.t, at);
    }
    session_send_away(q->session);
    return session_owner_speaks(q->session) ? TIMELINE_THERE : status;
}

static enum bisect_verdict judge(void *opaque, struct moment at)
{
    struct asking *q = opaque;
    struct bisect_request request = {.at = at, .left = q->b.probes_left, .symbols = q->symbols};
    struct bisect_reply reply = {.verdict = VERDICT_STOP};
    enum timeline_status status = TIMELINE_INTERRUPTED;

    progress_end(); /* the line is the command's now */
    if (write(q->fd, &request, sizeof(request)) == (ssize_t)sizeof(request))
        status = serve(q, at);
    if (status != TIMELINE_THERE || read(q->fd, &reply, sizeof(reply)) != (ssize_t)sizeof(reply)) {
        bisect_failed(&q->b, status != TIMELINE_THERE ? status : TIMELINE_INTERRUPTED);
        return VERDICT_STOP;
    }
    q->not_run = reply.not_run;
    return reply.verdict;
}

/* --- the search --- */

static int open_all(struct asking *q, const struct meeting *place)
{
    const struct bisect_args *a = q->b.args;
    struct session_options options = {.address = place->address, .trace_path = a->trace,
                                      .vmlinux = a->vmlinux, .modules = a->modules,
                                      .owner_fd = q->fd, .sandboxed = true};
    char err[512];
    int status = bisect_open(&q->b, interrupted, q);

    if (status != EXIT_DONE)
        return status;
    options.timeline = q->b.t;
    q->session = session_create(&options, err, sizeof(err));
    if (q->session == NULL) {
        cli_error("bisect: %s", err);
        return EXIT_USAGE;
    }
    q->b.symbols = session_symbols(q->session);
    return EXIT_DONE;
}

/* Once, for all questions: checkpoints, if there are none, and symbols, which are all there in the end. */
static int prepare(struct asking *q, int symbols)
{
    enum timeline_status status = bisect_go_to_symbols(&q->b);

    if (status != TIMELINE_THERE)
        return bisect_failed(&q->b, status);
    session_look(q->session);
    q->symbols = q->b.args->vmlinux == NULL && session_write_symbols(q->session, symbols);
    return EXIT_DONE;
}

/* Bad at the begin by a shell that could not run the command. If it could not at the end either, there is no answer
 * but that. */
static int check_command(struct asking *q)
{
    enum timeline_status status = timeline_seek(q->b.t, q->b.args->to);

    if (status != TIMELINE_THERE && status != TIMELINE_END)
        return bisect_failed(&q->b, status);
    q->b.probes++;
    if (judge(q, timeline_now(q->b.t)) == VERDICT_STOP)
        return EXIT_USAGE;
    if (!q->not_run)
        return EXIT_DONE;
    cli_error("bisect: the shell could not run the command, neither at the begin nor at the end (status 126 or 127): %s",
              q->b.args->run);
    return EXIT_USAGE;
}

static int search(struct asking *q, int symbols)
{
    struct bisect_result result;
    int status = prepare(q, symbols);

    if (status == EXIT_DONE)
        status = bisect_judged(&q->b, judge, q, &result);
    if (status == EXIT_DONE && result.answer == BISECT_AT_BEGIN && q->not_run)
        status = check_command(q);
    return status == EXIT_DONE ? bisect_report(&q->b, &result) : status;
}

int bisect_search_asking(const struct bisect_args *a, const struct meeting *place, int fd)
{
    struct asking q = {.b = {.args = a}, .fd = fd};
    int symbols = open(place->symbols, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int status = open_all(&q, place);

    if (status == EXIT_DONE && !a->no_sandbox)
        status = sandbox_enter();
    if (status == EXIT_DONE)
        status = search(&q, symbols);
    progress_end();
    session_destroy(q.session);
    timeline_destroy(q.b.t);
    return status;
}
