/* hdf5_disk.c: the file being written, as HDF5 sees it.
 *
 * HDF5 does not survive a failed write: it keeps the file half closed and crashes over it at exit.
 * So it writes through a driver that never fails. The first error is noted in the document (fd is
 * where the bytes go, error the first error number), nothing is written after it, and commit refuses.
 */
#include "hdf5_parts.h"
#include "sys.h"

typedef struct disk {
  H5FD_t base;                  /* HDF5's own part */
  lurn_h5 *f;
  haddr_t eoa, eof;             /* what HDF5 has given out; what has been written */
} disk;

static H5FD_t *disk_open (const char *name, unsigned flags, hid_t access, haddr_t most) {
  lurn_h5 *const *f = H5Pget_driver_info(access);
  (void)name; (void)flags; (void)most;
  disk *d = f ? H5allocate_memory(sizeof *d, 1) : NULL;
  if (d != NULL) d->f = *f;
  return (H5FD_t *)d;
}

static herr_t disk_close (H5FD_t *base) {
  H5free_memory(base);
  return 0;
}

static herr_t disk_query (const H5FD_t *base, unsigned long *flags) {
  (void)base;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE
    | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

static haddr_t disk_get_eoa (const H5FD_t *base, H5FD_mem_t kind) {
  (void)kind;
  return ((const disk *)base)->eoa;
}

static herr_t disk_set_eoa (H5FD_t *base, H5FD_mem_t kind, haddr_t at) {
  (void)kind;
  ((disk *)base)->eoa = at;
  return 0;
}

static haddr_t disk_get_eof (const H5FD_t *base, H5FD_mem_t kind) {
  (void)kind;
  return ((const disk *)base)->eof;
}

static herr_t disk_read (H5FD_t *base, H5FD_mem_t kind, hid_t plan, haddr_t at, size_t n, void *bytes) {
  disk *d = (disk *)base;
  (void)kind; (void)plan;
  int bad = lurn_sys_read_at(d->f->fd, bytes, n, (int64_t)at);
  if (d->f->error == 0) d->f->error = bad;
  return bad ? -1 : 0;
}

static herr_t disk_write (H5FD_t *base, H5FD_mem_t kind, hid_t plan, haddr_t at, size_t n, const void *bytes) {
  disk *d = (disk *)base;
  (void)kind; (void)plan;
  if (d->f->error == 0) d->f->error = lurn_sys_write_at(d->f->fd, bytes, n, (int64_t)at);
  if (at + n > d->eof) d->eof = at + n;
  return 0;
}

/* The file ends where the last thing given out ends, written or not. */
static herr_t disk_truncate (H5FD_t *base, hid_t plan, hbool_t closing) {
  disk *d = (disk *)base;
  (void)plan; (void)closing;
  if (d->eof < d->eoa) disk_write(base, H5FD_MEM_DEFAULT, H5P_DEFAULT, d->eoa - 1, 1, "");
  return 0;
}

static const H5FD_class_t disk_class = {
#ifdef H5FD_CLASS_VERSION
  .version = H5FD_CLASS_VERSION, .value = (H5FD_class_value_t)600,
#endif
  .name = "lurn", .maxaddr = (haddr_t)INT64_MAX, .fc_degree = H5F_CLOSE_STRONG, .fapl_size = sizeof(lurn_h5 *),
  .open = disk_open, .close = disk_close, .query = disk_query, .get_eoa = disk_get_eoa, .set_eoa = disk_set_eoa,
  .get_eof = disk_get_eof, .read = disk_read, .write = disk_write, .truncate = disk_truncate,
  .fl_map = H5FD_FLMAP_DICHOTOMY
};

hid_t lurn_hdf5_disk (void) { return H5FDregister(&disk_class); }
