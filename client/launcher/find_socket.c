/*
 * Finds the daemon's socket as shared/paths.ts and client/find-socket.ts do, and proves that its place is this
 * user's own (IP-06): a directory of mode 0700 and a socket of mode 0600, both ours and neither a link.
 */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASSWD_MAX = 64 * 1024, LOCK_RECORD_MAX = 4096 };

/* A small file as it is now, without a NUL at its end. */
static bool read_whole(int file, char *into, size_t room, struct span *bytes)
{
  *bytes = (struct span){ into, 0 };
  for (;;) {
    ssize_t got = read(file, into + bytes->size, room - bytes->size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    bytes->size += (size_t)got;
    if (bytes->size == room) return false;
  }
}

/* The n-th field of a line of passwd(5), or an empty one. */
static struct span field_of(struct span line, int n)
{
  const char *end = line.at + line.size;
  for (; n > 0 && line.at != end; n--) {
    const char *colon = memchr(line.at, ':', (size_t)(end - line.at));
    line.at = colon == NULL ? end : colon + 1;
  }
  const char *colon = line.at == end ? NULL : memchr(line.at, ':', (size_t)(end - line.at));
  return (struct span){ line.at, (size_t)((colon == NULL ? end : colon) - line.at) };
}

static bool is_number(struct span digits, unsigned long number)
{
  unsigned long value = 0;
  for (size_t i = 0; i < digits.size; i++) {
    if (digits.at[i] < '0' || digits.at[i] > '9' || i > 10) return false;
    value = value * 10 + (unsigned long)(digits.at[i] - '0');
  }
  return digits.size > 0 && value == number;
}

/*
 * The home directory of the user database, never $HOME, which may be somebody else's under sudo or su. Only
 * the file is read: getpwuid in a static program would have to load the libraries of nsswitch.conf.
 */
bool read_home(uid_t uid, struct text *home)
{
  static char passwd[PASSWD_MAX];
  struct span file;
  int descriptor = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  bool is_whole = read_whole(descriptor, passwd, sizeof passwd, &file);
  close(descriptor);
  if (!is_whole) return false;
  for (const char *at = file.at, *end = file.at + file.size; at != end;) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    struct span line = { at, (size_t)((newline == NULL ? end : newline) - at) };
    at = newline == NULL ? end : newline + 1;
    if (!is_number(field_of(line, 2), uid)) continue;
    struct span directory = field_of(line, 5);
    put_span(home, directory);
    return directory.size > 0 && *directory.at == '/' && home->whole;
  }
  return false;
}

/* The XDG Base Directory specification: a relative path in a variable is invalid and is ignored. */
static bool put_absolute(struct text *path, const char *variable)
{
  const char *value = getenv(variable);
  if (value == NULL || *value != '/') return false;
  size_t size = strlen(value);
  while (size > 1 && value[size - 1] == '/') size--;
  put_span(path, (struct span){ value, size });
  return true;
}

static bool read_lock_member(struct reader *reader, struct span name, void *into)
{
  struct span *found = into; /* the pid and the socket */
  if (same(name, "pid")) return found[0].at == NULL && read_count(reader, &found[0]);
  if (same(name, "socket")) return found[1].at == NULL && read_string(reader, &found[1]);
  return skip_value(reader);
}

bool read_lock_record(struct span record, struct span *socket)
{
  struct span found[2] = { { NULL, 0 }, { NULL, 0 } };
  struct reader reader = { record.at, record.at + record.size };
  if (!read_object(&reader, read_lock_member, found)) return false;
  take(&reader, '\n');
  *socket = found[1];
  return reader.at == reader.end && found[0].at != NULL && socket->at != NULL && socket->size > 0 && *socket->at == '/';
}

static void add_candidate(struct candidates *candidates, struct span path)
{
  memcpy(candidates->path[candidates->count], path.at, path.size);
  candidates->path[candidates->count][path.size] = '\0';
  candidates->count++;
}

