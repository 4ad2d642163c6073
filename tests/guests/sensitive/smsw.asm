; SPDX-License-Identifier: MIT
; SMSW. On hardware it gives the low half of CR0 at every privilege level and in virtual-8086 mode, unless UMIP is
; on: a guest system at level 3 that believes to be in real mode sees PE set. A 32-bit register gets all of CR0.
%include "sensitive.inc"
test:
    mov ebp, cr0
    or ebp, 0x2a                            ; MP, TS, NE
    mov cr0, ebp
    mov ebp, cr0
    smsw eax
    CHECK "cpl 0", eax, ebp
    mov dword [MEM], 0xffffffff
    USER .user, 3
    CHECK "cpl 3", eax, ebp
    movzx ecx, bp
    or ecx, 0xffff0000
    CHECK "16 bits", [MEM], ecx
    VM v_smsw, 3
    movzx ecx, bp
    CHECK "vm", eax, ecx
    ret
.user:
    smsw [MEM]
    smsw eax
    int3
    bits 16
vm_code:
v_smsw:
    xor eax, eax
    smsw ax
    int3
vm_end:
    bits 32
    END_GUEST
