/* SPDX-License-Identifier: MIT */
/* What the host does to a recording: full disks, limits, a kill in the middle, odd paths. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trace_fixture.h"

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static uint32_t mix(uint64_t i)
{
    return (uint32_t)((i * 0x9e3779b97f4a7c15u) >> 32);
}

/* Reads a trace of interrupts i at icount i with vector mix(i); returns how many there are. */
static uint64_t count_interrupts(const char *path)
{
    struct trace_error err = {0};
    struct trace_reader *r = trace_reader_open(path, &err);
    struct trace_event ev;
    uint64_t n = 0;
    int rc;

    assert_non_null(r);
    while ((rc = trace_reader_next(r, &ev)) > 0) {
        assert_int_equal(ev.kind, TRACE_EVENT_INTERRUPT);
        assert_int_equal(ev.icount, n);
        assert_int_equal(ev.u.interrupt.vector, mix(n));
        n++;
    }
    assert_int_equal(rc, 0);
    assert_true(trace_reader_truncated(r, NULL));
    trace_reader_destroy(r);
    return n;
}

static void full_disk_at_the_start_fails_to_create(void **state)
{
    struct trace_error err = {0};

    (void)state;
    assert_null(trace_writer_create("/dev/full", &small_header, NULL, &err));
    assert_int_equal(err.code, TRACE_ERR_IO);
    assert_int_equal(err.sys_errno, ENOSPC);
    assert_non_null(strstr(err.text, "No space left"));
}

static void null_device_takes_a_whole_trace(void **state)
{
    struct trace_writer *w = trace_writer_create("/dev/null", &small_header, NULL, NULL);

    (void)state;
    assert_non_null(w);
    append_small(w);
    assert_int_equal(trace_writer_finish(w, &small_end), 0);
    trace_writer_destroy(w);
}

/* In a child, whose limits are its own. Its exit status says what went wrong, 0: nothing. */
static int record_into_limit(const char *path, bool sync)
{
    struct trace_writer_options options = {
        .struct_size = sizeof(options), .frame_bytes = 4096, .sync = sync};
    struct rlimit limit = {100000, 100000};
    struct trace_error err = {0}, again = {0};
    struct trace_writer *w;
    uint64_t i = 0;

    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    w = trace_writer_create(path, &small_header, &options, &err);
    if (!w)
        return 2;
    while (i < 10000000 && trace_writer_interrupt(w, i, mix(i), 0) == 0)
        i++;
    if (trace_writer_error(w, &err) != TRACE_ERR_IO || err.sys_errno != EFBIG)
        return 3;
    for (unsigned k = 0; k < 100000; k++) { /* more than the queue holds: nobody waits */
        if (trace_writer_input(w, i + k, i + k, 1, 0, "x", 1) != TRACE_ERR_IO)
            return 4;
    }
    if (trace_writer_flush(w) != TRACE_ERR_IO || trace_writer_finish(w, &small_end) != TRACE_ERR_IO)
        return 5;
    if (trace_writer_error(w, &again) != TRACE_ERR_IO || strcmp(again.text, err.text) != 0)
        return 6;
    trace_writer_destroy(w);
    return 0;
}

static void disk_that_fills_up_leaves_what_was_whole(void **state)
{
    (void)state;
    for (unsigned sync = 0; sync < 2; sync++) {
        char path[64];
        int status = 0;
        pid_t pid;

        temp_path(path);
        pid = fork();
        assert_true(pid >= 0);
        if (!pid)
            _exit(record_into_limit(path, sync));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_true(count_interrupts(path) > 5000);
        unlink(path);
    }
}

