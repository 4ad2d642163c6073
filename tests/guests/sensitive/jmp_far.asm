; SPDX-License-Identifier: MIT
; Far JMP. On hardware it never changes the level: not to code of another one, nor through a gate to it; conforming
; code runs at the caller's. What may not be jumped to is #GP(selector). In virtual-8086 mode it loads CS as in real
; mode.
%include "sensitive.inc"
test:
    jmp CODE:.here
.here:
    USER .user, 3
    CHECK "conforming", eax, CONFORMING | 3
    USER .inner, 13
    CHECK "not inwards", [got_error], CODE
    USER .gate, 13
    CHECK "not through a gate either", [got_error], CODE
    EXPECT_FAULT 13, .outer
    jmp UCODE:.user                         ; nor outwards
.outer:
    CHECK "not outwards", [got_error], UCODE & ~3
    EXPECT_FAULT 13, .null
    jmp 0:.user
.null:
    CHECK "null", [got_error], 0
    VM v_jmp, 3
    CHECK "vm", eax, VSEG + 1
    ret
.user:
    jmp CONFORMING:.conforming
.conforming:
    mov eax, cs
    int3
.inner:
    jmp CODE:.here
.gate:
    jmp GATE:0
    bits 16
vm_code:
v_jmp:
    jmp VSEG + 1:v_there - vm_code - 16
    times 16 hlt
v_there:
    mov eax, cs
    int3
vm_end:
    bits 32
    END_GUEST
