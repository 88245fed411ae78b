/* Bounded text: nothing here writes past its room, and nobody has to look before he writes. */
#include "launcher.h"

#include <string.h>

void put_span(struct text *text, struct span span)
{
  /* One byte stays free, so that a text can be ended by a NUL. */
  if (!text->whole || span.size >= text->room - text->size) {
    text->whole = false;
    return;
  }
  memcpy(text->at + text->size, span.at, span.size);
  text->size += span.size;
  text->at[text->size] = '\0';
}

void put(struct text *text, const char *words)
{
  put_span(text, span_of(words));
}

struct span span_of(const char *words)
{
  return (struct span){ words, strlen(words) };
}

bool same(struct span span, const char *words)
{
  return span.size == strlen(words) && memcmp(span.at, words, span.size) == 0;
}
