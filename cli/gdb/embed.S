/* SPDX-License-Identifier: MIT */
/* gdb's command file as bytes, so that `deja debug` needs no installed files. */
    .section .rodata
    .global deja_gdb_commands, deja_gdb_commands_end
deja_gdb_commands:
    .incbin DEJA_GDB_COMMANDS
deja_gdb_commands_end:
    .section .note.GNU-stack, "", @progbits
