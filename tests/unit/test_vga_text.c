/* SPDX-License-Identifier: MIT */
/* VGA registers, text memory and the screen that tools see. */
#include "device_test.h"

#include <devices/vga_text.h>

#define FRAME_NS (449ULL * 31778)
#define LINE_NS  31778ULL

struct world {
    struct fake_machine fm;
    struct vga_text vga;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    fake_init(&w->fm);
    vga_text_init(&w->vga, &(struct vga_text_wiring){.clock = &w->fm.clock,
                                                     .ports = &w->fm.ports,
                                                     .memory = &w->fm.memory});
    vga_text_reset(&w->vga);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_state_survives(&vga_text_desc, &w->vga);
    free(w);
    return 0;
}

static void indexed(struct world *w, uint16_t port, uint8_t index, uint8_t value)
{
    out8(&w->fm, port, index);
    out8(&w->fm, port + 1, value);
}

static uint8_t get(struct world *w, uint16_t port, uint8_t index)
{
    out8(&w->fm, port, index);
    return in8(&w->fm, port + 1);
}

static void cell(struct world *w, unsigned row, unsigned col, char c)
{
    bus_write(&w->fm.memory, 0xb8000 + 2 * (80 * row + col), 0x0700u | (uint8_t)c, 2);
}

/* --- memory and screen --- */

static void memory_takes_every_width(void **state)
{
    struct world *w = *state;

    bus_write(&w->fm.memory, 0xb8000, 0x0741, 2);
    assert_int_equal(bus_read(&w->fm.memory, 0xb8000, 1), 0x41);
    assert_int_equal(bus_read(&w->fm.memory, 0xb8001, 1), 0x07);
    bus_write(&w->fm.memory, 0xa0000, 0x8877665544332211, 8);
    assert_true(bus_read(&w->fm.memory, 0xa0000, 8) == 0x8877665544332211);
    assert_int_equal(bus_peek(&w->fm.memory, 0xa0003, 2), 0x5544);
    bus_write(&w->fm.memory, 0xbffff, 0x5a, 1);
    assert_int_equal(bus_read(&w->fm.memory, 0xbffff, 1), 0x5a);
    assert_int_equal(bus_read(&w->fm.memory, 0xc0000, 1), 0xff);
}

static void the_screen_is_blank_after_reset(void **state)
{
    struct world *w = *state;
    char screen[VGA_TEXT_SCREEN_BYTES];

    vga_text_screen(&w->vga, screen);
    assert_int_equal(strlen(screen), 25 * 81);
    for (unsigned i = 0; i < 25 * 81; i++)
        assert_int_equal(screen[i], i % 81 == 80 ? '\n' : ' ');
    assert_int_equal(bus_read(&w->fm.memory, 0xb8000, 2), 0x0720);
    assert_int_equal(bus_read(&w->fm.memory, 0xbfffe, 2), 0x0720);
    assert_int_equal(bus_read(&w->fm.memory, 0xb7fff, 1), 0x00);
}

static void the_screen_shows_what_was_written(void **state)
{
    struct world *w = *state;
    char screen[VGA_TEXT_SCREEN_BYTES];

    cell(w, 0, 0, 'A');
    cell(w, 24, 79, 'Z');
    cell(w, 3, 4, '\x01');
    cell(w, 3, 5, '\0');
    vga_text_screen(&w->vga, screen);
    assert_int_equal(screen[0], 'A');
    assert_int_equal(screen[24 * 81 + 79], 'Z');
    assert_int_equal(screen[3 * 81 + 4], '.');
    assert_int_equal(screen[3 * 81 + 5], ' ');
}

static void the_screen_follows_the_start_address(void **state)
{
    struct world *w = *state;
    char screen[VGA_TEXT_SCREEN_BYTES];

    cell(w, 2, 0, 'S');
    indexed(w, 0x3d4, 0x0c, 0);
    indexed(w, 0x3d4, 0x0d, 160);
    vga_text_screen(&w->vga, screen);
    assert_int_equal(screen[0], 'S');
    indexed(w, 0x3d4, 0x0c, 0xff); /* wraps inside 32 KiB */
    indexed(w, 0x3d4, 0x0d, 0xff);
    vga_text_screen(&w->vga, screen);
    assert_int_equal(screen[2 * 81 + 1], 'S');
}

