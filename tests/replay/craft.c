/* SPDX-License-Identifier: MIT */
/*
 * Makes recordings with known differences, for check_diff.py, and says by brute force where two differ.
 *
 *     craft record TRACE [options]     a run of the demo, or of --kernel FILE, with what is asked for on the way:
 *         --initrd FILE --append TEXT --seed N --ram MIB --until N --interval N
 *         --input ICOUNT:PORT:HEX      bytes on a serial line
 *         --write ICOUNT:GPA:HEX       a debugger's change to memory
 *         --register ICOUNT:NAME:HEX   ... to a register; bytes in little-endian order
 *         --noise N                    N inputs that no device takes, one every 10 instructions
 *     craft edit FROM TO KIND N [BY]   the same trace, but for its Nth event of a kind, from 0: a digest's bits are
 *                                      flipped, an interrupt is moved by BY instructions, the end loses its digest;
 *                                      an image is known by its hash only
 *     craft brute A B FROM UNTIL       steps two players from instruction FROM on and compares all of their state
 *                                      and RAM after each move: prints the first moment at which they differ, and at
 *                                      which bytes of RAM, or `same`
 *
 * brute shares nothing with the comparison that it checks but the player.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/cpu.h>
#include <emu/machine.h>
#include <emu/registers.h>
#include <emu/snapshot.h>
#include <replay/player.h>
#include <replay/recorder.h>
#include <traces/trace.h>

#define MAX_ACTS  64u
#define MAX_BYTES 64u

extern const unsigned char deja_demo_kernel[];
extern const size_t deja_demo_kernel_len;

struct act {
    char what; /* 'i'nput, 'w'rite, 'r'egister */
    uint64_t icount, where;
    uint8_t bytes[MAX_BYTES];
    size_t len;
};

static struct act acts[MAX_ACTS];
static size_t nacts, next_input;
static uint64_t noise, next_noise = 1; /* how many, and which is next, from 1 */

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("craft: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 0);

    if (*end != '\0' || end == text)
        die("%s is no number", text);
    return n;
}

/* --- recording --- */

static void parse_act(char what, char *text)
{
    struct act *act = &acts[nacts++];
    char *where = strchr(text, ':'), *hex = where == NULL ? NULL : strchr(where + 1, ':');

    if (hex == NULL || nacts == MAX_ACTS)
        die("%s is no ICOUNT:WHERE:HEX, or one too many", text);
    *where++ = *hex++ = '\0';
    act->what = what;
    act->icount = number(text);
    if (what == 'r' && cpu_register_find(where) < 0)
        die("there is no register %s", where);
    act->where = what == 'r' ? (uint64_t)cpu_register_find(where) : number(where);
    for (; hex[0] != '\0' && hex[1] != '\0' && act->len < MAX_BYTES; hex += 2)
        if (sscanf(hex, "%2hhx", &act->bytes[act->len++]) != 1)
            die("%s is no hexadecimal number", hex);
}

/* The next scripted input, or NULL. */
static const struct act *pending_input(void)
{
    while (next_input < nacts && acts[next_input].what != 'i')
        next_input++;
    return next_input < nacts ? &acts[next_input] : NULL;
}

static bool poll_script(void *opaque, struct machine *m, struct input *in)
{
    const struct act *act = pending_input();

    (void)opaque;
    if (next_noise <= noise && next_noise * 10 <= m->clock.icount) {
        *in = (struct input){.kind = INPUT_MEDIUM, .port = 9};
        next_noise++;
        return true;
    }
    if (act == NULL || act->icount > m->clock.icount)
        return false;
    *in = (struct input){
        .kind = INPUT_SERIAL, .port = (uint32_t)act->where, .data = act->bytes, .len = act->len};
    next_input++;
    return true;
}

static uint64_t script_horizon(void *opaque, uint64_t icount)
{
    const struct act *act = pending_input();
    uint64_t next = next_noise <= noise ? next_noise * 10 : UINT64_MAX;

    (void)opaque;
    if (act != NULL && act->icount < next)
        next = act->icount;
    return next > icount ? next : icount + 1;
}

static uint64_t never_wait(void *opaque, struct machine *m, uint64_t deadline_ns)
{
    (void)opaque, (void)m;
    return deadline_ns;
}

static void change(struct machine *m, const struct act *act)
{
    uint8_t value[CPU_REGISTER_MAX_BYTES] = {0};

    memcpy(value, act->bytes, act->len < sizeof(value) ? act->len : sizeof(value));
    if (act->what == 'w' ? machine_debug_write(m, act->where, act->bytes, act->len) != 0
                         : machine_debug_set_register(m, 0, (unsigned)act->where, value) != 0)
        die("the change at %" PRIu64 " was not taken", act->icount);
}

