; SPDX-License-Identifier: MIT
; elfwrap.asm - wraps the flat kernel.bin (linked at 1 MiB) in an ELF32
; executable with one segment, for Multiboot-1 loaders (QEMU -kernel, GRUB)
; build: nasm -f bin elfwrap.asm   (kernel.bin on the include path)
bits 32
org 0
ehdr:   db      0x7f, "ELF", 1, 1, 1, 0
        times   8 db 0
        dw      2, 3                    ; ET_EXEC, EM_386
        dd      1, 0x100000             ; version, entry
        dd      phdr, 0, 0              ; program headers, no sections, flags
        dw      52, 32, 1, 40, 0, 0
phdr:   dd      1, kernel, 0x100000, 0x100000   ; PT_LOAD
        dd      kernel_end-kernel, kernel_end-kernel, 7, 0x1000
        align   4096, db 0
kernel: incbin  "kernel.bin"
kernel_end:
