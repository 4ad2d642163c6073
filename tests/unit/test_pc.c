/* SPDX-License-Identifier: MIT */
/*
 * The PC board's wiring. The machine around it is a stand-in: its functions that the board calls
 * are here, and record what was asked of them.
 */
#include "device_test.h"

#include <stdio.h>

#include <devices/acpi_tables.h>
#include <devices/pc.h>

#define RAM_BYTES (4u << 20)

struct world {
    struct machine m;
    struct pc *pc;
    bool intr;
    enum machine_stop stop;
    unsigned stops;
    uint8_t exit_code;
    unsigned errors_ignored;
    char serial[2][16];
    unsigned nserial[2];
    char debug[16];
    unsigned ndebug;
    uint8_t post;
    enum ram_window window[RAM_WINDOW_BLOCKS];
    uint8_t bios[64];
};

/* --- the stand-in: m is the first member of its world --- */

static struct world *world_of(struct machine *m)
{
    return (struct world *)m;
}

void machine_add_part(struct machine *m, const struct state_desc *desc, void *obj,
                      void (*reset)(void *obj))
{
    assert_true(m->nparts < MACHINE_MAX_PARTS);
    m->parts[m->nparts++] = (struct machine_part){.desc = desc, .obj = obj, .reset = reset};
}

void machine_request_stop(struct machine *m, enum machine_stop why)
{
    world_of(m)->stop = why;
    world_of(m)->stops++;
}

void machine_request_exit(struct machine *m, uint8_t code)
{
    world_of(m)->exit_code = code;
}

static void set_intr(void *cpu, bool level)
{
    ((struct world *)cpu)->intr = level;
}

static void no_edge(void *cpu)
{
    (void)cpu;
}

static void no_sipi(void *cpu, uint8_t vector)
{
    (void)cpu, (void)vector;
}

static uint64_t no_tsc(void *cpu)
{
    (void)cpu;
    return 0;
}

static uint64_t no_tsc_to_ns(void *cpu, uint64_t tsc)
{
    (void)cpu;
    return tsc;
}

struct cpu_lines machine_connect_intc(struct machine *m, unsigned n, const struct intc_ops *ops,
                                      void *opaque)
{
    assert_int_equal(n, 0);
    assert_non_null(ops);
    assert_non_null(opaque);
    return (struct cpu_lines){.cpu = m,
                              .set_intr = set_intr,
                              .raise_nmi = no_edge,
                              .raise_init = no_edge,
                              .raise_sipi = no_sipi,
                              .tsc = no_tsc,
                              .tsc_to_ns = no_tsc_to_ns};
}

void machine_set_a20(struct machine *m, bool open)
{
    m->a20_mask = open;
}

void machine_connect_ferr(struct machine *m, void (*ferr)(void *opaque), void *opaque)
{
    m->ferr = ferr;
    m->ferr_opaque = opaque;
}

void machine_ignore_fpu_error(struct machine *m)
{
    world_of(m)->errors_ignored++;
}

void machine_serial_out(struct machine *m, unsigned port, const uint8_t *data, size_t len)
{
    struct world *w = world_of(m);

    for (size_t i = 0; i < len; i++)
        w->serial[port][w->nserial[port]++] = (char)data[i];
}

void machine_debug_out(struct machine *m, uint16_t port, uint8_t byte)
{
    struct world *w = world_of(m);

    (void)port;
    w->debug[w->ndebug++] = (char)byte;
}

void machine_post_code(struct machine *m, uint8_t byte)
{
    world_of(m)->post = byte;
}

bool ram_write(struct ram *ram, uint64_t gpa, const void *data, size_t len)
{
    if (gpa + len > ram->bytes)
        return false;
    memcpy(ram->host + gpa, data, len);
    return true;
}

bool ram_read(const struct ram *ram, uint64_t gpa, void *out, size_t len)
{
    if (gpa + len > ram->bytes)
        return false;
    memcpy(out, ram->host + gpa, len);
    return true;
}

