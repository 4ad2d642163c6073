/* SPDX-License-Identifier: MIT */
/*
 * Runs of a hunt done elsewhere: commands.h.
 *
 * A command does the runs of one chunk: chunk n, from 0, those from n * chunk + 1. Its results are in a file of its
 * own, so any number of them may work in the folder, on any machine that has it under the same name.
 *
 * Slurm is asked by its own commands: sbatch to submit, then squeue now and then until it knows no task of the job any
 * more. That outlives a controller that is started anew; how tasks ended is seen by which results there are.
 */
#include "commands.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cli.h"
#include "../console_term.h"
#include "table.h"

#define TASK_INSNS 10000000000u /* of a chunk, when it is not said: half a minute or so */
#define MAX_TASKS  1000u        /* of an array, unless Slurm says otherwise */
#define POLL_FIRST_MS 250
#define POLL_LAST_MS  10000
#define PATIENCE_MS 600000      /* with a controller that does not answer */

struct array {
    uint64_t chunk;
    char job[32];
};

static int program_path(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (n <= 0) {
        cli_error("hunt: /proc/self/exe: %s", strerror(errno));
        return EXIT_USAGE;
    }
    out[n] = '\0';
    return EXIT_DONE;
}

/* --- chunks --- */

static uint64_t chunk_count(const struct hunt *h, uint64_t chunk)
{
    return (h->plan->runs + chunk - 1) / chunk;
}

/* Runs of the nth chunk that are missing. */
static uint64_t count_missing(const struct hunt *h, uint64_t chunk, uint64_t n)
{
    uint64_t missing = 0;

    for (uint64_t run = n * chunk + 1; run <= (n + 1) * chunk && run <= h->book.last; run++)
        missing += book_result(&h->book, run) == NULL;
    return missing;
}

int commands_print(const struct hunt *h, FILE *out)
{
    uint64_t chunk = h->session->chunk > 0 ? h->session->chunk : 1;
    char program[PATH_MAX];
    int status = program_path(program);

    for (uint64_t n = 0; n < chunk_count(h, chunk) && status == EXIT_DONE; n++) {
        if (count_missing(h, chunk, n) == 0)
            continue;
        shell_word(program, out);
        fprintf(out, " hunt --one %" PRIu64, n * chunk + 1);
        if (chunk > 1)
            fprintf(out, " --chunk %" PRIu64, chunk);
        if (h->session->no_sandbox)
            fputs(" -sandbox off", out);
        fputs(" --dir ", out);
        shell_word(h->folder->path, out);
        putc('\n', out);
    }
    return status;
}

/* --- asking Slurm --- */

