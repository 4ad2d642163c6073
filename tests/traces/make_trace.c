/* SPDX-License-Identifier: MIT */
/*
 * make_trace FILE: writes a trace with every kind of event, several frames and images of more than
 * one chunk, for check_with_cbor2.py to read without our code. Image "kernel" has byte i * 7 at
 * place i.
 */
#include <stdio.h>
#include <stdlib.h>

#include <traces/trace.h>

#define KERNEL_BYTES 600000u

static int append(struct trace_writer *w)
{
    static const uint8_t scan_codes[] = {0x1c, 0xf0, 0x1c};
    int rc = 0;

    for (uint64_t i = 0; i < 5000 && rc == 0; i++) {
        rc = trace_writer_interrupt(w, i * 1000, (uint32_t)(32 + i % 200), (uint32_t)(i % 3));
        if (rc == 0 && i % 100 == 0)
            rc = trace_writer_digest(w, i * 1000, i * 0x9e3779b97f4a7c15u);
        if (rc == 0 && i % 500 == 0)
            rc = trace_writer_input(w, i * 1000 + 1, i * 1000 + 5000, 3, (uint32_t)i, scan_codes,
                                    i % 1000 ? sizeof(scan_codes) : 0);
        if (rc == 0 && i % 1000 == 0)
            rc = trace_writer_mark(w, i * 1000 + 2, i ? "a \xce\xbc-mark" : "");
    }
    return rc;
}

int main(int argc, char **argv)
{
    static uint8_t kernel[KERNEL_BYTES];
    static const uint8_t raw[] = {0, 255, 128};
    static const uint64_t seeds[] = {0, UINT64_MAX};
    const struct trace_config_item config[] = {
        {"ram_bytes", TRACE_CONFIG_UINT, {.u = 512u << 20}},
        {"lowest", TRACE_CONFIG_INT, {.i = INT64_MIN}},
        {"cmdline", TRACE_CONFIG_STRING, {.s = "console=ttyS0"}},
        {"raw", TRACE_CONFIG_BYTES, {.bytes = {raw, sizeof(raw)}}},
    };
    const struct trace_image images[] = {
        {.role = "kernel", .name = "vmlinuz", .size = sizeof(kernel), .data = kernel},
        {.role = "initrd", .name = "", .size = 3, .data = raw},
        {.role = "drive0",
         .name = "disk",
         .size = 1ULL << 40,
         .hash = "0123456789abcdef0123456789abcdef"},
    };
    const struct trace_header header = {.struct_size = sizeof(header),
                                        .generator = "make_trace 1",
                                        .cpu_model = "test",
                                        .ns_per_insn = 1,
                                        .rtc_base = -1,
                                        .seeds = seeds,
                                        .nseeds = 2,
                                        .config = config,
                                        .nconfig = 4,
                                        .images = images,
                                        .nimages = 3};
    const struct trace_writer_options options = {.struct_size = sizeof(options),
                                                 .frame_bytes = 2000};
    const struct trace_end end = {.struct_size = sizeof(end),
                                  .reason = "exit",
                                  .exit_code = -7,
                                  .icount = 9000000,
                                  .vns = 9000000000,
                                  .digest = 42};
    struct trace_error err = {0};
    struct trace_writer *w;
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: make_trace FILE\n");
        return 2;
    }
    for (uint32_t i = 0; i < KERNEL_BYTES; i++)
        kernel[i] = (uint8_t)(i * 7);
    w = trace_writer_create(argv[1], &header, &options, &err);
    if (!w) {
        fprintf(stderr, "make_trace: %s\n", err.text);
        return 1;
    }
    rc = append(w);
    if (rc == 0)
        rc = trace_writer_finish(w, &end);
    if (rc < 0) {
        trace_writer_error(w, &err);
        fprintf(stderr, "make_trace: %s: %s\n", trace_status_name(rc), err.text);
    }
    trace_writer_destroy(w);
    return rc < 0;
}
