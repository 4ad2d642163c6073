; SPDX-License-Identifier: MIT
; Far CALL. On hardware it reaches code of the same level, conforming code, and through a call gate more privileged
; code on the stack that the TSS has for it: what a guest system at level 3 does with gates for its own levels 1 to 3
; goes by the monitor's tables. What may not be called is #GP(selector). In virtual-8086 mode it loads CS as in real
; mode. Tasks and gates in full: ../tasks.
%define OWN_GATE_TARGET
%include "sensitive.inc"
test:
    mov ebp, esp
    call CODE:.same
    CHECK "cpl 0", eax, CODE
    USER .user, 3
    CHECK "through the gate", edx, CODE
    CHECK "on the TSS's stack", ebx, STACK0 - 16
    CHECK "conforming code keeps level 3", esi, CONFORMING | 3
    USER .direct, 13
    CHECK "not without a gate", [got_error], CODE
    CHECK "nothing was pushed", [got_esp], USTACK
    USER .data, 13
    CHECK "data is no code", [got_error], UDATA & ~3
    VM v_call, 3
    CHECK "vm", eax, VSEG + 1
    ret
.same:
    mov eax, cs
    retf
.user:
    call GATE:0
    call CONFORMING:.conforming
    int3
.conforming:
    mov esi, cs
    retf
.direct:
    call CODE:.same
.data:
    call UDATA:.same
gate_target:
    mov edx, cs
    mov ebx, esp
    retf
    bits 16
vm_code:
v_call:
    call VSEG + 1:v_called - vm_code - 16
    int3
    times 16 hlt
v_called:
    mov eax, cs
    retf
vm_end:
    bits 32
    END_GUEST
