/* SPDX-License-Identifier: MIT */
/* Results of runs as JSON: result.h. */
#include "result.h"

#include <inttypes.h>
#include <string.h>

#include "../json.h"
#include "../trace_cmd.h"

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

void hunt_result_print(const struct hunt_result *r, const char *trace, FILE *out)
{
    fprintf(out, "{\"run\": %" PRIu64 ", \"seed\": \"0x%016" PRIx64 "\", \"machine_seed\": \"0x%016" PRIx64 "\"",
            r->run, r->seed, r->machine_seed);
    fprintf(out, ", \"end\": \"%s\", \"exit_code\": %u, \"status\": %u", machine_stop_name(r->why), r->exit_code,
            r->status);
    fprintf(out, ", \"panicked\": %s, \"overlong\": %s, \"failed\": %s", bool_text(r->panicked),
            bool_text(r->overlong), bool_text(r->failed));
    fprintf(out, ", \"icount\": %" PRIu64 ", \"vns\": %" PRIu64 ", \"digest\": \"%016" PRIx64 "\"", r->icount,
            r->vns, r->digest);
    if (r->failed) {
        fputs(", \"site\": ", out);
        json_string(out, r->site);
    }
    if (trace != NULL) {
        fputs(", \"trace\": ", out);
        json_string(out, trace);
    }
    putc('}', out);
}

static bool parse_end(const struct json *j, enum machine_stop *why)
{
    const char *name = json_text(j);

    for (unsigned i = 0; name != NULL && i < STOP_REASON_COUNT; i++)
        if (strcmp(name, machine_stop_name((enum machine_stop)i)) == 0) {
            *why = (enum machine_stop)i;
            return true;
        }
    return false;
}

static bool parse_u8(const struct json *j, uint8_t *out)
{
    uint64_t n;

    if (!json_u64(j, &n) || n > UINT8_MAX)
        return false;
    *out = (uint8_t)n;
    return true;
}

static bool parse_digest(const struct json *j, uint64_t *out)
{
    const char *text = json_text(j);
    int used = 0;

    return text != NULL && strlen(text) == 16 && sscanf(text, "%16" SCNx64 "%n", out, &used) == 1 && used == 16;
}

bool hunt_result_parse(struct hunt_result *r, const struct json *j)
{
    const char *site = json_text(json_get(j, "site"));

    *r = (struct hunt_result){
        .panicked = json_is_true(json_get(j, "panicked")),
        .overlong = json_is_true(json_get(j, "overlong")),
        .failed = json_is_true(json_get(j, "failed")),
    };
    snprintf(r->site, sizeof(r->site), "%s", site != NULL ? site : "");
    return json_u64(json_get(j, "run"), &r->run) && json_u64(json_get(j, "seed"), &r->seed) &&
           json_u64(json_get(j, "machine_seed"), &r->machine_seed) && parse_end(json_get(j, "end"), &r->why) &&
           parse_u8(json_get(j, "exit_code"), &r->exit_code) && parse_u8(json_get(j, "status"), &r->status) &&
           json_u64(json_get(j, "icount"), &r->icount) && json_u64(json_get(j, "vns"), &r->vns) &&
           parse_digest(json_get(j, "digest"), &r->digest) && r->failed == (site != NULL);
}

bool hunt_result_equal(const struct hunt_result *a, const struct hunt_result *b)
{
    return a->run == b->run && a->seed == b->seed && a->machine_seed == b->machine_seed && a->why == b->why &&
           a->exit_code == b->exit_code && a->status == b->status && a->panicked == b->panicked &&
           a->overlong == b->overlong && a->failed == b->failed && a->icount == b->icount && a->vns == b->vns &&
           a->digest == b->digest;
}
