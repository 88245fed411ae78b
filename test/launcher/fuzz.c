/*
 * Fuzzes what reads foreign bytes in the launcher: the replies, the lock record, the arguments. With clang it is a
 * libFuzzer target; else the driver below mutates good inputs. Under ASan and UBSan, and what is accepted has to be
 * what it claims to be.
 */
#include "launcher.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

static void demand(bool holds, const char *what)
{
  if (holds) return;
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

/* A copy of the exact size, so that ASan sees one byte too many. */
static char *exactly(const uint8_t *bytes, size_t size)
{
  char *copy = malloc(size > 0 ? size : 1);
  if (copy == NULL) abort();
  if (size > 0) memcpy(copy, bytes, size);
  return copy;
}

static void fuzz_reply(const uint8_t *bytes, size_t size)
{
  char *line = exactly(bytes, size);
  for (enum format format = FORMAT_RAW; format <= FORMAT_JSON; format++) {
    static char output_bytes[OUTPUT_MAX];
    struct text output = TEXT_IN(output_bytes);
    struct wish wish = { .profile = span_of("work"), .format = format };
    if (!format_reply((struct span){ line, size }, &wish, &output)) continue;
    demand(output.whole && output.size > 1 && output.at[output.size - 1] == '\n', "a reply that was taken is a whole line");
    size_t newlines = 0;
    for (size_t i = 0; i < output.size; i++) {
      newlines += output.at[i] == '\n';
      demand(output.at[i] == '\n' || (output.at[i] >= 0x20 && output.at[i] <= 0x7e), "nothing that a terminal would obey is printed");
    }
    size_t lines = format == FORMAT_ENV ? 2 : format == FORMAT_JSON ? 10 : 1;
    demand(newlines == lines, "a token cannot add lines");
  }
  free(line);
}

static void fuzz_record(const uint8_t *bytes, size_t size)
{
  char *record = exactly(bytes, size);
  struct span socket;
  if (read_lock_record((struct span){ record, size }, &socket)) {
    demand(socket.at > record && socket.at + socket.size < record + size && *socket.at == '/', "a socket is an absolute path inside the record");
  }
  free(record);
}

static void fuzz_prompt(const uint8_t *bytes, size_t size)
{
  static char output_bytes[OUTPUT_MAX];
  struct text output = TEXT_IN(output_bytes);
  int status = -1;
  char *line = malloc(size + 1);
  if (line == NULL) abort();
  if (size > 0) memcpy(line, bytes, size);
  if (format_prompt((struct span){ line, size }, &output, &status)) {
    demand(status == 0 || status == 3 || status == 4, "a status is one of a prompt's");
    for (size_t i = 0; i < output.size; i++) demand(output.at[i] == '\n' ? i + 1 == output.size : strchr("$`\\%!'\"", output.at[i]) == NULL, "a prompt is one line that no shell takes for its own");
  }
  free(line);
}

/* Words are separated by NUL bytes. */
static void fuzz_arguments(const uint8_t *bytes, size_t size)
{
  enum { WORDS_MAX = 200 };
  static char request_bytes[REQUEST_MAX];
  struct text request = TEXT_IN(request_bytes);
  struct wish wish;
  char name[] = "valetkey", *argv[WORDS_MAX + 2] = { name };
  int argc = 1;
  char *words = malloc(size + 1);
  if (words == NULL) abort();
  if (size > 0) memcpy(words, bytes, size);
  words[size] = '\0';
  for (size_t at = 0; at < size && argc <= WORDS_MAX; at += strlen(words + at) + 1) argv[argc++] = words + at;
  if (read_arguments(argc, argv, &wish, &request)) {
    demand(request.whole && request.at[request.size - 1] == '\n', "a request is a whole line");
    struct reader reader = { request.at, request.at + request.size - 1 };
    demand(skip_value(&reader) && reader.at == reader.end, "a request is JSON");
    for (size_t i = 0; i + 1 < request.size; i++) demand(request.at[i] > 0x20 && request.at[i] < 0x7f, "a request is printable ASCII without spaces");
  }
  free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
  fuzz_reply(bytes, size);
  fuzz_record(bytes, size);
  fuzz_prompt(bytes, size);
  fuzz_arguments(bytes, size);
  return 0;
}

#ifndef LIBFUZZER

static const struct span GOOD[] = {
  SPAN("{\"type\":\"token\",\"id\":1,\"status\":200,\"protocol\":1,\"build\":\"0.1.0\",\"data\":{\"profile\":\"work\",\"access_token\":\"at-EXAMPLE\",\"token_type\":\"Bearer\",\"expires_at\":1790000000,\"scope\":\"a b\",\"resource\":null,\"source\":\"cache\",\"granted_beyond\":[]}}"),
  SPAN("{\"new\":[{\"a\":\"\\u0061\\\"\",\"b\":[true,false,null,0]},{},[]],\"data\":{\"granted_beyond\":[],\"source\":\"refresh\",\"resource\":\"urn:x\",\"scope\":\"\",\"expires_at\":0,\"token_type\":\"DPoP\",\"access_token\":\"x\",\"profile\":\"work\"},\"protocol\":1,\"status\":200,\"id\":1,\"type\":\"token\"}"),
  SPAN("{\"type\":\"prompt\",\"id\":1,\"status\":200,\"protocol\":1,\"build\":\"0.1.0\",\"data\":{\"text\":\"work:7h home:login\",\"state\":\"login_required\"}}"),
  SPAN("{\"v\":1,\"pid\":4711,\"socket\":\"/run/user/1000/valetkey/socket\",\"version\":\"0.1.0\",\"protocol\":1,\"started_at\":1790000000000}\n"),
  SPAN("token\0work\0--format\0json\0--scope\0a b\0--scope=c\0--resource\0https://x/\0--min-ttl\0090\0-q"),
};
enum { GOOD_COUNT = sizeof GOOD / sizeof *GOOD, ROOM = 2048 };

static uint64_t state;
/* xorshift64: the same seed is the same run. */
static size_t roll(size_t below)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (size_t)(state % below);
}

