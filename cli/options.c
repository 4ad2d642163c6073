/* SPDX-License-Identifier: MIT */
/*
 * The machine on the command line: see options.h.
 *
 * One table row an option. An option that says something about the machine is given once; saying it
 * twice is refused rather than letting one of the two win in silence. Options of QEMU that change
 * nothing here are taken, those that would change the machine are refused with the reason.
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "files.h"
#include "option_values.h"

/* cli/demo: the guest that runs when no image is given. */
extern const unsigned char deja_demo_kernel[];
extern const size_t deja_demo_kernel_len;

#define MIB             (1ULL << 20)
#define DEFAULT_RAM     (256 * MIB)
#define MAX_IMAGE       ((size_t)1 << 30) /* what a trace can embed */
#define MAX_FIRMWARE    ((size_t)16 << 20)
#define MAX_OPTION_ROM  ((size_t)128 << 10)
#define VGABIOS_NAME    "vgabios-isavga.bin"
#define MAX_NS_PER_INSN 1000000u

struct parser {
    struct run_options *o;
    enum options_for what;
    const char *kernel, *initrd, *bios, *vgabios, *append; /* as given, NULL: not */
    unsigned serials;
    bool rtc_given;
    bool no_vgabios;
    uint64_t seen; /* by place in the table */
};

struct option {
    const char *name;
    const char *value; /* what it takes, for the help; NULL: nothing */
    int (*set)(struct parser *p, const char *value);
    unsigned flags;
    const char *help; /* NULL: taken, and not worth a line */
};
#define MANY        1u /* may be repeated */
#define RECORD_ONLY 2u
#define LIVE_ONLY   4u /* somebody sits at the console */

/* --- the machine --- */

static int set_memory(struct parser *p, const char *value)
{
    uint64_t bytes;

    if (strncmp(value, "size=", 5) == 0)
        value += 5;
    if (!value_size(value, &bytes) || bytes < MIB || bytes > MACHINE_MAX_RAM || bytes % MIB != 0) {
        cli_error("-m %s: want a multiple of 1 MiB from 1M to %lluG, such as 512M or 2G", value,
                  (unsigned long long)(MACHINE_MAX_RAM >> 30));
        return EXIT_USAGE;
    }
    p->o->config.ram_bytes = bytes;
    return 0;
}

static int set_kernel(struct parser *p, const char *value)
{
    p->kernel = value;
    return 0;
}

static int set_initrd(struct parser *p, const char *value)
{
    p->initrd = value;
    return 0;
}

static int set_bios(struct parser *p, const char *value)
{
    p->bios = value;
    return 0;
}

static int set_vgabios(struct parser *p, const char *value)
{
    p->vgabios = value;
    return 0;
}

/* The text screen is there in any case; without its firmware, a BIOS shows nothing on it. */
static int set_vga(struct parser *p, const char *value)
{
    p->no_vgabios = strcmp(value, "none") == 0;
    if (p->no_vgabios || strcmp(value, "std") == 0)
        return 0;
    cli_error("-vga %s: want std, a text screen, or none", value);
    return EXIT_USAGE;
}

static int set_append(struct parser *p, const char *value)
{
    p->append = value;
    return 0;
}

static int set_boot32(struct parser *p, const char *value)
{
    (void)value;
    p->o->config.boot32 = 1;
    return 0;
}

static int set_seed(struct parser *p, const char *value)
{
    if (!value_u64(value, &p->o->config.seed)) {
        cli_error("--seed %s: want a number from 0 to 2^64-1, decimal or 0x...", value);
        return EXIT_USAGE;
    }
    p->o->seed_given = true;
    return 0;
}

static int set_perturb(struct parser *p, const char *value)
{
    const struct perturb_config *c = &p->o->config.perturb;

    if (value_perturb(value, &p->o->config.perturb) && (c->seed != 0) == (p->what != FOR_HUNT))
        return 0;
    if (p->what == FOR_HUNT) {
        cli_error("-perturb %s: want kinds=skip+timer+hold+late, mean=N or from=N; a hunt draws the seeds", value);
        return EXIT_USAGE;
    }
    cli_error("-perturb %s: want seed=N (from 1 to 2^64-1) and, if need be, kinds=skip+timer+hold+late, mean=N, "
              "from=N",
              value);
    return EXIT_USAGE;
}

