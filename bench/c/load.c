/*
 * Load on a Unix socket: callers that ask for a token and wait for the reply, each with one request at a time,
 * by a connection a request or a kept one. In the closed loop a caller asks again as soon as it was answered.
 * In the open loop (--rate) requests fall due at fixed times whether or not the server keeps up, and their
 * latency counts from the time at which they were due, so that a stall is charged to all that it delayed.
 *
 * One process serves all callers by epoll; --processes shares them among several, which a daemon that limits
 * each process needs. What is printed as JSON: counts, the time that was measured, processor time of this
 * program, and a histogram of the latencies (see bucket_of()).
 */
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 5376
#define DRAIN_NS 15000000000LL
/* A full backlog refuses a connection at once; a caller would be asleep until there is room. */
#define ROOM_NS 200000LL

typedef struct {
  long long in_window, requests, errors, window_ns, cpu_ns, max_ns;
  char first_error[256];
  unsigned buckets[BUCKETS];
} Result;

static Options options = { .callers = 1, .seconds = 1, .processes = 1, .path = "/v1/token", .expect = "access_token" };
static Result *result;
static Caller *callers;
static int poller, timer;
static long long window_from, window_to, begun, limit;
static int active;

static long long now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Exact up to 255 ns, then 128 buckets for each power of two: wrong by less than 0.8 %. */
static int bucket_of(unsigned long long ns) {
  if (ns < 256) return (int)ns;
  int shift = 63 - __builtin_clzll(ns) - 7;
  int bucket = 256 + (shift - 1) * 128 + (int)(ns >> shift) - 128;
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static void fail(Caller *caller, const char *why, const char *detail, size_t length) {
  if (result->errors++ == 0) snprintf(result->first_error, sizeof result->first_error, "%s%s%.*s", why, length == 0 ? "" : ": ", (int)length, detail);
  caller->is_failed = 1;
}

static void hang_up(Caller *caller) {
  if (caller->fd >= 0) close(caller->fd);
  caller->fd = -1;
}

static void finish(Caller *caller) {
  long long now = now_ns();
  if (!caller->is_failed && caller->due >= window_from) {
    long long took = now - caller->due;
    result->requests++;
    if (now <= window_to) result->in_window++;
    if (took > result->max_ns) result->max_ns = took;
    result->buckets[bucket_of((unsigned long long)took)]++;
  }
  if (!options.is_kept || caller->is_failed) hang_up(caller);
  caller->state = IDLE;
  active--;
}

static void flush_out(Caller *caller) {
  while (caller->out_done < caller->out_length) {
    ssize_t put = write(caller->fd, caller->out + caller->out_done, caller->out_length - caller->out_done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) {
      struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = caller };
      epoll_ctl(poller, EPOLL_CTL_MOD, caller->fd, &event);
      return;
    }
    if (put < 0) {
      /* What the server said before it hung up tells more than the broken pipe. */
      ssize_t got = read(caller->fd, caller->in, sizeof caller->in - 1);
      fail(caller, strerror(errno), caller->in, got > 0 ? (size_t)got : 0);
      finish(caller);
      return;
    }
    caller->out_done += (size_t)put;
  }
}

void send_bytes(Caller *caller, size_t length) {
  caller->out_length = length;
  caller->out_done = caller->in_length = 0;
  flush_out(caller);
}

/* A caller that finds no room in the backlog stays WAITING and is tried again. */
static void proceed(Caller *caller) {
  if (caller->fd < 0) {
    caller->fd = connect_to(&options);
    if (caller->fd == NO_ROOM) {
      caller->state = WAITING;
      return;
    }
    if (caller->fd < 0) {
      fail(caller, "connect", strerror(errno), strlen(strerror(errno)));
      finish(caller);
      return;
    }
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = caller };
    epoll_ctl(poller, EPOLL_CTL_ADD, caller->fd, &event);
  }
  caller->state = ASKED;
  write_request(&options, caller);
}

static void begin(Caller *caller, long long due) {
  caller->due = due;
  caller->is_failed = 0;
  caller->step = 0;
  active++;
  begun++;
  proceed(caller);
}

static void receive(Caller *caller) {
  ssize_t got = read(caller->fd, caller->in + caller->in_length, sizeof caller->in - 1 - caller->in_length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (caller->state != ASKED) { /* a kept connection that the server closed while nothing was asked */
    if (got <= 0) hang_up(caller);
    return;
  }
  if (got <= 0) {
    fail(caller, "the server hung up", caller->in, caller->in_length);
    finish(caller);
    return;
  }
  caller->in_length += (size_t)got;
  caller->in[caller->in_length] = '\0';
  switch (read_reply(&options, caller)) {
    case PARTIAL:
      if (caller->in_length < sizeof caller->in - 1) return;
      fail(caller, "a reply that does not end", caller->in, 80);
      break;
    case WRONG:
      fail(caller, "unexpected reply", caller->in, caller->in_length < 200 ? caller->in_length : 200);
      break;
    case WHOLE:
      break;
  }
  finish(caller);
}

static void wake_at(long long due) {
  struct itimerspec at = { .it_value = { due / 1000000000LL, due % 1000000000LL } };
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void run(long long start, int share, double rate) {
  struct epoll_event events[256];
  long long step = rate > 0 ? (long long)(1e9 / rate) : 0, next = start;
  poller = epoll_create1(EPOLL_CLOEXEC);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event clock_event = { .events = EPOLLIN, .data.ptr = NULL };
  epoll_ctl(poller, EPOLL_CTL_ADD, timer, &clock_event);
  for (;;) {
    long long now = now_ns(), wake = 0;
    /* What fell due in the open loop is asked for, however late: to leave it out would hide the stall. */
    int goes_on = step > 0 ? next < window_to && now < window_to + DRAIN_NS : now < window_to && (limit == 0 || begun < limit);
    if (!goes_on && (active == 0 || now > window_to + DRAIN_NS)) break;
    for (int i = 0; i < share; i++) {
      Caller *caller = &callers[i];
      if (caller->state == WAITING) {
        proceed(caller);
        if (caller->state == WAITING) wake = now + ROOM_NS;
      }
      if (caller->state != IDLE || !goes_on || (step == 0 && limit != 0 && begun >= limit)) continue;
      if (step == 0) {
        if (now >= start) begin(caller, now_ns());
      } else if (next <= now && next < window_to) {
        begin(caller, next);
        next += step;
      }
    }
    if (now < start) wake = start;
    else if (step > 0 && goes_on && active < share && (wake == 0 || next < wake)) wake = next;
    if (wake > 0) wake_at(wake);
    int ready = epoll_wait(poller, events, 256, active == 0 && wake == 0 ? 0 : 100);
    for (int i = 0; i < ready; i++) {
      Caller *caller = events[i].data.ptr;
      if (caller == NULL) {
        unsigned long long ticks;
        (void)!read(timer, &ticks, sizeof ticks);
        continue;
      }
      if (caller->fd < 0) continue;
      if ((events[i].events & EPOLLOUT) != 0) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = caller };
        epoll_ctl(poller, EPOLL_CTL_MOD, caller->fd, &event);
        flush_out(caller);
      }
      if (caller->fd >= 0 && (events[i].events & ~(unsigned)EPOLLOUT) != 0) receive(caller);
      /* Asks again without a round through all callers: with one caller that round is most of the work. */
      if (step == 0 && caller->state == IDLE && now_ns() < window_to && (limit == 0 || begun < limit)) begin(caller, now_ns());
    }
  }
  for (int i = 0; i < share; i++) if (callers[i].state != IDLE) fail(&callers[i], "no reply in 15 s", "", 0);
  Caller never = { .fd = -1 };
  for (; step > 0 && next < window_to; next += step) fail(&never, "due, and never asked: all callers were waiting", "", 0);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  result->cpu_ns = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
  long long stopped = now_ns();
  result->window_ns = (stopped < window_to ? stopped : window_to) - window_from;
}

static const char *word(int argc, char **argv, int *i) {
  if (*i + 1 >= argc) exit(2);
  return argv[++*i];
}

static void parse(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--kept") == 0) options.is_kept = 1;
    else if (strcmp(name, "--socket") == 0) options.socket = word(argc, argv, &i);
    else if (strcmp(name, "--dialect") == 0) options.dialect = dialect_named(word(argc, argv, &i));
    else if (strcmp(name, "--data") == 0) options.data = word(argc, argv, &i);
    else if (strcmp(name, "--path") == 0) options.path = word(argc, argv, &i);
    else if (strcmp(name, "--expect") == 0) options.expect = word(argc, argv, &i);
    else if (strcmp(name, "--callers") == 0) options.callers = atoi(word(argc, argv, &i));
    else if (strcmp(name, "--processes") == 0) options.processes = atoi(word(argc, argv, &i));
    else if (strcmp(name, "--requests") == 0) options.requests = atoll(word(argc, argv, &i));
    else if (strcmp(name, "--seconds") == 0) options.seconds = atof(word(argc, argv, &i));
    else if (strcmp(name, "--warm") == 0) options.warm = atof(word(argc, argv, &i));
    else if (strcmp(name, "--rate") == 0) options.rate = atof(word(argc, argv, &i));
    else exit(2);
  }
  if (options.socket == NULL || options.data == NULL || options.callers < options.processes || options.processes < 1) exit(2);
}

static void print_sum(const Result *results) {
  static Result sum;
  for (int p = 0; p < options.processes; p++) {
    const Result *each = &results[p];
    sum.in_window += each->in_window;
    sum.requests += each->requests;
    if (sum.errors == 0 && each->errors > 0) memcpy(sum.first_error, each->first_error, sizeof sum.first_error);
    sum.errors += each->errors;
    sum.cpu_ns += each->cpu_ns;
    if (each->window_ns > sum.window_ns) sum.window_ns = each->window_ns;
    if (each->max_ns > sum.max_ns) sum.max_ns = each->max_ns;
    for (int i = 0; i < BUCKETS; i++) sum.buckets[i] += each->buckets[i];
  }
  printf("{\"requests\":%lld,\"inWindow\":%lld,\"errors\":%lld,\"windowNs\":%lld,\"cpuNs\":%lld,\"maxNs\":%lld,\"firstError\":\"",
         sum.requests, sum.in_window, sum.errors, sum.window_ns, sum.cpu_ns, sum.max_ns);
  for (const char *c = sum.first_error; *c != '\0'; c++) putchar(*c == '"' || *c == '\\' ? '\'' : (unsigned char)*c < ' ' || (unsigned char)*c > '~' ? ' ' : *c);
  printf("\",\"buckets\":[");
  for (int i = 0, any = 0; i < BUCKETS; i++) if (sum.buckets[i] > 0) printf("%s[%d,%u]", any++ ? "," : "", i, sum.buckets[i]);
  printf("]}\n");
}

int main(int argc, char **argv) {
  parse(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  prepare(&options);
  Result *results = mmap(NULL, sizeof(Result) * (size_t)options.processes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (results == MAP_FAILED) return 1;
  long long start = now_ns() + (options.processes > 1 ? 20000000LL + 1000000LL * options.processes : 0);
  window_from = start + (long long)(options.warm * 1e9);
  window_to = options.requests > 0 ? start + 600000000000LL : window_from + (long long)(options.seconds * 1e9);
  for (int p = 0; p < options.processes; p++) {
    pid_t pid = options.processes == 1 ? 0 : fork();
    if (pid < 0) return 1;
    if (pid > 0) continue;
    int share = options.callers / options.processes + (p < options.callers % options.processes);
    result = &results[p];
    limit = options.requests / options.processes + (p < options.requests % options.processes);
    callers = calloc((size_t)share, sizeof *callers);
    if (callers == NULL) return 1;
    for (int i = 0; i < share; i++) callers[i].fd = -1;
    run(start, share, options.rate * share / options.callers);
    if (options.processes > 1) _exit(0);
  }
  while (options.processes > 1 && wait(NULL) > 0) continue;
  print_sum(results);
  return 0;
}
