/* SPDX-License-Identifier: MIT */
/* The bus: who answers, how accesses are split, and what nobody answers. */
#include "device_test.h"

#include <stdio.h>

/* Reads as (tag + offset) a byte, and logs what it is asked. */
struct target {
    uint8_t tag;
    char *log;
    struct bus *bus;
    struct bus_range range;
    uint64_t move_to; /* a write moves the range there; 0: not */
};

static uint64_t bytes_from(uint8_t first, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)(uint8_t)(first + i) << (8 * i);
    return value;
}

static void note(struct target *t, char what, uint64_t offset, unsigned size)
{
    size_t at = strlen(t->log);

    snprintf(t->log + at, 256 - at, "%c%02x+%llx/%u ", what, t->tag, (unsigned long long)offset,
             size);
}

static uint64_t target_read(void *opaque, uint64_t offset, unsigned size)
{
    struct target *t = opaque;

    note(t, 'r', offset, size);
    return bytes_from((uint8_t)(t->tag + offset), size) | (size < 8 ? ~0ULL << (8 * size) : 0);
}

static uint64_t target_peek(void *opaque, uint64_t offset, unsigned size)
{
    struct target *t = opaque;

    return bytes_from((uint8_t)(t->tag + offset), size);
}

static void target_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct target *t = opaque;
    size_t at;

    note(t, 'w', offset, size);
    at = strlen(t->log) - 1;
    snprintf(t->log + at, 256 - at, "=%llx ", (unsigned long long)value);
    if (t->move_to != 0)
        bus_move(t->bus, &t->range, t->move_to, t->range.len);
}

static const struct bus_ops ops1 = {target_read, target_write, target_peek, 1};
static const struct bus_ops ops2 = {target_read, target_write, target_peek, 2};
static const struct bus_ops ops8 = {target_read, target_write, target_peek, 8};
static const struct bus_ops mute = {NULL, NULL, NULL, 4};

struct fixture {
    struct bus bus;
    char log[256];
    struct target a, b;
};

static void add(struct fixture *f, struct target *t, uint8_t tag, uint64_t base, uint64_t len,
                const struct bus_ops *ops)
{
    *t = (struct target){.tag = tag, .log = f->log, .bus = &f->bus};
    bus_add(&f->bus, &t->range, "target", base, len, ops, t);
}

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    bus_init(&f->bus, "port", 0x10000);
}

static void an_access_goes_to_the_range_with_an_offset_from_its_base(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 8, &ops8);
    assert_true(bus_read(&f.bus, 0x102, 2) == 0x1312);
    bus_write(&f.bus, 0x104, 0xaabbccddee, 4);
    assert_string_equal(f.log, "r10+2/2 w10+4/4=bbccddee ");
}

static void nobody_answers_with_all_ones_and_is_counted(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_true(bus_read(&f.bus, 0x80, 1) == 0xff);
    assert_true(bus_read(&f.bus, 0x80, 4) == 0xffffffff);
    assert_true(bus_read(&f.bus, 0x80, 8) == UINT64_MAX);
    bus_write(&f.bus, 0x80, 1, 2);
    assert_int_equal(f.bus.unclaimed_reads, 3);
    assert_int_equal(f.bus.unclaimed_writes, 1);
    assert_true(bus_peek(&f.bus, 0x80, 2) == 0xffff);
    assert_int_equal(f.bus.unclaimed_reads, 3);
}

static void a_wide_access_is_split_to_what_the_device_takes(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x20, 0x100, 8, &ops2);
    assert_true(bus_read(&f.bus, 0x100, 8) == 0x2726252423222120);
    bus_write(&f.bus, 0x102, 0x11223344, 4);
    assert_string_equal(f.log, "r20+0/2 r20+2/2 r20+4/2 r20+6/2 w20+2/2=3344 w20+4/2=1122 ");
}

static void an_access_across_a_border_goes_to_both_neighbours_by_bytes(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 2, &ops8);
    add(&f, &f.b, 0x80, 0x102, 1, &ops8);
    assert_true(bus_read(&f.bus, 0x101, 4) == 0xffff8011); /* the fourth byte and third: nobody */
    bus_write(&f.bus, 0x101, 0x0201, 2);
    assert_string_equal(f.log, "r10+1/1 r80+0/1 w10+1/1=1 w80+0/1=2 ");
    assert_true(bus_peek(&f.bus, 0x101, 2) == 0x8011);
}

static void the_range_added_or_moved_last_wins_an_overlap(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 0x10, &ops1);
    add(&f, &f.b, 0x80, 0x104, 4, &ops1);
    assert_int_equal(bus_read(&f.bus, 0x103, 1), 0x13);
    assert_int_equal(bus_read(&f.bus, 0x104, 1), 0x80);
    assert_int_equal(bus_read(&f.bus, 0x108, 1), 0x18);
    bus_move(&f.bus, &f.a.range, 0x100, 0x10);
    assert_int_equal(bus_read(&f.bus, 0x104, 1), 0x14);
}

