/* SPDX-License-Identifier: MIT */
/* From one run to another, change by change: replay/transplant.h. */
#include <replay/transplant.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN_MAX 4000u /* inputs of each run that are aligned in full: the table is quadratic */

/* --- configurations --- */

static bool same_image(const struct machine_image *a, const struct machine_image *b)
{
    return a->len == b->len && (a->data == NULL) == (b->data == NULL) &&
           (a->data == NULL || memcmp(a->data, b->data, a->len) == 0);
}

static const char *cmdline_of(const struct machine_config *c)
{
    return c->cmdline != NULL ? c->cmdline : "";
}

static int add_change(struct transplant *t, struct change change)
{
    if (t->n == t->capacity) {
        size_t capacity = t->capacity == 0 ? 64 : 2 * t->capacity;
        struct change *changes = realloc(t->changes, capacity * sizeof(*changes));

        if (changes == NULL)
            return -1;
        t->changes = changes;
        t->capacity = capacity;
    }
    t->changes[t->n++] = change;
    return 0;
}

static const char *what_differs(const struct machine_config *a, const struct machine_config *b)
{
    if (!same_image(&a->kernel, &b->kernel))
        return "kernel";
    if (!same_image(&a->initrd, &b->initrd))
        return "initrd";
    if (!same_image(&a->bios, &b->bios) || !same_image(&a->vgabios, &b->vgabios) ||
        a->firmware != b->firmware)
        return "firmware";
    if (a->hpet != b->hpet || a->mouse != b->mouse)
        return "list of devices";
    if (a->ram_bytes != b->ram_bytes)
        return "memory size";
    if (a->ns_per_insn != b->ns_per_insn)
        return "-ns-per-insn";
    return a->boot32 != b->boot32 ? "-boot32" : NULL;
}

static int compare_configs(struct transplant *t, char *err, size_t errlen)
{
    const struct machine_config *a = t->base_config, *b = t->other_config;
    const char *what = what_differs(a, b);
    int rc = 0;

    if (what != NULL) {
        snprintf(err, errlen, "the two are runs of different machines: another %s", what);
        return -1;
    }
    if (a->seed != b->seed)
        rc |= add_change(t, (struct change){CHANGE_SEED, NO_EVENT, NO_EVENT});
    if (a->rtc_base != b->rtc_base)
        rc |= add_change(t, (struct change){CHANGE_RTC, NO_EVENT, NO_EVENT});
    if (strcmp(cmdline_of(a), cmdline_of(b)) != 0)
        rc |= add_change(t, (struct change){CHANGE_CMDLINE, NO_EVENT, NO_EVENT});
    if (rc != 0)
        snprintf(err, errlen, "out of memory");
    return rc;
}

/* --- aligning --- */

/* Which event of the other run each of the base's is: NO_EVENT for none. */
struct alignment {
    size_t *of_base;
    uint8_t *taken; /* of the other run */
};

static bool is_act(const struct script_event *e)
{
    return e->kind == INPUT_TIME;
}

/* Acts that are the same in all, and inputs too: both lists ascend by moment. */
static void align_same(const struct transplant *t, struct alignment *a)
{
    size_t j = 0;

    for (size_t i = 0; i < t->base->n; i++) {
        const struct script_event *e = &t->base->events[i];

        while (j < t->other->n && moment_before(t->other->events[j].at, e->at))
            j++;
        for (size_t k = j; k < t->other->n && moment_equal(t->other->events[k].at, e->at); k++)
            if (!a->taken[k] && script_same_event(e, &t->other->events[k])) {
                a->of_base[i] = k;
                a->taken[k] = 1;
                break;
            }
    }
}

/* Indices of inputs that have no partner yet, at most ALIGN_MAX. */
static size_t rest_of(const struct script *s, const size_t *partner, const uint8_t *taken, size_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n && n < ALIGN_MAX; i++)
        if (!is_act(&s->events[i]) && (partner != NULL ? partner[i] == NO_EVENT : !taken[i]))
            out[n++] = i;
    return n;
}

