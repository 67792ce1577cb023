/* sys.c: POSIX and Linux. */
#define _GNU_SOURCE
#include "sys.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#define PATH_SIZE 4096

static lurn_status says_no (lurn_ctx *ctx, const char *path, const char *what) {
  return lurn_fail(ctx, LURN_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* ------------------------------------------------------------------ what the machine says */

static double seconds (clockid_t clock) {
  struct timespec t;
  return clock_gettime(clock, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0;
}

double lurn_sys_clock (void) { return seconds(CLOCK_MONOTONIC); }
double lurn_sys_time (void) { return seconds(CLOCK_REALTIME); }
int64_t lurn_sys_pid (void) { return (int64_t)getpid(); }
int lurn_sys_isatty (int fd) { return isatty(fd) == 1; }

void lurn_sys_sleep (double seconds_) {
  struct timespec t = {(time_t)seconds_, (long)(1e9 * (seconds_ - (double)(time_t)seconds_))};
  nanosleep(&t, NULL);
}

int64_t lurn_sys_peak_rss (void) {
  struct rusage use;
  return getrusage(RUSAGE_SELF, &use) == 0 ? (int64_t)use.ru_maxrss * 1024 : 0;
}

int lurn_sys_columns (int fd) {
  struct winsize size;
  return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int lurn_sys_lines (int fd) {
  struct winsize size;
  return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

/* The affinity mask, not the machine: under a batch system the two differ. */
int lurn_sys_cpus (void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (int)n : 1;
}

const char *lurn_sys_cpu (char *text, size_t size) {
  char line[512];
  snprintf(text, size, "unknown");
  FILE *f = fopen("/proc/cpuinfo", "r");
  if (f == NULL) return text;
  while (fgets(line, sizeof line, f)) {
    char *value = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || value == NULL) continue;
    value += 1 + strspn(value + 1, " \t");
    value[strcspn(value, "\n")] = '\0';
    snprintf(text, size, "%s", value);
    break;
  }
  fclose(f);
  return text;
}

const char *lurn_sys_os (char *text, size_t size) {
  struct utsname u;
  if (uname(&u) != 0) snprintf(text, size, "unknown");
  else snprintf(text, size, "%s %s %s", u.sysname, u.release, u.machine);
  return text;
}

const char *lurn_sys_host (char *text, size_t size) {
  struct utsname u;
  snprintf(text, size, "%s", uname(&u) == 0 && u.nodename[0] ? u.nodename : "host");
  return text;
}

const char *lurn_sys_libc (char *text, size_t size) {
#ifdef __GLIBC__
  snprintf(text, size, "glibc %s", gnu_get_libc_version());
#else
  snprintf(text, size, "unknown");
#endif
  return text;
}

const char *lurn_sys_environ (size_t k) {
  for (size_t i = 0; environ && environ[i]; i++) if (i == k) return environ[i];
  return NULL;
}

/* ------------------------------------------------------------------ mappings */

void *lurn_sys_map (size_t size) {
  if (size == 0) return NULL;
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  madvise(p, size, MADV_HUGEPAGE);      /* a hint: fewer page faults and table walks */
  return p;
}

void lurn_sys_unmap (void *memory, size_t size) {
  if (memory != NULL && size > 0) munmap(memory, size);
}

/* ------------------------------------------------------------------ files and folders */

int lurn_sys_exists (const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

/* Everything up to the last slash, with it; "./" when there is none. 0: too long. */
static int folder_of (const char *path, char folder[PATH_SIZE]) {
  const char *slash = strrchr(path, '/');
  int n = snprintf(folder, PATH_SIZE, "%.*s", slash ? (int)(slash - path) + 1 : 2, slash ? path : "./");
  return n < PATH_SIZE;
}

/* File systems in user space have one number; what they are stands in the list of mounts: "... - fuse.sshfs ...". */
static void mounted_as (const char *path, char *text) {
  char line[PATH_SIZE], device[32], type[LURN_SYS_FILESYSTEM];
  struct stat st;
  FILE *f = fopen("/proc/self/mountinfo", "r");
  if (f == NULL) return;
  if (stat(path, &st) == 0) {
    snprintf(device, sizeof device, " %u:%u ", major(st.st_dev), minor(st.st_dev));
    while (fgets(line, sizeof line, f)) {
      const char *rest = strstr(line, " - ");
      if (strstr(line, device) && rest && sscanf(rest, " - %63s", type) == 1) strcpy(text, type);
    }
  }
  fclose(f);
}

const char *lurn_sys_network (const char *path, char *text) {
  static const struct { unsigned magic; const char *name; } rows[] = {      /* statfs(2) and their sources */
    {0x6969, "nfs"}, {0x517b, "smb"}, {0xff534d42, "cifs"}, {0xfe534d42, "smb2"}, {0x0bd00bd0, "lustre"},
    {0x47504653, "gpfs"}, {0x00c36400, "ceph"}, {0x5346414f, "afs"}, {0x6b414653, "afs"}, {0x01021997, "9p"},
    {0x7461636f, "ocfs2"}, {0x01161970, "gfs2"}, {0x19830326, "beegfs"}, {0xaad7aaea, "panfs"}, {0x20030528, "orangefs"},
    {0x73757245, "coda"}, {0x65735546, "fuse"}};
  static const char *const local[] = {"fuseblk", "fuse.fuse-overlayfs", "fuse.bindfs", "fuse.mergerfs"};
  char folder[PATH_SIZE];
  struct statfs fs;
  text[0] = '\0';
  if (!folder_of(path, folder)) return text;
  const char *there = lurn_sys_exists(path) ? path : folder;
  if (statfs(there, &fs) != 0) return text;
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
    if ((unsigned)fs.f_type == rows[k].magic) strcpy(text, rows[k].name);
  if (strcmp(text, "fuse") == 0) mounted_as(there, text);
  for (size_t k = 0; k < sizeof local / sizeof *local; k++) if (strcmp(text, local[k]) == 0) text[0] = '\0';
  return text;
}

lurn_status lurn_sys_filesize (lurn_ctx *ctx, const char *path, int64_t *size) {
  struct stat st;
  if (stat(path, &st) != 0) return says_no(ctx, path, "open");
  if (S_ISDIR(st.st_mode)) return lurn_fail(ctx, LURN_EIO, "%s: is a folder, not a file", path);
  if (!S_ISREG(st.st_mode)) return lurn_fail(ctx, LURN_EIO, "%s: not a regular file", path);
  *size = (int64_t)st.st_size;
  return LURN_OK;
}

static int is_folder (const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

lurn_status lurn_sys_mkdir (lurn_ctx *ctx, const char *path) {
  char part[PATH_SIZE];
  size_t n = strlen(path);
  if (n == 0 || n >= sizeof part) return lurn_fail(ctx, LURN_EINVAL, "a path of %zu bytes", n);
  memcpy(part, path, n + 1);
  for (size_t i = 1; i <= n; i++) {
    if (part[i] != '/' && part[i] != '\0') continue;
    char kept = part[i];
    part[i] = '\0';
    int why = mkdir(part, 0777) == 0 ? 0 : errno;
    if (why && !is_folder(part)) {
      errno = why;      /* not what is_folder left there */
      return says_no(ctx, part, "make the folder");
    }
    part[i] = kept;
  }
  return LURN_OK;
}

lurn_status lurn_sys_remove (lurn_ctx *ctx, const char *path) {
  return unlink(path) == 0 ? LURN_OK : says_no(ctx, path, "remove");
}

/* How much of it was written. Several pieces are for signals and full disks only: O_APPEND makes one piece whole. */
static size_t write_most (int fd, const char *text, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = write(fd, text + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    done += (size_t)n;
  }
  return done;
}

static int write_all (int fd, const char *text, size_t size) { return write_most(fd, text, size) == size ? 0 : -1; }

/* Where there was room for the beginning only, that is taken back, unless somebody else has appended meanwhile. */
static int append_all (int fd, const char *text, size_t size) {
  struct stat st;
  off_t before = lseek(fd, 0, SEEK_END);
  size_t done = write_most(fd, text, size);
  if (done == size) return 0;
  int why = errno, alone = done > 0 && before >= 0 && fstat(fd, &st) == 0 && st.st_size == before + (off_t)done;
  int cut = alone ? ftruncate(fd, before) : 0;
  (void)cut;
  errno = why;
  return -1;
}

lurn_status lurn_sys_append (lurn_ctx *ctx, const char *path, const char *text, size_t size) {
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return says_no(ctx, path, "open for appending");
  int bad = append_all(fd, text, size) != 0 || fdatasync(fd) != 0;
  lurn_status status = bad ? says_no(ctx, path, "append") : LURN_OK;
  if (close(fd) != 0 && status == LURN_OK) status = says_no(ctx, path, "append");
  return status;
}

/* Some file systems cannot sync a folder and say EINVAL; then there is nothing to wait for. */
static int sync_path (const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) return -1;
  int rc = fsync(fd);
  if (rc != 0 && (flags & O_DIRECTORY) && errno == EINVAL) rc = 0;
  int kept = errno;
  close(fd);
  errno = kept;
  return rc;
}

lurn_status lurn_sys_replace (lurn_ctx *ctx, const char *temp, const char *path) {
  char folder[PATH_SIZE];
  if (!folder_of(path, folder)) return lurn_fail(ctx, LURN_EINVAL, "%s: too long a path", path);
  if (sync_path(temp, O_RDONLY) != 0) return says_no(ctx, path, "write");
  if (rename(temp, path) != 0) return says_no(ctx, path, "replace");
  if (sync_path(folder, O_RDONLY | O_DIRECTORY) != 0) return says_no(ctx, folder, "sync the folder");
  return LURN_OK;
}

/* ------------------------------------------------------------------ open files */

/* What all temporary files for path on this host have in common: ".name.host." */
static int temp_prefix (const char *path, char *prefix, size_t size) {
  char host[LURN_SYS_HOST];
  const char *slash = strrchr(path, '/');
  return snprintf(prefix, size, ".%s.%s.", slash ? slash + 1 : path, lurn_sys_host(host, sizeof host));
}

/* "1234-0.tmp" behind the prefix, and no process 1234. */
static int is_orphan (const char *rest) {
  char *end;
  long pid = strtol(rest, &end, 10);
  if (pid <= 0 || *end != '-') return 0;
  strtol(end + 1, &end, 10);
  return strcmp(end, ".tmp") == 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void sweep (const char *folder, const char *prefix, size_t n) {
  DIR *dir = opendir(folder);
  if (dir == NULL) return;
  for (struct dirent *e = readdir(dir); e; e = readdir(dir))
    if (strncmp(e->d_name, prefix, n) == 0 && is_orphan(e->d_name + n)) unlinkat(dirfd(dir), e->d_name, 0);
  closedir(dir);
}

/* A file under a temporary name beside `path`: a new one, which is open then, or, with `of`, that one, linked. */
static int make_temp (const char *of, const char *temp) {
  return of ? link(of, temp) : open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

/* *made is what make_temp gave for the first name that nobody had. */
static lurn_status find_temp (lurn_ctx *ctx, const char *of, const char *path, char *temp, size_t size, int *made) {
  char prefix[PATH_SIZE], folder[PATH_SIZE];
  int n = temp_prefix(path, prefix, sizeof prefix), k = 0;
  if (n >= (int)sizeof prefix || !folder_of(path, folder) || strlen(folder) + (size_t)n + 32 > size)
    return lurn_fail(ctx, LURN_EINVAL, "%s: too long a path", path);
  sweep(folder, prefix, (size_t)n);
  do {
    snprintf(temp, size, "%s%s%lld-%d.tmp", strchr(path, '/') ? folder : "", prefix, (long long)getpid(), k);
    *made = make_temp(of, temp);
  } while (*made < 0 && errno == EEXIST && ++k < 1000);
  return LURN_OK;
}

lurn_status lurn_sys_create_temp (lurn_ctx *ctx, const char *path, char *temp, size_t size, int *fd) {
  lurn_status status = find_temp(ctx, NULL, path, temp, size, fd);
  return status != LURN_OK || *fd >= 0 ? status : says_no(ctx, path, "write");
}

int lurn_sys_write_at (int fd, const void *bytes, size_t n, int64_t at) {
  const char *p = bytes;
  while (n > 0) {
    ssize_t k = pwrite(fd, p, n, (off_t)at);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return k < 0 ? errno : ENOSPC;
    p += k;
    at += k;
    n -= (size_t)k;
  }
  return 0;
}

int lurn_sys_read_at (int fd, void *bytes, size_t n, int64_t at) {
  char *p = bytes;
  while (n > 0) {
    ssize_t k = pread(fd, p, n, (off_t)at);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return errno;
    if (k == 0) break;
    p += k;
    at += k;
    n -= (size_t)k;
  }
  memset(p, 0, n);
  return 0;
}

int lurn_sys_close (int fd, int keep) {
  int bad = keep && fsync(fd) != 0 ? errno : 0;
  if (close(fd) != 0 && bad == 0) bad = errno;
  return keep ? bad : 0;
}

/* ------------------------------------------------------------------ second names, locks */

static int copy_bytes (int from, int to) {
  char block[1 << 16];
  for (;;) {
    ssize_t n = read(from, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return (int)n;
    if (write_all(to, block, (size_t)n) != 0) return -1;
  }
}

static lurn_status copy_file (lurn_ctx *ctx, const char *path, const char *name) {
  char temp[PATH_SIZE];
  int to, from = open(path, O_RDONLY | O_CLOEXEC);
  if (from < 0) return says_no(ctx, path, "open");
  lurn_status status = lurn_sys_create_temp(ctx, name, temp, sizeof temp, &to);
  if (status == LURN_OK) {
    if (copy_bytes(from, to) != 0) status = says_no(ctx, name, "write");
    close(to);
    if (status == LURN_OK) status = lurn_sys_replace(ctx, temp, name);
    if (status != LURN_OK) unlink(temp);
  }
  close(from);
  return status;
}

/* Renaming one name of a file to another one of the same file does nothing, and leaves both. */
lurn_status lurn_sys_link (lurn_ctx *ctx, const char *path, const char *name) {
  char temp[PATH_SIZE];
  int made;
  lurn_status status = find_temp(ctx, path, name, temp, sizeof temp, &made);
  if (status != LURN_OK) return status;
  if (made != 0 && (errno == ENOENT || errno == ENOSPC || errno == EACCES)) return says_no(ctx, name, "write");
  if (made != 0) return copy_file(ctx, path, name);
  if (rename(temp, name) != 0) status = says_no(ctx, name, "replace");
  unlink(temp);
  return status;
}

lurn_status lurn_sys_claim (lurn_ctx *ctx, const char *path, const char *name, int *taken) {
  char folder[PATH_SIZE];
  struct stat mine, there;
  if (!folder_of(name, folder)) return lurn_fail(ctx, LURN_EINVAL, "%s: too long a path", name);
  *taken = 0;
  if (link(path, name) != 0) {
    if (errno != EEXIST) return says_no(ctx, name, "claim");
    /* A server's answer may get lost, and its client ask again: then the name that is there is our own. */
    *taken = stat(path, &mine) != 0 || stat(name, &there) != 0 || mine.st_ino != there.st_ino || mine.st_dev != there.st_dev;
    if (*taken) return LURN_OK;
  }
  return sync_path(folder, O_RDONLY | O_DIRECTORY) == 0 ? LURN_OK : says_no(ctx, folder, "sync the folder");
}

lurn_status lurn_sys_stamp (lurn_ctx *ctx, const char *path, double *time) {
  struct stat st;
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return says_no(ctx, path, "touch");
  int bad = futimens(fd, NULL) != 0;
  lurn_status status = bad ? says_no(ctx, path, "touch") : LURN_OK;
  if (close(fd) != 0 || stat(path, &st) != 0) return says_no(ctx, path, "touch");
  *time = (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec;
  return status;
}

lurn_status lurn_sys_folder_open (lurn_ctx *ctx, const char *path, lurn_sys_folder *folder) {
  folder->handle = opendir(path);
  return folder->handle ? LURN_OK : says_no(ctx, path, "list the folder");
}

const char *lurn_sys_folder_next (lurn_sys_folder *folder) {
  struct dirent *e = folder->handle ? readdir(folder->handle) : NULL;
  while (e && e->d_name[0] == '.') e = readdir(folder->handle);
  return e ? e->d_name : NULL;
}

void lurn_sys_folder_close (lurn_sys_folder *folder) {
  if (folder->handle) closedir(folder->handle);
  folder->handle = NULL;
}

const char *lurn_sys_identity (const char *path, char *text) {
  struct stat st;
  text[0] = '\0';
  if (stat(path, &st) == 0)
    snprintf(text, LURN_SYS_IDENTITY, "%llx-%llx-%lld-%lld.%09ld", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  return text;
}

/* The path may have lost its file between open and lock: its last owner removes it. */
static int is_still_there (const char *path, int fd) {
  struct stat mine, there;
  return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

/* Who has the lock, as they wrote it; what is in the file is shown to people, so it has to be a line of plain text. */
static lurn_status is_taken (lurn_ctx *ctx, const char *path, int fd) {
  char owner[160];
  ssize_t n = pread(fd, owner, sizeof owner - 1, 0);
  owner[n > 0 ? n : 0] = '\0';
  owner[strcspn(owner, "\n")] = '\0';
  for (char *c = owner; *c; c++) if (*c < ' ' || *c > '~') *c = '?';
  return lurn_fail(ctx, LURN_EIO, "%s: held by %s", path, owner[0] ? owner : "a process that did not say its name");
}

static void sign (int fd) {
  char host[LURN_SYS_HOST], owner[128];
  int n = snprintf(owner, sizeof owner, "process %lld on host %s\n", (long long)getpid(), lurn_sys_host(host, sizeof host));
  if (ftruncate(fd, 0) != 0 || write_all(fd, owner, (size_t)n) != 0) return;      /* the lock holds without a name, too */
}

/* Who asks lurn_sys_is_locked has the lock for an instant: an owner still has it a moment later. */
static int try_lock (int fd) {
  int rc;
  for (int k = 0; (rc = flock(fd, LOCK_EX | LOCK_NB)) != 0 && errno == EWOULDBLOCK && k < 5; k++)
    lurn_sys_sleep(0.002);
  return rc;
}

lurn_status lurn_sys_lock (lurn_ctx *ctx, const char *path, int *fd) {
  for (;;) {
    int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    *fd = -1;
    if (f < 0) return says_no(ctx, path, "write");
    int rc = try_lock(f);
    if (rc == 0 && is_still_there(path, f)) {
      sign(f);
      *fd = f;
      return LURN_OK;
    }
    lurn_status status = rc != 0 && errno == EWOULDBLOCK ? is_taken(ctx, path, f) : LURN_OK;
    close(f);
    if (rc != 0) return status;
  }
}

int lurn_sys_is_locked (const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  int locked = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK ? 1 : -1;
  close(fd);
  return locked;
}

void lurn_sys_unlock (const char *path, int fd) {
  if (fd < 0) return;
  unlink(path);
  close(fd);
}

/* ------------------------------------------------------------------ shared objects */

lurn_status lurn_sys_symbol (lurn_ctx *ctx, const char *path, const char *name, void **address) {
  char here[PATH_SIZE];
  if (snprintf(here, sizeof here, "%s%s", strchr(path, '/') ? "" : "./", path) >= (int)sizeof here)
    return lurn_fail(ctx, LURN_EINVAL, "%s: too long a path", path);
  if (!lurn_sys_exists(here)) return says_no(ctx, path, "open");
  void *library = dlopen(here, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return lurn_fail(ctx, LURN_EFORMAT, "%s: %s", path, dlerror());
  *address = dlsym(library, name);
  if (*address == NULL) return lurn_fail(ctx, LURN_EFORMAT, "%s: it has no %s", path, name);
  return LURN_OK;
}

/* A library finds its own names first, whatever the process has of the same: stock interpreters are linked against
 * readline, whose variables libedit also has. Sanitizers refuse that. */
#if defined RTLD_DEEPBIND && !defined __SANITIZE_ADDRESS__
#define OWN_NAMES RTLD_DEEPBIND
#else
#define OWN_NAMES 0
#endif

void *lurn_sys_library (const char *name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL | OWN_NAMES); }

void *lurn_sys_find (void *library, const char *name) { return dlsym(library, name); }

/* The signal may come only while the system waits: between a look at the flag and the wait it would be lost. */
int lurn_sys_wait_input (int fd, const volatile int *stop) {
  sigset_t blocked, before;
  fd_set set;
  int ready = 0;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  while (!*stop && ready <= 0) {
    FD_ZERO(&set);
    FD_SET(fd, &set);
    ready = pselect(fd + 1, &set, NULL, NULL, NULL, &before);
    if (ready < 0 && errno != EINTR) ready = 1;      /* whoever reads will be told what is wrong */
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ready > 0 && !*stop;
}

const char *lurn_sys_error (int number) { return strerror(number); }
