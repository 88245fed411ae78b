/*
 * Measures whole processes, from before they are made until after they ended, in turn: A B C A B C …, so that
 * whatever the machine does meanwhile hits all of them alike. Their output goes to /dev/null.
 *
 * usage: spawn TIMES AT_ONCE [WORD…] [,, WORD…]…
 *
 * AT_ONCE of a command run together and count as one measurement, until the last has ended. A command may begin
 * with <FILE, which is its standard input, or with @SOCKET: then it is measured until it answers
 * GET /v1/status there with 200, and ended.
 * Prints {"series":[[ns,…],…],"failed":[count,…]}; a run that failed has no place in its series.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 16
#define AT_ONCE_MAX 1024
#define ANSWER_LIMIT_NS 20000000000LL

extern char **environ;

typedef struct { const char *input; const char *socket; int by_line; char **words; long long *ns; int count; int failed; } Command;

static volatile sig_atomic_t ended = 0;
static void end(int number) { ended = number; }

static long long now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static pid_t start(const Command *command) {
  posix_spawn_file_actions_t actions;
  pid_t pid = -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, command->input == NULL ? "/dev/null" : command->input, O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  if (posix_spawnp(&pid, command->words[0], &actions, NULL, command->words, environ) != 0) pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

/* Whether it ended well. */
static int reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) if (ended) { kill(pid, SIGTERM); ended = 0; }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether an answer to `ask` has come whose beginning holds `expect`. */
static int answers(const char *path, const char *ask, const char *expect) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  char reply[129] = "";
  size_t length = 0;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && write(fd, ask, strlen(ask)) == (ssize_t)strlen(ask)) {
    while (length < sizeof reply - 1) {
      ssize_t got = read(fd, reply + length, sizeof reply - 1 - length);
      if (got <= 0) break;
      length += (size_t)got;
      if (strstr(reply, expect) != NULL) break;
    }
  }
  close(fd);
  return strstr(reply, expect) != NULL;
}

static int tells_status(const Command *command) {
  if (command->by_line) return answers(command->socket, "{\"type\":\"status\",\"id\":1,\"protocol\":1}\n", "\"status\":200");
  return answers(command->socket, "GET /v1/status HTTP/1.1\r\nhost: valetkey\r\nconnection: close\r\n\r\n", "HTTP/1.1 200");
}

static void measure_answer(Command *command) {
  const struct timespec moment = { .tv_nsec = 100000 };
  long long began = now_ns(), took = -1;
  pid_t pid = start(command);
  while (pid > 0 && !ended && took < 0 && now_ns() - began < ANSWER_LIMIT_NS) {
    if (tells_status(command)) took = now_ns() - began;
    else nanosleep(&moment, NULL);
  }
  if (pid > 0) {
    kill(pid, SIGTERM);
    reap(pid);
  }
  if (took < 0) command->failed++;
  else command->ns[command->count++] = took;
}

static void measure_whole(Command *command, int at_once) {
  static pid_t pids[AT_ONCE_MAX];
  int well = 1;
  long long began = now_ns();
  for (int i = 0; i < at_once; i++) pids[i] = start(command);
  for (int i = 0; i < at_once; i++) well &= pids[i] > 0 && reap(pids[i]);
  long long took = now_ns() - began;
  if (!well) command->failed++;
  else command->ns[command->count++] = took;
}

int main(int argc, char **argv) {
  Command commands[COMMANDS_MAX];
  int count = 0;
  if (argc < 4) return 2;
  int times = atoi(argv[1]), at_once = atoi(argv[2]);
  if (times < 1 || at_once < 1 || at_once > AT_ONCE_MAX) return 2;
  for (int i = 3; i < argc; i++) {
    if (count == COMMANDS_MAX) return 2;
    Command *command = &commands[count++];
    *command = (Command){ .ns = calloc((size_t)times, sizeof(long long)) };
    if (command->ns == NULL) return 1;
    if (argv[i][0] == '<') command->input = argv[i++] + 1;
    else if (argv[i][0] == '@' || argv[i][0] == '=') {
      command->by_line = argv[i][0] == '=';
      command->socket = argv[i++] + 1;
    }
    command->words = argv + i;
    while (i < argc && strcmp(argv[i], ",,") != 0) i++;
    if (i < argc) argv[i] = NULL;
    if (command->words[0] == NULL) return 2;
  }
  struct sigaction action = { .sa_handler = end };
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  for (int i = 0; i < times; i++) {
    for (int each = 0; each < count && !ended; each++) {
      Command *command = &commands[(each + i) % count];
      if (command->socket != NULL) measure_answer(command);
      else measure_whole(command, at_once);
    }
  }
  printf("{\"series\":[");
  for (int each = 0; each < count; each++) {
    printf("%s[", each == 0 ? "" : ",");
    for (int i = 0; i < commands[each].count; i++) printf("%s%lld", i == 0 ? "" : ",", commands[each].ns[i]);
    printf("]");
  }
  printf("],\"failed\":[");
  for (int each = 0; each < count; each++) printf("%s%d", each == 0 ? "" : ",", commands[each].failed);
  printf("]}\n");
  return ended ? 130 : 0;
}
