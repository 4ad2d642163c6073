/* SPDX-License-Identifier: MIT */
/*
 * Telling failures apart: site.h.
 *
 * Numbers become '#': those that begin a word, in decimal or 0x..., and words of hexadecimal digits, if there are eight or
 * more, or 0 to 9 among them: "a8" and "3f" are numbers as likely as "17" is, when all were printed by %x. "x86_64" and
 * "sda1" stay, and so do names of functions; offsets into them go, since one bug often shows at several instructions of a
 * function.
 */
#include "site.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ADDRESS_DIGITS 8u

/* --- numbers --- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$';
}

/* Also a full stop behind it. */
static bool is_end_of_word(const char *p)
{
    return !is_word(p[0]) || (p[0] == '.' && !is_word(p[1]));
}

/* Length of the number that the word at `p` begins with; 0: it is none. */
static size_t number_length(const char *p)
{
    size_t hex = strspn(p, "0123456789abcdefABCDEF"), dec = strspn(p, "0123456789");

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
        return 2 + strspn(p + 2, "0123456789abcdefABCDEF");
    if ((hex >= ADDRESS_DIGITS || strcspn(p, "0123456789") < hex) && is_end_of_word(p + hex))
        return hex;
    while (dec > 0 && p[dec] == '.' && isdigit((unsigned char)p[dec + 1])) /* 6.1.0 */
        dec += 1 + strspn(p + dec + 1, "0123456789");
    return dec;
}

/* "+0x12/0x34" behind a function's name; 0: it is none. */
static size_t offset_length(const char *p)
{
    size_t n;

    if (p[0] != '+' || p[1] != '0' || p[2] != 'x')
        return 0;
    n = 1 + number_length(p + 1);
    return p[n] == '/' ? n + 1 + number_length(p + n + 1) : n;
}

/* "[   12.345678] ", and "[  T123] " behind it: printk's. */
static const char *skip_times(const char *p)
{
    while (*p == '[') {
        size_t n = 1 + strspn(p + 1, " TC0123456789.");

        if (p[n] != ']' || n < 3)
            break;
        p += n + 1;
        p += strspn(p, " ");
    }
    return p;
}

void site_normalise(const char *text, char *out, size_t len)
{
    const char *p = skip_times(text);
    size_t n = 0;
    bool in_word = false;

    while (*p != '\0' && n + 1 < len) {
        size_t offset = in_word ? offset_length(p) : 0;
        size_t sign = !in_word && *p == '-';
        size_t number = in_word || offset > 0 ? 0 : number_length(p + sign);

        if (offset > 0) {
            p += offset;
            continue;
        }
        if (number > 0) {
            p += sign + number;
            out[n++] = '#';
            in_word = true;
            continue;
        }
        in_word = is_word(*p);
        if (isgraph((unsigned char)*p))
            out[n++] = *p;
        else if (n > 0 && out[n - 1] != ' ')
            out[n++] = ' ';
        p++;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

/* --- what the guest says --- */

static bool has_any(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strstr(text, *words) != NULL)
            return true;
    return false;
}

static bool is_report(const char *text)
{
    static const char *const words[] = {
        "BUG: ",         "Oops: ",           "PANIC",         "Kernel panic - ", "panic: ",         "panicked at",
        "nable to handle", "protection fault", "double fault",  "divide error",    "invalid opcode",  "stack segment: ",
        "KASAN: ",       "UBSAN: ",          "ssertion",      "segfault at",     "soft lockup",     "hard LOCKUP",
        "blocked for more", "corruption",    NULL,
    };

    return has_any(text, words);
}

static bool is_last_words(const char *text)
{
    static const char *const words[] = {"Kernel panic - ", NULL};

    return has_any(text, words) && strstr(text, "---[") == NULL;
}

/* "RIP: 0010:panic+0x12/0x34", "RIP: 0008:[<0000000000101376>] panic+0x46/0x48", "EIP: ...". */
static void note_function(struct site_watch *w, const char *text)
{
    const char *at = strstr(text, "IP: "), *plus, *begin;

    if (at == NULL || w->function[0] != '\0')
        return;
    plus = strstr(at, "+0x");
    begin = plus;
    while (begin != NULL && begin > at && is_word(begin[-1]))
        begin--;
    if (begin != NULL && begin < plus)
        snprintf(w->function, sizeof(w->function), "%.*s", (int)(plus - begin), begin);
}

static void on_line(void *opaque, unsigned port, const char *text, size_t len)
{
    struct site_watch *w = opaque;

    (void)port, (void)len;
    if (is_last_words(text) && w->headline[0] != '\0' && w->last_words[0] == '\0')
        site_normalise(text, w->last_words, sizeof(w->last_words));
    else if (w->headline[0] == '\0' && is_report(text))
        site_normalise(text, w->headline, sizeof(w->headline));
    note_function(w, text);
}

void site_begin(struct site_watch *w)
{
    w->lines.line = on_line;
    w->lines.opaque = w;
    output_lines_drop(&w->lines);
    w->headline[0] = w->function[0] = w->last_words[0] = '\0';
}

void site_output(struct site_watch *w, unsigned port, const uint8_t *data, size_t len)
{
    output_lines_feed(&w->lines, port, data, len);
}

/* --- the site --- */

static void add_part(char out[SITE_BYTES], const char *before, const char *part)
{
    size_t n = strlen(out);

    if (part[0] != '\0')
        snprintf(out + n, SITE_BYTES - n, "%s%s", before, part);
}

void site_describe(struct site_watch *w, const char *how, const char *line, const char *function,
                   char out[SITE_BYTES])
{
    char said[SITE_PART];

    output_lines_end(&w->lines);
    site_normalise(line != NULL ? line : w->headline, said, sizeof(said));
    out[0] = '\0';
    add_part(out, "", how);
    add_part(out, " | ", said);
    add_part(out, " | in ", w->function[0] != '\0' ? w->function : function);
    add_part(out, " | ", w->last_words);
}
