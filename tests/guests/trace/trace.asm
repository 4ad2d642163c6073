; SPDX-License-Identifier: MIT
; What `deja trace` has to tell apart, a little of each: calls that nest, recur, end in jumps, never return, wait on
; another stack, are interrupted; loops that lead to the first instruction of a function; system calls that are
; made again or interrupted; page faults that are done again. tests/replay/check_trace.py has the list of
; what is to be printed.
%include "guest64.inc"
    bits 64
UNMAPPED equ 0x40000000
stack_a equ 0x1c0000                        ; 4 KiB apart, one right below the other
stack_b equ 0x1bf000

%macro TO_USER 1
    push UDS | 3
    push user_stack_top
    push 0x202
    push UCS64 | 3
    push %1
    iretq
%endmacro

main:
    call set_up

    ; a call, with arguments and a result
    mov edi, 1
    mov esi, text_hello
    mov rdx, -3
    mov ecx, 0x1234
    xor r8d, r8d
    mov r9, 0x123456789
    call leaf
    ; one in another, and the same again
    mov edi, 3
    call factorial
    ; one that ends in a jump to another
    mov edi, 5
    call outer
    ; a loop to its own beginning is no call
    mov edi, 4
    call countdown
    ; by a register, and an error for a result
    mov eax, failing
    call rax
    ; one that does not return, twice from the same place
    mov ebx, 2
again:
    mov [saved_rsp], rsp
    call escape
    ud2
after_escape:
    dec ebx
    jnz again
    call leaf                               ; its return address replaces escape's

    ; two stacks: each calls `worker`, which switches to the other before it returns
    mov [main_rsp], rsp
    mov qword [stack_b - 8], run_b          ; where its first switch leads
    mov qword [other_rsp], stack_b - 8
    mov rsp, stack_a
    mov edi, 1
    call worker
    mov edi, 3
    call worker
    mov rsp, [main_rsp]

    ; an interrupt in the middle of a call, whose handler calls
    call sleeper

    ; a page fault that happens again where it came from; the second resumes elsewhere
    mov qword [got_count], 0
    EXPECT_FAULT 14, resumed
    mov qword [want_count], 1
    mov ebx, UNMAPPED
fault:
    mov [rbx], eax
resumed:

    ; system calls of a program
    EXPECT_FAULT 0x90, done
    TO_USER program
done:
    ret

set_up:
    HOOK 0x20, on_tick
    HOOK 0x80, on_int80
%macro PORT 2
    mov al, %2
    out %1, al
%endmacro
    PORT 0x20, 0x11
    PORT 0x21, 0x20
    PORT 0x21, 4
    PORT 0x21, 1
    PORT 0x21, 0xfe
    mov ecx, 0xc0000081
    xor eax, eax
    mov edx, (0x20 | 3) << 16 | CS64
    wrmsr
    mov ecx, 0xc0000082
    mov eax, on_syscall
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084
    mov eax, 0x200
    wrmsr
    ret

leaf:
    mov eax, 42
    ret

factorial:
    cmp edi, 1
    ja .more
    mov eax, 1
    ret
.more:
    push rdi
    dec edi
    call factorial
    pop rdi
    imul eax, edi
    ret

outer:
    inc edi
    jmp inner
inner:
    lea eax, [rdi + 1]
    ret

countdown:
    dec edi
    jnz countdown
    xor eax, eax
    ret

failing:
    mov rax, -2
    ret

escape:
    mov rsp, [saved_rsp]
    jmp after_escape

worker:
    push rdi
    call switch
    pop rax
    ret

switch:                                     ; to the other stack, where it returns from its own call
    xchg rsp, [other_rsp]
    ret

run_b:
    mov edi, 2
    call worker
    call switch
    ud2

sleeper:
    PORT 0x43, 0x30                         ; the 8254: one interrupt
    PORT 0x40, 0x00
    PORT 0x40, 0x01
    sti
    hlt
    cli
    ret

on_tick:
    call ticked
    mov al, 0x20
    out 0x20, al
    ret
ticked:
    inc dword [ticks]
    ret

; --- a program, at CPL 3 ---
program:
    mov eax, 1                              ; write(1, "hello\n", 6)
    mov edi, 1
    mov esi, text_hello
    mov edx, 6
    syscall
    mov eax, 257                            ; openat(AT_FDCWD, "/etc/a path that is longer ...", ...)
    mov edi, -100
    mov esi, text_path
    mov edx, 02000101o
    mov r10d, 0644o
    mov r8d, 7                              ; the handler's: restart it once
    syscall
    xor r8d, r8d
    mov eax, 0                              ; read(0, buffer, 100) -> 5
    xor edi, edi
    mov esi, buffer
    mov edx, 100
    syscall
    mov eax, 999                            ; none
    mov edi, 1
    mov esi, 2
    mov edx, 3
    mov r10d, 4
    mov r9d, 6
    syscall
    mov eax, 20                             ; getpid() of 32-bit programs
    int 0x80
    mov eax, 231                            ; exit_group(3)
    mov edi, 3
    syscall

; The kernel: what it answers, by number. RCX and R11 as SYSCALL has left them.
on_syscall:
    cmp eax, 231
    je .exit
    cmp eax, 257
    jne .answer
    cmp r8d, 7
    jne .failed
    mov r8d, 8                              ; back to the instruction itself, once
    sub rcx, 2
    o64 sysret
.failed:
    mov rax, -13
    o64 sysret
.answer:
    cmp eax, 1
    mov r8d, 6
    cmove eax, r8d
    je .back
    mov r8d, 5
    test eax, eax
    cmove eax, r8d
    mov r8d, -38
    jz .back
    movsxd rax, r8d
.back:
    mov r8d, 0
    o64 sysret
.exit:
    mov rsp, stack_top - 0x4000
    int 0x90                                ; to `done`

on_int80:                                   ; RAX is popped by the stub: 40 bytes above what it pushed
    mov qword [rsp + 16], 4711
    ret

text_hello: db "hello", 10, 0
text_path: db "/etc/a path that is longer than what is shown", 0
buffer: db "input", 0
    align 8
saved_rsp: dq 0
main_rsp: dq 0
other_rsp: dq 0
ticks: dq 0
%include "end.inc"
