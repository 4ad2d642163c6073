; SPDX-License-Identifier: MIT
; 32-bit protected mode: gates, error codes, rings by TSS, segment limits and types, 32-bit and PAE paging,
; SYSENTER, a visit to real mode and back (SDM vol. 3, chapters 3 to 6 and 9).
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK equ 0x1f0000
USTACK equ 0x1d0000
PD    equ 0x100000
PT    equ 0x101000
PDPT  equ 0x102000
PAE_PD equ 0x103000
TSS   equ 0x106000
IDT   equ 0x107000
CODE equ 0x08
DATA equ 0x10
UCODE equ 0x18
UDATA equ 0x20
SMALL equ 0x28                              ; data, base 400000h, limit FFh
DOWN  equ 0x30                              ; expand-down data, offsets above FFFh
RODATA equ 0x38
TSSSEL equ 0x40
CODE16 equ 0x48
DATA16 equ 0x50
ABSENT equ 0x58

%include "guest32.inc"

start:
    ENTER_FLAT
    LOAD_TSS STACK - 0x8000

    call segments
    call rings
    call paging32
    call paging_pae
    call sysenter_test
    call real_mode
    jmp power_off

; --- segments ---
segments:
    mov ax, SMALL
    mov fs, ax
    mov dword [0x4000fc], 0x12345678
    CHECK "small-read", [fs:0xfc], 0x12345678
    EXPECT_FAULT 13, .limit
    mov eax, [fs:0xfd]
.limit:
    CHECK "limit-error", [got_error], 0
    mov ax, DOWN
    mov fs, ax
    mov eax, [fs:0x1000]
    EXPECT_FAULT 13, .down
    mov eax, [fs:0xffc]
.down:
    mov ax, RODATA
    mov fs, ax
    mov eax, [fs:0]
    EXPECT_FAULT 13, .ro
    mov [fs:0], eax
.ro:
    EXPECT_FAULT 13, .code                  ; code segments cannot be written
    mov [cs:0x300000], eax
.code:
    EXPECT_FAULT 11, .absent
    mov ax, ABSENT
    mov fs, ax
.absent:
    CHECK "absent-error", [got_error], ABSENT
    EXPECT_FAULT 13, .null
    xor ax, ax
    mov fs, ax
    mov eax, [fs:0]
.null:
    EXPECT_FAULT 13, .null_ss
    xor ax, ax
    mov ss, ax
.null_ss:
    mov ax, DATA
    mov fs, ax
    ; PUSHA and POPA
    mov eax, 1
    mov ecx, 2
    mov edx, 3
    mov ebx, 4
    mov ebp, 5
    mov esi, 6
    mov edi, 7
    pusha
    xor eax, eax
    xor edi, edi
    mov ebp, 99
    popa
    CHECK "popa-edi", edi, 7
    CHECK "popa-ebp", ebp, 5
    ; BOUND and INTO
    EXPECT_FAULT 5, .bound
    mov eax, 11
    bound eax, [limits]
.bound:
    EXPECT_FAULT 4, .into
    mov al, 127
    add al, 1
    into
.into:
    ; decimal adjustment
    mov al, 0x19
    add al, 0x28
    daa
    movzx eax, al
    CHECK "daa", eax, 0x47
    ; LAR, LSL, VERR, VERW
    mov bx, SMALL
    lsl eax, bx
    CHECK "lsl", eax, 0xff
    mov bx, RODATA
    verw bx
    setz al
    verr bx
    setz ah
    movzx eax, ax
    CHECK "verr-verw", eax, 0x100
    ; 16-bit address size wraps at 64 KiB; 16-bit operands leave the high half
    mov ebx, 0x12340010
    mov dword [0x0500], 0xcafe
    mov bx, 0x04f0
    mov ax, [bx + 0x10]
    a16 mov eax, [bx + 0x10]
    CHECK "a16", eax, 0xcafe
    ret

; --- rings ---
rings:
    EXPECT_FAULT 0x80, .back
    push UDATA | 3
    push USTACK
    push 0x202
    push UCODE | 3
    push .user
    iret
.user:
    push eax
    int 0x80
.after:
.back:
    CHECK "user-eip", [got_eip], .after
    CHECK "user-cs", [got_cs], UCODE | 3
    CHECK "user-esp", [got_esp], USTACK - 4
    mov ax, DATA                            ; IRET to ring 3 made them null
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    EXPECT_FAULT 13, .io
    push UDATA | 3
    push USTACK
    push 0x202
    push UCODE | 3
    push .user_io
    iret
.user_io:
    in al, 0x21
.io:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    ret

