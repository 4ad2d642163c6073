; SPDX-License-Identifier: MIT
; kernel.asm - `cyclecost`, the bare-metal guest: 64-bit long mode, identity
; paging with 4 KiB pages, own GDT/IDT/TSS, COM1 polled at 115200 8N1, no
; interrupts (IF stays 0). Flat binary at 1 MiB, entered in 32-bit protected
; mode at its first byte, either by the MBR (boot.asm) or by a Multiboot-1
; loader (elfwrap.asm makes the ELF32 file).
; build: nasm -f bin -DSCALE=100 kernel.asm
;
; Physical memory (32 MiB are enough)
;   100000 this file               200000 page tables
;   1e0000 top of the user stack   300000 page that backs the fault window
;   1f0000 top of the stack        400000 BUF_A, 600000 BUF_C, 611000 BUF_B,
;                                  800000 CRCTAB
;  1000000 CHASE, 16 MiB
; Virtual: 0..64 MiB identity; 40000000 +2 MiB = window for page faults

org 0x100000

BUF_A    equ 0x400000
BUF_B    equ 0x611000                   ; no TLB conflict with BUF_A ...
BUF_C    equ 0x600000                   ; ... but this one has one (ldstalias)
CRCTAB   equ 0x800000
CHASE    equ 0x1000000

KSTACK   equ 0x1f0000
USTACK   equ 0x1e0000
PML4     equ 0x200000
PDPT     equ 0x201000
PD0      equ 0x202000
PD1      equ 0x203000                   ; for the window at 1 GiB
PTW      equ 0x204000                   ; page table of the window
PT0      equ 0x210000                   ; 32 page tables: 64 MiB
FRAME    equ 0x300000
WINDOW   equ 0x40000000

SEL_K64  equ 0x08                       ; order fixed by SYSCALL/SYSRET
SEL_KD   equ 0x10
SEL_UD   equ 0x20
SEL_U64  equ 0x28
SEL_K32  equ 0x30
SEL_TSS  equ 0x38

COM1     equ 0x3f8

; =========================================================== 32-bit entry ==
bits 32
entry:  jmp     start32
        align 4
multiboot:
        dd      0x1badb002, 0, -0x1badb002

start32:
        cli
        cld
        mov     esp, KSTACK
        lgdt    [gdtr]
        jmp     SEL_K32:.cs
.cs:    mov     eax, SEL_KD
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     fs, eax
        mov     gs, eax

        mov     edi, PML4               ; clear all tables
        mov     ecx, (PT0+32*4096-PML4)/4
        xor     eax, eax
        rep     stosd
        mov     dword [PML4], PDPT+7    ; present, writable, user
        mov     dword [PDPT], PD0+7
        mov     dword [PDPT+8], PD1+7
        mov     dword [PD1], PTW+7
        mov     edi, PD0                ; 32 page tables ...
        mov     eax, PT0+7
        mov     ecx, 32
.pd:    mov     [edi], eax
        add     edi, 8
        add     eax, 4096
        loop    .pd
        mov     edi, PT0                ; ... of 512 pages each
        mov     eax, 7
        mov     ecx, 32*512
.pt:    mov     [edi], eax
        add     edi, 8
        add     eax, 4096
        loop    .pt

        mov     eax, 0x620              ; CR4: PAE, OSFXSR, OSXMMEXCPT
        mov     cr4, eax
        mov     eax, PML4
        mov     cr3, eax
        mov     ecx, 0xc0000080         ; EFER: SCE, LME
        rdmsr
        or      eax, 0x101
        wrmsr
        mov     eax, cr0                ; PG, WP, NE, MP, PE; not EM, TS, CD, NW
        and     eax, ~0x6000000c
        or      eax, 0x80010023
        mov     cr0, eax
        jmp     SEL_K64:start64

; =================================================================== 64-bit ==
bits 64
start64:
        mov     esp, KSTACK
        fninit
        mov     al, 0xff                ; mask both PICs
        out     0x21, al
        out     0xa1, al
        ; 115200 8N1, no FIFO, no interrupts
        mov     dx, COM1+1
        xor     eax, eax
        out     dx, al
        mov     dx, COM1+3
        mov     al, 0x80
        out     dx, al
        mov     dx, COM1
        mov     al, 1
        out     dx, al
        mov     dx, COM1+1
        xor     eax, eax
        out     dx, al
        mov     dx, COM1+3
        mov     al, 3
        out     dx, al
        mov     dx, COM1+2
        xor     eax, eax
        out     dx, al
        mov     dx, COM1+4
        mov     al, 3
        out     dx, al

        ; IDT: all vectors to a reporter, then the three used ones
        lea     rbx, [rel idt]
        lea     rax, [rel trap_stubs]
        xor     ecx, ecx