void machine_set_window(struct machine *m, unsigned block, enum ram_window what)
{
    world_of(m)->window[block] = what;
}

uint8_t ram_rom_byte(const struct ram *ram, uint64_t gpa)
{
    (void)ram;
    return (uint8_t)(gpa >> 12);
}

void ram_write_home(struct ram *ram, uint64_t gpa, uint8_t byte)
{
    ram->host[gpa] = byte;
}

int boot_linux_split(struct machine *m, struct boot_linux_parts *parts, char *err, size_t errlen)
{
    if (m->config.kernel.len < 8) {
        snprintf(err, errlen, "too short");
        return -1;
    }
    *parts = (struct boot_linux_parts){
        .setup = "setup", .setup_len = 5, .code = m->config.kernel.data + 5, .code_len = 3, .initrd_gpa = 0x123000};
    return 0;
}

static void reset_all(struct world *w)
{
    for (unsigned i = 0; i < w->m.nparts; i++)
        w->m.parts[i].reset(w->m.parts[i].obj);
    assert_int_equal(pc_board.place_tables(w->pc, &w->m),
                     w->m.config.firmware ? 0 : ACPI_TABLES_BASE);
}

static int setup_board(void **state, bool firmware, bool optional)
{
    struct world *w = calloc(1, sizeof(*w));
    char err[128] = "";

    assert_non_null(w);
    clock_init(&w->m.clock, 1);
    bus_init(&w->m.ports, "port", 0x10000);
    bus_init(&w->m.memory, "memory", UINT64_MAX);
    w->m.ncpus = 1;
    w->m.ram.bytes = w->m.ram.low_bytes = RAM_BYTES;
    w->m.ram.host = calloc(1, RAM_BYTES);
    assert_non_null(w->m.ram.host);
    w->m.config.firmware = firmware;
    w->m.config.hpet = optional;
    w->m.config.mouse = optional;
    if (firmware)
        w->m.config.kernel = (struct machine_image){.data = (const uint8_t *)"12345xyz", .len = 8};
    w->m.config.cmdline = "word";
    w->m.config.bios = (struct machine_image){.name = "bios", .data = w->bios, .len = sizeof(w->bios)};
    w->pc = pc_board.create(&w->m, err, sizeof(err));
    assert_non_null(w->pc);
    w->m.board = w->pc;
    reset_all(w);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_board(state, false, false);
}

static int setup_firmware(void **state)
{
    return setup_board(state, true, false);
}

static int setup_optional(void **state)
{
    return setup_board(state, false, true);
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < w->m.nparts; i++)
        assert_state_survives(w->m.parts[i].desc, w->m.parts[i].obj);
    pc_board.destroy(w->pc);
    free(w->m.ram.host);
    free(w);
    return 0;
}

static void out(struct world *w, uint16_t port, uint64_t value, unsigned size)
{
    bus_write(&w->m.ports, port, value, size);
}

static uint32_t in(struct world *w, uint16_t port, unsigned size)
{
    return (uint32_t)bus_read(&w->m.ports, port, size);
}

static void advance(struct world *w, uint64_t ns)
{
    uint64_t end = clock_now_ns(&w->m.clock) + ns;

    while (clock_next_deadline_ns(&w->m.clock) <= end) {
        clock_idle_until(&w->m.clock, clock_next_deadline_ns(&w->m.clock));
        clock_run_due(&w->m.clock);
    }
    clock_idle_until(&w->m.clock, end);
}

static void give(struct world *w, enum input_kind kind, unsigned port, const char *data)
{
    const struct input_sink *sink = input_door_find(&w->m.door, kind, port);

    assert_non_null(sink);
    sink->deliver(sink->opaque, (const uint8_t *)data, strlen(data));
}

/* The 8259A pair as a kernel sets it up, vectors 20h and 28h; `open` are the unmasked interrupts.
 */
