/* SPDX-License-Identifier: MIT */
/*
 * The instruction table of insn.def as an array: names, flags and attributes by enum insn_id.
 */
#include <emu/insn.h>

const struct insn_info insn_info[INSN_COUNT] = {
    [INSN_INVALID] = {"(invalid)", 0, 0, 0, 0},
#define INSN(id, mnemonic, fl_read, fl_written, fl_undef, attrs)                                   \
    [INSN_##id] = {(mnemonic), (fl_read), (fl_written), (fl_undef), (attrs)},
#include <emu/insn.def>
#undef INSN
};