static void the_cache_of_the_last_hit_never_hides_an_overlapping_range(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 0x10, &ops8);
    add(&f, &f.b, 0x80, 0x104, 4, &ops8);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bus_read(&f.bus, 0x100, 1), 0x10);
        assert_int_equal(bus_read(&f.bus, 0x104, 1), 0x80);
        assert_true(bus_read(&f.bus, 0x102, 4) == 0x81801312);
    }
}

static void moving_and_disabling_a_range_takes_effect_at_once(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 4, &ops1);
    assert_int_equal(bus_read(&f.bus, 0x100, 1), 0x10);
    bus_move(&f.bus, &f.a.range, 0x200, 4);
    assert_int_equal(bus_read(&f.bus, 0x100, 1), 0xff);
    assert_int_equal(bus_read(&f.bus, 0x203, 1), 0x13);
    bus_move(&f.bus, &f.a.range, 0x200, 0);
    assert_int_equal(bus_read(&f.bus, 0x200, 1), 0xff);
}

static void a_device_may_move_its_range_while_it_is_written(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 4, &ops1);
    f.a.move_to = 0x300;
    bus_write(&f.bus, 0x100, 0x0201, 2); /* one access: it goes to where the range was */
    assert_string_equal(f.log, "w10+0/1=1 w10+1/1=2 ");
}

static void any_base_and_length_is_survived(void **state)
{
    static const uint64_t odd[] = {0, 1, 0xfffe, 0xffff, 0x10000, UINT64_MAX - 1, UINT64_MAX};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 4, &ops8);
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < 7; j++) {
            bus_move(&f.bus, &f.a.range, odd[i], odd[j]);
            for (size_t k = 0; k < 7; k++) {
                bool hit = odd[k] < 0x10000 && odd[k] >= odd[i] && odd[k] - odd[i] < odd[j];

                f.log[0] = '\0';
                assert_int_equal(bus_read(&f.bus, odd[k], 1),
                                 hit ? (uint8_t)(0x10 + odd[k] - odd[i]) : 0xff);
                bus_read(&f.bus, odd[k], 8);
                f.log[0] = '\0';
                bus_write(&f.bus, odd[k], 0, 8);
            }
        }
    }
}

static void an_access_at_the_end_of_the_space_finds_nobody_beyond(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0xfffc, 0x100, &ops8);
    assert_true(bus_read(&f.bus, 0xfffe, 4) == 0xffff1312);
}

static void peek_leaves_log_counters_and_cache_alone(void **state)
{
    struct fixture f;
    struct bus before;

    (void)state;
    fixture_init(&f);
    add(&f, &f.a, 0x10, 0x100, 4, &ops1);
    memcpy(&before, &f.bus, sizeof(before));
    assert_true(bus_peek(&f.bus, 0x100, 4) == 0x13121110);
    assert_true(bus_peek(&f.bus, 0x102, 4) == 0xffff1312);
    assert_memory_equal(&before, &f.bus, sizeof(before));
    assert_string_equal(f.log, "");
}

static void a_range_without_functions_reads_ones_and_swallows_writes(void **state)
{
    struct fixture f;
    struct bus_range range;

    (void)state;
    fixture_init(&f);
    bus_add(&f.bus, &range, "mute", 0x100, 4, &mute, NULL);
    assert_true(bus_read(&f.bus, 0x100, 4) == 0xffffffff);
    bus_write(&f.bus, 0x100, 1, 4);
    assert_int_equal(f.bus.unclaimed_reads + f.bus.unclaimed_writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_goes_to_the_range_with_an_offset_from_its_base),
        cmocka_unit_test(nobody_answers_with_all_ones_and_is_counted),
        cmocka_unit_test(a_wide_access_is_split_to_what_the_device_takes),
        cmocka_unit_test(an_access_across_a_border_goes_to_both_neighbours_by_bytes),
        cmocka_unit_test(the_range_added_or_moved_last_wins_an_overlap),
        cmocka_unit_test(the_cache_of_the_last_hit_never_hides_an_overlapping_range),
        cmocka_unit_test(moving_and_disabling_a_range_takes_effect_at_once),
        cmocka_unit_test(a_device_may_move_its_range_while_it_is_written),
        cmocka_unit_test(any_base_and_length_is_survived),
        cmocka_unit_test(an_access_at_the_end_of_the_space_finds_nobody_beyond),
        cmocka_unit_test(peek_leaves_log_counters_and_cache_alone),
        cmocka_unit_test(a_range_without_functions_reads_ones_and_swallows_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
