; SPDX-License-Identifier: MIT
; SLDT. On hardware it gives LDTR's selector at every privilege level of protected mode, unless UMIP is on, and is
; #UD in real and virtual-8086 mode. To memory it stores 16 bits, whatever the operand size; to a 32-bit register
; it is zero-extended.
%include "sensitive.inc"
test:
    mov eax, 0xffffffff
    sldt eax
    CHECK "cpl 0", eax, LDTSEL
    mov dword [MEM], 0xffffffff
    USER .user, 3
    CHECK "cpl 3", eax, LDTSEL
    CHECK "16 bits", [MEM], 0xffff0000 | LDTSEL
    VM_FAULTS "vm", v_sldt, 6
    xor eax, eax
    lldt ax
    USER .user, 3
    CHECK "null", eax, 0
    ret
.user:
    sldt [MEM]
    mov eax, 0xffffffff
    sldt eax
    int3
    bits 16
vm_code:
v_sldt:
    sldt ax
vm_end:
    bits 32
    END_GUEST
