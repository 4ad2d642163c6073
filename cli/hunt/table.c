/* SPDX-License-Identifier: MIT */
/* Progress and summary of a hunt: table.h. */
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../numbers.h"
#include "../trace_cmd.h"
#include "hunt.h"

static bool visible;

/* --- progress --- */

void table_show_progress(const struct hunt *h, uint64_t ns)
{
    const struct book *b = &h->book;
    char done[NUMBER_TEXT], all[NUMBER_TEXT], failed[NUMBER_TEXT], rate[NUMBER_TEXT];
    double minutes = (double)ns / 6e10;

    if (!isatty(STDERR_FILENO))
        return;
    visible = true;
    fprintf(stderr, "\r\033[Kdeja: hunt: %s of %s runs, %s failed at %" PRIu32 " site%s, %s runs a minute",
            number_text(b->done, done), number_text(b->last - b->first + 1, all), number_text(b->failed, failed),
            b->nsites, b->nsites == 1 ? "" : "s", number_text((uint64_t)((double)h->time.runs / minutes), rate));
    fflush(stderr);
}

void table_end_progress(void)
{
    if (visible)
        fputs("\r\033[K", stderr);
    visible = false;
}

/* --- the table --- */

static int by_count(const void *a, const void *b)
{
    const struct book_site *const *x = a, *const *y = b;

    if ((*x)->count != (*y)->count)
        return (*x)->count < (*y)->count ? 1 : -1;
    return (*x)->first < (*y)->first ? -1 : (*x)->first > (*y)->first;
}

static void print_share(const struct book *b, uint64_t count, FILE *out)
{
    fprintf(out, "%5.1f %%", 100 * (double)count / (double)b->done);
}

static void print_site(const struct hunt *h, const struct book_site *site, int width, FILE *out)
{
    char name[FOLDER_NAME_BYTES] = "-", count[NUMBER_TEXT], first[NUMBER_TEXT];

    if (site->nrecorded > 0)
        folder_trace_name(site->recorded[0], name);
    fprintf(out, "%9s ", number_text(site->count, count));
    print_share(&h->book, site->count, out);
    fprintf(out, " %9s  %-*s  %s\n", number_text(site->first, first), width, name, site->text);
}

static void print_sites(const struct hunt *h, FILE *out)
{
    const struct book *b = &h->book;
    const struct book_site **sites = calloc(b->nsites, sizeof(*sites));

    if (sites == NULL)
        return;
    for (uint32_t i = 0; i < b->nsites; i++)
        sites[i] = &b->sites[i];
    qsort(sites, b->nsites, sizeof(*sites), by_count);
    fprintf(out, "%9s %7s %9s  %-15s  %s\n", "count", "share", "first run", "trace", "site");
    for (uint32_t i = 0; i < b->nsites; i++)
        print_site(h, sites[i], 15, out);
    free(sites);
}

static void say_how(const struct hunt_result *r, char *out, size_t len)
{
    const char *name = machine_stop_name(r->why);

    if (r->why == STOP_ICOUNT)
        name = "cut at the limit";
    else if (r->why == STOP_USER)
        name = "ended by what it printed";
    if (r->why == STOP_EXIT)
        snprintf(out, len, "exit %u", r->exit_code);
    else
        snprintf(out, len, "%s%s", name, r->panicked ? ", panic" : "");
}

/* The ends of runs that did not fail: there are few kinds. */
static void print_others(const struct book *b, FILE *out)
{
    struct {
        char how[64];
        uint64_t count;
    } ends[16] = {{.count = 0}};
    size_t n = 0, i;
    char how[64], text[NUMBER_TEXT];

    for (uint64_t run = b->first; run <= b->last; run++) {
        if (!b->entries[run].settled || b->entries[run].result->failed)
            continue;
        say_how(b->entries[run].result, how, sizeof(how));
        for (i = 0; i < n && strcmp(ends[i].how, how) != 0; i++)
            ;
        if (i == n && n < sizeof(ends) / sizeof(ends[0]))
            memcpy(ends[n++].how, how, sizeof(how));
        if (i < n)
            ends[i].count++;
    }
    for (i = 0; i < n; i++) {
        fprintf(out, "%9s ", number_text(ends[i].count, text));
        print_share(b, ends[i].count, out);
        fprintf(out, " %9s  %-15s  not failed: %s\n", "", "", ends[i].how);
    }
}

