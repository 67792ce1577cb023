/* sqlite_log.h: SQLite's log of writes, written with one call a commit.
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
#ifndef LURN_SQLITE_LOG_H
#define LURN_SQLITE_LOG_H

#include <sqlite3.h>

typedef struct lurn_sqlite_log lurn_sqlite_log;

lurn_sqlite_log *lurn_sqlite_log_open (void);               /* for one connection; NULL: no memory */
void lurn_sqlite_log_close (lurn_sqlite_log *log);          /* when the connection is closed; NULL is fine */
/* Plays a COMMIT, as sqlite3_step. The connection keeps a log of writes. */
int lurn_sqlite_log_commit (lurn_sqlite_log *log, sqlite3 *link, sqlite3_stmt *commit);
int lurn_sqlite_log_sync (sqlite3 *link);                   /* commits, and the log's name, are on disk */

#endif
