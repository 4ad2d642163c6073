/* SPDX-License-Identifier: MIT */
/*
 * VGA in text mode, after the IBM VGA technical reference and the register lists of Intel's
 * graphics manuals (CRT controller, sequencer, graphics controller, attribute controller, DAC).
 *
 * Modelled: every standard register as storage with its index/data protocol, the attribute
 * flip-flop, the CRTC's write protection, the DAC's auto-increment, the two address decodes of the
 * misc output register, and the status register's retrace bits in virtual time (720x400 at 70 Hz:
 * 449 lines of 31.778 us, 400 of them shown).
 *
 * Not modelled: pixels. The 128 KiB at A0000h are plain memory: no planes, no latches, no memory
 * map select, so text written at B8000h is there whatever the registers say, and fonts loaded into
 * plane 2 at A0000h do not disturb it.
 */
#include <devices/vga_text.h>

#include <string.h>

#define MONO_PORTS     0x3b0u
#define VGA_PORTS      0x3c0u
#define COLOR_PORTS    0x3d0u
#define CRTC_PORTS_LEN 12u

/* Offsets from 3B0h and 3D0h. */
#define CRTC_INDEX 4u
#define CRTC_DATA  5u
#define STATUS1    10u /* written: feature control */

/* Offsets from 3C0h. */
#define ATTR_WRITE 0x0u
#define ATTR_READ  0x1u
#define MISC_WRITE 0x2u /* read: input status 0 */
#define ENABLE     0x3u
#define SEQ_INDEX  0x4u
#define SEQ_DATA   0x5u
#define DAC_MASK   0x6u
#define DAC_READ   0x7u /* read: DAC state */
#define DAC_WRITE  0x8u
#define DAC_DATA   0x9u
#define FEATURE    0xau
#define MISC_READ  0xcu
#define GFX_INDEX  0xeu
#define GFX_DATA   0xfu

#define MISC_COLOR       0x01u /* CRTC at 3D4h, not 3B4h */
#define CRTC_START_HIGH  12
#define CRTC_START_LOW   13
#define CRTC_OFFSET      19
#define CRTC_PROTECT     0x80u /* of register 17: registers 0..7 are write-protected */
#define CRTC_OVERFLOW_LC 0x10u /* of register 7: not protected */

#define STATUS1_BLANK   0x01u
#define STATUS1_RETRACE 0x08u
#define STATUS0_SENSE   0x10u /* a monitor is there */
#define DAC_STATE_READ  0x03u

#define LINE_NS       31778u
#define LINE_SHOWN_NS 25422u
#define LINES         449u
#define LINES_SHOWN   400u
#define RETRACE_BEGIN 412u
#define RETRACE_END   414u

static int vga_text_post_load(void *obj);

static const struct field vga_text_fields[] = {
    FIELD_ARRAY(struct vga_text, memory, FIELD_U8),
    FIELD_ARRAY(struct vga_text, dac, FIELD_U8),
    FIELD_ARRAY(struct vga_text, crtc, FIELD_U8),
    FIELD_ARRAY(struct vga_text, seq, FIELD_U8),
    FIELD_ARRAY(struct vga_text, gfx, FIELD_U8),
    FIELD_ARRAY(struct vga_text, attr, FIELD_U8),
    FIELD(struct vga_text, crtc_index, FIELD_U8),
    FIELD(struct vga_text, seq_index, FIELD_U8),
    FIELD(struct vga_text, gfx_index, FIELD_U8),
    FIELD(struct vga_text, attr_index, FIELD_U8),
    FIELD(struct vga_text, misc, FIELD_U8),
    FIELD(struct vga_text, feature, FIELD_U8),
    FIELD(struct vga_text, enable, FIELD_U8),
    FIELD(struct vga_text, dac_mask, FIELD_U8),
    FIELD(struct vga_text, dac_entry, FIELD_U8),
    FIELD(struct vga_text, dac_part, FIELD_U8),
    FIELD_ARRAY(struct vga_text, dac_latch, FIELD_U8),
    FIELD(struct vga_text, dac_reading, FIELD_BOOL),
    FIELD(struct vga_text, attr_data, FIELD_BOOL),
};
const struct state_desc vga_text_desc = STATE_DESC("vga_text", 1, struct vga_text, vga_text_fields,
                                                   vga_text_post_load);