static int set_rtc(struct parser *p, const char *value)
{
    if (!value_rtc(value, &p->o->config.rtc_base, &p->rtc_given)) {
        cli_error("-rtc %s: want base=utc, or base=DATE such as 2026-01-31 or 2026-01-31T12:00:00",
                  value);
        return EXIT_USAGE;
    }
    return 0;
}

static int set_gdb(struct parser *p, const char *value)
{
    p->o->gdb = value;
    return 0;
}

static int set_gdb_default(struct parser *p, const char *value)
{
    (void)value;
    p->o->gdb = OPTIONS_GDB_DEFAULT;
    return 0;
}

static int set_stopped(struct parser *p, const char *value)
{
    (void)value;
    p->o->stopped = true;
    return 0;
}

static int set_ns_per_insn(struct parser *p, const char *value)
{
    uint64_t ns;

    if (!value_u64(value, &ns) || ns < 1 || ns > MAX_NS_PER_INSN) {
        cli_error("--ns-per-insn %s: want a number from 1 to %u", value, MAX_NS_PER_INSN);
        return EXIT_USAGE;
    }
    p->o->config.ns_per_insn = ns;
    return 0;
}

static int set_engine(struct parser *p, const char *value)
{
    (void)p;
    if (strcmp(value, "interpreter") == 0)
        return 0;
    cli_error("--engine=%s: this version has one engine, 'interpreter'", value);
    return EXIT_USAGE;
}

/* "1", or QEMU's longer form with every number 1. */
static int set_smp(struct parser *p, const char *value)
{
    (void)p;
    if (value_all_ones(value))
        return 0;
    cli_error("-smp %s: machines have one CPU in this version", value);
    return EXIT_USAGE;
}

static int set_machine(struct parser *p, const char *value)
{
    bool hpet;

    if (value_is_pc(value, &hpet)) {
        p->o->config.hpet = hpet;
        return 0;
    }
    cli_error("-machine %s: there is one machine, 'pc' (440FX and PIIX), and one way to run it, "
              "accel=tcg",
              value);
    return EXIT_USAGE;
}

static int set_accel(struct parser *p, const char *value)
{
    (void)p;
    if (strcmp(value, "tcg") == 0)
        return 0;
    cli_error("-accel %s: guests are emulated; leave it out", value);
    return EXIT_USAGE;
}

static int set_cpu(struct parser *p, const char *value)
{
    (void)p;
    if (strcmp(value, "x86-64-v2") == 0)
        return 0;
    cli_error("-cpu %s: there is one CPU model, x86-64-v2, the same on every host", value);
    return EXIT_USAGE;
}

static int set_device(struct parser *p, const char *value)
{
    if (strcmp(value, "ps2-mouse") == 0) {
        p->o->config.mouse = 1;
        return 0;
    }
    if (value_is_present_device(value))
        return 0;
    cli_error(
        "-device %s: not in this version; there is ps2-mouse, and always isa-debug-exit,iobase=0xf4,"
        "iosize=4 and pvpanic",
        value);
    return EXIT_USAGE;
}

/* --- its surroundings --- */

static int set_serial(struct parser *p, const char *value)
{
    struct serial_spec *spec;

    if (p->serials == MACHINE_MAX_SERIAL) {
        cli_error("-serial %s: the machine has %d serial ports", value, MACHINE_MAX_SERIAL);
        return EXIT_USAGE;
    }
    spec = &p->o->serial[p->serials++];
    if (value_serial(value, spec))
        return 0;
    cli_error("-serial %s: want stdio, null, pty, file:FILE or unix:PATH[,server[,nowait]]", value);
    return EXIT_USAGE;
}

static int set_debugcon(struct parser *p, const char *value)
{
    struct serial_spec *spec = &p->o->debugcon;

    if (value_serial(value, spec) && spec->kind != SERIAL_PTY && spec->kind != SERIAL_UNIX)
        return 0;
    cli_error("-debugcon %s: want stdio, null or file:FILE", value);
    return EXIT_USAGE;
}

static int set_no_reboot(struct parser *p, const char *value)
{
    (void)value;
    p->o->no_reboot = true;
    return 0;
}

