/* SPDX-License-Identifier: MIT */
/* ELF files: read back what elf_image writes, whole and damaged; build-ids in notes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/elf_file.h>
#include <symbols/elf_image.h>

static void add(struct symbol_table *t, const char *name, uint64_t address, uint64_t size,
                char type)
{
    assert_int_equal(symbol_table_add(t, name, strlen(name), address, size, type), SYMBOLS_OK);
}

static uint8_t *example(unsigned bits, size_t *len)
{
    struct symbol_table *t = symbol_table_create();
    struct elf_image_options o = {.struct_size = sizeof(o), .bits = bits};
    uint64_t base = bits == 64 ? 0xffffffff81000000 : 0xc1000000;
    uint8_t *image;

    add(t, "_stext", base, 0x100, 'T');
    add(t, "local", base + 0x100, 0x40, 't');
    add(t, "data", base + 0x1000, 8, 'd');
    add(t, "global_data", base + 0x1008, 8, 'D');
    add(t, "number", 0x42, 0, 'A');
    assert_int_equal(symbol_table_finish(t), SYMBOLS_OK);
    assert_int_equal(elf_image_build(t, &o, &image, len, NULL, 0), SYMBOLS_OK);
    symbol_table_destroy(t);
    return image;
}

static void check_symbols(unsigned bits, uint64_t offset)
{
    uint64_t base = (bits == 64 ? 0xffffffff81000000 : 0xc1000000) + offset;
    size_t len;
    uint8_t *image = example(bits, &len);
    struct elf_file *f = elf_file_open_memory("example", image, len, NULL, 0);
    struct symbol_table *t;
    const struct symbol *s;

    assert_non_null(f);
    assert_int_equal(elf_file_bits(f), bits);
    assert_int_equal(elf_file_machine(f), bits == 64 ? ELF_FILE_X86_64 : ELF_FILE_I386);
    assert_false(elf_file_is_relocatable(f));
    assert_true(elf_file_section_by_name(f, ".text")->code);
    assert_null(elf_file_section_by_name(f, ".tex"));
    assert_int_equal(elf_file_symbols(f, offset, &t, NULL, 0), SYMBOLS_OK);
    assert_int_equal(symbol_table_count(t), 5);
    s = symbol_table_by_name(t, "local");
    assert_int_equal(s->address, bits == 64 ? base + 0x100 : (base + 0x100) & UINT32_MAX);
    assert_int_equal(s->size, 0x40);
    assert_int_equal(s->type, 't');
    assert_int_equal(symbol_table_by_name(t, "global_data")->type, 'B');
    assert_int_equal(symbol_table_by_name(t, "number")->address, 0x42);
    symbol_table_destroy(t);
    elf_file_close(f);
    free(image);
}

static void reads_both_classes(void **state)
{
    (void)state;
    check_symbols(64, 0);
    check_symbols(32, 0);
}

static void moves_symbols_but_no_numbers(void **state)
{
    (void)state;
    check_symbols(64, 0x1a400000);
    check_symbols(64, (uint64_t)0 - 0x1000000);
    check_symbols(32, 0x4000000);
}

/* What opens is used, and must not crash. */
static void use(const uint8_t *image, size_t len)
{
    char err[200] = "";
    struct elf_file *f = elf_file_open_memory("damaged", image, len, err, sizeof(err));
    struct symbol_table *t = NULL;
    struct build_id id;
    uint8_t bytes[64];

    assert_true((f == NULL) == (err[0] != '\0'));
    if (f == NULL)
        return;
    if (elf_file_symbols(f, 0, &t, err, sizeof(err)) == SYMBOLS_OK)
        symbol_table_destroy(t);
    elf_file_build_id(f, &id, NULL);
    elf_file_read(f, 0xffffffff81000000, bytes, sizeof(bytes));
    elf_file_section_by_name(f, ".text");
    elf_file_close(f);
}

