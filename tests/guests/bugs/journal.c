/* SPDX-License-Identifier: MIT */
/*
 * The init of a Linux guest whose two services share a journal, and a race.
 *
 * The services, processes of their own, append a record each two milliseconds of their time, one in the
 * middle between two of the other. Nobody thought of a lock, since they never meet. But where one is
 * kept from running, or the other's timer comes early, the scheduler may hand the CPU over while a record is being
 * appended: from reading where the journal ends to writing where it ends now, 10 us or so. The other one's record
 * then goes to the same place. In the end init reads the journal, and misses one.
 *
 * On hardware as here: a process is preempted at any instruction, by a wake-up as well as by the tick.
 *
 * No library: a program of 10 kB that is the whole initial RAM disk. System calls as in
 * syscall(2), x86-64.
 */
#include <stddef.h>
#include <stdint.h>

#define SYS_WRITE           1
#define SYS_MMAP            9
#define SYS_FORK            57
#define SYS_EXIT            60
#define SYS_WAIT4           61
#define SYS_REBOOT          169
#define SYS_CLOCK_GETTIME   228
#define SYS_CLOCK_NANOSLEEP 230

#define PROT_READ_WRITE            3
#define MAP_SHARED_FIXED_ANONYMOUS 0x31
#define CLOCK_MONOTONIC            1
#define TIMER_ABSTIME              1
#define REBOOT_MAGIC1              0xfee1dead
#define REBOOT_MAGIC2              0x28121969
#define REBOOT_POWER_OFF           0x4321fedc
#define ERROR_MIN                  (-4095)

#define SERVICES      2u
#define RECORDS       200u     /* of each service */
#define PERIOD_NS     2000000u
#define START_NS      4000000u /* for both to be there */
#define WORDS         64u
#define WORK          1000u    /* rounds, for each record */
#define JOURNAL_BYTES (1u << 20)

struct record {
    uint32_t service, number;
    uint64_t words[WORDS];
    uint64_t sum;
};

struct journal {
    volatile uint64_t end;               /* bytes of records */
    volatile uint64_t written[SERVICES]; /* records, each service its own */
    uint8_t records[];
};

/* At an address of our choice, so that it is the same in all processes, and in every run. */
static struct journal *const journal = (struct journal *)0x10000000;

struct timespec {
    int64_t seconds, ns;
};

void start(void);

/* --- the kernel --- */

static long system_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* A line of words and, if it is not 0, a number. */
static void say(const char *words, uint64_t number)
{
    char line[128];
    size_t n = 0;

    while (words[n] != '\0' && n < 96) {
        line[n] = words[n];
        n++;
    }
    if (number != 0) {
        char digits[20];
        unsigned i = 0;

        for (; number != 0; number /= 10)
            digits[i++] = (char)('0' + number % 10);
        while (i > 0)
            line[n++] = digits[--i];
    }
    line[n++] = '\n';
    system_call(SYS_WRITE, 1, (long)line, (long)n, 0, 0, 0);
}

static void power_off(void)
{
    system_call(SYS_REBOOT, (long)REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_POWER_OFF, 0, 0, 0);
}

static void sleep_until(int64_t ns)
{
    struct timespec at = {ns / 1000000000, ns % 1000000000};

    system_call(SYS_CLOCK_NANOSLEEP, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&at, 0, 0, 0);
}

static int64_t now_ns(void)
{
    struct timespec now;

    system_call(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
    return now.seconds * 1000000000 + now.ns;
}

/* --- the journal --- */

static uint64_t churn(uint64_t value, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++)
        value = (value ^ i) * 0x100000001b3ULL;
    return value;
}

static uint64_t sum_of(const struct record *r)
{
    uint64_t sum = r->service + r->number;

    for (unsigned i = 0; i < WORDS; i++)
        sum = churn(sum ^ r->words[i], 4);
    return sum;
}

/* The bug: two may be here at the same time, and then both write to the same place. */
__attribute__((noinline)) void journal_append(uint32_t service, uint32_t number, uint64_t what)
{
    uint64_t end = journal->end;
    struct record *r = (struct record *)(journal->records + end);

    r->service = service;
    r->number = number;
    for (unsigned i = 0; i < WORDS; i++)
        r->words[i] = what + i;
    r->sum = sum_of(r);
    journal->end = end + sizeof(*r);
    journal->written[service]++;
}

__attribute__((noinline)) void journal_check(void)
{
    uint32_t next[SERVICES] = {1, 1};

    for (uint64_t at = 0; at < journal->end; at += sizeof(struct record)) {
        const struct record *r = (const struct record *)(journal->records + at);

        if (r->service >= SERVICES || r->sum != sum_of(r)) {
            say("journal: BUG: damaged record at ", at);
            return;
        }
        if (r->number != next[r->service]) {
            say("journal: BUG: missing record, number ", next[r->service]);
            return;
        }
        next[r->service]++;
    }
    if (next[0] != RECORDS + 1 || next[1] != RECORDS + 1)
        say("journal: BUG: the end is missing, from number ", next[next[0] == RECORDS + 1]);
    else
        say("journal: passed, records: ", journal->end / sizeof(struct record));
}

/* --- processes --- */

static void serve(uint32_t service, int64_t from_ns)
{
    int64_t at = from_ns + service * (PERIOD_NS / SERVICES);

    for (uint32_t number = 1; number <= RECORDS; number++, at += PERIOD_NS) {
        sleep_until(at);
        journal_append(service, number, churn(number, WORK));
    }
    system_call(SYS_EXIT, 0, 0, 0, 0, 0, 0);
}

void start(void)
{
    int64_t from_ns;

    if (system_call(SYS_MMAP, (long)journal, JOURNAL_BYTES, PROT_READ_WRITE, MAP_SHARED_FIXED_ANONYMOUS, -1, 0) !=
        (long)journal) {
        say("journal: no memory", 0);
        power_off();
    }
    say("journal: services start", 0);
    from_ns = now_ns() + START_NS;
    for (uint32_t service = 0; service < SERVICES; service++)
        if (system_call(SYS_FORK, 0, 0, 0, 0, 0, 0) == 0)
            serve(service, from_ns);
    for (uint32_t i = 0; i < SERVICES; i++)
        system_call(SYS_WAIT4, -1, 0, 0, 0, 0, 0);
    journal_check();
    power_off();
}
