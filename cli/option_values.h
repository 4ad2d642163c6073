/* SPDX-License-Identifier: MIT */
/* Values of machine options, from text. Each says whether the text is one; outputs have no meaning
 * if not. None prints. */
#ifndef CLI_OPTION_VALUES_H
#define CLI_OPTION_VALUES_H

#include <stdbool.h>
#include <stdint.h>

struct perturb_config;
struct serial_spec;

/* Decimal or 0x...: digits only, below 2^64. */
bool value_u64(const char *text, uint64_t *value);
/* A number and K, M, G or nothing, which means MiB as for QEMU; in bytes. */
bool value_size(const char *text, uint64_t *bytes);
/* "base=utc", the host's time, or "base=DATE", ISO 8601 in UTC from 1970 to 9999. *given becomes
 * true. */
bool value_rtc(const char *text, int64_t *seconds, bool *given);
/* "seed=N", "kinds=A+B", "mean=N" and "from=N", with commas between. Seed 0: it was not given. */
bool value_perturb(const char *text, struct perturb_config *config);
/* Where a serial line leads. spec->path is a copy, to be freed whatever the answer. */
bool value_serial(const char *text, struct serial_spec *spec);
/* "panic=..." and "reboot=...", with commas between. */
bool value_action(const char *text, bool *ignore_panic, bool *no_reboot);
/* "1", or "1,sockets=1,cores=1" and the like. */
bool value_all_ones(const char *text);
/* "pc", "pc-i440fx-...", with properties that say what is so anyway, or whether there is a HPET. */
bool value_is_pc(const char *text, bool *hpet);
/* A device that every machine has, at the place where it is. */
bool value_is_present_device(const char *text);

#endif
