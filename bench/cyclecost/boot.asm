; SPDX-License-Identifier: MIT
; boot.asm - MBR: loads KSECT sectors from LBA 1 to 10000h with BIOS int 13h
; (extended read when the BIOS has it, else cylinder/head/sector), enables
; A20, enters protected mode, copies the kernel to 1 MiB and jumps there.
; build: nasm -f bin -DKSECT=<sectors of kernel.bin> boot.asm

bits 16
org 0x7c00

LOADSEG equ 0x1000

start:  cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        cld
        sti
        mov     [drive], dl

        mov     ah, 0x41                ; extensions present?
        mov     bx, 0x55aa
        int     0x13
        jc      .chs
        cmp     bx, 0xaa55
        jne     .chs
        test    cl, 1
        jz      .chs
        mov     byte [ext], 1
        jmp     .read
.chs:   mov     ah, 8                   ; geometry
        mov     dl, [drive]
        xor     di, di
        int     0x13
        jc      error
        xor     ax, ax
        mov     es, ax
        and     cx, 63
        mov     [spt], cx
        mov     dl, dh
        xor     dh, dh
        inc     dx
        mov     [heads], dx

.read:  mov     cx, KSECT
.next:  push    cx
        mov     dl, [drive]
        cmp     byte [ext], 0
        je      .byc
        mov     si, dap
        mov     ah, 0x42
        int     0x13
        jc      error
        jmp     .got
.byc:   mov     ax, [dap.lba]
        xor     dx, dx
        div     word [spt]
        mov     cx, dx
        inc     cx                      ; sector, from 1
        xor     dx, dx
        div     word [heads]
        mov     ch, al                  ; cylinder
        shl     ah, 6
        or      cl, ah
        mov     dh, dl                  ; head
        mov     dl, [drive]
        mov     es, [dap.seg]
        xor     bx, bx
        mov     ax, 0x0201
        int     0x13
        jc      error
.got:   add     word [dap.seg], 0x20
        inc     word [dap.lba]
        pop     cx
        loop    .next

        mov     ax, 0x2401              ; A20 by the BIOS, then by port 92h
        int     0x15
        in      al, 0x92
        or      al, 2
        and     al, 0xfe
        out     0x92, al

        cli
        lgdt    [gdtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     0x08:pm

error:  mov     si, msg
.l:     lodsb
        test    al, al
        jz      $
        mov     ah, 0x0e
        mov     bx, 7
        int     0x10
        jmp     .l

bits 32
pm:     mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esi, LOADSEG*16
        mov     edi, 0x100000
        mov     ecx, KSECT*128
        rep     movsd
        mov     eax, 0x100000
        jmp     eax

align 4
dap:    db      16, 0
        dw      1                       ; sectors
        dw      0
.seg:   dw      LOADSEG
.lba:   dq      1
gdt:    dq      0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:   dw      23
        dd      gdt
drive:  db      0
ext:    db      0
spt:    dw      0
heads:  dw      0
msg:    db      "disk error", 0

        times   446-($-$$) db 0
        db      0x80, 0, 2, 0, 0x0c, 0, 0xff, 0 ; one active partition entry,
        dd      1, KSECT                        ; for BIOSes that want one
        times   510-($-$$) db 0
        dw      0xaa55
