; SPDX-License-Identifier: MIT
; Virtual-8086 mode (SDM vol. 3, chapter 20), without its extensions (VME), which this CPU does not announce.
;
; On hardware code in this mode has segments as in real mode, with limits of 64 KiB, and privilege level 3. CLI, STI,
; PUSHF, POPF, INT n and IRET need IOPL 3, and fault with #GP(0) below; INT3 and INTO do not. IN and OUT ask the TSS's
; bitmap whatever IOPL is. Instructions that only protected mode knows are #UD. An event enters level 0, by a 32-bit
; or 16-bit gate: nine words are pushed, of which GS, FS, DS and ES come first, and these become null.
    bits 32
    org 0x200000
header:
    dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    dd header, header, load_end, load_end + 0x10000, start

STACK  equ 0x1f0000
STACK0 equ 0x1e0000
TSS    equ 0x110000                         ; with a map of all ports
TSS_V  equ 0x113000
IDT    equ 0x107000
CODE   equ 0x08
DATA   equ 0x10
UCODE  equ 0x18 | 3
TSSSEL equ 0x20
TASK_V equ 0x28
CONFORMING equ 0x30
LOW16  equ 0x38                             ; 16-bit code at level 0, for 16-bit gates
VSEG   equ 0x1000                           ; where the guest's guest is
VSTACK equ 0x2000
VES    equ 0x3000
MAP    equ 0x68                             ; in the TSS

%include "guest32.inc"

start:
    ENTER_FLAT
    mov edi, TSS
    xor eax, eax
    mov ecx, 0x4000 / 4
    rep stosd
    mov dword [TSS + 4], STACK0
    mov dword [TSS + 8], DATA
    mov word [TSS + 102], MAP
    mov byte [TSS + MAP + 0x2000], 0xff
    mov edi, TSS + MAP + 0x3f0 / 8          ; ports 3f0h to 3f7h may not be used
    mov byte [edi], 0xff
    mov ax, TSSSEL
    ltr ax
    call copy_code
    call entering
    call sensitive
    call allowed
    call ports
    call protected_only
    call limits
    call transfers
    call bad_gates
    call gate16
    call task
    jmp power_off

copy_code:
    mov esi, vm_code
    mov edi, VSEG * 16
    mov ecx, vm_end - vm_code
    rep movsb
    ret

; Goes to eax in the 8086, with IOPL bits of ebx; comes back where EXPECT_FAULT says.
enter_vm:
    add esp, 4
    push dword 0x6666                       ; GS
    push dword 0x5555                       ; FS
    push dword VSEG                         ; DS
    push dword VES                          ; ES
    push dword VSTACK
    push dword 0x12340100                   ; ESP: its upper half comes back, too
    or ebx, 0x20002
    push ebx
    push dword VSEG
    push eax
    iretd

; %1 name, %2 IOPL, %3 vector, %4 where, %5 where it stops
%macro VM 5
    mov [.esp], esp
    EXPECT_FAULT %3, %%back
    mov eax, %4 - vm_code
    mov ebx, %2 << 12
    call enter_vm
%%back:
    CHECK %1, [got_eip], %5 - vm_code
    CHECK {%1, "-cs"}, [got_cs], VSEG
    mov eax, [got_flags]
    and eax, 0x23000
    CHECK {%1, "-flags"}, eax, 0x20000 | %2 << 12
%endmacro
; Faults with #GP(0), respectively #UD
%macro VM_GP 3
    mov dword [got_error], -1
    VM %1, %2, 13, %3, %3
    CHECK {%1, "-error"}, [got_error], 0
%endmacro
%macro VM_UD 2
    VM %1, 0, 6, %2, %2
%endmacro
; Gets through to the INT3 behind it
%macro VM_OK 3
    VM %1, %2, 3, %3, %3_end
%endmacro
; In the copied code: a place that ends with INT3, and the place behind
%macro STOP 1
    int3
%1_end:
%endmacro

entering:
    VM_OK "enter", 0, v_enter
    CHECK "enter-esp", [got_esp], 0x12340100
    ; what is above it on the handler's stack
    CHECK "pushed-ss", [STACK0 - 20], VSTACK
    CHECK "pushed-es", [STACK0 - 16], VES
    CHECK "pushed-ds", [STACK0 - 12], VSEG
    CHECK "pushed-fs", [STACK0 - 8], 0x5555
    CHECK "pushed-gs", [STACK0 - 4], 0x6666
    mov ax, fs
    movzx eax, ax
    CHECK "fs-null", eax, 0
    mov ax, gs
    movzx eax, ax
    CHECK "gs-null", eax, 0
    CHECK "ax", esi, 0xbeef
    CHECK "es-read", edi, 0x7777
    CHECK "cs", ebp, VSEG
    ret
