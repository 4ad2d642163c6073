; SPDX-License-Identifier: MIT
; Far RET. On hardware it returns to the same level or an outer one, by the RPL of the CS on the stack, and never
; inwards; outwards it pops SS:ESP too, and data segments of inner levels become null. In virtual-8086 mode it pops CS
; as in real mode.
%include "sensitive.inc"
test:
    push dword CODE
    push dword .same
    retf
.same:
    mov [.esp], esp
    EXPECT_FAULT 3, .back
    mov ax, UDATA
    mov es, ax                              ; may stay
    push dword UDATA
    push dword USTACK
    push dword 0x1111                       ; two parameters: they leave both stacks
    push dword 0x2222
    push dword UCODE
    push dword .user
    mov edx, [esp + 12]
    sub dword [esp + 16], 0                 ; outer ESP
    ; the frame is EIP, CS, parameters, ESP, SS
    retf 8
.user:
    mov eax, cs
    xor edx, edx
    mov dx, ds
    mov ecx, es
    mov ebx, esp
    int3
.back:
    CHECK "outwards", eax, UCODE
    CHECK "inner data is null", edx, 0
    CHECK "outer data stays", ecx, UDATA
    CHECK "parameters", ebx, USTACK + 8
    USER .inwards, 13
    CHECK "not inwards", [got_error], CODE
    USER .null, 13
    CHECK "null", [got_error], 0
    VM v_ret, 3
    CHECK "vm", eax, VSEG + 1
    ret
.inwards:
    push dword CODE
    push dword .same
    retf
.null:
    push dword 0
    push dword .same
    retf
.esp: dd 0
    bits 16
vm_code:
v_ret:
    push word VSEG + 1
    push word v_there - vm_code - 16
    retf
    times 16 hlt
v_there:
    mov eax, cs
    int3
vm_end:
    bits 32
    END_GUEST
