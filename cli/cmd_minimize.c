/* SPDX-License-Identifier: MIT */
/*
 * `deja minimize`: from a recorded run that fails to one that fails with as little coming from outside as can be,
 * and that ends as early as it can.
 *
 * Exit status: 0; 1 the run does not fail; 2 bad usage or input.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "guest_symbols.h"
#include "numbers.h"
#include "option_values.h"
#include "progress.h"
#include "reduction.h"
#include "runs_options.h"
#include "trace_cmd.h"

static const char usage[] = "deja minimize TRACE " FAILURE_USAGE " -o MIN";

static void print_result(const struct reduction *r, const struct survey *bad)
{
    const struct verdict *from = &bad->verdict, *to = &r->least.verdict;
    char text[320], a[NUMBER_TEXT], b[NUMBER_TEXT];
    static const struct survey nothing;

    if (r->options->json) {
        printf("{\"trace\": ");
        json_string(stdout, r->path);
        printf(", \"events_before\": %zu, \"events\": %zu, \"instructions_before\": %" PRIu64
               ", \"instructions\": %" PRIu64 ", \"runs\": %" PRIu64 ", \"what_is_left\": ",
               r->before, r->after, from->icount, to->icount, r->trials.count);
        reduction_print(r, bad, &nothing);
        puts("}");
        return;
    }
    printf("%zu of %zu events are left, %s of %s instructions (%" PRIu64 " runs tried)\n", r->after, r->before,
           number_text(to->icount, a), number_text(from->icount, b), r->trials.count);
    reduction_print(r, bad, &nothing);
    survey_describe(to, text, sizeof(text));
    printf("it %s\n", text);
    printf("deja debug %s\n", r->path);
}

static int minimize(struct reduction *r, const struct survey *bad)
{
    int status = reduction_find(r);

    if (status == EXIT_DONE && r->options->failure->when != NULL)
        status = reduction_end_early(r);
    progress_end();
    if (status == EXIT_DONE)
        print_result(r, bad);
    return status;
}

static int with_symbols(const struct runs_options *a, struct guest_symbols *symbols)
{
    static const struct script nothing;
    struct reduction_options o = {.failure = &a->failure,
                                  .output = a->output,
                                  .jobs = (unsigned)a->jobs,
                                  .no_sandbox = a->no_sandbox,
                                  .json = a->json};
    struct survey_options how = {.failure = &a->failure, .symbols = symbols, .no_sandbox = a->no_sandbox};
    struct reduction r;
    struct survey bad;
    char text[320];
    int status = survey_trace(&bad, a->traces[0], &how);

    if (status == EXIT_DONE && !bad.verdict.failed) {
        survey_describe(&bad.verdict, text, sizeof(text));
        cli_error("%s: it does not fail: it %s", a->traces[0], text);
        status = EXIT_NO;
    }
    if (status == EXIT_DONE) {
        status = reduction_init(&r, &o, symbols, &nothing, survey_config(&bad), &bad);
        if (status == EXIT_DONE)
            status = minimize(&r, &bad);
        reduction_fini(&r);
    }
    survey_fini(&bad);
    return status;
}

int cmd_minimize(int argc, char **argv)
{
    struct runs_options a;
    struct guest_symbols *symbols;
    char err[512];
    int status = runs_options_parse(&a, "minimize", usage, argc, argv);

    if (status == EXIT_DONE && (a.ntraces != 1 || a.output == NULL)) {
        cli_error("minimize: wants one trace and -o: %s", usage);
        status = EXIT_USAGE;
    }
    if (status == EXIT_DONE)
        status = runs_options_check_output(&a, "minimize");
    if (status != EXIT_DONE)
        return status;
    symbols = guest_symbols_create(a.vmlinux, NULL, err, sizeof(err));
    if (symbols == NULL) {
        cli_error("%s", err);
        return EXIT_USAGE;
    }
    status = with_symbols(&a, symbols);
    guest_symbols_destroy(symbols);
    return status;
}
