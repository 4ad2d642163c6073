/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes conditions: parses the input as one and evaluates what comes out, on a machine at power-on.
 *
 * What must hold: an error is one line that names a column within the text; a value is the same twice,
 * and each read that was told is of 1 to 8 bytes. Regular expressions with repeat counts are left out: the
 * C library's take what memory there is for them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <devices/pc.h>
#include <emu/machine.h>
#include <replay/expr.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct machine *machine(void)
{
    static struct machine *m;
    struct machine_config config = {
        .struct_size = sizeof(config), .ram_bytes = 1u << 20, .ns_per_insn = 1};
    char err[256];

    if (m == NULL)
        m = machine_create(&config, &pc_board, err, sizeof(err));
    require(m != NULL);
    return m;
}

static bool find(void *opaque, const char *name, uint64_t *address)
{
    (void)opaque;
    *address = strlen(name) * 0x123;
    return name[0] != 'x';
}

static bool seen(void *opaque, const struct pattern *p)
{
    (void)opaque;
    return p != NULL;
}

static void on_read(void *opaque, bool physical, uint64_t address, unsigned bytes)
{
    (void)opaque, (void)physical, (void)address;
    require(bytes >= 1 && bytes <= 8);
}

static void check_error(const char *text, const char *err)
{
    size_t column = 0;
    int taken = 0;

    require(sscanf(err, "column %zu: %n", &column, &taken) == 1 && taken > 0);
    require(column >= 1 && column <= strlen(text) + 1);
    require(err[taken] != '\0');
}

static void check_value(const struct expr *e)
{
    static const struct expr_view view = {.seen = seen, .read = on_read};
    const struct pattern *p;
    uint64_t first = 0, second = 0;
    bool known = expr_value(e, machine(), &view, &first);

    require(expr_value(e, machine(), &view, &second) == known);
    require(!known || first == second);
    require(expr_holds(e, machine(), &view) == (known && first != 0));
    require(expr_pattern(e, 0, &p) == ((expr_uses(e) & EXPR_USES_OUTPUT) != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct expr_names names = {.find = find};
    char *text = calloc(1, size + 1), err[256] = "";
    struct expr *e;

    require(text != NULL);
    memcpy(text, data, size);
    if (strchr(text, '{') == NULL) {
        e = expr_parse(text, &names, err, sizeof(err));
        if (e == NULL)
            check_error(text, err);
        else
            check_value(e);
        expr_destroy(e);
    }
    free(text);
    return 0;
}