static void program_pic(struct world *w, uint16_t open)
{
    out(w, 0x20, 0x11, 1);
    out(w, 0x21, 0x20, 1);
    out(w, 0x21, 0x04, 1);
    out(w, 0x21, 0x01, 1);
    out(w, 0xa0, 0x11, 1);
    out(w, 0xa1, 0x28, 1);
    out(w, 0xa1, 0x02, 1);
    out(w, 0xa1, 0x01, 1);
    out(w, 0x21, (uint8_t) ~(open | 4), 1);
    out(w, 0xa1, (uint8_t) ~(open >> 8), 1);
}

static void route(struct world *w, unsigned pin, uint32_t low)
{
    bus_write(&w->m.memory, 0xfee000f0, 0x1ff, 4);
    bus_write(&w->m.memory, 0xfec00000, 0x10 + 2 * pin, 4);
    bus_write(&w->m.memory, 0xfec00010, low, 4);
}

static struct intr_ack ack(struct world *w)
{
    return lapic_intc_ops.ack(&w->pc->lapics[0]);
}

/* --- tests --- */

static void the_timer_reaches_the_cpu_through_the_8259(void **state)
{
    struct world *w = *state;
    struct intr_ack a;

    program_pic(w, 1);
    out(w, 0x43, 0x34, 1); /* channel 0, mode 2 */
    out(w, 0x40, 0xa9, 1);
    out(w, 0x40, 0x04, 1);
    assert_false(w->intr);
    advance(w, 1500 * USEC_NS); /* one period of 1193 ticks and a half */
    assert_true(w->intr);
    a = ack(w);
    assert_int_equal(a.vector, 0x20);
    assert_int_equal(a.source, INTR_SOURCE_PIC);
}

static void the_timer_reaches_the_cpu_through_ioapic_pin_2(void **state)
{
    struct world *w = *state;

    program_pic(w, 0);
    route(w, 2, 0x30);
    out(w, 0x43, 0x34, 1);
    out(w, 0x40, 0xa9, 1);
    out(w, 0x40, 0x04, 1);
    advance(w, 1500 * USEC_NS); /* one period of 1193 ticks and a half */
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x30);
}

static void serial_lines_go_both_ways(void **state)
{
    struct world *w = *state;
    const struct input_sink *com1 = input_door_find(&w->m.door, INPUT_SERIAL, 0);

    out(w, 0x3f8, 'a', 1);
    out(w, 0x2f8, 'b', 1);
    assert_string_equal(w->serial[0], "a");
    assert_string_equal(w->serial[1], "b");
    route(w, 4, 0x34);
    out(w, 0x3fc, 0x08, 1); /* OUT2 */
    out(w, 0x3f9, 0x01, 1);
    assert_true(com1->ready(com1->opaque));
    give(w, INPUT_SERIAL, 0, "x");
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x34);
    assert_false(com1->ready(com1->opaque)); /* one byte without FIFOs */
    assert_int_equal(in(w, 0x3f8, 1), 'x');
    assert_true(com1->ready(com1->opaque));
    give(w, INPUT_SERIAL, 1, "y");
    assert_int_equal(in(w, 0x2f8, 1), 'y');
}

static void the_end_of_a_serial_line_drops_carrier(void **state)
{
    struct world *w = *state;

    assert_int_equal(in(w, 0x3fe, 1) & 0xf0, 0xb0);
    give(w, INPUT_SERIAL_EOF, 0, "");
    assert_int_equal(in(w, 0x3fe, 1) & 0xf0, 0x30);
    assert_int_equal(in(w, 0x2fe, 1) & 0xf0, 0xb0);
}

static void keys_arrive_at_port_60(void **state)
{
    struct world *w = *state;

    out(w, 0x64, 0x60, 1); /* command byte: interrupt on, no translation */
    out(w, 0x60, 0x01, 1);
    route(w, 1, 0x31);
    give(w, INPUT_KEY, 0, "\x1c");
    advance(w, 10 * MSEC_NS);
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x31);
    assert_int_equal(in(w, 0x60, 1), 0x1c);
}

