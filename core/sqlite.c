/* sqlite.c: the only file that knows SQLite. */
#include "sqlite.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sys.h"

/* ------------------------------------------------------------------ failures */

static const char *code_of (int rc) {
  switch (rc & 0xff) {
    case SQLITE_BUSY: case SQLITE_LOCKED: return "EBUSY";
    case SQLITE_READONLY: case SQLITE_PERM: case SQLITE_AUTH: return "EREADONLY";
    case SQLITE_CORRUPT: case SQLITE_NOTADB: case SQLITE_FORMAT: case SQLITE_SCHEMA: return "EFORMAT";
    case SQLITE_CONSTRAINT: return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? "EEXIST" : "";
    case SQLITE_IOERR: case SQLITE_FULL: case SQLITE_CANTOPEN: case SQLITE_PROTOCOL: case SQLITE_INTERRUPT:
    case SQLITE_NOLFS: return "EIO";
    default: return "";
  }
}

static lurn_status fail (lurn_ctx *ctx, lurn_db *db, int rc, const char *what) {
  if ((rc & 0xff) == SQLITE_NOMEM) return lurn_fail(ctx, LURN_ENOMEM, "%s: out of memory", what);
  snprintf(db->code, sizeof db->code, "%s", code_of(rc));
  const char *message = db->link ? sqlite3_errmsg(db->link) : sqlite3_errstr(rc);
  return lurn_fail(ctx, db->code[0] ? LURN_EIO : LURN_EINVAL, "%s: %s (SQLite code %d)", what, message, rc);
}

/* ------------------------------------------------------------------ the log of writes */

/* The log of writes, written with one call a commit.
 *
 * SQLite writes the pages of a commit one by one, each behind a head of 24 bytes. On a file system with a journal that
 * takes longer than all else that a small commit does: 26 writes of a trial's 13 pages take 80 microseconds on ext4, one
 * write of the same bytes 10. So while a COMMIT is played, what it appends to the log is gathered and written when the
 * page comes that ends the transaction, before SQLite tells anybody that it is there. Whatever else is done to the log
 * meanwhile ends the gathering first.
 *
 * A page is preceded by its number and, in the page that ends a transaction, the size of the database, which is zero in
 * all others (sqlite.org/fileformat2.html, 4.1).
 */

/* Of a page: the bytes before it, and least bytes of one. */
enum { HEAD = 24, LEAST_PAGE = 512, ROOM = 1 << 17 };

/* The log's file is SQLite's own; what is done to it goes through methods, of which some are ours. They are the first
 * member, so the file leads back to us. */
typedef struct write_log {
  sqlite3_io_methods methods;
  const sqlite3_io_methods *system;     /* those that it had */
  int gathers;
  int has_head, is_last;        /* what is gathered ends with a head; whether its page ends the transaction */
  sqlite3_int64 at;             /* where what is gathered belongs; once it is written, its end */
  int size;
  char bytes[ROOM];
} write_log;

static write_log *log_of (sqlite3_file *file) { return (write_log *)(uintptr_t)file->pMethods; }

static int put (write_log *log, sqlite3_file *file) {
  int rc = log->size > 0 ? log->system->xWrite(file, log->bytes, log->size, log->at) : SQLITE_OK;
  log->at += log->size;
  log->size = 0;
  return rc;
}

static int stop (write_log *log, sqlite3_file *file) {
  log->gathers = 0;
  return put(log, file);
}

/* Whether these bytes go on what is gathered: a head, or the page of the head before. */
static int goes_on (const write_log *log, int n, sqlite3_int64 at) {
  if ((log->size > 0 || log->has_head) && at != log->at + log->size) return 0;
  return log->has_head ? n >= LEAST_PAGE && n <= ROOM / 2 : n == HEAD;
}

static int write_bytes (sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at) {
  static const char none[4];
  write_log *log = log_of(file);
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
  write_log *log = log_of(file);
  int rc = log->size > 0 ? stop(log, file) : SQLITE_OK;
  return rc == SQLITE_OK ? log->system->xRead(file, bytes, n, at) : rc;
}