/* Mode 3 with the 9x16 font, as IBM's parameter tables have it. */
static const uint8_t mode3_crtc[VGA_CRTC_REGS] = {
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
};
static const uint8_t mode3_seq[VGA_SEQ_REGS] = {0x03, 0x00, 0x03, 0x00, 0x02};
static const uint8_t mode3_gfx[VGA_GFX_REGS] = {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff};
static const uint8_t mode3_attr[VGA_ATTR_REGS] = {
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
    0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00,
};
#define MODE3_MISC           0x67u
#define BLANK_CELL_ATTRIBUTE 0x07u

/* --- an index/data pair of registers --- */

static uint8_t reg_get(const uint8_t *regs, unsigned count, unsigned index)
{
    return index < count ? regs[index] : 0xff;
}

static void reg_set(struct vga_text *vga, uint8_t *regs, unsigned count, unsigned index,
                    uint8_t value)
{
    if (index < count)
        regs[index] = value;
    else
        vga->oddities++;
}

/* --- CRTC and status, at 3Bxh or 3Dxh --- */

static void crtc_write(struct vga_text *vga, uint8_t value)
{
    uint8_t *overflow = &vga->crtc[7];

    if (vga->crtc_index > 7 || !(vga->crtc[17] & CRTC_PROTECT))
        reg_set(vga, vga->crtc, VGA_CRTC_REGS, vga->crtc_index, value);
    else if (vga->crtc_index == 7)
        *overflow = (uint8_t)((*overflow & ~CRTC_OVERFLOW_LC) | (value & CRTC_OVERFLOW_LC));
}

static uint8_t status1(const struct vga_text *vga)
{
    uint64_t ns = clock_now_ns(vga->wiring.clock);
    unsigned line = (unsigned)(ns / LINE_NS % LINES);
    unsigned in_line = (unsigned)(ns % LINE_NS);
    unsigned status = 0;

    if (line >= LINES_SHOWN || in_line >= LINE_SHOWN_NS)
        status |= STATUS1_BLANK;
    if (line >= RETRACE_BEGIN && line < RETRACE_END)
        status |= STATUS1_RETRACE;
    return (uint8_t)status;
}

static uint8_t crtc_port_peek(const struct vga_text *vga, unsigned offset)
{
    switch (offset) {
    case CRTC_INDEX: return vga->crtc_index;
    case CRTC_DATA: return reg_get(vga->crtc, VGA_CRTC_REGS, vga->crtc_index);
    case STATUS1: return status1(vga);
    default: return 0xff;
    }
}

static void crtc_port_write(struct vga_text *vga, unsigned offset, uint8_t value)
{
    switch (offset) {
    case CRTC_INDEX: vga->crtc_index = value & 0x3f; break;
    case CRTC_DATA: crtc_write(vga, value); break;
    case STATUS1: vga->feature = value; break;
    default: vga->oddities++; break;
    }
}

static bool is_color(const struct vga_text *vga)
{
    return vga->misc & MISC_COLOR;
}

static uint64_t color_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct vga_text *vga = opaque;

    (void)size;
    return is_color(vga) ? crtc_port_peek(vga, (unsigned)offset) : 0xff;
}

static uint64_t mono_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct vga_text *vga = opaque;

    (void)size;
    return is_color(vga) ? 0xff : crtc_port_peek(vga, (unsigned)offset);
}

static uint64_t color_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga_text *vga = opaque;

    if (is_color(vga) && offset == STATUS1)
        vga->attr_data = false;
    return color_peek(opaque, offset, size);
}

static uint64_t mono_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga_text *vga = opaque;

    if (!is_color(vga) && offset == STATUS1)
        vga->attr_data = false;
    return mono_peek(opaque, offset, size);
}

static void color_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga_text *vga = opaque;

    (void)size;
    if (is_color(vga))
        crtc_port_write(vga, (unsigned)offset, (uint8_t)value);
}

static void mono_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga_text *vga = opaque;

    (void)size;
    if (!is_color(vga))
        crtc_port_write(vga, (unsigned)offset, (uint8_t)value);
}

static const struct bus_ops color_ops = {
    .read = color_read, .write = color_write, .peek = color_peek, .max_size = 1};
