/* SPDX-License-Identifier: MIT */
/* How one run of a hunt went, in memory and as a JSON object. */
#ifndef CLI_HUNT_RESULT_H
#define CLI_HUNT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <emu/machine.h>

#include "site.h"

struct json;

struct hunt_result {
    uint64_t run;          /* 0: the unperturbed one */
    uint64_t seed;         /* of its perturbation; 0: none */
    uint64_t machine_seed;
    enum machine_stop why;
    uint8_t exit_code;     /* STOP_EXIT */
    uint8_t status;        /* what `deja run` would have exited with */
    bool panicked;
    bool overlong;         /* it was cut at the limit that the unperturbed run sets */
    bool failed;
    uint64_t icount, vns, digest;
    char site[SITE_BYTES]; /* "": not failed */
};

/* An object on one line without a line feed. `trace` NULL: no member of that name. */
void hunt_result_print(const struct hunt_result *r, const char *trace, FILE *out);
/* False: it is none of those that hunt_result_print() makes. */
bool hunt_result_parse(struct hunt_result *r, const struct json *j);

/* The same run: all but the site, which is made of it. */
bool hunt_result_equal(const struct hunt_result *a, const struct hunt_result *b);

#endif
