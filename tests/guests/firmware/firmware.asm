; SPDX-License-Identifier: MIT
; A firmware image of 64 KiB, as by -bios: from the reset vector through real mode. Segments and their
; wrap, the A20 gate, the interrupt vector table, faults in real mode, big real mode, and the image itself
; at both its places (SDM vol. 3, 9.1 and 21).
%include "firmware.inc"

start:
    cli
    ; the hidden base of CS is FFFF0000h until a far jump loads it
    jmp 0xf000:.low
.low:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    ; the image is at the end of the first MiB and below 4 GiB
    mov ax, 0xf000
    mov es, ax
    CHECK "shadow", word [es:signature], 0x4a44
    mov ax, cs
    CHECK "cs", ax, 0xf000

    ; INT n through the table at 0; IF and TF are cleared, flags are pushed
    xor ax, ax
    mov es, ax
    mov word [es:0x60 * 4], handler
    mov word [es:0x60 * 4 + 2], 0xf000
    mov bx, 0
    sti
    int 0x60
    cli
    CHECK "int", bx, 0x1234
    ; #DE in real mode pushes the address of the instruction
    mov word [es:0], divide
    mov word [es:2], 0xf000
    xor cx, cx
    xor dx, dx
    mov ax, 1
.div:
    div cx                                  ; handler sets CX to 1 and returns here
    CHECK "de", ax, 1
    ; #GP for a word at FFFFh
    mov word [es:13 * 4], protection
    mov word [es:13 * 4 + 2], 0xf000
    mov bx, 0xffff
    mov dx, 0
    mov ax, [bx]
    CHECK "limit", dx, 0x600d

    ; A20: FFFF:0510 is 100500h, or 500h when the gate is closed
    mov ax, 0xffff
    mov fs, ax
    mov word [0x500], 0x1111
    mov al, 2                               ; open
    out 0x92, al
    mov word [fs:0x510], 0x2222
    CHECK "a20-open", word [0x500], 0x1111
    mov al, 0
    out 0x92, al
    CHECK "a20-closed", word [fs:0x510], 0x1111
    mov word [fs:0x510], 0x3333
    CHECK "a20-wraps", word [0x500], 0x3333
    mov al, 2
    out 0x92, al
    CHECK "a20-reopened", word [fs:0x510], 0x2222

    ; big real mode: a 4 GiB limit loaded in protected mode stays
    o32 lgdt [cs:gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov es, bx
    and al, 0xfe
    mov cr0, eax
    jmp 0xf000:.real
.real:
    mov edi, 0x300000
    mov dword [es:edi], 0xcafef00d
    CHECK "big-real", dword [es:edi], 0xcafef00d
    mov edi, 0xffff0000 + signature         ; the image, below 4 GiB
    CHECK "high", word [es:edi], 0x4a44
    mov word [es:edi], 0                    ; is read-only there
    CHECK "rom", word [es:edi], 0x4a44

    ; 16-bit stack arithmetic wraps; ENTER and LEAVE
    mov ebp, 0x77770000
    enter 16, 0
    mov ax, sp
    CHECK "enter", ax, 0x7c00 - 2 - 16
    leave
    CHECK "leave", sp, 0x7c00
    ; string instructions use 16-bit registers
    push ds
    pop es
    cld
    mov ecx, 0x00010004
    mov di, 0xfffe
    mov di, 0x600
    mov al, 0x5a
    rep stosb
    CHECK "rep-cx", cx, 0
    CHECK "rep-di", di, 0x604

    jmp power_off

handler:
    mov bx, 0x1234
    iret
divide:
    mov cx, 1
    iret
protection:
    mov dx, 0x600d
    push bp
    mov bp, sp
    add word [bp + 2], 2                    ; over MOV AX, [BX]
    pop bp
    iret

    align 8
gdt: dq 0, 0x00cf93000000ffff
gdt_pointer: dw 15
    dd 0xf0000 + gdt
signature: dw 0x4a44
FIRMWARE_END
