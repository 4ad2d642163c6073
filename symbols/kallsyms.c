/* SPDX-License-Identifier: MIT */
/* Decodes the tables of kallsyms into a symbol table. Finding them is kallsyms_find.c. */
#include "kallsyms_internal.h"

/* The strings that bytes of names stand for. */
struct token_strings {
    const char *text[KALLSYMS_TOKENS];
    size_t len[KALLSYMS_TOKENS];
};

/* The index was checked against the table: every entry leads to a string inside of it. */
static void load_tokens(const struct kallsyms_tables *t, struct token_strings *tokens)
{
    for (unsigned i = 0; i < KALLSYMS_TOKENS; i++) {
        size_t at = t->token_table + le16(t->bytes + t->token_index + 2 * i);

        tokens->text[i] = (const char *)t->bytes + at;
        tokens->len[i] = strnlen(tokens->text[i], t->len - at);
    }
}

/* The type and name of the symbol; 0: longer than any name. */
static size_t expand(const struct token_strings *tokens, const uint8_t *bytes, size_t n,
                     char out[KALLSYMS_NAME_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        size_t more = tokens->len[bytes[i]];

        if (more > KALLSYMS_NAME_MAX - len)
            return 0;
        memcpy(out + len, tokens->text[bytes[i]], more);
        len += more;
    }
    return len;
}

static int decode(const struct kallsyms_tables *t, struct symbol_table *table)
{
    struct token_strings tokens;
    char name[KALLSYMS_NAME_MAX];
    size_t at = t->names;

    if (symbol_table_reserve(table, t->count) != SYMBOLS_OK)
        return SYMBOLS_ERR_NO_MEMORY;
    load_tokens(t, &tokens);
    for (uint32_t i = 0; i < t->count; i++) {
        size_t text, n, len;
        bool absolute;
        uint64_t address = kallsyms_address(t, i, &absolute);
        int status;

        if (!kallsyms_name_at(t, at, &text, &n))
            return SYMBOLS_ERR_DAMAGED;
        len = expand(&tokens, t->bytes + text, n, name);
        if (len < 2)
            return SYMBOLS_ERR_DAMAGED;
        status = symbol_table_add(table, name + 1, len - 1, address, 0, absolute ? 'A' : name[0]);
        if (status < 0)
            return status;
        at = text + n;
    }
    return symbol_table_finish(table);
}

static void describe(const struct kallsyms_tables *t, struct kallsyms_layout *layout)
{
    *layout = (struct kallsyms_layout){
        .token_table = t->gva + t->token_table,
        .token_index = t->gva + t->token_index,
        .names = t->gva + t->names,
        .markers = t->gva + t->markers,
        .num_syms = t->gva + t->num_syms,
        .offsets = t->gva + t->offsets,
        .relative_base = t->relative_base,
        .absolute_percpu = t->absolute_percpu,
        .plain_addresses = t->plain_addresses,
    };
}

/* Tables that fit together but name nothing that every kernel has are chance, or malice. */
static bool names_a_kernel(const struct symbol_table *table)
{
    return symbol_table_by_name(table, "_stext") != NULL ||
           symbol_table_by_name(table, "_text") != NULL ||
           symbol_table_by_name(table, "start_kernel") != NULL;
}

static int decode_checked(const struct kallsyms_tables *t, struct symbol_table *table, char *err,
                          size_t errlen)
{
    int status = decode(t, table);

    if (status == SYMBOLS_ERR_NO_MEMORY)
        return symbols_error(status, err, errlen, "no memory for the guest's symbols");
    if (status < 0)
        return symbols_error(SYMBOLS_ERR_DAMAGED, err, errlen,
                             "the guest's kallsyms tables are damaged");
    if (!names_a_kernel(table))
        return symbols_error(SYMBOLS_ERR_NOT_FOUND, err, errlen,
                             "the guest's kallsyms tables name no kernel");
    return SYMBOLS_OK;
}

int kallsyms_read(const struct symbols_memory *mem, const struct symbols_hints *hints,
                  struct symbol_table **out, struct kallsyms_layout *layout, char *err,
                  size_t errlen)
{
    struct kallsyms_tables t;
    struct symbol_table *table;
    int status = kallsyms_find(mem, hints, &t, err, errlen);

    if (status < 0)
        return status;
    table = symbol_table_create();
    if (table == NULL)
        status = symbols_error(SYMBOLS_ERR_NO_MEMORY, err, errlen, "no memory for symbols");
    else
        status = decode_checked(&t, table, err, errlen);
    if (status == SYMBOLS_OK) {
        *out = table;
        if (layout != NULL)
            describe(&t, layout);
    } else {
        symbol_table_destroy(table);
    }
    kallsyms_tables_free(&t);
    return status;
}
