; SPDX-License-Identifier: MIT
; Paging in long mode: rights, accessed and dirty bits, page sizes, stale translations
; (SDM vol. 3, chapter 4). The window is 2 MiB at 40000000h, mapped by a page table of ours.
%include "guest64.inc"
    bits 64
PT   equ 0x110000
PD2  equ 0x111000
DATA equ 0x120000
WIN  equ 0x40000000
%define PTE(n) [PT + (n) * 8]
main:
    mov qword [PDPT + 8], PD2 | 7
    mov qword [PD2], PT | 7
    mov qword PTE(0), DATA | 7
    mov qword [DATA], 0x1111
    mov qword [DATA + 0x1000], 0x2222
    mov rax, [WIN]
    CHECK "read", rax, 0x1111
    ; a read sets A in the leaf, not D; a write sets D
    mov rax, PTE(0)
    and eax, 0x60
    CHECK "accessed", rax, 0x20
    mov qword [WIN], 0x3333
    mov rax, PTE(0)
    and eax, 0x60
    CHECK "dirty", rax, 0x60
    mov rax, [PD2]
    and eax, 0x20
    CHECK "accessed-pd", rax, 0x20
    ; remap and INVLPG
    mov qword PTE(0), (DATA + 0x1000) | 7
    invlpg [WIN]
    mov rax, [WIN]
    CHECK "remapped", rax, 0x2222
    ; A cleared by the guest is set again by the next access after INVLPG
    and qword PTE(0), ~0x60
    invlpg [WIN]
    mov rax, [WIN]
    mov rax, PTE(0)
    and eax, 0x60
    CHECK "accessed-again", rax, 0x20

    ; read-only: CR0.WP decides for the supervisor
    mov qword PTE(0), DATA | 5
    invlpg [WIN]
    EXPECT_FAULT 14, .ro
    mov byte [WIN], 1
.ro:
    CHECK "ro-error", [got_error], 3
    mov rax, cr0
    btr rax, 16
    mov cr0, rax
    mov byte [WIN], 1
    bts rax, 16
    mov cr0, rax
    EXPECT_FAULT 14, .ro2
    mov byte [WIN], 1
.ro2:

    ; no-execute
    mov byte [DATA], 0xc3
    mov rax, (1 << 63) | DATA | 7
    mov PTE(0), rax
    invlpg [WIN]
    EXPECT_FAULT 14, .nx
    mov rax, WIN
    call rax
.nx:
    CHECK "nx-error", [got_error], 0x11
    mov qword PTE(0), DATA | 7
    invlpg [WIN]
    mov rax, WIN
    call rax

    ; reserved bit
    mov rax, (1 << 51) | DATA | 7
    mov PTE(0), rax
    invlpg [WIN]
    EXPECT_FAULT 14, .rsvd
    mov al, [WIN]
.rsvd:
    CHECK "rsvd-error", [got_error], 9

    ; SMEP and SMAP: the supervisor and user pages
    mov qword PTE(0), DATA | 7
    invlpg [WIN]
    mov rax, cr4
    bts rax, 20
    ; the guest's own pages must be the supervisor's then
    call supervisor_code
    mov cr4, rax
    EXPECT_FAULT 14, .smep
    mov rbx, WIN
    call rbx
.smep:
    CHECK "smep-error", [got_error], 0x11
    bts rax, 21
    mov cr4, rax
    EXPECT_FAULT 14, .smap
    mov bl, [WIN]
.smap:
    CHECK "smap-error", [got_error], 1
    stac
    mov bl, [WIN]
    clac
    EXPECT_FAULT 14, .smap2
    mov byte [WIN], 0xc3
.smap2:
    CHECK "smap-write-error", [got_error], 3
    btr rax, 20
    btr rax, 21
    mov cr4, rax

    ; global pages survive MOV CR3 and not a toggle of CR4.PGE; here only that they work
    bts rax, 7
    mov cr4, rax
    mov qword PTE(1), (DATA + 0x1000) | 0x107
    mov rbx, [WIN + 0x1000]
    CHECK "global", rbx, 0x2222
    mov rbx, cr3
    mov cr3, rbx
    mov rbx, [WIN + 0x1000]
    CHECK "global-after-cr3", rbx, 0x2222

    ; a 2 MiB page and a 1 GiB page over the same memory
    mov qword [PD2 + 8], 0x000083 | 4
    mov rbx, [WIN + 0x200000 + DATA + 0x1000]
    CHECK "2m-page", rbx, 0x2222
    mov qword [PDPT + 3 * 8], 0x87
    mov rbx, 0xc0000000
    mov rbx, [rbx + DATA + 0x1000]
    CHECK "1g-page", rbx, 0x2222
    mov rbx, [PDPT + 3 * 8]
    and ebx, 0x20
    CHECK "1g-accessed", rbx, 0x20

    ; an operand across two pages that lie apart in memory
    mov qword PTE(2), DATA | 7
    mov qword PTE(3), (DATA + 0x3000) | 7
    mov dword [DATA + 0xffc], 0x55667788
    mov dword [DATA + 0x3000], 0x11223344
    mov rbx, [WIN + 0x2ffc]
    mov rcx, 0x1122334455667788
    CHECK "split-read", rbx, rcx
    mov rcx, 0xaabbccddeeff0011
    mov [WIN + 0x2ffc], rcx
    mov ebx, [DATA + 0xffc]
    CHECK "split-low", rbx, 0xeeff0011
    mov ebx, [DATA + 0x3000]
    CHECK "split-high", rbx, 0xaabbccdd
    ; when the second page is read-only nothing is written
    mov qword PTE(3), (DATA + 0x3000) | 5
    invlpg [WIN + 0x3000]
    EXPECT_FAULT 14, .split
    mov qword [WIN + 0x2ffc], 0
.split:
    CHECK "split-cr2", [got_cr2], WIN + 0x3000
    mov ebx, [DATA + 0xffc]
    CHECK "split-untouched", rbx, 0xeeff0011

    ; not canonical beats paging
    EXPECT_FAULT 13, .canon
    mov rax, 0x0000800000000000
    mov rax, [rax]
.canon:
    ret

; Makes the identity map supervisor-only, but for the window's tables.
supervisor_code:
    push rax
    mov rdi, PD
.next:
    and byte [rdi], 0xfb
    add rdi, 8
    cmp rdi, PD + 4096
    jne .next
    mov rax, cr3
    mov cr3, rax
    pop rax
    ret
%include "end.inc"
