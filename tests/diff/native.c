/* SPDX-License-Identifier: MIT */
/*
 * The child that runs sequences on the host CPU.
 *
 * The child lives in its signal handler. Every sequence ends in an exception, so in a signal; the
 * handler notes the interrupted state, restores the arena, puts the next sequence's state into the
 * signal frame and returns from the signal into it. No trampoline of ours runs between the two, so
 * every register, the stack pointer, all flags and the floating-point state are the sequence's own.
 *
 * Sandbox: no open file but two pipes, a seccomp filter that allows reading and writing those,
 * returning from signals and exit; limits on CPU time; death with the parent. No register ever
 * holds an address of the child's own memory, so a wild store finds nothing. Under AddressSanitizer
 * a good part of the address space is mapped, as shadow and heap; it is unmapped before the first
 * sequence, so that addresses fault as they do in the guest, and what runs afterwards is not
 * instrumented.
 */
#include "native.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define RAW               __attribute__((no_sanitize("address", "undefined")))
#define ALT_STACK_BYTES   65536u
#define ANSWER_TIMEOUT_MS 20000
#define FD_FROM_PARENT    3
#define FD_TO_PARENT      4

/* Shared between parent and child. */
struct shared {
    uint8_t template[ARENA_BYTES];
    uint32_t slot;    /* being run */
    uint32_t current; /* sequence being run; count: none */
    struct native_batch batches[NATIVE_SLOTS];
};

struct native {
    struct shared *shared;
    pid_t pid;
    int to_child, from_child;
    unsigned in_flight;
};

/* The child's only global: a signal handler has no other way to its data. */
static struct shared *child_shared;

/* --- in the child's handler --- */

static RAW uint16_t swap_ds(uint16_t selector)
{
    uint16_t old;

    __asm__ volatile("movw %%ds, %0\n\tmovl %1, %%ds" : "=&r"(old) : "r"((uint32_t)selector));
    return old;
}

static RAW uint16_t swap_es(uint16_t selector)
{
    uint16_t old;

    __asm__ volatile("movw %%es, %0\n\tmovl %1, %%es" : "=&r"(old) : "r"((uint32_t)selector));
    return old;
}

static RAW long raw_call(long nr, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static RAW void copy(void *to, const void *from, size_t len)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

typedef uint64_t __attribute__((vector_size(16), aligned(16), may_alias)) vec;

static RAW bool line_differs(const void *a, const void *b)
{
    const vec *x = a, *y = b;
    vec d = (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]);

    return (d[0] | d[1]) != 0;
}

/* Notes the lines of a part that differ from the template, and puts the template back. */
static RAW void collect_part(const struct arena_part *part, struct outcome *out)
{
    uint8_t *memory = (uint8_t *)(uintptr_t)part->va;
    const uint8_t *template = child_shared->template + part->first_page * PAGE;
    uint32_t i, n = part->pages * (PAGE / LINE_BYTES);

    for (i = 0; i < n; i++, memory += LINE_BYTES, template += LINE_BYTES) {
        struct line *line;

        if (!line_differs(memory, template))
            continue;
        line = &out->lines[out->nlines++];
        line->index = part->first_page * (PAGE / LINE_BYTES) + i;
        copy(line->bytes, memory, LINE_BYTES);
        copy(memory, template, LINE_BYTES);
    }
}

static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

/* What the kernel adds to the FXSAVE image in a signal frame (Linux, uapi/asm/sigcontext.h). */
#define FRAME_SW_MAGIC     464u
#define FRAME_XSTATE_BV    512u
#define FRAME_SW_HAS_XSAVE 0x46505853u /* FP_XSTATE_MAGIC1 */

/* Beyond x87 and SSE all is in its initial state: no upper halves of vector registers. */
static RAW void load_fpu(uint8_t *frame, const struct seq *seq)
{
    uint64_t components = 3;

    copy(frame, seq->fx, FX_MXCSR_MASK);
    copy(frame + FX_ST, seq->fx + FX_ST, FX_BYTES - FX_ST);
    if (*(const uint32_t *)(const void *)(frame + FRAME_SW_MAGIC) == FRAME_SW_HAS_XSAVE)
        copy(frame + FRAME_XSTATE_BV, &components, sizeof(components));
}

