/* sqlite.h: SQLite, a database in a file. See db.h.
 *
 * Write-ahead log, foreign keys checked, extended result codes. A write-ahead log needs memory that all processes share:
 * files on network file systems are refused. A commit survives the end of every process at once, and a power cut when
 * the log was synced since: whoever waits for the disk does so when others can write already.
 * Who waits for another writer asks the more often the longer it waits, so that nobody waits for ever.
 */
#ifndef LURN_SQLITE_H
#define LURN_SQLITE_H

#include "db.h"

extern const lurn_db_driver lurn_sqlite;

#endif
