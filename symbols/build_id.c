/* SPDX-License-Identifier: MIT */
/* Build-ids: notes of owner "GNU" and type 3, in files and in memory. */
#include <symbols/elf_file.h>

#include <elf.h>
#include <string.h>

#include "memory_internal.h"

bool build_id_equal(const struct build_id *a, const struct build_id *b)
{
    return a->len > 0 && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

char *build_id_text(const struct build_id *id, char *out, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    if (len == 0)
        return out;
    for (; n + 1 < len && n < 2 * id->len; n++)
        out[n] = digits[n % 2 == 0 ? id->bytes[n / 2] >> 4 : id->bytes[n / 2] & 15];
    out[n] = '\0';
    if (id->len == 0) {
        strncpy(out, "none", len - 1);
        out[len - 1] = '\0';
    }
    return out;
}

bool build_id_in_notes(const void *notes, size_t len, struct build_id *id, size_t *at)
{
    const uint8_t *bytes = notes;
    size_t pos = 0;

    while (len - pos >= 12) {
        uint32_t name_len = le32(bytes + pos), desc_len = le32(bytes + pos + 4);
        uint64_t desc = pos + 12 + align_up(name_len, 4);
        uint64_t next = desc + align_up(desc_len, 4);

        if (desc + desc_len > len)
            return false;
        if (le32(bytes + pos + 8) == NT_GNU_BUILD_ID && name_len == 4 &&
            memcmp(bytes + pos + 12, "GNU", 4) == 0 && desc_len > 0 && desc_len <= BUILD_ID_MAX) {
            id->len = desc_len;
            memcpy(id->bytes, bytes + desc, desc_len);
            if (at != NULL)
                *at = (size_t)desc;
            return true;
        }
        if (next >= len)
            return false;
        pos = (size_t)next;
    }
    return false;
}
