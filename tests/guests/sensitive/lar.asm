; SPDX-License-Identifier: MIT
; LAR. On hardware it gives the access rights of a descriptor that CPL and RPL may see, and sets ZF; else it clears
; ZF, and nothing traps: a guest system at level 3 is told that its own descriptors of level 0 are none. #UD in
; real and virtual-8086 mode.
%include "sensitive.inc"
test:
    mov ecx, DATA
    lar eax, ecx
    jnz .wrong
    CHECK "cpl 0", eax, 0x00cf9300
    mov ecx, DATA | 3                       ; RPL 3
    mov eax, 0x77777777
    lar eax, ecx
    jz .wrong
    CHECK "rpl", eax, 0x77777777            ; unchanged
    USER .user, 3
    CHECK "cpl 3 sees its own", eax, 0x00cff300
    CHECK "cpl 3 does not see level 0", edx, 0x77777777
    CHECK "conforming is seen", esi, 0x00cf9f00
    CHECK "zf", ebx, 0x44                   ; seen, not seen
    VM_FAULTS "vm", v_lar, 6
    ret
.wrong:
    jmp fail_exit
.user:
    xor ebx, ebx
    mov ecx, UDATA
    lar eax, ecx
    jnz .not1
    or ebx, 0x40
.not1:
    mov edx, 0x77777777
    mov ecx, DATA
    lar edx, ecx
    jz .not2
    or ebx, 4
.not2:
    mov ecx, CONFORMING | 3
    lar esi, ecx
    int3
    bits 16
vm_code:
v_lar:
    lar ax, bx
vm_end:
    bits 32
    END_GUEST