static RAW void record(const mcontext_t *m, struct outcome *out)
{
    const greg_t *gregs = m->gregs;
    unsigned i;

    copy(out->fx, m->fpregs, FX_BYTES);
    for (i = 0; i < 16; i++)
        out->regs[i] = (uint64_t)gregs[greg_of[i]];
    out->rip = (uint64_t)gregs[REG_RIP];
    out->rflags = (uint64_t)gregs[REG_EFL];
    out->cs = (uint16_t)gregs[REG_CSGSFS];
    out->ss = (uint16_t)((uint64_t)gregs[REG_CSGSFS] >> 48);
    out->ds = swap_ds(USER_DS);
    out->es = swap_es(USER_DS);
    out->vector = (uint16_t)gregs[REG_TRAPNO];
    out->error = vector_has_error(out->vector) ? (uint32_t)gregs[REG_ERR] : 0;
    out->cr2 = out->vector == 14 ? (uint64_t)gregs[REG_CR2] : 0;
    out->nlines = 0;
    for (i = 0; i < ARENA_PARTS; i++)
        collect_part(&arena_parts[i], out);
}

static RAW void load(mcontext_t *m, const struct seq *seq)
{
    greg_t *gregs = m->gregs;
    unsigned i;

    load_fpu((uint8_t *)m->fpregs, seq);
    copy((void *)(uintptr_t)seq->rip, seq->code, seq->code_len);
    for (i = 0; i < 16; i++)
        gregs[greg_of[i]] = (greg_t)seq->regs[i];
    gregs[REG_RIP] = (greg_t)seq->rip;
    gregs[REG_EFL] = (greg_t)(seq->rflags | 0x202);
    gregs[REG_CSGSFS] = (greg_t)((uint64_t)seq->cs | (uint64_t)USER_DS << 48);
}

/* Tells the parent that a batch is done (not at the start), and takes the next one. */
static RAW void next_batch(bool first)
{
    uint8_t byte = 0;

    if (!first && raw_call(SYS_write, FD_TO_PARENT, (long)&byte, 1) != 1)
        raw_call(SYS_exit_group, 1, 0, 0);
    if (raw_call(SYS_read, FD_FROM_PARENT, (long)&byte, 1) != 1)
        raw_call(SYS_exit_group, 0, 0, 0);
    child_shared->slot = byte;
    child_shared->current = 0;
}

static RAW void on_signal(int sig, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    struct shared *s = child_shared;

    /* The handler starts with the sequence's AC, NT and ID; with a fresh FPU. */
    __asm__ volatile("pushq $0x202\n\tpopfq" : : : "cc", "memory");
    (void)sig;
    (void)info;
    if (s->slot == NATIVE_SLOTS) {
        next_batch(true);
    } else {
        record(m, &s->batches[s->slot].outcomes[s->current]);
        s->current++;
        if (s->current == s->batches[s->slot].count)
            next_batch(false);
    }
    load(m, &s->batches[s->slot].seqs[s->current]);
}

/* --- setting the child up --- */

static void child_fail(const char *what)
{
    fprintf(stderr, "native child: %s: %s\n", what, strerror(errno));
    _exit(2);
}

static void map_arena(void)
{
    unsigned i;

    for (i = 0; i < ARENA_PARTS; i++) {
        const struct arena_part *p = &arena_parts[i];
        void *at = (void *)(uintptr_t)p->va;
        int prot = PROT_READ | (p->write ? PROT_WRITE : 0) | (p->exec ? PROT_EXEC : 0);

        if (mmap(at, p->pages * PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at)
            child_fail("mapping the arena");
        copy(at, child_shared->template + p->first_page * PAGE, p->pages * PAGE);
        if (mprotect(at, p->pages * PAGE, prot) != 0)
            child_fail("protecting the arena");
    }
}

static void install_handlers(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
    struct sigaction act;
    stack_t alt;
    unsigned i;

    memset(&alt, 0, sizeof(alt));
    alt.ss_size = ALT_STACK_BYTES;
    alt.ss_sp = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
    if (alt.ss_sp == MAP_FAILED || sigaltstack(&alt, NULL) != 0)
        child_fail("signal stack");
    memset(&act, 0, sizeof(act));
    act.sa_sigaction = on_signal;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&act.sa_mask);
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (sigaction(signals[i], &act, NULL) != 0)
            child_fail("signal handler");
}

#define ALLOW_CALL(nr)                                                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD_FIELD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* Allowed with this first argument only. */
#define ALLOW_ON_FD(nr, fd)                                                                        \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD_FIELD(args[0]),                          \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (fd), 0, 1),                                           \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),                                              \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static void limit_resources(void)
{
    struct rlimit none = {0, 0}, cpu = {7200, 7200};

    if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_FSIZE, &none) != 0 ||
        setrlimit(RLIMIT_CPU, &cpu) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        child_fail("limits");
}

/* What lies outside of where Linux puts programs, libraries and stacks. */
static RAW void unmap_the_rest(void)
{
    raw_call(SYS_munmap, 0x20000000, 0x500000000000 - 0x20000000, 0);
    raw_call(SYS_munmap, 0x600000000000, 0x7e0000000000 - 0x600000000000, 0);
}

