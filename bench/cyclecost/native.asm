; SPDX-License-Identifier: MIT
; native.asm - the unprivileged sections of `cyclecost` as a Linux x86-64
; program: the physical limit of the host, and the reference checksums.
; build: nasm -f elf64 native.asm && ld -N (text writable, for section smc)

global _start
section .bss
alignb 4096
BUF_A:  resb 0x200000
BUF_C:  resb 0x11000                    ; 2 MiB above BUF_A, as in the guest
BUF_B:  resb 0x101000
CRCTAB: resb 4096
CHASE:  resb 0x1000000
outbuf: resb 256
outlen: resq 1

section .text align=4096
bits 64
_start:
        cld
        mov     eax, 28                 ; madvise(CHASE, 16M, NOHUGEPAGE):
        mov     rdi, CHASE              ; the chase is meant to use 4K pages
        mov     esi, 0x1000000
        mov     edx, 15
        syscall
        mov     eax, 10                 ; mprotect(smc page, RWX)
        lea     rdi, [rel smc_fn]
        mov     esi, 4096
        mov     edx, 7
        syscall
        lea     rbp, [rel table]
        lea     rbx, [rel table_end]
        call    run_table
        lea     rsi, [rel msg_halt]
        call    puts
        call    flush
        mov     eax, 60
        xor     edi, edi
        syscall
msg_halt: db "HALT", 10, 0

putc:
        push    rcx
        push    rdx
        mov     rcx, [rel outlen]
        mov     rdx, outbuf
        mov     [rdx+rcx], al
        inc     rcx
        mov     [rel outlen], rcx
        pop     rdx
        pop     rcx
        ret

flush:
        push    rax
        push    rcx
        push    rdx
        push    rsi
        push    rdi
        push    r11
        mov     eax, 1
        mov     edi, 1
        mov     rsi, outbuf
        mov     rdx, [rel outlen]
        syscall
        mov     qword [rel outlen], 0
        pop     r11
        pop     rdi
        pop     rsi
        pop     rdx
        pop     rcx
        pop     rax
        ret

%include "driver.inc"
%include "sections.inc"
align 8
table:
        TABLE_COMMON
table_end:
