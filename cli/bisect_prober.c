/* SPDX-License-Identifier: MIT */
/*
 * The process that starts what judges a moment for `deja bisect --run` and `--gdb-script`: bisect_run.h.
 *
 * A command is a process group of its own, so that it can be ended as a whole when the user gives up; what it leaves
 * running after a verdict is left alone. Its standard input is empty, its standard output is standard error: what
 * bisect prints is the answer and nothing else.
 *
 * gdb ends a script that has an error in it with status 1, as if it had said `bad`, and does the same when it cannot
 * connect. So the script is run by a few lines of Python (gdb/deja.py), which end gdb with status 255 in both cases,
 * and leave a mark when the script begins: without the mark no status of gdb's is a verdict.
 */
#include "bisect_run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <replay/child.h>

#include "cli.h"
#include "console_term.h"
#include "moments.h"

#define STATUS_SKIP      125
#define STATUS_NO_EXEC   126 /* the shell's: found, but cannot be executed; */
#define STATUS_NOT_FOUND 127 /* not found */
#define STATUS_STOP      128 /* and all above */
#define STATUS_SCRIPT    255 /* deja.py's: an error in the script */

#define GRACE_MS 1000 /* for a command that is to end */
#define LOOK_MS  20

extern char **environ;

struct prober {
    const struct bisect_args *args;
    struct meeting place;
    char mark[sizeof(((struct meeting *)NULL)->symbols)]; /* left by gdb when the script begins */
    char *script;     /* absolute */
    struct child searcher;
    uint64_t probes;
    sigset_t outside; /* the signal mask as it was; inside SIGCHLD is blocked but while waiting */
};

/* --- waiting --- */

static void on_child(int sig)
{
    (void)sig; /* it is enough that it interrupts */
}

static void watch_children(struct prober *p)
{
    struct sigaction sa = {.sa_handler = on_child};
    sigset_t block;

    sigemptyset(&sa.sa_mask);
    sigaction(SIGCHLD, &sa, NULL);
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, &p->outside);
}

/* The user gives up. From then on there is only cleaning up, which takes a second or two: it is not to be cut short
 * by the user who gives up twice. */
static bool gives_up(void)
{
    if (!term_stop_asked())
        return false;
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return true;
}

/* Until a child ends, the searcher says something or ends (true), or the user gives up. */
static bool wait_for_news(const struct prober *p)
{
    struct pollfd fds[] = {{.fd = p->searcher.fd, .events = POLLIN}, {.fd = term_stop_fd(), .events = POLLIN}};
    int n = ppoll(fds, 2, NULL, &p->outside);

    return n > 0 && fds[0].revents != 0;
}

/* Waits for a process a while. */
static bool has_ended(pid_t pid, int *status)
{
    pid_t got = waitpid(pid, status, WNOHANG);

    for (int waited = 0; got == 0 && waited < GRACE_MS; waited += LOOK_MS) {
        poll(NULL, 0, LOOK_MS);
        got = waitpid(pid, status, WNOHANG);
    }
    return got != 0;
}

/* The command and all that it has started, but what has left its process group. */
static void end_command(pid_t pid)
{
    int status;
    bool ended;

    kill(-pid, SIGTERM);
    kill(-pid, SIGCONT);
    ended = has_ended(pid, &status);
    kill(-pid, SIGKILL);
    if (!ended)
        waitpid(pid, &status, 0);
}

/* --- a command --- */

static void set_moment(const struct prober *p, struct moment at)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, at.icount);
    setenv("DEJA_ICOUNT", text, 1);
    if (at.entries > 0)
        snprintf(text, sizeof(text), "%" PRIu64 "+%" PRIu32, at.icount, at.entries);
    setenv("DEJA_MOMENT", text, 1);
    setenv("DEJA_GDB", p->place.socket, 1);
}

