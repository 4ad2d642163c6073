/* SPDX-License-Identifier: MIT */
/*
 * Watching what a guest does with its machine: port and memory-mapped accesses, MSRs, control registers,
 * exceptions, interrupts, system calls. For listings made after the fact; nothing here changes the guest,
 * and a machine that nobody watches pays nothing for it but a test on paths that are slow anyway.
 *
 *     machine_watch(m, &(struct machine_watcher){.kinds = WATCH_BIT(WATCH_PORT_WRITE), .event = fn});
 *     machine_run(m, ...);                  // fn is called as it happens
 *     machine_watch(m, NULL);
 *
 * An event is told once, when it can no longer fail. An access is told when the device sees it: one whose
 * instruction faulted before is none, and one whose instruction faults after it, and so runs again, is told
 * again, because the device sees it again. Accesses are told as instructions make them: those of a repeated
 * string instruction one by one, of 16 bytes as two of 8, across a page boundary byte by byte. Fetches of
 * instructions from devices are not told.
 *
 * The callback runs in the middle of an instruction: it may read the CPU's registers that the event does
 * not change, and memory by cpu_peek(), and must not change or run the machine. machine_request_stop(m,
 * STOP_SOURCE) is allowed: it ends the run after the instruction, or after the entry into the handler.
 */
#ifndef EMU_WATCH_H
#define EMU_WATCH_H

#include <stdint.h>

#include <emu/debug.h>

struct machine;

enum watch_kind {
    WATCH_PORT_READ,    /* address: port; value: what was read; size */
    WATCH_PORT_WRITE,   /* before the device acts on it */
    WATCH_MMIO_READ,    /* address: guest-physical, outside of RAM */
    WATCH_MMIO_WRITE,
    WATCH_MSR_READ,     /* address: number of the MSR; value */
    WATCH_MSR_WRITE,
    WATCH_CR_WRITE,     /* address: 0, 2, 3, 4 or 8; value: the new one; extra: the old one. By MOV, LMSW or CLTS */
    WATCH_EXCEPTION,    /* address: vector; value: error code; extra: the address that a #PF is about (CR2). When
                           it is raised: one that is raised by the delivery of another follows that one, at the
                           same moment, and so does the double fault that they make. INT n and INT3 are none */
    WATCH_INTERRUPT,    /* address: vector; value: enum intr_source. When it is taken, before its entry */
    WATCH_SOFT_INTERRUPT, /* INT n, INT3, INTO, INT1: address: vector. After its entry: of the registers only the
                           general ones but RSP are the caller's */
    WATCH_SYSCALL,      /* SYSCALL, SYSENTER: before it; the registers are the caller's. address: 0 for SYSCALL, 1
                           for SYSENTER */
    WATCH_USER_RETURN,  /* from CPL 0..2 to CPL 3, done: the registers are those of the code returned to, whose
                           linear RIP is address. value: enum watch_return */
    WATCH_IRET,         /* IRET, to any level, done. address: as above. To CPL 3 it is a WATCH_USER_RETURN too,
                           told first */
    WATCH_KIND_COUNT
};
#define WATCH_BIT(kind) (1u << (kind))

enum watch_return { WATCH_BY_IRET, WATCH_BY_SYSRET, WATCH_BY_SYSEXIT, WATCH_BY_RETF };

struct watch_event {
    enum watch_kind kind;
    struct moment at;   /* of the instruction, before it; of the moment before an entry. A trap (#DB) follows its
                           instruction at once: no machine stops at the moment before its entry */
    uint64_t rip;       /* linear, of that instruction */
    uint64_t address;
    uint64_t value;
    uint64_t extra;
    unsigned size;      /* bytes; 0 where it means nothing */
    unsigned cpl;       /* before it */
};

struct machine_watcher {
    uint32_t kinds;     /* WATCH_BIT()s of what to tell */
    void (*event)(void *opaque, const struct watch_event *ev);
    void *opaque;
};

/* One at a time; NULL: none. Copied. */
void machine_watch(struct machine *m, const struct machine_watcher *watcher);

#endif
