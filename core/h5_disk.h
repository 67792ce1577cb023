/* h5_disk.h: the driver through which HDF5 writes a document; for hdf5.c alone.
 *
 * HDF5 does not survive a failed write: it keeps the file half closed and crashes over it at exit.
 * So it writes through a driver that never fails. The first error is noted in the document,
 * nothing is written after it, and commit refuses.
 */
#ifndef LURN_H5_DISK_H
#define LURN_H5_DISK_H

#include "h5.h"

/* Registers the driver: its identifier, which the caller gives back, or a negative number. Its information in a file
 * access list is a pointer to the lurn_h5 that is written: fd is where the bytes go, error the first error number. */
int64_t lurn_h5_disk (void);

#endif
