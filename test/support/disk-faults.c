/*
 * A disk that fails on command, for tests: loaded before libc into one process, it counts the calls that touch
 * files under a directory and lets the n-th of them fail, break off, or hang. It is told what to do, and tells
 * what it saw, by a page that it shares with the test. See disk-faults.ts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FAIL = 0, SHORT = 1, HANG = 2, DONE_BUT_FAILED = 3 };
enum { TRACED = 400, NAME = 64, FDS = 1024 };

struct page {
  uint32_t armed, first, last, how;
  int32_t error;
  uint32_t hang_ms, count, struck;
  char match[96];
  char trace[TRACED][NAME];
};

static struct page *page;
static struct { dev_t dev; ino_t ino; char path[256]; } opened[FDS];

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("DISK_FAULTS");
  if (path == NULL) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *at = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) page = at;
  close(fd);
}

/* What to do with this call: -1 is nothing. */
static int strike(const char *op, const char *path) {
  if (page == NULL || path == NULL || !__atomic_load_n(&page->armed, __ATOMIC_ACQUIRE) || strstr(path, page->match) == NULL) return -1;
  uint32_t n = __atomic_add_fetch(&page->count, 1, __ATOMIC_ACQ_REL);
  int hit = page->first != 0 && n >= page->first && n <= page->last;
  const char *name = strrchr(path, '/');
  if (n <= TRACED) snprintf(page->trace[n - 1], NAME, "%s %s", op, name == NULL ? path : name + 1);
  if (!hit) return -1;
  __atomic_add_fetch(&page->struck, 1, __ATOMIC_ACQ_REL);
  if (page->how == HANG) {
    struct timespec t = { page->hang_ms / 1000, (long)(page->hang_ms % 1000) * 1000000L };
    nanosleep(&t, NULL);
    return -1;
  }
  return (int)page->how;
}

/* The path by which a descriptor was opened; a number that was given to another file since says nothing. */
static const char *path_of(int fd) {
  struct stat st;
  if (page == NULL || fd < 0 || fd >= FDS || opened[fd].path[0] == '\0') return NULL;
  if (fstat(fd, &st) != 0 || st.st_dev != opened[fd].dev || st.st_ino != opened[fd].ino) return NULL;
  return opened[fd].path;
}

static void note(int fd, const char *path) {
  struct stat st;
  if (page == NULL || fd < 0 || fd >= FDS || path == NULL || path[0] != '/' || fstat(fd, &st) != 0) return;
  opened[fd].dev = st.st_dev;
  opened[fd].ino = st.st_ino;
  snprintf(opened[fd].path, sizeof opened[fd].path, "%s", path);
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* SHORT of a call that writes nothing is a failure like any other. */
#define STRUCK(call) \
  do { \
    if (how == DONE_BUT_FAILED) (void)!(call); \
    if (how >= 0) { errno = page->error; return -1; } \
  } while (0)

static int opening(const char *symbol, int dir, const char *path, int flags, mode_t mode, int at) {
  int how = strike("open", path);
  if (how >= 0) { errno = page->error; return -1; }
  int fd;
  if (at) {
    REAL(int, symbol, int, const char *, int, ...);
    fd = real(dir, path, flags, mode);
  } else {
    REAL(int, symbol, const char *, int, ...);
    fd = real(path, flags, mode);
  }
  note(fd, path);
  return fd;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { va_list ap; va_start(ap, flags); mode = (mode_t)va_arg(ap, int); va_end(ap); }

int open(const char *path, int flags, ...) { MODE(flags) return opening("open", 0, path, flags, mode, 0); }
int open64(const char *path, int flags, ...) { MODE(flags) return opening("open", 0, path, flags, mode, 0); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return opening("openat", dir, path, flags, mode, 1); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return opening("openat", dir, path, flags, mode, 1); }

ssize_t write(int fd, const void *data, size_t size) {
  REAL(ssize_t, "write", int, const void *, size_t);
  int how = strike("write", path_of(fd));
  if (how == SHORT) return real(fd, data, size > 1 ? size / 2 : size);
  STRUCK(real(fd, data, size));
  return real(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t from) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
  int how = strike("write", path_of(fd));
  if (how == SHORT) return real(fd, data, size > 1 ? size / 2 : size, from);
  STRUCK(real(fd, data, size, from));
  return real(fd, data, size, from);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t from) { return pwrite64(fd, data, size, from); }

int fsync(int fd) {
  REAL(int, "fsync", int);
  int how = strike("fsync", path_of(fd));
  STRUCK(real(fd));
  return real(fd);
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  int how = strike("fdatasync", path_of(fd));
  STRUCK(real(fd));
  return real(fd);
}

int ftruncate64(int fd, off_t size) {
  REAL(int, "ftruncate64", int, off_t);
  int how = strike("ftruncate", path_of(fd));
  STRUCK(real(fd, size));
  return real(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  int how = strike("rename", to);
  STRUCK(real(from, to));
  return real(from, to);
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  int how = strike("unlink", path);
  STRUCK(real(path));
  return real(path);
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  int how = strike("mkdir", path);
  STRUCK(real(path, mode));
  return real(path, mode);
}