/* --- indexed registers --- */

static void crtc_sequencer_and_graphics_store_by_index(void **state)
{
    struct world *w = *state;

    indexed(w, 0x3d4, 0x0e, 0x12);
    indexed(w, 0x3d4, 0x0f, 0x34);
    assert_int_equal(get(w, 0x3d4, 0x0e), 0x12);
    assert_int_equal(get(w, 0x3d4, 0x0f), 0x34);
    assert_int_equal(in8(&w->fm, 0x3d4), 0x0f);
    indexed(w, 0x3c4, 2, 0x0c);
    assert_int_equal(get(w, 0x3c4, 2), 0x0c);
    indexed(w, 0x3ce, 6, 0x05);
    assert_int_equal(get(w, 0x3ce, 6), 0x05);
    out16(&w->fm, 0x3d4, 0x560a); /* index and data in one */
    assert_int_equal(get(w, 0x3d4, 0x0a), 0x56);
}

static void registers_past_the_end_read_ones_and_are_counted(void **state)
{
    struct world *w = *state;

    indexed(w, 0x3d4, 0x30, 0x12);
    assert_int_equal(get(w, 0x3d4, 0x30), 0xff);
    indexed(w, 0x3ce, 0x0f, 0x12);
    assert_int_equal(get(w, 0x3ce, 0x0f), 0xff);
    assert_int_equal(w->vga.oddities, 2);
}

static void crtc_protection_covers_registers_0_to_7(void **state)
{
    struct world *w = *state;

    assert_int_equal(get(w, 0x3d4, 0x11) & 0x80, 0x80);
    indexed(w, 0x3d4, 0, 0x77);
    assert_int_equal(get(w, 0x3d4, 0), 0x5f);
    indexed(w, 0x3d4, 7, 0x00);
    assert_int_equal(get(w, 0x3d4, 7), 0x0f); /* only bit 4 */
    indexed(w, 0x3d4, 0x11, 0x0e);
    indexed(w, 0x3d4, 0, 0x77);
    assert_int_equal(get(w, 0x3d4, 0), 0x77);
}

static void the_attribute_flip_flop_alternates_and_3da_resets_it(void **state)
{
    struct world *w = *state;

    in8(&w->fm, 0x3da);
    out8(&w->fm, 0x3c0, 0x10);
    out8(&w->fm, 0x3c0, 0xab);
    assert_int_equal(in8(&w->fm, 0x3c1), 0xab);
    out8(&w->fm, 0x3c0, 0x11); /* index again */
    in8(&w->fm, 0x3da);
    out8(&w->fm, 0x3c0, 0x30); /* still the index; display on */
    assert_int_equal(in8(&w->fm, 0x3c1), 0xab);
    assert_int_equal(in8(&w->fm, 0x3c0), 0x30);
    assert_true(w->vga.attr_data);
    peek8(&w->fm, 0x3da);
    assert_true(w->vga.attr_data); /* a debugger's look does not reset it */
}

static void misc_output_moves_the_crtc_between_3b4_and_3d4(void **state)
{
    struct world *w = *state;

    assert_int_equal(in8(&w->fm, 0x3cc), 0x67);
    assert_int_equal(in8(&w->fm, 0x3b4), 0xff);
    out8(&w->fm, 0x3c2, 0x66);
    assert_int_equal(in8(&w->fm, 0x3cc), 0x66);
    assert_int_equal(in8(&w->fm, 0x3d4), 0xff);
    indexed(w, 0x3b4, 0x0e, 0x21);
    assert_int_equal(get(w, 0x3b4, 0x0e), 0x21);
    indexed(w, 0x3d4, 0x0e, 0x99); /* nobody there */
    assert_int_equal(get(w, 0x3b4, 0x0e), 0x21);
    out8(&w->fm, 0x3c0, 0x05);
    assert_true(w->vga.attr_data);
    in8(&w->fm, 0x3da);
    assert_true(w->vga.attr_data);
    in8(&w->fm, 0x3ba);
    assert_false(w->vga.attr_data);
}

