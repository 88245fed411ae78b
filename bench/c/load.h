/* What the load generator (load.c) and the dialects (dialects.c) know of each other. */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>

typedef enum { LINE, HTTP, JSON, OIDC } Dialect;

typedef struct {
  const char *socket, *data, *path, *expect;
  Dialect dialect;
  int is_kept, callers, processes;
  long long requests;
  double seconds, warm, rate;
} Options;

/* WAITING: the backlog of the server is full. */
typedef enum { IDLE, WAITING, ASKED } State;

typedef struct {
  int fd, step, is_failed;
  State state;
  long long due;
  size_t in_length, out_length, out_done;
  unsigned char key[32];
  char out[4096], in[16384];
} Caller;

typedef enum { PARTIAL, WHOLE, WRONG } Reply;

#define NO_ROOM (-2)

Dialect dialect_named(const char *name);
/* Once, before the first request. */
void prepare(const Options *options);
/* A descriptor, NO_ROOM, or -1 with errno. */
int connect_to(const Options *options);
void write_request(const Options *options, Caller *caller);
/* What has come so far in caller->in, which ends with a zero. */
Reply read_reply(const Options *options, Caller *caller);

/* Of the generator: sends what stands in caller->out, and forgets what came before. */
void send_bytes(Caller *caller, size_t length);

#endif