/* Whoever knows the name that it had for one question finds nobody there any more. */
static bool rename_socket(struct prober *p)
{
    char name[sizeof(p->place.socket)];

    snprintf(name, sizeof(name), "%s/gdb-%" PRIu64, p->place.folder, ++p->probes);
    if (rename(p->place.socket, name) != 0) {
        cli_error("bisect: %s: %s", p->place.socket, strerror(errno));
        return false;
    }
    strcpy(p->place.socket, name);
    return true;
}

static int start(const struct prober *p, char *const argv[], pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t plain;
    int rc;

    sigemptyset(&plain);
    sigaddset(&plain, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &p->outside);
    posix_spawnattr_setsigdefault(&attr, &plain);
    rc = posix_spawnp(pid, argv[0], &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int start_shell(const struct prober *p, pid_t *pid)
{
    char *const argv[] = {"/bin/sh", "-c", (char *)p->args->run, NULL};
    int rc = start(p, argv, pid);

    if (rc != 0)
        cli_error("bisect: cannot start a shell: %s", strerror(rc));
    return rc;
}

static int start_gdb(const struct prober *p, bool symbols, pid_t *pid)
{
    const struct meeting_gdb gdb = {.program = p->args->gdb,
                                    .vmlinux = p->args->vmlinux,
                                    .modules = p->args->modules != NULL,
                                    .symbols = symbols};
    char *argv[MEETING_GDB_ARGS + 4];
    int n = meeting_gdb_args(&p->place, &gdb, argv), rc;

    argv[n++] = "-batch";
    argv[n++] = "-ex";
    argv[n++] = "python deja_judge()";
    argv[n] = NULL;
    unlink(p->mark);
    rc = start(p, argv, pid);
    if (rc != 0)
        cli_error("bisect: cannot start %s: %s: install gdb, or name one with --gdb PROGRAM", p->args->gdb,
                  strerror(rc));
    return rc;
}

/* False: there is no status, and no need to say more. */
static bool run(struct prober *p, bool symbols, int *status)
{
    pid_t pid;

    if ((p->script != NULL ? start_gdb(p, symbols, &pid) : start_shell(p, &pid)) != 0)
        return false;
    while (waitpid(pid, status, WNOHANG) == 0)
        if (wait_for_news(p) || gives_up()) { /* the searcher has no news now but its end */
            end_command(pid);
            return false;
        }
    return true;
}

/* --- a verdict --- */

static const char *subject(const struct prober *p)
{
    return p->script != NULL ? p->args->gdb_script : p->args->run;
}

static struct bisect_reply refuse(const struct prober *p, struct moment at, int status)
{
    char n[MOMENT_TEXT];

    moment_text(at, n);
    if (WIFSIGNALED(status))
        cli_error("bisect: at instruction %s a signal (%s) ended the command, and so the search: %s", n,
                  strsignal(WTERMSIG(status)), subject(p));
    else if (p->script != NULL && access(p->mark, F_OK) != 0)
        cli_error("bisect: at instruction %s gdb did not come as far as to run the script: %s", n, subject(p));
    else if (p->script != NULL && WEXITSTATUS(status) == STATUS_SCRIPT)
        cli_error("bisect: at instruction %s there was an error in the script: %s", n, subject(p));
    else
        cli_error("bisect: at instruction %s the command's status was %d, which ends the search: %s", n,
                  WEXITSTATUS(status), subject(p));
    return (struct bisect_reply){.verdict = VERDICT_STOP};
}

static struct bisect_reply verdict_of(const struct prober *p, struct moment at, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_STOP;

    if (code >= STATUS_STOP || (p->script != NULL && access(p->mark, F_OK) != 0))
        return refuse(p, at, status);
    if (code == 0)
        return (struct bisect_reply){.verdict = VERDICT_GOOD};
    if (code == STATUS_SKIP)
        return (struct bisect_reply){.verdict = VERDICT_SKIP};
    return (struct bisect_reply){.verdict = VERDICT_BAD,
                                 .not_run = p->script == NULL &&
                                            (code == STATUS_NO_EXEC || code == STATUS_NOT_FOUND)};
}

static void show(const struct bisect_request *request, enum bisect_verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_GOOD] = "good", [VERDICT_BAD] = "bad", [VERDICT_SKIP] = "skipped"};
    char n[MOMENT_TEXT];

    if (verdict != VERDICT_STOP && isatty(STDERR_FILENO))
        fprintf(stderr, "deja: instruction %s: %s, about %u more to ask\n", moment_text(request->at, n),
                names[verdict], request->left);
}

