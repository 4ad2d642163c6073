; SPDX-License-Identifier: MIT
; Instructions of 64-bit code that hardly another test has: tables and descriptors (SDM vol. 2, LAR, LSL, VERR,
; SGDT ...), bases of FS and GS, XSAVE, functions of the x87 and approximations at values where all processors
; agree, and what this CPU model does not have.
%include "guest64.inc"
    bits 64
MEM  equ 0x120000
AREA equ 0x121000

%macro GOT_ZF 2                             ; name, expected
    setz al
    movzx eax, al
    CHECK %1, rax, %2
%endmacro

%macro UNDEFINED 2+                         ; name, instruction
    EXPECT_FAULT 6, %%next
    %2
    mov qword [got_vector], 0
%%next:
    CHECK %1, [got_vector], 6
%endmacro

main:
    call tables
    call descriptors
    call pointers
    call bases
    call xsave
    call functions
    call approximations
    call absent
    ret

tables:
    sgdt [MEM]
    movzx eax, word [MEM]
    CHECK "sgdt limit", rax, gdt_end - gdt - 1
    CHECK "sgdt base", [MEM + 2], gdt
    sidt [MEM]
    movzx eax, word [MEM]
    CHECK "sidt limit", rax, 4095
    CHECK "sidt base", [MEM + 2], IDT
    lgdt [gdt_pointer]
    mov word [MEM], 0xffff
    mov rax, 1 << 63
    mov [MEM + 2], rax
    EXPECT_FAULT 13, .base
    lgdt [MEM]                              ; the base has to be canonical
    mov qword [got_vector], 0
.base:
    CHECK "lgdt base", [got_vector], 13
    xor eax, eax
    lldt ax
    mov rax, -1
    sldt ax                                 ; 16 bits; of 32, the rest is cleared
    CHECK "sldt 16", rax, ~0xffff
    mov rax, -1
    sldt eax
    CHECK "sldt 32", rax, 0
    EXPECT_FAULT 13, .no_ldt
    mov eax, CS64
    lldt ax
.no_ldt:
    CHECK "lldt", [got_error], CS64
    str rax
    CHECK "str", rax, TSSSEL
    smsw rax
    mov rbx, cr0
    CHECK "smsw", rax, rbx
    ret

descriptors:
    mov ecx, CS64
    lar eax, ecx
    and eax, 0xf0ff00
    CHECK "lar code", rax, 0xa09b00
    mov ecx, TSSSEL
    lar eax, ecx
    and eax, 0xf0ff00
    CHECK "lar tss", rax, 0x8b00
    xor ecx, ecx
    lar eax, ecx
    GOT_ZF "lar null", 0
    mov ecx, CS64
    lsl eax, ecx
    CHECK "lsl code", rax, 0xffffffff
    mov ecx, TSSSEL
    lsl eax, ecx
    CHECK "lsl tss", rax, 0x67
    mov ecx, DS64
    verr cx
    GOT_ZF "verr data", 1
    verw cx
    GOT_ZF "verw data", 1
    mov ecx, CS64
    verw cx
    GOT_ZF "verw code", 0
    mov ecx, TSSSEL
    verr cx
    GOT_ZF "verr tss", 0
    ret

pointers:
    mov rax, 0x1122334455667788
    mov [MEM], rax
    mov word [MEM + 8], DS64
    lfs rbx, [MEM]
    CHECK "lfs offset", rbx, rax
    mov eax, fs
    CHECK "lfs", rax, DS64
    lgs ebx, [MEM + 4]                      ; 32 bits: the selector is at 4, 0: a null one may be loaded
    mov qword [MEM], 0x1234
    lgs ebx, [MEM]
    CHECK "lgs offset", rbx, 0x1234
    mov eax, gs
    CHECK "lgs", rax, 0
    mov [MEM], rsp
    mov rbx, rsp
    mov word [MEM + 8], DS64
    lss rsp, [MEM]
    mov rcx, rsp
    CHECK "lss offset", rcx, rbx
    mov eax, ss
    CHECK "lss", rax, DS64
    push qword 0
    pop fs
    mov eax, fs
    CHECK "pop fs", rax, 0
    push qword DS64
    pop gs
    mov eax, gs
    CHECK "pop gs", rax, DS64
    ret

bases:
    UNDEFINED "rdfsbase without CR4", rdfsbase rax
    mov rax, cr4
    or eax, 1 << 16                         ; FSGSBASE
    mov cr4, rax
    mov rax, 0xffff8123456789ab
    wrfsbase rax
    rdfsbase rbx
    CHECK "fs base", rbx, rax
    mov ecx, 0xc0000100
    rdmsr
    shl rdx, 32
    or rax, rdx
    CHECK "fs base msr", rax, rbx
    wrgsbase eax                            ; 32 bits, extended by zeros
    rdgsbase rbx
    mov eax, eax
    CHECK "gs base", rbx, rax
    EXPECT_FAULT 13, .canonical
    mov rax, 1 << 63
    wrfsbase rax
    mov qword [got_vector], 0
