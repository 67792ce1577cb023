/* db.h: a connection to a database, whichever it is: sqlite.h, postgres.h.
 *
 * Statements are prepared once, into one of a connection's places, and run there again and again with other
 * values. `run` starts a statement, `row` goes to its next row (the first time to the first), `done` ends it;
 * one statement runs at a time. Parameters are written $1, $2, ... in order of appearance.
 *
 * Values are 64-bit integers, doubles, texts (UTF-8) and NULL, and come back as what went in.
 *
 * A failure leaves a message in the context and, in `code`, what kind it is:
 *   "EBUSY"    somebody else was faster: the transaction is void, try again
 *   "EEXIST"   such a row is there already
 *   "ECONN"    the connection is gone, and with it the transaction; open another one
 *   "EREADONLY", "EFORMAT" (not a database, or a damaged one), "EIO" (the disk; anything else of the outside)
 * LURN_EINVAL: the statement itself is wrong; `code` is empty.
 */
#ifndef LURN_DB_H
#define LURN_DB_H

#include "base.h"

#define LURN_DB_PLACES 256
#define LURN_DB_VALUES 64        /* parameters of a statement */

typedef enum lurn_db_type { LURN_DB_NULL, LURN_DB_INTEGER, LURN_DB_REAL, LURN_DB_TEXT } lurn_db_type;

typedef struct lurn_db_value {
  lurn_db_type type;
  int64_t i;
  double d;
  const char *text;             /* size bytes; of a column: until the next call */
  size_t size;
} lurn_db_value;

/* All zero is a closed connection, on which close is harmless. */
typedef struct lurn_db {
  const struct lurn_db_driver *driver;
  void *link, *result;
  void *log;                    /* SQLite's: how commits are written */
  void *place[LURN_DB_PLACES];  /* prepared statements */
  int current;                  /* the place of the statement that runs */
  int row;
  double patience, since;       /* seconds to wait for others before EBUSY; when the waiting began */
  char code[12];
} lurn_db;

typedef struct lurn_db_driver {
  const char *name;
  /* read_only: the database is not written to, nor made. */
  lurn_status (*open) (lurn_ctx *ctx, lurn_db *db, const char *where, int read_only);
  void (*close) (lurn_db *db);
  lurn_status (*prepare) (lurn_ctx *ctx, lurn_db *db, int place, const char *sql);
  lurn_status (*run) (lurn_ctx *ctx, lurn_db *db, int place, int n, const lurn_db_value *values);
  lurn_status (*row) (lurn_ctx *ctx, lurn_db *db, int *columns);       /* 0 columns: no further row */
  lurn_db_value (*column) (lurn_db *db, int k);                         /* from 0 */
  int64_t (*changes) (lurn_db *db);                                     /* rows that the statement wrote */
  void (*done) (lurn_db *db);
  /* What was committed is on disk when this returns; before, a power cut may take the last commits. NULL: a commit waits
   * for the disk itself. */
  lurn_status (*sync) (lurn_ctx *ctx, lurn_db *db);
  const char *(*version) (char *text, size_t size);                     /* of the library; returns text */
} lurn_db_driver;

#endif
