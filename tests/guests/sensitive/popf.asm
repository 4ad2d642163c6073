; SPDX-License-Identifier: MIT
; POPF. On hardware level 0 changes IF and IOPL by it; a less privileged level changes IF only where CPL <= IOPL, and
; IOPL never: the bits are ignored, nothing traps. That is the classical reason why x86 could not be virtualized
; by trapping alone. In virtual-8086 mode it is #GP(0) unless IOPL is 3; then IF changes, IOPL does not.
%include "sensitive.inc"
test:
    push dword 0x3002
    popfd
    pushfd
    pop eax
    and eax, 0x3200
    CHECK "cpl 0 changes iopl", eax, 0x3000
    push dword 0x0202
    popfd
    pushfd
    pop eax
    cli
    and eax, 0x3200
    CHECK "cpl 0 changes if", eax, 0x200
    USER .user, 3
    CHECK "cpl 3 changes nothing", eax, 0x0002
    GO to_user, .clear, 0x0202, 3
    CHECK "cpl 3 does not clear if", eax, 0x0202
    USER3 .user, 3
    CHECK "iopl 3: if, not iopl", eax, 0x3202
    USER3 .iopl, 3
    CHECK "iopl stays", eax, 0x3002
    VM_FAULTS "vm", v_popf, 13
    VM3 v_set, 3
    CHECK "vm if", eax, 0x3202
    ret
.user:
    push dword 0x3202
    popfd
    pushfd
    pop eax
    int3
.clear:
    push dword 0x0002
    popfd
    pushfd
    pop eax
    int3
.iopl:
    push dword 0x0002
    popfd
    pushfd
    pop eax
    int3
    bits 16
vm_code:
v_popf:
    popf
v_set:
    push word 0x0202
    popf
    pushf
    xor eax, eax
    pop ax
    int3
vm_end:
    bits 32
    END_GUEST
