/* SPDX-License-Identifier: MIT */
/*
 * A VGA card in text mode: its registers and memory, no picture. devices/vga_text.c says what is
 * modelled. The struct holds the 128 KiB of video memory; allocate it on the heap.
 */
#ifndef DEVICES_VGA_TEXT_H
#define DEVICES_VGA_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <emu/bus.h>
#include <emu/clock.h>
#include <emu/state.h>

#define VGA_MEMORY_BASE  0xa0000u
#define VGA_MEMORY_BYTES 0x20000u
#define VGA_TEXT_BASE    0xb8000u

#define VGA_TEXT_COLUMNS      80
#define VGA_TEXT_ROWS         25
#define VGA_TEXT_SCREEN_BYTES (VGA_TEXT_ROWS * (VGA_TEXT_COLUMNS + 1) + 1)

#define VGA_CRTC_REGS 25
#define VGA_SEQ_REGS  5
#define VGA_GFX_REGS  9
#define VGA_ATTR_REGS 21

struct vga_text_wiring {
    struct clock *clock;
    struct bus *ports;
    struct bus *memory;
};

struct vga_text {
    /* saved */
    uint8_t memory[VGA_MEMORY_BYTES];
    uint8_t dac[256 * 3];
    uint8_t crtc[VGA_CRTC_REGS];
    uint8_t seq[VGA_SEQ_REGS];
    uint8_t gfx[VGA_GFX_REGS];
    uint8_t attr[VGA_ATTR_REGS];
    uint8_t crtc_index;
    uint8_t seq_index;
    uint8_t gfx_index;
    uint8_t attr_index; /* with the palette address source bit */
    uint8_t misc;       /* miscellaneous output */
    uint8_t feature;
    uint8_t enable; /* 3C3h */
    uint8_t dac_mask;
    uint8_t dac_entry;    /* colour that the next 3C9h access is about */
    uint8_t dac_part;     /* its component: 0 red, 1 green, 2 blue */
    uint8_t dac_latch[2]; /* red and green of an entry that is being written */
    bool dac_reading;     /* 3C7h was written after 3C8h */
    bool attr_data;       /* the flip-flop: 3C0h takes data next */

    /* wiring */
    struct vga_text_wiring wiring;
    struct bus_range memory_range;
    struct bus_range mono_range;  /* 3B0h..3BBh */
    struct bus_range vga_range;   /* 3C0h..3CFh */
    struct bus_range color_range; /* 3D0h..3DBh */
    uint64_t oddities;
};

extern const struct state_desc vga_text_desc;

void vga_text_init(struct vga_text *vga, const struct vga_text_wiring *wiring);

/* 80x25 colour text (BIOS mode 3) on a blank screen, as firmware leaves it. */
void vga_text_reset(void *vga);

/*
 * The screen as 25 lines of 80 characters, each ended by '\n', and a final NUL: exactly
 * VGA_TEXT_SCREEN_BYTES bytes at `out`. Bytes outside of printable ASCII show as spaces (0, FFh) or
 * dots. No side effects.
 */
void vga_text_screen(const struct vga_text *vga, char *out);

#endif
