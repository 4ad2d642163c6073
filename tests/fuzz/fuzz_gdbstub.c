/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the gdb stub: the bytes are a client's, and the target is a small one in memory.
 *
 * The first byte says how: bit 0 leaves acknowledgements on (checksums count then, so that most
 * mutations stop at the door), bit 1 takes what is optional from the target, bit 2 makes it
 * big-endian with 4-byte addresses; the rest is a seed for the sizes of the pieces in which the
 * bytes arrive and for how the target stops when it runs.
 *
 * What must hold: output is acknowledgements and packets with good checksums, without bare special
 * bytes and no longer than announced; no more packets than were asked for; the target is resumed
 * only when it stands and interrupted only when it runs, with actions that move something;
 * callbacks get registers, threads and lengths that exist; points that a client inserted are gone
 * with it; and the next client is served.
 */
#include <stdlib.h>
#include <string.h>

#include <gdbstub/gdbstub.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NREGS   6u
#define BASE    0x100u
#define MEMORY  4096u
#define THREADS 3u
#define POINTS  4096u

enum flag {
    FLAG_ACKS = 1,
    FLAG_BARE = 2,
    FLAG_BIG_ENDIAN = 4,
};

struct machine {
    struct gdbstub *stub;
    uint8_t regs[THREADS + 1][NREGS][16];
    uint8_t memory[MEMORY];
    struct gdbstub_point points[POINTS];
    size_t npoints;
    size_t packets_due; /* that may still come: replies, stops, text */
    size_t nthreads;
    uint32_t random;
};

static struct machine m;
static const uint16_t sizes[NREGS] = {8, 8, 4, 16, 2, 1};
static const uint16_t expedite[] = {0, 4};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint32_t next_random(void)
{
    m.random = m.random * 1664525u + 1013904223u;
    return m.random >> 16;
}

/* ---- the target ---- */

static int read_register(void *user, gdbstub_thread thread, unsigned reg, uint8_t *out)
{
    require(user == &m && thread >= 1 && thread <= THREADS && reg < NREGS);
    if (reg == 5)
        return -1;
    memcpy(out, m.regs[thread][reg], sizes[reg]);
    return 0;
}

static int write_register(void *user, gdbstub_thread thread, unsigned reg, const uint8_t *value)
{
    require(user == &m && thread >= 1 && thread <= THREADS && reg < NREGS);
    require(!gdbstub_running(m.stub));
    memcpy(m.regs[thread][reg], value, sizes[reg]);
    return 0;
}

static size_t read_memory(void *user, uint64_t address, uint8_t *out, size_t len)
{
    uint64_t at = address - BASE;

    require(user == &m && len > 0);
    if (at >= MEMORY)
        return 0;
    if (len > MEMORY - at)
        len = (size_t)(MEMORY - at);
    memcpy(out, m.memory + at, len);
    return len;
}

static int write_memory(void *user, uint64_t address, const uint8_t *data, size_t len)
{
    uint64_t at = address - BASE;

    require(user == &m && len > 0 && !gdbstub_running(m.stub));
    if (at >= MEMORY || len > MEMORY - at)
        return -1;
    memcpy(m.memory + at, data, len);
    return 0;
}

static int resume(void *user, const struct gdbstub_resume *how)
{
    bool moves = false;

    require(user == &m && !gdbstub_running(m.stub));
    require(how->nactions == m.nthreads && how->first < how->nactions);
    for (size_t i = 0; i < how->nactions; i++) {
        require(how->actions[i].thread == i + 1);
        require(how->actions[i].action <= GDBSTUB_HOLD);
        moves = moves || how->actions[i].action != GDBSTUB_HOLD;
    }
    require(moves && how->actions[how->first].action != GDBSTUB_HOLD);
    return how->actions[how->first].signal == 0x66 ? -1 : 0;
}

static void interrupt(void *user)
{
    require(user == &m && gdbstub_running(m.stub));
}

