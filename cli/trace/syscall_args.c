/* SPDX-License-Identifier: MIT */
/* Arguments and results of Linux system calls in words: syscall_args.h. */
#include "syscall_args.h"

#include <inttypes.h>
#include <string.h>

#include "values.h"

#define VECTOR_SHOWN 8u /* strings of an argument vector */

struct flag {
    uint64_t bits;
    const char *name;
};

/* --- flags --- */

#define O_ACCMODE   3u
#define O_CREATES   (0100u | 020000000u)
#define CLONE_SIGNAL 0xffu

/* Those of several bits first. */
static const struct flag open_flags[] = {
    {020200000, "O_TMPFILE"}, {04010000, "O_SYNC"},     {0100, "O_CREAT"},       {0200, "O_EXCL"},
    {0400, "O_NOCTTY"},       {01000, "O_TRUNC"},       {02000, "O_APPEND"},     {04000, "O_NONBLOCK"},
    {010000, "O_DSYNC"},      {020000, "O_ASYNC"},      {040000, "O_DIRECT"},    {0100000, "O_LARGEFILE"},
    {0200000, "O_DIRECTORY"}, {0400000, "O_NOFOLLOW"},  {01000000, "O_NOATIME"}, {02000000, "O_CLOEXEC"},
    {010000000, "O_PATH"},    {0, NULL},
};
static const struct flag prot_flags[] = {
    {1, "PROT_READ"}, {2, "PROT_WRITE"}, {4, "PROT_EXEC"}, {0x01000000, "PROT_GROWSDOWN"}, {0, NULL},
};
static const struct flag map_flags[] = {
    {0x03, "MAP_SHARED_VALIDATE"}, {0x01, "MAP_SHARED"},       {0x02, "MAP_PRIVATE"},
    {0x10, "MAP_FIXED"},           {0x20, "MAP_ANONYMOUS"},    {0x40, "MAP_32BIT"},
    {0x100, "MAP_GROWSDOWN"},      {0x800, "MAP_DENYWRITE"},   {0x1000, "MAP_EXECUTABLE"},
    {0x2000, "MAP_LOCKED"},        {0x4000, "MAP_NORESERVE"},  {0x8000, "MAP_POPULATE"},
    {0x10000, "MAP_NONBLOCK"},     {0x20000, "MAP_STACK"},     {0x40000, "MAP_HUGETLB"},
    {0x100000, "MAP_FIXED_NOREPLACE"}, {0, NULL},
};
static const struct flag clone_flags[] = {
    {0x100, "CLONE_VM"},              {0x200, "CLONE_FS"},
    {0x400, "CLONE_FILES"},           {0x800, "CLONE_SIGHAND"},
    {0x1000, "CLONE_PIDFD"},          {0x2000, "CLONE_PTRACE"},
    {0x4000, "CLONE_VFORK"},          {0x8000, "CLONE_PARENT"},
    {0x10000, "CLONE_THREAD"},        {0x20000, "CLONE_NEWNS"},
    {0x40000, "CLONE_SYSVSEM"},       {0x80000, "CLONE_SETTLS"},
    {0x100000, "CLONE_PARENT_SETTID"}, {0x200000, "CLONE_CHILD_CLEARTID"},
    {0x800000, "CLONE_UNTRACED"},     {0x1000000, "CLONE_CHILD_SETTID"},
    {0x2000000, "CLONE_NEWCGROUP"},   {0x4000000, "CLONE_NEWUTS"},
    {0x8000000, "CLONE_NEWIPC"},      {0x10000000, "CLONE_NEWUSER"},
    {0x20000000, "CLONE_NEWPID"},     {0x40000000, "CLONE_NEWNET"},
    {0x80000000, "CLONE_IO"},         {0, NULL},
};

/* `before` stands in front of the first flag. Bits without a name come last, in hexadecimal. */
static void add_flags(struct text *text, const struct flag *flags, uint64_t value, const char *before)
{
    for (; flags->name != NULL; flags++) {
        if ((value & flags->bits) != flags->bits)
            continue;
        text_add(text, "%s%s", before, flags->name);
        before = "|";
        value &= ~flags->bits;
    }
    if (value != 0)
        text_add(text, "%s0x%" PRIx64, before, value);
}

static void add_open_flags(struct text *text, uint64_t value)
{
    static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

    text_add(text, "%s", modes[value & O_ACCMODE]);
    add_flags(text, open_flags, value & ~(uint64_t)O_ACCMODE, "|");
}

static void add_signal(struct text *text, uint64_t number)
{
    static const char *const names[] = {
        "0",       "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",  "SIGTRAP", "SIGABRT", "SIGBUS",
        "SIGFPE",  "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM",
        "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",  "SIGPWR",  "SIGSYS",
    };

    if (number < sizeof(names) / sizeof(names[0]))
        text_add(text, "%s", names[number]);
    else
        text_add(text, "%" PRIu64, number);
}

static void add_clone_flags(struct text *text, uint64_t value)
{
    const char *before = "";

    if ((value & CLONE_SIGNAL) != 0) {
        add_signal(text, value & CLONE_SIGNAL);
        before = "|";
    }
    if ((value & ~(uint64_t)CLONE_SIGNAL) != 0)
        add_flags(text, clone_flags, value & ~(uint64_t)CLONE_SIGNAL, before);
    else if (value == 0)
        text_add(text, "0");
}

static void add_prot(struct text *text, uint64_t value)
{
    if (value == 0)
        text_add(text, "PROT_NONE");
    else
        add_flags(text, prot_flags, value, "");
}