/*
 * The socket of the lock record; cron and su find it by that alone. An empty or an untrusted file says nothing;
 * a torn record, which a daemon is writing or died over, is unusual.
 */
static bool add_recorded(const char *lock_file, uid_t uid, struct candidates *candidates)
{
  static char record[LOCK_RECORD_MAX + 2];
  struct stat stats;
  struct span bytes, socket;
  int descriptor = open(lock_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return errno == ENOENT;
  bool is_looked_at = fstat(descriptor, &stats) == 0;
  bool is_trusted = is_looked_at && S_ISREG(stats.st_mode) && stats.st_uid == uid && (stats.st_mode & 022) == 0 && stats.st_size <= LOCK_RECORD_MAX;
  bool is_whole = is_trusted && read_whole(descriptor, record, sizeof record, &bytes);
  close(descriptor);
  if (!is_looked_at || (is_trusted && !is_whole)) return false;
  if (!is_trusted || bytes.size == 0) return true;
  if (!read_lock_record(bytes, &socket) || socket.size > SOCKET_PATH_MAX || memchr(socket.at, '\0', socket.size) != NULL) return false;
  add_candidate(candidates, socket);
  return true;
}

bool find_sockets(uid_t uid, struct candidates *candidates)
{
  static char home[PATH_MAX], state[PATH_MAX], lock_file[PATH_MAX], socket[PATH_MAX], forwarded[PATH_MAX];
  struct stat stats;
  struct text home_text = TEXT_IN(home), state_text = TEXT_IN(state), lock_text = TEXT_IN(lock_file), socket_text = TEXT_IN(socket), forwarded_text = TEXT_IN(forwarded);
  /* Also where the variables say it all: Node refuses a user whom the database does not know. */
  if (!read_home(uid, &home_text)) return false;
  if (!put_absolute(&state_text, "XDG_STATE_HOME")) {
    put_span(&state_text, (struct span){ home, home_text.size });
    put(&state_text, "/.local/state");
  }
  put(&state_text, "/valetkey");
  put(&lock_text, state);
  put(&lock_text, "/lock");
  if (put_absolute(&socket_text, "XDG_RUNTIME_DIR")) put(&socket_text, "/valetkey/socket");
  else {
    put(&socket_text, state);
    put(&socket_text, "/run/socket");
  }
  if (!state_text.whole || !lock_text.whole || !socket_text.whole || socket_text.size > SOCKET_PATH_MAX) return false;
  /* The broker of another machine: own-socket.ts says whose turn it is. */
  put_span(&forwarded_text, (struct span){ socket, socket_text.size - strlen("socket") });
  put(&forwarded_text, "forwarded");
  if (!forwarded_text.whole || lstat(forwarded, &stats) == 0) return false;
  candidates->count = 0;
  if (!add_recorded(lock_file, uid, candidates)) return false;
  if (candidates->count == 0 || strcmp(candidates->path[0], socket) != 0) add_candidate(candidates, (struct span){ socket, socket_text.size });
  return true;
}

enum place look_at_socket(const char *path, uid_t uid)
{
  struct stat stats;
  char directory[SOCKET_PATH_MAX + 1];
  const char *slash = strrchr(path, '/');
  if (slash == NULL || slash == path) return PLACE_UNUSUAL;
  memcpy(directory, path, (size_t)(slash - path));
  directory[slash - path] = '\0';
  if (lstat(directory, &stats) != 0) return errno == ENOENT ? PLACE_ABSENT : PLACE_UNUSUAL;
  if (!S_ISDIR(stats.st_mode) || stats.st_uid != uid || (stats.st_mode & 0777) != 0700) return PLACE_UNUSUAL;
  if (lstat(path, &stats) != 0) return errno == ENOENT ? PLACE_ABSENT : PLACE_UNUSUAL;
  if (!S_ISSOCK(stats.st_mode) || stats.st_uid != uid || (stats.st_mode & 0777) != 0600) return PLACE_UNUSUAL;
  return PLACE_OWN;
}