static enum machine_stop run(struct machine *m, struct recorder *r)
{
    for (size_t i = 0; i < nacts; i++) {
        enum machine_stop why;

        if (acts[i].what == 'i')
            continue;
        why = recorder_run_to(r, (struct moment){.icount = acts[i].icount});
        if (why != STOP_ICOUNT || m->clock.icount != acts[i].icount)
            die("the run ended before %" PRIu64, acts[i].icount);
        change(m, &acts[i]);
    }
    return recorder_run(r);
}

static void read_image(const char *path, struct machine_image *image)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes;
    long len;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0)
        die("cannot read %s", path);
    rewind(f);
    bytes = malloc((size_t)len + 1); /* the machine's for as long as the program runs */
    if (bytes == NULL || fread(bytes, 1, (size_t)len, f) != (size_t)len)
        die("cannot read %s", path);
    *image = (struct machine_image){.name = path, .data = bytes, .len = (size_t)len};
    fclose(f);
}

static int record(int argc, char **argv)
{
    struct machine_config config = {
        .struct_size = sizeof(config), .ram_bytes = 16u << 20, .seed = 1, .ns_per_insn = 1,
        .kernel = {.name = "demo", .data = deja_demo_kernel, .len = deja_demo_kernel_len}};
    struct recorder_options options = {.struct_size = sizeof(options), .digest_interval = 1 << 16};
    char err[256] = "";
    struct machine *m;
    struct recorder *r;
    int i;

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            config.seed = number(argv[i + 1]);
        else if (strcmp(argv[i], "--ram") == 0)
            config.ram_bytes = number(argv[i + 1]) << 20;
        else if (strcmp(argv[i], "--kernel") == 0)
            read_image(argv[i + 1], &config.kernel);
        else if (strcmp(argv[i], "--initrd") == 0)
            read_image(argv[i + 1], &config.initrd);
        else if (strcmp(argv[i], "--append") == 0)
            config.cmdline = argv[i + 1];
        else if (strcmp(argv[i], "--until") == 0)
            options.until_icount = number(argv[i + 1]);
        else if (strcmp(argv[i], "--interval") == 0)
            options.digest_interval = number(argv[i + 1]);
        else if (strcmp(argv[i], "--noise") == 0)
            noise = number(argv[i + 1]);
        else if (strcmp(argv[i], "--input") == 0 || strcmp(argv[i], "--write") == 0 ||
                 strcmp(argv[i], "--register") == 0)
            parse_act(argv[i][2], argv[i + 1]);
        else
            die("unknown option %s", argv[i]);
    }
    if (i != argc)
        die("%s takes a value", argv[argc - 1]);
    m = machine_create(&config, &pc_board, err, sizeof(err));
    r = m == NULL ? NULL : recorder_create(m, argv[0], &options, err, sizeof(err));
    if (r == NULL)
        die("%s", err);
    machine_set_source(m, &(struct input_source){
                              .poll = poll_script, .horizon = script_horizon, .wait = never_wait});
    if (recorder_finish(r, run(m, r), err, sizeof(err)) != 0)
        die("%s", err);
    printf("%" PRIu64 " instructions\n", m->clock.icount);
    recorder_destroy(r);
    machine_destroy(m);
    return 0;
}

/* --- editing --- */

static int write_event(struct trace_writer *w, const struct trace_event *ev)
{
    switch (ev->kind) {
    case TRACE_EVENT_INPUT:
        return trace_writer_input(w, ev->icount, ev->u.input.vns, ev->u.input.kind, ev->u.input.port,
                                  ev->u.input.data, ev->u.input.len);
    case TRACE_EVENT_INTERRUPT:
        return trace_writer_interrupt(w, ev->icount, ev->u.interrupt.vector, ev->u.interrupt.source);
    case TRACE_EVENT_DIGEST: return trace_writer_digest(w, ev->icount, ev->u.digest);
    case TRACE_EVENT_MARK: return trace_writer_mark(w, ev->icount, ev->u.mark.text);
    case TRACE_EVENT_END: return trace_writer_finish(w, &ev->u.end);
    }
    return TRACE_ERR_BUG;
}

static void edit_event(struct trace_event *ev, int64_t by)
{
    if (ev->kind == TRACE_EVENT_DIGEST)
        ev->u.digest ^= 0xff;
    else if (ev->kind == TRACE_EVENT_END)
        ev->u.end.digest = 0;
    else
        ev->icount += (uint64_t)by;
}