static size_t mutate(uint8_t *bytes, size_t size)
{
  static const char SIGNS[] = "\"\\{}[]:,0129-eu \0\n/'=\x7f\xff";
  for (size_t changes = 1 + roll(4); changes > 0; changes--) {
    size_t at = size > 0 ? roll(size) : 0;
    size_t length = size > at ? 1 + roll(size - at) : 0;
    switch (roll(6)) {
      case 0: if (size > 0) bytes[at] = (uint8_t)roll(256); break;
      case 1: if (size > 0) bytes[at] = (uint8_t)SIGNS[roll(sizeof SIGNS - 1)]; break;
      case 2: size = at; break;
      case 3: memmove(bytes + at, bytes + at + length, size - at - length); size -= length; break;
      case 4: if (size + length <= ROOM) { memmove(bytes + at + length, bytes + at, size - at); size += length; } break;
      default: if (size < ROOM) { memmove(bytes + at + 1, bytes + at, size - at); bytes[at] = (uint8_t)SIGNS[roll(sizeof SIGNS - 1)]; size++; } break;
    }
  }
  return size;
}

/* usage: fuzz RUNS SEED */
int main(int argc, char *argv[])
{
  static uint8_t bytes[ROOM];
  long runs = argc > 1 ? atol(argv[1]) : 100000;
  state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 1;
  size_t taken = 0;
  for (size_t i = 0; i < GOOD_COUNT; i++) LLVMFuzzerTestOneInput((const uint8_t *)GOOD[i].at, GOOD[i].size);
  for (long run = 0; run < runs; run++) {
    struct span good = GOOD[roll(GOOD_COUNT)];
    memcpy(bytes, good.at, good.size);
    size_t size = mutate(bytes, good.size);
    LLVMFuzzerTestOneInput(bytes, size);
    static char output_bytes[OUTPUT_MAX];
    struct text output = TEXT_IN(output_bytes);
    struct wish wish = { .profile = span_of("work"), .format = FORMAT_RAW };
    taken += format_reply((struct span){ (const char *)bytes, size }, &wish, &output);
  }
  /* Without replies that are taken, only the first comma would have been tried. */
  printf("%ld inputs, seed %llu, %zu replies taken\n", runs, (unsigned long long)state, taken);
  return taken > 0 || runs < 1000 ? 0 : 1;
}

#endif
