/*
 * The arguments that need nothing but the daemon's answer, by the grammar of client/commands/token.ts. Every
 * value is checked by the rule of shared/names.ts, and none of these rules lets through what JSON would escape.
 */
#include "launcher.h"

#include <string.h>

enum { PROFILE_MAX = 64, SCOPE_MAX = 256, SCOPES_MAX = 64, RESOURCE_MAX = 2048, MIN_TTL_MAX = 86400, MIN_TTL_DIGITS = 8 };

struct options {
  const char *profile, *format, *resource, *min_ttl;
  struct text *scopes;
  int scope_count;
  bool is_json;
};

static bool is_lower(char sign)
{
  return sign >= 'a' && sign <= 'z';
}

static bool is_digit(char sign)
{
  return sign >= '0' && sign <= '9';
}

bool is_profile_name(const char *word)
{
  if (!is_lower(*word) && !is_digit(*word)) return false;
  size_t size = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789._-");
  return word[size] == '\0' && size <= PROFILE_MAX;
}

/* RFC 6749, section 3.3. */
static bool is_scope_sign(char sign)
{
  return sign > 0x20 && sign < 0x7f && sign != '"' && sign != '\\';
}

/* RFC 8707, section 2: an absolute URI without fragment. */
static bool is_resource(const char *word)
{
  size_t scheme = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
  if (!is_lower((char)(*word | 0x20)) || word[scheme] != ':' || word[scheme + 1] == '\0') return false;
  for (const char *at = word + scheme + 1; *at != '\0'; at++) {
    if (!is_scope_sign(*at) || *at == '#') return false;
  }
  return strlen(word) <= RESOURCE_MAX;
}

/* One flag may hold several, with spaces between. */
static bool add_scopes(struct options *options, const char *flag)
{
  int before = options->scope_count;
  for (const char *at = flag; *at != '\0';) {
    if (*at == ' ') {
      at++;
      continue;
    }
    struct span scope = { at, 0 };
    while (is_scope_sign(at[scope.size])) scope.size++;
    at += scope.size;
    if (scope.size == 0 || scope.size > SCOPE_MAX || (*at != ' ' && *at != '\0')) return false;
    if (++options->scope_count > SCOPES_MAX) return false;
    put(options->scopes, options->scope_count == 1 ? "\"" : ",\"");
    put_span(options->scopes, scope);
    put(options->scopes, "\"");
  }
  return options->scope_count > before;
}

static bool set_once(const char **option, const char *value)
{
  if (*option != NULL) return false;
  *option = value;
  return true;
}

static bool set_option(struct options *options, struct span name, const char *value)
{
  if (same(name, "--format")) return set_once(&options->format, value);
  if (same(name, "--scope")) return add_scopes(options, value);
  if (same(name, "--resource")) return is_resource(value) && set_once(&options->resource, value);
  if (same(name, "--min-ttl")) return set_once(&options->min_ttl, value);
  return false;
}

static bool set_flag(struct options *options, const char *word)
{
  if (strcmp(word, "--json") == 0) options->is_json = true;
  /* These two change only what is said besides the token, and what happens where there is none. */
  else if (strcmp(word, "-q") != 0 && strcmp(word, "--quiet") != 0 && strcmp(word, "--no-interactive") != 0) return false;
  return true;
}

/* `--name value` and `--name=value`. A value that looks like an option is left to Node. */
static bool read_words(int argc, char *const argv[], struct options *options)
{
  for (int i = 2; i < argc; i++) {
    const char *word = argv[i];
    if (*word != '-') {
      if (!set_once(&options->profile, word)) return false;
    } else if (!set_flag(options, word)) {
      size_t size = strcspn(word, "=");
      const char *value = word[size] == '=' ? word + size + 1 : ++i < argc ? argv[i] : "";
      if (*value == '\0' || *value == '-' || !set_option(options, (struct span){ word, size }, value)) return false;
    }
  }
  return options->profile != NULL && is_profile_name(options->profile);
}

static bool read_format(const struct options *options, enum format *format)
{
  static const char *const NAMES[] = { [FORMAT_RAW] = "raw", [FORMAT_HEADER] = "header", [FORMAT_ENV] = "env", [FORMAT_JSON] = "json" };
  const char *name = options->format != NULL ? options->format : options->is_json ? "json" : "raw";
  for (enum format each = FORMAT_RAW; each <= FORMAT_JSON; each++) {
    if (strcmp(name, NAMES[each]) != 0) continue;
    *format = each;
    return !options->is_json || each == FORMAT_JSON; /* else they contradict each other */
  }
  return false;
}

/* Without leading zeros, which JSON does not have. */
static bool put_min_ttl(struct text *request, const char *digits)
{
  size_t size = strspn(digits, "0123456789");
  if (digits[size] != '\0' || size > MIN_TTL_DIGITS) return false;
  long seconds = 0;
  for (const char *at = digits; *at != '\0'; at++) seconds = seconds * 10 + (*at - '0');
  while (*digits == '0' && digits[1] != '\0') digits++;
  put(request, ",\"min_ttl_s\":");
  put(request, digits);
  return seconds <= MIN_TTL_MAX;
}

bool read_arguments(int argc, char *const argv[], struct wish *wish, struct text *request)
{
  static char scopes[REQUEST_MAX];
  struct text scope_list = TEXT_IN(scopes);
  struct options options = { .scopes = &scope_list };
  if (argc < 3 || strcmp(argv[1], "token") != 0) return false;
  if (!read_words(argc, argv, &options) || !read_format(&options, &wish->format)) return false;
  wish->profile = span_of(options.profile);
  put(request, "{\"type\":\"token\",\"id\":1,\"protocol\":1,\"data\":{\"profile\":\"");
  put(request, options.profile);
  put(request, "\",\"interaction\":\"never\"");
  if (options.scope_count > 0) {
    put(request, ",\"scopes\":[");
    put_span(request, (struct span){ scopes, scope_list.size });
    put(request, "]");
  }
  if (options.resource != NULL) {
    put(request, ",\"resource\":\"");
    put(request, options.resource);
    put(request, "\"");
  }
  if (options.min_ttl != NULL && !put_min_ttl(request, options.min_ttl)) return false;
  put(request, "}}\n");
  return scope_list.whole && request->whole;
}
