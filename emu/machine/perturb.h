/* SPDX-License-Identifier: MIT */
/* The generator of perturbed timing, and the sinks of INPUT_TIME: emu/perturb.h. */
#ifndef EMU_MACHINE_PERTURB_INTERNAL_H
#define EMU_MACHINE_PERTURB_INTERNAL_H

#include <stdint.h>

struct machine;

/* As the machine's configuration says. */
void perturb_init(struct machine *m);
/* Does what is due at this boundary, before its inputs. Nothing is due twice. */
void perturb_boundary(struct machine *m);
/* An interrupt could be taken now: decides, once for each, whether it is held. */
void perturb_interrupt(struct machine *m);
/* It was taken. */
void perturb_interrupt_taken(struct machine *m);
/* Where the machine has to stop for the next act; UINT64_MAX: nowhere. */
uint64_t perturb_horizon(const struct machine *m);

void perturb_add_sinks(struct machine *m);

extern const struct state_desc perturb_desc;

#endif