static void the_power_button_is_sci_on_interrupt_9(void **state)
{
    struct world *w = *state;

    route(w, 9, 0x8039);
    out(w, 0xb2, 0xf1, 1);
    out(w, 0x602, 0x0100, 2);
    give(w, INPUT_POWER, 0, "");
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x39);
    out(w, 0x600, 0x0100, 2);
    bus_write(&w->m.memory, 0xfee000b0, 0, 4);
    assert_false(w->intr);
}

static void coprocessor_errors_are_interrupt_13(void **state)
{
    struct world *w = *state;

    program_pic(w, 1u << 13);
    w->m.ferr(w->m.ferr_opaque);
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x28 + 5);
    assert_int_equal(w->errors_ignored, 0);
    out(w, 0xf0, 0, 1);
    assert_int_equal(w->errors_ignored, 1);
    out(w, 0xa0, 0x20, 1);
    out(w, 0x20, 0x20, 1);
    assert_false(w->intr);
    w->m.ferr(w->m.ferr_opaque); /* the line was low: another edge */
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x28 + 5);
}

static void an_interrupt_stays_high_while_any_source_holds_it(void **state)
{
    struct world *w = *state;

    out(w, 0xb2, 0xf1, 1);
    out(w, 0x602, 0x0100, 2);
    pci_config_write(&w->pc->isa_bridge.pci, 0x60, 0x09, 1); /* PIRQA shares with SCI */
    piix3_set_pirq(&w->pc->isa_bridge, 0, true);
    give(w, INPUT_POWER, 0, "");
    assert_true(w->pc->ioapic.pins & 1u << 9);
    piix3_set_pirq(&w->pc->isa_bridge, 0, false);
    assert_true(w->pc->ioapic.pins & 1u << 9);
    out(w, 0x600, 0x0100, 2);
    assert_false(w->pc->ioapic.pins & 1u << 9);
}

static void guests_stop_the_machine_in_their_ways(void **state)
{
    struct world *w = *state;

    out(w, 0x604, 0x2000, 2); /* S5 */
    assert_int_equal(w->stop, STOP_POWEROFF);
    out(w, 0xcf9, 0x06, 1);
    assert_int_equal(w->stop, STOP_RESET);
    w->stop = STOP_ICOUNT;
    out(w, 0x64, 0xfe, 1); /* keyboard controller pulse */
    assert_int_equal(w->stop, STOP_RESET);
    w->stop = STOP_ICOUNT;
    out(w, 0x92, 0x03, 1);
    assert_int_equal(w->stop, STOP_RESET);
    out(w, 0xf4, 0x10, 4);
    assert_int_equal(w->exit_code, 0x21);
}

static void a20_follows_the_last_write_and_survives_a_load(void **state)
{
    struct world *w = *state;
    uint8_t saved[64];

    assert_true(w->m.a20_mask);
    out(w, 0x92, 0x00, 1);
    assert_false(w->m.a20_mask);
    state_save(&pc_desc, w->pc, saved);
    out(w, 0x64, 0xdf, 1); /* keyboard controller: open */
    assert_true(w->m.a20_mask);
    assert_int_equal(state_load(&pc_desc, w->pc, saved, state_saved_size(&pc_desc)), 0);
    assert_false(w->m.a20_mask);
}

static void debug_ports_report(void **state)
{
    struct world *w = *state;

    out(w, 0xe9, 'd', 1);
    out(w, 0x402, 'e', 1);
    out(w, 0x80, 0x5a, 1);
    assert_string_equal(w->debug, "de");
    assert_int_equal(w->post, 0x5a);
    assert_false(pc_has_panicked(pc_of(&w->m)));
    out(w, 0x505, 0x01, 1);
    assert_true(pc_has_panicked(pc_of(&w->m)));
}

