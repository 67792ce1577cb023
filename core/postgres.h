/* postgres.h: PostgreSQL, a database on a server. See db.h.
 *
 * A build without libpq has the driver, too; its open says that it has not. To connect takes as long as
 * its patience says (a second at least; looking up a host's name is the system's, and takes what it takes); of several
 * hosts in an address the next one is tried where one refuses, not where it is silent. Later on, a server that does not
 * answer counts as gone after half a minute.
 */
#ifndef LURN_POSTGRES_H
#define LURN_POSTGRES_H

#include "db.h"

extern const lurn_db_driver lurn_postgres;

#endif