static void add_whence(struct text *text, uint64_t value)
{
    static const char *const names[] = {"SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE"};

    if (value < sizeof(names) / sizeof(names[0]))
        text_add(text, "%s", names[value]);
    else
        text_add(text, "%" PRIu64, value);
}

static void add_folder(struct text *text, uint64_t value)
{
    if ((int32_t)value == -100)
        text_add(text, "AT_FDCWD");
    else
        text_add(text, "%" PRId32, (int32_t)value);
}

/* --- memory --- */

static unsigned word_bytes(const struct syscall_call *call)
{
    return call->is32 ? 4 : 8;
}

static bool read_word(const struct tracer *t, const struct syscall_call *call, uint64_t address, uint64_t *word)
{
    unsigned bytes = word_bytes(call);

    *word = 0;
    return cpu_peek(t->cpu, address, word, bytes) == bytes;
}

static void add_vector(const struct tracer *t, struct text *text, const struct syscall_call *call,
                       uint64_t address)
{
    uint64_t string;

    if (address == 0 || !read_word(t, call, address, &string)) {
        add_pointer(text, address);
        return;
    }
    text_add(text, "[");
    for (unsigned i = 0; string != 0; i++) {
        if (i == VECTOR_SHOWN) {
            text_add(text, ", ...");
            break;
        }
        text_add(text, "%s", i > 0 ? ", " : "");
        add_string(t, text, string);
        if (!read_word(t, call, address + (i + 1) * word_bytes(call), &string))
            break;
    }
    text_add(text, "]");
}

static void add_timespec(const struct tracer *t, struct text *text, const struct syscall_call *call,
                         uint64_t address)
{
    uint64_t seconds, ns;

    if (address == 0 || !read_word(t, call, address, &seconds) ||
        !read_word(t, call, address + word_bytes(call), &ns))
        add_pointer(text, address);
    else
        text_add(text, "{%" PRId64 ".%09" PRIu64 "}", (int64_t)seconds, ns);
}

/* --- arguments --- */

/* The mode of open() counts only where a file may be made. */
static bool is_idle_mode(const struct syscall_call *call, size_t i)
{
    return i > 0 && call->row->args[i] == 'o' && call->row->args[i - 1] == 'O' &&
           (call->args[i - 1] & O_CREATES) == 0;
}

static void add_argument(const struct tracer *t, struct text *text, const struct syscall_call *call, size_t i)
{
    uint64_t value = call->args[i];

    switch (call->row->args[i]) {
    case 'd': text_add(text, "%" PRId32, (int32_t)value); break;
    case 'l': text_add(text, "%" PRId64, call->is32 ? (int64_t)(int32_t)value : (int64_t)value); break;
    case 'u': text_add(text, "%" PRIu64, value); break;
    case 'o': text_add(text, value == 0 ? "%" PRIo64 : "0%" PRIo64, value); break;
    case 's': add_string(t, text, value); break;
    case 'W': add_buffer(t, text, value, i + 1 < SYSCALL_ARGS ? call->args[i + 1] : 0); break;
    case 'V': add_vector(t, text, call, value); break;
    case 't': add_timespec(t, text, call, value); break;
    case 'A': add_folder(text, value); break;
    case 'O': add_open_flags(text, value); break;
    case 'P': add_prot(text, value); break;
    case 'M': add_flags(text, map_flags, value, ""); break;
    case 'C': add_clone_flags(text, value); break;
    case 'S': add_signal(text, value); break;
    case 'w': add_whence(text, value); break;
    case 'p': case 'R': case 'Z': add_pointer(text, value); break;
    default: text_add(text, "0x%" PRIx64, value); break;
    }
}

size_t syscall_nargs(const struct syscall_call *call)
{
    return call->row == NULL ? SYSCALL_ARGS : strlen(call->row->args);
}

void add_syscall(const struct tracer *t, struct text *text, const struct syscall_call *call)
{
    if (call->row == NULL) {
        text_add(text, "syscall_%" PRIu64 "(", call->number);
        for (size_t i = 0; i < SYSCALL_ARGS; i++)
            text_add(text, "%s0x%" PRIx64, i > 0 ? ", " : "", call->args[i]);
    } else {
        text_add(text, "%s(", call->row->name);
        for (size_t i = 0; call->row->args[i] != '\0' && !is_idle_mode(call, i); i++) {
            text_add(text, "%s", i > 0 ? ", " : "");
            add_argument(t, text, call, i);
        }
    }
    text_add(text, ")");
}

/* --- results --- */

static bool gives_an_address(const struct syscall_call *call)
{
    static const char *const names[] = {"mmap", "mmap2", "brk", "mremap", "shmat"};

    for (size_t i = 0; call->row != NULL && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(call->row->name, names[i]) == 0)
            return true;
    return false;
}

void add_syscall_result(const struct tracer *t, struct text *text, const struct syscall_call *call,
                        uint64_t result)
{
    unsigned bytes = call->is32 ? 4 : 8;
    uint64_t number;
    const char *filled;

    text_add(text, " = ");
    if (is_error(result, bytes, &number) || !gives_an_address(call))
        add_result(text, result, bytes);
    else
        text_add(text, "0x%" PRIx64, call->is32 ? (uint32_t)result : result);
    if (call->row == NULL || is_error(result, bytes, &number) || result == 0)
        return;
    filled = strpbrk(call->row->args, "RZ");
    if (filled == NULL)
        return;
    text_add(text, " ");
    if (*filled == 'R')
        add_buffer(t, text, call->args[filled - call->row->args], call->is32 ? (uint32_t)result : result);
    else
        add_string(t, text, call->args[filled - call->row->args]);
}