static void a_kernel_finds_what_firmware_leaves(void **state)
{
    struct world *w = *state;

    assert_memory_equal(w->m.ram.host + ACPI_TABLES_BASE, "RSD PTR ", 8);
    out(w, 0xcf8, 0x80000b40, 4); /* 1.3, PMBA */
    assert_int_equal(in(w, 0xcfc, 4), 0x601);
    assert_int_equal(in(w, 0x608, 4) >> 24, 0);
    out(w, 0xcf8, 0x80000860, 4);
    assert_int_equal(in(w, 0xcfc, 4), 0x0b0b0a0a);
    assert_int_equal(in(w, 0x4d1, 1), 0x0e);
    out(w, 0xcf8, 0x80000058, 4);
    assert_int_equal(in(w, 0xcfc, 4) >> 8, 0x333330);
    assert_int_equal(bus_read(&w->m.memory, 0xb8000, 2), 0x0720);
}

static uint32_t config(struct world *w, unsigned function, unsigned reg, unsigned size)
{
    out(w, 0xcf8, 0x80000000u | (function != 8 ? 1u << 11 | function << 8 : 0) | (reg & 0xfc), 4);
    return in(w, (uint16_t)(0xcfc + (reg & 3)), size);
}

/* Nothing is set up for a firmware, and it is told what it needs; other machines have none of that. */
static void firmware_finds_a_bare_board(void **state)
{
    struct world *w = *state;
    char signature[5] = "";

    assert_int_equal(config(w, 3, 0x40, 4), 1); /* PMBA: nowhere */
    assert_int_equal(config(w, 0, 0x60, 4), 0x80808080);
    assert_int_equal(config(w, 3, 0x58, 4), 0x02000000);
    assert_int_equal(in(w, 0x4d1, 1), 0);
    assert_int_equal(w->m.ram.host[ACPI_TABLES_BASE], 0);
    for (unsigned i = 0; i < RAM_WINDOW_BLOCKS; i++)
        assert_int_equal(w->window[i], RAM_WINDOW_ROM);
    out(w, 0x510, 0, 2);
    for (unsigned i = 0; i < 4; i++)
        signature[i] = (char)in(w, 0x511, 1);
    assert_string_equal(signature, "QEMU");
}

static void expect_item(struct world *w, uint16_t key, const char *bytes, size_t len)
{
    out(w, 0x510, key, 2);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(in(w, 0x511, 1), (uint8_t)bytes[i]);
}
#define EXPECT_ITEM(w, key, bytes) expect_item(w, key, bytes, sizeof(bytes) - 1)

static void firmware_is_told_of_memory_and_kernel(void **state)
{
    struct world *w = *state;

    EXPECT_ITEM(w, FW_CFG_RAM_SIZE, "\0\0\x40\0\0\0\0\0");
    EXPECT_ITEM(w, FW_CFG_NB_CPUS, "\1\0");
    EXPECT_ITEM(w, FW_CFG_SETUP_ADDR, "\0\0\1\0");
    EXPECT_ITEM(w, FW_CFG_SETUP_SIZE, "\5\0\0\0");
    EXPECT_ITEM(w, FW_CFG_SETUP_DATA, "setup");
    EXPECT_ITEM(w, FW_CFG_CMDLINE_SIZE, "\5\0\0\0");
    EXPECT_ITEM(w, FW_CFG_CMDLINE_DATA, "word\0");
    EXPECT_ITEM(w, FW_CFG_KERNEL_ADDR, "\0\0\x10\0");
    EXPECT_ITEM(w, FW_CFG_KERNEL_DATA, "xyz\0");
    EXPECT_ITEM(w, FW_CFG_INITRD_ADDR, "\0\x30\x12\0");
    EXPECT_ITEM(w, FW_CFG_INITRD_SIZE, "\0\0\0\0");
    EXPECT_ITEM(w, FW_CFG_FILE_FIRST, "/rom@genroms/linux.bin"); /* bootorder */
}

