; SPDX-License-Identifier: MIT
; SIDT. On hardware it stores limit and base of the IDT at every privilege level, in virtual-8086 mode too, unless
; UMIP is on: the "red pill" by which a program notices that it runs on somebody's machine.
%include "sensitive.inc"
test:
    sidt [MEM]
    call check
    mov dword [MEM], 0
    USER .user, 3
    call check
    VM v_sidt, 3
    movzx eax, word [0x30000]
    CHECK "vm limit", eax, 2047
    CHECK "vm base", [0x30002], IDT
    ret
.user:
    sidt [MEM]
    int3
check:
    movzx eax, word [MEM]
    CHECK "limit", eax, 2047
    CHECK "base", [MEM + 2], IDT
    ret
    bits 16
vm_code:
v_sidt:
    sidt [es:0]
    int3
vm_end:
    bits 32
    END_GUEST