static void feature_control_and_enable_read_back(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0x3da, 0x02);
    assert_int_equal(in8(&w->fm, 0x3ca), 0x02);
    out8(&w->fm, 0x3c3, 0x00);
    assert_int_equal(in8(&w->fm, 0x3c3), 0x00);
    assert_int_equal(in8(&w->fm, 0x3c2) & 0x10, 0x10);
}

static void only_the_selected_status_port_resets_the_flip_flop(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0x3c0, 0x05);
    in8(&w->fm, 0x3ba);
    in8(&w->fm, 0x3d4);
    assert_true(w->vga.attr_data);
    in8(&w->fm, 0x3da);
    assert_false(w->vga.attr_data);
}

static void the_crtc_is_set_up_for_80_by_25_after_reset(void **state)
{
    struct world *w = *state;

    assert_int_equal(get(w, 0x3d4, 0x01), 79);   /* columns - 1 */
    assert_int_equal(get(w, 0x3d4, 0x09), 0x4f); /* 16 lines a row */
    assert_int_equal(get(w, 0x3d4, 0x13), 40);
    assert_int_equal(get(w, 0x3d4, 0x18), 0xff); /* no split screen */
    assert_int_equal(get(w, 0x3ce, 0x06), 0x0e); /* text at B8000h */
    assert_int_equal(in8(&w->fm, 0x3c7), 0);     /* DAC: writing */
}

/* --- DAC --- */

static void dac_entries_take_three_bytes_and_advance(void **state)
{
    struct world *w = *state;
    static const uint8_t colors[] = {1, 2, 3, 0xff, 5, 6};

    out8(&w->fm, 0x3c8, 254);
    for (unsigned i = 0; i < 6; i++)
        out8(&w->fm, 0x3c9, colors[i]);
    assert_int_equal(in8(&w->fm, 0x3c8), 0); /* wrapped */
    assert_int_equal(in8(&w->fm, 0x3c7), 0);
    out8(&w->fm, 0x3c7, 254);
    assert_int_equal(in8(&w->fm, 0x3c7), 3);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(in8(&w->fm, 0x3c9), colors[i] & 0x3f);
}

static void a_dac_entry_changes_with_its_third_byte(void **state)
{
    struct world *w = *state;
    uint8_t before = w->vga.dac[3 * 7];

    out8(&w->fm, 0x3c8, 7);
    out8(&w->fm, 0x3c9, 0x11);
    out8(&w->fm, 0x3c9, 0x12);
    assert_int_equal(w->vga.dac[3 * 7], before);
    out8(&w->fm, 0x3c9, 0x13);
    assert_int_equal(w->vga.dac[3 * 7], 0x11);
    assert_int_equal(w->vga.dac[3 * 7 + 2], 0x13);
}

static void peeking_at_the_dac_does_not_advance(void **state)
{
    struct world *w = *state;

    out8(&w->fm, 0x3c7, 1);
    assert_int_equal(peek8(&w->fm, 0x3c9), 0);
    assert_int_equal(peek8(&w->fm, 0x3c9), 0);
    in8(&w->fm, 0x3c9);
    in8(&w->fm, 0x3c9);
    assert_int_equal(peek8(&w->fm, 0x3c9), 0x2a); /* blue of colour 1 */
    out8(&w->fm, 0x3c6, 0x0f);
    assert_int_equal(in8(&w->fm, 0x3c6), 0x0f);
}

