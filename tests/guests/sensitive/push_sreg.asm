; SPDX-License-Identifier: MIT
; PUSH of a segment register. On hardware it pushes the selector, RPL and all, at every privilege level: PUSH CS and
; PUSH SS tell a guest system that it runs at level 3. A 32-bit push moves ESP by four and stores two bytes.
%include "sensitive.inc"
test:
    push cs
    pop eax
    movzx eax, ax
    CHECK "cpl 0", eax, CODE
    push dword 0xabcdabcd
    add esp, 4
    push ss
    pop eax
    CHECK "upper half stays", eax, 0xabcd0000 | DATA
    USER .user, 3
    CHECK "cs has rpl 3", eax, UCODE
    CHECK "ss has rpl 3", edx, UDATA
    VM v_push, 3
    CHECK "vm", eax, VSEG
    CHECK "vm sp", edx, 0xfe
    ret
.user:
    push cs
    pop eax
    movzx eax, ax
    push ss
    pop edx
    movzx edx, dx
    int3
    bits 16
vm_code:
v_push:
    push cs
    mov dx, sp
    movzx edx, dx
    pop ax
    movzx eax, ax
    int3
vm_end:
    bits 32
    END_GUEST
