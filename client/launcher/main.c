/* Entry of `valetkey`: a cached token, a word for a prompt, or Node. */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_INTERNAL = 1, EXIT_DAEMON = 9, EXIT_NOT_FOUND = 127 }; /* shared/errors.ts, and env(1) */

static void complain(const char *words)
{
  ssize_t written = write(STDERR_FILENO, words, strlen(words));
  (void)written; /* nobody is left to tell */
}

/*
 * A closed stream would hand its number to our socket. At a terminal Node warns that the token is on the
 * screen now.
 */
static bool are_streams_usual(void)
{
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
    if (fcntl(stream, F_GETFD) < 0) return false;
  }
  return isatty(STDOUT_FILENO) == 0;
}

/* As Node names it; the numbers are not the same everywhere. */
static const char *name_of(int error)
{
  switch (error) {
    case ENOSPC: return "ENOSPC";
    case EDQUOT: return "EDQUOT";
    case EFBIG: return "EFBIG";
    default: return "EIO";
  }
}

/* Half of it is in a pipe that does not block, or on a disk that is full now. */
static bool can_go_on(int error)
{
  struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };
  return error == EINTR || (error == EAGAIN && poll(&output, 1, ANSWER_MS) == 1);
}

enum delivery { DELIVERED, NOTHING_WRITTEN, HALF_WRITTEN };

static int write_error;

static enum delivery deliver(struct span output)
{
  size_t written = 0;
  /* A reader that has left is no error, and a file may be too large; Node sets both anew. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  while (written < output.size) {
    ssize_t count = write(STDOUT_FILENO, output.at + written, output.size - written);
    if (count > 0) written += (size_t)count;
    else if (count < 0 && errno == EPIPE) return DELIVERED;
    else if (written == 0) return NOTHING_WRITTEN; /* Node meets the same error, and names it */
    else {
      write_error = errno;
      if (!can_go_on(write_error)) return HALF_WRITTEN;
    }
  }
  return DELIVERED;
}

/* `rest` is what Node goes on with where the answer is not ours to tell. */
static enum answer ask_daemon(uid_t uid, const struct wish *wish, struct span request, struct text *output, int *rest)
{
  static struct candidates candidates;
  static char reply_bytes[REPLY_MAX];
  if (!find_sockets(uid, &candidates)) return ANSWER_UNUSUAL;
  for (int i = 0; i < candidates.count; i++) {
    struct text reply = TEXT_IN(reply_bytes);
    struct span line;
    enum place place = look_at_socket(candidates.path[i], uid);
    if (place == PLACE_UNUSUAL) return ANSWER_UNUSUAL;
    int connection;
    enum answer answer = place == PLACE_ABSENT ? ANSWER_ABSENT : ask(candidates.path[i], uid, request, ANSWER_MS, &reply, &line, &connection);
    if (answer == ANSWER_LATE) *rest = connection;
    if (answer == ANSWER_LINE && !format_reply(line, wish, output)) {
      *rest = keep_line(line);
      return ANSWER_UNUSUAL;
    }
    if (answer != ANSWER_ABSENT) return answer;
  }
  return ANSWER_ABSENT;
}

/*
 * The daemon answers the program that asked and no other, so this process stays, and Node reads the answer as its
 * child. What the terminal sends goes to both; Node decides what becomes of it.
 */
static int stay_beside_node(int argc, char *argv[], int connection)
{
  pid_t self = getpid(), node = fork();
  if (node == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == self) run_node(argc, argv, connection);
    _exit(EXIT_NOT_FOUND);
  }
  close(connection);
  if (node < 0) return -1;
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
  int status;
  while (waitpid(node, &status, 0) < 0) if (errno != EINTR) return EXIT_INTERNAL;
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  signal(WTERMSIG(status), SIG_DFL);
  raise(WTERMSIG(status));
  return EXIT_INTERNAL;
}

int main(int argc, char *argv[])
{
  static char request_bytes[REQUEST_MAX], output_bytes[OUTPUT_MAX];
  struct text request = TEXT_IN(request_bytes), output = TEXT_IN(output_bytes);
  struct wish wish;
  /* Node takes the effective user for whose home it is, and so does this. */
  uid_t uid = geteuid();
  int rest = NOTHING;
  if (read_prompt_arguments(argc, argv, &request)) {
    int status;
    bool is_answered = are_streams_usual() && answer_prompt(uid, (struct span){ request.at, request.size }, &output, &status);
    if (is_answered && deliver((struct span){ output.at, output.size }) == DELIVERED) return status;
  } else if (read_arguments(argc, argv, &wish, &request) && are_streams_usual()) {
    switch (ask_daemon(uid, &wish, (struct span){ request.at, request.size }, &output, &rest)) {
      case ANSWER_LINE:
        switch (deliver((struct span){ output.at, output.size })) {
          case DELIVERED: return EXIT_OK;
          case NOTHING_WRITTEN: break;
          case HALF_WRITTEN:
            complain("error: standard output cannot be written (");
            complain(name_of(write_error));
            complain(")\n");
            return EXIT_INTERNAL;
        }
        break;
      case ANSWER_FOREIGN: /* Node cannot look at the peer and would speak to it */
        complain("error: The socket is not this user's own (server_untrusted)\n  another user listens on it; nothing was sent\n  See who does: ss -xlp\n");
        return EXIT_DAEMON;
      case ANSWER_LATE: {
        int status = stay_beside_node(argc, argv, rest);
        if (status >= 0) return status;
        rest = NOTHING; /* no process to be had: Node asks by itself */
        break;
      }
      case ANSWER_ABSENT:
      case ANSWER_UNUSUAL: break;
    }
  }
  run_node(argc, argv, rest);
  return EXIT_NOT_FOUND;
}
