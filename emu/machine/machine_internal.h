/* SPDX-License-Identifier: MIT */
/* What the files of the machine share. */
#ifndef EMU_MACHINE_MACHINE_INTERNAL_H
#define EMU_MACHINE_MACHINE_INTERNAL_H

struct machine;

/* The sinks of INPUT_DEBUG: debug_input.c. */
void machine_add_debug_sinks(struct machine *m);

#endif