static const struct bus_ops mono_ops = {
    .read = mono_read, .write = mono_write, .peek = mono_peek, .max_size = 1};

/* --- DAC --- */

static void dac_advance(struct vga_text *vga)
{
    if (++vga->dac_part < 3)
        return;
    vga->dac_part = 0;
    vga->dac_entry++;
}

static void dac_select(struct vga_text *vga, uint8_t entry, bool reading)
{
    vga->dac_entry = entry;
    vga->dac_part = 0;
    vga->dac_reading = reading;
}

/* The colour changes when its third component arrives. */
static void dac_write_data(struct vga_text *vga, uint8_t value)
{
    uint8_t *entry = &vga->dac[3u * vga->dac_entry];

    if (vga->dac_part < 2) {
        vga->dac_latch[vga->dac_part] = value & 0x3f;
    } else {
        entry[0] = vga->dac_latch[0];
        entry[1] = vga->dac_latch[1];
        entry[2] = value & 0x3f;
    }
    dac_advance(vga);
}

/* --- 3C0h..3CFh --- */

static uint8_t attr_get(const struct vga_text *vga)
{
    return reg_get(vga->attr, VGA_ATTR_REGS, vga->attr_index & 0x1f);
}

static void attr_write(struct vga_text *vga, uint8_t value)
{
    if (vga->attr_data)
        reg_set(vga, vga->attr, VGA_ATTR_REGS, vga->attr_index & 0x1f, value);
    else
        vga->attr_index = value & 0x3f;
    vga->attr_data = !vga->attr_data;
}

static uint64_t vga_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct vga_text *vga = opaque;

    (void)size;
    switch (offset) {
    case ATTR_WRITE: return vga->attr_index;
    case ATTR_READ: return attr_get(vga);
    case MISC_WRITE: return STATUS0_SENSE;
    case ENABLE: return vga->enable;
    case SEQ_INDEX: return vga->seq_index;
    case SEQ_DATA: return reg_get(vga->seq, VGA_SEQ_REGS, vga->seq_index);
    case DAC_MASK: return vga->dac_mask;
    case DAC_READ: return vga->dac_reading ? DAC_STATE_READ : 0;
    case DAC_WRITE: return vga->dac_entry;
    case DAC_DATA: return vga->dac[3u * vga->dac_entry + vga->dac_part];
    case FEATURE: return vga->feature;
    case MISC_READ: return vga->misc;
    case GFX_INDEX: return vga->gfx_index;
    case GFX_DATA: return reg_get(vga->gfx, VGA_GFX_REGS, vga->gfx_index);
    default: return 0xff;
    }
}

static uint64_t vga_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga_text *vga = opaque;
    uint64_t value = vga_peek(opaque, offset, size);

    if (offset == DAC_DATA)
        dac_advance(vga);
    return value;
}

static void vga_write(void *opaque, uint64_t offset, uint64_t value64, unsigned size)
{
    struct vga_text *vga = opaque;
    uint8_t value = (uint8_t)value64;

    (void)size;
    switch (offset) {
    case ATTR_WRITE: attr_write(vga, value); break;
    case MISC_WRITE: vga->misc = value; break;
    case ENABLE: vga->enable = value & 1; break;
    case SEQ_INDEX: vga->seq_index = value & 7; break;
    case SEQ_DATA: reg_set(vga, vga->seq, VGA_SEQ_REGS, vga->seq_index, value); break;
    case DAC_MASK: vga->dac_mask = value; break;
    case DAC_READ: dac_select(vga, value, true); break;
    case DAC_WRITE: dac_select(vga, value, false); break;
    case DAC_DATA: dac_write_data(vga, value); break;
    case GFX_INDEX: vga->gfx_index = value & 15; break;
    case GFX_DATA: reg_set(vga, vga->gfx, VGA_GFX_REGS, vga->gfx_index, value); break;
    default: vga->oddities++; break;
    }
}

static const struct bus_ops vga_ops = {
    .read = vga_read, .write = vga_write, .peek = vga_peek, .max_size = 1};

/* --- video memory --- */

static uint64_t memory_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct vga_text *vga = opaque;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)vga->memory[offset + i] << (8 * i);
    return value;
}

static void memory_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga_text *vga = opaque;

    for (unsigned i = 0; i < size; i++)
        vga->memory[offset + i] = (uint8_t)(value >> (8 * i));
}