static size_t find(const struct gdbstub_point *p)
{
    size_t i = 0;

    while (i < m.npoints && (m.points[i].kind != p->kind || m.points[i].address != p->address ||
                             m.points[i].length != p->length))
        i++;
    return i;
}

static int insert_point(void *user, const struct gdbstub_point *p)
{
    require(user == &m && p->kind <= GDBSTUB_ACCESS_WATCH);
    require(p->kind < GDBSTUB_WRITE_WATCH || p->length >= 1);
    if (p->address == 0x666)
        return p->length == 1 ? 1 : -1;
    if (find(p) < m.npoints)
        return 0;
    require(m.npoints < POINTS);
    m.points[m.npoints++] = *p;
    return 0;
}

static int remove_point(void *user, const struct gdbstub_point *p)
{
    size_t i = find(p);

    require(user == &m && i < m.npoints);
    m.points[i] = m.points[--m.npoints];
    return 0;
}

static size_t threads(void *user, gdbstub_thread *out, size_t capacity)
{
    require(user == &m);
    for (size_t i = 0; i < m.nthreads && i < capacity; i++)
        out[i] = (gdbstub_thread)(i + 1);
    return m.nthreads;
}

static const char *thread_text(void *user, gdbstub_thread thread)
{
    require(user == &m && thread >= 1 && thread <= m.nthreads);
    return thread == 1 ? NULL : "<a & b>";
}

static const char *object(void *user, const char *name, const char *annex, size_t *len)
{
    require(user == &m && strlen(name) < 4096 && strlen(annex) < 4096);
    if (strcmp(name, "features") != 0)
        return NULL;
    *len = MEMORY;
    return (const char *)m.memory;
}

static const uint8_t *file(void *user, const char *path, size_t *len)
{
    require(user == &m && path[0]);
    if (path[0] != '/')
        return NULL;
    *len = MEMORY;
    return m.memory;
}

static bool offsets(void *user, uint64_t *text, uint64_t *data)
{
    require(user == &m);
    *text = *data = m.regs[1][0][0];
    return m.regs[1][0][0];
}

static int monitor(void *user, struct gdbstub *stub, const char *command)
{
    require(user == &m);
    m.packets_due += 2; /* what was kept, and this */
    gdbstub_console(stub, command, strlen(command) < 4096 ? strlen(command) : 4096);
    if (command[0] == 't')
        m.nthreads = 1 + m.nthreads % THREADS;
    return command[0] == 'f' ? -1 : 0;
}

static int restart(void *user)
{
    require(user == &m && !gdbstub_running(m.stub));
    return 0;
}

static bool packet(void *user, const char *text, char *reply, size_t capacity)
{
    require(user == &m);
    if (text[0] != 'q')
        return false;
    memset(reply, text[1], capacity);
    return true;
}

static struct gdbstub_target make_target(unsigned flags)
{
    static const char *const objects[] = {"features", "memory-map", NULL};
    struct gdbstub_target t = {
        .struct_size = sizeof(t),
        .register_bytes = sizes,
        .nregisters = NREGS,
        .ng = NREGS,
        .read_register = read_register,
        .write_register = write_register,
        .read_memory = read_memory,
        .write_memory = write_memory,
        .resume = resume,
        .interrupt = interrupt,
        .big_endian = flags & FLAG_BIG_ENDIAN,
        .address_bytes = flags & FLAG_BIG_ENDIAN ? 4 : 8,
    };

    if (flags & FLAG_BARE)
        return t;
    t.expedite = expedite;
    t.nexpedite = 2;
    t.can_reverse = t.can_range_step = t.has_pc = true;
    t.insert_point = insert_point;
    t.remove_point = remove_point;
    t.threads = threads;
    t.thread_name = t.thread_extra = thread_text;
    t.object = object;
    t.objects = objects;
    t.file = file;
    t.offsets = offsets;
    t.monitor = monitor;
    t.restart = restart;
    t.packet = packet;
    return t;
}

/* ---- what comes out ---- */

static const uint8_t *check_packet(const uint8_t *p, const uint8_t *end)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *begin = ++p;
    uint8_t sum = 0;

    for (; p < end && *p != '#'; p++) {
        require(*p != '$' && *p != '*');
        sum = (uint8_t)(sum + *p);
        if (*p == '}') {
            require(++p < end);
            sum = (uint8_t)(sum + *p);
        }
    }
    require(end - p >= 3 && p - begin <= 2 * GDBSTUB_PACKET_BYTES);
    require(p[1] == digits[sum >> 4] && p[2] == digits[sum & 15]);
    return p + 3;
}

static void take_output(void)
{
    const uint8_t *p, *end;
    size_t len;

    p = gdbstub_output(m.stub, &len);
    for (end = p + len; p < end;) {
        if (*p == '+' || *p == '-') {
            p++;
            continue;
        }
        require(*p == '$' && m.packets_due > 0);
        m.packets_due--;
        p = check_packet(p, end);
    }
    gdbstub_sent(m.stub, len);
}

/* ---- what goes in ---- */

/* The target goes on for a while, and may stop, in every way that there is. */
static void run(void)
{
    static const char *const paths[] = {NULL, "", "/new\xff"};
    uint32_t r = next_random();
    struct gdbstub_stop stop = {
        .kind = (enum gdbstub_stop_kind)(r % (GDBSTUB_STOP_TERMINATED + 1)),
        .thread = r >> 4 & 3,
        .signal = (uint8_t)(r >> 6 & 15),
        .address = r,
        .path = paths[r % 3],
    };

    for (size_t i = 0; i < m.npoints && i < 16; i++)
        gdbstub_should_stop(m.stub, &m.points[i], 1 + (gdbstub_thread)(r % m.nthreads));
    m.packets_due += 3; /* text that was kept, text, the stop */
    gdbstub_console(m.stub, "text#", 5);
    if (r & 0x100)
        gdbstub_stopped(m.stub, &stop);
}

/* Each '$' may end in a reply, each '-' in one more; text that was kept comes with a resume. */
static void give(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        m.packets_due += data[i] == '$' || data[i] == '-' ? 2 : 0;
    gdbstub_receive(m.stub, data, len);
}

static void be_client(const uint8_t *data, size_t size)
{
    while (size && !gdbstub_failed(m.stub) && !gdbstub_leaving(m.stub)) {
        size_t n = 1 + next_random() % 512;

        n = n < size ? n : size;
        give(data, n);
        take_output();
        data += n;
        size -= n;
        if (gdbstub_running(m.stub))
            run();
        take_output();
    }
}

static void check_next_client(void)
{
    static const char hello[] = "$QStartNoAckMode#b0$qC#b4";
    const uint8_t *out;
    size_t len;

    gdbstub_disconnected(m.stub);
    require(m.npoints == 0);
    gdbstub_connected(m.stub);
    gdbstub_receive(m.stub, hello, sizeof(hello) - 1);
    out = gdbstub_output(m.stub, &len);
    require(len == 14 && memcmp(out, "+$OK#9a$QC", 10) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gdbstub_target target;

    if (size < 1 || size > (1u << 20))
        return 0;
    memset(&m, 0, sizeof(m));
    for (size_t i = 0; i < MEMORY; i++)
        m.memory[i] = (uint8_t)i;
    m.nthreads = data[0] & FLAG_BARE ? 1 : 2;
    m.random = data[0] >> 3;
    target = make_target(data[0]);
    m.stub = gdbstub_create(&target, &m);
    if (!m.stub)
        return 0;
    gdbstub_connected(m.stub);
    if (!(data[0] & FLAG_ACKS))
        give((const uint8_t *)"$QStartNoAckMode#b0", 19);
    be_client(data + 1, size - 1);
    check_next_client();
    gdbstub_destroy(m.stub);
    return 0;
}
