; SPDX-License-Identifier: MIT
; VERW. On hardware it sets ZF when a segment could be written at the present CPL and the selector's RPL, and clears
; it else; nothing traps. #UD in real and virtual-8086 mode.
%include "sensitive.inc"
%macro WRITABLE 3                           ; name, selector, ZF
    mov ecx, %2
    verw cx
    mov eax, 0
    setz al
    CHECK %1, eax, %3
%endmacro
test:
    WRITABLE "data", DATA, 1
    WRITABLE "code", CODE, 0
    WRITABLE "read-only data", RODATA, 0
    WRITABLE "rpl", DATA | 3, 0
    WRITABLE "a tss", TSSSEL, 0
    WRITABLE "null", 0, 0
    USER .user, 3
    CHECK "cpl 3 sees its own", eax, 1
    CHECK "cpl 3 does not see level 0", edx, 0
    VM_FAULTS "vm", v_verw, 6
    ret
.user:
    mov ecx, UDATA
    verw cx
    mov eax, 0
    setz al
    mov ecx, DATA
    verw cx
    mov edx, 0
    setz dl
    int3
    bits 16
vm_code:
v_verw:
    verw ax
vm_end:
    bits 32
    END_GUEST
