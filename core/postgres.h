/* postgres.h: PostgreSQL, a database on a server. See db.h.
 *
 * A build without libpq has the driver, too; its open says that it has not. A server that does not answer counts as
 * gone after half a minute.
 */
#ifndef LURN_POSTGRES_H
#define LURN_POSTGRES_H

#include "db.h"

extern const lurn_db_driver lurn_postgres;

#endif
