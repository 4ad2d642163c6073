; SPDX-License-Identifier: MIT
; Real mode (SDM vol. 3, 20.1; vol. 2 for each instruction): exceptions through the table at IDTR without error codes,
; what only protected mode knows, big real mode, and the A20 gate by both its ways, for data, code and page tables.
; A firmware image, as `firmware` is.
%include "firmware.inc"

%macro RAISES 3+                            ; name, vector, instruction
    mov word [want], %%back
    mov [want_sp], sp
    mov word [vector], 0xffff
%%at:
    %3
%%back:
    CHECK %1, word [vector], %2
    CHECK {%1, " ip"}, word [got_ip], %%at
    CHECK {%1, " pushed"}, word [pushed], 6 ; no error code
%endmacro
%macro STAYS 2+                             ; name, instruction that nothing is wrong with
    mov word [want], failed
    mov si, %%name
    %2
    jmp %%on
%%name: db %1, 0
%%on:
%endmacro

; RAM at 500h
want     equ 0x500
want_sp  equ 0x502
vector   equ 0x504
got_ip   equ 0x506
got_flags equ 0x508
pushed   equ 0x50a
far_at   equ 0x510
cells    equ 0x600
magic    equ 0x50c                          ; INIT comes
MAGIC    equ 0x494e4954
NEW_IDT  equ 0x1000

start:
    cli
    jmp 0xf000:.low
.low:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    cmp dword [magic], MAGIC
    je after_init
    mov sp, 0x7c00
    call vectors
    call exceptions
    call not_here
    call far_pointers
    call table
    call big
    jmp init
after_init:
    call initialized
    call coprocessor
    call a20
    jmp power_off

; Vectors 0 to 31 lead to stubs that note their number.
vectors:
    xor di, di
    mov cx, 32
    mov ax, stubs
.next:
    mov [di], ax
    mov word [di + 2], 0xf000
    add di, 4
    add ax, stub_bytes
    loop .next
    ret

exceptions:
    xor cx, cx
    RAISES "de", 0, div cx
    RAISES "br", 5, bound cx, [cs:bounds]
    RAISES "ud", 6, ud2
    mov bx, 0xffff
    RAISES "gp", 13, mov ax, [bx]
    mov bp, 0xffff
    RAISES "ss", 12, mov ax, [bp]
    mov eax, 0x10000
    RAISES "gp 32", 13, mov bl, [eax]
    RAISES "beyond", 13, jmp eax
    mov di, 0xffff
    RAISES "movsw", 13, movsw
    RAISES "far beyond", 13, jmp dword 0xf000:0x10000
    RAISES "length", 13, times 15 db 0x2e
    db 0x90
    mov eax, cr0
    or al, 8                                ; TS
    mov cr0, eax
    RAISES "nm", 7, fnop
    clts
    ; traps push what is next; INT n, INT3, INTO and INT1 clear IF and TF
    mov word [want], .int3
    mov [want_sp], sp
    sti
    int3
.int3:
    CHECK "int3", word [vector], 3
    CHECK "int3 ip", word [got_ip], .int3
    mov ax, [got_flags]
    and ax, 0x200
    CHECK "int3 flags", ax, 0x200
    pushf
    pop ax
    and ax, 0x300
    CHECK "int3 if", ax, 0
    mov word [want], .into
    mov al, 0x7f
    add al, al
    into
.into:
    CHECK "into", word [vector], 4
    mov word [want], .step
    mov [want_sp], sp
    pushf
    pop ax
    or ax, 0x100
    push ax
    popf
    nop
.after_step:
    nop
.step:
    CHECK "tf", word [vector], 1
    CHECK "tf ip", word [got_ip], .after_step
    ; a 32-bit IRET takes twelve bytes, but for VM, VIF and VIP
    mov bx, sp
    pushfd
    or dword [esp], 0x1b0000 | 0x40000      ; RF, VM, AC, VIF, VIP
    push dword 0xf000
    push dword .ired
    iretd
.ired:
    CHECK "iretd sp", sp, bx
    pushfd
    pop eax
    shr eax, 16
    and ax, 0x3f
    CHECK "iretd flags", ax, 4              ; AC
    push dword 2
    popfd
    ret

; Instructions of protected mode alone.
not_here:
    RAISES "arpl", 6, arpl ax, bx
    RAISES "lar", 6, lar ax, bx
    RAISES "lsl", 6, lsl ax, bx
    RAISES "verr", 6, verr ax
    RAISES "verw", 6, verw ax
    RAISES "sldt", 6, sldt ax
    RAISES "str", 6, str ax
    RAISES "lldt", 6, lldt ax
    RAISES "ltr", 6, ltr ax
    RAISES "syscall", 6, syscall
    RAISES "sysret", 6, sysret
    RAISES "stac", 6, stac
    RAISES "sysenter", 13, sysenter
    RAISES "sysexit", 13, sysexit
    STAYS "clts", clts
    STAYS "smsw", smsw ax
    STAYS "sgdt", sgdt [cells]
    STAYS "invlpg", invlpg [cells]
    STAYS "wbinvd", wbinvd
    STAYS "cpuid", cpuid
    ret