/* `without`: this image is not embedded. */
static struct trace_writer *create_like(struct trace_reader *r, const char *path, uint64_t without)
{
    struct trace_header header = *trace_reader_header(r);
    struct trace_image images[4];
    struct trace_error terr;
    struct trace_writer *w;
    size_t len;

    for (size_t i = 0; i < header.nimages; i++) {
        images[i] = header.images[i];
        if (i != without && trace_reader_image(r, i, &images[i].data, &len, &terr) < 0)
            die("%s", terr.text);
    }
    header.images = images;
    w = trace_writer_create(path, &header, NULL, &terr);
    if (w == NULL)
        die("%s", terr.text);
    return w;
}

static int edit(int argc, char **argv)
{
    struct trace_error terr;
    struct trace_reader *r = trace_reader_open(argv[0], &terr);
    struct trace_writer *w;
    struct trace_event ev;
    uint64_t n = number(argv[3]);
    bool done = strcmp(argv[2], "image") == 0;

    if (r == NULL)
        die("%s", terr.text);
    w = create_like(r, argv[1], done ? n : UINT64_MAX);
    while (trace_reader_next(r, &ev) > 0) {
        if (strcmp(trace_event_kind_name(ev.kind), argv[2]) == 0 && n-- == 0) {
            edit_event(&ev, argc > 4 ? (int64_t)strtoll(argv[4], NULL, 0) : 0);
            done = true;
        }
        if (write_event(w, &ev) != 0)
            die("the edited event cannot be written");
    }
    trace_writer_destroy(w);
    trace_reader_destroy(r);
    if (!done)
        die("there is no such event");
    return 0;
}

/* --- by brute force --- */

static struct player *player_at(const char *path, uint64_t icount)
{
    char err[512];
    struct player *p = player_open(path, &pc_board, err, sizeof(err));

    if (p == NULL)
        die("%s", err);
    if (icount > 0 && player_run(p, icount) != PLAYER_EXACT)
        die("%s does not replay to %" PRIu64, path, icount);
    return p;
}

/* What decides the future: parts only, neither marks nor counters. */
static bool same_state(const struct machine *a, const struct machine *b)
{
    bool same = memcmp(a->ram.host, b->ram.host, a->ram.bytes) == 0;

    for (unsigned i = 0; i < a->nparts && same; i++) {
        size_t size = state_saved_size(a->parts[i].desc);
        uint8_t *bytes = malloc(2 * size + 1);

        if (bytes == NULL)
            die("out of memory");
        state_save(a->parts[i].desc, a->parts[i].obj, bytes);
        state_save(b->parts[i].desc, b->parts[i].obj, bytes + size);
        same = memcmp(bytes, bytes + size, size) == 0;
        free(bytes);
    }
    return same;
}

static void print_ram(const struct machine *a, const struct machine *b)
{
    for (uint64_t i = 0; i < a->ram.bytes; i++)
        if (a->ram.host[i] != b->ram.host[i])
            printf(" %" PRIx64, i);
}

static int brute(char **argv)
{
    uint64_t from = number(argv[2]), until = number(argv[3]);
    struct player *p[2] = {player_at(argv[0], from), player_at(argv[1], from)};
    struct machine *a = player_machine(p[0]), *b = player_machine(p[1]);
    struct moment at = machine_moment(a);

    if (!same_state(a, b))
        die("they differ at %" PRIu64 " already", from);
    while (at.icount < until) {
        for (unsigned side = 0; side < 2; side++) {
            struct moment next = machine_moment(player_machine(p[side]));

            next.entries++;
            player_run_to(p[side], next);
        }
        at = machine_moment(a);
        if (moment_equal(at, machine_moment(b)) && same_state(a, b))
            continue;
        if (moment_before(machine_moment(b), at))
            at = machine_moment(b);
        printf("%" PRIu64 " %u", at.icount, at.entries);
        print_ram(a, b);
        putchar('\n');
        break;
    }
    if (at.icount >= until)
        puts("same");
    player_destroy(p[0]);
    player_destroy(p[1]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "record") == 0)
        return record(argc - 2, argv + 2);
    if (argc >= 6 && strcmp(argv[1], "edit") == 0)
        return edit(argc - 2, argv + 2);
    if (argc == 6 && strcmp(argv[1], "brute") == 0)
        return brute(argv + 2);
    die("craft record|edit|brute ...");
}
