; SPDX-License-Identifier: MIT
; A guest for tests of the debugger. Its command line is "=LETTERS": one thing is done for each letter, in order;
; then it powers off. It takes no input but where W and H wait for some.
;
;     C  sums up its own code and prints the sum        S  stores and loads of several sizes in `area`
;     R  copies ten bytes by REP MOVSB                  B  calls `bump` a hundred thousand times
;     F  loads the x87 and the SSE registers            U  runs at CPL 3 for a while
;     W  spins until `go_on` is set or a byte comes     H  halts until a byte comes on COM1
;     T  triple fault    P  panics and spins    h  halts for ever    Q  powers off
;
; A Multiboot ELF at 2 MiB, in 64-bit mode. The first 4 MiB are mapped one to one, for CPL 0 but for `user_page`;
; ALIAS is mapped to physical ALIAS_PHYSICAL.

%define ALIAS          0x40000000
%define ALIAS_PHYSICAL 0x600000
%define CS64  0x08
%define DS64  0x10
%define UCS64 0x18
%define UDS64 0x20
%define TSS64 0x28
%define COM1  0x3f8

    section .text progbits alloc exec nowrite align=16
text_begin:
    bits 32
    align 4
    dd 0x1badb002, 0, -0x1badb002

    global start:function
start:
    cld
    mov esp, stack_top
    mov ebp, [ebx + 16]                     ; the command line
    mov dword [pml4], pdpt + 7
    mov dword [pdpt], pd + 7
    mov dword [pdpt + 8], pd_alias + 7
    mov dword [pd], 0x83
    mov dword [pd + 8], pt + 7              ; 2 to 4 MiB by pages
    mov dword [pd_alias], ALIAS_PHYSICAL | 0x83
    mov eax, 0x200000 | 3
    mov edi, pt
.page:
    mov [edi], eax
    add eax, 4096
    add edi, 8
    cmp edi, pt + 4096
    jne .page
    mov edi, user_page
    sub edi, 0x200000
    shr edi, 9
    or byte [pt + edi], 4                   ; user
    mov eax, cr4
    or eax, 1 << 5 | 1 << 9 | 1 << 10       ; PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov eax, pml4
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 8                          ; LME
    wrmsr
    mov eax, 0x80010033                     ; PG, WP, NE, ET, MP, PE
    mov cr0, eax
    lgdt [gdt_pointer]
    jmp CS64:start64

    bits 64
    global start64:function
start64:
    mov eax, DS64
    mov ss, eax
    mov ds, eax
    mov es, eax
    mov rsp, stack_top
    mov rax, tss
    mov [gdt + TSS64 + 2], ax
    shr rax, 16
    mov [gdt + TSS64 + 4], al
    mov [gdt + TSS64 + 7], ah
    mov qword [tss + 4], stack_top - 4096
    mov eax, TSS64
    ltr ax
    mov ebx, on_serial
    mov edi, idt + 0x24 * 16
    mov ecx, 0x8e00
    call set_gate
    mov ebx, on_system_call
    mov edi, idt + 0x80 * 16
    mov ecx, 0xee00
    call set_gate
    lidt [idt_pointer]
    mov esi, ports
.port:
    movzx edx, word [rsi]
    mov al, [rsi + 2]
    out dx, al
    add esi, 3
    cmp esi, ports_end
    jne .port
.find:                                      ; what comes after '='
    mov al, [rbp]
    test al, al
    jz power_off
    inc rbp
    cmp al, '='
    jne .find
    global next_letter:function
next_letter:
    movzx eax, byte [rbp]
    test al, al
    jz power_off
    inc rbp
    mov esi, letters
.look:
    cmp byte [rsi], 0
    je next_letter
    cmp al, [rsi]
    je .found
    add rsi, 9
    jmp .look
.found:
    call [rsi + 1]
    jmp next_letter

set_gate:                                   ; EBX handler, RDI gate, ECX type
    mov [rdi], bx
    mov word [rdi + 2], CS64
    mov [rdi + 4], cx
    shr ebx, 16
    mov [rdi + 6], bx
    ret

; --- C ---
    global checksum:function
checksum:
    mov esi, text_begin
    xor ebx, ebx
.next:
    movzx eax, byte [rsi]
    rol ebx, 1
    add ebx, eax
    inc esi
    cmp esi, text_end
    jne .next
    global checksum_done:function
checksum_done:
    mov ecx, 8
    mov dx, COM1
.digit:
    rol ebx, 4
    mov al, bl
    and al, 15
    add al, 'a'                             ; hexadecimal, from 'a'
    out dx, al
    loop .digit
    mov al, 10
    out dx, al
    ret

; --- S ---
    global stores:function
stores:
    mov dword [stores_begun], 1
store_byte:
    mov byte [area + 5], 0x11
store_same:
    mov byte [area + 5], 0x11
store_word:
    mov word [area + 9], 0x2233             ; bytes 9 and 10
store_quad:
    mov rax, 0x1122334455667788
    mov [area + 96], rax                    ; 96 to 103
load_dword:
    mov ecx, [area + 40]
load_byte:
    mov cl, [area + 20]
increment:
    inc byte [area + 30]
