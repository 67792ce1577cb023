/* text.h: makes a data set of one long text.
 *
 * The text is read twice, a megabyte at a time: once to count, once to write ids. So its size is limited
 * by the disk alone. Symbols are bytes, or the characters of UTF-8; ids are in the order of code
 * points. In the vocabulary byte b stands as the character U+00b, and an empty text as U+0000.
 */
#ifndef LURN_TEXT_H
#define LURN_TEXT_H

#include "data.h"

typedef struct lurn_text_options {
  const char *path, *out;
  int bytes;                    /* symbols are bytes, not characters */
  double part[3];               /* of train, valid, test; any scale; 0: no such split */
  int64_t min_count;            /* rarer symbols become "<unk>", the last id; 0 and 1: none do */
  const lurn_words *vocab;      /* frozen; NULL: from the text */
  int64_t unknown;              /* the frozen vocabulary's id for what it lacks; -1: none */
  const char *source, *licence; /* may be NULL */
} lurn_text_options;

lurn_status lurn_text_import (lurn_ctx *ctx, const lurn_text_options *o);

#endif