/* All that comes of it, of which as much as fits is kept. A signal, such as a Ctrl-C, cuts nothing short. */
static void read_all(int fd, char *answer, size_t len)
{
    char beyond[4096];
    size_t n = 0;
    ssize_t got;

    do {
        bool full = n == len - 1;

        got = read(fd, full ? beyond : answer + n, full ? sizeof(beyond) : len - 1 - n);
        if (got > 0 && !full)
            n += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    answer[n] = '\0';
}

/* Runs a shell command; what it says, on both outputs, cut to fit. Its exit status; -1: it could not be run. */
static int ask(const char *command, char *answer, size_t len)
{
    FILE *p = popen(command, "re");
    int status;

    answer[0] = '\0';
    if (p == NULL)
        return -1;
    read_all(fileno(p), answer, len);
    status = pclose(p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void first_line(char *text)
{
    text[strcspn(text, "\n")] = '\0';
}

/* How many tasks an array may have. */
static uint64_t max_tasks(void)
{
    static const char name[] = "MaxArraySize";
    char answer[65536];
    const char *at;
    uint64_t n;

    if (ask("scontrol show config 2>/dev/null", answer, sizeof(answer)) != 0 || (at = strstr(answer, name)) == NULL)
        return MAX_TASKS;
    at += strlen(name);
    at += strspn(at, " =");
    n = strtoull(at, NULL, 10);
    return n > 0 ? n : MAX_TASKS;
}

/* So that a task takes a while, and there are no more of them than Slurm takes. */
static int choose_chunk(const struct hunt *h, uint64_t *chunk)
{
    uint64_t tasks = max_tasks(), length = book_result(&h->book, 0)->icount + 1;

    *chunk = h->session->chunk > 0 ? h->session->chunk : TASK_INSNS / length + 1;
    if (chunk_count(h, *chunk) <= tasks)
        return EXIT_DONE;
    if (h->session->chunk == 0) {
        *chunk = chunk_count(h, tasks);
        return EXIT_DONE;
    }
    cli_error("hunt: --chunk %" PRIu64 " makes %" PRIu64 " tasks, of which this Slurm takes %" PRIu64
              ": want --chunk %" PRIu64 " or more",
              *chunk, chunk_count(h, *chunk), tasks, chunk_count(h, tasks));
    return EXIT_USAGE;
}

/* --- submitting --- */

static void print_script(const struct hunt *h, uint64_t chunk, const char *program, FILE *out)
{
    fprintf(out, "#!/bin/sh\n#SBATCH --job-name=deja-hunt\n");
    fprintf(out, "exec ");
    shell_word(program, out);
    fprintf(out, " hunt --one \"$((SLURM_ARRAY_TASK_ID * %" PRIu64 " + 1))\" --chunk %" PRIu64
                 " --jobs \"${SLURM_CPUS_PER_TASK:-1}\"%s --dir ",
            chunk, chunk, h->session->no_sandbox ? " -sandbox off" : "");
    shell_word(h->folder->path, out);
    putc('\n', out);
}

static int write_script(const struct hunt *h, uint64_t chunk)
{
    char program[PATH_MAX], path[PATH_MAX];
    FILE *out;
    int rc;

    if (program_path(program) != EXIT_DONE)
        return EXIT_USAGE;
    folder_path(h->folder, "slurm", path, sizeof(path));
    mkdir(path, 0777); /* what the tasks say */
    folder_path(h->folder, "slurm.sh", path, sizeof(path));
    out = fopen(path, "we");
    if (out != NULL)
        print_script(h, chunk, program, out);
    rc = out == NULL || ferror(out) ? -1 : 0;
    if (out != NULL && fclose(out) != 0)
        rc = -1;
    if (rc != 0)
        cli_error("hunt: %s: cannot be written: %s", path, strerror(errno));
    return rc == 0 ? EXIT_DONE : EXIT_USAGE;
}

/* "0-3,7": the chunks with runs that are missing. */
static uint64_t print_tasks(const struct hunt *h, uint64_t chunk, FILE *out)
{
    uint64_t n, begin, count = chunk_count(h, chunk), tasks = 0;

    for (n = 0; n < count; n++) {
        if (count_missing(h, chunk, n) == 0)
            continue;
        for (begin = n; n + 1 < count && count_missing(h, chunk, n + 1) > 0; n++)
            ;
        fprintf(out, "%s%" PRIu64, tasks > 0 ? "," : "", begin);
        if (n > begin)
            fprintf(out, "-%" PRIu64, n);
        tasks += n - begin + 1;
    }
    return tasks;
}

/* sbatch has patterns in names of files: '%' is one. */
static void print_output_path(const struct hunt *h, FILE *out)
{
    char path[PATH_MAX], pattern[2 * PATH_MAX], *to = pattern;

    folder_path(h->folder, "slurm/", path, sizeof(path));
    for (const char *p = path; *p != '\0'; p++) {
        if (*p == '%')
            *to++ = '%';
        *to++ = *p;
    }
    strcpy(to, "%a.out");
    shell_word(pattern, out);
}

/* NULL: out of memory. To be freed. */
static char *submit_command(const struct hunt *h, uint64_t chunk, uint64_t *tasks)
{
    char path[PATH_MAX], *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    fputs("exec 2>&1; sbatch --parsable --open-mode=append --array=", out);
    *tasks = print_tasks(h, chunk, out);
    fputs(" --output=", out);
    print_output_path(h, out);
    fprintf(out, " %s ", h->session->slurm_options != NULL ? h->session->slurm_options : "");
    folder_path(h->folder, "slurm.sh", path, sizeof(path));
    shell_word(path, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* "1234", or "1234;cluster". */
static bool take_job(struct array *a, const char *answer)
{
    const char *line = answer + strlen(answer);
    size_t n;

    while (line > answer && line[-1] == '\n')
        line--;
    while (line > answer && line[-1] != '\n') /* warnings come before */
        line--;
    n = strspn(line, "0123456789");
    if (n == 0 || n >= sizeof(a->job) || (line[n] != '\n' && line[n] != '\0' && line[n] != ';'))
        return false;
    memcpy(a->job, line, n);
    a->job[n] = '\0';
    return true;
}

static int submit(const struct hunt *h, struct array *a, uint64_t *tasks)
{
    char answer[4096], *command = submit_command(h, a->chunk, tasks);
    int rc;

    if (command == NULL) {
        cli_error("hunt: out of memory");
        return EXIT_USAGE;
    }
    rc = *tasks > 0 ? ask(command, answer, sizeof(answer)) : 0;
    free(command);
    if (*tasks == 0 || (rc == 0 && take_job(a, answer)))
        return EXIT_DONE;
    first_line(answer);
    cli_error("hunt: Slurm does not take the job: %s", answer[0] != '\0' ? answer : "sbatch says nothing");
    return EXIT_USAGE;
}

/* --- waiting --- */

static uint64_t count_lines(const char *text)
{
    uint64_t n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* Tasks that wait or run; -1: Slurm does not answer. A job that it does not know any more is over. */
static int64_t tasks_left(const struct array *a, char *answer, size_t len)
{
    char command[128];
    int rc;

    snprintf(command, sizeof(command), "exec 2>&1; squeue --noheader --array --format=%%T --jobs=%s", a->job);
    rc = ask(command, answer, len);
    if (rc == 0)
        return (int64_t)count_lines(answer);
    return strstr(answer, "Invalid job id") != NULL ? 0 : -1;
}

static void rest(int ms)
{
    struct pollfd fd = {.fd = term_stop_fd(), .events = POLLIN};

    poll(&fd, 1, ms);
}

static void cancel(const struct array *a)
{
    char command[64], answer[256];

    snprintf(command, sizeof(command), "exec 2>&1; scancel %s", a->job);
    if (ask(command, answer, sizeof(answer)) == 0)
        return;
    first_line(answer);
    cli_error("hunt: the Slurm job %s could not be cancelled: %s", a->job, answer);
}

static void show(const struct array *a, int64_t left, uint64_t tasks)
{
    if (left < 0 || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[Kdeja: hunt: Slurm job %s, %" PRIi64 " of %" PRIu64 " tasks to go", a->job, left, tasks);
    fflush(stderr);
}

static int wait_for_job(struct hunt *h, const struct array *a, uint64_t tasks)
{
    char answer[65536];
    int ms = POLL_FIRST_MS, silent_ms = 0;
    int64_t left;

    while ((left = tasks_left(a, answer, sizeof(answer))) != 0 && !term_stop_asked()) {
        silent_ms = left < 0 ? silent_ms + ms : 0;
        if (silent_ms > PATIENCE_MS) {
            first_line(answer);
            cli_error("hunt: Slurm does not answer any more (%s): when its job %s is over, deja hunt --collect %s",
                      answer, a->job, h->folder->given);
            return EXIT_USAGE;
        }
        show(a, left, tasks);
        rest(ms);
        ms = ms * 2 < POLL_LAST_MS ? ms * 2 : POLL_LAST_MS;
    }
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    h->stopped = left != 0;
    if (h->stopped)
        cancel(a);
    return EXIT_DONE;
}

/* --- what became of it --- */

/* "FAILED", as long as Slurm remembers; it never knows a task that was cancelled before it began. */
static void task_state(const struct array *a, uint64_t n, char *out, size_t len)
{
    char command[128], answer[8192];
    const char *at;

    snprintf(out, len, "state unknown");
    snprintf(command, sizeof(command), "scontrol --oneliner show job %s_%" PRIu64 " 2>/dev/null", a->job, n);
    if (ask(command, answer, sizeof(answer)) != 0 || (at = strstr(answer, "JobState=")) == NULL)
        return;
    at += strlen("JobState=");
    snprintf(out, len, "%.*s", (int)strcspn(at, " \n"), at);
}

static void report_failed(const struct hunt *h, const struct array *a)
{
    char state[32];
    unsigned said = 0;

    for (uint64_t n = 0; n < chunk_count(h, a->chunk); n++) {
        uint64_t missing = count_missing(h, a->chunk, n);

        if (missing == 0 || said++ >= 10)
            continue;
        task_state(a, n, state, sizeof(state));
        cli_error("hunt: Slurm task %s_%" PRIu64 " (%s) has left %" PRIu64 " of its runs, from %" PRIu64
                  " on: see %s/slurm/%" PRIu64 ".out",
                  a->job, n, state, missing, n * a->chunk + 1, h->folder->given, n);
    }
    if (said > 10)
        cli_error("hunt: and %u more such tasks", said - 10);
}

int commands_slurm(struct hunt *h)
{
    struct array a;
    uint64_t tasks = 0;
    int status = choose_chunk(h, &a.chunk);

    if (status == EXIT_DONE)
        status = write_script(h, a.chunk);
    if (status == EXIT_DONE)
        status = submit(h, &a, &tasks);
    if (status != EXIT_DONE || tasks == 0)
        return status;
    fprintf(stderr, "deja: hunt: Slurm job %s, %" PRIu64 " tasks of %" PRIu64 " runs\n", a.job, tasks, a.chunk);
    folder_unlock(h->folder); /* the tasks take it, each for itself */
    status = wait_for_job(h, &a, tasks);
    if (status == EXIT_DONE)
        status = hunt_take_up(h);
    if (status == EXIT_DONE && !h->stopped) {
        report_failed(h, &a);
        status = folder_lock(h->folder, false);
    }
    return status;
}
