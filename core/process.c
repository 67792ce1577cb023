/* process.c: children, by POSIX and Linux. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static lurn_status says_no (lurn_ctx *ctx, const char *what) {
  return lurn_fail(ctx, LURN_EIO, "cannot %s: %s", what, strerror(errno));
}

/* ------------------------------------------------------------------ start and end */

/* The parent may be gone before the child has asked to be told of it. */
static void follow (pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) raise(SIGKILL);
}

lurn_status lurn_process_fork (lurn_ctx *ctx, int64_t *pid, int *fd) {
  int end[2];
  pid_t parent = getpid(), child;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end) != 0) return says_no(ctx, "make a socket");
  child = fork();
  if (child < 0) {
    lurn_status status = says_no(ctx, "start a process");
    close(end[0]);
    close(end[1]);
    return status;
  }
  if (child == 0) follow(parent);
  else {
    setpgid(child, child);      /* here too: whoever comes first, the group is there when it is signalled */
    fcntl(end[0], F_SETFL, O_NONBLOCK);
  }
  close(end[child != 0]);
  *fd = end[child == 0];
  *pid = (int64_t)child;
  return LURN_OK;
}

int lurn_process_ended (int64_t pid, lurn_process_end *how) {
  int status;
  pid_t p;
  do p = waitpid((pid_t)pid, &status, WNOHANG); while (p < 0 && errno == EINTR);
  if (p == 0) return 0;
  how->code = p > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  how->signal = p < 0 ? 0 : WIFSIGNALED(status) ? WTERMSIG(status) : -1;
  return 1;
}

int lurn_process_kill (int64_t pid, int number, int group) {
  return kill((pid_t)(group ? -pid : pid), number) == 0 ? 0 : errno;
}

/* ------------------------------------------------------------------ talk */

int lurn_process_poll (const int *fd, int n, double seconds, char *ready) {
  struct pollfd list[LURN_PROCESS_MOST];
  double most = seconds * 1e3;
  if (n > LURN_PROCESS_MOST) n = LURN_PROCESS_MOST;
  for (int i = 0; i < n; i++) list[i] = (struct pollfd){.fd = fd[i], .events = POLLIN};
  /* Rounded up: what is due in half a millisecond is not asked for a thousand times. */
  int count = poll(list, (nfds_t)n, seconds < 0 ? -1 : most > 1e9 ? 1000000000 : (int)(most + 0.999));
  for (int i = 0; i < n; i++) ready[i] = count > 0 && list[i].revents != 0;
  return count > 0 ? count : 0;
}

int64_t lurn_process_read (int fd, void *bytes, size_t size) {
  ssize_t n;
  do n = read(fd, bytes, size); while (n < 0 && errno == EINTR);
  if (n >= 0) return (int64_t)n;
  return errno == EAGAIN || errno == EWOULDBLOCK ? -1 : 0;      /* reset by the other side is an end, too */
}

int lurn_process_write (int fd, const void *bytes, size_t size) {
  const char *p = bytes;
  while (size > 0) {
    ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      struct pollfd wait = {.fd = fd, .events = POLLOUT};
      poll(&wait, 1, 1000);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    p += n;
    size -= (size_t)n;
  }
  return 0;
}

void lurn_process_close (int fd) { close(fd); }

/* ------------------------------------------------------------------ limits */

int lurn_process_core (int k) {
  cpu_set_t may;
  CPU_ZERO(&may);
  if (sched_getaffinity(0, sizeof may, &may) != 0) return -1;
  for (int core = 0; core < CPU_SETSIZE; core++)
    if (CPU_ISSET(core, &may) && k-- == 0) return core;
  return -1;
}

int lurn_process_pin (int core) {
  cpu_set_t one;
  if (core < 0 || core >= CPU_SETSIZE) return 0;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* The number behind a word in a small file of the system: "VmData:  1234 kB" gives 1234, 0 when it is not there. */
static int64_t number_in (const char *path, const char *word, int64_t other) {
  char line[256];
  int64_t value = other;
  FILE *f = fopen(path, "r");
  if (f == NULL) return value;
  while (fgets(line, sizeof line, f))
    if (strncmp(line, word, strlen(word)) == 0) {
      value = strtoll(line + strlen(word), NULL, 10);
      break;
    }
  fclose(f);
  return value;
}

/* RLIMIT_DATA counts every private writable mapping, and what is inherited from the parent is among them. */
lurn_status lurn_process_limit (lurn_ctx *ctx, int64_t bytes) {
  struct rlimit limit;
  rlim_t most = (rlim_t)(1024 * number_in("/proc/self/status", "VmData:", 0) + bytes);
  if (getrlimit(RLIMIT_DATA, &limit) != 0) return says_no(ctx, "limit the memory");
  if (limit.rlim_max == RLIM_INFINITY || most < limit.rlim_max) limit.rlim_cur = most;
  return setrlimit(RLIMIT_DATA, &limit) == 0 ? LURN_OK : says_no(ctx, "limit the memory");
}

lurn_status lurn_process_enter (lurn_ctx *ctx, const char *folder) {
  if (chdir(folder) == 0) return LURN_OK;
  return lurn_fail(ctx, LURN_EIO, "%s: cannot enter: %s", folder, strerror(errno));
}

lurn_status lurn_process_redirect (lurn_ctx *ctx, const char *path) {
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int out = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  int bad = in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0;
  lurn_status status = bad ? lurn_fail(ctx, LURN_EIO, "%s: cannot write: %s", path, strerror(errno)) : LURN_OK;
  if (in > 2) close(in);
  if (out > 2) close(out);
  return status;
}

/* ------------------------------------------------------------------ what the system says */

int64_t lurn_process_memory (int64_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
  return 1024 * number_in(path, "VmRSS:", 0);
}

int64_t lurn_process_oom_kills (void) { return number_in("/proc/vmstat", "oom_kill ", -1); }
