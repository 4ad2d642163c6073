/* SPDX-License-Identifier: MIT */
/* Values of a guest in words: values.h. */
#include "values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <replay/describe.h>
#include <symbols/table.h>

#include "../guest_symbols.h"
#include "../numbers.h"

/* --- code --- */

bool symbol_of(const struct tracer *t, uint64_t address, char *out, size_t len)
{
    const struct symbol_table *table;
    const struct symbol *s;
    uint64_t offset;

    table = t->symbols == NULL ? NULL : guest_symbols_table(t->symbols, &offset);
    if (table == NULL || (s = symbol_table_by_address(table, address - offset)) == NULL)
        return false;
    if (address - offset == s->address)
        snprintf(out, len, "%s", s->name);
    else
        snprintf(out, len, "%.200s+0x%" PRIx64, s->name, address - offset - s->address);
    return true;
}

void add_code(const struct tracer *t, struct text *text, uint64_t address)
{
    char symbol[SYMBOL_TEXT];

    if (symbol_of(t, address, symbol, sizeof(symbol)))
        text_add(text, "%s", symbol);
    else
        text_add(text, "0x%" PRIx64, address);
}

/* --- errors --- */

#define LINUX_INTERNAL 512u

const char *errno_name(uint64_t number)
{
    static const char *const names[] = {
        [1] = "EPERM", [2] = "ENOENT", [3] = "ESRCH", [4] = "EINTR", [5] = "EIO", [6] = "ENXIO", [7] = "E2BIG",
        [8] = "ENOEXEC", [9] = "EBADF", [10] = "ECHILD", [11] = "EAGAIN", [12] = "ENOMEM", [13] = "EACCES",
        [14] = "EFAULT", [15] = "ENOTBLK", [16] = "EBUSY", [17] = "EEXIST", [18] = "EXDEV", [19] = "ENODEV",
        [20] = "ENOTDIR", [21] = "EISDIR", [22] = "EINVAL", [23] = "ENFILE", [24] = "EMFILE", [25] = "ENOTTY",
        [26] = "ETXTBSY", [27] = "EFBIG", [28] = "ENOSPC", [29] = "ESPIPE", [30] = "EROFS", [31] = "EMLINK",
        [32] = "EPIPE", [33] = "EDOM", [34] = "ERANGE", [35] = "EDEADLK", [36] = "ENAMETOOLONG", [37] = "ENOLCK",
        [38] = "ENOSYS", [39] = "ENOTEMPTY", [40] = "ELOOP", [42] = "ENOMSG", [43] = "EIDRM", [44] = "ECHRNG",
        [45] = "EL2NSYNC", [46] = "EL3HLT", [47] = "EL3RST", [48] = "ELNRNG", [49] = "EUNATCH", [50] = "ENOCSI",
        [51] = "EL2HLT", [52] = "EBADE", [53] = "EBADR", [54] = "EXFULL", [55] = "ENOANO", [56] = "EBADRQC",
        [57] = "EBADSLT", [59] = "EBFONT", [60] = "ENOSTR", [61] = "ENODATA", [62] = "ETIME", [63] = "ENOSR",
        [64] = "ENONET", [65] = "ENOPKG", [66] = "EREMOTE", [67] = "ENOLINK", [68] = "EADV", [69] = "ESRMNT",
        [70] = "ECOMM", [71] = "EPROTO", [72] = "EMULTIHOP", [73] = "EDOTDOT", [74] = "EBADMSG", [75] = "EOVERFLOW",
        [76] = "ENOTUNIQ", [77] = "EBADFD", [78] = "EREMCHG", [79] = "ELIBACC", [80] = "ELIBBAD", [81] = "ELIBSCN",
        [82] = "ELIBMAX", [83] = "ELIBEXEC", [84] = "EILSEQ", [85] = "ERESTART", [86] = "ESTRPIPE", [87] = "EUSERS",
        [88] = "ENOTSOCK", [89] = "EDESTADDRREQ", [90] = "EMSGSIZE", [91] = "EPROTOTYPE", [92] = "ENOPROTOOPT",
        [93] = "EPROTONOSUPPORT", [94] = "ESOCKTNOSUPPORT", [95] = "EOPNOTSUPP", [96] = "EPFNOSUPPORT",
        [97] = "EAFNOSUPPORT", [98] = "EADDRINUSE", [99] = "EADDRNOTAVAIL", [100] = "ENETDOWN",
        [101] = "ENETUNREACH", [102] = "ENETRESET", [103] = "ECONNABORTED", [104] = "ECONNRESET", [105] = "ENOBUFS",
        [106] = "EISCONN", [107] = "ENOTCONN", [108] = "ESHUTDOWN", [109] = "ETOOMANYREFS", [110] = "ETIMEDOUT",
        [111] = "ECONNREFUSED", [112] = "EHOSTDOWN", [113] = "EHOSTUNREACH", [114] = "EALREADY",
        [115] = "EINPROGRESS", [116] = "ESTALE", [117] = "EUCLEAN", [118] = "ENOTNAM", [119] = "ENAVAIL",
        [120] = "EISNAM", [121] = "EREMOTEIO", [122] = "EDQUOT", [123] = "ENOMEDIUM", [124] = "EMEDIUMTYPE",
        [125] = "ECANCELED", [126] = "ENOKEY", [127] = "EKEYEXPIRED", [128] = "EKEYREVOKED", [129] = "EKEYREJECTED",
        [130] = "EOWNERDEAD", [131] = "ENOTRECOVERABLE", [132] = "ERFKILL", [133] = "EHWPOISON",
    };
    static const char *const internal[] = {
        "ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK",
        "EPROBE_DEFER", "EOPENSTALE", "ENOPARAM",
    };

    if (number < sizeof(names) / sizeof(names[0]))
        return names[number];
    if (number >= LINUX_INTERNAL && number - LINUX_INTERNAL < sizeof(internal) / sizeof(internal[0]))
        return internal[number - LINUX_INTERNAL];
    return NULL;
}