/* A copy of just that length, so that a sanitizer sees what is read behind it. */
static void use_copy(const uint8_t *image, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    memcpy(copy, image, len);
    use(copy, len);
    free(copy);
}

static void truncated_files(void **state)
{
    (void)state;
    for (unsigned bits = 32; bits <= 64; bits += 32) {
        size_t len;
        uint8_t *image = example(bits, &len);

        for (size_t n = 0; n < len; n++)
            use_copy(image, n);
        free(image);
    }
}

static void mutated_files(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (unsigned bits = 32; bits <= 64; bits += 32) {
        size_t len;
        uint8_t *image = example(bits, &len);

        for (int round = 0; round < 20000; round++) {
            uint8_t *copy = malloc(len);

            memcpy(copy, image, len);
            for (int i = 0; i < 3; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                copy[(random >> 33) % len] = (random & 0x100000) != 0 ? 0xff
                                                                      : (uint8_t)(random >> 24);
            }
            use(copy, len);
            free(copy);
        }
        free(image);
    }
}

static void names_the_file_that_does_not_open(void **state)
{
    char err[200] = "";

    (void)state;
    assert_null(elf_file_open("/nonexistent/vmlinux", err, sizeof(err)));
    assert_string_equal(err, "/nonexistent/vmlinux: No such file or directory");
    assert_null(elf_file_open("/", err, sizeof(err)));
    assert_string_equal(err, "/: not a regular file");
    assert_null(elf_file_open_memory("text", "hello, world", 12, err, sizeof(err)));
    assert_string_equal(err, "text: not an ELF file, or a big-endian one");
    elf_file_close(NULL);
}

/* --- build-ids --- */

static size_t put_note(uint8_t *out, uint32_t name_len, uint32_t desc_len, uint32_t type,
                       const char *name)
{
    uint32_t head[3] = {name_len, desc_len, type};

    memcpy(out, head, 12);
    memcpy(out + 12, name, 4);
    memset(out + 16, 0xab, 20);
    return 36;
}

static void finds_the_build_id_behind_other_notes(void **state)
{
    uint8_t notes[128];
    size_t len = put_note(notes, 4, 20, NT_GNU_BUILD_ID, "Xen"), at = 0;
    struct build_id id = {.len = 0};
    char text[2 * BUILD_ID_MAX + 1];

    (void)state;
    assert_false(build_id_in_notes(notes, len, &id, &at));
    assert_string_equal(build_id_text(&id, text, sizeof(text)), "none");
    len += put_note(notes + len, 4, 20, NT_GNU_BUILD_ID, "GNU");
    assert_true(build_id_in_notes(notes, len, &id, &at));
    assert_int_equal(at, 36 + 16);
    assert_string_equal(build_id_text(&id, text, sizeof(text)),
                        "abababababababababababababababababababab");
    assert_true(build_id_equal(&id, &id));
    for (size_t n = 0; n < len; n++)
        assert_false(build_id_in_notes(notes, n, &id, &at));
}

static void refuses_notes_that_lie(void **state)
{
    static const uint32_t lengths[] = {0, 33, 0x7fffffff, 0xfffffffc, 0xffffffff};
    uint8_t notes[64];
    struct build_id id = {.len = 0};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put_note(notes, 4, lengths[i], NT_GNU_BUILD_ID, "GNU");
        assert_false(build_id_in_notes(notes, 36, &id, NULL));
        put_note(notes, lengths[i], 20, NT_GNU_BUILD_ID, "GNU");
        assert_false(build_id_in_notes(notes, 36, &id, NULL));
    }
    assert_false(build_id_equal(&id, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_classes),
        cmocka_unit_test(moves_symbols_but_no_numbers),
        cmocka_unit_test(truncated_files),
        cmocka_unit_test(mutated_files),
        cmocka_unit_test(names_the_file_that_does_not_open),
        cmocka_unit_test(finds_the_build_id_behind_other_notes),
        cmocka_unit_test(refuses_notes_that_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
