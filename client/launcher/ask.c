/*
 * One request and one line of reply over the Unix socket. The kernel says who listens there, before anything is
 * sent to it. All of it takes `ms` at most, however slowly the bytes come; where none has come by then, the
 * connection is kept for whoever goes on waiting.
 */
#include "launcher.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool limit(int connection, int option, long ms)
{
  struct timeval left = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
  return setsockopt(connection, SOL_SOCKET, option, &left, sizeof left) == 0;
}

/* Whoever could plant a socket in our directory would still be another user. */
static bool is_own(int connection, uid_t uid)
{
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof peer && peer.uid == uid;
}

static enum answer read_line(int connection, long ms, struct text *reply, struct span *line)
{
  long deadline = now_ms() + ms;
  for (;;) {
    ssize_t got = recv(connection, reply->at + reply->size, reply->room - reply->size, 0);
    /* Late, or interrupted; else closed. */
    if (got < 0 && (errno == EAGAIN || errno == EINTR) && reply->size == 0) return ANSWER_LATE;
    if (got <= 0) return ANSWER_UNUSUAL;
    char *newline = memchr(reply->at + reply->size, '\n', (size_t)got);
    reply->size += (size_t)got;
    if (newline != NULL) {
      *line = (struct span){ reply->at, (size_t)(newline - reply->at) };
      return ANSWER_LINE;
    }
    long left = deadline - now_ms();
    if (reply->size == reply->room || left <= 0 || !limit(connection, SO_RCVTIMEO, left)) return ANSWER_UNUSUAL;
  }
}

static enum answer converse(int connection, const char *path, uid_t uid, struct span request, long ms, struct text *reply, struct span *line)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  memcpy(address.sun_path, path, strlen(path) + 1);
  if (!limit(connection, SO_SNDTIMEO, ms) || !limit(connection, SO_RCVTIMEO, ms)) return ANSWER_UNUSUAL;
  if (connect(connection, (const struct sockaddr *)&address, sizeof address) != 0) {
    return errno == ECONNREFUSED || errno == ENOENT ? ANSWER_ABSENT : ANSWER_UNUSUAL;
  }
  if (!is_own(connection, uid)) return ANSWER_FOREIGN;
  if (send(connection, request.at, request.size, MSG_NOSIGNAL) != (ssize_t)request.size) return ANSWER_UNUSUAL;
  return read_line(connection, ms, reply, line);
}

/* `path` has at most SOCKET_PATH_MAX bytes. `connection` is the caller's where the answer is late. */
enum answer ask(const char *path, uid_t uid, struct span request, long ms, struct text *reply, struct span *line, int *connection)
{
  *connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (*connection < 0) return ANSWER_UNUSUAL;
  enum answer answer = converse(*connection, path, uid, request, ms, reply, line);
  if (answer != ANSWER_LATE) close(*connection);
  return answer;
}