static int set_action(struct parser *p, const char *value)
{
    if (value_action(value, &p->o->ignore_panic, &p->o->no_reboot))
        return 0;
    cli_error("-action %s: want panic=shutdown, panic=none, reboot=reset or reboot=shutdown",
              value);
    return EXIT_USAGE;
}

static int set_sandbox(struct parser *p, const char *value)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        cli_error("-sandbox %s: want on or off", value);
        return EXIT_USAGE;
    }
    p->o->no_sandbox = value[1] == 'f';
    return 0;
}

static int set_stats(struct parser *p, const char *value)
{
    (void)value;
    p->o->stats = true;
    return 0;
}

static int set_output(struct parser *p, const char *value)
{
    if (p->o->trace_path != NULL) {
        cli_error("-o %s: the trace has a name already, '%s'", value, p->o->trace_path);
        return EXIT_USAGE;
    }
    p->o->trace_path = value;
    return 0;
}

static int set_sync(struct parser *p, const char *value)
{
    (void)value;
    p->o->sync = true;
    return 0;
}

/* --- options of QEMU that change nothing --- */

static int accept(struct parser *p, const char *value)
{
    (void)p, (void)value;
    return 0;
}

static int accept_none(struct parser *p, const char *value)
{
    (void)p;
    if (strcmp(value, "none") == 0)
        return 0;
    cli_error("'%s' is not in this version: give 'none', or leave the option out", value);
    return EXIT_USAGE;
}

static const struct option options[] = {
    {"m", "SIZE", set_memory, 0, "memory, with suffix K, M or G; plain numbers are MiB [256M]"},
    {"kernel", "FILE", set_kernel, 0, "a Linux bzImage or a Multiboot kernel [the demo]"},
    {"initrd", "FILE", set_initrd, 0, "its initial RAM disk, or Multiboot module"},
    {"append", "TEXT", set_append, 0, "its command line"},
    {"bios", "FILE", set_bios, 0, "firmware, in which the machine starts; it starts the kernel"},
    {"vgabios", "FILE", set_vgabios, 0,
     "firmware of the text screen, for -bios [" VGABIOS_NAME "\n"
     "                        beside the firmware, if it is there]"},
    {"vga", "std|none", set_vga, 0, "none: no firmware for the text screen [std]"},
    {"boot32", NULL, set_boot32, 0, "enter a bzImage by its 32-bit entry"},
    {"serial", "WHERE", set_serial, MANY | LIVE_ONLY,
     "stdio, null, pty, file:FILE or unix:PATH[,server[,nowait]];\n"
     "                        twice for COM2 [stdio, null]"},
    {"debugcon", "WHERE", set_debugcon, LIVE_ONLY, "ports E9h and 402h: stdio, null or file:FILE [null]"},
    {"rtc", "base=TIME", set_rtc, 0, "utc, or a date: 2026-01-31T12:00:00 [utc; with -seed 2026-01-01]"},
    {"seed", "N", set_seed, 0, "the machine's entropy [from the host's]"},
    {"perturb", "seed=N[,...]", set_perturb, 0,
     "other timing, by this seed; kinds=skip+timer+hold+late,\n"
     "                        mean=N and from=N (instructions) narrow it down [none]"},
    {"ns-per-insn", "N", set_ns_per_insn, 0, "virtual nanoseconds an instruction takes [1]"},
    {"engine", "NAME", set_engine, 0, "interpreter"},
    {"no-reboot", NULL, set_no_reboot, 0, "a reset ends the run"},
    {"action", "WHAT", set_action, MANY,
     "panic=shutdown|none, reboot=reset|shutdown: what ends the run"},
    {"smp", "1", set_smp, 0, "one CPU"},
    {"machine", "pc[,hpet=on]", set_machine, 0, "the PC with 440FX and PIIX; with a HPET"},
    {"cpu", "x86-64-v2", set_cpu, 0, "the CPU model"},
    {"device", "DEVICE", set_device, MANY, "ps2-mouse; isa-debug-exit, pvpanic: always there"},
    {"gdb", "WHERE", set_gdb, LIVE_ONLY, "serve gdb: tcp:[HOST:]PORT, unix:PATH or stdio"},
    {"s", NULL, set_gdb_default, LIVE_ONLY, "the same as -gdb " OPTIONS_GDB_DEFAULT},
    {"S", NULL, set_stopped, LIVE_ONLY, "wait for gdb before the first instruction"},
    {"sandbox", "on|off", set_sandbox, 0, "system call filter around the running guest [on]"},
    {"stats", NULL, set_stats, 0, "counters at the end, on standard error"},
    {"o", "FILE", set_output, RECORD_ONLY, "the trace to write (also --output)"},
    {"output", "FILE", set_output, RECORD_ONLY, NULL},
    {"sync", NULL, set_sync, RECORD_ONLY, "have the trace on the disk at each flush"},
    {"M", "pc", set_machine, 0, NULL},
    {"accel", "tcg", set_accel, MANY, NULL},
    {"nographic", NULL, accept, MANY, NULL},
    {"nodefaults", NULL, accept, MANY, NULL},
    {"no-user-config", NULL, accept, MANY, NULL},
    {"no-hpet", NULL, accept, MANY, NULL},
    {"name", "TEXT", accept, MANY, NULL},
    {"display", "none", accept_none, MANY, NULL},
    {"monitor", "none", accept_none, MANY, NULL},
    {"parallel", "none", accept_none, MANY, NULL},
    {"net", "none", accept_none, MANY, NULL},
    {"nic", "none", accept_none, MANY, NULL},
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))
_Static_assert(NOPTIONS <= 64, "parser.seen has a bit for each");

