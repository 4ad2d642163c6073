/* SPDX-License-Identifier: MIT */
/* hunt.json, out and in: hunt_json.h. */
#include "hunt_json.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <traces/trace.h>

#include "../cli.h"
#include "../files.h"
#include "../json.h"
#include "../trace_cmd.h"

#define FORMAT 1u
#define GENERATOR "deja " DEJA_VERSION
#define MAX_ARGUMENTS 65536u
#define MAX_BYTES ((size_t)4 << 30)
#define ROLES 5u

static double share_beside(uint64_t part, double all)
{
    return all > 0 && (double)part < all ? 1 - (double)part / all : 0;
}

double hunt_time_outside(const struct hunt_time *t)
{
    return share_beside(t->guests.wall_ns, (double)t->wall_ns * (double)t->jobs);
}

double hunt_time_outside_cpu(const struct hunt_time *t)
{
    return share_beside(t->guests.cpu_ns, (double)t->cpu_ns);
}

/* --- out --- */

static void print_number(const char *name, uint64_t n, bool given, FILE *out)
{
    fprintf(out, ", \"%s\": ", name);
    if (given)
        fprintf(out, "%" PRIu64, n);
    else
        fputs("null", out);
}

static void print_text(const char *name, const char *text, FILE *out)
{
    fprintf(out, ", \"%s\": ", name);
    if (text != NULL)
        json_string(out, text);
    else
        fputs("null", out);
}

static void print_arguments(const struct hunt_plan *plan, FILE *out)
{
    fputs("  \"arguments\": [", out);
    for (int i = 0; i < plan->argc; i++) {
        fputs(i > 0 ? ", " : "", out);
        json_string(out, plan->argv[i]);
    }
    fputs("],\n  \"folder\": ", out);
    json_string(out, plan->folder);
    fputs(",\n", out);
}

static void print_perturbation(const struct perturb_config *c, FILE *out)
{
    bool first = true;

    fputs(", \"perturb\": {\"kinds\": ", out);
    if (c->kinds == 0) {
        fputs("null", out);
    } else {
        for (unsigned k = 0; k < PERTURB_KIND_COUNT; k++)
            if (c->kinds & PERTURB_BIT(k)) {
                fprintf(out, "%s\"%s\"", first ? "[" : ", ", perturb_kind_name((enum perturb_kind)k));
                first = false;
            }
        putc(']', out);
    }
    print_number("mean", c->mean_icount, c->mean_icount != 0, out);
    print_number("from", c->from_icount, true, out);
    putc('}', out);
}

static void print_options(const struct hunt_plan *plan, FILE *out)
{
    static const char *const keeps[] = {
        [KEEP_UNIQUE] = "unique", [KEEP_FAILING] = "failing", [KEEP_ALL] = "all"};
    char failure[512];

    failure_describe(&plan->failure, failure, sizeof(failure));
    fprintf(out, "  \"options\": {\"runs\": %" PRIu64 ", \"seed\": \"0x%016" PRIx64 "\", \"vary_seed\": %s", plan->runs,
            plan->machine.config.seed, plan->vary_seed ? "true" : "false");
    print_text("failure", failure, out);
    print_number("until", plan->until_icount, plan->until_icount != 0, out);
    print_text("until_output", plan->until_output, out);
    print_text("keep", keeps[plan->keep], out);
    print_number("keep_per_site", plan->keep_per_site, plan->keep == KEEP_UNIQUE, out);
    print_number("stop_after", plan->stop_after, plan->stop_after != 0, out);
    print_text("stdin_after", plan->stdin_after, out);
    print_perturbation(&plan->machine.config.perturb, out);
    fputs("},\n", out);
}

struct image {
    const char *role, *name;
    const uint8_t *data;
    size_t len;
};

/* What the runs are made of, by content. */
static void images_of(const struct hunt_plan *plan, struct image images[ROLES])
{
    const struct machine_config *c = &plan->machine.config;

    images[0] = (struct image){"kernel", c->kernel.name, c->kernel.data, c->kernel.len};
    images[1] = (struct image){"initrd", c->initrd.name, c->initrd.data, c->initrd.len};
    images[2] = (struct image){"bios", c->bios.name, c->bios.data, c->bios.len};
    images[3] = (struct image){"vgabios", c->vgabios.name, c->vgabios.data, c->vgabios.len};
    images[4] = (struct image){"stdin", plan->stdin_path, plan->input, plan->input_len};
}

