; SPDX-License-Identifier: MIT
; PUSHF. On hardware it pushes EFLAGS with IF and IOPL as they are at every privilege level: a guest system that
; believes to have disabled interrupts by a CLI that trapped, or to be at level 0, sees otherwise. VM and RF are
; pushed as 0. In virtual-8086 mode it is #GP(0) unless IOPL is 3.
%include "sensitive.inc"
test:
    pushfd
    pop eax
    and eax, 0x3200
    CHECK "cpl 0", eax, 0
    USER .user, 3
    CHECK "cpl 3", eax, 0x2
    USER3 .user, 3
    CHECK "iopl is seen", eax, 0x3002
    GO to_user, .user, 0x1202, 3            ; interrupts are masked at the PIC
    CHECK "if is seen", eax, 0x1202
    VM_FAULTS "vm", v_pushf, 13
    VM3 v_pushf, 3
    CHECK "vm iopl 3", eax, 0x3002
    VM3 v_pushfd, 3
    CHECK "vm bit hidden", eax, 0x3002
    ret
.user:
    pushfd
    pop eax
    int3
    bits 16
vm_code:
v_pushf:
    pushf
    xor eax, eax
    pop ax
    int3
v_pushfd:
    pushfd
    pop eax
    int3
vm_end:
    bits 32
    END_GUEST
