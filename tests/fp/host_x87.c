/* SPDX-License-Identifier: MIT */
/* The host as oracle for the x87; empty on other hosts than x86-64. */
#if defined(__x86_64__)
#include <string.h>
#include <sys/mman.h>

#include "host_x87.h"

static uint8_t *code;

#define X87_CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

static void __attribute__((noinline)) run(struct host_x87 *h)
{
    __asm__ volatile("sub $256, %%rsp\n\t"
                     "frstor (%%rbx)\n\t"
                     "lea %c[mem](%%rbx), %%rcx\n\t"
                     "pushq %c[fl](%%rbx)\n\tpopfq\n\t"
                     "call *%[code]\n\t"
                     "pushfq\n\tpopq %c[fl](%%rbx)\n\t"
                     "mov %%rax, %c[rax](%%rbx)\n\t"
                     "fnsave (%%rbx)\n\t"
                     "add $256, %%rsp"
                     :
                     : "b"(h), [code] "r"(code), [mem] "i"(offsetof(struct host_x87, memory)),
                       [fl] "i"(offsetof(struct host_x87, rflags)),
                       [rax] "i"(offsetof(struct host_x87, rax))
                     : "rax", "rcx", "cc", "memory", X87_CLOBBERS);
}

void host_x87_fxsave(const struct host_x87 *h, uint8_t *area)
{
    __asm__ volatile("frstor (%0)\n\tfxsave64 (%1)\n\tfninit"
                     :
                     : "r"(h), "r"(area)
                     : "memory", X87_CLOBBERS);
}

bool host_x87_init(void)
{
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code != MAP_FAILED;
}

void host_x87_fini(void)
{
    munmap(code, 4096);
}

void host_x87_set(const uint8_t *bytes, size_t n)
{
    memcpy(code, bytes, n);
    code[n] = 0xc3;
}

void host_x87_run(struct host_x87 *h)
{
    run(h);
}
#else
typedef int host_x87_is_for_x86_64;
#endif
