/*
 * How a token is asked for: by a JSON line, by HTTP, by a bare JSON document (oidc-agent's plain protocol), and
 * by the protocol of oidc-agent's own clients. The latter exchanges keys on each connection, then sends
 * LENGTH:NONCE:CIPHERTEXT in base64, sealed by NaCl's crypto_box; libsodium, which oidc-agent brings along, is
 * loaded only then.
 */
#define _GNU_SOURCE
#include "load.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEY 32
#define NONCE 24
#define MAC 16
#define BASE64_ORIGINAL 1

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static char request[4096];
static size_t request_length;

static struct {
  int (*init)(void);
  int (*keypair)(unsigned char *, unsigned char *);
  int (*beforenm)(unsigned char *, const unsigned char *, const unsigned char *);
  int (*seal)(unsigned char *, const unsigned char *, unsigned long long, const unsigned char *, const unsigned char *);
  int (*open)(unsigned char *, const unsigned char *, unsigned long long, const unsigned char *, const unsigned char *);
  void (*random)(void *, size_t);
  char *(*encode)(char *, size_t, const unsigned char *, size_t, int);
  int (*decode)(unsigned char *, size_t, const char *, size_t, const char *, size_t *, const char **, int);
} sodium;

Dialect dialect_named(const char *name) {
  static const char *const names[] = { [LINE] = "line", [HTTP] = "http", [JSON] = "json", [OIDC] = "oidc" };
  for (int i = 0; i <= OIDC; i++) if (strcmp(name, names[i]) == 0) return (Dialect)i;
  exit(2);
}

static void load_sodium(void) {
  void *library = dlopen("libsodium.so.23", RTLD_NOW);
  if (library == NULL) library = dlopen("libsodium.so", RTLD_NOW);
  const struct { const char *name; void *slot; } wanted[] = {
    { "sodium_init", &sodium.init }, { "crypto_box_keypair", &sodium.keypair }, { "crypto_box_beforenm", &sodium.beforenm },
    { "crypto_box_easy_afternm", &sodium.seal }, { "crypto_box_open_easy_afternm", &sodium.open },
    { "randombytes_buf", &sodium.random }, { "sodium_bin2base64", &sodium.encode }, { "sodium_base642bin", &sodium.decode },
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    void *found = library == NULL ? NULL : dlsym(library, wanted[i].name);
    if (found == NULL) {
      fprintf(stderr, "libsodium is not there\n");
      exit(3);
    }
    memcpy(wanted[i].slot, &found, sizeof found);
  }
  if (sodium.init() < 0) exit(3);
}

void prepare(const Options *options) {
  if (strlen(options->socket) >= sizeof address.sun_path) exit(2);
  strcpy(address.sun_path, options->socket);
  int length = 0;
  if (options->dialect == HTTP) {
    length = snprintf(request, sizeof request,
      "POST %s HTTP/1.1\r\nhost: valetkey\r\naccept: application/json, application/problem+json\r\nvaletkey-protocol: 1\r\n"
      "content-type: application/json\r\ncontent-length: %zu\r\n%s\r\n%s",
      options->path, strlen(options->data), options->is_kept ? "" : "connection: close\r\n", options->data);
  } else {
    length = snprintf(request, sizeof request, "%s%s", options->data, options->dialect == LINE ? "\n" : "");
  }
  /* Sealed and in base64 it is longer by a third. */
  if (length < 0 || (size_t)length >= sizeof request / 2) exit(2);
  request_length = (size_t)length;
  if (options->dialect == OIDC) load_sodium();
}

int connect_to(const Options *options) {
  (void)options;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int why = errno;
  close(fd);
  errno = why;
  return why == EAGAIN ? NO_ROOM : -1;
}

/* Sends the public key; the secret one waits in caller->key for the server's. */
static void offer_key(Caller *caller) {
  unsigned char public[KEY];
  sodium.keypair(public, caller->key);
  sodium.encode(caller->out, sizeof caller->out, public, KEY, BASE64_ORIGINAL);
  send_bytes(caller, strlen(caller->out));
}

