; SPDX-License-Identifier: MIT
; A 32-bit kernel for tests of the debugger: a Multiboot ELF at 2 MiB with symbols and lines. It pages 4 MiB one to one,
; calls `outer`, which calls `inner` a hundred times, which stores what it was called with to `last`; then it powers off.

%define CODE 0x08
%define DATA 0x10

    section .text progbits alloc exec nowrite align=16
    bits 32
    align 4
    dd 0x1badb002, 0, -0x1badb002

    global start:function
start:
    cld
    mov esp, stack_top
    lgdt [gdt_pointer]
    jmp CODE:.flat
.flat:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, cr4
    or eax, 0x210                           ; PSE, OSFXSR
    mov cr4, eax
    mov dword [directory], 0x83
    mov eax, directory
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    global paged
paged:
    fldpi
    movd xmm1, esp
    xor ebp, ebp
    call outer
    mov dx, 0x604
    mov ax, 0x2000
    out dx, ax
    hlt

    global outer:function (outer_end - outer)
outer:
    push ebp
    mov ebp, esp
    push ebx
    mov ebx, 0
.next:
    push ebx
    call inner
    add esp, 4
    inc ebx
    cmp ebx, 100
    jne .next
    pop ebx
    leave
    ret
outer_end:

    global inner:function (inner_end - inner)
inner:
    push ebp
    mov ebp, esp
    mov eax, [ebp + 8]
    mov [last], eax
    leave
    ret
inner_end:

    section .data progbits alloc noexec write align=16
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    dw 23
    dd gdt
    global last:data 4
last: dd -1

    section .bss nobits alloc noexec write align=4096
directory: resb 4096
    resb 4096
stack_top:
