/*
 * The floor of a rotation that is durable before it is given out: the writes and syncs that the vault makes
 * for one refresh, and nothing else. First the record that says it was begun, which reserves the space; then
 * the new generation in that space, moved to its place. See daemon/vault/grant-files.ts.
 *
 * usage: durable DIRECTORY RESERVED_BYTES SEALED_BYTES TIMES
 * prints the nanoseconds of each as a JSON array.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void need(int holds, const char *what) {
  if (holds) return;
  perror(what);
  exit(1);
}

static long long now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sync_here(void) {
  int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  need(dir >= 0 && fsync(dir) == 0 && close(dir) == 0, "fsync of the directory");
}

int main(int argc, char **argv) {
  if (argc != 5 || chdir(argv[1]) != 0) return 2;
  size_t reserved = (size_t)atol(argv[2]), sealed = (size_t)atol(argv[3]);
  int times = atoi(argv[4]);
  char *bytes = calloc(1, reserved > sealed ? reserved : sealed);
  need(bytes != NULL, "memory");
  for (int i = 0; i < times; i++) {
    long long began = now_ns();
    int file = open("floor.next", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    need(file >= 0 && pwrite(file, bytes, reserved, 0) == (ssize_t)reserved && fsync(file) == 0 && close(file) == 0, "floor.next");
    sync_here();
    file = open("floor.next", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    need(file >= 0 && pwrite(file, bytes, sealed, 0) == (ssize_t)sealed && ftruncate(file, (off_t)sealed) == 0, "floor.next again");
    need(fsync(file) == 0 && close(file) == 0 && rename("floor.next", "floor.jwe") == 0, "floor.jwe");
    sync_here();
    printf("%c%lld", i == 0 ? '[' : ',', now_ns() - began);
  }
  puts("]");
  unlink("floor.jwe");
  return 0;
}