.esp: dd 0

sensitive:                                  ; IOPL 0
    VM_GP "cli", 0, v_cli
    VM_GP "sti", 0, v_sti
    VM_GP "pushf", 0, v_pushf
    VM_GP "popf", 2, v_popf
    VM_GP "int", 0, v_int
    VM_GP "iret", 2, v_iret
    VM_GP "hlt", 3, v_hlt
    VM_GP "mov-cr", 3, v_mov_cr
    VM_GP "lgdt", 3, v_lgdt
    VM_GP "clts", 3, v_clts
    VM_GP "lmsw", 3, v_lmsw
    VM "int3", 0, 3, v_int3, v_int3_end
    VM "into", 0, 4, v_into, v_into_end
    ret
.esp: dd 0

allowed:                                    ; IOPL 3
    VM_OK "cli-3", 3, v_cli
    VM_OK "sti-3", 3, v_flags
    CHECK "if-was-set", esi, 0x200
    CHECK "vm-not-pushed", edi, 0           ; nor RF
    VM_OK "popf-3", 3, v_popf
    VM "int-3", 3, 0x44, v_int, v_int_end
    mov word [VSTACK * 16 + 0x100], v_iret_target - vm_code
    mov word [VSTACK * 16 + 0x102], VSEG
    mov word [VSTACK * 16 + 0x104], 3
    VM_OK "iret-3", 3, v_iret
    CHECK "iret-flags", esi, 0x3001         ; IOPL is not what IRET says, but what it was
    VM_OK "smsw-sgdt", 0, v_tables
    CHECK "smsw", esi, 1
    ret
.esp: dd 0

ports:
    VM_OK "port", 0, v_port
    mov edx, 0x3f5
    VM_GP "in", 3, v_in
    mov edx, 0x3f0
    VM_GP "out", 3, v_out
    mov edx, 0x3ee
    VM_GP "straddles", 3, v_in32            ; 3eeh to 3f1h
    ; a map that ends before the port's bit
    mov word [gdt + TSSSEL], MAP + 0x7f
    and byte [gdt + TSSSEL + 5], ~2
    mov ax, TSSSEL
    ltr ax
    mov edx, 0x3f8
    VM_GP "beyond-map", 3, v_in
    ret
.esp: dd 0

protected_only:
    VM_UD "sldt", v_sldt
    VM_UD "str", v_str
    VM_UD "lldt", v_lldt
    VM_UD "ltr", v_ltr
    VM_UD "lar", v_lar
    VM_UD "lsl", v_lsl
    VM_UD "verr", v_verr
    VM_UD "verw", v_verw
    VM_UD "arpl", v_arpl
    ret
.esp: dd 0

limits:
    VM_GP "limit", 0, v_limit
    VM "stack-limit", 0, 12, v_stack_limit, v_stack_limit_push
    VM_GP "limit-32", 0, v_limit32
    ret
.esp: dd 0

transfers:
    VM_OK "far", 0, v_far
    CHECK "far-seen", esi, 0x1021
    VM_OK "segments", 0, v_segments
    CHECK "segment-read", esi, 0x7777
    ret
.esp: dd 0

; The code that a gate leads to must be of level 0, and not conforming.
bad_gates:
    mov word [IDT + 0x44 * 8 + 2], UCODE
    VM "gate-3", 3, 13, v_int, v_int
    CHECK "gate-3-error", [got_error], UCODE & ~3
    mov word [IDT + 0x44 * 8 + 2], CONFORMING
    VM "gate-conforming", 3, 13, v_int, v_int
    CHECK "gate-conforming-error", [got_error], CONFORMING
    mov word [IDT + 0x44 * 8 + 2], CODE
    mov byte [IDT + 0x44 * 8 + 5], 0x8e     ; DPL 0
    VM "gate-dpl", 3, 13, v_int, v_int
    CHECK "gate-dpl-error", [got_error], 0x44 * 8 + 2
    mov byte [IDT + 0x44 * 8 + 5], 0xee
    ret
.esp: dd 0

; A 16-bit gate pushes words. Its handler is 16-bit code in the copy.
gate16:
    mov word [IDT + 0x45 * 8], v_handler16 - vm_code
    mov word [IDT + 0x45 * 8 + 2], LOW16
    mov dword [IDT + 0x45 * 8 + 4], 0xe600
    mov dword [TSS + 4], 0xc000
    EXPECT_FAULT 3, .back
    mov eax, v_int45 - vm_code
    mov ebx, 3 << 12
    call enter_vm
