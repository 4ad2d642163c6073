/* SPDX-License-Identifier: MIT */
/* The folder of a hunt: folder.h. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "../cli.h"
#include "../json.h"

#define RESULTS "results"
#define MAX_LINE 65536u
#define HASH_DIGITS 16

static int trouble(const struct hunt_folder *f, const char *name, const char *what)
{
    cli_error("hunt: %s%s%s: %s: %s", f->given, name[0] != '\0' ? "/" : "", name, what, strerror(errno));
    return EXIT_USAGE;
}

/* --- names --- */

void folder_path(const struct hunt_folder *f, const char *name, char *out, size_t len)
{
    snprintf(out, len, "%s/%s", f->path, name);
}

void folder_trace_name(uint64_t run, char out[FOLDER_NAME_BYTES])
{
    snprintf(out, FOLDER_NAME_BYTES, "run-%06" PRIu64 ".deja", run);
}

void folder_part_name(uint64_t run, bool loose, char out[FOLDER_NAME_BYTES])
{
    snprintf(out, FOLDER_NAME_BYTES, "%srun-%06" PRIu64 ".deja.part", loose ? RESULTS "/" : "", run);
}

static uint64_t hash_of(const char *site)
{
    return XXH3_64bits(site, strlen(site));
}

void folder_loose_name(uint64_t run, const char *site, char out[FOLDER_NAME_BYTES])
{
    snprintf(out, FOLDER_NAME_BYTES, RESULTS "/%016" PRIx64 "-%06" PRIu64 ".deja", hash_of(site), run);
}

bool folder_has(const struct hunt_folder *f, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    folder_path(f, name, path, sizeof(path));
    return stat(path, &st) == 0;
}

int folder_rename(const struct hunt_folder *f, const char *from, const char *to)
{
    char old[PATH_MAX], new[PATH_MAX];

    folder_path(f, from, old, sizeof(old));
    folder_path(f, to, new, sizeof(new));
    return rename(old, new) == 0 ? EXIT_DONE : trouble(f, to, "cannot be made");
}

/* --- opening --- */

/* An absolute path that leaves room for the names in it. */
static int find_path(struct hunt_folder *f)
{
    f->path = realpath(f->given, NULL);
    if (f->path == NULL)
        return trouble(f, "", "no hunt is there");
    if (strlen(f->path) + FOLDER_NAME_BYTES + 16 < PATH_MAX)
        return EXIT_DONE;
    errno = ENAMETOOLONG;
    return trouble(f, "", "the folder");
}

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    unsigned n = 0;

    if (d == NULL)
        return false;
    while ((e = readdir(d)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n == 0;
}

/* Where a file system knows no locks it goes without. */
int folder_lock(struct hunt_folder *f, bool shared)
{
    char path[PATH_MAX];

    folder_path(f, "lock", path, sizeof(path));
    if (f->lock < 0)
        f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (f->lock < 0)
        return trouble(f, "lock", "cannot be made");
    if (flock(f->lock, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return EXIT_DONE;
    cli_error("hunt: %s: another hunt is going on there", f->given);
    return EXIT_USAGE;
}

void folder_unlock(struct hunt_folder *f)
{
    if (f->lock >= 0)
        flock(f->lock, LOCK_UN);
}

int folder_create(struct hunt_folder *f, const char *dir)
{
    char path[PATH_MAX];
    int status;

    *f = (struct hunt_folder){.given = dir, .lock = -1, .journal = -1};
    if (mkdir(dir, 0777) != 0 && (errno != EEXIST || !is_empty(dir))) {
        if (errno != EEXIST)
            return trouble(f, "", "cannot be made");
        cli_error("hunt: %s is there already, and not empty: go on with it by --resume %s, or name another folder "
                  "with -o DIR",
                  dir, dir);
        return EXIT_USAGE;
    }
    status = find_path(f);
    if (status != EXIT_DONE)
        return status;
    folder_path(f, RESULTS, path, sizeof(path));
    if (mkdir(path, 0777) != 0)
        return trouble(f, RESULTS, "cannot be made");
    return folder_lock(f, false);
}

int folder_open(struct hunt_folder *f, const char *dir, bool shared)
{
    int status;

    *f = (struct hunt_folder){.given = dir, .lock = -1, .journal = -1};
    status = find_path(f);
    if (status == EXIT_DONE && !folder_has(f, "hunt.json")) {
        errno = ENOENT;
        return trouble(f, "hunt.json", "no hunt is there");
    }
    return status != EXIT_DONE ? status : folder_lock(f, shared);
}

void folder_close(struct hunt_folder *f)
{
    if (f->journal >= 0)
        close(f->journal);
    if (f->lock >= 0)
        close(f->lock);
    free(f->path);
    *f = (struct hunt_folder){.lock = -1, .journal = -1};
}

/* --- results --- */

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A line that was cut off by a death gets its end. */
static int end_last_line(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char last = '\n';

    if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
        return -1;
    return last == '\n' ? 0 : write_all(fd, "\n", 1);
}

int folder_open_journal(struct hunt_folder *f, const char *name)
{
    char below[FOLDER_NAME_BYTES], path[PATH_MAX];

    snprintf(below, sizeof(below), RESULTS "/%s.jsonl", name);
    folder_path(f, below, path, sizeof(path));
    f->journal = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (f->journal < 0 || end_last_line(f->journal) != 0)
        return trouble(f, below, "cannot be written");
    return EXIT_DONE;
}

/* One write: a kill leaves a line whole or not there. */
int folder_note(struct hunt_folder *f, const struct hunt_result *r)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int rc = -1;

    if (out != NULL) {
        hunt_result_print(r, NULL, out);
        putc('\n', out);
        rc = fclose(out) == 0 ? write_all(f->journal, text, len) : -1;
    }
    free(text);
    return rc == 0 ? EXIT_DONE : trouble(f, RESULTS, "cannot be written");
}

static int read_line(char *line, folder_result_fn *fn, void *opaque)
{
    struct hunt_result r;
    char err[128];
    struct json *j = json_parse(line, strlen(line), NULL, err, sizeof(err));
    bool good = hunt_result_parse(&r, j);

    json_destroy(j);
    return good ? fn(opaque, &r) : EXIT_DONE;
}

static int read_file(const struct hunt_folder *f, const char *name, folder_result_fn *fn, void *opaque)
{
    char below[FOLDER_NAME_BYTES + 256], path[PATH_MAX + 256], *line = NULL;
    size_t room = 0;
    FILE *in;
    int status = EXIT_DONE;

    snprintf(below, sizeof(below), RESULTS "/%s", name);
    folder_path(f, below, path, sizeof(path));
    in = fopen(path, "re");
    if (in == NULL) /* removed just now: nothing is lost that somebody wanted */
        return errno == ENOENT ? EXIT_DONE : trouble(f, below, "cannot be read");
    while (status == EXIT_DONE && getline(&line, &room, in) >= 0)
        status = read_line(line, fn, opaque);
    if (status == EXIT_DONE && ferror(in))
        status = trouble(f, below, "cannot be read");
    free(line);
    fclose(in);
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

/* Calls `fn` with each name in results/ (or, with `top`, in the folder) that ends so, until it returns another status
 * than EXIT_DONE. */
static int each_file(const struct hunt_folder *f, const char *below, const char *end,
                     int (*fn)(void *opaque, const char *name), void *opaque)
{
    char path[PATH_MAX];
    const struct dirent *e;
    int status = EXIT_DONE;
    DIR *d;

    folder_path(f, below, path, sizeof(path));
    d = opendir(path);
    if (d == NULL)
        return trouble(f, below, "cannot be read");
    while (status == EXIT_DONE && (e = readdir(d)) != NULL)
        if (ends_with(e->d_name, end))
            status = fn(opaque, e->d_name);
    closedir(d);
    return status;
}

struct reading {
    const struct hunt_folder *f;
    folder_result_fn *fn;
    void *opaque;
};

static int read_one(void *opaque, const char *name)
{
    const struct reading *r = opaque;

    return read_file(r->f, name, r->fn, r->opaque);
}

int folder_read_results(const struct hunt_folder *f, folder_result_fn *fn, void *opaque)
{
    struct reading r = {.f = f, .fn = fn, .opaque = opaque};

    return each_file(f, RESULTS, ".jsonl", read_one, &r);
}

int folder_read_results_of(const struct hunt_folder *f, const char *name, folder_result_fn *fn, void *opaque)
{
    char file[FOLDER_NAME_BYTES], below[FOLDER_NAME_BYTES + 16];

    snprintf(file, sizeof(file), "%s.jsonl", name);
    snprintf(below, sizeof(below), RESULTS "/%s", file);
    return folder_has(f, below) ? read_file(f, file, fn, opaque) : EXIT_DONE;
}

/* --- recordings --- */

struct counting {
    uint64_t run, count;
    char prefix[HASH_DIGITS + 2];
};

static int count_one(void *opaque, const char *name)
{
    struct counting *c = opaque;

    if (strncmp(name, c->prefix, HASH_DIGITS + 1) == 0 && strtoull(name + HASH_DIGITS + 1, NULL, 10) < c->run)
        c->count++;
    return EXIT_DONE;
}

uint64_t folder_count_loose(const struct hunt_folder *f, uint64_t run, const char *site)
{
    struct counting c = {.run = run};

    snprintf(c.prefix, sizeof(c.prefix), "%016" PRIx64 "-", hash_of(site));
    each_file(f, RESULTS, ".deja", count_one, &c);
    return c.count;
}

struct removing {
    const struct hunt_folder *f;
    const char *below;
};

static int remove_one(void *opaque, const char *name)
{
    const struct removing *r = opaque;
    char path[PATH_MAX + 256];

    snprintf(path, sizeof(path), "%s/%s%s", r->f->path, r->below, name);
    unlink(path);
    return EXIT_DONE;
}

void folder_remove_parts(const struct hunt_folder *f)
{
    struct removing top = {.f = f, .below = ""}, results = {.f = f, .below = RESULTS "/"};

    each_file(f, "", ".part", remove_one, &top);
    each_file(f, RESULTS, ".part", remove_one, &results);
}

struct tidying {
    struct removing removing;
    bool (*kept)(void *opaque, uint64_t run);
    void *opaque;
};

/* "run-000017.deja", and no other name. */
static int remove_unless_kept(void *opaque, const char *name)
{
    struct tidying *t = opaque;
    char same[FOLDER_NAME_BYTES];
    uint64_t run;

    if (sscanf(name, "run-%" SCNu64, &run) != 1)
        return EXIT_DONE;
    folder_trace_name(run, same);
    if (strcmp(name, same) == 0 && !t->kept(t->opaque, run))
        remove_one(&t->removing, name);
    return EXIT_DONE;
}

void folder_remove_traces(const struct hunt_folder *f, bool (*kept)(void *opaque, uint64_t run), void *opaque)
{
    struct removing results = {.f = f, .below = RESULTS "/"};
    struct tidying top = {.removing = {.f = f, .below = ""}, .kept = kept, .opaque = opaque};

    each_file(f, RESULTS, ".deja", remove_one, &results);
    each_file(f, "", ".deja", remove_unless_kept, &top);
}