/* Longest common subsequence of what is left, by content. */
static int align_moved(const struct transplant *t, struct alignment *a)
{
    size_t *x = calloc(ALIGN_MAX, sizeof(*x)), *y = calloc(ALIGN_MAX, sizeof(*y));
    size_t nx = 0, ny = 0;
    uint16_t *table = NULL;

    if (x != NULL && y != NULL) {
        nx = rest_of(t->base, a->of_base, NULL, x);
        ny = rest_of(t->other, NULL, a->taken, y);
        table = calloc((nx + 1) * (ny + 1), sizeof(*table));
    }
    if (table == NULL) {
        free(x);
        free(y);
        return -1;
    }
#define LENGTH(i, j) table[(i) * (ny + 1) + (j)] /* of the rest from i and j on */
    for (size_t i = nx; i-- > 0;)
        for (size_t j = ny; j-- > 0;) {
            if (script_same_content(&t->base->events[x[i]], &t->other->events[y[j]]))
                LENGTH(i, j) = (uint16_t)(LENGTH(i + 1, j + 1) + 1);
            else
                LENGTH(i, j) = LENGTH(i + 1, j) > LENGTH(i, j + 1) ? LENGTH(i + 1, j) : LENGTH(i, j + 1);
        }
    for (size_t i = 0, j = 0; i < nx && j < ny;) {
        if (script_same_content(&t->base->events[x[i]], &t->other->events[y[j]])) {
            a->of_base[x[i++]] = y[j];
            a->taken[y[j++]] = 1;
        } else if (LENGTH(i + 1, j) >= LENGTH(i, j + 1)) {
            i++;
        } else {
            j++;
        }
    }
#undef LENGTH
    free(table);
    free(x);
    free(y);
    return 0;
}

/* --- changes of events --- */

static struct moment moment_of(const struct transplant *t, const struct change *c)
{
    if (c->kind != CHANGE_EVENT)
        return (struct moment){0};
    return c->added != NO_EVENT ? t->other->events[c->added].at : t->base->events[c->removed].at;
}

/* An event that both have has the rank of the other run's, which all events of that run are ordered by; one that
 * the base alone has comes right before the next that both have. */
static void rank_events(struct transplant *t, const size_t *partner)
{
    size_t next = t->other->n;

    for (size_t j = 0; j < t->other->n; j++)
        t->other_rank[j] = 2 * j + 1;
    for (size_t i = t->base->n; i-- > 0;) {
        if (partner[i] != NO_EVENT)
            next = partner[i];
        t->base_rank[i] = partner[i] != NO_EVENT ? 2 * partner[i] + 1 : 2 * next;
    }
}

/* By moment, stable: merges ever longer pieces. */
static void sort_changes(struct transplant *t, size_t from)
{
    size_t n = t->n - from;
    struct change *list = t->changes + from, *copy = malloc((n + 1) * sizeof(*copy));

    if (copy == NULL)
        return; /* their order is a matter of speed */
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t mid = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n;
            size_t a = at, b = mid;

            for (size_t k = at; k < end; k++) {
                bool second = a == mid || (b < end && moment_before(moment_of(t, &list[b]),
                                                                    moment_of(t, &list[a])));
                copy[k] = list[second ? b++ : a++];
            }
        }
        memcpy(list, copy, n * sizeof(*copy));
    }
    free(copy);
}

static int add_event_changes(struct transplant *t, const struct alignment *a)
{
    size_t from = t->n;
    int rc = 0;

    for (size_t i = 0; i < t->base->n; i++) {
        size_t j = a->of_base[i];

        if (j == NO_EVENT || !script_same_event(&t->base->events[i], &t->other->events[j]))
            rc |= add_change(t, (struct change){CHANGE_EVENT, i, j});
    }
    for (size_t j = 0; j < t->other->n; j++)
        if (!a->taken[j])
            rc |= add_change(t, (struct change){CHANGE_EVENT, NO_EVENT, j});
    sort_changes(t, from);
    return rc;
}

