/* SPDX-License-Identifier: MIT */
/* The command `deja`: finds the subcommand and prints help. See docs/deja.1. */
#include "cli.h"
#include "query.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

struct command {
    const char *name, *usage, *help;
    int (*run)(int argc, char **argv);
    const char *more; /* for `deja help NAME` */
};

static const char machine_notes[] =
    "Options are spelled as QEMU's, with one dash or two. Without -kernel and -bios the machine\n"
    "runs the demo: a small built-in kernel that crashes.\n"
    "\n"
    "On a terminal Ctrl-A is the escape key: Ctrl-A x ends the run, Ctrl-A h lists the others.\n";

static const struct command commands[] = {
    {"run", "[machine options]", "boot a guest, nothing recorded", cmd_run, machine_notes},
    {"record", "-o TRACE [machine options]", "boot a guest and record it", cmd_record,
     machine_notes},
    {"replay", "TRACE [--until N]", "run a recording again, exactly", cmd_replay,
     "Shows what the guest printed, and checks every recorded interrupt and digest on the way.\n"
     "Status 0: as recorded, however the guest ended. Status 1: it departed from the recording.\n"
     "\n"
     "  --until N             stop when N instructions have been executed\n"
     "  --quiet               do not show what the guest printed\n"
     "  --gdb WHERE           serve gdb, forwards and backwards: tcp:[HOST:]PORT, unix:PATH or stdio;\n"
     "                        also -s for tcp:1234. Begins at the first instruction, or at --until\n"
     "  --vmlinux FILE        the guest kernel with its debug information, for gdb\n"
     "  --modules DIR         the guest's kernel modules (.ko), for gdb\n"
     "  --checkpoint-mem SIZE memory for going backwards [1G]\n"
     "  -sandbox on|off       system call filter around the running guest [on]\n"},
    {"debug", "TRACE [VMLINUX] [--at N]", "gdb on a recording", cmd_debug,
     "Starts gdb, connected to the recording at its end, with symbols where the kernel is. Commands of\n"
     "gdb go backwards too: reverse-stepi, reverse-continue, ... `help user-defined` and `monitor help`\n"
     "list those of deja's own.\n"
     "\n"
     "  VMLINUX               the guest kernel with its debug information\n"
     "  --at N|begin|end      where to begin [end]\n"
     "  --at-output TEXT      begin where the guest first prints TEXT, or /REGEX/\n"
     "  --modules DIR         the guest's kernel modules (.ko)\n"
     "  --checkpoint-mem SIZE memory for going backwards [1G]\n"
     "  --gdb PROGRAM         which gdb [gdb]\n"
     "  -sandbox on|off       system call filter around the running guest [on]\n"
     "  -- OPTIONS            options for gdb, such as -batch -ex bt\n"},
    {"bisect", "TRACE --when|--run ...", "the first moment at which something is so", cmd_bisect,
     "Finds the first instruction after which a condition holds:\n"
     "\n"
     "  --when EXPR           a condition that stays true once it is, such as 'u32[jiffies] > 0x10000' or\n"
     "                        'seen(\"Oops\")': see deja(1), CONDITIONS\n"
     "  --first-ever          of a condition that may become false again: asks at every moment\n"
     "  --jobs N              how many processes do that [all cores]\n"
     "  --between A,B         look only between these instructions (A..B where they have commas)\n"
     "  --vmlinux FILE        the guest kernel with its debug information, for symbols\n"
     "  --modules DIR         the guest's kernel modules (.ko)\n"
     "  --json                for programs\n"
     "  --checkpoint-mem SIZE memory for checkpoints [1G]\n"
     "  -sandbox on|off       system call filter around the running guest [on]\n"
     "\n"
     "or the first one from which on a command says that something is wrong, by its exit status: 0 good, 125 cannot\n"
     "tell, 128 and more ends the search, others bad:\n"
     "\n"
     "  --run CMD             a shell command; target remote $DEJA_GDB in gdb is the machine at the moment in question;\n"
     "                        also $DEJA_ICOUNT, $DEJA_MOMENT, $DEJA_TRACE\n"
     "  --gdb-script FILE     gdb reads it, connected and with symbols: quit 1 in it says bad, its end good\n"
     "  --gdb PROGRAM         which gdb [gdb]\n"
     "\n"
     "deja bisect --good G... --bad B... [-o MIN] finds the inputs, or the interrupt, that make the difference\n"
     "between recorded runs; deja bisect TRACE --causal when a failure became inevitable:\n"
     "\n"
     "  --output TEXT|/REGEX/, --when EXPR, --status N\n"
     "                        what counts as a failure [the guest ends badly]\n"
     "  -o MIN                records the good run with the difference made\n"
     "  --samples K, --points P, --seed N\n"
     "                        runs from each moment, moments, which timings [20, 24, 1]\n"
     "  --svg FILE            the share of runs that fail, as a picture\n"},
    {"index", "TRACE", "checkpoints beside a recording", cmd_index,
     "Runs the recording once and writes TRACE.index, from which `debug` and `replay --gdb` are at every\n"
     "place of it at once, and `log` has all lines. It may be removed at any time; other versions of deja do not use it.\n"
     "\n"
     "  --checkpoint-mem SIZE how much it may take [1G]\n"
     "  -sandbox on|off       system call filter around the running guest [on]\n"},
    {"minimize", "TRACE -o MIN", "the least that still fails", cmd_minimize,
     "Runs the recorded machine again and again with less coming to it, and records the run in which the least is\n"
     "left that still fails: inputs, and acts upon timing (-perturb).\n"
     "\n"
     "  -o MIN                the trace to write\n"
     "  --when EXPR           it fails when this condition holds at its end,\n"
     "  --output TEXT|/REGEX/ when the guest prints this,\n"
     "  --status N            or when `deja run` would exit with this [the guest ends badly]\n"
     "  --vmlinux FILE        the guest kernel with its symbols\n"
     "  --jobs N              runs at a time [as many as there are cores]\n"
     "  --json                for programs\n"
     "  -sandbox on|off       system call filter around the running guest [on]\n"},
    {"info", "TRACE [--json]", "what is in a recording", cmd_info,
     "The machine and its images, how long it ran, what was recorded, and how it ended.\n"
     "\n"
     "  --json                for programs\n"},
    {"log", "TRACE [--port N] [--json]", "the console's lines, with their instructions", cmd_log,
     "What the guest printed, a line each, with the number of instructions and the virtual time before\n"
     "it: a place for `deja debug --at` and `monitor seek`.\n"
     "\n"
     "  --port N              serial line: 0 for COM1, 1 for COM2; or debug: port E9h [0]\n"
     "  --json                JSON lines: icount, vns, text\n"
     "  -sandbox on|off       system call filter around the running guest [on]\n"},
    {"find", "TRACE --writes PLACE ...", "where in a recording something happens", cmd_find,
     "Looks for all moments at which one of these happens, in parallel where TRACE has an index:\n"
     "\n"
     "  --exec PLACE          the instruction at an address or symbol: 0x1000, do_idle, do_idle+4\n"
     "  --writes PLACE[,LEN]  a store to LEN bytes there (without LEN: to the byte there), in any address\n"
     "                        space; PLACE is a virtual address, a symbol, or phys:ADDRESS\n"
     "  --reads PLACE[,LEN]   a load\n"
     "  --accesses PLACE[,LEN] either\n"
     "  --output TEXT         the guest prints TEXT, or /REGEX/\n"
     "  --event NAME[=N]      irq=VECTOR, exception=VECTOR, int=VECTOR, input=KIND, io=PORT, in=, out=,\n"
     "                        mmio=ADDRESS, msr=NUMBER, rdmsr=, wrmsr=, syscall=NUMBER, cr0, cr2, cr3, cr4,\n"
     "                        cr8, cr. Ports, addresses and MSRs in hexadecimal; N-M for a range\n"
     "\n"
     "Of these moments there are shown:\n"
     "\n"
     "  --first, --last       one [all]\n"
     "  --value [OP] V        those with that value: stored, read, or of the event; OP is ==, !=, <, >,\n"
     "                        <=, >=, or & for any of these bits\n"
     "  --cpl N               those at that privilege level\n"
     "  --cr3 ADDRESS         those in that address space\n"
     QUERY_USAGE},
    {"trace", "TRACE --syscalls|--io|...", "what one wishes one had traced", cmd_trace,
     "Goes through a recording and prints, a line each, with the instruction and the virtual time at which\n"
     "it happened, any of these:\n"
     "\n"
     "  --functions F,G,...   calls and returns of the guest's functions: symbols, vfs_* and the like,\n"
     "                        addresses. F:dxs says what the arguments are: d int, l long, u unsigned,\n"
     "                        x hexadecimal, p pointer, s string\n"
     "  --syscalls            system calls of a Linux guest, with arguments and results\n"
     "  --io [3f8,60-64,...]  accesses to ports and to devices in memory; hexadecimal\n"
     "  --irqs                interrupts, and how long their handlers ran\n"
     "  --page-faults         addresses, reasons, and how long they took\n"
     "  --exceptions          exceptions of all kinds\n"
     "  --msrs, --crs         model-specific and control registers\n"
     "\n"
     "  --between A..B        from instruction A to B; also A,B where neither has commas; each may be left out\n"
     "  --cr3 X               in this address space only; hexadecimal\n"
     "  --json                JSON lines\n"
     "  --vmlinux FILE        the guest kernel, for names; a Linux kernel's own are found without\n"
     "  --no-symbols          addresses only: spares a recording without an index one pass\n"
     "  -sandbox on|off       system call filter around the running guest [on]\n"},
    {"dump", "TRACE [--json]", "every event of a recording, a line each", cmd_dump,
     "Inputs, interrupts, digests and the end, each with the number of instructions before it.\n"
     "\n"
     "  --json                for programs\n"},
    {"diff", "TRACE TRACE [--events]", "the first difference of two recordings", cmd_diff,
     "Compares configuration, inputs, interrupts, digests and end; then replays both and finds the first\n"
     "instruction after which registers, memory or devices differ, where that spreads, where the control\n"
     "flow and the output part, and how much differs later on. Status 0: the same; 1: different.\n"
     "\n"
     "  --events              compare the events only, replay nothing\n"
     "  --after N|end         how many instructions to follow the first difference [end]\n"
     "  --force               compare the states of different machines, too\n"
     "  --json                for programs\n"
     "  --vmlinux FILE        the guest kernel with its symbols\n"
     "  --modules DIR         the guest's kernel modules (.ko)\n"
     "  --checkpoint-mem SIZE memory for going back in each of them [1G]\n"
     "  -sandbox on|off       system call filter around the running guests [on]\n"},
    {"hunt", "--runs N [machine options]", "many runs with perturbed timing, for those that fail", cmd_hunt,
     "Runs the machine N times, each time with other timing (-perturb, by a seed of its own), and keeps recordings\n"
     "of the runs that fail, a few for each place at which they do. Status 0: some failed. Status 1: none did.\n"
     "\n"
     "  --runs N              how many\n"
     "  --seed S              where the runs' seeds come from, and the machine's own [1]\n"
     "  -o DIR                the folder for hunt.json and the recordings [deja-hunt]\n"
     "  --jobs J              so many at a time [one a CPU]\n"
     "  --vary-seed           each run has a machine's own seed of its own, too\n"
     "what is a failure [a panic, a triple fault, an exit with 3 or above, or no end]:\n"
     "  --output TEXT         the guest prints it; or /REGEX/, such as /BUG:|Oops|panic/\n"
     "  --fail-when EXPR      it holds at the end of the run, as in deja bisect\n"
     "  --status N            deja run would exit with N\n"
     "how long a run is [4 times the unperturbed one and 50 million instructions]:\n"
     "  --until N             so many instructions\n"
     "  --until TEXT          until the guest prints it; or /REGEX/. --until-output TEXT if it is a number\n"
     "  --stop-after K        no more runs after K failures\n"
     "what the guest gets to read on COM1 [nothing]:\n"
     "  --stdin FILE          this\n"
     "  --stdin-after TEXT    as soon as it has printed that; or /REGEX/\n"
     "which recordings are kept:\n"
     "  --keep WHICH          unique, failing or all [unique]\n"
     "  --keep-per-site K     with unique: so many of each site [3]\n"
     "going on, and other machines:\n"
     "  --resume DIR          do what is missing; with --runs N, have N runs\n"
     "  --print-commands      print a command a line for GNU parallel or xargs; --chunk K: of K runs each\n"
     "  --one I --dir DIR     such a command: run I, and with --chunk K the K-1 after it\n"
     "  --collect DIR         when they are done: the table and hunt.json\n"
     "  --slurm               do the runs as a Slurm job array, wait for it and collect\n"
     "  --slurm-options TEXT  options for sbatch, such as '--partition=short --time=10'\n"
     "\n"
     "  --json                print hunt.json instead of the table\n"
     "  --stats               where the time went, on standard error\n"},
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

void cli_error(const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fprintf(stderr, "deja: %s\n", text);
}

static void print_usage(FILE *out)
{
    fputs("deja runs operating system kernels in a deterministic PC, and replays them exactly.\n\n",
          out);
    for (size_t i = 0; i < NCOMMANDS; i++)
        fprintf(out, "  deja %-7s %-27s %s\n", commands[i].name, commands[i].usage,
                commands[i].help);
    fputs("  deja help    [COMMAND]                   more about a command\n"
          "  deja --version\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    cli_error("'%s' is no command: 'deja help' lists them", name);
    return EXIT_USAGE;
}

static int print_help(const char *name)
{
    const struct command *cmd = find_command(name);

    if (cmd == NULL)
        return unknown_command(name);
    printf("deja %s %s\n\n%s.\n\n%s", cmd->name, cmd->usage, cmd->help, cmd->more);
    if (cmd->run == cmd_run || cmd->run == cmd_record || cmd->run == cmd_hunt) {
        putchar('\n');
        options_help(cmd->run == cmd_record ? FOR_RECORD : cmd->run == cmd_hunt ? FOR_HUNT : FOR_RUN);
    }
    return EXIT_DONE;
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-help") == 0 || strcmp(arg, "-h") == 0;
}

/* Descriptors 0 to 2 that came closed would be given to files: a trace must not become standard
 * error. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* Results that could not be written are no results. */
static int flush_results(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    cli_error("cannot write to standard output");
    return status == EXIT_DONE ? EXIT_USAGE : status;
}

static int dispatch(int argc, char **argv)
{
    const struct command *cmd;

    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (is_help(argv[1]) || (strcmp(argv[1], "help") == 0 && argc == 2)) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "help") == 0)
        return print_help(argv[2]);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        puts("deja " DEJA_VERSION);
        return EXIT_DONE;
    }
    cmd = find_command(argv[1]);
    if (cmd == NULL)
        return unknown_command(argv[1]);
    if (argc > 2 && is_help(argv[2]))
        return print_help(cmd->name);
    return cmd->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    /* glibc gives each thread an arena, and before it shrinks one it reads a file of /proc: which a process
     * in its sandbox must not. The first arena shrinks without. */
    mallopt(M_ARENA_MAX, 1);
    fill_standard_descriptors();
    return flush_results(dispatch(argc, argv));
}