void write_request(const Options *options, Caller *caller) {
  if (options->dialect == OIDC) {
    offer_key(caller);
    return;
  }
  memcpy(caller->out, request, request_length);
  send_bytes(caller, request_length);
}

static Reply seal_request(Caller *caller) {
  unsigned char server[KEY], shared[KEY], nonce[NONCE], sealed[sizeof request + MAC];
  char nonce_text[48], sealed_text[sizeof caller->out - 128];
  size_t length = 0;
  if (sodium.decode(server, KEY, caller->in, caller->in_length, NULL, &length, NULL, BASE64_ORIGINAL) != 0 || length != KEY) return WRONG;
  if (sodium.beforenm(shared, server, caller->key) != 0) return WRONG;
  memcpy(caller->key, shared, KEY);
  sodium.random(nonce, NONCE);
  sodium.seal(sealed, (const unsigned char *)request, request_length, nonce, caller->key);
  sodium.encode(nonce_text, sizeof nonce_text, nonce, NONCE, BASE64_ORIGINAL);
  sodium.encode(sealed_text, sizeof sealed_text, sealed, request_length + MAC, BASE64_ORIGINAL);
  int written = snprintf(caller->out, sizeof caller->out, "%zu:%s:%s", request_length, nonce_text, sealed_text);
  caller->step = 1;
  send_bytes(caller, (size_t)written);
  return PARTIAL;
}

static Reply open_reply(const Options *options, Caller *caller) {
  unsigned char nonce[NONCE], sealed[8192], plain[8192];
  size_t nonce_length = 0, length = 0;
  char *first = strchr(caller->in, ':'), *second = first == NULL ? NULL : strchr(first + 1, ':');
  if (second == NULL) return caller->in[0] == '{' ? WRONG : PARTIAL;
  size_t plain_length = (size_t)atol(caller->in), text_length = (plain_length + MAC + 2) / 3 * 4;
  if (plain_length + MAC > sizeof sealed || strlen(second + 1) < text_length) return plain_length + MAC > sizeof sealed ? WRONG : PARTIAL;
  if (sodium.decode(nonce, NONCE, first + 1, (size_t)(second - first - 1), NULL, &nonce_length, NULL, BASE64_ORIGINAL) != 0 || nonce_length != NONCE) return WRONG;
  if (sodium.decode(sealed, sizeof sealed, second + 1, text_length, NULL, &length, NULL, BASE64_ORIGINAL) != 0) return WRONG;
  if (length != plain_length + MAC || sodium.open(plain, sealed, length, nonce, caller->key) != 0) return WRONG;
  return memmem(plain, plain_length, options->expect, strlen(options->expect)) == NULL ? WRONG : WHOLE;
}

static Reply read_http(Caller *caller) {
  char *body = strstr(caller->in, "\r\n\r\n");
  if (body == NULL) return PARTIAL;
  size_t head = (size_t)(body + 4 - caller->in);
  for (char *line = strstr(caller->in, "\r\n"); line != NULL && line < body; line = strstr(line + 2, "\r\n")) {
    if (strncasecmp(line + 2, "content-length:", 15) != 0) continue;
    return caller->in_length < head + (size_t)atol(line + 17) ? PARTIAL : WHOLE;
  }
  return WRONG;
}

Reply read_reply(const Options *options, Caller *caller) {
  if (options->dialect == OIDC) return caller->step == 0 ? seal_request(caller) : open_reply(options, caller);
  Reply reply = PARTIAL;
  if (options->dialect == HTTP) reply = read_http(caller);
  else if (caller->in[caller->in_length - 1] == (options->dialect == LINE ? '\n' : '}')) reply = WHOLE;
  return reply == WHOLE && memmem(caller->in, caller->in_length, options->expect, strlen(options->expect)) == NULL ? WRONG : reply;
}
