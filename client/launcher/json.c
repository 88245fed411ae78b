/*
 * A strict reader of the JSON that our daemon writes. It copies nothing and cannot read past the end. What it
 * does not take may be good JSON all the same; then Node reads it.
 */
#include "launcher.h"

enum { DEPTH_MAX = 8, DIGITS_MAX = 15 }; /* 15 digits are exact in a double, so Node prints the same */

static bool is_digit(char sign)
{
  return sign >= '0' && sign <= '9';
}

bool take(struct reader *reader, char sign)
{
  if (reader->at == reader->end || *reader->at != sign) return false;
  reader->at++;
  return true;
}

bool read_literal(struct reader *reader, const char *literal)
{
  for (; *literal != '\0'; literal++) {
    if (!take(reader, *literal)) return false;
  }
  return true;
}

/* The bytes between the quotes, as they are: an escape or a control character is unusual. */
bool read_string(struct reader *reader, struct span *string)
{
  if (!take(reader, '"')) return false;
  string->at = reader->at;
  while (reader->at != reader->end) {
    unsigned char byte = (unsigned char)*reader->at;
    if (byte == '"') {
      string->size = (size_t)(reader->at - string->at);
      reader->at++;
      return true;
    }
    if (byte < 0x20 || byte == '\\') return false;
    reader->at++;
  }
  return false;
}

/* A whole number that is not negative, written the one way in which JSON.stringify writes it. */
bool read_count(struct reader *reader, struct span *digits)
{
  digits->at = reader->at;
  while (reader->at != reader->end && is_digit(*reader->at)) reader->at++;
  digits->size = (size_t)(reader->at - digits->at);
  bool has_leading_zero = digits->size > 1 && *digits->at == '0';
  return digits->size > 0 && digits->size <= DIGITS_MAX && !has_leading_zero;
}

bool read_object(struct reader *reader, member_reader member, void *into)
{
  if (!take(reader, '{')) return false;
  if (take(reader, '}')) return true;
  do {
    struct span name;
    if (!read_string(reader, &name) || !take(reader, ':') || !member(reader, name, into)) return false;
  } while (take(reader, ','));
  return take(reader, '}');
}

/* Escapes do not matter in what nobody looks at. */
static bool skip_string(struct reader *reader)
{
  if (!take(reader, '"')) return false;
  for (; reader->at != reader->end; reader->at++) {
    unsigned char byte = (unsigned char)*reader->at;
    if (byte < 0x20) return false;
    if (byte == '"') return take(reader, '"');
    if (byte == '\\' && ++reader->at == reader->end) return false;
  }
  return false;
}

static bool skip_at(struct reader *reader, int depth)
{
  if (depth > DEPTH_MAX || reader->at == reader->end) return false;
  char sign = *reader->at;
  if (sign == '"') return skip_string(reader);
  if (sign == 't') return read_literal(reader, "true");
  if (sign == 'f') return read_literal(reader, "false");
  if (sign == 'n') return read_literal(reader, "null");
  if (sign != '{' && sign != '[') {
    struct span digits;
    return read_count(reader, &digits);
  }
  char end = sign == '{' ? '}' : ']';
  reader->at++;
  if (take(reader, end)) return true;
  do {
    if (sign == '{' && !(skip_string(reader) && take(reader, ':'))) return false;
    if (!skip_at(reader, depth + 1)) return false;
  } while (take(reader, ','));
  return take(reader, end);
}

bool skip_value(struct reader *reader)
{
  return skip_at(reader, 0);
}
