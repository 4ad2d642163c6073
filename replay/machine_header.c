/* SPDX-License-Identifier: MIT */
/*
 * A machine's configuration as a trace's header says it: machine_header.h lists the keys.
 *
 * Text that a guest can see must come back byte for byte, and CBOR's text is UTF-8 only: whatever
 * is not plain ASCII is kept as bytes.
 */
#include "machine_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATOR "deja " DEJA_VERSION
#define CPU_MODEL "deja x86-64-v2" /* the one model: emu/cpu/cpuid.c */

/* --- machine to header --- */

static bool is_ascii(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

static void add_item(struct machine_header *h, struct trace_config_item item)
{
    h->items[h->header.nconfig++] = item;
}

static void add_uint(struct machine_header *h, const char *key, uint64_t value)
{
    add_item(h,
             (struct trace_config_item){.key = key, .type = TRACE_CONFIG_UINT, .value.u = value});
}

/* Only what differs from a plain machine: older versions can read the others' traces. */
static void add_perturbation(struct machine_header *h, const struct perturb_config *p)
{
    if (p->seed == 0)
        return;
    add_uint(h, "perturb_seed", p->seed);
    add_uint(h, "perturb_from", p->from_icount);
    add_uint(h, "perturb_kinds", p->kinds);
    add_uint(h, "perturb_mean", p->mean_icount);
}

static void add_text(struct machine_header *h, const char *key, const char *text)
{
    struct trace_config_item item = {.key = key, .type = TRACE_CONFIG_STRING, .value.s = text};

    if (!is_ascii(text)) {
        item.type = TRACE_CONFIG_BYTES;
        item.value.bytes.data = (const uint8_t *)text;
        item.value.bytes.len = strlen(text);
    }
    add_item(h, item);
}

static const char *image_name(const struct machine_image *image)
{
    return image->name != NULL ? image->name : "";
}

static void add_image(struct machine_header *h, const char *role, const struct machine_image *image)
{
    if (image->data == NULL)
        return;
    h->images[h->header.nimages++] = (struct trace_image){
        .role = role, .name = image_name(image), .size = image->len, .data = image->data};
}

void machine_header_init(struct machine_header *h, const struct machine *m,
                         uint64_t digest_interval)
{
    const struct machine_config *config = &m->config;

    *h = (struct machine_header){.header = {
                                     .struct_size = sizeof(struct trace_header),
                                     .generator = GENERATOR,
                                     .cpu_model = CPU_MODEL,
                                     .ns_per_insn = config->ns_per_insn,
                                     .rtc_base = config->rtc_base,
                                     .seeds = &config->seed,
                                     .nseeds = 1,
                                 }};
    h->header.config = h->items;
    h->header.images = h->images;
    add_text(h, "board", m->board_type->name);
    add_uint(h, "ram_bytes", config->ram_bytes);
    add_uint(h, "boot32", config->boot32);
    /* Only what is there: older versions can read the traces of other machines. */
    if (config->firmware)
        add_uint(h, "firmware", config->firmware);
    if (config->hpet)
        add_uint(h, "hpet", config->hpet);
    if (config->mouse)
        add_uint(h, "mouse", config->mouse);
    if (config->cmdline != NULL)
        add_text(h, "cmdline", config->cmdline);
    if (config->initrd.data != NULL && !is_ascii(image_name(&config->initrd)))
        add_text(h, "initrd_name", config->initrd.name);
    add_perturbation(h, &config->perturb);
    add_uint(h, "digest_interval", digest_interval);
    add_image(h, "kernel", &config->kernel);
    add_image(h, "initrd", &config->initrd);
    add_image(h, "bios", &config->bios);
    add_image(h, "vgabios", &config->vgabios);
}

/* --- header to machine --- */

static const char *const known_keys[] = {
    "board", "ram_bytes", "boot32", "cmdline", "initrd_name", "digest_interval",
    "perturb_seed", "perturb_from", "perturb_kinds", "perturb_mean", "firmware",
    "hpet", "mouse",
};

static int check_keys(const struct trace_header *header, char *err, size_t errlen)
{
    for (size_t i = 0; i < header->nconfig; i++) {
        bool known = false;

        for (size_t k = 0; k < sizeof(known_keys) / sizeof(known_keys[0]); k++)
            known |= strcmp(header->config[i].key, known_keys[k]) == 0;
        if (!known) {
            snprintf(err, errlen, "its machine has \"%.64s\", which this deja (%s) does not know",
                     header->config[i].key, DEJA_VERSION);
            return -1;
        }
    }
    return 0;
}

static int check_machine(const struct trace_header *header, const struct machine_board *board,
                         char *err, size_t errlen)
{
    const char *name = trace_header_string(header, "board", "");

    if (strcmp(name, board->name) != 0) {
        snprintf(err, errlen, "its machine has the board \"%.64s\", this deja has \"%s\"", name,
                 board->name);
        return -1;
    }
    if (strcmp(header->cpu_model, CPU_MODEL) != 0) {
        snprintf(err, errlen, "its machine has the CPU \"%.64s\", this deja has \"%s\"",
                 header->cpu_model, CPU_MODEL);
        return -1;
    }
    if (header->nseeds != 1) {
        snprintf(err, errlen, "its header has %zu seeds instead of one", header->nseeds);
        return -1;
    }
    return check_keys(header, err, errlen);
}

static int get_perturbation(const struct trace_header *header, struct perturb_config *out, char *err,
                            size_t errlen)
{
    uint64_t kinds = trace_header_uint(header, "perturb_kinds", 0);

    *out = (struct perturb_config){
        .seed = trace_header_uint(header, "perturb_seed", 0),
        .from_icount = trace_header_uint(header, "perturb_from", 0),
        .kinds = (uint32_t)kinds,
        .mean_icount = trace_header_uint(header, "perturb_mean", 0),
    };
    if (kinds <= PERTURB_ALL && out->mean_icount <= PERTURB_MAX_MEAN)
        return 0;
    snprintf(err, errlen, "its machine's timing is perturbed in ways that this deja (%s) does not know",
             DEJA_VERSION);
    return -1;
}

/* Text under `key` as a new string; *out stays NULL when there is none. */
static int get_text(const struct trace_header *header, const char *key, char **out, char *err,
                    size_t errlen)
{
    const struct trace_config_item *item = trace_header_find(header, key);

    if (item == NULL)
        return 0;
    if (item->type == TRACE_CONFIG_STRING)
        *out = strdup(item->value.s);
    else if (item->type == TRACE_CONFIG_BYTES)
        *out = strndup((const char *)item->value.bytes.data, item->value.bytes.len);
    else {
        snprintf(err, errlen, "\"%s\" in its header is no text", key);
        return -1;
    }
    if (*out == NULL)
        snprintf(err, errlen, "out of memory");
    return *out == NULL ? -1 : 0;
}

static struct machine_image *image_of_role(struct machine_config *config, const char *role)
{
    if (strcmp(role, "kernel") == 0)
        return &config->kernel;
    if (strcmp(role, "initrd") == 0)
        return &config->initrd;
    if (strcmp(role, "bios") == 0)
        return &config->bios;
    if (strcmp(role, "vgabios") == 0)
        return &config->vgabios;
    return NULL;
}

static int get_images(struct restored_config *out, struct trace_reader *reader, char *err,
                      size_t errlen)
{
    static const uint8_t nothing[1];
    const struct trace_header *header = trace_reader_header(reader);

    for (size_t i = 0; i < header->nimages; i++) {
        const struct trace_image *in = &header->images[i];
        struct machine_image *image = image_of_role(&out->config, in->role);
        struct trace_error terr;

        if (image == NULL || image->data != NULL) {
            snprintf(err, errlen,
                     "its machine has %s image \"%.64s\", which this deja cannot place",
                     image == NULL ? "an" : "a second", in->role);
            return -1;
        }
        if (trace_reader_image(reader, i, &image->data, &image->len, &terr) < 0) {
            snprintf(err, errlen, "%s", terr.text);
            return -1;
        }
        image->name = in->name;
        if (image->data == NULL)
            image->data = nothing; /* empty, but there */
    }
    if (out->initrd_name != NULL)
        out->config.initrd.name = out->initrd_name;
    return 0;
}

int restored_config_init(struct restored_config *out, struct trace_reader *reader,
                         const struct machine_board *board, char *err, size_t errlen)
{
    const struct trace_header *header = trace_reader_header(reader);

    *out = (struct restored_config){.config = {
                                        .struct_size = sizeof(struct machine_config),
                                        .ram_bytes = trace_header_uint(header, "ram_bytes", 0),
                                        .rtc_base = header->rtc_base,
                                        .ns_per_insn = header->ns_per_insn,
                                        .boot32 = trace_header_uint(header, "boot32", 0) != 0,
                                        .firmware = trace_header_uint(header, "firmware", 0) != 0,
                                        .hpet = trace_header_uint(header, "hpet", 0) != 0,
                                        .mouse = trace_header_uint(header, "mouse", 0) != 0,
                                    }};
    if (check_machine(header, board, err, errlen) != 0 ||
        get_text(header, "cmdline", &out->cmdline, err, errlen) != 0 ||
        get_text(header, "initrd_name", &out->initrd_name, err, errlen) != 0 ||
        get_images(out, reader, err, errlen) != 0 ||
        get_perturbation(header, &out->config.perturb, err, errlen) != 0)
        return -1;
    out->config.seed = header->seeds[0];
    out->config.cmdline = out->cmdline;
    return 0;
}

void restored_config_fini(struct restored_config *config)
{
    free(config->cmdline);
    free(config->initrd_name);
    *config = (struct restored_config){.cmdline = NULL};
}
