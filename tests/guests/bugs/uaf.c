/* SPDX-License-Identifier: MIT */
/*
 * A request that is freed while a thread still works on it.
 *
 * The server serves one request after the other. A request that takes too long is cancelled by the reaper, which
 * looks after it at each tick and gives its memory back. The bug: the server goes on with its pointer and writes its
 * answer there. Meanwhile the mailer may have been given the memory, for a letter: the answer goes into the
 * letter, and only the reader, who opens it some ticks later, finds that its words do not add up.
 *
 * On hardware as here, a freed object is as good as any until somebody else gets it, and a store through a stale
 * pointer does not fault. A request takes 60 us and is given two ticks, so that it is cancelled only where
 * ticks come fast or the server is kept from running.
 *
 * Passes when ticks come every millisecond.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console.h"
#include "cpu.h"
#include "panic.h"
#include "sched.h"
#include "trap.h"

#define OBJECTS       16u
#define WORDS         6u
#define MAILBOX       4u
#define PATIENCE      2u     /* ticks that a request is given */
#define REQUESTS      60u
#define SERVICE       15000u /* iterations: 60 us */
#define LETTER_DELAY  3u     /* ticks from being written to being read */

/* Requests and letters come from one pool of objects of 64 bytes: the last that was freed is given out first. */
struct request {
    uint64_t number;
    uint64_t deadline; /* tick */
    uint64_t question;
    volatile uint64_t answer;
};

struct letter {
    uint64_t number;
    uint64_t sum;
    volatile uint64_t words[WORDS];
};

union object {
    union object *next_free;
    struct request request;
    struct letter letter;
};

static union object objects[OBJECTS];
static union object *free_objects;
static struct request *in_service;
static struct letter *mailbox[MAILBOX];
static uint64_t answered, cancelled, letters;

/* The letter that the reader found damaged, for those who look at the wreck. */
struct letter *damaged_letter;

void kernel_main(uint32_t magic, uint32_t info);

static uint64_t churn(uint64_t value, unsigned iterations)
{
    for (unsigned i = 0; i < iterations; i++)
        value = (value ^ i) * 0x100000001b3ULL;
    return value;
}

/* --- the pool --- */

static void *object_alloc(void)
{
    uint64_t flags = interrupts_off();
    union object *object = free_objects;

    if (object == NULL)
        panic("no memory");
    free_objects = object->next_free;
    interrupts_restore(flags);
    return object;
}

static void object_free(void *memory)
{
    union object *object = memory;
    uint64_t flags = interrupts_off();

    object->next_free = free_objects;
    free_objects = object;
    interrupts_restore(flags);
}

/* --- requests --- */

static struct request *request_accept(uint64_t number)
{
    struct request *r = object_alloc();
    uint64_t flags;

    r->number = number;
    r->deadline = sched_ticks() + PATIENCE;
    r->question = number * 7;
    flags = interrupts_off();
    in_service = r;
    interrupts_restore(flags);
    return r;
}

/* Takes the request from whoever has it. */
static bool request_withdraw(struct request *r)
{
    uint64_t flags = interrupts_off();
    bool was_mine = in_service == r;

    if (was_mine)
        in_service = NULL;
    interrupts_restore(flags);
    return was_mine;
}

/* The bug: r may be somebody else's by the time that the answer is known. Withdrawing it first would be right. */
static void request_serve(struct request *r)
{
    r->answer = churn(r->question, SERVICE);
    if (request_withdraw(r)) {
        answered++;
        object_free(r);
    }
}

static void server(void)
{
    for (uint64_t number = 1; number <= REQUESTS; number++) {
        request_serve(request_accept(number));
        thread_sleep_until(sched_ticks() + 1);
    }
    print("uaf: passed, %lu answered, %lu cancelled, %lu letters\n", answered, cancelled, letters);
    power_off();
}

static void reaper(void)
{
    for (;;) {
        struct request *r = in_service;

        if (r != NULL && sched_ticks() >= r->deadline && request_withdraw(r)) {
            cancelled++;
            object_free(r);
        }
        thread_sleep_until(sched_ticks() + 1);
    }
}

/* --- letters --- */

static void letter_write(unsigned slot)
{
    struct letter *l = object_alloc();

    l->number = ++letters;
    l->sum = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        l->words[i] = l->number * (i + 1);
        l->sum += l->words[i];
    }
    mailbox[slot] = l;
}

static void letter_read(unsigned slot)
{
    struct letter *l = mailbox[slot];
    uint64_t sum = 0;

    if (l == NULL)
        return;
    for (unsigned i = 0; i < WORDS; i++)
        sum += l->words[i];
    if (sum != l->sum) {
        damaged_letter = l;
        panic("BUG: letter %lu is damaged: its words add up to %lx, not %lx", l->number, sum, l->sum);
    }
    mailbox[slot] = NULL;
    object_free(l);
}

/* Writes a letter a tick, and reads the one of three ticks before. */
static void mailer(void)
{
    for (unsigned turn = 0;; turn++) {
        letter_write(turn % MAILBOX);
        letter_read((turn - LETTER_DELAY) % MAILBOX);
        thread_sleep_until(sched_ticks() + 1);
    }
}

void kernel_main(uint32_t magic, uint32_t info)
{
    console_init();
    panic_find_symbols(magic, info);
    trap_init();
    irq_init();
    for (unsigned i = 0; i < OBJECTS; i++)
        object_free(&objects[i]);
    sched_init();
    thread_create("server", server);
    thread_create("reaper", reaper);
    thread_create("mailer", mailer);
    print("uaf: %u requests\n", REQUESTS);
    sched_idle();
}
