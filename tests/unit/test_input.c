/* SPDX-License-Identifier: MIT */
/* The input door's register of sinks. */
#include "device_test.h"

#include <emu/input.h>

static void deliver(void *opaque, const uint8_t *data, size_t len)
{
    (void)data;
    *(size_t *)opaque += len;
}

static void a_sink_is_found_by_kind_and_port(void **state)
{
    struct input_door door = {.nsinks = 0};
    size_t com1 = 0;
    size_t com2 = 0;

    (void)state;
    input_door_add(&door, &(struct input_sink){INPUT_SERIAL, 0, NULL, deliver, &com1});
    input_door_add(&door, &(struct input_sink){INPUT_SERIAL, 1, NULL, deliver, &com2});
    assert_ptr_equal(input_door_find(&door, INPUT_SERIAL, 0)->opaque, &com1);
    assert_ptr_equal(input_door_find(&door, INPUT_SERIAL, 1)->opaque, &com2);
    input_door_find(&door, INPUT_SERIAL, 1)->deliver(&com2, (const uint8_t *)"abc", 3);
    assert_int_equal(com2, 3);
}

static void nobody_is_found_for_another_kind_or_port(void **state)
{
    struct input_door door = {.nsinks = 0};

    (void)state;
    assert_null(input_door_find(&door, INPUT_SERIAL, 0));
    input_door_add(&door, &(struct input_sink){INPUT_SERIAL, 0, NULL, deliver, NULL});
    assert_null(input_door_find(&door, INPUT_SERIAL, 2));
    assert_null(input_door_find(&door, INPUT_KEY, 0));
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = INPUT_SERIAL; i < INPUT_KIND_COUNT; i++) {
        assert_string_not_equal(input_kind_name(i), "unknown");
        for (unsigned j = INPUT_SERIAL; j < i; j++)
            assert_string_not_equal(input_kind_name(i), input_kind_name(j));
    }
    assert_string_equal(input_kind_name(0), "unknown");
    assert_string_equal(input_kind_name(INPUT_KIND_COUNT), "unknown");
    assert_string_equal(input_kind_name(1000), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sink_is_found_by_kind_and_port),
        cmocka_unit_test(nobody_is_found_for_another_kind_or_port),
        cmocka_unit_test(every_kind_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
