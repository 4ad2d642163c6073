; SPDX-License-Identifier: MIT
; LSL. On hardware it gives the limit, in bytes, of a descriptor that CPL and RPL may see, and sets ZF; else it
; clears ZF, and nothing traps. Gates have no limit. #UD in real and virtual-8086 mode.
%include "sensitive.inc"
test:
    mov ecx, DATA
    lsl eax, ecx
    jnz .wrong
    CHECK "cpl 0", eax, 0xffffffff
    mov ecx, TSSSEL
    lsl eax, ecx
    jnz .wrong
    CHECK "tss", eax, 0x67
    mov ecx, GATE
    lsl eax, ecx
    jz .wrong
    mov ecx, 0xfff0                         ; beyond the table
    lsl eax, ecx
    jz .wrong
    USER .user, 3
    CHECK "cpl 3 sees its own", eax, 0xffffffff
    CHECK "cpl 3 does not see the tss", edx, 0x77777777
    VM_FAULTS "vm", v_lsl, 6
    ret
.wrong:
    jmp fail_exit
.user:
    mov ecx, UDATA
    lsl eax, ecx
    mov edx, 0x77777777
    mov ecx, TSSSEL
    lsl edx, ecx
    int3
    bits 16
vm_code:
v_lsl:
    lsl ax, bx
vm_end:
    bits 32
    END_GUEST