.idt:   mov     dl, 0x8e
        call    set_gate
        add     rax, trap_stub_size
        inc     ecx
        cmp     ecx, 32
        jb      .idt
        lea     rax, [rel pf_entry]
        mov     ecx, 14
        mov     dl, 0x8e
        call    set_gate
        lea     rax, [rel int40_entry]
        mov     ecx, 0x40
        mov     dl, 0x8e
        call    set_gate
        lea     rax, [rel int80_entry]
        mov     ecx, 0x80
        mov     dl, 0xee                ; DPL 3
        call    set_gate
        lidt    [rel idtr]

        ; TSS: only RSP0 is used
        lea     rax, [rel tss]
        mov     qword [rax+4], KSTACK-0x8000
        lea     rdi, [rel gdt_tss]
        mov     [rdi+2], ax
        shr     rax, 16
        mov     [rdi+4], al
        mov     [rdi+7], ah
        mov     eax, SEL_TSS
        ltr     ax

        ; SYSCALL: kernel CS 08 (SS 10), user base 18 (SS 20, CS 28)
        mov     ecx, 0xc0000081
        xor     eax, eax
        mov     edx, 0x001b0008
        wrmsr
        mov     ecx, 0xc0000082
        lea     rax, [rel syscall_entry]
        xor     edx, edx
        wrmsr
        mov     ecx, 0xc0000084         ; SFMASK: IF, DF, TF
        mov     eax, 0x700
        xor     edx, edx
        wrmsr
        mov     ecx, 0xc0000101         ; GS base (user) 0
        xor     eax, eax
        xor     edx, edx
        wrmsr
        mov     ecx, 0xc0000102         ; kernel GS base: percpu
        lea     rax, [rel percpu]
        xor     edx, edx
        wrmsr

        lea     rsi, [rel msg_hello]
        call    puts
        call    newline
        lea     rbp, [rel table]
        lea     rbx, [rel table_end]
        call    run_table
        lea     rsi, [rel msg_halt]
        call    puts
        call    newline

        ; leave: isa-debug-exit, ACPI of QEMU (i440fx) and of Bochs, the Bochs
        ; shutdown port, then stop for good
        mov     dx, 0xf4
        xor     eax, eax
        out     dx, al
        mov     dx, 0x604
        mov     eax, 0x2000
        out     dx, ax
        mov     dx, 0xb004
        out     dx, ax
        lea     rsi, [rel msg_shutdown]
        mov     dx, 0x8900
        mov     ecx, 8
        rep     outsb
.stop:  cli
        hlt
        jmp     .stop

set_gate:                               ; rbx = IDT, ecx = vector, rax = handler,
        push    rcx                     ; dl = type
        shl     ecx, 4
        add     rcx, rbx
        mov     [rcx], ax
        mov     word [rcx+2], SEL_K64
        mov     byte [rcx+4], 0
        mov     [rcx+5], dl
        push    rax
        shr     rax, 16
        mov     [rcx+6], ax
        shr     rax, 16
        mov     [rcx+8], eax
        mov     dword [rcx+12], 0
        pop     rax
        pop     rcx
        ret

; ------------------------------------------------------------------ console --
putc:                                   ; al
        push    rax
        push    rdx
        push    rax
        mov     dx, COM1+5
.w:     in      al, dx
        test    al, 0x20
        jz      .w
        pop     rax
        mov     dx, COM1
        out     dx, al
        pop     rdx
        pop     rax
        ret

flush:                                  ; until the shift register is empty
        push    rax
        push    rdx
        mov     dx, COM1+5
.w:     in      al, dx
        test    al, 0x40
        jz      .w
        pop     rdx
        pop     rax
        ret

%include "driver.inc"
%include "sections.inc"

; ------------------------------------------------- unexpected exceptions --
trap_stub_size equ 10                   ; 5 bytes each instruction
trap_stubs:
%assign v 0
%rep 32
        push    strict dword v
        jmp     strict near trap_report
%assign v v+1
%endrep
trap_report:                            ; prints "X <vector>" and stops
        lea     rsi, [rel msg_trap]
        call    puts
        pop     rax
        call    putdec
        call    newline
        cli
        hlt
        jmp     $-2

; -------------------------------------------------------- int n, ring 0 --
INT40_IT equ IT(60000)
align 64
sec_int0:
        xor     ebx, ebx
        mov     ecx, INT40_IT
.l:
%rep 4
        int     0x40
%endrep
        dec     ecx
        jnz     .l
        mov     rax, rbx
        mov     rdx, INT40_IT*(4*3+2)
        ret
int40_entry:
        inc     rbx
        iretq

; ----------------------------------- round trips from ring 3 to ring 0 --
%macro to_user 1                        ; continue at %1 in ring 3
        mov     [rel saved_rsp], rsp
        push    SEL_UD|3
        push    USTACK
        push    2                       ; RFLAGS, IF=0
        push    SEL_U64|3
        lea     rax, [rel %1]
        push    rax
        iretq
%endmacro

INT80_IT equ IT(60000)
align 64
sec_int80:
        xor     ebx, ebx
        mov     ecx, INT80_IT
        to_user .user
align 32
.user:
%rep 4
        int     0x80
%endrep
        dec     ecx
        jnz     .user
        mov     eax, 1                  ; back to the section's caller
        syscall
.back:  mov     rax, rbx
        mov     rdx, INT80_IT*(4*3+2)
        ret
