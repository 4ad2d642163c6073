; SPDX-License-Identifier: MIT
; The option ROM with which a firmware starts the machine's Linux kernel: it fetches the parts of it from
; the fw_cfg device (QEMU, docs/specs/fw_cfg.rst) by DMA and enters the real-mode part, by the x86 boot protocol
; (kernel documentation, arch/x86/boot).
;
; Its form is that of the Plug and Play BIOS specification 1.0A, appendix B: an expansion header with a
; bootstrap entry vector. linux_rom.c is this file assembled, with the checksum; see kept_update.py.
    bits 16
    org 0

FW_SELECT   equ 0x510
FW_DATA     equ 0x511
FW_DMA_HIGH equ 0x514
FW_DMA_LOW  equ 0x518
DMA_READ    equ 0x0a                        ; select the item and read it
SETUP_SEG   equ 0x1000                      ; where pc_firmware.c says that the real-mode part goes
REQUEST     equ 0x7c00                      ; linear address of the DMA request; nothing has been loaded there

    db 0x55, 0xaa
    db 1                                    ; 512 bytes
    xor ax, ax                              ; nothing to initialise
    retf
    times 0x1a - ($ - $$) db 0
    dw pnp
pnp:
    db "$PnP"
    db 1, 2                                 ; revision; length in 16 bytes
    dw 0                                    ; no other header
    db 0
    db 0                                    ; checksum of the header: kept_update.py
    dd 0                                    ; no device
    dw 0, name
    db 0x00, 0x80, 0x02                     ; type: other system peripheral
    db 0x01                                 ; may be booted from
    dw 0, 0                                 ; no BCV, no disconnect
    dw boot
    dw 0, 0
name: db "Linux kernel of the machine", 0

boot:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, REQUEST
    mov si, parts
.part:
    cs lodsw                                ; size
    test ax, ax
    jz .enter
    call number
    mov ecx, eax
    cs lodsw                                ; address
    call number
    mov edi, eax
    cs lodsw                                ; content
    jecxz .part
    call fetch
    jmp .part
.enter:
    mov ax, SETUP_SEG
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov sp, 0xfff0
    jmp SETUP_SEG + 0x20:0

number:                                     ; EAX = the 32-bit item AX
    mov dx, FW_SELECT
    out dx, ax
    mov dx, FW_DATA
    mov bx, 4
.byte:
    in al, dx
    ror eax, 8
    dec bx
    jnz .byte
    ret

fetch:                                      ; ECX bytes of the item AX to the linear address EDI
    shl eax, 16
    mov ax, DMA_READ
    bswap eax
    mov [REQUEST], eax
    mov eax, ecx
    bswap eax
    mov [REQUEST + 4], eax
    mov dword [REQUEST + 8], 0
    mov eax, edi
    bswap eax
    mov [REQUEST + 12], eax
    xor eax, eax
    mov dx, FW_DMA_HIGH
    out dx, eax
    mov eax, REQUEST
    bswap eax
    mov dx, FW_DMA_LOW
    out dx, eax
.wait:
    mov eax, [REQUEST]
    test eax, eax
    jz .done
    cmp eax, 0x01000000                     ; the error bit, big-endian
    jne .wait
    int 0x18                                ; boot from something else
.done:
    ret

parts:                                      ; size, address, content: keys of fw_cfg.h
    dw 0x17, 0x16, 0x18                     ; real-mode part
    dw 0x14, 0x13, 0x15                     ; command line
    dw 0x08, 0x07, 0x11                     ; kernel
    dw 0x0b, 0x0a, 0x12                     ; initial RAM disk
    dw 0
    times 512 - ($ - $$) db 0
