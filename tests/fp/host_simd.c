/* SPDX-License-Identifier: MIT */
/* The host as oracle for MMX and SSE; empty on other hosts than x86-64. */
#if defined(__x86_64__)
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "host_simd.h"


static uint8_t *code;
static size_t code_len;
static struct sigaction old_action;
static volatile sig_atomic_t faulted;

static void on_sigfpe(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)sig, (void)info;
    faulted = 1;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(code + code_len); /* its RET */
}

static void __attribute__((noinline)) run(struct host_simd *h)
{
    __asm__ volatile("sub $256, %%rsp\n\t"
                     "stmxcsr %c[rest](%%rbx)\n\t"
                     "ldmxcsr %c[mx](%%rbx)\n\t"
                     "movups (%%rbx), %%xmm0\n\tmovups 16(%%rbx), %%xmm1\n\tmovups 32(%%rbx), %%xmm2\n\t"
                     "movq 48(%%rbx), %%mm0\n\tmovq 56(%%rbx), %%mm1\n\tmovq 64(%%rbx), %%mm2\n\t"
                     "mov %c[rax](%%rbx), %%rax\n\tmov %c[rcx](%%rbx), %%rcx\n\t"
                     "mov %c[rdx](%%rbx), %%rdx\n\t"
                     "mov %c[rdi](%%rbx), %%rdi\n\t"
                     "call *%[code]\n\t"
                     "pushfq\n\tpopq %c[fl](%%rbx)\n\t"
                     "movups %%xmm0, (%%rbx)\n\tmovups %%xmm1, 16(%%rbx)\n\tmovups %%xmm2, 32(%%rbx)\n\t"
                     "movq %%mm0, 48(%%rbx)\n\tmovq %%mm1, 56(%%rbx)\n\tmovq %%mm2, 64(%%rbx)\n\t"
                     "mov %%rax, %c[rax](%%rbx)\n\tmov %%rcx, %c[rcx](%%rbx)\n\t"
                     "mov %%rdx, %c[rdx](%%rbx)\n\t"
                     "stmxcsr %c[mx](%%rbx)\n\tldmxcsr %c[rest](%%rbx)\n\temms\n\t"
                     "add $256, %%rsp"
                     :
                     : "b"(h), [code] "r"(code), [rest] "i"(offsetof(struct host_simd, restore)),
                       [mx] "i"(offsetof(struct host_simd, mxcsr)), [rax] "i"(offsetof(struct host_simd, rax)),
                       [rcx] "i"(offsetof(struct host_simd, rcx)), [rdx] "i"(offsetof(struct host_simd, rdx)),
                       [fl] "i"(offsetof(struct host_simd, rflags)),
                       [rdi] "i"(offsetof(struct host_simd, rdi))
                     : "rax", "rcx", "rdx", "rdi", "xmm0", "xmm1", "xmm2", "mm0", "mm1", "mm2", "st", "cc",
                       "memory");
}

bool host_simd_init(void)
{
    struct sigaction sa = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO | SA_NODEFER};

    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code != MAP_FAILED && sigaction(SIGFPE, &sa, &old_action) == 0;
}

void host_simd_fini(void)
{
    sigaction(SIGFPE, &old_action, NULL);
    munmap(code, 4096);
}

void host_simd_set(const uint8_t *bytes, size_t n)
{
    memcpy(code, bytes, n);
    code[n] = 0xc3;
    code_len = n;
}

bool host_simd_run(struct host_simd *h)
{
    faulted = 0;
    run(h);
    return faulted != 0;
}
#else
typedef int host_simd_is_for_x86_64;
#endif
