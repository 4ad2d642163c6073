/* SPDX-License-Identifier: MIT */
/*
 * The firmware configuration device of QEMU's PC (QEMU, docs/specs/fw_cfg.rst).
 *
 *   510h   selector, written as a word: the item, from its first byte. Reads all ones.
 *   511h   the item's next byte; zeros behind its end, and of items that are not there
 *   514h   big-endian, eight bytes: the address of a DMA request, which starts when the low half is
 *          written. Reads "QEMU CFG". The request in memory, big-endian: u32 control, u32 length,
 *          u64 address. Control: bit 0 error, 1 read, 2 skip, 3 select the item in bits 31:16,
 *          4 write. When the transfer is done control is 0, or the error bit.
 *
 * Not modelled: items that can be written. A write to 511h does nothing, a DMA write is an error. A
 * transfer to or from what is not RAM, one whose last byte is beyond 4 GiB of its item, and a read
 * that goes further than PAD_BYTES beyond the item's end are errors.
 *
 * A transfer takes no time, and is over when the instruction is that started it.
 *
 * Nothing in here depends on anything but the items, which the machine's configuration fixes.
 */
#include <devices/fw_cfg.h>

#include <assert.h>
#include <string.h>

#define PORT_SELECTOR 0x510u
#define PORT_DMA      0x514u
#define DATA_OFFSET   1u

#define ID_PORTS 1u
#define ID_DMA   2u

#define DMA_SIGNATURE 0x51454d5520434647ULL /* "QEMU CFG" */
#define DMA_BYTES     16u
#define DMA_ERROR     0x01u
#define DMA_READ      0x02u
#define DMA_SKIP      0x04u
#define DMA_SELECT    0x08u
#define DMA_WRITE     0x10u

#define PAD_BYTES       0x100000u
#define DIRECTORY_ENTRY 64u

static const struct field fw_cfg_fields[] = {
    FIELD(struct fw_cfg, dma_address, FIELD_U64),
    FIELD(struct fw_cfg, offset, FIELD_U32),
    FIELD(struct fw_cfg, selected, FIELD_U16),
};
const struct state_desc fw_cfg_desc = STATE_DESC("fw_cfg", 1, struct fw_cfg, fw_cfg_fields, NULL);

/* --- big-endian numbers --- */

static uint64_t get_be(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void put_be(uint8_t *bytes, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

/* --- items --- */

static const struct fw_cfg_item *selected_item(const struct fw_cfg *fw)
{
    for (unsigned i = 0; i < fw->nitems; i++)
        if (fw->items[i].key == fw->selected)
            return &fw->items[i];
    if (fw->selected >= FW_CFG_FILE_FIRST && fw->selected - FW_CFG_FILE_FIRST < (int)fw->nfiles)
        return &fw->files[fw->selected - FW_CFG_FILE_FIRST].item;
    return NULL;
}

/* Bytes from the offset to the item's end. */
static size_t left_of(const struct fw_cfg *fw, const struct fw_cfg_item *item)
{
    return item != NULL && fw->offset < item->len ? item->len - fw->offset : 0;
}

static void select_item(struct fw_cfg *fw, uint16_t key)
{
    fw->selected = key;
    fw->offset = 0;
}

/* --- selector and data --- */

static uint64_t port_peek(void *opaque, uint64_t offset, unsigned size)
{
    const struct fw_cfg *fw = opaque;
    const struct fw_cfg_item *item = selected_item(fw);

    if (offset != DATA_OFFSET || size != 1)
        return UINT64_MAX;
    return left_of(fw, item) > 0 ? item->data[fw->offset] : 0;
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fw_cfg *fw = opaque;
    uint64_t value = port_peek(opaque, offset, size);

    if (offset == DATA_OFFSET && size == 1 && left_of(fw, selected_item(fw)) > 0)
        fw->offset++;
    return value;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == 0 && size == 2)
        select_item(opaque, (uint16_t)value);
}

static const struct bus_ops port_ops = {
    .read = port_read, .write = port_write, .peek = port_peek, .max_size = 2};

/* --- DMA --- */

/* Zeros to [gpa, gpa + len). */
static bool pad(const struct fw_cfg *fw, uint64_t gpa, size_t len)
{
    static const uint8_t zeros[4096];

    while (len > 0) {
        size_t n = len < sizeof(zeros) ? len : sizeof(zeros);

        if (!fw->wiring.write_memory(fw->wiring.opaque, gpa, zeros, n))
            return false;
        gpa += n;
        len -= n;
    }
    return true;
}

static bool transfer(const struct fw_cfg *fw, uint64_t gpa, size_t len)
{
    const struct fw_cfg_item *item = selected_item(fw);
    size_t left = left_of(fw, item);
    size_t n = len < left ? len : left;

    if (len - n > PAD_BYTES || gpa + len < gpa)
        return false;
    return (n == 0 || fw->wiring.write_memory(fw->wiring.opaque, gpa, item->data + fw->offset, n)) &&
           pad(fw, gpa + n, len - n);
}

/* False: an error. */
static bool dma_request(struct fw_cfg *fw, uint32_t control, uint32_t len, uint64_t gpa)
{
    if (control & DMA_SELECT)
        select_item(fw, (uint16_t)(control >> 16));
    if (!(control & (DMA_READ | DMA_WRITE | DMA_SKIP)))
        return true;
    if (control & DMA_READ) {
        if (!transfer(fw, gpa, len))
            return false;
    } else if (control & DMA_WRITE) {
        return false;
    }
    if (UINT32_MAX - fw->offset < len)
        return false;
    fw->offset += len;
    return true;
}

static void start_dma(struct fw_cfg *fw)
{
    uint64_t at = fw->dma_address;
    uint8_t request[DMA_BYTES], answer[4];

    fw->dma_address = 0;
    if (!fw->wiring.read_memory(fw->wiring.opaque, at, request, sizeof(request)))
        return; /* there is no place for an answer */
    put_be(answer, 4,
           dma_request(fw, (uint32_t)get_be(request, 4), (uint32_t)get_be(request + 4, 4),
                       get_be(request + 8, 8))
               ? 0
               : DMA_ERROR);
    fw->wiring.write_memory(fw->wiring.opaque, at, answer, sizeof(answer));
}

static uint64_t swap32(uint64_t value)
{
    return __builtin_bswap32((uint32_t)value);
}

static uint64_t dma_peek(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    (void)opaque;
    for (unsigned i = 0; i < size; i++)
        value |= (DMA_SIGNATURE >> (8 * (7 - offset - i)) & 0xff) << (8 * i);
    return value;
}

/* The register is written by dwords; others do nothing. */
static void dma_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fw_cfg *fw = opaque;

    if (size != 4 || offset % 4 != 0)
        return;
    if (offset == 0) {
        fw->dma_address = swap32(value) << 32;
        return;
    }
    fw->dma_address |= swap32(value);
    start_dma(fw);
}

static const struct bus_ops dma_ops = {
    .read = dma_peek, .write = dma_write, .peek = dma_peek, .max_size = 4};

/* --- life cycle --- */

void fw_cfg_add(struct fw_cfg *fw, uint16_t key, const void *data, size_t len)
{
    assert(fw->nitems < FW_CFG_MAX_ITEMS);
    fw->items[fw->nitems++] = (struct fw_cfg_item){.key = key, .data = data, .len = len};
}

/* Keys follow from the order of the names. */
static void write_directory(struct fw_cfg *fw)
{
    put_be(fw->directory, 4, fw->nfiles);
    for (unsigned i = 0; i < fw->nfiles; i++) {
        struct fw_cfg_file *file = &fw->files[i];
        uint8_t *entry = fw->directory + 4 + DIRECTORY_ENTRY * i;

        file->item.key = (uint16_t)(FW_CFG_FILE_FIRST + i);
        put_be(entry, 4, file->item.len);
        put_be(entry + 4, 2, file->item.key);
        put_be(entry + 6, 2, 0);
        memcpy(entry + 8, file->name, sizeof(file->name));
    }
}

void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t len)
{
    unsigned at = fw->nfiles;

    assert(fw->nfiles < FW_CFG_MAX_FILES && strlen(name) < FW_CFG_NAME_BYTES);
    for (; at > 0 && strcmp(fw->files[at - 1].name, name) > 0; at--)
        fw->files[at] = fw->files[at - 1];
    fw->files[at] = (struct fw_cfg_file){.item = {.data = data, .len = len}};
    memcpy(fw->files[at].name, name, strlen(name));
    fw->nfiles++;
    write_directory(fw);
}

void fw_cfg_reset(void *obj)
{
    struct fw_cfg *fw = obj;

    fw->dma_address = 0;
    fw->offset = 0;
    fw->selected = 0;
}

void fw_cfg_init(struct fw_cfg *fw, const struct fw_cfg_wiring *wiring)
{
    static const uint8_t id[4] = {ID_PORTS | ID_DMA};

    memset(fw, 0, sizeof(*fw));
    fw->wiring = *wiring;
    fw_cfg_add(fw, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add(fw, FW_CFG_ID, id, sizeof(id));
    fw_cfg_add(fw, FW_CFG_FILE_DIR, fw->directory, sizeof(fw->directory));
    bus_add(wiring->ports, &fw->port_range, "fw_cfg", PORT_SELECTOR, 2, &port_ops, fw);
    bus_add(wiring->ports, &fw->dma_range, "fw_cfg dma", PORT_DMA, 8, &dma_ops, fw);
}