int80_entry:
        inc     rbx
        iretq

SYSCALL_IT equ IT(250000)
align 64
sec_syscall:
        xor     ebx, ebx
        xor     eax, eax
        mov     r12d, SYSCALL_IT
        to_user .user
align 32
.user:  xor     eax, eax
%rep 4
        syscall
%endrep
        dec     r12d
        jnz     .user
        mov     eax, 2
        syscall
.back:  mov     rax, rbx
        mov     rdx, SYSCALL_IT*(4*14+3)
        ret

; a kernel-like entry: swapgs, own stack, save, work, restore
align 64
syscall_entry:
        swapgs
        mov     [gs:8], rsp
        mov     rsp, [gs:0]
        push    rcx
        push    r11
        inc     rbx
        test    eax, eax
        jnz     .leave
        pop     r11
        pop     rcx
        mov     rsp, [gs:8]
        swapgs
        o64 sysret
.leave: swapgs
        mov     rsp, [rel saved_rsp]
        cmp     eax, 1
        je      sec_int80.back
        jmp     sec_syscall.back

; -------------------------------------------------- page fault and handler --
; each round touches a page that is not present; the handler enters the PTE;
; the loop then removes it again. Completed instructions per fault: 12 in the
; handler, 7 in the loop (the faulting attempt itself does not complete)
FAULT_IT equ IT(200)
align 64
sec_pagefault:
        mov     r8d, FAULT_IT
        mov     qword [FRAME], 0
.rep:   mov     rbx, WINDOW
        mov     rdi, PTW
        mov     ecx, 512
.l:     add     qword [rbx], 1          ; faults, then runs
        mov     qword [rdi], 0
        invlpg  [rbx]
        add     rbx, 4096
        add     rdi, 8
        dec     ecx
        jnz     .l
        dec     r8d
        jnz     .rep
        mov     rax, [FRAME]
        mov     rdx, FAULT_IT*(512*19+5)
        ret
align 64
pf_entry:
        push    rax
        push    rdx
        mov     rax, cr2
        mov     edx, eax
        shr     edx, 12
        and     edx, 511
        mov     qword [PTW+rdx*8], FRAME+7
        invlpg  [rax]
        pop     rdx
        pop     rax
        add     rsp, 8
        iretq

; -------------------------------------- CR3 reload and 64 pages touched --
CR3_IT equ IT(60000)
align 64
sec_cr3reload:
        mov     ecx, CR3_IT
        mov     rsi, BUF_A
        mov     rdx, cr3
        xor     eax, eax
align 32
.l:     mov     cr3, rdx
%assign o 0
%rep 64
        add     eax, [rsi+o]
%assign o o+4096
%endrep
        dec     ecx
        jnz     .l
        mov     rdx, CR3_IT*(64+3)
        ret

; ------------------------------------------------------------ I/O port read --
IOREAD_IT equ IT(50000)
align 64
sec_ioread:
        mov     ecx, IOREAD_IT
align 32
.l:
%rep 8
        in      al, 0x61
%endrep
        dec     ecx
        jnz     .l
        xor     eax, eax                ; the value is not part of the checksum
        mov     rdx, IOREAD_IT*(8+2)
        ret

align 8
table:
        TABLE_COMMON
        ENTRY   "int0",       setup_none,   sec_int0,      INT40_IT*4, "trip"
        ENTRY   "int80",      setup_none,   sec_int80,     INT80_IT*4, "trip"
        ENTRY   "syscall",    setup_none,   sec_syscall,   SYSCALL_IT*4, "trip"
        ENTRY   "pagefault",  setup_none,   sec_pagefault, FAULT_IT*512, "fault"
        ENTRY   "cr3reload",  setup_crc,    sec_cr3reload, CR3_IT, "reload"
        ENTRY   "ioread",     setup_none,   sec_ioread,    IOREAD_IT*8, "in"
table_end:

msg_hello:    db "cyclecost", 0
msg_halt:     db "HALT", 0
msg_trap:     db "X ", 0
msg_shutdown: db "Shutdown"

align 16
gdt:    dq      0
        dq      0x00af9b000000ffff      ; 08 ring 0 code, 64-bit
        dq      0x00cf93000000ffff      ; 10 ring 0 data
        dq      0x00cffb000000ffff      ; 18 ring 3 code, 32-bit (SYSRET base)
        dq      0x00cff3000000ffff      ; 20 ring 3 data
        dq      0x00affb000000ffff      ; 28 ring 3 code, 64-bit
        dq      0x00cf9b000000ffff      ; 30 ring 0 code, 32-bit
gdt_tss: dq     0x0000890000000067, 0   ; 38 TSS, base filled in at start
gdt_end:
gdtr:   dw      gdt_end-gdt-1
        dq      gdt
idtr:   dw      256*16-1
        dq      idt
align 16
percpu: dq      KSTACK-0x4000, 0        ; kernel stack for SYSCALL, saved RSP
saved_rsp: dq   0
align 16
tss:    times   104 db 0
align 16
idt:    times   256*16 db 0
        align   512, db 0
kernel_end:
