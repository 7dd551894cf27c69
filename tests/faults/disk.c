/* A disk that loses what was not synced, and fails when it is told to: preloaded into a process (disk.py).
 *
 * What happens to files below DISK_ROOT goes through here. With DISK_JOURNAL each write, truncation, sync and change of a
 * directory is appended to that file before it is done, so that whoever reads it knows what was on the disk at any moment.
 * fsync writes its line and nothing more. `disk_arm`, or DISK_FAILS with the same numbers, lets calls fail, counted from
 * then on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, TRUNCATE = 16, NAMES = 32 };

#define MAX_FD 4096
static char *paths[MAX_FD]; /* of the files below DISK_ROOT that are open */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner;
static char root[PATH_MAX];
static int journal = -1;

static unsigned armed;
static long first, times, period, seen, failed;
static int error_number, is_short;
static char failed_at[PATH_MAX]; /* the file of the first call that failed */

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

/* After a fork the environment may say something else. */
static void look_around(void) {
    pid_t me = getpid();
    if (owner == me) return;
    pthread_mutex_lock(&lock);
    if (owner != me) {
        const char *given = getenv("DISK_ROOT"), *kept = getenv("DISK_JOURNAL");
        snprintf(root, sizeof root, "%s", given ? given : "");
        journal = kept && *kept ? REAL(open)(kept, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
        const char *fails = getenv("DISK_FAILS");
        armed = seen = failed = 0;
        if (fails) sscanf(fails, "%u %ld %ld %ld %d %d", &armed, &first, &times, &period, &error_number, &is_short);
        owner = me;
    }
    pthread_mutex_unlock(&lock);
}

static int is_ours(const char *path) {
    look_around();
    return *root && path && strncmp(path, root, strlen(root)) == 0;
}

static const char *path_of(int fd) {
    look_around();
    return fd >= 0 && fd < MAX_FD ? paths[fd] : NULL;
}

struct line {
    char kind;
    char unused[3];
    uint32_t path_size, data_size;
    uint32_t also_unused;
    int64_t offset;
};

static void tell(char kind, const char *path, int64_t offset, const void *data, size_t size) {
    if (journal < 0) return;
    struct line line = {.kind = kind, .path_size = strlen(path), .data_size = size, .offset = offset};
    struct iovec parts[] = {{&line, sizeof line}, {(void *)path, line.path_size}, {(void *)data, size}};
    if (writev(journal, parts, size ? 3 : 2) < 0) abort();
}

/* Whether this call is to fail. */
static int is_due(unsigned kind, const char *path) {
    int due = 0;
    pthread_mutex_lock(&lock);
    if (armed & kind) {
        seen++;
        due = seen >= first && (seen - first) % period < times;
        if (due && !failed++) snprintf(failed_at, sizeof failed_at, "%s", path);
    }
    pthread_mutex_unlock(&lock);
    if (due) errno = error_number;
    return due;
}

/* Let the nth call of these kinds fail, and some after it, and as many again after each period. Of two writes the
 * first may write one half. */
void disk_arm(unsigned kinds, long nth, long how_many, long each, int error, int half) {
    look_around();
    pthread_mutex_lock(&lock);
    armed = kinds, first = nth, times = how_many, period = each, error_number = error, is_short = half;
    seen = failed = 0;
    pthread_mutex_unlock(&lock);
}

/* Let nothing fail any more, and go on knowing how often something did. */
void disk_calm(void) {
    pthread_mutex_lock(&lock);
    armed = 0;
    pthread_mutex_unlock(&lock);
}

long disk_seen(void) { return seen; }
long disk_failed(void) { return failed; }
const char *disk_failed_at(void) { return failed_at; }

static void opened(int fd, const char *path) {
    if (fd < 0 || fd >= MAX_FD) return;
    free(paths[fd]);
    paths[fd] = strdup(path);
}

static int open_ours(__typeof__(&open) how, const char *path, int flags, mode_t mode) {
    if (!is_ours(path)) return how(path, flags, mode);
    if (is_due(OPEN, path)) return -1;
    int was_there = access(path, F_OK) == 0;
    int fd = how(path, flags, mode);
    if (fd >= 0) {
        if (!was_there && (flags & O_CREAT)) tell('C', path, 0, NULL, 0);
        if (was_there && (flags & O_TRUNC)) tell('T', path, 0, NULL, 0);
        opened(fd, path);
    }
    return fd;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_ours(REAL(open), path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_ours(REAL(open64), path, flags, mode); }

int close(int fd) {
    if (path_of(fd)) {
        free(paths[fd]);
        paths[fd] = NULL;
    }
    return REAL(close)(fd);
}

#define READS(call, ...) \
    { if (path_of(fd) && is_due(READ, path_of(fd))) return -1; return REAL(call)(__VA_ARGS__); }
ssize_t read(int fd, void *data, size_t size) READS(read, fd, data, size)
ssize_t pread(int fd, void *data, size_t size, off_t offset) READS(pread, fd, data, size, offset)
ssize_t pread64(int fd, void *data, size_t size, off64_t offset) READS(pread64, fd, data, size, offset)

static ssize_t write_ours(int fd, const void *data, size_t size, off64_t offset) {
    if (is_due(WRITE, path_of(fd))) {
        if (!is_short || size < 2 || failed % 2 == 0) return -1;
        size /= 2; /* the rest is asked for next, and finds no room */
    }
    tell('W', path_of(fd), offset, data, size);
    return REAL(pwrite64)(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return path_of(fd) ? write_ours(fd, data, size, offset) : REAL(pwrite)(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    return path_of(fd) ? write_ours(fd, data, size, offset) : REAL(pwrite64)(fd, data, size, offset);
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!path_of(fd)) return REAL(write)(fd, data, size);
    ssize_t written = write_ours(fd, data, size, lseek(fd, 0, SEEK_CUR));
    if (written > 0) lseek(fd, written, SEEK_CUR);
    return written;
}

#define TRUNCATES(call, type) \
    int call(int fd, type size) { \
        if (path_of(fd)) { if (is_due(TRUNCATE, path_of(fd))) return -1; tell('T', path_of(fd), size, NULL, 0); } \
        return REAL(call)(fd, size); \
    }
TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

/* As Linux has it: what was to be written when a sync failed is not written by the next one either. */
#define SYNCS(call) \
    int call(int fd) { \
        if (!path_of(fd)) return REAL(call)(fd); \
        if (is_due(SYNC, path_of(fd))) { tell('F', path_of(fd), 0, NULL, 0); return -1; } \
        tell('S', path_of(fd), 0, NULL, 0); \
        return 0; \
    }
SYNCS(fsync)
SYNCS(fdatasync)

int unlink(const char *path) {
    if (is_ours(path)) {
        if (is_due(NAMES, path)) return -1;
        tell('U', path, 0, NULL, 0);
    }
    return REAL(unlink)(path);
}

#define NAMES_TWO(call, kind) \
    int call(const char *from, const char *to) { \
        if (is_ours(to) && is_due(NAMES, to)) return -1; \
        int done = REAL(call)(from, to); \
        if (done == 0 && is_ours(to)) tell(kind, from, 0, to, strlen(to)); \
        return done; \
    }
NAMES_TWO(rename, 'R')
NAMES_TWO(link, 'L')

int mkdir(const char *path, mode_t mode) {
    if (is_ours(path) && is_due(NAMES, path)) return -1;
    int done = REAL(mkdir)(path, mode);
    if (done == 0 && is_ours(path)) tell('M', path, 0, NULL, 0);
    return done;
}