/* False: the search ends. */
static bool answer(struct prober *p, const struct bisect_request *request)
{
    struct bisect_reply reply = {.verdict = VERDICT_STOP};
    int status;

    set_moment(p, request->at);
    if (run(p, request->symbols, &status))
        reply = verdict_of(p, request->at, status);
    else if (gives_up())
        return false;
    show(request, reply.verdict);
    return rename_socket(p) && write(p->searcher.fd, &reply, sizeof(reply)) == (ssize_t)sizeof(reply);
}

/* --- the two processes --- */

static _Noreturn void be_searcher(const struct prober *p)
{
    int status;

    setsid(); /* Ctrl-C is the other process's */
    sigprocmask(SIG_SETMASK, &p->outside, NULL);
    term_restore_signals();
    term_take_signals();
    status = bisect_search_asking(p->args, &p->place, p->searcher.fd);
    fflush(stdout);
    _exit(status);
}

/* Its exit status. It ends by itself, with the conversation or before; when the user gives up, it is given a moment
 * to say so. */
static int end_searcher(struct prober *p)
{
    bool stop = gives_up();
    int status;
    char how[64];

    close(p->searcher.fd);
    p->searcher.fd = -1;
    if (stop && !has_ended(p->searcher.pid, &status)) {
        child_end(&p->searcher);
        cli_error("bisect: interrupted");
        return EXIT_USAGE;
    }
    if (!stop)
        status = child_bury(&p->searcher);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    child_describe_end(status, how, sizeof(how));
    cli_error("bisect: the process that replays the recording %s", how);
    return EXIT_USAGE;
}

static int converse(struct prober *p)
{
    struct bisect_request request;
    bool going = true;

    while (going && !gives_up())
        if (wait_for_news(p))
            going = read(p->searcher.fd, &request, sizeof(request)) == (ssize_t)sizeof(request) && answer(p, &request);
    return end_searcher(p);
}

/* --- beginning and end --- */

static int find_files(struct prober *p)
{
    const struct bisect_args *a = p->args;
    char *trace = realpath(a->trace, NULL);

    if (trace == NULL || setenv("DEJA_TRACE", trace, 1) != 0) {
        cli_error("%s: %s", a->trace, strerror(errno));
        return EXIT_USAGE;
    }
    free(trace);
    if (a->gdb_script == NULL)
        return EXIT_DONE;
    p->script = realpath(a->gdb_script, NULL);
    if (p->script == NULL || access(p->script, R_OK) != 0) {
        cli_error("bisect: --gdb-script %s: %s", a->gdb_script, strerror(errno));
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int meet(struct prober *p)
{
    int status = meeting_make(&p->place, "bisect");

    if (status != EXIT_DONE)
        return status;
    snprintf(p->mark, sizeof(p->mark), "%.*s/begun", (int)sizeof(p->place.folder), p->place.folder);
    if (p->script != NULL) {
        setenv("DEJA_SCRIPT", p->script, 1);
        setenv("DEJA_SCRIPT_BEGUN", p->mark, 1);
    }
    if (child_fork(&p->searcher, CHILD_PACKETS) < 0) {
        cli_error("bisect: cannot start a process: %s", strerror(errno));
        status = EXIT_USAGE;
    } else if (p->searcher.pid == 0) {
        be_searcher(p);
    } else {
        status = converse(p);
    }
    unlink(p->mark);
    meeting_leave(&p->place);
    return status;
}

int bisect_run(const struct bisect_args *a)
{
    struct prober p = {.args = a};
    int status = find_files(&p);

    term_take_signals();
    watch_children(&p);
    if (status == EXIT_DONE)
        status = meet(&p);
    free(p.script);
    return status;
}