.canonical:
    CHECK "fs base canonical", [got_vector], 13
    ret

xsave:
    mov rax, cr4
    or eax, 1 << 18                         ; OSXSAVE
    mov cr4, rax
    xor ecx, ecx
    xor edx, edx
    mov eax, 3
    xsetbv
    xgetbv
    CHECK "xcr0", rax, 3
    mov rdi, AREA
    xor eax, eax
    mov ecx, 1024 / 8
    rep stosq
    mov rax, 0x0123456789abcdef
    movq xmm0, rax
    mov eax, 3
    xsave64 [AREA]
    CHECK "xsave xmm0", [AREA + 160], 0x0123456789abcdef
    mov rax, [AREA + 512]                   ; the x87 may be in use, or not
    and eax, 2
    CHECK "xsave components", rax, 2
    mov eax, 3
    pxor xmm0, xmm0
    xrstor64 [AREA]
    movq rbx, xmm0
    CHECK "xrstor", rbx, 0x0123456789abcdef
    mov eax, 2
    xsavec64 [AREA + 0x400]
    CHECK "xsavec", [AREA + 0x400 + 520], (1 << 63) | 2
    movq xmm0, rbx
    mov rbx, [AREA + 160]
    mov qword [AREA + 160], 0
    xsaveopt64 [AREA]
    CHECK "xsaveopt", [AREA + 160], rbx     ; modified, so it is written
    ret

%macro FIRST 2                              ; name, integer in ST(0), which is popped
    fistp qword [MEM]
    CHECK %1, [MEM], %2
%endmacro
functions:
    fninit
    fldz
    fsin
    FIRST "fsin", 0
    fldz
    fcos
    FIRST "fcos", 1
    fldz
    fsincos
    FIRST "fsincos cosine", 1
    FIRST "fsincos sine", 0
    fldz
    fptan
    FIRST "fptan pushes", 1
    FIRST "fptan", 0
    fldz
    fld1
    fpatan
    FIRST "fpatan", 0
    fld1
    fchs
    f2xm1
    fadd st0, st0
    FIRST "f2xm1", -1
    mov qword [MEM], 3
    fild qword [MEM]
    mov qword [MEM], 32
    fild qword [MEM]
    fyl2x                                   ; 3 * log2(32)
    FIRST "fyl2x", 15
    mov qword [MEM], 7
    fild qword [MEM]
    fldz
    fyl2xp1
    FIRST "fyl2xp1", 0
    ret

; Relative error below 1.5 * 2^-12.
%macro NEAR 2                               ; name, float; in the low element of xmm1
    movd eax, xmm1
    sub eax, %2
    add eax, 0x3000
    shr eax, 15
    CHECK %1, rax, 0
%endmacro
approximations:
    mov eax, 0x40800000                     ; 4.0
    movd xmm0, eax
    shufps xmm0, xmm0, 0
    rcpps xmm1, xmm0
    NEAR "rcpps", 0x3e800000
    rcpss xmm1, xmm0
    NEAR "rcpss", 0x3e800000
    rsqrtps xmm1, xmm0
    NEAR "rsqrtps", 0x3f000000
    rsqrtss xmm1, xmm0
    NEAR "rsqrtss", 0x3f000000
    ret

absent:
    UNDEFINED "ud0", db 0x0f, 0xff, 0xc0
    UNDEFINED "rsm", rsm
    UNDEFINED "vmcall", vmcall
    UNDEFINED "invpcid", invpcid rax, [MEM]
    UNDEFINED "monitor", monitor
    UNDEFINED "mwait", mwait
    UNDEFINED "rdpid", db 0xf3, 0x0f, 0xc7, 0xf8
    EXPECT_FAULT 1, .int1
    db 0xf1
.int1:
    CHECK "int1", [got_vector], 1
    EXPECT_FAULT 13, .rdpmc
    xor ecx, ecx
    rdpmc
    mov qword [got_vector], 0
.rdpmc:
    CHECK "rdpmc", [got_vector], 13
    mov ecx, 0xc0000103                     ; IA32_TSC_AUX
    mov eax, 77
    xor edx, edx
    wrmsr
    rdtscp
    CHECK "rdtscp", rcx, 77
    rdrand rax
    setc al
    movzx eax, al
    CHECK "rdrand", rax, 1
    rdseed rax
    setc al
    movzx eax, al
    CHECK "rdseed", rax, 1
    xor eax, eax
    cpuid
    CHECK "cpuid", rbx, 0x756e6547          ; "Genu"
    ret

%include "end.inc"