static const struct bus_ops memory_ops = {
    .read = memory_peek, .write = memory_write, .peek = memory_peek, .max_size = 8};

/* --- the screen, for tools --- */

static char printable(uint8_t c)
{
    if (c == 0 || c == 0xff)
        return ' ';
    return c >= 0x20 && c < 0x7f ? (char)c : '.';
}

void vga_text_screen(const struct vga_text *vga, char *out)
{
    const uint8_t *text = vga->memory + (is_color(vga) ? VGA_TEXT_BASE : 0xb0000u) -
                          VGA_MEMORY_BASE;
    unsigned start = (unsigned)(vga->crtc[CRTC_START_HIGH] << 8 | vga->crtc[CRTC_START_LOW]);
    unsigned pitch = vga->crtc[CRTC_OFFSET] != 0 ? 2u * vga->crtc[CRTC_OFFSET] : VGA_TEXT_COLUMNS;

    for (unsigned row = 0; row < VGA_TEXT_ROWS; row++) {
        for (unsigned col = 0; col < VGA_TEXT_COLUMNS; col++)
            *out++ = printable(text[(start + row * pitch + col) * 2 & 0x7fff]);
        *out++ = '\n';
    }
    *out = '\0';
}

/* --- life cycle --- */

static int vga_text_post_load(void *obj)
{
    const struct vga_text *vga = obj;

    return vga->dac_part > 2 ? -1 : 0;
}

static void clear_screen(struct vga_text *vga)
{
    memset(vga->memory, 0, sizeof(vga->memory));
    for (unsigned i = VGA_TEXT_BASE - VGA_MEMORY_BASE; i < VGA_MEMORY_BYTES; i += 2) {
        vga->memory[i] = ' ';
        vga->memory[i + 1] = BLANK_CELL_ATTRIBUTE;
    }
}

/* The 64 colours of the EGA, which mode 3's attributes choose from: rgbRGB, 2/3 and 1/3 of full. */
static void load_ega_palette(struct vga_text *vga)
{
    memset(vga->dac, 0, sizeof(vga->dac));
    for (unsigned i = 0; i < 64; i++) {
        for (unsigned part = 0; part < 3; part++) {
            unsigned bit = 2 - part;

            vga->dac[3 * i + part] = (uint8_t)((i >> bit & 1) * 0x2a + (i >> (bit + 3) & 1) * 0x15);
        }
    }
}

void vga_text_reset(void *obj)
{
    struct vga_text *vga = obj;

    clear_screen(vga);
    load_ega_palette(vga);
    memcpy(vga->crtc, mode3_crtc, sizeof(vga->crtc));
    memcpy(vga->seq, mode3_seq, sizeof(vga->seq));
    memcpy(vga->gfx, mode3_gfx, sizeof(vga->gfx));
    memcpy(vga->attr, mode3_attr, sizeof(vga->attr));
    vga->crtc_index = 0;
    vga->seq_index = 0;
    vga->gfx_index = 0;
    vga->attr_index = 0x20;
    vga->misc = MODE3_MISC;
    vga->feature = 0;
    vga->enable = 1;
    vga->dac_mask = 0xff;
    vga->dac_entry = 0;
    vga->dac_part = 0;
    memset(vga->dac_latch, 0, sizeof(vga->dac_latch));
    vga->dac_reading = false;
    vga->attr_data = false;
}

void vga_text_init(struct vga_text *vga, const struct vga_text_wiring *wiring)
{
    memset(vga, 0, sizeof(*vga)); /* no compound literal: it would be 128 KiB of stack */
    vga->wiring = *wiring;
    bus_add(wiring->memory, &vga->memory_range, "vga memory", VGA_MEMORY_BASE, VGA_MEMORY_BYTES,
            &memory_ops, vga);
    bus_add(wiring->ports, &vga->mono_range, "vga mono", MONO_PORTS, CRTC_PORTS_LEN, &mono_ops,
            vga);
    bus_add(wiring->ports, &vga->vga_range, "vga", VGA_PORTS, 16, &vga_ops, vga);
    bus_add(wiring->ports, &vga->color_range, "vga color", COLOR_PORTS, CRTC_PORTS_LEN, &color_ops,
            vga);
}
