; SPDX-License-Identifier: MIT
; INT n. On hardware it enters what the IDT's gate says, where the gate's DPL allows it to the present level; else
; #GP(n * 8 + 2): so a guest system's INT goes to its monitor's handler, or traps. In virtual-8086 mode it is #GP(0)
; unless IOPL is 3; INT3 and INTO are not. INT1 (F1h) asks for no DPL.
%include "sensitive.inc"
test:
    EXPECT_FAULT 0x40, .cpl0
    int 0x40
.after0:
.cpl0:
    CHECK "cpl 0", [got_eip], .after0
    USER .user, 0x40
    CHECK "cpl 3", [got_eip], .after3
    CHECK "from", [got_cs], UCODE
    CHECK "stack", [got_esp], USTACK
    and byte [IDT + 0x40 * 8 + 5], 0x9f     ; DPL 0
    USER .user, 13
    CHECK "dpl", [got_error], 0x40 * 8 + 2
    CHECK "at the instruction", [got_eip], .user
    and byte [IDT + 3 * 8 + 5], 0x9f
    USER .user3, 13
    CHECK "int3 asks as well", [got_error], 3 * 8 + 2
    or byte [IDT + 3 * 8 + 5], 0x60
    and byte [IDT + 1 * 8 + 5], 0x9f
    USER .user1, 1
    CHECK "int1 does not", [got_eip], .after1
    VM_FAULTS "vm", v_int, 13
    VM v_int3, 3
    VM v_into, 4
    or byte [IDT + 0x40 * 8 + 5], 0x60
    VM3 v_int, 0x40
    CHECK "vm iopl 3", [got_eip], v_int3 - vm_code
    ret
.user:
    int 0x40
.after3:
.user3:
    int3
.user1:
    db 0xf1
.after1:
    bits 16
vm_code:
v_int:
    int 0x40
v_int3:
    int3
v_into:
    mov al, 0x7f
    inc al
    into
vm_end:
    bits 32
    END_GUEST
