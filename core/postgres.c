/* postgres.c: the only file that knows PostgreSQL. */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LURN_POSTGRES
#include <ctype.h>
#include <libpq-fe.h>
#include <poll.h>

#include "sys.h"

#define LEAST_PATIENCE 1.0      /* seconds: to connect takes several answers of the server */

/* ------------------------------------------------------------------ failures */

/* By SQLSTATE (PostgreSQL manual, appendix A): its class is the first two characters. */
static const char *code_of (const char *state) {
  static const struct { const char *state, *code; } rows[] = {
    {"40", "EBUSY"}, {"55P03", "EBUSY"}, {"23505", "EEXIST"}, {"08", "ECONN"}, {"57P", "ECONN"}, {"25006", "EREADONLY"},
    {"53300", "ECONN"}, {"42501", "EREADONLY"}, {"53", "EIO"}, {"54", "EIO"}, {"57", "EIO"}, {"58", "EIO"},
    {"XX", "EFORMAT"}, {"28", "EIO"}, {"3D", "EIO"}};
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
    if (strncmp(state, rows[k].state, strlen(rows[k].state)) == 0) return rows[k].code;
  return "";
}

/* libpq's messages end with a line break, and have several lines. Only the server's have an SQLSTATE. */
static lurn_status fail (lurn_ctx *ctx, lurn_db *db, const char *what) {
  const char *state = db->result ? PQresultErrorField(db->result, PG_DIAG_SQLSTATE) : NULL;
  const char *message = db->result ? PQresultErrorMessage(db->result) : PQerrorMessage(db->link);
  int gone = PQstatus(db->link) != CONNECTION_OK;
  snprintf(db->code, sizeof db->code, "%s", gone ? "ECONN" : state ? code_of(state) : "EIO");
  int n = (int)strcspn(message, "\n");
  return lurn_fail(ctx, db->code[0] ? LURN_EIO : LURN_EINVAL, "%s: %.*s%s%s%s", what, n, message,
                   state ? " (SQLSTATE " : "", state ? state : "", state ? ")" : "");
}

static void clear (lurn_db *db) {
  PQclear(db->result);
  db->result = NULL;
}

/* Takes a result; whether it is a good one. */
static int take (lurn_db *db, PGresult *result) {
  clear(db);
  db->result = result;
  ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* ------------------------------------------------------------------ open and close */

static void postgres_close (lurn_db *db) {
  clear(db);
  PQfinish(db->link);
  db->link = NULL;
  memset(db->place, 0, sizeof db->place);
}

static void be_quiet (void *ud, const char *message) {
  (void)ud;
  (void)message;
}

/* Goes on with the connection until it is there or failed; 0 when patience ended first: whoever waits has other things to
 * do than to wait for a network that drops what is sent. */
static int connect_within (lurn_db *db, double seconds) {
  double till = lurn_sys_clock() + seconds, left = seconds;
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(db->link) != CONNECTION_BAD && (next == PGRES_POLLING_WRITING || next == PGRES_POLLING_READING)) {
    struct pollfd fd = {.fd = PQsocket(db->link), .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};
    if (left <= 0) return 0;
    if (poll(&fd, 1, left < 1e6 ? (int)(1e3 * left) + 1 : 1000000000) > 0) next = PQconnectPoll(db->link);
    left = till - lurn_sys_clock();
  }
  return 1;
}

/* Of a connection that failed libpq tells no SQLSTATE but in its text: "FATAL:  28P01: ...". "" when the server did not
 * answer, or another time will do. */
static const char *refusal (const char *message) {
  static const char *const classes[] = {"28", "3D", NULL};      /* who you are; there is no such database */
  for (const char *at = strstr(message, ":  "); at; at = strstr(at + 3, ":  ")) {
    size_t n = 0;
    while (n < 5 && (isdigit((unsigned char)at[3 + n]) || isupper((unsigned char)at[3 + n]))) n++;
    if (n < 5 || at[8] != ':') continue;
    for (int k = 0; classes[k]; k++)
      if (strncmp(at + 3, classes[k], 2) == 0) return code_of(at + 3);
  }
  return "";
}

static lurn_status refused (lurn_ctx *ctx, lurn_db *db, int in_time, double seconds) {
  if (!in_time) {
    snprintf(db->code, sizeof db->code, "ECONN");
    return lurn_fail(ctx, LURN_EIO, "postgresql: the server has not answered for %g s", seconds);
  }
  lurn_status status = fail(ctx, db, "postgresql");
  const char *code = refusal(PQerrorMessage(db->link));
  if (code[0]) snprintf(db->code, sizeof db->code, "%s", code);
  return status;
}

