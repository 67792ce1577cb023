/* sink.h: text into memory that may be too small, or not there at all: the length is counted
 * either way, so that a caller can measure first and print then. Used by the text forms.
 */
#ifndef LURN_SINK_H
#define LURN_SINK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

typedef struct lurn_sink { char *text; size_t size, at; } lurn_sink;

#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static inline void lurn_sink_put (lurn_sink *s, const char *fmt, ...) {
  va_list args;
  size_t room = s->at < s->size ? s->size - s->at : 0;
  va_start(args, fmt);
  int n = vsnprintf(room ? s->text + s->at : NULL, room, fmt, args);
  va_end(args);
  if (n > 0) s->at += (size_t)n;
}

#endif
