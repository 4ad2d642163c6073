/* SPDX-License-Identifier: MIT */
/*
 * The demo kernel of deja: a small kernel with an honest bug. Two tellers post to one ledger
 * without a lock; how soon the books stop balancing depends on where exactly the timer strikes, and
 * on what is typed at the console:
 *
 *     q            the bank closes for good in the evening: a clean end
 *     + -          more, or fewer, customers from the next one on
 *     other keys   customers' moods change, and with them the amounts and the time they take
 *
 * The command line takes "fixed" (the bug is repaired), "days=N" (closes after N days) and
 * "customers=N" (a day at each window).
 *
 * Files: boot.S (long mode), trap.S and trap.c (exceptions), irq.c (interrupt controller, timer),
 * sched.c (threads), console.c, ledger.c (the bank), panic.c (the crash report).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console.h"
#include "cpu.h"
#include "ledger.h"
#include "panic.h"
#include "sched.h"
#include "trap.h"

#define OPENING_BALANCE 1000000
#define DAY_TICKS       250u
#define CUSTOMERS       2048u /* a day, at each window */
#define CUSTOMERS_STEP  256u
#define CUSTOMERS_MIN   256u
#define CUSTOMERS_MAX   65536u

#define MULTIBOOT_MAGIC   0x2badb002u
#define MULTIBOOT_CMDLINE 0x04u

/* What the console and the command line decide. */
static struct {
    volatile uint32_t customers;
    volatile uint32_t mood;
    volatile bool quit;
    uint64_t last_day; /* 0: none */
} bank = {.customers = CUSTOMERS};

static volatile uint64_t days_served[TELLERS];

void kernel_main(uint32_t magic, uint32_t info);

/* --- keys --- */

static void on_key(uint8_t key)
{
    uint32_t customers = bank.customers;

    if (key == 'q')
        bank.quit = true;
    else if (key == '+' && customers < CUSTOMERS_MAX)
        bank.customers = customers + CUSTOMERS_STEP;
    else if (key == '-' && customers > CUSTOMERS_MIN)
        bank.customers = customers - CUSTOMERS_STEP;
    else
        bank.mood = (bank.mood ^ key) * 0x9e3779b1u;
}

/* --- threads --- */

/* Day 1 begins at tick 1. */
static uint64_t opening_tick(uint64_t day)
{
    return (day - 1) * DAY_TICKS + 1;
}

static void serve_days(unsigned window)
{
    struct teller *teller = &tellers[window];

    for (uint64_t day = 1;; day++) {
        thread_sleep_until(opening_tick(day));
        for (uint32_t n = 0; n < bank.customers; n++)
            ledger_serve(teller, bank.mood);
        days_served[window] = day;
    }
}

static void alice(void)
{
    serve_days(0);
}

static void bob(void)
{
    serve_days(1);
}

static void wait_for_tellers(uint64_t day)
{
    for (unsigned i = 0; i < TELLERS; i++)
        while (days_served[i] < day)
            thread_sleep_until(sched_ticks() + 1);
}

static void auditor(void)
{
    for (uint64_t day = 1;; day++) {
        thread_sleep_until(opening_tick(day));
        wait_for_tellers(day);
        ledger_audit();
        print("audit %lu: %lu transfers, books balance at %ld\n", day,
              tellers[0].customers + tellers[1].customers, ledger.balance);
        if (bank.quit || day == bank.last_day) {
            print("The bank closes. Goodbye.\n");
            power_off();
        }
    }
}

/* --- command line: words, between spaces --- */

static bool is_word(const char *at, const char *word)
{
    while (*word != '\0')
        if (*at++ != *word++)
            return false;
    return *at == '\0' || *at == ' ';
}

/* The number behind "name=", or `otherwise`. */
static uint64_t word_value(const char *at, const char *name, uint64_t otherwise)
{
    uint64_t value = 0;

    while (*name != '\0')
        if (*at++ != *name++)
            return otherwise;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

static bool read_command_line(const char *line)
{
    bool fixed = false;
    uint64_t customers = CUSTOMERS;

    while (*line != '\0') {
        fixed |= is_word(line, "fixed");
        bank.last_day = word_value(line, "days=", bank.last_day);
        customers = word_value(line, "customers=", customers);
        while (*line != '\0' && *line++ != ' ')
            ;
    }
    bank.customers = (uint32_t)(customers < CUSTOMERS_MAX ? customers : CUSTOMERS_MAX);
    return fixed;
}

static const char *command_line(uint32_t magic, uint32_t info)
{
    const uint32_t *words = (const uint32_t *)(uint64_t)info;

    if (magic != MULTIBOOT_MAGIC || !(words[0] & MULTIBOOT_CMDLINE))
        return "";
    return (const char *)(uint64_t)words[4];
}

void kernel_main(uint32_t magic, uint32_t info)
{
    bool fixed = read_command_line(command_line(magic, info));

    console_init();
    panic_find_symbols(magic, info);
    print("\ndeja demo kernel: two tellers, one ledger%s\n", fixed ? ", and a lock" : "");
    print("keys: + - customers, q quits, any other changes the day\n");
    trap_init();
    irq_init();
    ledger_init(OPENING_BALANCE, fixed);
    sched_init();
    thread_create("alice", alice);
    thread_create("bob", bob);
    thread_create("audit", auditor);
    console_listen(on_key);
    sched_idle();
}
