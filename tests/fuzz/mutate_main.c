/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without a fuzzer: over a corpus, and over seeded mutations of it, the same
 * ones every time.
 *
 *     program CORPUS SEED COUNT [FIRST]
 *
 * Runs COUNT inputs from number FIRST on (0). The first ones are the corpus' files in the order of
 * their names; each later one is made from SEED and its number alone. The inputs are run in a child
 * process, so that whatever ends it, the command that repeats just that input can be printed. An input
 * that takes HANG_SECONDS, where thousands take one, ends it too.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FILES   4096u
#define INPUT_BYTES (1u << 16)
#define MAX_STEPS   8u /* mutations of one input */
#define HANG_SECONDS 60u

struct input {
    uint8_t *data;
    size_t len;
};

static struct input corpus[MAX_FILES];
static size_t ncorpus;

/* ---- the corpus ---- */

static struct input read_file(const char *folder, const char *name)
{
    struct input in = {malloc(INPUT_BYTES), 0};
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "rb");
    if (!f || !in.data) {
        perror(path);
        exit(2);
    }
    in.len = fread(in.data, 1, INPUT_BYTES, f);
    fclose(f);
    return in;
}

static void read_corpus(const char *folder)
{
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort);

    if (n < 0) {
        perror(folder);
        exit(2);
    }
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.' && ncorpus < MAX_FILES)
            corpus[ncorpus++] = read_file(folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

/* ---- mutations ---- */

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t limit)
{
    return limit ? (size_t)(next_random(state) % limit) : 0;
}

/* Replaces `cut` bytes at `at` by others, as far as there is room. */
static void splice(struct input *in, size_t at, size_t cut, const uint8_t *from, size_t len)
{
    if (len > INPUT_BYTES - (in->len - cut))
        len = INPUT_BYTES - (in->len - cut);
    memmove(in->data + at + len, in->data + at + cut, in->len - at - cut);
    memcpy(in->data + at, from, len);
    in->len += len - cut;
}

static void splice_other(struct input *in, size_t at, size_t cut, uint64_t *state)
{
    const struct input *other = &corpus[below(state, ncorpus)];
    size_t begin = below(state, other->len), len = 1 + below(state, 256);

    if (len > other->len - begin)
        len = other->len - begin;
    splice(in, at, cut, other->data + begin, len);
}

static void mutate_once(struct input *in, uint64_t *state)
{
    uint8_t bytes[8], copy[64];
    uint64_t r = next_random(state);
    size_t at = below(state, in->len + 1), left = in->len - at;
    size_t some = below(state, (left < 64 ? left : 64) + 1);

    memcpy(bytes, &r, sizeof(bytes));
    switch (below(state, 7)) {
    case 0: /* a bit */
        if (left)
            in->data[at] ^= (uint8_t)(1u << (r & 7));
        break;
    case 1: /* a byte */
        if (left)
            in->data[at] = bytes[0];
        break;
    case 2: splice(in, at, 0, bytes, 1 + (bytes[7] & 7)); break; /* more bytes */
    case 3: splice(in, at, some, bytes, 0); break;               /* fewer */
    case 4:                                                      /* some once more */
        memcpy(copy, in->data + at, some);
        splice(in, at, 0, copy, some);
        break;
    case 5: splice_other(in, at, 0, state); break; /* some of another */
    default: splice_other(in, at, some, state); break;
    }
}

static void make_input(uint64_t seed, size_t number, struct input *in)
{
    uint64_t state = seed * 0x100000001b3 + number;
    const struct input *from;
    size_t steps;

    in->len = 0;
    if (!ncorpus)
        return;
    from = &corpus[number < ncorpus ? number : below(&state, ncorpus)];
    memcpy(in->data, from->data, from->len);
    in->len = from->len;
    steps = number < ncorpus ? 0 : 1 + below(&state, MAX_STEPS);
    while (steps--)
        mutate_once(in, &state);
}

/* A copy of the exact size, so that a sanitizer sees a read past its end. */
static void run(uint64_t seed, size_t number)
{
    static uint8_t room[INPUT_BYTES];
    struct input in = {room, 0};
    uint8_t *exact;

    make_input(seed, number, &in);
    exact = malloc(in.len ? in.len : 1);
    if (!exact)
        exit(2);
    memcpy(exact, in.data, in.len);
    alarm(HANG_SECONDS);
    LLVMFuzzerTestOneInput(exact, in.len);
    free(exact);
}

int main(int argc, char **argv)
{
    volatile size_t *number = mmap(NULL, sizeof(*number), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    size_t first, count;
    int status = 0;
    pid_t pid;

    if (argc < 4 || number == MAP_FAILED) {
        fprintf(stderr, "usage: %s CORPUS SEED COUNT [FIRST]\n", argv[0]);
        return 2;
    }
    read_corpus(argv[1]);
    count = strtoull(argv[3], NULL, 0);
    first = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
    pid = fork();
    if (pid == 0) {
        for (*number = first; *number < first + count; ++*number)
            run(strtoull(argv[2], NULL, 0), *number);
        exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        perror(argv[0]);
        return 2;
    }
    if (status == 0) {
        printf("%zu inputs, %zu of them the corpus\n", count, ncorpus);
        return 0;
    }
    printf("input %zu ended with status %#x; it alone:\n    %s %s %s 1 %zu\n", *number,
           (unsigned)status, argv[0], argv[1], argv[2], *number);
    return 1;
}
