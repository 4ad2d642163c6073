; SPDX-License-Identifier: MIT
; MOV from and to a segment register. On hardware MOV from one shows the selector with its RPL at every level; MOV to
; one checks as POP does. MOV to CS is #UD everywhere. A 32-bit register is zero-extended, memory gets 16 bits. After
; MOV SS no interrupt or debug trap is taken for one instruction.
%include "sensitive.inc"
test:
    mov eax, 0xffffffff
    mov eax, cs
    CHECK "cpl 0", eax, CODE
    mov dword [MEM], 0xffffffff
    USER .user, 3
    CHECK "cpl 3", eax, UCODE
    CHECK "16 bits", [MEM], 0xffff0000 | UDATA
    USER .load, 13
    CHECK "cpl 3 is refused", [got_error], DATA
    EXPECT_FAULT 6, .cs
    db 0x8e, 0xc8                           ; mov cs, ax
.cs:
    EXPECT_FAULT 6, .six
    db 0x8e, 0xf0                           ; there is no sixth
.six:
    EXPECT_FAULT 13, .null
    xor eax, eax
    mov ss, ax
.null:
    CHECK "null ss", [got_error], 0
    ; TF and MOV SS: the trap comes after the instruction behind
    EXPECT_FAULT 1, .stepped
    mov edx, DATA
    pushfd
    or dword [esp], 0x100
    popfd
.step:
    mov ss, dx                              ; TF was set when it began; it shields itself and the next one
    nop
.behind:
    nop
    nop
.stepped:
    CHECK "shielded", [got_eip], .behind
    VM v_mov, 3
    CHECK "vm", eax, VSEG
    CHECK "vm loads anything", edx, 0xfffb
    VM_FAULTS "vm cs", v_mov_cs, 6
    ret
.user:
    mov eax, cs
    mov [MEM], ds
    int3
.load:
    mov ax, DATA
    mov ds, ax
    bits 16
vm_code:
v_mov:
    mov eax, cs
    mov dx, 0xfffb
    mov fs, dx
    xor edx, edx
    mov dx, fs
    int3
v_mov_cs:
    db 0x8e, 0xc8
vm_end:
    bits 32
    END_GUEST
