/*
 * Gives this process to Node with the CLI, with an environment from which nothing loads foreign code into it or
 * weakens it (PH-01): what daemon/platform/harden.ts refuses is not passed on.
 */
#include "launcher.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NODE
#error "NODE is the path of the Node that the build ran with"
#endif

/* Where the CLI stands, seen from the directory above that of this program; without `..`, so that the daemon knows it by its path. */
static const char MAIN[] = "/client/main.js";
/* Costs every Node 38 ms, for TLS that the CLI does not do; it only wants to know what a shell sets. */
static const char EXTRA_CA[] = "NODE_EXTRA_CA_CERTS=";
static const char KEPT_EXTRA_CA[] = "VALETKEY_NODE_EXTRA_CA_CERTS=";

/* PID:DESCRIPTOR, for client/handed-answer.ts; the process stays the same. */
static const char ANSWER[] = "VALETKEY_ANSWER=";

static bool begins(const char *text, const char *with)
{
  return strncmp(text, with, strlen(with)) == 0;
}

static bool is_unsafe(const char *variable)
{
  static const char *const UNSAFE[] = {
    "NODE_OPTIONS=", "NODE_PATH=", "NODE_REPL_EXTERNAL_MODULE=", "NODE_COMPILE_CACHE=", "NODE_ICU_DATA=",
    "NODE_V8_COVERAGE=", "NODE_DEBUG=", "NODE_DEBUG_NATIVE=", "NODE_TLS_REJECT_UNAUTHORIZED=", "SSLKEYLOGFILE=",
    "GCONV_PATH=", "GLIBC_TUNABLES=", "LD_", "DYLD_", "OPENSSL_", KEPT_EXTRA_CA, ANSWER,
  };
  for (size_t i = 0; i < sizeof UNSAFE / sizeof *UNSAFE; i++) {
    if (begins(variable, UNSAFE[i])) return true;
  }
  return false;
}

void clean_environment(char **environment)
{
  static char kept_bytes[PATH_MAX];
  struct text kept = TEXT_IN(kept_bytes);
  char **to = environment;
  for (char **from = environment; *from != NULL; from++) {
    if (is_unsafe(*from)) continue;
    if (!begins(*from, EXTRA_CA)) {
      *to++ = *from;
    } else if (kept.size == 0) { /* the first one counts, as in getenv */
      put(&kept, KEPT_EXTRA_CA);
      put(&kept, *from + strlen(EXTRA_CA));
      if (kept.whole) *to++ = kept_bytes;
    }
  }
  *to = NULL;
}

static bool find_main(struct text *path)
{
  ssize_t size = readlink("/proc/self/exe", path->at, path->room - 1);
  if (size <= 0 || (size_t)size >= path->room - 1) return false;
  path->at[size] = '\0';
  for (int names = 0; names < 2; names++) {
    char *slash = strrchr(path->at, '/');
    if (slash == NULL) return false;
    *slash = '\0';
    path->size = (size_t)(slash - path->at);
  }
  put(path, MAIN);
  return path->whole && access(path->at, R_OK) == 0;
}

/* Its newline is part of it. A pipe holds all of it until Node reads, or nothing is handed over. */
int keep_line(struct span line)
{
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return NOTHING;
  bool is_whole = write(ends[1], line.at, line.size + 1) == (ssize_t)line.size + 1;
  close(ends[1]);
  if (is_whole) return ends[0];
  close(ends[0]);
  return NOTHING;
}

static void put_number(struct text *text, int number)
{
  char digits[12], *at = digits + sizeof digits;
  for (*--at = '\0'; number > 0 || *at == '\0'; number /= 10) *--at = (char)('0' + number % 10);
  put(text, at);
}

/* Without it Node asks by itself. */
static void hand_over(int answer)
{
  static char variable[64];
  struct text text = TEXT_IN(variable);
  put(&text, ANSWER);
  put_number(&text, getpid());
  put(&text, ":");
  put_number(&text, answer);
  if (fcntl(answer, F_SETFD, 0) == 0) putenv(variable);
}

static void complain(const char *words)
{
  ssize_t written = write(STDERR_FILENO, words, strlen(words));
  (void)written; /* nobody is left to tell */
}

void run_node(int argc, char *const argv[], int answer)
{
  static char main_path[PATH_MAX];
  struct text path = TEXT_IN(main_path);
  if (!find_main(&path)) {
    complain("error: valetkey's CLI is not beside its launcher\n  Install valetkey again\n");
    return;
  }
  char **words = calloc((size_t)argc + 2, sizeof *words);
  if (words == NULL) {
    complain("error: no memory\n");
    return;
  }
  words[0] = (char[]){ "valetkey" }; /* process.argv0: doctor tells by it that the launcher is in use */
  words[1] = main_path;
  for (int i = 1; i < argc; i++) words[i + 1] = argv[i];
  clean_environment(environ);
  if (answer != NOTHING) hand_over(answer);
  execv(NODE, words);
  execvp("node", words); /* the one of the build is gone */
  complain("error: Node was not found, and everything but a cached token needs it\n  Install Node 20.19 or newer\n");
  free(words);
}