static RAW void lock_up(void)
{
    static const struct sock_filter filter[] = {
        LOAD_FIELD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        LOAD_FIELD(nr),
        ALLOW_CALL(SYS_rt_sigreturn),
        ALLOW_CALL(SYS_exit_group),
        ALLOW_ON_FD(SYS_read, FD_FROM_PARENT),
        ALLOW_ON_FD(SYS_write, FD_TO_PARENT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), (struct sock_filter *)filter};

    if (raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&program) != 0)
        raw_call(SYS_exit_group, 2, 0, 0);
}

static RAW _Noreturn void child_main(int in, int out)
{
    int from = fcntl(in, F_DUPFD, 10), to = fcntl(out, F_DUPFD, 10);

    if (from < 0 || to < 0 || dup2(from, FD_FROM_PARENT) < 0 || dup2(to, FD_TO_PARENT) < 0)
        child_fail("pipes");
    syscall(SYS_close_range, 5u, ~0u, 0u);
    limit_resources();
    install_handlers();
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE) != 0)
        child_fail("GS base");
    map_arena();
    /* 32-bit code needs data segments; Linux keeps what a process loads. */
    swap_ds(USER_DS);
    swap_es(USER_DS);
    unmap_the_rest();
    lock_up();
    __asm__ volatile("int3");
    __builtin_unreachable();
}

/* --- the parent's side --- */

static int start_child(struct native *n)
{
    int down[2], up[2];

    if (pipe(down) != 0)
        return -1;
    if (pipe(up) != 0) {
        close(down[0]);
        close(down[1]);
        return -1;
    }
    n->shared->slot = NATIVE_SLOTS;
    n->in_flight = 0;
    n->pid = fork();
    if (n->pid == 0) {
        close(down[1]);
        close(up[0]);
        child_shared = n->shared;
        child_main(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    n->to_child = down[1];
    n->from_child = up[0];
    return n->pid < 0 ? -1 : 0;
}

static int stop_child(struct native *n)
{
    int status = 0;

    close(n->to_child);
    close(n->from_child);
    if (n->pid > 0) {
        kill(n->pid, SIGKILL);
        waitpid(n->pid, &status, 0);
    }
    n->pid = -1;
    return status;
}

struct native *native_create(const uint8_t *template)
{
    struct native *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return NULL;
    signal(SIGPIPE, SIG_IGN);
    n->shared = mmap(NULL, sizeof(*n->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0);
    if (n->shared == MAP_FAILED) {
        perror("mmap");
        free(n);
        return NULL;
    }
    memcpy(n->shared->template, template, ARENA_BYTES);
    if (start_child(n) != 0) {
        perror("native child");
        munmap(n->shared, sizeof(*n->shared));
        free(n);
        return NULL;
    }
    return n;
}

void native_destroy(struct native *n)
{
    if (n == NULL)
        return;
    stop_child(n);
    munmap(n->shared, sizeof(*n->shared));
    free(n);
}

/* Asks the CPU, not the kernel: under PVM the GDT is the hypervisor's and may lack USER_CS32,
 * though the kernel is built with IA32 emulation. */
int native_runs_32bit(struct native *n)
{
    struct native_batch *b = native_slot(n, 0);
    struct outcome *out = &b->outcomes[0];
    unsigned culprit;

    b->count = 1;
    b->seqs[0] = (struct seq){.rip = CODE_VA, .cs = USER_CS32, .code_len = 1, .code = {0xcc}};
    if (native_submit(n, 0) != 0 || native_wait(n, 0, &culprit) != 0)
        return -1;
    if (out->vector == 3 && out->cs == USER_CS32)
        return 1;
    if (out->vector == 13 && out->error == (USER_CS32 & ~3u))
        return 0;
    fprintf(stderr, "native child: 32-bit INT3 ended with vector %u, error code %x, CS %x\n",
            out->vector, out->error, out->cs);
    return -1;
}

struct native_batch *native_slot(struct native *n, unsigned slot)
{
    return &n->shared->batches[slot];
}

int native_submit(struct native *n, unsigned slot)
{
    uint8_t byte = (uint8_t)slot;

    n->in_flight++;
    return write(n->to_child, &byte, 1) == 1 ? 0 : -1;
}

int native_wait(struct native *n, unsigned slot, unsigned *culprit)
{
    struct pollfd fd = {.fd = n->from_child, .events = POLLIN};
    uint8_t byte;
    int status;

    if (poll(&fd, 1, ANSWER_TIMEOUT_MS) == 1 && read(n->from_child, &byte, 1) == 1) {
        n->in_flight--;
        return 0;
    }
    *culprit = n->shared->slot == slot ? n->shared->current : 0;
    status = stop_child(n);
    fprintf(stderr, "native child: ended with wait status %04x in sequence %u of its batch\n",
            (unsigned)status, *culprit);
    if (start_child(n) != 0)
        perror("native child");
    return -1;
}