/* What people will try, and why it is not there. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"drive", "disks are not in this version; put files into an initrd"},
    {"hda", "disks are not in this version; put files into an initrd"},
    {"cdrom", "CD-ROMs are not in this version; put files into an initrd"},
    {"fda", "floppy disks are not in this version"},
    {"blockdev", "disks are not in this version; put files into an initrd"},
    {"netdev", "network cards are not in this version"},
    {"enable-kvm", "guests are emulated; leave it out"},
    {"chardev", "name the place directly: -serial unix:PATH, -serial file:FILE"},
    {"icount", "the machine always counts instructions: see --ns-per-insn"},
    {"snapshot", "disks are not in this version"},
    {"virtfs", "shared folders are not in this version"},
    {"vnc", "there is no graphical display"},
    {"daemonize", "run it in the background by the shell's means"},
};

/* --- parsing --- */

static const struct option *find_option(const char *name, size_t len)
{
    for (size_t i = 0; i < NOPTIONS; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static const char *command_name(enum options_for what)
{
    return what == FOR_RECORD ? "record" : what == FOR_HUNT ? "hunt" : "run";
}

static int unknown(const struct parser *p, const char *arg, const char *name, size_t len)
{
    if (arg[0] != '-') {
        cli_error("'%s' is not an option: kernels are given with -kernel FILE", arg);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (strlen(refused[i].name) == len && memcmp(refused[i].name, name, len) == 0) {
            cli_error("-%s: %s", refused[i].name, refused[i].why);
            return EXIT_USAGE;
        }
    cli_error("unknown option '%s': 'deja help %s' lists those there are", arg,
              command_name(p->what));
    return EXIT_USAGE;
}

static int check_use(struct parser *p, const struct option *opt, const char *arg)
{
    uint64_t bit = 1ULL << (opt - options);

    if ((opt->flags & RECORD_ONLY) && p->what != FOR_RECORD) {
        cli_error("%s is for 'deja record', not for 'deja %s'", arg, command_name(p->what));
        return EXIT_USAGE;
    }
    if ((opt->flags & LIVE_ONLY) && p->what == FOR_HUNT) {
        cli_error("%s: nobody sits at the guests of a hunt; --stdin FILE is what they get to read on COM1", arg);
        return EXIT_USAGE;
    }
    if ((p->seen & bit) && !(opt->flags & MANY)) {
        cli_error("%s is given twice", arg);
        return EXIT_USAGE;
    }
    p->seen |= bit;
    return 0;
}

/* The option at argv[*i], its value in the same or the next argument. */
static int parse_one(struct parser *p, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *name = arg, *value = NULL;
    const struct option *opt;
    size_t len;
    int status;

    name += name[0] == '-';
    name += name[0] == '-' && name > arg;
    len = strcspn(name, "=");
    opt = arg[0] == '-' ? find_option(name, len) : NULL;
    if (opt == NULL)
        return unknown(p, arg, name, len);
    status = check_use(p, opt, arg);
    if (status != 0)
        return status;
    if (name[len] == '=')
        value = name + len + 1;
    if (opt->value == NULL && value != NULL) {
        cli_error("%s: the option takes no value", arg);
        return EXIT_USAGE;
    }
    if (opt->value != NULL && value == NULL) {
        if (*i + 1 == argc) {
            cli_error("%s needs a value: %s", arg, opt->value);
            return EXIT_USAGE;
        }
        value = argv[++*i];
    }
    return opt->set(p, value);
}

/* --- what the options mean together --- */

static int check_together(const struct parser *p)
{
    const struct run_options *o = p->o;

    if (p->what == FOR_RECORD && o->trace_path == NULL) {
        cli_error("record needs -o FILE, the trace to write");
        return EXIT_USAGE;
    }
    if (p->what == FOR_RECORD && o->trace_path[0] == '\0') {
        cli_error("-o needs the name of a file, not ''");
        return EXIT_USAGE;
    }
    if (p->kernel == NULL && (p->initrd || o->config.boot32)) {
        cli_error("%s says something to a kernel: give one with -kernel FILE",
                  p->initrd ? "-initrd" : "--boot32");
        return EXIT_USAGE;
    }
    if (p->vgabios != NULL && (p->bios == NULL || p->no_vgabios)) {
        cli_error("-vgabios is run by firmware%s", p->bios == NULL ? ": give one with -bios FILE"
                                                                   : ", and -vga none hides it");
        return EXIT_USAGE;
    }
    if (p->bios != NULL && p->kernel == NULL && p->append != NULL) {
        cli_error("-append says something to a kernel, and -bios starts firmware: give -kernel FILE");
        return EXIT_USAGE;
    }
    if (p->bios != NULL && o->config.boot32) {
        cli_error("--boot32: firmware enters a kernel by its real-mode entry");
        return EXIT_USAGE;
    }
    if (o->stopped && o->gdb == NULL) {
        cli_error("-S waits for a debugger: say where it comes with -gdb WHERE or -s");
        return EXIT_USAGE;
    }
    if (o->gdb != NULL && strcmp(o->gdb, "stdio") == 0 &&
        (o->serial[0].kind == SERIAL_STDIO || o->serial[1].kind == SERIAL_STDIO)) {
        cli_error("-gdb stdio: standard input is the serial line's: add -serial null or another place");
        return EXIT_USAGE;
    }
    if (o->serial[0].kind == SERIAL_STDIO && o->serial[1].kind == SERIAL_STDIO) {
        cli_error("-serial stdio is given twice: COM2 wants another place");
        return EXIT_USAGE;
    }
    return 0;
}

static int load_image(const char *option, const char *path, size_t max, uint8_t **data,
                      struct machine_image *image)
{
    int status;

    if (path == NULL)
        return 0;
    status = file_load(option, path, max, data, &image->len);
    image->name = path;
    image->data = *data;
    return status;
}

/* The VGA BIOS: what was given, or the file of the usual name beside the firmware, if there is one. */
static int load_vgabios(struct parser *p)
{
    struct run_options *o = p->o;
    const char *slash;

    if (p->bios == NULL || p->no_vgabios)
        return 0;
    if (p->vgabios != NULL)
        return load_image("-vgabios", p->vgabios, MAX_OPTION_ROM, &o->vgabios_data, &o->config.vgabios);
    slash = strrchr(p->bios, '/');
    if (asprintf(&o->vgabios_path, "%.*s" VGABIOS_NAME, slash == NULL ? 0 : (int)(slash + 1 - p->bios),
                 p->bios) < 0) {
        o->vgabios_path = NULL;
        cli_error("out of memory");
        return EXIT_USAGE;
    }
    if (access(o->vgabios_path, R_OK) != 0)
        return 0;
    return load_image("-vgabios", o->vgabios_path, MAX_OPTION_ROM, &o->vgabios_data, &o->config.vgabios);
}

static int load_images(struct parser *p)
{
    struct run_options *o = p->o;
    struct machine_config *c = &o->config;
    int status = load_image("-kernel", p->kernel, MAX_IMAGE, &o->kernel_data, &c->kernel);

    if (status == 0)
        status = load_image("-initrd", p->initrd, MAX_IMAGE, &o->initrd_data, &c->initrd);
    if (status == 0)
        status = load_image("-bios", p->bios, MAX_FIRMWARE, &o->bios_data, &c->bios);
    if (status == 0)
        status = load_vgabios(p);
    c->firmware = p->bios != NULL;
    if (status != 0 || p->kernel != NULL || p->bios != NULL)
        return status;
    o->demo = true;
    c->kernel = (struct machine_image){
        .name = OPTIONS_DEMO_NAME, .data = deja_demo_kernel, .len = deja_demo_kernel_len};
    return 0;
}

/* The RTC at power-on of a run whose seed was chosen: 2026-01-01 00:00:00 UTC. */
#define SEEDED_RTC_BASE 1767225600

/*
 * The two facts that a run takes from its host, read once. Whoever chooses the seed wants a run that
 * can be had again, so the clock does not come from the host then, unless `-rtc` says so.
 */
static int read_host(struct parser *p)
{
    struct machine_config *c = &p->o->config;

    if (p->what == FOR_HUNT && !p->o->seed_given) {
        c->seed = OPTIONS_HUNT_SEED;
        p->o->seed_given = true;
    }
    if (!p->rtc_given)
        c->rtc_base = p->o->seed_given ? SEEDED_RTC_BASE : (int64_t)time(NULL);
    if (p->o->seed_given)
        return 0;
    if (getrandom(&c->seed, sizeof(c->seed), 0) == (ssize_t)sizeof(c->seed))
        return 0;
    cli_error("the host gives no random number (%s): choose one with --seed N", strerror(errno));
    return EXIT_USAGE;
}

static int copy_cmdline(struct parser *p)
{
    if (p->append == NULL)
        return 0;
    p->o->cmdline = strdup(p->append);
    p->o->config.cmdline = p->o->cmdline;
    if (p->o->cmdline != NULL)
        return 0;
    cli_error("out of memory");
    return EXIT_USAGE;
}

static int take_nothing(void *opaque, int argc, char **argv, int *i)
{
    (void)opaque, (void)argc, (void)argv, (void)i;
    return 0;
}

int options_parse(struct run_options *o, int argc, char **argv, enum options_for what)
{
    return options_parse_beside(o, argc, argv, what, take_nothing, NULL);
}

int options_parse_beside(struct run_options *o, int argc, char **argv, enum options_for what,
                         options_take_fn *take, void *opaque)
{
    struct parser p = {.o = o, .what = what};
    int i, taken, status = 0;

    *o = (struct run_options){
        .config = {.struct_size = sizeof(o->config), .ram_bytes = DEFAULT_RAM, .ns_per_insn = 1},
        .serial = {{.kind = SERIAL_STDIO}, {.kind = SERIAL_NULL}},
    };
    for (i = 1; i < argc && status == 0; i++) {
        taken = take(opaque, argc, argv, &i);
        if (taken == 0)
            status = parse_one(&p, argc, argv, &i);
        else if (taken < 0)
            status = EXIT_USAGE;
    }
    if (status == 0)
        status = check_together(&p);
    if (status == 0)
        status = load_images(&p);
    if (status == 0)
        status = copy_cmdline(&p);
    if (status == 0)
        status = read_host(&p);
    if (status != 0)
        options_free(o);
    return status;
}

void options_free(struct run_options *o)
{
    free(o->kernel_data);
    free(o->initrd_data);
    free(o->bios_data);
    free(o->vgabios_data);
    free(o->vgabios_path);
    free(o->cmdline);
    for (unsigned i = 0; i < MACHINE_MAX_SERIAL; i++)
        free(o->serial[i].path);
    free(o->debugcon.path);
    *o = (struct run_options){0};
}

/* --- help --- */

void options_help(enum options_for what)
{
    char left[40];

    for (size_t i = 0; i < NOPTIONS; i++) {
        const struct option *opt = &options[i];

        if (opt->help == NULL || ((opt->flags & RECORD_ONLY) && what != FOR_RECORD) ||
            ((opt->flags & LIVE_ONLY) && what == FOR_HUNT))
            continue;
        snprintf(left, sizeof(left), "-%s %s", opt->name, opt->value == NULL ? "" : opt->value);
        printf("  %-21s %s\n", left, opt->help);
    }
}
