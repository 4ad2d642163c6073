; SPDX-License-Identifier: MIT
; IRET. On hardware it returns to the same or an outer level, or from level 0 to virtual-8086 mode; IF and IOPL
; come from the stack only as POPF would have them: at level 3 they are ignored without a trap. In virtual-8086 mode
; it is #GP(0) unless IOPL is 3, and then IOPL and VM stay. Back links: ../tasks.
%include "sensitive.inc"
test:
    push dword 0x3202
    push dword CODE
    push dword .here
    iretd
.here:
    pushfd
    pop eax
    cli
    and eax, 0x3200
    CHECK "cpl 0 sets both", eax, 0x3200
    push dword 2
    popfd
    USER .user, 3
    CHECK "cpl 3 sets neither", eax, 2
    USER3 .user, 3
    CHECK "iopl 3: if", eax, 0x3202
    USER .inwards, 13
    CHECK "not inwards", [got_error], CODE
    USER .vm, 3                             ; VM is ignored at level 3
    CHECK "no way to the mode", eax, 0
    mov word [VSTACK * 16 + 0x100], v_there - vm_code
    mov word [VSTACK * 16 + 0x102], VSEG
    mov word [VSTACK * 16 + 0x104], 0x0203
    VM_FAULTS "vm", v_iret, 13
    VM3 v_iret, 3
    CHECK "vm iopl 3", eax, 0x3203
    CHECK "still vm", [got_cs], VSEG
    ret
.user:
    push dword 0x3202
    push dword UCODE
    push dword .user2
    iretd
.user2:
    pushfd
    pop eax
    int3
.inwards:
    pushfd
    push dword CODE
    push dword .here
    iretd
.vm:
    push dword 0x20002
    push dword UCODE
    push dword .vm2
    iretd
.vm2:
    pushfd
    pop eax
    and eax, 0x20000
    int3
    bits 16
vm_code:
v_iret:
    iret
v_there:
    pushf
    xor eax, eax
    pop ax
    int3
vm_end:
    bits 32
    END_GUEST