static int sync_bytes (sqlite3_file *file, int flags) {
  write_log *log = log_of(file);
  int rc = log->size > 0 ? stop(log, file) : SQLITE_OK;
  return rc == SQLITE_OK ? log->system->xSync(file, flags) : rc;
}

static write_log *log_open (void) {
  write_log *log = sqlite3_malloc64(sizeof *log);
  if (log) memset(log, 0, sizeof *log);
  return log;
}

/* NULL: there is none. */
static sqlite3_file *file_of (sqlite3 *link) {
  sqlite3_file *file = NULL;
  int rc = sqlite3_file_control(link, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  return rc == SQLITE_OK && file && file->pMethods ? file : NULL;
}

/* SQLite opens the log when it needs it. */
static int take_over (write_log *log, sqlite3_file *file) {
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

/* Plays a COMMIT, as sqlite3_step. */
static int log_commit (write_log *log, sqlite3 *link, sqlite3_stmt *commit) {
  log->has_head = log->size = 0;
  log->gathers = take_over(log, file_of(link));
  int rc = sqlite3_step(commit);
  log->gathers = 0;
  log->size = 0;                /* of a commit that failed: nobody may see it */
  return rc;
}

/* Commits, and the log's name, are on disk. */
static int log_sync (sqlite3 *link) {
  sqlite3_file *file = file_of(link);
  return file ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) : SQLITE_OK;
}

/* ------------------------------------------------------------------ open and close */

/* Asked while another connection writes. SQLite's own handler sleeps longer the longer somebody waits, which lets
 * whoever comes last win; this one asks more often. */
static int wait_for_others (void *ud, int asked) {
  lurn_db *db = ud;
  if (asked == 0) db->since = lurn_sys_clock();
  if (lurn_sys_clock() - db->since >= db->patience) return 0;
  lurn_sys_sleep(0.004 / (1 + (asked < 64 ? asked : 64) / 8));
  return 1;
}

static void sqlite_close (lurn_db *db) {
  for (int k = 0; k < LURN_DB_PLACES; k++) sqlite3_finalize(db->place[k]);
  memset(db->place, 0, sizeof db->place);
  sqlite3_close(db->link);
  sqlite3_free(db->log);
  db->link = db->log = NULL;
}

static int note_mode (void *ud, int columns, char **values, char **names) {
  (void)names;
  *(int *)ud = columns == 1 && values[0] && strcmp(values[0], "wal") == 0;
  return 0;
}

/* Where there is no log of writes (a file system without shared memory), a commit itself has to wait. */
static int setup (lurn_db *db, int read_only) {
  int has_log = 0;
  sqlite3_extended_result_codes(db->link, 1);
  sqlite3_busy_handler(db->link, wait_for_others, db);
  int rc = read_only ? SQLITE_OK : sqlite3_exec(db->link, "PRAGMA journal_mode = WAL", note_mode, &has_log, NULL);
  const char *sync = has_log ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL";
  if (rc == SQLITE_OK) rc = sqlite3_exec(db->link, sync, NULL, NULL, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(db->link, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
  if (rc == SQLITE_OK && has_log) db->log = log_open();
  return rc == SQLITE_OK && has_log && !db->log ? SQLITE_NOMEM : rc;
}

static lurn_status sqlite_open (lurn_ctx *ctx, lurn_db *db, const char *path, int read_only) {
  char network[LURN_SYS_FILESYSTEM];
  if (lurn_sys_network(path, network)[0]) {
    snprintf(db->code, sizeof db->code, "EIO");
    return lurn_fail(ctx, LURN_EIO, "%s: lies on a network file system (%s), on which SQLite loses data. Use a file on a "
                     "local disk, dir:/shared/folder, or postgresql://", path, network);
  }
  int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3 *link = NULL;
  int rc = sqlite3_open_v2(path, &link, flags | SQLITE_OPEN_NOMUTEX, NULL);
  db->link = link;
  if (rc == SQLITE_OK) rc = setup(db, read_only);
  if (rc == SQLITE_OK) return LURN_OK;
  lurn_status status = fail(ctx, db, rc, path);
  sqlite_close(db);
  return status;
}

/* ------------------------------------------------------------------ statements */

static lurn_status sqlite_prepare (lurn_ctx *ctx, lurn_db *db, int place, const char *sql) {
  sqlite3_stmt *statement = NULL;
  int rc = sqlite3_prepare_v3(db->link, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
  db->place[place] = statement;
  return rc == SQLITE_OK ? LURN_OK : fail(ctx, db, rc, sql);
}

static int bind (sqlite3_stmt *statement, int k, const lurn_db_value *v) {
  switch (v->type) {
    case LURN_DB_INTEGER: return sqlite3_bind_int64(statement, k, v->i);
    case LURN_DB_REAL: return sqlite3_bind_double(statement, k, v->d);
    case LURN_DB_TEXT: return sqlite3_bind_text64(statement, k, v->text, v->size, SQLITE_TRANSIENT, SQLITE_UTF8);
    default: return sqlite3_bind_null(statement, k);
  }
}

static lurn_status sqlite_run (lurn_ctx *ctx, lurn_db *db, int place, int n, const lurn_db_value *values) {
  sqlite3_stmt *statement = db->place[place];
  db->current = place;
  if (sqlite3_bind_parameter_count(statement) != n)
    return lurn_fail(ctx, LURN_EINVAL, "%s: %d parameters, got %d values", sqlite3_sql(statement),
                     sqlite3_bind_parameter_count(statement), n);
  for (int k = 0; k < n; k++) {
    int rc = bind(statement, k + 1, values + k);
    if (rc != SQLITE_OK) return fail(ctx, db, rc, sqlite3_sql(statement));
  }
  return LURN_OK;
}

static lurn_status sqlite_row (lurn_ctx *ctx, lurn_db *db, int *columns) {
  sqlite3_stmt *statement = db->place[db->current];
  int commits = db->log && strcmp(sqlite3_sql(statement), "COMMIT") == 0;
  int rc = commits ? log_commit(db->log, db->link, statement) : sqlite3_step(statement);
  *columns = rc == SQLITE_ROW ? sqlite3_column_count(statement) : 0;
  if (rc == SQLITE_ROW || rc == SQLITE_DONE) return LURN_OK;
  return fail(ctx, db, rc, sqlite3_sql(statement));
}

static lurn_db_value sqlite_column (lurn_db *db, int k) {
  sqlite3_stmt *statement = db->place[db->current];
  lurn_db_value v = {0};
  switch (sqlite3_column_type(statement, k)) {
    case SQLITE_INTEGER: v.type = LURN_DB_INTEGER; v.i = sqlite3_column_int64(statement, k); break;
    case SQLITE_FLOAT: v.type = LURN_DB_REAL; v.d = sqlite3_column_double(statement, k); break;
    case SQLITE_NULL: break;
    default:
      v.type = LURN_DB_TEXT;
      v.text = sqlite3_column_blob(statement, k);
      v.size = (size_t)sqlite3_column_bytes(statement, k);
  }
  return v;
}

static int64_t sqlite_changes (lurn_db *db) { return sqlite3_changes(db->link); }

static void sqlite_done (lurn_db *db) {
  sqlite3_stmt *statement = db->place[db->current];
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

/* Commits are in the log of writes, in order and whole. Synced here, and not by the commit (synchronous FULL), which would
 * do so while it keeps the others from writing. A log that another process has begun anew meanwhile was synced before
 * that. */
static lurn_status sqlite_sync (lurn_ctx *ctx, lurn_db *db) {
  int rc = log_sync(db->link);
  if (rc == SQLITE_OK) return LURN_OK;
  snprintf(db->code, sizeof db->code, "EIO");
  return lurn_fail(ctx, LURN_EIO, "the log of writes could not be synced: %s (SQLite code %d)",
                   sqlite3_errstr(rc), rc);
}

static const char *sqlite_version (char *text, size_t size) {
  snprintf(text, size, "%s", sqlite3_libversion());
  return text;
}

const lurn_db_driver lurn_sqlite = {"sqlite", sqlite_open, sqlite_close, sqlite_prepare, sqlite_run, sqlite_row,
                                    sqlite_column, sqlite_changes, sqlite_done, sqlite_sync, sqlite_version};