static void print_base(const struct hunt *h, FILE *out)
{
    const struct hunt_result *r = book_result(&h->book, 0);
    char how[64], n[NUMBER_TEXT];

    if (r == NULL)
        return;
    say_how(r, how, sizeof(how));
    fprintf(out, "the unperturbed run, run-000000.deja: %s after %s instructions%s%s\n", how, number_text(r->icount, n),
            r->failed ? "; it fails, too: " : "", r->site);
}

/* --- how to see one again --- */

void shell_word(const char *word, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, out);
        return;
    }
    putc('\'', out);
    for (; *word != '\0'; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            putc(*word, out);
    putc('\'', out);
}

static void print_perturbation(const struct perturb_config *c, uint64_t seed, FILE *out)
{
    char before = '=';

    fprintf(out, " -perturb seed=0x%" PRIx64, seed);
    if (c->kinds != 0)
        fputs(",kinds", out);
    for (unsigned k = 0; k < PERTURB_KIND_COUNT; k++)
        if (c->kinds & PERTURB_BIT(k)) {
            fprintf(out, "%c%s", before, perturb_kind_name((enum perturb_kind)k));
            before = '+';
        }
    if (c->mean_icount != 0)
        fprintf(out, ",mean=%" PRIu64, c->mean_icount);
    if (c->from_icount != 0)
        fprintf(out, ",from=%" PRIu64, c->from_icount);
}

/* The machine's own options as they were given, but for the two seeds. */
static void print_record_command(const struct hunt_plan *plan, const struct hunt_result *r, FILE *out)
{
    char **argv = plan->machine_argv;
    const char *value;

    fputs("deja record -o T.deja", out);
    for (int i = 0; i < plan->machine_argc; i++) {
        if (take_option("seed", "hunt", plan->machine_argc, argv, &i, &value) != 0 ||
            take_option("perturb", "hunt", plan->machine_argc, argv, &i, &value) != 0)
            continue;
        putc(' ', out);
        shell_word(argv[i], out);
    }
    fprintf(out, " --seed %" PRIu64, r->machine_seed);
    print_perturbation(&plan->machine.config.perturb, r->seed, out);
    fputs(" </dev/null\n", out);
}

static void print_example(const struct hunt *h, FILE *out)
{
    const struct book *b = &h->book;
    const struct hunt_result *r = NULL;
    char name[FOLDER_NAME_BYTES];

    for (uint32_t i = 0; i < b->nsites && r == NULL; i++)
        if (b->sites[i].nrecorded > 0)
            r = book_result(b, b->sites[i].recorded[0]);
    if (r == NULL)
        return;
    folder_trace_name(r->run, name);
    fprintf(out, "to see it again: deja replay ");
    shell_word(h->folder->given, out);
    fprintf(out, "/%s\n", name);
    if (h->plan->stdin_path != NULL) /* `deja record <FILE` would offer it at other moments */
        return;
    fputs("to record it anew: ", out);
    print_record_command(h->plan, r, out);
}

void table_print(const struct hunt *h, FILE *out)
{
    const struct book *b = &h->book;
    char done[NUMBER_TEXT], failed[NUMBER_TEXT], failure[512];

    failure_describe(&h->plan->failure, failure, sizeof(failure));
    if (!failure_given(&h->plan->failure) && h->limit.must_end && h->plan->until_icount == 0)
        strcat(failure, " or not at all");
    fprintf(out, "%s runs, %s failed (%s) at %" PRIu32 " site%s\n", number_text(b->done, done),
            number_text(b->failed, failed), failure, b->nsites, b->nsites == 1 ? "" : "s");
    if (b->nsites > 0)
        print_sites(h, out);
    print_others(b, out);
    print_base(h, out);
    print_example(h, out);
}

void table_print_time(const struct hunt *h, FILE *out)
{
    const struct hunt_time *t = &h->time;
    double wall = (double)t->wall_ns / 1e9;

    if (t->runs == 0 || wall <= 0)
        return;
    fprintf(out, "runs here:          %" PRIu64 " in %.3f s on %" PRIu64 " jobs, %.0f a minute and job\n", t->runs, wall,
            t->jobs, 60 * (double)t->runs / wall / (double)t->jobs);
    fprintf(out, "in guests:          %.3f s, and %.3f s in those that were recorded\n", (double)t->guests.wall_ns / 1e9,
            (double)t->recording_ns / 1e9);
    fprintf(out, "outside of guests:  %.2f %% of wall time, %.2f %% of CPU time\n", 100 * hunt_time_outside(t),
            100 * hunt_time_outside_cpu(t));
}