static void a_kernel_that_firmware_cannot_start_is_refused(void **state)
{
    struct world *w = *state;
    struct machine *m = calloc(1, sizeof(struct world));
    char err[128] = "";

    assert_non_null(m);
    clock_init(&m->clock, 1);
    bus_init(&m->ports, "port", 0x10000);
    bus_init(&m->memory, "memory", UINT64_MAX);
    m->ncpus = 1;
    m->config = w->m.config;
    m->config.kernel.len = 2;
    assert_null(pc_board.create(m, err, sizeof(err)));
    assert_string_equal(err, "too short");
    free(m);
}

/* Virtual wire mode through the I/O APIC: LINT0 is masked, pin 0 delivers ExtINT. */
static void the_8259_reaches_the_cpu_through_the_ioapic_too(void **state)
{
    struct world *w = *state;
    struct intr_ack a;

    program_pic(w, 1);
    route(w, 0, 0x700);
    bus_write(&w->m.memory, 0xfee00350, 0x10000, 4);
    out(w, 0x43, 0x34, 1);
    out(w, 0x40, 0xa9, 1);
    out(w, 0x40, 0x04, 1);
    advance(w, 1500 * USEC_NS);
    assert_true(w->intr);
    a = ack(w);
    assert_int_equal(a.vector, 0x20);
    assert_int_equal(a.source, INTR_SOURCE_PIC);
    assert_false(w->intr);
    out(w, 0x20, 0x20, 1);
    advance(w, 1 * MSEC_NS);
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x20);
}

/* Its INT drops in INTA: with automatic EOI nothing else tells the I/O APIC that another request waits. */
static void the_8259_reaches_the_cpu_through_the_ioapic_again_and_again(void **state)
{
    struct world *w = *state;

    program_pic(w, 0x0018);
    out(w, 0x20, 0x11, 1);
    out(w, 0x21, 0x20, 1);
    out(w, 0x21, 0x04, 1);
    out(w, 0x21, 0x03, 1);
    out(w, 0x21, 0xe7, 1);
    route(w, 0, 0x700);
    bus_write(&w->m.memory, 0xfee00350, 0x10000, 4);
    pci_config_write(&w->pc->isa_bridge.pci, 0x60, 0x0403, 2); /* PIRQA to 3, B to 4 */
    piix3_set_pirq(&w->pc->isa_bridge, 0, true);
    piix3_set_pirq(&w->pc->isa_bridge, 1, true);
    assert_int_equal(ack(w).vector, 0x23);
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x24);
    assert_false(w->intr);
}

static void a_pci_pin_interrupts_until_its_cause_is_gone(void **state)
{
    struct world *w = *state;

    program_pic(w, 1u << 10);
    out(w, 0x4d1, 0x04, 1); /* ELCR: 10 is level-sensitive */
    pci_config_write(&w->pc->isa_bridge.pci, 0x62, 0x0a, 1); /* PIRQC to 10 */
    piix3_set_pirq(&w->pc->isa_bridge, 2, true);
    assert_int_equal(ack(w).vector, 0x2a);
    out(w, 0xa0, 0x20, 1);
    out(w, 0x20, 0x20, 1);
    assert_true(w->intr); /* again */
    out(w, 0xa1, 0xff, 1);
    assert_false(w->intr);
    route(w, 10, 0x803a); /* and at the I/O APIC, under the same number */
    assert_int_equal(ack(w).vector, 0x3a);
    bus_write(&w->m.memory, 0xfee000b0, 0, 4);
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x3a);
    piix3_set_pirq(&w->pc->isa_bridge, 2, false);
    bus_write(&w->m.memory, 0xfee000b0, 0, 4);
    assert_false(w->intr);
}

