#include "sqlite_log.h"

#include <stdint.h>
#include <string.h>

/* Of a page: the bytes before it, and least bytes of one. */
enum { HEAD = 24, LEAST_PAGE = 512, ROOM = 1 << 17 };

/* The log's file is SQLite's own; what is done to it goes through methods, of which some are ours. They are the first
 * member, so the file leads back to us. */
struct lurn_sqlite_log {
  sqlite3_io_methods methods;
  const sqlite3_io_methods *system;     /* those that it had */
  int gathers;
  int has_head, is_last;        /* what is gathered ends with a head; whether its page ends the transaction */
  sqlite3_int64 at;             /* where what is gathered belongs; once it is written, its end */
  int size;
  char bytes[ROOM];
};

static lurn_sqlite_log *log_of (sqlite3_file *file) { return (lurn_sqlite_log *)(uintptr_t)file->pMethods; }

static int put (lurn_sqlite_log *log, sqlite3_file *file) {
  int rc = log->size > 0 ? log->system->xWrite(file, log->bytes, log->size, log->at) : SQLITE_OK;
  log->at += log->size;
  log->size = 0;
  return rc;
}

static int stop (lurn_sqlite_log *log, sqlite3_file *file) {
  log->gathers = 0;
  return put(log, file);
}

/* ------------------------------------------------------------------ methods of the file */

/* Whether these bytes go on what is gathered: a head, or the page of the head before. */
static int goes_on (const lurn_sqlite_log *log, int n, sqlite3_int64 at) {
  if ((log->size > 0 || log->has_head) && at != log->at + log->size) return 0;
  return log->has_head ? n >= LEAST_PAGE && n <= ROOM / 2 : n == HEAD;
}

static int write_bytes (sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at) {
  static const char none[4];
  lurn_sqlite_log *log = log_of(file);
  int rc = SQLITE_OK;
  if (log->gathers && !goes_on(log, n, at)) rc = stop(log, file);
  if (rc == SQLITE_OK && log->gathers && log->size + n > ROOM) rc = put(log, file);
  if (rc != SQLITE_OK) return rc;
  if (!log->gathers) return log->system->xWrite(file, bytes, n, at);
  if (log->size == 0) log->at = at;
  memcpy(log->bytes + log->size, bytes, (size_t)n);
  log->size += n;
  log->has_head = !log->has_head;
  if (log->has_head) log->is_last = memcmp((const char *)bytes + 4, none, sizeof none) != 0;
  return log->has_head || !log->is_last ? SQLITE_OK : stop(log, file);
}

static int read_bytes (sqlite3_file *file, void *bytes, int n, sqlite3_int64 at) {
  lurn_sqlite_log *log = log_of(file);
  int rc = log->size > 0 ? stop(log, file) : SQLITE_OK;
  return rc == SQLITE_OK ? log->system->xRead(file, bytes, n, at) : rc;
}

static int sync_bytes (sqlite3_file *file, int flags) {
  lurn_sqlite_log *log = log_of(file);
  int rc = log->size > 0 ? stop(log, file) : SQLITE_OK;
  return rc == SQLITE_OK ? log->system->xSync(file, flags) : rc;
}

/* ------------------------------------------------------------------ the log of a connection */

lurn_sqlite_log *lurn_sqlite_log_open (void) {
  lurn_sqlite_log *log = sqlite3_malloc64(sizeof *log);
  if (log) memset(log, 0, sizeof *log);
  return log;
}

void lurn_sqlite_log_close (lurn_sqlite_log *log) { sqlite3_free(log); }

/* NULL: there is none. */
static sqlite3_file *file_of (sqlite3 *link) {
  sqlite3_file *file = NULL;
  int rc = sqlite3_file_control(link, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  return rc == SQLITE_OK && file && file->pMethods ? file : NULL;
}

/* SQLite opens the log when it needs it. */
static int take_over (lurn_sqlite_log *log, sqlite3_file *file) {
  if (!file) return 0;
  if (file->pMethods == &log->methods) return 1;
  if (file->pMethods->iVersion < 3) return 0;
  log->system = file->pMethods;
  log->methods = *log->system;
  log->methods.xWrite = write_bytes;
  log->methods.xRead = read_bytes;
  log->methods.xSync = sync_bytes;
  file->pMethods = &log->methods;
  return 1;
}

int lurn_sqlite_log_commit (lurn_sqlite_log *log, sqlite3 *link, sqlite3_stmt *commit) {
  log->has_head = log->size = 0;
  log->gathers = take_over(log, file_of(link));
  int rc = sqlite3_step(commit);
  log->gathers = 0;
  log->size = 0;                /* of a commit that failed: nobody may see it */
  return rc;
}

int lurn_sqlite_log_sync (sqlite3 *link) {
  sqlite3_file *file = file_of(link);
  return file ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) : SQLITE_OK;
}
