/*
 * The floor of every token client: the least that a program can do to get a token from a Unix socket. It
 * connects, writes one line, reads one line, prints the token in it, and ends. It checks nothing.
 *
 * usage: floor SOCKET LINE
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char KEY[] = "\"access_token\":\"";

int main(int argc, char **argv) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  static char line[65536];
  size_t length = 0;
  if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path || strlen(argv[2]) + 1 >= sizeof line) return 2;
  memcpy(address.sun_path, argv[1], strlen(argv[1]));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return 1;
  length = strlen(argv[2]);
  memcpy(line, argv[2], length);
  line[length++] = '\n';
  if (write(fd, line, length) != (ssize_t)length) return 1;
  length = 0;
  while (length < sizeof line - 1 && (length == 0 || line[length - 1] != '\n')) {
    ssize_t got = read(fd, line + length, sizeof line - 1 - length);
    if (got <= 0) return 1;
    length += (size_t)got;
  }
  line[length] = '\0';
  char *token = strstr(line, KEY);
  char *end = token == NULL ? NULL : strchr(token + sizeof KEY - 1, '"');
  if (end == NULL) return 1;
  *end++ = '\n';
  token += sizeof KEY - 1;
  return write(1, token, (size_t)(end - token)) == end - token ? 0 : 1;
}