static void a_kernel_finds_no_firmware_interface(void **state)
{
    struct world *w = *state;

    out(w, 0x510, 0, 2);
    assert_int_equal(in(w, 0x511, 1), 0xff);
    for (unsigned i = 0; i < RAM_WINDOW_BLOCKS; i++)
        assert_int_equal(w->window[i], RAM_WINDOW_RAM);
}

static void firmware_opens_shadow_ram(void **state)
{
    struct world *w = *state;

    config(w, 8, 0x58, 4);
    out(w, 0xcfd, 0x20, 1); /* PAM0: F0000h, writes alone */
    assert_int_equal(w->window[12], RAM_WINDOW_BUS);
    assert_int_equal(bus_read(&w->m.memory, 0xff123, 1), 0xff);
    bus_write(&w->m.memory, 0xf1000, 0x55, 1);
    assert_int_equal(w->m.ram.host[0xf1000], 0x55);
    assert_int_equal(bus_read(&w->m.memory, 0xf1000, 1), 0xf1);
}

static void hpet_write(struct world *w, unsigned reg, uint64_t value)
{
    bus_write(&w->m.memory, 0xfed00000 + reg, value, 8);
}

static void a_hpet_takes_the_place_of_the_timer(void **state)
{
    struct world *w = *state;

    program_pic(w, 1);
    out(w, 0x43, 0x34, 1); /* the 8254 goes on at 1000 Hz */
    out(w, 0x40, 0xa9, 1);
    out(w, 0x40, 0x04, 1);
    hpet_write(w, 0x100, 0x4);    /* timer 0: an edge */
    hpet_write(w, 0x108, 400000); /* at 4 ms */
    hpet_write(w, 0x010, 3);
    advance(w, 3900 * USEC_NS);
    assert_false(w->intr);
    advance(w, 200 * USEC_NS);
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x20);
    out(w, 0x20, 0x20, 1);
    advance(w, 10 * MSEC_NS);
    assert_false(w->intr);
    hpet_write(w, 0x010, 0); /* and gives it back */
    advance(w, 2 * MSEC_NS);
    assert_true(w->intr);
}

static void hpet_timers_reach_the_ioapic(void **state)
{
    struct world *w = *state;

    route(w, 21, 0x35);
    hpet_write(w, 0x140, 21 << 9 | 0x4);
    hpet_write(w, 0x148, 1000);
    hpet_write(w, 0x010, 1);
    advance(w, 20 * USEC_NS);
    assert_true(w->intr);
    assert_int_equal(ack(w).vector, 0x35);
}

static void a_mouse_moves_at_interrupt_12(void **state)
{
    static const uint8_t right_3[16] = {3};
    struct world *w = *state;
    const struct input_sink *sink = input_door_find(&w->m.door, INPUT_POINTER, 0);

    assert_non_null(sink);
    route(w, 12, 0x3c);
    out(w, 0x64, 0x60, 1);
    out(w, 0x60, 0x47, 1);
    out(w, 0x64, 0xd4, 1);
    out(w, 0x60, 0xf4, 1);
    advance(w, 5 * MSEC_NS);
    assert_int_equal(in(w, 0x60, 1), 0xfa);
    assert_int_equal(ack(w).vector, 0x3c);
    bus_write(&w->m.memory, 0xfee000b0, 0, 4);
    sink->deliver(sink->opaque, right_3, sizeof(right_3));
    advance(w, 5 * MSEC_NS);
    assert_int_equal(ack(w).vector, 0x3c);
    assert_int_equal(in(w, 0x60, 1), 0x08);
    advance(w, 5 * MSEC_NS);
    assert_int_equal(in(w, 0x60, 1), 3);
}

