/* check_sys.c: what of sys.c needs a system that misbehaves: a name of the host that is long, a disk that is full in the
 * middle of a line. The calls are this program's own.
 */
#define _GNU_SOURCE

#include "check.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CHECK(ok) check(ok, "%s:%d: %s (%s)", __func__, __LINE__, #ok, ctx->message)

static char folder[] = "/tmp/lurn-check-XXXXXX";

static const char *in_folder (const char *name) {
  static char path[4][256];
  static int k;
  k = (k + 1) % 4;
  snprintf(path[k], sizeof path[k], "%s/%s", folder, name);
  return path[k];
}

static void make (const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  if (f == NULL) return;
  fputs(text, f);
  fclose(f);
}

static int holds (const char *path, const char *text) {
  char got[256];
  FILE *f = fopen(path, "r");
  if (f == NULL) return 0;
  got[fread(got, 1, sizeof got - 1, f)] = '\0';
  fclose(f);
  return strcmp(got, text) == 0;
}

/* ---------- hosts ---------- */

static char host[65] = "here";

int uname (struct utsname *u) {
  memset(u, 0, sizeof *u);
  strcpy(u->nodename, host);
  return 0;
}

/* A name of 64 letters, the longest, that differs from others in its last one. */
static void be_host (char last) {
  memset(host, 'n', 63);
  host[63] = last;
}

/* What a process on that host left when it was killed: there is no process of that number anywhere. */
static const char *orphan_of (char last) {
  char name[160];
  snprintf(name, sizeof name, ".run.h5.%.63s%c.999999999-0.tmp", host, last);
  return in_folder(name);
}

static void check_hosts (lurn_ctx *ctx) {
  char temp[512];
  int fd;
  be_host('a');
  make(orphan_of('a'), "");
  make(orphan_of('b'), "");
  CHECK(lurn_sys_create_temp(ctx, in_folder("run.h5"), temp, sizeof temp, &fd) == LURN_OK);
  CHECK(strstr(temp, host) != NULL);
  CHECK(!lurn_sys_exists(orphan_of('a')));
  CHECK(lurn_sys_exists(orphan_of('b')));
  lurn_sys_close(fd, 0);
  unlink(temp);
  unlink(orphan_of('b'));
}

/* ---------- a full disk ---------- */

static long room = -1;           /* bytes that the next writes may take; -1: all */
static const char *intruder;     /* who appends when the disk is full, as another process does */
static const char *into;

static long write_now (int fd, const void *bytes, size_t n) { return syscall(SYS_write, fd, bytes, n); }

ssize_t write (int fd, const void *bytes, size_t n) {
  if (room < 0) return write_now(fd, bytes, n);
  if (room == 0) {
    int other = intruder ? open(into, O_WRONLY | O_APPEND) : -1;
    if (other >= 0) {
      write_now(other, intruder, strlen(intruder));
      close(other);
    }
    errno = ENOSPC;
    return -1;
  }
  if ((long)n > room) n = (size_t)room;
  room -= (long)n;
  return write_now(fd, bytes, n);
}

static lurn_status append (lurn_ctx *ctx, const char *path, const char *text, long most) {
  room = most;
  lurn_status status = lurn_sys_append(ctx, path, text, strlen(text));
  room = -1;
  return status;
}

static void check_append (lurn_ctx *ctx) {
  const char *path = into = in_folder("log");
  CHECK(append(ctx, path, "one\n", -1) == LURN_OK);
  for (long most = 0; most < 4; most++) {
    CHECK(append(ctx, path, "two\n", most) == LURN_EIO);
    CHECK(strstr(ctx->message, "No space left") != NULL);
    CHECK(holds(path, "one\n"));
  }
  CHECK(append(ctx, path, "two\n", -1) == LURN_OK);
  CHECK(holds(path, "one\ntwo\n"));
  intruder = "other\n";                           /* its text stays, at the price of half a line */
  CHECK(append(ctx, path, "three\n", 2) == LURN_EIO);
  CHECK(holds(path, "one\ntwo\nthother\n"));
  intruder = NULL;
  unlink(path);
}

int main (void) {
  lurn_ctx real_ctx, *ctx = &real_ctx;
  check_heap heap;
  check_ctx(ctx, &heap);
  CHECK(mkdtemp(folder) != NULL);
  check_hosts(ctx);
  check_append(ctx);
  CHECK(rmdir(folder) == 0);
  return check_done("check_sys");
}
