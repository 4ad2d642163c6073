/* SPDX-License-Identifier: MIT */
/*
 * Square roots by the host. Built with -fno-math-errno, so that sqrt() is the host's instruction and
 * no library call.
 */
#include "fp_fast.h"

bool fp_fast64_sqrt(uint64_t a, uint64_t *r)
{
    if (!fp_fast64_normal(a) || (int64_t)a < 0)
        return false;
    *r = fp_bits64(__builtin_sqrt(fp_host64(a)));
    return true;
}

bool fp_fast32_sqrt(uint32_t a, uint32_t *r)
{
    if (!fp_fast32_normal(a) || (int32_t)a < 0)
        return false;
    *r = fp_bits32(__builtin_sqrtf(fp_host32(a)));
    return true;
}