store_many:
    mov edi, area + 112
    mov ecx, 3
    mov eax, 0x0a0b0c0d
    rep stosd
stores_done:
    ret

; --- R ---
    global repeat:function
repeat:
    mov esi, source
    mov edi, target
    mov ecx, 10
repeat_insn:
    rep movsb
repeat_done:
    nop
    ret

; --- B ---
    global bumps:function
bumps:
    mov ecx, 100000
    xor ebx, ebx
.next:
    call bump
    loop .next
    ret

    global bump:function
bump:
    inc ebx
    mov [counter], ebx
    ret

; --- F ---
    global floats:function
floats:
    finit
    fld1
    fldpi
    movups xmm0, [vector]
    movups xmm15, [vector]
    ldmxcsr [mxcsr_value]
floats_done:
    nop
    ret

; --- U ---
    global user:function
user:
    mov [kernel_rsp], rsp
    push UDS64 | 3
    push user_stack_top
    push 0x202
    push UCS64 | 3
    push user_code
    iretq
    global on_system_call:function
on_system_call:
    mov eax, DS64
    mov ss, eax
    mov rsp, [kernel_rsp]
    ret

; --- W, H, h ---
    global spin:function
spin:
    mov dx, COM1 + 5
.look:
    cmp dword [go_on], 0
    jne .done
    in al, dx
    test al, 1
    jz .look
    mov dx, COM1
    in al, dx
.done:
    ret

    global halt:function
halt:
    mov dword [received], 0
    mov dx, COM1 + 1
    mov al, 1
    out dx, al                              ; an interrupt for each byte received
.wait:
    sti
halt_insn:
    hlt
halt_woken:
    cli
    cmp dword [received], 0
    je halt.wait
    ret

    global on_serial:function
on_serial:
    push rax
    push rdx
    mov dx, COM1
    in al, dx
    inc dword [received]
    mov al, 0x20
    out 0x20, al
    pop rdx
    pop rax
    iretq

    global halt_for_ever:function
halt_for_ever:
    cli
    hlt
    jmp halt_for_ever

; --- ends ---
    global triple_fault:function
triple_fault:
    lidt [no_idt]
    ud2

    global panic:function
panic:
    mov dx, 0x505
    mov al, 1
    out dx, al
panicked:
    jmp panicked

    global power_off:function
power_off:
    mov dx, 0x604                           ; PM1a_CNT: SLP_EN, type of S5
    mov ax, 0x2000
    out dx, ax
    jmp halt_for_ever
text_end:

    section .data progbits alloc noexec write align=4096
user_page:                                  ; code, data and stack of CPL 3
    global user_code:function
user_code:
    mov ecx, 1000
.next:
    inc dword [user_counter]
user_loop:
    loop user_code.next
    int 0x80
    align 8
user_counter: dd 0
    times 2048 - ($ - user_page) db 0
user_stack_top:
    times 4096 - ($ - user_page) db 0

gdt:
    dq 0
    dq 0x00af9b000000ffff                   ; 08 code, 64-bit
    dq 0x00cf93000000ffff                   ; 10 data
    dq 0x00affb000000ffff                   ; 18 user code, 64-bit
    dq 0x00cff3000000ffff                   ; 20 user data
    dq 0x0000890000000067, 0                ; 28 TSS
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dq gdt
idt_pointer:
    dw 256 * 16 - 1
    dq idt
no_idt:
    times 10 db 0
ports:                                      ; 8259A: vectors from 20h, IRQ 4 alone
%macro PORT 2
    dw %1
    db %2
%endmacro
    PORT 0x20, 0x11
    PORT 0xa0, 0x11
    PORT 0x21, 0x20
    PORT 0xa1, 0x28
    PORT 0x21, 4
    PORT 0xa1, 2
    PORT 0x21, 1
    PORT 0xa1, 1
    PORT 0x21, 0xef
    PORT 0xa1, 0xff
    PORT COM1 + 4, 0x0b                     ; DTR, RTS, OUT2
ports_end:
%macro LETTER 2
    db %1
    dq %2
%endmacro
letters:
    LETTER 'C', checksum
    LETTER 'S', stores
    LETTER 'R', repeat
    LETTER 'B', bumps
    LETTER 'F', floats
    LETTER 'U', user
    LETTER 'W', spin
    LETTER 'H', halt
    LETTER 'h', halt_for_ever
    LETTER 'T', triple_fault
    LETTER 'P', panic
    LETTER 'Q', power_off
    db 0
    align 16
vector:       dd 1.5, -2.0, 3.25, 4.0
source:       db "0123456789abcdef"
mxcsr_value:  dd 0x1fa0                     ; default, and PE
go_on:        dd 0
received:     dd 0
stores_begun: dd 0
counter:      dd 0
kernel_rsp:   dq 0
    align 16
area:         times 256 db 0
target:       times 16 db 0
tss:          times 104 db 0

    section .bss nobits alloc noexec write align=4096
pml4:     resb 4096
pdpt:     resb 4096
pd:       resb 4096
pd_alias: resb 4096
pt:       resb 4096
idt:      resb 4096
          resb 16384
stack_top:
