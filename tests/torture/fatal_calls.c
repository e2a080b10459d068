/* Ends the process at one call of the operating system that changes a file, or has that call fail.
 *
 * Loaded in front of the C library (LD_PRELOAD), so that it sees what SQLite does as
 * well. A write is done by half before the end. Counted are calls on regular files
 * only; pipes, which tell how far the process is, are left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long counted = 0;
static long fatal = -1;
static long failing = -1;
static int failure = 0;

void arm(long number) { counted = 0; fatal = number; failing = -1; }
void arm_failure(long number, int error) { counted = 0; fatal = -1; failing = number; failure = error; }
long count(void) { return counted; }

static int is_last(void) { return ++counted == fatal; }
static int fails(void) { if (counted != failing) return 0; errno = failure; return 1; }
static void end(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

static int is_file(int descriptor) {
    struct stat found;
    return fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode);
}

#define RIGHT(type, name, ...) \
    static type (*right)(__VA_ARGS__); \
    if (!right) right = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define WRITE_AT(name, offset) \
    ssize_t name(int fd, const void *bytes, size_t size, offset at) { \
        RIGHT(ssize_t, #name, int, const void *, size_t, offset); \
        if (is_file(fd)) { \
            if (is_last()) { right(fd, bytes, size / 2, at); end(); } \
            if (fails()) return -1; \
        } \
        return right(fd, bytes, size, at); \
    }
WRITE_AT(pwrite, off_t)
WRITE_AT(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t size) {
    RIGHT(ssize_t, "write", int, const void *, size_t);
    if (is_file(fd)) {
        if (is_last()) { right(fd, bytes, size / 2); end(); }
        if (fails()) return -1;
    }
    return right(fd, bytes, size);
}

#define ON_FILE(name) \
    int name(int fd) { \
        RIGHT(int, #name, int); \
        if (is_last()) end(); \
        if (fails()) return -1; \
        return right(fd); \
    }
ON_FILE(fsync)
ON_FILE(fdatasync)

#define CUT(name, offset) \
    int name(int fd, offset size) { \
        RIGHT(int, #name, int, offset); \
        if (is_last()) end(); \
        if (fails()) return -1; \
        return right(fd, size); \
    }
CUT(ftruncate, off_t)
CUT(ftruncate64, off64_t)

int unlink(const char *path) {
    RIGHT(int, "unlink", const char *);
    if (is_last()) end();
    if (fails()) return -1;
    return right(path);
}

int unlinkat(int directory, const char *path, int flags) {
    RIGHT(int, "unlinkat", int, const char *, int);
    if (is_last()) end();
    if (fails()) return -1;
    return right(directory, path, flags);
}

#define TWO(name) \
    int name(const char *from, const char *to) { \
        RIGHT(int, #name, const char *, const char *); \
        if (is_last()) end(); \
        if (fails()) return -1; \
        return right(from, to); \
    }
TWO(rename)
TWO(link)
