/*
 * The reply of the daemon, and what of it is printed. It has to be a whole, good answer to our one request, or
 * nothing is printed at all.
 */
#include "launcher.h"

enum member { PROFILE, ACCESS_TOKEN, TOKEN_TYPE, EXPIRES_AT, SCOPE, RESOURCE, SOURCE, GRANTED_BEYOND, MEMBERS };
/* In the order of the wire; --format json prints them in that order. */
static const char *const NAMES[MEMBERS] = {
  "profile", "access_token", "token_type", "expires_at", "scope", "resource", "source", "granted_beyond",
};

struct token {
  struct span text[MEMBERS]; /* of strings without the quotes */
  struct span json[MEMBERS];
  unsigned seen;
  bool as_written; /* these members and no other, in the order of the wire */
};

struct frame {
  struct token token;
  unsigned seen;
};

/* RFC 6749, appendix A.12: a line break would forge a second header, another control would reach the terminal. */
static bool is_printable(struct span span)
{
  for (size_t i = 0; i < span.size; i++) {
    if (span.at[i] < 0x20 || span.at[i] > 0x7e) return false;
  }
  return true;
}

static bool is_bearer(struct span type)
{
  const char *bearer = "bearer"; /* without case: RFC 6749, section 5.1 */
  if (type.size != 6) return false;
  for (size_t i = 0; i < type.size; i++) {
    if ((type.at[i] | 0x20) != bearer[i]) return false;
  }
  return true;
}

static bool read_text(struct reader *reader, enum member member, struct span *text)
{
  switch (member) {
    case EXPIRES_AT: return read_count(reader, text);
    case GRANTED_BEYOND: return read_literal(reader, "[]"); /* Node says what was granted beyond the request */
    case RESOURCE: if (reader->at != reader->end && *reader->at == 'n') return read_literal(reader, "null"); break;
    default: break;
  }
  return read_string(reader, text) && is_printable(*text);
}

static bool read_token_member(struct reader *reader, struct span name, void *into)
{
  struct token *token = into;
  int member = 0;
  while (member < MEMBERS && !same(name, NAMES[member])) member++;
  /* Each member when all before it have been seen, and none after it. */
  token->as_written = token->as_written && member < MEMBERS && token->seen == (1U << member) - 1;
  if (member == MEMBERS) return skip_value(reader); /* a newer daemon says more */
  if ((token->seen & 1U << member) != 0) return false;
  token->seen |= 1U << member;
  const char *start = reader->at;
  if (!read_text(reader, (enum member)member, &token->text[member])) return false;
  token->json[member] = (struct span){ start, (size_t)(reader->at - start) };
  return true;
}

static bool read_frame_member(struct reader *reader, struct span name, void *into)
{
  static const struct { const char *name, *value; } EXPECTED[] = {
    { "type", "\"token\"" }, { "id", "1" }, { "status", "200" }, { "protocol", "1" }, { "data", NULL },
  };
  enum { COUNT = sizeof EXPECTED / sizeof *EXPECTED };
  struct frame *frame = into;
  size_t i = 0;
  while (i < COUNT && !same(name, EXPECTED[i].name)) i++;
  if (i == COUNT) return skip_value(reader);
  if ((frame->seen & 1U << i) != 0) return false;
  frame->seen |= 1U << i;
  /* What follows the value is looked at by read_object: 2001 is no 200. */
  if (EXPECTED[i].value != NULL) return read_literal(reader, EXPECTED[i].value);
  return read_object(reader, read_token_member, &frame->token);
}

static bool is_whole(const struct frame *frame)
{
  return frame->seen == (1U << 5) - 1 && frame->token.seen == (1U << MEMBERS) - 1;
}

static bool holds(struct span span, char sign)
{
  for (size_t i = 0; i < span.size; i++) {
    if (span.at[i] == sign) return true;
  }
  return false;
}

static bool put_token(const struct token *token, enum format format, struct text *output)
{
  struct span secret = token->text[ACCESS_TOKEN];
  switch (format) {
    case FORMAT_RAW:
      put_span(output, secret);
      break;
    case FORMAT_HEADER: /* RFC 6750, section 2.1 */
      put(output, "Authorization: ");
      put_span(output, is_bearer(token->text[TOKEN_TYPE]) ? span_of("Bearer") : token->text[TOKEN_TYPE]);
      put(output, " ");
      put_span(output, secret);
      break;
    case FORMAT_ENV:
      if (holds(secret, '\'')) return false; /* Node quotes it */
      put(output, "export VALETKEY_TOKEN='");
      put_span(output, secret);
      put(output, "'\nexport VALETKEY_TOKEN_EXPIRES_AT=");
      put_span(output, token->text[EXPIRES_AT]);
      break;
    case FORMAT_JSON:
      if (!token->as_written) return false;
      for (int member = 0; member < MEMBERS; member++) {
        put(output, member == 0 ? "{\n  \"" : ",\n  \"");
        put(output, NAMES[member]);
        put(output, "\": ");
        put_span(output, token->json[member]);
      }
      put(output, "\n}");
      break;
  }
  put(output, "\n");
  return output->whole;
}

/* `line` is without its newline. */
bool format_reply(struct span line, const struct wish *wish, struct text *output)
{
  struct frame frame = { .token = { .as_written = true } };
  struct reader reader = { line.at, line.at + line.size };
  if (!read_object(&reader, read_frame_member, &frame) || reader.at != reader.end || !is_whole(&frame)) return false;
  const struct token *token = &frame.token;
  struct span profile = token->text[PROFILE];
  bool is_ours = profile.size == wish->profile.size && same(profile, wish->profile.at);
  return is_ours && token->text[ACCESS_TOKEN].size > 0 && put_token(token, wish->format, output);
}
