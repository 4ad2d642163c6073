; SPDX-License-Identifier: MIT
; STR. On hardware it gives TR's selector, and in its RPL the level at which the monitor loaded it, at every
; privilege level of protected mode, unless UMIP is on; #UD in real and virtual-8086 mode.
%include "sensitive.inc"
test:
    mov eax, 0xffffffff
    str eax
    CHECK "cpl 0", eax, TSSSEL
    mov dword [MEM], 0xffffffff
    USER .user, 3
    CHECK "cpl 3", eax, TSSSEL
    CHECK "16 bits", [MEM], 0xffff0000 | TSSSEL
    VM_FAULTS "vm", v_str, 6
    ret
.user:
    str [MEM]
    mov eax, 0xffffffff
    str eax
    int3
    bits 16
vm_code:
v_str:
    str ax
vm_end:
    bits 32
    END_GUEST
