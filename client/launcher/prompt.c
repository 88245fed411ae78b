/*
 * `status --prompt [PROFILE]` for shell prompts. Whoever draws a prompt waits for this, so that nothing here is waited
 * for longer than PROMPT_MS, no daemon and no Node is started, and where nobody answers nothing is said.
 */
#include "launcher.h"

#include <string.h>
#include <unistd.h>

enum { EXIT_NO_DAEMON = 9 }; /* shared/errors.ts */

struct prompt {
  struct span text, state;
  unsigned seen;
};

bool read_prompt_arguments(int argc, char *const argv[], struct text *request)
{
  if (argc < 3 || argc > 4 || strcmp(argv[1], "status") != 0 || strcmp(argv[2], "--prompt") != 0) return false;
  put(request, "{\"type\":\"prompt\",\"id\":1,\"protocol\":1,\"data\":{");
  if (argc == 4) {
    if (!is_profile_name(argv[3])) return false;
    put(request, "\"profile\":\"");
    put(request, argv[3]);
    put(request, "\"");
  }
  put(request, "}}\n");
  return request->whole;
}

/* Nothing that a shell takes for its own in a prompt: $ ` \ % ! and quotes. */
static bool is_harmless(struct span text)
{
  static const char SIGNS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+ -";
  for (size_t i = 0; i < text.size; i++) {
    if (text.at[i] == '\0' || strchr(SIGNS, text.at[i]) == NULL) return false;
  }
  return true;
}

static bool read_prompt_member(struct reader *reader, struct span name, void *into)
{
  struct prompt *prompt = into;
  if (same(name, "text")) return prompt->text.at == NULL && read_string(reader, &prompt->text);
  if (same(name, "state")) return prompt->state.at == NULL && read_string(reader, &prompt->state);
  return skip_value(reader); /* a newer daemon says more */
}

static bool read_frame_member(struct reader *reader, struct span name, void *into)
{
  static const struct { const char *name, *value; } EXPECTED[] = {
    { "type", "\"prompt\"" }, { "id", "1" }, { "status", "200" }, { "protocol", "1" }, { "data", NULL },
  };
  enum { COUNT = sizeof EXPECTED / sizeof *EXPECTED };
  struct prompt *prompt = into;
  size_t i = 0;
  while (i < COUNT && !same(name, EXPECTED[i].name)) i++;
  if (i == COUNT) return skip_value(reader);
  if ((prompt->seen & 1U << i) != 0) return false;
  prompt->seen |= 1U << i;
  return EXPECTED[i].value != NULL ? read_literal(reader, EXPECTED[i].value) : read_object(reader, read_prompt_member, prompt);
}

/* `line` is without its newline. The status is that of client/prompt.ts. */
bool format_prompt(struct span line, struct text *output, int *status)
{
  static const struct { const char *state; int status; } STATUSES[] = { { "signed_in", 0 }, { "nothing", 0 }, { "login_required", 3 }, { "locked", 4 } };
  struct prompt prompt = { .seen = 0 };
  struct reader reader = { line.at, line.at + line.size };
  if (!read_object(&reader, read_frame_member, &prompt) || reader.at != reader.end || prompt.seen != (1U << 5) - 1) return false;
  if (prompt.text.at == NULL || prompt.state.at == NULL || !is_harmless(prompt.text)) return false;
  for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++) {
    if (!same(prompt.state, STATUSES[i].state)) continue;
    *status = STATUSES[i].status;
    put_span(output, prompt.text);
    if (prompt.text.size > 0) put(output, "\n");
    return output->whole;
  }
  return false;
}

/* False: Node has something to say, such as that there is no such profile. */
bool answer_prompt(uid_t uid, struct span request, struct text *output, int *status)
{
  static struct candidates candidates;
  static char reply_bytes[REPLY_MAX];
  if (!find_sockets(uid, &candidates)) return false;
  *status = EXIT_NO_DAEMON;
  for (int i = 0; i < candidates.count; i++) {
    struct text reply = TEXT_IN(reply_bytes);
    struct span line;
    int connection;
    enum place place = look_at_socket(candidates.path[i], uid);
    if (place == PLACE_UNUSUAL) return false;
    if (place == PLACE_ABSENT) continue;
    switch (ask(candidates.path[i], uid, request, PROMPT_MS, &reply, &line, &connection)) {
      case ANSWER_LINE: return format_prompt(line, output, status);
      case ANSWER_LATE: close(connection); return true;
      case ANSWER_ABSENT: continue;
      case ANSWER_UNUSUAL:
      case ANSWER_FOREIGN: return false;
    }
  }
  return true;
}
