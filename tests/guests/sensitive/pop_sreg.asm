; SPDX-License-Identifier: MIT
; POP to a segment register. On hardware it loads the descriptor with the checks of the present level: what a guest
; system at level 3 pops as its level 0 selector is refused, or accepted with other rights; a null selector traps only
; when it is used. After POP SS no interrupt or debug trap is taken for one instruction. In virtual-8086 mode the base
; is the selector times sixteen.
%include "sensitive.inc"
test:
    push dword UDATA
    pop es
    mov ax, es
    movzx eax, ax
    CHECK "cpl 0 may load level 3", eax, UDATA
    push dword 0
    pop fs
    mov ax, fs
    movzx eax, ax
    CHECK "null", eax, 0
    mov ebp, esp
    sub ebp, 4
    EXPECT_FAULT 13, .code                  ; and ESP is as before the POP
    push dword XCODE
.pop1:
    pop es
.code:
    CHECK "not readable", [got_error], XCODE
    EXPECT_FAULT 11, .absent
    push dword ABSENT
    pop es
.absent:
    CHECK "absent", [got_error], ABSENT
    EXPECT_FAULT 13, .ss
    push dword UDATA
    pop ss                                  ; RPL and DPL must be CPL
.ss:
    CHECK "ss", [got_error], UDATA & ~3
    USER .user, 13
    CHECK "cpl 3 is refused", [got_error], DATA
    CHECK "where", [got_eip], .user_pop
    CHECK "esp", [got_esp], USTACK - 4
    VM v_pop, 3
    CHECK "vm", eax, 0x4d
    ret
.user:
    push dword DATA
.user_pop:
    pop es
    bits 16
vm_code:
v_pop:
    mov byte [es:5], 0x4d
    push word VMEM
    pop ds
    movzx eax, byte [5]
    int3
vm_end:
    bits 32
    END_GUEST
