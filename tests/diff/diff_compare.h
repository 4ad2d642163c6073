/* SPDX-License-Identifier: MIT */
/* Comparing two outcomes, and saying in words how they differ. */
#ifndef DIFF_COMPARE_H
#define DIFF_COMPARE_H

#include "diff_common.h"
#include "diff_undef.h"

#define COMPARED_FLAGS      0x7fd5u   /* CF PF AF ZF SF TF IF DF OF IOPL NT */
#define COMPARED_HIGH_FLAGS 0x270000u /* RF VM AC ID */

/* A buffer that text is appended to; what does not fit is left out. */
struct text {
    char *at;
    size_t left;
};
void say(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What need not be equal. */
struct excused {
    uint32_t flags;    /* of RFLAGS */
    bool x87_pointers; /* FOP, FIP, FDP */
    bool rsp_high;     /* the upper half of RSP */
    struct undef_range memory[UNDEF_RANGES];
};

extern const char *const reg_names[16];

unsigned compare_item(struct text *t, const char *name, uint64_t expected, uint64_t found);
/* Number of differences, described in *t. */
unsigned compare(const struct outcome *expected, const struct outcome *found,
                 const struct excused *excused, const uint8_t *template, struct text *t);
/* To standard output: an FX_BYTES image, without registers that are zero. */
void print_fx(const uint8_t *fx);

#endif