static void the_ega_palette_is_loaded(void **state)
{
    struct world *w = *state;
    static const struct {
        unsigned entry;
        uint8_t rgb[3];
    } rows[] = {
        {0x00, {0, 0, 0}},       {0x04, {0x2a, 0, 0}},       {0x07, {0x2a, 0x2a, 0x2a}},
        {0x14, {0x2a, 0x15, 0}}, {0x38, {0x15, 0x15, 0x15}}, {0x3f, {0x3f, 0x3f, 0x3f}},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_memory_equal(&w->vga.dac[3 * rows[i].entry], rows[i].rgb, 3);
}

/* --- retrace --- */

static void vertical_retrace_comes_once_a_frame(void **state)
{
    struct world *w = *state;
    unsigned rises = 0;
    uint8_t last = 0;

    for (uint64_t t = 0; t < 10 * FRAME_NS; t += LINE_NS / 2) {
        uint8_t now;

        fake_run_until(&w->fm, t);
        now = in8(&w->fm, 0x3da) & 8;
        rises += now && !last;
        last = now;
    }
    assert_int_equal(rises, 10);
}

static void blanking_is_set_outside_of_the_picture(void **state)
{
    struct world *w = *state;

    assert_int_equal(in8(&w->fm, 0x3da), 0);
    fake_run_until(&w->fm, 26000);
    assert_int_equal(in8(&w->fm, 0x3da), 1); /* horizontal */
    fake_run_until(&w->fm, LINE_NS);
    assert_int_equal(in8(&w->fm, 0x3da), 0);
    fake_run_until(&w->fm, 405 * LINE_NS);
    assert_int_equal(in8(&w->fm, 0x3da), 1);
    fake_run_until(&w->fm, 412 * LINE_NS);
    assert_int_equal(in8(&w->fm, 0x3da), 9);
    fake_run_until(&w->fm, 414 * LINE_NS);
    assert_int_equal(in8(&w->fm, 0x3da), 1);
}

/* --- state --- */

static void reset_restores_text_mode(void **state)
{
    struct world *w = *state;
    struct vga_text *fresh = malloc(sizeof(*fresh));

    assert_non_null(fresh);
    memcpy(fresh, &w->vga, sizeof(*fresh));
    scribble_fields(&vga_text_desc, (uint8_t *)&w->vga);
    vga_text_reset(&w->vga);
    assert_true(state_digest(&vga_text_desc, fresh) == state_digest(&vga_text_desc, &w->vga));
    free(fresh);
}

static void every_register_is_saved(void **state)
{
    /* The memory is one byte run at the front; leaving it out keeps this quick. */
    struct state_desc registers = vga_text_desc;

    (void)state;
    registers.fields++;
    registers.nfields--;
    assert_int_equal(vga_text_desc.fields[0].offset, offsetof(struct vga_text, memory));
    assert_int_equal(vga_text_desc.fields[0].count, VGA_MEMORY_BYTES);
    assert_every_field_in_table(&registers, offsetof(struct vga_text, dac),
                                MEMBER_END(struct vga_text, attr_data));
}

static void a_dac_component_beyond_blue_is_rejected(void **state)
{
    struct world *w = *state;
    size_t size = state_saved_size(&vga_text_desc);
    uint8_t *saved = malloc(size);

    assert_non_null(saved);
    w->vga.dac_part = 3;
    state_save(&vga_text_desc, &w->vga, saved);
    w->vga.dac_part = 0;
    assert_int_equal(state_load(&vga_text_desc, &w->vga, saved, size), -1);
    assert_int_equal(w->vga.dac_part, 0);
    free(saved);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(memory_takes_every_width),
        T(the_screen_is_blank_after_reset),
        T(the_screen_shows_what_was_written),
        T(the_screen_follows_the_start_address),
        T(crtc_sequencer_and_graphics_store_by_index),
        T(registers_past_the_end_read_ones_and_are_counted),
        T(crtc_protection_covers_registers_0_to_7),
        T(the_attribute_flip_flop_alternates_and_3da_resets_it),
        T(misc_output_moves_the_crtc_between_3b4_and_3d4),
        T(feature_control_and_enable_read_back),
        T(only_the_selected_status_port_resets_the_flip_flop),
        T(the_crtc_is_set_up_for_80_by_25_after_reset),
        T(dac_entries_take_three_bytes_and_advance),
        T(a_dac_entry_changes_with_its_third_byte),
        T(peeking_at_the_dac_does_not_advance),
        T(the_ega_palette_is_loaded),
        T(vertical_retrace_comes_once_a_frame),
        T(blanking_is_set_outside_of_the_picture),
        T(reset_restores_text_mode),
        T(every_register_is_saved),
        T(a_dac_component_beyond_blue_is_rejected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
