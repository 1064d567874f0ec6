/* Stands between a process and the C library for the files of one folder: records what is
 * written and synced, and makes calls fail when told to. Preloaded; told what to do by
 * calling the shim_ functions below.
 *
 * A record: kind (1 byte), inode (8), offset (8), length of the path (4), length of the
 * data (4), path, data; numbers little-endian. Kinds: c created, w written, t truncated,
 * s synced, f not synced for an error, r renamed (the data is the new path), u unlinked, d directory made, x directory
 * removed, m a mark of the driver.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, ENTRIES = 4 };

static char folder[PATH_MAX];
static size_t folder_length;
static int record_to = -1;
static int fail_with, fail_kinds, fail_from, fail_times;
static int calls;

#define REAL(type, name, ...)                                   \
    static type (*real)(__VA_ARGS__);                           \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

/* Watch the files below a folder. */
void shim_watch(const char *path) {
    snprintf(folder, sizeof folder, "%s/", path);
    folder_length = strlen(folder);
}

/* Append records to a descriptor, or to none (-1). */
void shim_record(int descriptor) { record_to = descriptor; }

/* Let calls of the given kinds fail, `times` of them beginning with the next but `from`. */
void shim_fail(int error, int kinds, int from, int times) {
    fail_with = error, fail_kinds = kinds, fail_from = from, fail_times = times;
    calls = 0;
}

/* How many calls of the chosen kinds there were since shim_fail. */
int shim_calls(void) { return calls; }

static int within(const char *path) {
    return folder_length && strncmp(path, folder, folder_length) == 0;
}

static int is_folder(const char *path) {
    return folder_length && strlen(path) == folder_length - 1 &&
           strncmp(path, folder, folder_length - 1) == 0;
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    /* SQLite's shared memory does not outlive a power cut; the log is all there is. */
    if (length > 4 && !strcmp(path + length - 4, "-shm") && record_to >= 0) return 0;
    return within(path) || is_folder(path);
}

static void note(char kind, uint64_t inode, uint64_t offset, const char *path, const void *data,
                 size_t length) {
    if (record_to < 0) return;
    uint32_t sizes[2] = {(uint32_t)strlen(path), (uint32_t)length};
    struct iovec parts[] = {{&kind, 1}, {&inode, 8}, {&offset, 8}, {sizes, 8},
                            {(void *)path, sizes[0]}, {(void *)data, length}};
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (real(record_to, parts, 6) != (ssize_t)(25 + sizes[0] + length)) _exit(99);
}

void shim_mark(const char *text) { note('m', 0, 0, "", text, strlen(text)); }

static int fails(int kind) {
    if (!(fail_kinds & kind)) return 0;
    int call = calls++;
    if (call < fail_from || call >= fail_from + fail_times) return 0;
    errno = fail_with;
    return 1;
}

static uint64_t inode_of(int descriptor) {
    struct stat about;
    int kept = errno;
    uint64_t inode = fstat(descriptor, &about) ? 0 : about.st_ino;
    errno = kept;
    return inode;
}

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    int ours = within(path) && (flags & O_ACCMODE) != O_RDONLY;
    struct stat about;
    int fresh = ours && (flags & O_CREAT) && lstat(path, &about) != 0;
    if (ours && (fresh || (flags & O_TRUNC)) && fails(ENTRIES)) return -1;
    int descriptor = real(path, flags, mode);
    if (descriptor < 0 || !ours) return descriptor;
    size_t length = strlen(path);
    if (length > 4 && !strcmp(path + length - 4, "-shm")) return descriptor;
    if (fresh) note('c', inode_of(descriptor), 0, path, "", 0);
    else if (flags & O_TRUNC) note('t', inode_of(descriptor), 0, path, "", 0);
    return descriptor;
}

#define OPEN(name)                                              \
    int name(const char *path, int flags, ...) {                \
        REAL(int, #name, const char *, int, ...);               \
        va_list more;                                           \
        va_start(more, flags);                                  \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
        va_end(more);                                           \
        return opened(real, path, flags, mode);                 \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int descriptor, const void *data, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return real(descriptor, data, length);
    if (fails(WRITES)) return -1;
    off_t at = lseek(descriptor, 0, SEEK_CUR);
    ssize_t written = real(descriptor, data, length);
    if (written > 0) note('w', inode_of(descriptor), at, path, data, written);
    return written;
}

#define PWRITE(name)                                                            \
    ssize_t name(int descriptor, const void *data, size_t length, off_t at) {   \
        REAL(ssize_t, #name, int, const void *, size_t, off_t);                 \
        char path[PATH_MAX];                                                    \
        if (!path_of(descriptor, path)) return real(descriptor, data, length, at); \
        if (fails(WRITES)) return -1;                                           \
        ssize_t written = real(descriptor, data, length, at);                   \
        if (written > 0) note('w', inode_of(descriptor), at, path, data, written); \
        return written;                                                         \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define FTRUNCATE(name)                                                         \
    int name(int descriptor, off_t length) {                                    \
        REAL(int, #name, int, off_t);                                           \
        char path[PATH_MAX];                                                    \
        if (!path_of(descriptor, path)) return real(descriptor, length);        \
        if (fails(WRITES)) return -1;                                           \
        int result = real(descriptor, length);                                  \
        if (!result) note('t', inode_of(descriptor), length, path, "", 0);      \
        return result;                                                          \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

#define SYNC(name)                                                              \
    int name(int descriptor) {                                                  \
        REAL(int, #name, int);                                                  \
        char path[PATH_MAX];                                                    \
        if (!path_of(descriptor, path)) return real(descriptor);                \
        int failed = fails(SYNCS);                                              \
        if (failed) {                                                           \
            note('f', inode_of(descriptor), 0, path, "", 0);                    \
            errno = fail_with;                                                  \
            return -1;                                                          \
        }                                                                       \
        int result = real(descriptor);                                          \
        if (!result) note('s', inode_of(descriptor), 0, path, "", 0);           \
        return result;                                                          \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    if (!within(path)) return real(path);
    if (fails(ENTRIES)) return -1;
    int result = real(path);
    if (!result) note('u', 0, 0, path, "", 0);
    return result;
}

int unlinkat(int directory, const char *name, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    char path[2 * PATH_MAX];
    int result;
    if (name[0] == '/' || directory == AT_FDCWD) snprintf(path, sizeof path, "%s", name);
    else if (path_of(directory, path)) {
        size_t length = strlen(path);
        snprintf(path + length, sizeof path - length, "/%s", name);
    } else return real(directory, name, flags);
    if (!within(path)) return real(directory, name, flags);
    if (fails(ENTRIES)) return -1;
    result = real(directory, name, flags);
    if (!result) note(flags & AT_REMOVEDIR ? 'x' : 'u', 0, 0, path, "", 0);
    return result;
}

int rename(const char *old, const char *new) {
    REAL(int, "rename", const char *, const char *);
    if (!within(old) && !within(new)) return real(old, new);
    if (fails(ENTRIES)) return -1;
    int result = real(old, new);
    if (!result) note('r', 0, 0, old, new, strlen(new));
    return result;
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    if (!within(path)) return real(path, mode);
    if (fails(ENTRIES)) return -1;
    int result = real(path, mode);
    if (!result) note('d', 0, 0, path, "", 0);
    return result;
}

int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    if (!within(path)) return real(path);
    if (fails(ENTRIES)) return -1;
    int result = real(path);
    if (!result) note('x', 0, 0, path, "", 0);
    return result;
}

/* What a file is copied with; without it Python falls back to write. */
ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    errno = ENOTSOCK;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t length) {
    errno = ENOTSOCK;
    return -1;
}