; --- 32-bit paging ---
paging32:
    mov edi, PD
    xor eax, eax
    mov ecx, 2048
    rep stosd
    mov dword [PD], 0x87                    ; 4 MiB pages: 0 and 4 MiB
    mov dword [PD + 4], 0x400087
    mov dword [PD + 8], PT | 7
    mov dword [PT], 0x400000 | 5
    mov eax, cr4
    or eax, 0x10                            ; PSE
    mov cr4, eax
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000
    mov cr0, eax
    mov dword [0x400010], 0x600dcafe
    CHECK "4k-page", [0x800010], 0x600dcafe
    EXPECT_FAULT 14, .ro
    mov byte [0x800010], 1
.ro:
    CHECK "32-pf-error", [got_error], 3
    EXPECT_FAULT 14, .none
    mov al, [0x801000]
.none:
    mov eax, cr2
    CHECK "32-cr2", eax, 0x801000
    mov eax, [PD + 4]
    and eax, 0x60
    CHECK "4m-dirty", eax, 0x60
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

; --- PAE, with NX ---
paging_pae:
    mov edi, PDPT
    xor eax, eax
    mov ecx, 2048
    rep stosd
    mov dword [PDPT], PAE_PD | 1
    mov dword [PAE_PD], 0x87
    mov dword [PAE_PD + 8], 0x200087
    mov dword [PAE_PD + 16], 0x400087
    mov dword [PAE_PD + 16 + 4], 0x80000000 ; no execution
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x800
    wrmsr
    mov eax, PDPT
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000
    mov cr0, eax
    mov byte [0x400000], 0xc3
    EXPECT_FAULT 14, .nx
    mov eax, 0x400000
    call eax
.nx:
    CHECK "pae-nx", [got_error], 0x11
    ; the entries of the PDPT are registers: a store changes nothing until CR3 is loaded
    mov dword [PDPT + 8], 0x1e7             ; malformed when present
    mov eax, [0x400000]
    EXPECT_FAULT 13, .pdpte
    mov eax, cr3
    mov cr3, eax
.pdpte:
    mov dword [PDPT + 8], 0
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov eax, cr4
    and eax, ~0x20
    mov cr4, eax
    ret

; --- SYSENTER, SYSEXIT ---
sysenter_test:
    mov ecx, 0x174
    mov eax, CODE
    xor edx, edx
    wrmsr
    mov ecx, 0x175
    mov eax, STACK - 0x4000
    wrmsr
    mov ecx, 0x176
    mov eax, .kernel
    wrmsr
    mov [saved_esp], esp
    ; to ring 3 by SYSEXIT: CS = CODE + 16, SS = CODE + 24
    mov ecx, USTACK
    mov edx, .user
    sysexit
.user:
    mov ebx, esp
    sysenter
.kernel:
    CHECK "sysexit-esp", ebx, USTACK
    CHECK "sysenter-esp", esp, STACK - 0x4000 - 8 ; CHECK has pushed two
    mov ax, cs
    movzx eax, ax
    CHECK "sysenter-cs", eax, CODE
    mov esp, [saved_esp]
    mov ax, DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    ret

; --- real mode and back ---
real_mode:
    mov [saved_esp], esp
    mov esi, real_start
    mov edi, 0x8000
    mov ecx, real_end - real_start
    rep movsb
    lidt [real_idt]
    ; the real-mode vector of INT 40h
    mov dword [0x40 * 4], 0x8000 + (real_int - real_start)
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    jmp CODE16:0x8000
real_return:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov esp, [saved_esp]
    lidt [idt_pointer]
    CHECK "real-int", [0x7000], 0x4d
    CHECK "real-segment", [0x7004], 0xbeef
    ret

    bits 16
real_start:
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp 0:0x8000 + (.real - real_start)
.real:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7f00
    int 0x40
    mov [0x7000], al
    mov byte [0x7001], 0
    mov word [0x7002], 0
    ; 7000h:0 is linear 70000h
    mov ax, 0x7000
    mov es, ax
    mov word [es:0], 0xbeef
    mov ax, 0x6fff
    mov fs, ax
    mov ax, [fs:0x10]
    mov [0x7004], ax
    mov word [0x7006], 0
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword CODE:real_return
real_int:
    mov al, 0x4d
    iret
real_end:

    RUNTIME32
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dq 0x00409340000000ff
    dq 0x00c0970000000000
    dq 0x00cf91000000ffff
    dq 0x0000890000000067 | ((TSS & 0xffffff) << 16)
    dq 0x00009b000000ffff
    dq 0x000093000000ffff
    dq 0x00cf13000000ffff
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
real_idt: dw 0x3ff
    dd 0
limits: dd 0, 10
saved_esp: dd 0
    align 4096
load_end:
