/* SPDX-License-Identifier: MIT */
/*
 * Threads (GDB manual, E.2: H, T; E.4: qC, qfThreadInfo, qThreadExtraInfo; E.17 "Thread List
 * Format").
 *
 * The target is asked for its threads whenever a packet is about them. Two are remembered: the one
 * that g, m and such are about (Hg; after a stop the one that stopped, which is what gdb takes it
 * for), and the one that c and s are about (Hc).
 */
#include <stdlib.h>
#include <string.h>

#include "stub_internal.h"

#define XML_MAX    (16u << 20)
#define TEXT_SHOWN 256u /* of a name or an extra line, what is shown */

static bool grow_threads(struct gdbstub *s, size_t count)
{
    gdbstub_thread *threads;

    if (count <= s->threads_cap)
        return true;
    threads = realloc(s->threads, count * sizeof(*threads));
    if (!threads)
        return false;
    s->threads = threads;
    s->threads_cap = count;
    return true;
}

/* When memory is out, or there are more than can be, the first ones are listed. */
void stub_list_threads(struct gdbstub *s)
{
    size_t count;

    s->nthreads = 0;
    if (!s->threads_cap && !grow_threads(s, 8))
        return;
    if (!s->target.threads) {
        s->threads[s->nthreads++] = 1;
        return;
    }
    count = s->target.threads(s->user, s->threads, s->threads_cap);
    if (count > s->threads_cap) {
        grow_threads(s, count < STUB_MAX_THREADS ? count : STUB_MAX_THREADS);
        count = s->target.threads(s->user, s->threads, s->threads_cap);
    }
    s->nthreads = count < s->threads_cap ? count : s->threads_cap;
}

bool stub_thread_listed(const struct gdbstub *s, gdbstub_thread thread)
{
    for (size_t i = 0; i < s->nthreads; i++)
        if (s->threads[i] == thread)
            return true;
    return false;
}

void stub_settle_thread(struct gdbstub *s, gdbstub_thread preferred)
{
    stub_list_threads(s);
    if (stub_thread_listed(s, preferred))
        s->general = preferred;
    else if (!stub_thread_listed(s, s->general))
        s->general = s->nthreads ? s->threads[0] : 1;
    if (s->continuing > 0 && !stub_thread_listed(s, (gdbstub_thread)s->continuing))
        s->continuing = STUB_ANY_THREAD;
}

/* A process before the thread is passed over: there is one. */
bool stub_read_thread(struct stub_cursor *c, int64_t *thread)
{
    uint64_t id;

    if (stub_read_char(c, 'p')) {
        if (!stub_read_literal(c, "-1") && !stub_read_number(c, &id))
            return false;
        *thread = STUB_ALL_THREADS;
        if (!stub_read_char(c, '.'))
            return true;
    }
    if (stub_read_literal(c, "-1")) {
        *thread = STUB_ALL_THREADS;
        return true;
    }
    if (!stub_read_number(c, &id) || id > UINT32_MAX)
        return false;
    *thread = (int64_t)id;
    return true;
}

/* ---- which threads the next packets are about ---- */

void stub_select_thread(struct gdbstub *s, struct stub_cursor *c)
{
    bool general = stub_read_char(c, 'g');
    int64_t thread;

    if ((!general && !stub_read_char(c, 'c')) || !stub_read_thread(c, &thread) || stub_left(c)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    stub_list_threads(s);
    if (thread > 0 && !stub_thread_listed(s, (gdbstub_thread)thread)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    if (!general)
        s->continuing = thread;
    else if (thread > 0)
        s->general = (gdbstub_thread)thread;
    stub_ok(s);
}

void stub_thread_alive(struct gdbstub *s, struct stub_cursor *c)
{
    int64_t thread;

    stub_list_threads(s);
    if (stub_read_thread(c, &thread) && !stub_left(c) && thread > 0 &&
        stub_thread_listed(s, (gdbstub_thread)thread))
        stub_ok(s);
    else
        stub_error(s, STUB_EINVAL);
}

void stub_current_thread(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    stub_put_text(&s->reply, "QC");
    stub_put_number(&s->reply, s->general);
}

/* ---- lists ---- */

#define THREADS_A_REPLY 1024u

void stub_more_threads(struct gdbstub *s, struct stub_cursor *c)
{
    (void)c;
    if (s->threads_told >= s->nthreads) {
        stub_put_text(&s->reply, "l");
        return;
    }
    for (size_t i = 0; i < THREADS_A_REPLY && s->threads_told < s->nthreads; i++) {
        stub_put_text(&s->reply, i ? "," : "m");
        stub_put_number(&s->reply, s->threads[s->threads_told++]);
    }
}

void stub_first_threads(struct gdbstub *s, struct stub_cursor *c)
{
    stub_list_threads(s);
    s->threads_told = 0;
    stub_more_threads(s, c);
}

void stub_thread_extra(struct gdbstub *s, struct stub_cursor *c)
{
    const char *text = NULL;
    int64_t thread;

    stub_list_threads(s);
    if (!stub_read_thread(c, &thread) || stub_left(c) || thread <= 0 ||
        !stub_thread_listed(s, (gdbstub_thread)thread)) {
        stub_error(s, STUB_EINVAL);
        return;
    }
    if (s->target.thread_extra)
        text = s->target.thread_extra(s->user, (gdbstub_thread)thread);
    if ((!text || !*text) && s->target.thread_name)
        text = s->target.thread_name(s->user, (gdbstub_thread)thread);
    if (text)
        stub_put_bytes(&s->reply, (const uint8_t *)text, strnlen(text, TEXT_SHOWN));
}

/* ---- as XML ---- */

static const char *xml_entity(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&apos;";
    default: return NULL;
    }
}

/* Characters that XML or its encoding has no room for become '?': a name is not worth a document.
 */
static bool add_escaped(struct stub_bytes *b, const char *text)
{
    for (size_t i = 0; i < TEXT_SHOWN && text[i]; i++) {
        char c = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
        const char *entity = xml_entity(c);

        if (entity ? !stub_bytes_text(b, entity, XML_MAX) : !stub_bytes_add(b, &c, 1, XML_MAX))
            return false;
    }
    return true;
}

static bool add_number(struct stub_bytes *b, gdbstub_thread thread)
{
    char text[9], *p = text + sizeof(text);

    *--p = 0;
    do {
        *--p = "0123456789abcdef"[thread & 15];
        thread >>= 4;
    } while (thread);
    return stub_bytes_text(b, p, XML_MAX);
}

/* The strings of the target are good until the next callback, so each is used before it is called
 * again. */
static bool add_thread(struct gdbstub *s, struct stub_bytes *b, gdbstub_thread thread)
{
    const char *text;
    bool good = stub_bytes_text(b, "<thread id=\"", XML_MAX) && add_number(b, thread);

    text = s->target.thread_name ? s->target.thread_name(s->user, thread) : NULL;
    if (text)
        good = good && stub_bytes_text(b, "\" name=\"", XML_MAX) && add_escaped(b, text);
    good = good && stub_bytes_text(b, "\">", XML_MAX);
    text = s->target.thread_extra ? s->target.thread_extra(s->user, thread) : NULL;
    if (text)
        good = good && add_escaped(b, text);
    return good && stub_bytes_text(b, "</thread>\n", XML_MAX);
}

bool stub_make_threads_xml(struct gdbstub *s)
{
    struct stub_bytes *b = &s->threads_xml;
    bool good;

    b->len = 0;
    stub_list_threads(s);
    good = stub_bytes_text(b, "<?xml version=\"1.0\"?>\n<threads>\n", XML_MAX);
    for (size_t i = 0; i < s->nthreads && good; i++)
        good = add_thread(s, b, s->threads[i]);
    return good && stub_bytes_text(b, "</threads>\n", XML_MAX);
}
