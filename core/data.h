/* data.h: a data set: N ragged sequences, from a file or from memory.
 *
 * A frame is one time step of one sequence. Columns x, y, mask hold a value for every frame (axis
 * LURN_TIME) or for every sequence (axis LURN_ROW; y only): ids, or `cols` reals. offset (N+1)
 * tells where sequences begin: sequence i has the frames offset[i] .. offset[i+1]-1. What lies along a second time
 * axis of its own (axis LURN_TIME2: source, which an encoder reads, and labels, which nobody has laid along the
 * frames) begins at offset2.
 * Without a column y, targets may be "next": the x of the following frame (a language model).
 * A split is a list of ranges [first, last) of sequences or, for one long text, of frames.
 *
 * From a file (the schema is in datasets/README.md):
 *   lurn_data_open   looks at everything and tells d->bytes;
 *   lurn_data_load   reads into that much memory, aligned to LURN_ALIGN, and checks every value.
 *                    Columns of more than `whole` bytes stay in the file and are read through a
 *                    cache of pages; the file stays open, so that what is read later is what was
 *                    checked, even when somebody replaces the file in the meantime.
 *   lurn_data_close  gives the file back.
 * Over memory: fill the struct (name, n, total, offset, columns, splits) and call lurn_data_check.
 *
 * What is refused, with a message that tells the sequence, step and column, counted from 1: ids
 * outside the vocabulary, more than one of them for a frame or a sequence, a mask of ids, reals that are no finite
 * numbers, offsets that do not ascend, splits outside the data, sets without a frame. The target -1 means none.
 */
#ifndef LURN_DATA_H
#define LURN_DATA_H

#include "batch.h"
#include "h5.h"
#include "sha256.h"

#define LURN_MAX_COLUMNS 5      /* x, y, mask, source, labels */
#define LURN_MAX_SPLITS 8
#define LURN_DATA_WHOLE ((int64_t)256 << 20)    /* bytes up to which a set is read whole */
#define LURN_PAGES 256          /* in the cache of a column that is not */

typedef enum lurn_store { LURN_STORE_BYTE, LURN_STORE_INDEX, LURN_STORE_REAL } lurn_store;
typedef enum lurn_unit { LURN_UNIT_SEQUENCE, LURN_UNIT_FRAME } lurn_unit;

typedef struct lurn_column {
  char name[16];
  lurn_store store;             /* how it lies in memory; batches have real or int32 */
  int axis;                     /* LURN_TIME, LURN_ROW or LURN_TIME2 */
  int cols;
  int64_t limit;                /* ids are below; 0 before the check: what the largest one asks for */
  int64_t rows;
  const void *data;             /* (rows, cols), or NULL: in the file */
  char digest[LURN_SHA256_HEX]; /* of its values, when somebody has formed it already */
  int64_t page_rows;            /* the cache: which page is in which slot, and when it was used */
  int64_t *page;
  uint64_t *used, clock;
  char *slots;
} lurn_column;

typedef struct lurn_split {
  char name[32];
  int64_t nrange;
  int64_t *range;               /* (nrange, 2) */
} lurn_split;

/* Fixed-width texts in id order. */
typedef struct lurn_words { int64_t n, width; const char *text; } lurn_words;

/* What a set says about itself; lurn_notes names them. */
#define LURN_NOTES 6
#define LURN_NOTE_SIZE 256
extern const char *const lurn_notes[LURN_NOTES];        /* kind, level, source, licence, units, sha256 */
enum { LURN_NOTE_KIND, LURN_NOTE_LEVEL, LURN_NOTE_SOURCE, LURN_NOTE_LICENCE, LURN_NOTE_UNITS, LURN_NOTE_SHA256 };

typedef struct lurn_data {
  char name[LURN_H5_PATH];      /* for messages: the path */
  int64_t n, total;             /* sequences, frames */
  const int64_t *offset;        /* (n+1) */
  const int64_t *offset2;       /* (n+1), along the second time axis; NULL: there is none */
  int ncolumn;
  lurn_column column[LURN_MAX_COLUMNS];         /* x first */
  int next;                     /* targets are the next x */
  lurn_unit unit;
  int nsplit;
  lurn_split split[LURN_MAX_SPLITS];
  lurn_words vocab, classes;
  int64_t unknown;              /* the id that stands for what the vocabulary lacks; -1: none */
  char note[LURN_NOTES][LURN_NOTE_SIZE];
  int64_t whole;
  size_t bytes;
  lurn_h5 file;
} lurn_data;

lurn_status lurn_data_open (lurn_ctx *ctx, lurn_data *d, const char *path, int64_t whole);
lurn_status lurn_data_load (lurn_ctx *ctx, lurn_data *d, void *memory);
void lurn_data_close (lurn_data *d);
lurn_status lurn_data_check (lurn_ctx *ctx, lurn_data *d);

/* Names a column can have, in the order in which they are looked for. */
extern const char *const lurn_column_names[LURN_MAX_COLUMNS];
/* Where the sequences begin of columns on that axis, not one per sequence. */
static inline const int64_t *lurn_data_offset (const lurn_data *d, int axis) {
  return axis == LURN_TIME2 ? d->offset2 : d->offset;
}
/* Rows first .. first+count-1 of a column, as int32 or reals (count, cols). */
lurn_status lurn_data_read (lurn_ctx *ctx, lurn_data *d, int column, int64_t first, int64_t count, void *out);
int lurn_data_column (const lurn_data *d, const char *name);          /* -1: there is none */
const lurn_split *lurn_data_split (const lurn_data *d, const char *name);

/* The hash of the content, whatever file it is in: SHA-256 of a list of the hashes of its parts.
 * The list is described in datasets/README.md. */
lurn_status lurn_data_hash (lurn_ctx *ctx, lurn_data *d, char hex[LURN_SHA256_HEX]);
/* Everything but the columns, with the hash: what an importer that streams its columns needs. */
lurn_status lurn_data_write_head (lurn_ctx *ctx, lurn_data *d, lurn_h5 *f);
lurn_status lurn_data_save (lurn_ctx *ctx, lurn_data *d, const char *path);

#endif
