/* SPDX-License-Identifier: MIT */
/*
 * What differs between the headers of two traces: config_diff.h.
 *
 * What a header says is flattened into a list of facts, a key and a text each; facts of equal keys are
 * compared. Which of them makes another machine, in which instructions of the two runs have nothing to do with
 * each other, is decided here.
 */
#include "config_diff.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <replay/describe.h>
#include <replay/trace_diff.h>

#define FACTS_MAX (4u * TRACE_LIST_MAX + 5u) /* seeds, items, two for each image, and the rest */

struct fact {
    char key[80];
    char *value;
    bool is_text;
};

struct facts {
    struct fact *list;
    size_t n;
    bool failed; /* out of memory */
};

/* --- a header as facts --- */

__attribute__((format(printf, 4, 5))) static void add(struct facts *f, const char *key, bool is_text,
                                                      const char *format, ...)
{
    struct fact *fact = &f->list[f->n];
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&fact->value, format, ap) < 0)
        f->failed = true;
    else
        f->n++;
    va_end(ap);
    snprintf(fact->key, sizeof(fact->key), "%s", key);
    fact->is_text = is_text;
}

static void add_bytes(struct facts *f, const char *key, const uint8_t *data, size_t len)
{
    char *text = malloc(4 * len + 8);

    if (text == NULL) {
        f->failed = true;
        return;
    }
    replay_describe_bytes(data, len, text, 4 * len + 8);
    add(f, key, false, "%s", text);
    free(text);
}

static void add_item(struct facts *f, const struct trace_config_item *item)
{
    switch (item->type) {
    case TRACE_CONFIG_UINT: add(f, item->key, false, "%" PRIu64, item->value.u); break;
    case TRACE_CONFIG_INT: add(f, item->key, false, "%" PRId64, item->value.i); break;
    case TRACE_CONFIG_STRING: add(f, item->key, true, "%s", item->value.s); break;
    case TRACE_CONFIG_BYTES:
        add_bytes(f, item->key, item->value.bytes.data, item->value.bytes.len);
        break;
    }
}

static void add_image(struct facts *f, const struct trace_image *image)
{
    char key[80];

    snprintf(key, sizeof(key), "image %.60s", image->role);
    add(f, key, false, "%" PRIu64 " bytes, %s", image->size, image->hash);
    snprintf(key, sizeof(key), "name of image %.60s", image->role);
    add(f, key, true, "%s", image->name);
}

static void add_header(struct facts *f, const struct trace_header *h)
{
    char key[32];

    add(f, "format", false, "%" PRIu32, h->version);
    add(f, "generator", true, "%s", h->generator);
    add(f, "cpu", true, "%s", h->cpu_model);
    add(f, "ns_per_insn", false, "%" PRIu64, h->ns_per_insn);
    add(f, "rtc_base", false, "%" PRId64, h->rtc_base);
    for (size_t i = 0; i < h->nseeds; i++) {
        snprintf(key, sizeof(key), i == 0 ? "seed" : "seed %zu", i + 1);
        add(f, key, false, "%" PRIu64, h->seeds[i]);
    }
    for (size_t i = 0; i < h->nconfig; i++)
        add_item(f, &h->config[i]);
    for (size_t i = 0; i < h->nimages; i++)
        add_image(f, &h->images[i]);
}

static void free_facts(struct facts *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->list[i].value);
    free(f->list);
}

/* --- comparing --- */

static bool is_one_of(const char *key, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(key, *list) == 0)
            return true;
    return false;
}

static enum config_effect effect_of(const char *key)
{
    static const char *const remarks[] = {"format", "generator", "digest_interval", NULL};
    static const char *const machine[] = {"cpu",          "board",      "ram_bytes", "boot32",
                                          "image kernel", "image bios", "image vgabios", "firmware",
                                          "hpet",         "mouse",      NULL};

    if (is_one_of(key, remarks) || strncmp(key, "name of image ", 14) == 0)
        return CONFIG_REMARK;
    return is_one_of(key, machine) ? CONFIG_MACHINE : CONFIG_RUN;
}

static struct fact *find(const struct facts *f, const char *key)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->list[i].key, key) == 0)
            return &f->list[i];
    return NULL;
}

/* Takes the texts over. Either may be NULL. */
static void report(struct trace_diff *out, struct fact *a, struct fact *b)
{
    struct config_difference *d = &out->config[out->nconfig++];
    struct fact *fact[2] = {a, b};

    for (unsigned side = 0; side < 2; side++) {
        d->value[side] = NULL;
        if (fact[side] == NULL)
            continue;
        snprintf(d->key, sizeof(d->key), "%s", fact[side]->key);
        d->value[side] = fact[side]->value;
        d->is_text[side] = fact[side]->is_text;
        fact[side]->value = NULL;
    }
    d->effect = effect_of(d->key);
    out->other_run |= d->effect != CONFIG_REMARK;
    out->other_machine |= d->effect == CONFIG_MACHINE;
}

static void compare(struct trace_diff *out, struct facts *a, struct facts *b)
{
    for (size_t i = 0; i < a->n; i++) {
        struct fact *other = find(b, a->list[i].key);

        if (other == NULL || strcmp(a->list[i].value, other->value) != 0)
            report(out, &a->list[i], other);
    }
    for (size_t i = 0; i < b->n; i++)
        if (b->list[i].value != NULL && find(a, b->list[i].key) == NULL)
            report(out, NULL, &b->list[i]);
}

int config_diff(struct trace_diff *out, const struct trace_header *a, const struct trace_header *b)
{
    struct facts facts[2] = {{.list = calloc(FACTS_MAX, sizeof(struct fact))},
                             {.list = calloc(FACTS_MAX, sizeof(struct fact))}};
    int rc = -1;

    out->config = calloc(2 * FACTS_MAX, sizeof(*out->config));
    if (out->config != NULL && facts[0].list != NULL && facts[1].list != NULL) {
        add_header(&facts[0], a);
        add_header(&facts[1], b);
        if (!facts[0].failed && !facts[1].failed) {
            compare(out, &facts[0], &facts[1]);
            rc = 0;
        }
    }
    free_facts(&facts[0]);
    free_facts(&facts[1]);
    return rc;
}