static void print_images(const struct hunt_plan *plan, FILE *out)
{
    struct image images[ROLES];
    bool first = true;

    images_of(plan, images);
    fputs("  \"images\": [", out);
    for (size_t i = 0; i < ROLES; i++) {
        char hash[TRACE_HASH_CHARS + 1];

        if (images[i].data == NULL)
            continue;
        trace_image_hash(images[i].data, images[i].len, hash);
        fprintf(out, "%s{\"role\": \"%s\"", first ? "" : ", ", images[i].role);
        print_text("name", images[i].name, out);
        fprintf(out, ", \"size\": %zu, \"hash\": \"%s\"}", images[i].len, hash);
        first = false;
    }
    fputs("],\n", out);
}

static void print_time(const struct hunt_time *t, FILE *out)
{
    if (t == NULL) {
        fputs("  \"time\": null,\n", out);
        return;
    }
    fprintf(out,
            "  \"time\": {\"wall\": %.3f, \"jobs\": %" PRIu64 ", \"runs\": %" PRIu64
            ", \"guests\": %.3f, \"recording\": %.3f, \"share_outside\": %.4f, \"cpu\": %.3f, \"guests_cpu\": %.3f"
            ", \"share_outside_cpu\": %.4f},\n",
            (double)t->wall_ns / 1e9, t->jobs, t->runs, (double)t->guests.wall_ns / 1e9, (double)t->recording_ns / 1e9,
            hunt_time_outside(t), (double)t->cpu_ns / 1e9, (double)t->guests.cpu_ns / 1e9, hunt_time_outside_cpu(t));
}

static void print_site(const struct book *b, const struct book_site *site, FILE *out)
{
    char name[FOLDER_NAME_BYTES];

    fputs("    {\"site\": ", out);
    json_string(out, site->text);
    fprintf(out, ", \"count\": %" PRIu64 ", \"share\": %.6f, \"first\": %" PRIu64 ", \"traces\": [", site->count,
            (double)site->count / (double)b->done, site->first);
    for (size_t i = 0; i < site->nrecorded; i++) {
        folder_trace_name(site->recorded[i], name);
        fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", name);
    }
    fputs("]}", out);
}

static void print_run(const struct book *b, uint64_t run, FILE *out)
{
    char name[FOLDER_NAME_BYTES];

    folder_trace_name(run, name);
    hunt_result_print(b->entries[run].result, b->entries[run].recorded ? name : NULL, out);
}

static void print_results(const struct book *b, FILE *out)
{
    const char *before = "";

    fputs("  \"unperturbed\": ", out);
    if (b->entries[0].result != NULL)
        print_run(b, 0, out);
    else
        fputs("null", out);
    fputs(",\n  \"sites\": [\n", out);
    for (uint32_t i = 0; i < b->nsites; i++) {
        print_site(b, &b->sites[i], out);
        fputs(i + 1 < b->nsites ? ",\n" : "\n", out);
    }
    fputs("  ],\n  \"runs\": [\n", out);
    for (uint64_t run = b->first; run <= b->last; run++) {
        if (!b->entries[run].settled)
            continue;
        fprintf(out, "%s    ", before);
        print_run(b, run, out);
        before = ",\n";
    }
    fputs("\n  ]\n}\n", out);
}

void hunt_json_print(const struct hunt_plan *plan, const struct book *b, uint64_t limit, const struct hunt_time *time,
                     FILE *out)
{
    fprintf(out, "{\n  \"format\": %u,\n  \"generator\": \"" GENERATOR "\",\n", FORMAT);
    print_arguments(plan, out);
    print_options(plan, out);
    print_images(plan, out);
    fprintf(out, "  \"complete\": %s", book_is_complete(b) ? "true" : "false");
    print_number("limit", limit, limit != 0, out);
    fprintf(out, ", \"done\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"overlong\": %" PRIu64 ",\n", b->done, b->failed,
            b->overlong);
    print_time(time, out);
    print_results(b, out);
}

int hunt_json_write(const struct hunt_folder *f, const struct hunt_plan *plan, const struct book *b, uint64_t limit,
                    const struct hunt_time *time)
{
    char path[PATH_MAX];
    FILE *out;
    int rc;

    folder_path(f, "hunt.json.part", path, sizeof(path));
    out = fopen(path, "we");
    if (out == NULL) {
        cli_error("hunt: %s: cannot be written: %s", path, strerror(errno));
        return EXIT_USAGE;
    }
    hunt_json_print(plan, b, limit, time, out);
    rc = fflush(out) != 0 || ferror(out) || fsync(fileno(out)) != 0 ? -1 : 0;
    if (rc != 0)
        cli_error("hunt: %s: cannot be written: %s", path, strerror(errno));
    fclose(out);
    return rc != 0 ? EXIT_USAGE : folder_rename(f, "hunt.json.part", "hunt.json");
}