static void reset_takes_a_hpet_out_of_the_way(void **state)
{
    struct world *w = *state;
    uint64_t before[MACHINE_MAX_PARTS];

    for (unsigned i = 0; i < w->m.nparts; i++)
        before[i] = state_digest(w->m.parts[i].desc, w->m.parts[i].obj);
    hpet_write(w, 0x100, 0x4);
    hpet_write(w, 0x108, 1);
    hpet_write(w, 0x140, 21 << 9 | 0x4);
    hpet_write(w, 0x148, 1);
    hpet_write(w, 0x010, 3);
    advance(w, 10 * USEC_NS);
    reset_all(w);
    for (unsigned i = 0; i < w->m.nparts; i++) {
        if (w->m.parts[i].desc == &i8259_desc || w->m.parts[i].desc == &ioapic_desc ||
            w->m.parts[i].desc == &pc_desc)
            assert_true(state_digest(w->m.parts[i].desc, w->m.parts[i].obj) == before[i]);
    }
}

static void reset_brings_back_the_same_state(void **state)
{
    struct world *w = *state;
    uint64_t before[MACHINE_MAX_PARTS];

    for (unsigned i = 0; i < w->m.nparts; i++)
        before[i] = state_digest(w->m.parts[i].desc, w->m.parts[i].obj);
    program_pic(w, 0xffff);
    route(w, 4, 0x34);
    out(w, 0x3f9, 0x03, 1);
    out(w, 0x92, 0x00, 1);
    out(w, 0xcf8, 0x80000b40, 4);
    out(w, 0xcfc, 0xc000, 4);
    out(w, 0x505, 1, 1);
    bus_write(&w->m.memory, 0xb8000, 0x0741, 2);
    piix3_set_pirq(&w->pc->isa_bridge, 1, true);
    reset_all(w);
    for (unsigned i = 0; i < w->m.nparts; i++) {
        if (state_digest(w->m.parts[i].desc, w->m.parts[i].obj) != before[i])
            fail_msg("%s differs after reset", w->m.parts[i].desc->name);
    }
    assert_false(w->intr);
}

static void too_many_cpus_are_refused_with_a_line(void **state)
{
    struct world *w = *state;
    struct machine many = {.ncpus = APIC_BUS_MAX_CPUS + 1};
    char err[128] = "";

    (void)w;
    assert_null(pc_board.create(&many, err, sizeof(err)));
    assert_non_null(strstr(err, "CPUs"));
    pc_board.destroy(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define O(name) cmocka_unit_test_setup_teardown(name, setup_optional, teardown)
#define F(name) cmocka_unit_test_setup_teardown(name, setup_firmware, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_timer_reaches_the_cpu_through_the_8259),
        T(the_timer_reaches_the_cpu_through_ioapic_pin_2),
        T(serial_lines_go_both_ways),
        T(the_end_of_a_serial_line_drops_carrier),
        T(keys_arrive_at_port_60),
        T(the_power_button_is_sci_on_interrupt_9),
        T(coprocessor_errors_are_interrupt_13),
        T(an_interrupt_stays_high_while_any_source_holds_it),
        T(guests_stop_the_machine_in_their_ways),
        T(a20_follows_the_last_write_and_survives_a_load),
        T(debug_ports_report),
        T(a_kernel_finds_what_firmware_leaves),
        T(a_pci_pin_interrupts_until_its_cause_is_gone),
        T(a_kernel_finds_no_firmware_interface),
        F(firmware_finds_a_bare_board),
        F(firmware_opens_shadow_ram),
        F(the_8259_reaches_the_cpu_through_the_ioapic_too),
        F(the_8259_reaches_the_cpu_through_the_ioapic_again_and_again),
        F(firmware_is_told_of_memory_and_kernel),
        F(a_kernel_that_firmware_cannot_start_is_refused),
        O(a_hpet_takes_the_place_of_the_timer),
        O(hpet_timers_reach_the_ioapic),
        O(a_mouse_moves_at_interrupt_12),
        O(reset_takes_a_hpet_out_of_the_way),
        T(reset_brings_back_the_same_state),
        T(too_many_cpus_are_refused_with_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
