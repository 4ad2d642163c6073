/* SPDX-License-Identifier: MIT */
/*
 * The system call filter around a running guest: see sandbox.h.
 *
 * What is allowed: using descriptors that are open, waiting, taking memory that is not executable,
 * the clocks, a terminal's mode, and what the C library needs to die. What is not: opening
 * anything, connecting anywhere, starting anything, sending signals to anybody else.
 *
 * A forbidden call raises SIGSYS. Its handler restores the terminal, names the call and makes
 * another one that is forbidden; SIGSYS being blocked by then, the kernel kills the process.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"
#include "console_term.h"

/* Allowed whatever the arguments. */
static const int free_calls[] = {
    /* descriptors */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pread64),
    SCMP_SYS(lseek),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fstat),
    SCMP_SYS(close),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(accept4),
    /* waiting */
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(futex),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
    /* memory */
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(mincore),
    SCMP_SYS(brk),
    SCMP_SYS(mremap),
    SCMP_SYS(sysinfo), /* the C library's qsort() asks how much there is */
    /* clocks, where the vDSO does not serve them */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    /* signals and the end */
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(wait4), /* for workers that were started before */
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static int allow_free_calls(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; i < sizeof(free_calls) / sizeof(free_calls[0]) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, free_calls[i], 0);
    return rc;
}

/* The system call's argument `arg` is `value`. */
static struct scmp_arg_cmp equals(unsigned arg, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value};
}

/* Memory, but never executable: there is no code to be made here. */
static int allow_memory(scmp_filter_ctx ctx)
{
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return rc;
}

static int allow_terminal(scmp_filter_ctx ctx)
{
    static const unsigned requests[] = {TCGETS, TCSETS, TCSETSW, TCSETSF};
    int rc = 0;

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, equals(1, requests[i]));
    return rc;
}

static int allow_rest(scmp_filter_ctx ctx)
{
    static const int fcntl_commands[] = {F_GETFL, F_SETFL};
    int rc = 0;

    for (size_t i = 0; i < sizeof(fcntl_commands) / sizeof(fcntl_commands[0]) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                              equals(1, (scmp_datum_t)fcntl_commands[i]));
    if (rc == 0) /* fstat() of newer C libraries */
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                              equals(3, AT_EMPTY_PATH));
    if (rc == 0) /* raise() and abort() */
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                              equals(0, (scmp_datum_t)getpid()));
    return rc;
}

/* --- a call that the filter forbids --- */

static char *put_text(char *to, const char *text)
{
    return stpcpy(to, text);
}

static char *put_number(char *to, unsigned n)
{
    if (n >= 10)
        to = put_number(to, n / 10);
    *to = (char)('0' + n % 10);
    return to + 1;
}

static void on_forbidden(int sig, siginfo_t *info, void *context)
{
    char text[128], *end;
    ssize_t n;

    (void)sig, (void)context;
    term_restore();
    end = put_text(text, "deja: killed: it made system call ");
    end = put_number(end, (unsigned)info->si_syscall);
    end = put_text(end, ", which the sandbox forbids (-sandbox off turns it off)\n");
    n = write(STDERR_FILENO, text, (size_t)(end - text));
    (void)n;
    syscall(SYS_getppid);
}

static void catch_forbidden(void)
{
    struct sigaction sa = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};

    sigfillset(&sa.sa_mask);
    sigaction(SIGSYS, &sa, NULL);
}

/* --- entering --- */

const char *sandbox_off_reason(void)
{
    const char *preload = getenv("LD_PRELOAD");

#if DEJA_SANITIZED
    return "built with a sanitizer, whose run time needs more system calls";
#endif
    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        return "running under valgrind, which needs more system calls";
    return NULL;
}

static int load_filter(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
    int rc;

    if (ctx == NULL)
        return -ENOMEM;
    rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = allow_free_calls(ctx);
    if (rc == 0)
        rc = allow_memory(ctx);
    if (rc == 0)
        rc = allow_terminal(ctx);
    if (rc == 0)
        rc = allow_rest(ctx);
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    return rc;
}

int sandbox_enter(void)
{
    int rc;

    if (sandbox_off_reason() != NULL)
        return 0;
    catch_forbidden();
    rc = load_filter();
    if (rc == 0)
        return 0;
    cli_error("the host refuses the system call filter (%s): use -sandbox off to go without it",
              strerror(-rc));
    return EXIT_USAGE;
}
