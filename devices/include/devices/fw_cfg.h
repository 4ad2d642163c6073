/* SPDX-License-Identifier: MIT */
/*
 * The firmware configuration device of QEMU's PC: what a firmware asks its machine for.
 * devices/fw_cfg.c says what is modelled. What the items hold follows from the machine's
 * configuration, so that none of it is saved state.
 *
 *     fw_cfg_init(&fw, &wiring);
 *     fw_cfg_add(&fw, FW_CFG_BOOT_MENU, zeros, 2);
 *     fw_cfg_add_file(&fw, "etc/e820", map, len);    // the directory is in order of name
 */
#ifndef DEVICES_FW_CFG_H
#define DEVICES_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/state.h>

#define FW_CFG_MAX_ITEMS  24
#define FW_CFG_MAX_FILES  16
#define FW_CFG_NAME_BYTES 56 /* with the NUL */

/* Selectors (QEMU, docs/specs/fw_cfg and the firmware that reads them). Numbers are little-endian. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00, /* "QEMU" */
    FW_CFG_ID = 0x01,        /* u32: bit 0 ports, bit 1 DMA */
    FW_CFG_RAM_SIZE = 0x03,  /* u64 */
    FW_CFG_NOGRAPHIC = 0x04, /* u16 */
    FW_CFG_NB_CPUS = 0x05,   /* u16 */
    FW_CFG_KERNEL_ADDR = 0x07, /* of these four: u32 address, u32 size, bytes */
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_NUMA = 0x0d,      /* u64: number of nodes */
    FW_CFG_BOOT_MENU = 0x0e, /* u16 */
    FW_CFG_MAX_CPUS = 0x0f,  /* u16 */
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_IRQ0_OVERRIDE = 0x8002, /* u32: ISA interrupt 0 is I/O APIC pin 2 */
};

struct fw_cfg_wiring {
    struct bus *ports;
    /* Copies between guest memory and the device; false when a byte is not RAM, and nothing is copied. */
    bool (*read_memory)(void *opaque, uint64_t gpa, void *to, size_t len);
    bool (*write_memory)(void *opaque, uint64_t gpa, const void *from, size_t len);
    void *opaque;
};

struct fw_cfg_item {
    uint16_t key; /* of a file: by its place in the directory */
    const uint8_t *data;
    size_t len;
};

struct fw_cfg_file {
    char name[FW_CFG_NAME_BYTES];
    struct fw_cfg_item item;
};

struct fw_cfg {
    /* saved */
    uint64_t dma_address; /* the half written first waits here for the other */
    uint32_t offset;      /* into the selected item */
    uint16_t selected;

    /* wiring */
    struct fw_cfg_item items[FW_CFG_MAX_ITEMS];
    unsigned nitems;
    struct fw_cfg_file files[FW_CFG_MAX_FILES];
    unsigned nfiles;
    uint8_t directory[4 + 64 * FW_CFG_MAX_FILES];
    struct fw_cfg_wiring wiring;
    struct bus_range port_range;
    struct bus_range dma_range;
};

extern const struct state_desc fw_cfg_desc;

/* The signature and the identification are there then; the directory is empty. */
void fw_cfg_init(struct fw_cfg *fw, const struct fw_cfg_wiring *wiring);
void fw_cfg_reset(void *fw);

/* `data` must outlive the device. At most FW_CFG_MAX_ITEMS and FW_CFG_MAX_FILES. */
void fw_cfg_add(struct fw_cfg *fw, uint16_t key, const void *data, size_t len);
void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t len);

#endif