static int64_t sign_extend(uint64_t value, unsigned bytes)
{
    unsigned shift = 64 - 8 * (bytes == 0 || bytes > 8 ? 8 : bytes);

    return (int64_t)(value << shift) >> shift;
}

bool is_error(uint64_t value, unsigned bytes, uint64_t *number)
{
    int64_t v = sign_extend(value, bytes);

    if (v >= 0 || v < -4095)
        return false;
    *number = (uint64_t)-v;
    return true;
}

/* --- numbers --- */

void add_pointer(struct text *text, uint64_t address)
{
    if (address == 0)
        text_add(text, "NULL");
    else
        text_add(text, "0x%" PRIx64, address);
}

void add_result(struct text *text, uint64_t value, unsigned bytes)
{
    uint64_t number;

    text_add(text, "%" PRId64, sign_extend(value, bytes));
    if (is_error(value, bytes, &number) && errno_name(number) != NULL)
        text_add(text, " %s", errno_name(number));
}

/* --- memory --- */

static void add_bytes(struct text *text, const uint8_t *data, size_t len, bool more)
{
    char literal[4 * STRING_SHOWN + 8];

    replay_describe_bytes(data, len, literal, sizeof(literal));
    text_add(text, "%s%s", literal, more ? "..." : "");
}

void add_buffer(const struct tracer *t, struct text *text, uint64_t address, uint64_t len)
{
    uint8_t data[STRING_SHOWN] = {0};
    size_t n = len < sizeof(data) ? (size_t)len : sizeof(data);

    if (n > 0 && cpu_peek(t->cpu, address, data, n) < n)
        add_pointer(text, address);
    else
        add_bytes(text, data, n, len > n);
}

void add_string(const struct tracer *t, struct text *text, uint64_t address)
{
    uint8_t data[STRING_SHOWN + 1] = {0};
    size_t n = address == 0 ? 0 : cpu_peek(t->cpu, address, data, sizeof(data));
    size_t len = strnlen((const char *)data, n);

    if (len == n && n < sizeof(data)) /* it ends where nothing is mapped: none */
        add_pointer(text, address);
    else
        add_bytes(text, data, len < STRING_SHOWN ? len : STRING_SHOWN, len > STRING_SHOWN);
}

/* --- time --- */

void add_duration(const struct tracer *t, struct text *text, const struct stamp *from, const struct stamp *to)
{
    uint64_t insns = to->at.icount - from->at.icount, awake = insns * t->m->clock.ns_per_insn;
    uint64_t slept = to->vns - from->vns - awake;
    char n[NUMBER_TEXT];

    text_add(text, "  in %s", number_text(insns, n));
    if (slept == 0)
        return;
    text_add(text, ", slept ");
    text_add_seconds(text, 1, slept);
    text_add(text, " s");
}