.back:
    mov dword [TSS + 4], STACK0
    movzx eax, word [0xc000 - 2]
    CHECK "16-gs", eax, 0x6666
    movzx eax, word [0xc000 - 8]
    CHECK "16-es", eax, VES
    movzx eax, word [0xc000 - 10]
    CHECK "16-ss", eax, VSTACK
    movzx eax, word [0xc000 - 12]
    CHECK "16-sp", eax, 0x100
    movzx eax, word [0xc000 - 16]
    CHECK "16-cs", eax, VSEG
    movzx eax, word [0xc000 - 18]
    CHECK "16-ip", eax, v_int45_end - vm_code
    CHECK "16-at", esi, 0xc000 - 18
    ret

; A task whose EFLAGS say VM.
task:
    mov dword [TSS_V + 4], STACK0 - 0x100
    mov dword [TSS_V + 8], DATA
    mov word [TSS_V + 102], MAP
    mov dword [TSS_V + 32], v_enter - vm_code
    mov dword [TSS_V + 36], 0x20002
    mov dword [TSS_V + 56], 0x100
    mov dword [TSS_V + 72], VES
    mov dword [TSS_V + 76], VSEG
    mov dword [TSS_V + 80], VSTACK
    mov dword [TSS_V + 84], VSEG
    mov [.esp], esp
    EXPECT_FAULT 3, .back
    call TASK_V:0
    ret
.back:                                      ; in the same task, out of the mode
    CHECK "task-eip", [got_eip], v_enter_end - vm_code
    CHECK "task-cs", [got_cs], VSEG
    CHECK "task-ds", [STACK0 - 0x100 - 12], VSEG
    str ax
    movzx eax, ax
    CHECK "task-tr", eax, TASK_V
    pushfd
    or dword [esp], 0x4000
    popfd
    iretd
.esp: dd 0

; --- the code of the 8086 ---
    bits 16
    align 16
vm_code:
v_enter:
    mov ax, cs
    movzx ebp, ax
    mov word [es:0x10], 0x7777
    mov si, 0xbeef
    movzx esi, si
    movzx edi, word [es:0x10]
    STOP v_enter
v_cli:
    cli
    STOP v_cli
v_sti:
    sti
    STOP v_sti
v_pushf:
    pushf
v_popf:
    popf
    STOP v_popf
v_int:
    int 0x44
v_int_end:
v_int45:
    int 0x45
v_int45_end:
v_iret:
    iret
v_iret_end equ v_iret_target_end
v_iret_target:
    pushf
    pop si
    movzx esi, si
    and esi, 0x3001
    STOP v_iret_target
v_hlt:
    hlt
v_mov_cr:
    mov eax, cr0
v_lgdt:
    lgdt [0]
v_clts:
    clts
v_lmsw:
    lmsw ax
v_int3:
    int3
v_int3_end:
v_into:
    mov al, 0x7f
    inc al
    into
v_into_end:
v_flags:
    sti
    pushfd
    cli
    pop esi
    mov edi, esi
    and esi, 0x200
    and edi, 0x30000
    STOP v_flags
v_tables:
    smsw si
    movzx esi, si
    and esi, 1
    sgdt [0x800]
    sidt [0x808]
    STOP v_tables
v_port:
    mov dx, 0x80
    out dx, al
    mov dx, 0x3ef
    in al, dx
    STOP v_port
v_in:
    in al, dx
v_out:
    out dx, al
v_in32:
    in eax, dx
v_sldt:
    sldt ax
v_str:
    str ax
v_lldt:
    lldt ax
v_ltr:
    ltr ax
v_lar:
    lar ax, bx
v_lsl:
    lsl ax, bx
v_verr:
    verr ax
v_verw:
    verw ax
v_arpl:
    db 0x63, 0xc0                           ; arpl ax, ax
v_limit:
    mov ax, [0xffff]
v_limit32:
    a32 mov al, [dword 0x10000]
v_stack_limit:
    mov sp, 1
v_stack_limit_push:
    push ax
v_far:
    call VSEG + 1:v_far_called - vm_code - 16
    STOP v_far
v_far_called:
    mov ax, cs
    add ax, 0x10
    movzx eax, ax
    push ax
    mov ax, cs
    movzx esi, ax
    add esi, 0x20
    pop ax
    retf
v_segments:
    mov ax, VES
    mov fs, ax
    movzx esi, word [fs:0x10]
    lds bx, [v_pointer - vm_code]
    STOP v_segments
v_pointer: dw 0x1234, VES
v_handler16:
    mov si, sp
    movzx esi, si
    int3
    bits 32
vm_end:

    RUNTIME32
    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff
    dq 0x0000890000000000 | 0x2068 | (TSS & 0xffffff) << 16
    dq 0x0000890000000000 | 0x0067 | (TSS_V & 0xffffff) << 16
    dq 0x00cf9f000000ffff
    dq 0x00009b000000ffff | (VSEG * 16) << 16
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
    dd gdt
    align 4096
load_end:
