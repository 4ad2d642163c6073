/* SPDX-License-Identifier: MIT */
/* The bank. See ledger.h. */
#include "ledger.h"

#include "cpu.h"
#include "panic.h"

#define PAPERWORK_MIN  64u
#define PAPERWORK_MASK 127u
#define AMOUNT_MASK    1023u

struct ledger ledger;
struct teller tellers[TELLERS] = {
    {.name = "alice", .random = 0x2545f491},
    {.name = "bob", .random = 0x9e3779b9},
};

void ledger_init(int64_t opening, bool atomic)
{
    ledger.opening = ledger.balance = opening;
    ledger.atomic = atomic;
}

/* What posting costs: one for each digit of the amount. */
static int64_t fee_for(int64_t amount)
{
    uint64_t rest = (uint64_t)(amount < 0 ? -amount : amount);
    int64_t fee = 1;

    while (rest >= 10) {
        rest /= 10;
        fee++;
    }
    return fee;
}

/*
 * The bug: balance is read here and written there, and in between the timer may hand the CPU to the
 * other teller. Whatever he posts meanwhile is overwritten with what this one read before.
 */
static void post(struct teller *teller, int64_t amount)
{
    int64_t seen = ledger.balance;
    int64_t fee = fee_for(amount);

    ledger.balance = seen + amount - fee;
    teller->net += amount - fee;
}

void ledger_post(struct teller *teller, int64_t amount)
{
    uint64_t flags;

    if (!ledger.atomic) {
        post(teller, amount);
        return;
    }
    flags = interrupts_off();
    post(teller, amount);
    interrupts_restore(flags);
}

/* xorshift32 (Marsaglia). */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* The receipt, in duplicate: what a customer's time is spent on. */
static uint32_t write_receipt(uint32_t number, unsigned lines)
{
    uint32_t sum = number;

    for (unsigned i = 0; i < lines; i++)
        sum = (sum ^ i) * 0x01000193u;
    return sum;
}

void ledger_serve(struct teller *teller, uint32_t mood)
{
    uint32_t chance = next_random(&teller->random) ^ mood;
    int64_t amount = (int64_t)(chance & AMOUNT_MASK) - AMOUNT_MASK / 2;
    uint32_t receipt = write_receipt(chance, PAPERWORK_MIN + (chance >> 16 & PAPERWORK_MASK));

    ledger_post(teller, amount + (receipt & 1));
    teller->customers++;
}

void ledger_audit(void)
{
    int64_t expected = ledger.opening, found = ledger.balance;

    for (unsigned i = 0; i < TELLERS; i++)
        expected += tellers[i].net;
    if (found != expected)
        panic("ledger is off by %ld: expected %ld, found %ld", found - expected, expected, found);
}
