; SPDX-License-Identifier: MIT
; SGDT. On hardware it stores limit and base of the GDT at every privilege level, in virtual-8086 mode too, unless
; UMIP is on (which this CPU does not announce): a guest system at level 3 sees its monitor's table instead of its
; own. With 16-bit operands the manual has bits 31:24 of the base as 0; processors store all 32 bits.
%include "sensitive.inc"
test:
    sgdt [MEM]
    call check
    mov dword [MEM], 0
    mov dword [MEM + 4], 0
    USER .user, 3
    call check
    VM v_sgdt, 3
    movzx eax, word [0x30000]
    CHECK "vm limit", eax, gdt_end - gdt - 1
    CHECK "vm base", [0x30002], gdt
    ret
.user:
    sgdt [MEM]
    int3
check:
    movzx eax, word [MEM]
    CHECK "limit", eax, gdt_end - gdt - 1
    CHECK "base", [MEM + 2], gdt
    movzx eax, word [MEM + 6]
    CHECK "no more than six bytes", eax, 0
    ret
    bits 16
vm_code:
v_sgdt:
    sgdt [es:0]
    int3
vm_end:
    bits 32
    END_GUEST
