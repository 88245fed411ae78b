/*
 * valetkey, the launcher: prints a cached token or a word for a prompt in a third of a millisecond, and hands everything else to the CLI.
 *
 * Rules of these files:
 * 1. What is unusual is not handled here: the function returns false and Node runs the whole command, so that both
 *    print the same and end with the same status. Nothing is printed before the answer is whole. An answer that
 *    came, or is still to come, is handed over: one command asks once.
 * 2. No allocation on the way to a token: every buffer is static and bounded. What does not fit is unusual.
 * 3. The environment and the arguments may be anybody's; so may be what listens on the socket until it is proven ours.
 */
#ifndef VALETKEY_LAUNCHER_H
#define VALETKEY_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
  REQUEST_MAX = 16 * 1024,
  REPLY_MAX = 64 * 1024,              /* a frame of the protocol */
  OUTPUT_MAX = REPLY_MAX + 1024,
  SOCKET_PATH_MAX = 107,              /* sun_path without its NUL; Node cuts longer ones */
  PROMPT_MS = 200,                    /* nobody types while a prompt is drawn */
  ANSWER_MS = 5000,                   /* a cached token takes less than one; then Node goes on waiting, and says for what */
};

/* Bytes inside a buffer that somebody else owns; no NUL ends them. */
struct span {
  const char *at;
  size_t size;
};

/* A bounded text under construction. Once something did not fit, `whole` stays false. */
struct text {
  char *at;
  size_t size;
  size_t room;
  bool whole;
};

#define TEXT_IN(buffer) { .at = (buffer), .size = 0, .room = sizeof(buffer), .whole = true }

void put_span(struct text *text, struct span span);
void put(struct text *text, const char *words);
struct span span_of(const char *words);
bool same(struct span span, const char *words);

/* arguments.c: a plain `token PROFILE …`, and the request that it means. */
enum format { FORMAT_RAW, FORMAT_HEADER, FORMAT_ENV, FORMAT_JSON };
struct wish {
  struct span profile;
  enum format format;
};
bool is_profile_name(const char *word);
bool read_arguments(int argc, char *const argv[], struct wish *wish, struct text *request);

/* json.c: as much of RFC 8259 as our own daemon writes: no spaces, and no escapes in what is wanted. */
struct reader {
  const char *at;
  const char *end;
};
typedef bool (*member_reader)(struct reader *reader, struct span name, void *into);
bool take(struct reader *reader, char sign);
bool read_literal(struct reader *reader, const char *literal);
bool read_string(struct reader *reader, struct span *string);
bool read_count(struct reader *reader, struct span *digits);
bool read_object(struct reader *reader, member_reader member, void *into);
bool skip_value(struct reader *reader);

/* reply.c: the answer as the words that go to standard output. */
bool format_reply(struct span line, const struct wish *wish, struct text *output);

/* find_socket.c: where the daemon may listen, and whether that place is ours. */
enum { CANDIDATES_MAX = 2 };
struct candidates {
  char path[CANDIDATES_MAX][SOCKET_PATH_MAX + 1];
  int count;
};
bool read_home(uid_t uid, struct text *home);
bool find_sockets(uid_t uid, struct candidates *candidates);
bool read_lock_record(struct span record, struct span *socket);
enum place { PLACE_OWN, PLACE_ABSENT, PLACE_UNUSUAL };
enum place look_at_socket(const char *path, uid_t uid);

/* ask.c: one request, one line of reply, or the connection on which it is still to come. */
enum answer { ANSWER_LINE, ANSWER_LATE, ANSWER_ABSENT, ANSWER_UNUSUAL, ANSWER_FOREIGN };
enum answer ask(const char *path, uid_t uid, struct span request, long ms, struct text *reply, struct span *line, int *connection);

/* prompt.c: `status --prompt`, and what is printed for it. Where nobody answers that is nothing. */
bool read_prompt_arguments(int argc, char *const argv[], struct text *request);
bool format_prompt(struct span line, struct text *output, int *status);
bool answer_prompt(uid_t uid, struct span request, struct text *output, int *status);

/* run_node.c: the CLI in place of this process, which reads the answer there unless it is NOTHING. Returns only where that failed. */
enum { NOTHING = -1 };
void run_node(int argc, char *const argv[], int answer);
int keep_line(struct span line);
void clean_environment(char **environment);

#endif