far_pointers:
    mov dword [far_at], 0x12345678          ; any selector does
    lfs bx, [far_at]
    CHECK "lfs", bx, 0x5678
    mov ax, fs
    CHECK "fs", ax, 0x1234
    les bx, [far_at]
    mov ax, es
    CHECK "es", ax, 0x1234
    mov word [es:0], 0x6655                 ; 12340h
    lgs bx, [far_at]
    CHECK "gs", word [gs:0], 0x6655
    xor ax, ax
    mov es, ax
    RAISES "lss of a register", 6, db 0x0f, 0xb2, 0xc3
    ret

; IDTR elsewhere, and too short: #GP by way of it; when that one's vector is beyond as well, a double fault.
table:
    mov di, NEW_IDT
    xor si, si
    mov cx, 14 * 2
    cld
    rep movsw
    o32 lidt [cs:.long]
    RAISES "int beyond", 13, int 14
    o32 lidt [cs:.short]
    RAISES "int far beyond", 8, int 14
    lidt [cs:.old]
    ret
.long: dw 14 * 4 - 1
    dd NEW_IDT
.short: dw 9 * 4 - 1
    dd NEW_IDT
.old: dw 0x3ff
    dd 0

; Segments that protected mode has made 4 GiB long stay so when a selector is loaded in real mode, and so does a limit
; that is shorter.
big:
    o32 lgdt [cs:gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov fs, bx
    mov gs, bx
    mov bx, 16
    mov es, bx
    and al, 0xfe
    mov cr0, eax
    mov ax, 0x10
    mov fs, ax
    mov gs, ax
    mov es, ax
    mov eax, 0x200000
    mov word [fs:eax], 0x4321               ; at 200100h
    mov esi, 0x200000
    CHECK "big", word [gs:esi], 0x4321
    CHECK "based", word [gs:eax], 0x4321
    mov bx, 0xff
    STAYS "short ok", mov cl, [es:bx]
    RAISES "short", 13, mov cx, [es:bx]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 24                              ; 64 KiB again
    mov es, bx
    and al, 0xfe
    mov cr0, eax
    xor ax, ax
    mov es, ax
    xor eax, eax
    mov gs, ax
    ret

; INIT, by an IPI to itself: back to the reset vector, but memory, x87, SSE and most MSRs stay, and CR0.CD and NW (vol. 3,
; table 9-1).
init:
    mov ecx, 0xc0000103                     ; IA32_TSC_AUX
    mov eax, 0x5aa5
    xor edx, edx
    wrmsr
    fninit
    fldpi
    mov eax, cr0
    and eax, 0x9fffffff                     ; CD, NW
    or al, 0x22                             ; NE, MP
    mov cr0, eax
    mov eax, 0x12345678
    mov dr0, eax
    mov cr2, eax
    lidt [cs:table.short]
    mov dword [magic], MAGIC
    mov ebp, 0x5555
    mov esi, 0xfee00300
    mov dword [gs:esi], 0x4500              ; GS is big
.wait:
    jmp .wait
initialized:                                ; without any register changed that is looked at
    pop bx
    CHECK "ebp", bp, 0
    shr edx, 16
    CHECK "edx", dx, 2                      ; family and model
    mov sp, 0x7c00
    push bx
    mov eax, cr0
    CHECK "cr0", ax, 0x10
    shr eax, 16
    CHECK "cr0 high", ax, 0
    mov eax, dr0
    CHECK "dr0", ax, 0
    mov eax, cr2
    CHECK "cr2", ax, 0
    sidt [cells]
    CHECK "idt limit", word [cells], 0xffff
    mov ecx, 0xc0000103
    rdmsr
    CHECK "tsc_aux", ax, 0x5aa5
    fist word [cells]
    CHECK "st0", word [cells], 3
    mov dword [magic], 0
    mov eax, cr0                            ; big again
    or al, 1
    o32 lgdt [cs:gdt_pointer]
    mov cr0, eax
    mov bx, 8
    mov gs, bx
    and al, 0xfe
    mov cr0, eax
    xor ax, ax
    mov gs, ax
    ret

; An x87 error with CR0.NE clear, as after reset, is IRQ 13, which a BIOS has at vector 75h; see `ferr`.
coprocessor:
    mov ecx, 0x1b                           ; the local APIC off: INTR is the 8259A's
    rdmsr
    and ax, 0xf7ff
    wrmsr
    mov si, .commands
.program:
    cs lodsb
    movzx dx, al
    cs lodsb
    out dx, al
    cmp si, .commands_end
    jne .program
    mov word [0x75 * 4], .irq
    mov word [0x75 * 4 + 2], 0xf000
    mov word [cells], 0
    fninit
    fldcw [cs:.unmasked]
    fld1
    fldz
    fdivp
    sti
.wait:
    fld1
    cli
    CHECK "irq 13", word [cells], 1
    CHECK "irq 13 ip", word [cells + 2], .wait
    fnstsw ax
    and ah, 0x38
    CHECK "on the stack", ah, 0x28          ; 1, 0, and the one that waited
    fninit
    ret
.irq:
    push ax
    inc word [cells]
    push bp
    mov bp, sp
    mov ax, [bp + 4]
    mov [cells + 2], ax
    pop bp
    out 0xf0, al
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    fnclex
    pop ax
    iret
.commands: db 0x20, 0x11, 0xa0, 0x11, 0x21, 0x08, 0xa1, 0x70, 0x21, 4, 0xa1, 2, 0x21, 1, 0xa1, 1, 0x21, 0xfb, 0xa1, 0xdf
.commands_end:
.unmasked: dw 0x37b

; FS:500h is 100500h, GS is big and begins at 0.
a20:
    mov ax, 0xffff
    mov fs, ax
    call .open
    mov word [cells], 0x1111
    mov word [fs:cells + 0x10], 0x2222
    CHECK "open", word [cells], 0x1111
    mov al, 0xd1                            ; by the keyboard controller: its output port
    call .command
    mov al, 0xdd
    out 0x60, al
    call .wait
    CHECK "8042 closes", word [fs:cells + 0x10], 0x1111
    mov esi, 0x100000 + cells
    CHECK "big is closed, too", word [gs:esi], 0x1111
    mov esi, 0x300000 + cells
    mov word [gs:esi], 0x3333               ; 200600h
    call .open_8042
    CHECK "8042 opens", word [fs:cells + 0x10], 0x2222
    mov esi, 0x200000 + cells
    CHECK "stored below", word [gs:esi], 0x3333
    ; code at 100700h and 700h
    mov dword [0x700], 0xcb0001b8           ; MOV AX, 1; RETF
    mov dword [fs:0x710], 0xcb0002b8
    call 0xffff:0x710
    CHECK "code open", ax, 2
    xor al, al
    out 0x92, al
    call 0xffff:0x710
    CHECK "code closed", ax, 1
    call .open
    call 0xffff:0x710
    CHECK "code open again", ax, 2
    ; page tables are read through it, and what they say goes through it
    mov edi, 0x8000                         ; 4 MiB one to one, but for 101000h at 5000h
    mov dword [gs:edi], 0x9003
    mov edi, 0x9000
    mov ecx, 1024
    mov eax, 3
.table:
    mov [gs:edi], eax
    add eax, 0x1000
    add edi, 4
    loop .table
    mov edi, 0x9000 + 5 * 4
    mov dword [gs:edi], 0x101003
    mov edi, 0x101010
    mov word [gs:edi], 0x5050
    mov word [0x1010], 0x4040
    xor al, al
    out 0x92, al
    mov eax, 0x108000                       ; 8000h while the gate is closed
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000001
    mov cr0, eax
    mov bx, [0x5010]
    mov eax, 0x8000
    mov cr3, eax
    call .open
    mov cx, [0x5010]
    mov eax, cr0
    and eax, 0x7ffffffe
    mov cr0, eax
    CHECK "page closed", bx, 0x4040
    CHECK "page open", cx, 0x5050
    ret
.open:
    mov al, 2
    out 0x92, al
    ret
.open_8042:
    mov al, 0xd1
    call .command
    mov al, 0xdf
    out 0x60, al
.wait:
    in al, 0x64
    test al, 2
    jnz .wait
    ret
.command:
    push ax
    call .wait
    pop ax
    out 0x64, al
    jmp .wait

stubs:
%assign v 0
%rep 32
    push word v
    jmp near noted
%assign v v + 1
%endrep
stub_bytes equ 5
noted:                                      ; vector, IP, CS, FLAGS
    pop word [vector]
    pop word [got_ip]
    mov [pushed], sp
    add sp, 2
    pop word [got_flags]
    push ax
    mov ax, [want_sp]
    sub ax, [pushed]
    add ax, 2
    mov [pushed], ax
    pop ax
    mov sp, [want_sp]
    jmp [want]

bounds: dw 1, 2
    align 8
gdt: dq 0
    dq 0x00cf93000000ffff
    dq 0x00009300000000ff
    dq 0x000093000000ffff
gdt_pointer: dw 31
    dd 0xf0000 + gdt
FIRMWARE_END
