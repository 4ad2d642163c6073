/* SPDX-License-Identifier: MIT */
/*
 * A bank with one account and two tellers, each a thread of its own. All day long customers pay in
 * and take out. Every teller keeps a slip of what passed his own window; in the evening the slips
 * and the account must agree.
 *
 * They do not always: see ledger_post.
 */
#ifndef DEMO_LEDGER_H
#define DEMO_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define TELLERS 2u

/* A teller's window. Only his own thread writes here. */
struct teller {
    const char *name;
    int64_t net;        /* the slip: paid in, less taken out */
    uint64_t customers; /* served so far */
    uint32_t random;
};

/* The account. */
struct ledger {
    volatile int64_t balance;
    int64_t opening;
    bool atomic; /* repaired: posting cannot be interrupted */
};

extern struct ledger ledger;
extern struct teller tellers[TELLERS];

/* `atomic`: without the bug. */
void ledger_init(int64_t opening, bool atomic);
/* Books `amount` (negative: taken out) at a teller's window. */
void ledger_post(struct teller *teller, int64_t amount);
/* One customer from arrival to farewell. `mood` makes one day unlike another. */
void ledger_serve(struct teller *teller, uint32_t mood);
/* Panics when slips and account disagree. No teller may be at work. */
void ledger_audit(void);

#endif