static void killed_recorder_loses_nothing_older_than_a_second(void **state)
{
    int go[2], status;
    char path[64], byte;
    pid_t pid;

    (void)state;
    temp_path(path);
    assert_int_equal(pipe(go), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        struct trace_writer *w = trace_writer_create(path, &small_header, NULL, NULL);

        for (uint64_t i = 0; w && i < 1000; i++)
            trace_writer_interrupt(w, i, mix(i), 0);
        if (write(go[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(go[0], &byte, 1), 1);
    sleep_ms(1000);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_interrupts(path), 1000);
    close(go[0]);
    close(go[1]);
    unlink(path);
}

static void recorder_killed_at_any_moment_leaves_a_readable_trace(void **state)
{
    (void)state;
    for (long ms = 1; ms < 40; ms += 3) {
        char path[64];
        int go[2], status;
        char byte;
        pid_t pid;

        temp_path(path);
        assert_int_equal(pipe(go), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (!pid) {
            struct trace_writer *w = trace_writer_create(path, &small_header, NULL, NULL);

            if (!w || write(go[1], "x", 1) != 1)
                _exit(1);
            for (uint64_t i = 0;; i++)
                trace_writer_interrupt(w, i, mix(i), 0);
        }
        assert_int_equal(read(go[0], &byte, 1), 1);
        sleep_ms(ms);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        count_interrupts(path);
        close(go[0]);
        close(go[1]);
        unlink(path);
    }
}

static void input_is_in_the_file_without_waiting_for_the_time(void **state)
{
    struct trace_writer_options options = {.struct_size = sizeof(options),
                                           .flush_interval_ms = 3600000};
    struct trace_writer *w;
    char path[64];
    size_t count = 0;

    (void)state;
    temp_path(path);
    w = trace_writer_create(path, &small_header, &options, NULL);
    assert_non_null(w);
    assert_int_equal(trace_writer_input(w, 1, 1, 1, 0, "k", 1), 0);
    for (unsigned i = 0; i < 1000 && !count; i++) {
        struct trace_reader *r = trace_reader_open(path, NULL);
        struct trace_event ev;

        assert_non_null(r);
        count = trace_reader_next(r, &ev) > 0;
        trace_reader_destroy(r);
        sleep_ms(5);
    }
    assert_int_equal(count, 1);
    trace_writer_destroy(w);
    unlink(path);
}

static void synced_trace_is_the_same(void **state)
{
    struct trace_writer_options options = {.struct_size = sizeof(options), .sync = true};
    struct trace_writer *w;
    struct trace_reader *r;
    struct saved_events got = {0};
    char path[64];

    (void)state;
    temp_path(path);
    w = trace_writer_create(path, &small_header, &options, NULL);
    assert_non_null(w);
    append_small(w);
    assert_int_equal(trace_writer_finish(w, &small_end), 0);
    trace_writer_destroy(w);
    r = trace_reader_open(path, NULL);
    assert_non_null(r);
    assert_int_equal(read_events(r, &got), 0);
    assert_int_equal(got.count, 13);
    free_events(&got);
    trace_reader_destroy(r);
    unlink(path);
}

static void trace_can_go_into_a_pipe(void **state)
{
    struct trace_writer *w;
    struct trace_reader *r;
    uint8_t got[65536];
    size_t len = 0;
    ssize_t n;
    int fds[2];
    struct saved_events events = {0};

    (void)state;
    assert_int_equal(pipe(fds), 0);
    w = trace_writer_create_fd(fds[1], &small_header, NULL, NULL);
    assert_non_null(w);
    append_small(w);
    assert_int_equal(trace_writer_finish(w, &small_end), 0);
    trace_writer_destroy(w);
    while ((n = read(fds[0], got + len, sizeof(got) - len)) > 0)
        len += (size_t)n;
    close(fds[0]);
    r = trace_reader_open_memory(got, len, NULL);
    assert_non_null(r);
    assert_int_equal(trace_reader_index_state(r), TRACE_INDEX_USED);
    assert_int_equal(read_events(r, &events), 0);
    assert_int_equal(events.count, 13);
    free_events(&events);
    trace_reader_destroy(r);
}

static void closed_pipe_is_an_error_and_no_signal(void **state)
{
    struct trace_error err = {0};
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_null(trace_writer_create_fd(fds[1], &small_header, NULL, &err));
    assert_int_equal(err.code, TRACE_ERR_IO);
    assert_int_equal(err.sys_errno, EPIPE);
}

static void what_is_no_regular_file_is_not_touched(void **state)
{
    struct trace_error err = {0};
    char path[64];

    (void)state;
    temp_path(path);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(trace_writer_create(path, &small_header, NULL, &err));
    assert_int_equal(err.code, TRACE_ERR_NOT_REGULAR);
    assert_null(trace_reader_open(path, &err));
    assert_int_equal(err.code, TRACE_ERR_NOT_REGULAR);
    unlink(path);
    assert_null(trace_writer_create("/tmp", &small_header, NULL, &err));
    assert_int_equal(err.code, TRACE_ERR_NOT_REGULAR);
    assert_null(trace_reader_open("/tmp", &err));
    assert_int_equal(err.code, TRACE_ERR_NOT_REGULAR);
    assert_null(trace_reader_open("/nonexistent/t.deja", &err));
    assert_int_equal(err.code, TRACE_ERR_IO);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_null(trace_writer_create("/nonexistent/t.deja", &small_header, NULL, &err));
    assert_int_equal(err.sys_errno, ENOENT);
}

static void longer_file_of_that_name_is_replaced(void **state)
{
    struct bytes b;
    char path[64], *old = calloc(1, 1000000);

    (void)state;
    temp_path(path);
    assert_non_null(old);
    write_file(path, old, 1000000);
    struct trace_writer *w = trace_writer_create(path, &small_header, NULL, NULL);
    assert_non_null(w);
    assert_int_equal(trace_writer_finish(w, &small_end), 0);
    trace_writer_destroy(w);
    b = read_file(path);
    assert_true(b.len < 2000);
    free(b.data);
    free(old);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_disk_at_the_start_fails_to_create),
        cmocka_unit_test(null_device_takes_a_whole_trace),
        cmocka_unit_test(disk_that_fills_up_leaves_what_was_whole),
        cmocka_unit_test(killed_recorder_loses_nothing_older_than_a_second),
        cmocka_unit_test(recorder_killed_at_any_moment_leaves_a_readable_trace),
        cmocka_unit_test(input_is_in_the_file_without_waiting_for_the_time),
        cmocka_unit_test(synced_trace_is_the_same),
        cmocka_unit_test(trace_can_go_into_a_pipe),
        cmocka_unit_test(closed_pipe_is_an_error_and_no_signal),
        cmocka_unit_test(what_is_no_regular_file_is_not_touched),
        cmocka_unit_test(longer_file_of_that_name_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