static lurn_status postgres_open (lurn_ctx *ctx, lurn_db *db, const char *where, int read_only) {
  /* What the address itself says comes last and holds. */
  static const char *const keys[] = {"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
                                     "fallback_application_name", "client_encoding", "dbname", NULL};
  const char *values[] = {"10", "5", "4", "30000", "lurn", "UTF8", where, NULL};
  double seconds = db->patience > LEAST_PATIENCE ? db->patience : LEAST_PATIENCE;
  db->link = PQconnectStartParams(keys, values, 1);
  if (db->link == NULL) return lurn_fail(ctx, LURN_ENOMEM, "postgresql: out of memory");
  PQsetNoticeProcessor(db->link, be_quiet, NULL);
  PQsetErrorVerbosity(db->link, PQERRORS_VERBOSE);
  int in_time = connect_within(db, seconds);
  int good = in_time && PQstatus(db->link) == CONNECTION_OK;
  if (good) PQsetErrorVerbosity(db->link, PQERRORS_DEFAULT);
  if (good && read_only) good = take(db, PQexec(db->link, "SET default_transaction_read_only = on"));
  if (good) return LURN_OK;
  lurn_status status = refused(ctx, db, in_time, seconds);
  postgres_close(db);
  return status;
}

/* ------------------------------------------------------------------ statements */

static const char *name_of (int place, char name[16]) {
  snprintf(name, 16, "s%d", place);
  return name;
}

static lurn_status postgres_prepare (lurn_ctx *ctx, lurn_db *db, int place, const char *sql) {
  char name[16];
  if (!take(db, PQprepare(db->link, name_of(place, name), sql, 0, NULL))) return fail(ctx, db, sql);
  db->place[place] = db;        /* there is one */
  return LURN_OK;
}

/* A value as a text; numbers go into room. */
static const char *text_of (const lurn_db_value *v, char room[32]) {
  switch (v->type) {
    case LURN_DB_INTEGER: snprintf(room, 32, "%lld", (long long)v->i); return room;
    case LURN_DB_REAL:
      if (v->d != v->d) return "NaN";
      if (v->d - v->d != 0) return v->d > 0 ? "Infinity" : "-Infinity";
      snprintf(room, 32, "%.17g", v->d);
      return room;
    case LURN_DB_TEXT: return v->text;
    default: return NULL;
  }
}

static lurn_status postgres_run (lurn_ctx *ctx, lurn_db *db, int place, int n, const lurn_db_value *values) {
  char name[16], room[LURN_DB_VALUES][32];
  const char *texts[LURN_DB_VALUES];
  if (n > LURN_DB_VALUES)
    return lurn_fail(ctx, LURN_EINVAL, "a statement of %d parameters, more than %d", n, LURN_DB_VALUES);
  for (int k = 0; k < n; k++) {
    texts[k] = text_of(values + k, room[k]);
    if (values[k].type == LURN_DB_TEXT && strlen(values[k].text) != values[k].size)
      return lurn_fail(ctx, LURN_EINVAL, "PostgreSQL keeps no text with a zero byte in it");
  }
  db->current = place;
  db->row = -1;
  if (!take(db, PQexecPrepared(db->link, name_of(place, name), n, texts, NULL, NULL, 0))) return fail(ctx, db, "postgresql");
  return LURN_OK;
}

static lurn_status postgres_row (lurn_ctx *ctx, lurn_db *db, int *columns) {
  (void)ctx;
  *columns = ++db->row < PQntuples(db->result) ? PQnfields(db->result) : 0;
  return LURN_OK;
}

/* Types by their numbers in pg_type, which never change. */
static lurn_db_value postgres_column (lurn_db *db, int k) {
  lurn_db_value v = {0};
  if (PQgetisnull(db->result, db->row, k)) return v;
  const char *text = PQgetvalue(db->result, db->row, k);
  switch (PQftype(db->result, k)) {
    case 20: case 21: case 23: v.type = LURN_DB_INTEGER; v.i = strtoll(text, NULL, 10); break;
    case 16: v.type = LURN_DB_INTEGER; v.i = text[0] == 't'; break;
    case 700: case 701: case 1700: v.type = LURN_DB_REAL; v.d = strtod(text, NULL); break;
    default:
      v.type = LURN_DB_TEXT;
      v.text = text;
      v.size = (size_t)PQgetlength(db->result, db->row, k);
  }
  return v;
}

static int64_t postgres_changes (lurn_db *db) { return db->result ? strtoll(PQcmdTuples(db->result), NULL, 10) : 0; }

static void postgres_done (lurn_db *db) { clear(db); }

static const char *postgres_version (char *text, size_t size) {
  int v = PQlibVersion();
  snprintf(text, size, "%d.%d", v / 10000, v % 10000);
  return text;
}

const lurn_db_driver lurn_postgres = {"postgresql", postgres_open, postgres_close, postgres_prepare, postgres_run,
                                      postgres_row, postgres_column, postgres_changes, postgres_done, NULL,
                                      postgres_version};

#else

static lurn_status postgres_open (lurn_ctx *ctx, lurn_db *db, const char *where, int read_only) {
  (void)where;
  (void)read_only;
  snprintf(db->code, sizeof db->code, "EIO");
  return lurn_fail(ctx, LURN_EIO, "this lurn was built without PostgreSQL: install its library (Debian: libpq-dev) and "
                   "run make again");
}

static void postgres_close (lurn_db *db) { (void)db; }

static const char *postgres_version (char *text, size_t size) {
  snprintf(text, size, "none");
  return text;
}

const lurn_db_driver lurn_postgres = {.name = "postgresql", .open = postgres_open, .close = postgres_close,
                                      .version = postgres_version};

#endif
