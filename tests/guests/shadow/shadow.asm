; SPDX-License-Identifier: MIT
; A firmware image of 64 KiB that opens and closes the RAM behind C0000h..FFFFFh by the 440FX's PAM registers
; (Intel 290549, 3.2.19), copies itself there as old BIOSes do, and runs code from all of it.
%include "firmware.inc"
%macro PAM 2                                ; register 0..6, value
    mov al, %2
    mov dx, 0xcfc + ((0x59 + %1) & 3)
    mov ebx, 0x80000000 + ((0x59 + %1) & 0xfc)
    call set_pam
%endmacro

start:
    cli
    jmp 0xf000:.low
.low:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    mov ax, 0xc000
    mov es, ax
    mov ax, 0xf000
    mov fs, ax

    ; closed: nothing answers below the ROM, and the ROM cannot be written
    CHECK "c-closed", word [es:0], 0xffff
    mov word [es:0], 0x1234
    CHECK "c-lost", word [es:0], 0xffff
    mov word [fs:signature], 0
    CHECK "f-lost", word [fs:signature], 0x4a44

    PAM 1, 0x33                             ; C0000h: RAM
    CHECK "c-zero", word [es:0], 0
    mov word [es:0], 0x1234
    CHECK "c-open", word [es:0], 0x1234
    mov word [es:0x3fff], 0x7766            ; across the two fields
    PAM 1, 0x13                             ; C4000h is read-only now
    mov word [es:0x3fff], 0x9988
    CHECK "c-half", word [es:0x3fff], 0x7788
    PAM 1, 0x11
    mov word [es:0], 0x9999
    CHECK "c-read", word [es:0], 0x1234
    PAM 1, 0x22                             ; writes alone
    mov word [es:0], 0x5678
    CHECK "c-write", word [es:0], 0xffff
    PAM 1, 0x33
    CHECK "c-written", word [es:0], 0x5678

    ; code there, changed while it may be and while it may not
    mov dword [es:0x100], 0xcb0001b8        ; MOV AX, 1; RETF
    call 0xc000:0x100
    CHECK "code-1", ax, 1
    mov byte [es:0x101], 2
    call 0xc000:0x100
    CHECK "code-2", ax, 2
    PAM 1, 0x11
    mov byte [es:0x101], 3
    call 0xc000:0x100
    CHECK "code-read-only", ax, 2
    PAM 1, 0x22
    mov byte [es:0x101], 4
    PAM 1, 0x11
    call 0xc000:0x100
    CHECK "code-4", ax, 4

    ; the image copies itself onto itself, running from ROM meanwhile
    PAM 0, 0x20
    push ds
    push es
    mov ax, 0xf000
    mov ds, ax
    mov es, ax
    xor si, si
    xor di, di
    mov cx, 0x8000
    cld
    rep movsw
    pop es
    pop ds
    PAM 0, 0x30
    CHECK "f-copied", word [fs:signature], 0x4a44
    mov word [fs:signature], 0x1111
    CHECK "f-open", word [fs:signature], 0x1111
    PAM 0, 0x00
    CHECK "f-rom", word [fs:signature], 0x4a44
    PAM 0, 0x10
    CHECK "f-ram", word [fs:signature], 0x1111
    mov word [fs:signature], 0x2222
    CHECK "f-read-only", word [fs:signature], 0x1111

    ; A and D of a page table that cannot be written stay clear
    mov ax, 0xc800
    mov gs, ax
    PAM 2, 0x33
    mov dword [gs:0], 0x83                  ; 4 MiB, one to one, not accessed
    PAM 2, 0x11
    call touch
    CHECK "a-d-lost", word [gs:0], 0x83
    PAM 2, 0x33
    call touch
    CHECK "a-d", word [gs:0], 0xe3

    jmp power_off

set_pam:                                    ; AL to config port DX of address EBX
    push dx
    push ax
    mov dx, 0xcf8
    mov eax, ebx
    out dx, eax
    pop ax
    pop dx
    out dx, al
    ret

touch:                                      ; stores through the page table at C8000h
    mov eax, 0x10                           ; PSE
    mov cr4, eax
    mov eax, 0xc8000
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000001
    mov cr0, eax
    mov dword [0x700], 0x55aa55aa
    and eax, 0x7ffffffe
    mov cr0, eax
    ret

signature: dw 0x4a44
FIRMWARE_END