/* --- in --- */

static int damaged(const struct hunt_folder *f, const char *what)
{
    cli_error("hunt: %s/hunt.json: %s", f->given, what);
    return EXIT_USAGE;
}

/* "hunt", the arguments, --runs: allocated, as are its texts. NULL: out of memory, or too many. */
static char **make_argv(const struct json *list, uint64_t runs, int *argc)
{
    size_t n = 0;
    char **argv, text[40];

    for (const struct json *j = json_first(list); json_text(j) != NULL; j = json_next(j))
        n++;
    argv = n > MAX_ARGUMENTS ? NULL : calloc(n + 3, sizeof(*argv));
    if (argv == NULL)
        return NULL;
    snprintf(text, sizeof(text), "--runs=%" PRIu64, runs);
    *argc = 0;
    argv[(*argc)++] = strdup("hunt");
    for (const struct json *j = json_first(list); json_text(j) != NULL; j = json_next(j))
        argv[(*argc)++] = strdup(json_text(j));
    argv[(*argc)++] = strdup(text);
    return argv;
}

static int check_image(const struct hunt_folder *f, const struct image *image, const struct json *list)
{
    char hash[TRACE_HASH_CHARS + 1] = "none";
    const struct json *j = json_first(list);
    const char *was;

    while (j != NULL && (json_text(json_get(j, "role")) == NULL || strcmp(json_text(json_get(j, "role")), image->role) != 0))
        j = json_next(j);
    was = json_text(json_get(j, "hash"));
    if (image->data != NULL)
        trace_image_hash(image->data, image->len, hash);
    if (strcmp(hash, was != NULL ? was : "none") == 0)
        return EXIT_DONE;
    cli_error("hunt: %s: %s is not the %s with which %s began: its hash is %s, then it was %s", f->given,
              image->name != NULL ? image->name : "nothing", image->role, f->given, hash, was != NULL ? was : "none");
    return EXIT_USAGE;
}

static int check_images(const struct hunt_folder *f, const struct hunt_plan *plan, const struct json *list)
{
    struct image images[ROLES];
    int status = EXIT_DONE;

    images_of(plan, images);
    for (size_t i = 0; i < ROLES && status == EXIT_DONE; i++)
        status = check_image(f, &images[i], list);
    return status;
}

static int plan_from(const struct hunt_folder *f, const struct json *j, uint64_t runs, struct hunt_plan *plan)
{
    const char *folder = json_text(json_get(j, "folder")), *generator = json_text(json_get(j, "generator"));
    uint64_t format;
    char **argv;
    int argc, status;

    if (!json_u64(json_get(j, "format"), &format) || folder == NULL || generator == NULL ||
        (runs == 0 && !json_u64(json_get(json_get(j, "options"), "runs"), &runs)))
        return damaged(f, "is not a hunt's");
    if (format != FORMAT || strcmp(generator, GENERATOR) != 0) {
        cli_error("hunt: %s was begun by \"%s\", this is \"%s\": their runs may differ", f->given, generator, GENERATOR);
        return EXIT_USAGE;
    }
    argv = make_argv(json_get(j, "arguments"), runs, &argc);
    if (argv == NULL)
        return damaged(f, "has too many arguments");
    status = hunt_plan_parse(plan, argc, argv, strdup(folder));
    return status != EXIT_DONE ? status : check_images(f, plan, json_get(j, "images"));
}

int hunt_json_read_plan(const struct hunt_folder *f, uint64_t runs, struct hunt_plan *plan)
{
    static const char *const wanted[] = {"format", "generator", "folder", "arguments", "options", "images", NULL};
    char path[PATH_MAX], err[256];
    uint8_t *data;
    size_t len;
    struct json *j;
    int status;

    *plan = (struct hunt_plan){.runs = 0};
    folder_path(f, "hunt.json", path, sizeof(path));
    status = file_load("hunt", path, MAX_BYTES, &data, &len);
    if (status != EXIT_DONE)
        return status;
    j = json_parse((const char *)data, len, wanted, err, sizeof(err));
    free(data);
    if (j == NULL)
        return damaged(f, err);
    status = plan_from(f, j, runs, plan);
    json_destroy(j);
    return status;
}
