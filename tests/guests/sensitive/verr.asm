; SPDX-License-Identifier: MIT
; VERR. On hardware it sets ZF when a segment could be read at the present CPL and the selector's RPL, and clears it
; else; nothing traps, so that a guest system at level 3 gets answers for level 3. #UD in real and virtual-8086 mode.
%include "sensitive.inc"
%macro READABLE 3                           ; name, selector, ZF
    mov ecx, %2
    verr cx
    mov eax, 0
    setz al
    CHECK %1, eax, %3
%endmacro
test:
    READABLE "data", DATA, 1
    READABLE "code", CODE, 1
    READABLE "code that cannot be read", XCODE, 0
    READABLE "read-only data", RODATA, 1
    READABLE "rpl", DATA | 3, 0
    READABLE "conforming for any level", CONFORMING | 3, 1
    READABLE "a gate", GATE, 0
    READABLE "null", 0, 0
    READABLE "not present all the same", ABSENT, 1
    USER .user, 3
    CHECK "cpl 3 sees its own", eax, 1
    CHECK "cpl 3 does not see level 0", edx, 0
    VM_FAULTS "vm", v_verr, 6
    ret
.user:
    mov ecx, UDATA
    verr cx
    mov eax, 0
    setz al
    mov ecx, DATA
    verr cx
    mov edx, 0
    setz dl
    int3
    bits 16
vm_code:
v_verr:
    verr ax
vm_end:
    bits 32
    END_GUEST