static int compare_events(struct transplant *t)
{
    struct alignment a = {.of_base = malloc((t->base->n + 1) * sizeof(size_t)),
                          .taken = calloc(t->other->n + 1, 1)};
    int rc = -1;

    if (a.of_base != NULL && a.taken != NULL) {
        for (size_t i = 0; i < t->base->n; i++)
            a.of_base[i] = NO_EVENT;
        align_same(t, &a);
        rc = align_moved(t, &a);
        rank_events(t, a.of_base);
        if (rc == 0)
            rc = add_event_changes(t, &a);
    }
    free(a.of_base);
    free(a.taken);
    return rc;
}

int transplant_init(struct transplant *t, const struct script *base, const struct machine_config *base_config,
                    const struct script *other, const struct machine_config *other_config, char *err,
                    size_t errlen)
{
    *t = (struct transplant){
        .base = base, .other = other, .base_config = base_config, .other_config = other_config};
    t->base_rank = calloc(base->n + 1, sizeof(*t->base_rank));
    t->other_rank = calloc(other->n + 1, sizeof(*t->other_rank));
    if (t->base_rank == NULL || t->other_rank == NULL) {
        snprintf(err, errlen, "out of memory");
        return -1;
    }
    if (compare_configs(t, err, errlen) != 0)
        return -1;
    if (compare_events(t) != 0) {
        snprintf(err, errlen, "out of memory");
        return -1;
    }
    return 0;
}

void transplant_fini(struct transplant *t)
{
    free(t->changes);
    free(t->base_rank);
    free(t->other_rank);
    *t = (struct transplant){.n = 0};
}

/* --- making them --- */

struct ranked {
    const struct script_event *event;
    uint64_t rank;
};

static int by_moment(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;

    if (!moment_equal(a->event->at, b->event->at))
        return moment_before(a->event->at, b->event->at) ? -1 : 1;
    if (a->event->vns != b->event->vns)
        return a->event->vns < b->event->vns ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static void apply_to_config(const struct transplant *t, const uint8_t *set, struct machine_config *config)
{
    *config = *t->base_config;
    config->perturb = (struct perturb_config){.seed = 0};
    for (size_t c = 0; c < t->n && t->changes[c].kind != CHANGE_EVENT; c++) {
        if (!set[c])
            continue;
        if (t->changes[c].kind == CHANGE_SEED)
            config->seed = t->other_config->seed;
        else if (t->changes[c].kind == CHANGE_RTC)
            config->rtc_base = t->other_config->rtc_base;
        else
            config->cmdline = t->other_config->cmdline;
    }
}

/* How many; `gone` marks the base's events that are removed. */
static size_t collect(const struct transplant *t, const uint8_t *set, uint8_t *gone, struct ranked *out)
{
    size_t n = 0;

    for (size_t c = 0; c < t->n; c++) {
        const struct change *change = &t->changes[c];

        if (!set[c] || change->kind != CHANGE_EVENT)
            continue;
        if (change->removed != NO_EVENT)
            gone[change->removed] = 1;
        if (change->added != NO_EVENT)
            out[n++] = (struct ranked){&t->other->events[change->added], t->other_rank[change->added]};
    }
    for (size_t i = 0; i < t->base->n; i++)
        if (!gone[i])
            out[n++] = (struct ranked){&t->base->events[i], t->base_rank[i]};
    return n;
}

int transplant_apply(const struct transplant *t, const uint8_t *set, struct script *out,
                     struct machine_config *config)
{
    struct ranked *events = calloc(t->base->n + t->other->n + 1, sizeof(*events));
    uint8_t *gone = calloc(t->base->n + 1, 1);
    size_t n;
    int rc = -1;

    apply_to_config(t, set, config);
    if (events != NULL && gone != NULL) {
        n = collect(t, set, gone, events);
        qsort(events, n, sizeof(*events), by_moment);
        rc = 0;
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = script_add(out, events[i].event);
    }
    free(events);
    free(gone);
    return rc;
}
