/* sys.h: everything lurn asks of the operating system beyond standard C.
 *
 * The one place that knows POSIX and Linux: clocks, terminals, folders, safe replacement of
 * files, big mappings. A port to another system rewrites sys.c and nothing else.
 *
 * Values that the system does not tell are 0 or "unknown"; only what changes the disk can fail.
 */
#ifndef LURN_SYS_H
#define LURN_SYS_H

#include "base.h"

double lurn_sys_clock (void);                 /* seconds, never runs backwards */
double lurn_sys_time (void);                  /* seconds since 1970 */
int64_t lurn_sys_pid (void);
int64_t lurn_sys_peak_rss (void);             /* bytes this process ever had resident */
int lurn_sys_isatty (int fd);
int lurn_sys_columns (int fd);                /* width of the terminal; 0: not one */
int lurn_sys_lines (int fd);                  /* its height, likewise */
int lurn_sys_cpus (void);                     /* those this process may use, at least 1 */
const char *lurn_sys_cpu (char *text, size_t size);      /* the model's name; returns text */
const char *lurn_sys_os (char *text, size_t size);       /* "Linux 6.1.0-13-amd64 x86_64"; returns text */
/* The machine's name, or "host"; cut to what fits. LURN_SYS_HOST has room for any that Linux allows. Returns text. */
#define LURN_SYS_HOST 65
const char *lurn_sys_host (char *text, size_t size);
const char *lurn_sys_libc (char *text, size_t size);     /* "glibc 2.36", the one that was loaded; returns text */
const char *lurn_sys_environ (size_t k);                 /* "NAME=VALUE", the k-th from 0; NULL behind the last */

/* A private mapping of zeros, page-aligned and given back to the system at once when unmapped,
 * which freed heap blocks often are not. NULL when there is no room. */
void *lurn_sys_map (size_t size);
void lurn_sys_unmap (void *memory, size_t size);

void lurn_sys_sleep (double seconds);
int lurn_sys_exists (const char *path);
/* The kind of network file system that path, or the folder it would be in, lies on ("nfs"); "" when it is a local one.
 * Returns text. */
#define LURN_SYS_FILESYSTEM 64
const char *lurn_sys_network (const char *path, char *text);
/* Bytes of a regular file. Anything else (missing, a folder, a pipe) is EIO and a message. */
lurn_status lurn_sys_filesize (lurn_ctx *ctx, const char *path, int64_t *size);
/* Makes the folder and the folders above it; one that is there already is fine. */
lurn_status lurn_sys_mkdir (lurn_ctx *ctx, const char *path);
lurn_status lurn_sys_remove (lurn_ctx *ctx, const char *path);
/* Appends in one write and returns when the text is on disk: a line of a log is there whole or
 * not at all, also when several processes append to the same file. Where a full disk, or a limit, takes the beginning of it
 * only, the file is cut to what it was; not when another process has appended meanwhile, whose text would go, too. A
 * machine that stops may leave a beginning at the end of the file. */
lurn_status lurn_sys_append (lurn_ctx *ctx, const char *path, const char *text, size_t size);
/* temp becomes path: the file is on disk before it gets the name, and the name is on disk before
 * this returns. At any instant path is the old file or the new one, whole. */
lurn_status lurn_sys_replace (lurn_ctx *ctx, const char *temp, const char *path);
/* The file gets a second name; what has that name already is replaced, and is there until then. Both names are of one
 * file until one of them is replaced. Where the file system has no such links, the file is copied. */
lurn_status lurn_sys_link (lurn_ctx *ctx, const char *path, const char *name);
/* The same where whoever comes first has the name: *taken is 1, and nothing changed, when somebody has it already. The
 * name is on disk before this returns. EIO also where the file system has no such links. */
lurn_status lurn_sys_claim (lurn_ctx *ctx, const char *path, const char *name, int *taken);
/* Touches the file, which is made: the time, in seconds since 1970, by the clock of the file system it is on. */
lurn_status lurn_sys_stamp (lurn_ctx *ctx, const char *path, double *time);
/* Names in a folder, hidden ones left out: open, then next until NULL, then close. */
typedef struct lurn_sys_folder { void *handle; } lurn_sys_folder;
lurn_status lurn_sys_folder_open (lurn_ctx *ctx, const char *path, lurn_sys_folder *folder);
const char *lurn_sys_folder_next (lurn_sys_folder *folder);
void lurn_sys_folder_close (lurn_sys_folder *folder);
/* What tells this very file, unchanged, from every other at that path; "" when there is none. Returns text. */
#define LURN_SYS_IDENTITY 96
const char *lurn_sys_identity (const char *path, char *text);
/* Locks the file at path, which is made, against every other process (and every other lock of this one) until
 * unlock, or until the process is no more: a lock does not outlive its owner, whatever killed it. EIO when
 * somebody has it; the message says who, as they wrote it into the file. Where the file system knows no locks, *fd is -1. */
lurn_status lurn_sys_lock (lurn_ctx *ctx, const char *path, int *fd);
void lurn_sys_unlock (const char *path, int fd);      /* and removes the file; -1 is fine */
/* 1: somebody has it; 0: nobody, or no such file; -1: it cannot be known. Makes nothing. */
int lurn_sys_is_locked (const char *path);
/* A new file beside path, hidden, ".name.host.pid-k.tmp"; its name goes into temp. Files like it whose
 * process, on this host, is no more are removed first: somebody was killed while writing. */
lurn_status lurn_sys_create_temp (lurn_ctx *ctx, const char *path, char *temp, size_t size, int *fd);
/* All n bytes at that place, or an error number. Reading beyond the end gives zeros. */
int lurn_sys_write_at (int fd, const void *bytes, size_t n, int64_t at);
int lurn_sys_read_at (int fd, void *bytes, size_t n, int64_t at);
/* On disk, then closed: 0 or an error number. keep 0: only closed. */
int lurn_sys_close (int fd, int keep);
/* Where `name` is in the shared object at path, which stays loaded as long as the process. A path without a slash
 * is one of the current folder. */
lurn_status lurn_sys_symbol (lurn_ctx *ctx, const char *path, const char *name, void **address);
/* A shared library of the system by its name, "libreadline.so.8"; NULL when it has none. It stays loaded. */
void *lurn_sys_library (const char *name);
void *lurn_sys_find (void *library, const char *name);   /* where name is in it, or NULL */
/* Waits until there is something to read, 1, or until a handler of SIGINT, SIGTERM or SIGHUP has made *stop not
 * zero, 0; also when it came just before. */
int lurn_sys_wait_input (int fd, const volatile int *stop);
const char *lurn_sys_error (int number);      /* "No space left on device" */

#endif
