/* sink.h: text into memory that may be too small, or not there at all: the length is counted
 * either way, so that a caller can measure first and print then. Used by the text forms.
 */
#ifndef LURN_SINK_H
#define LURN_SINK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

static inline void lurn_sink_bytes (lurn_sink *s, const char *text, size_t n) {
  size_t room = s->at < s->size ? s->size - s->at - 1 : 0, some = n < room ? n : room;
  if (s->at < s->size) {
    memcpy(s->text + s->at, text, some);
    s->text[s->at + some] = 0;
  }
  s->at += n;
}

/* What "%s" and "%d" put, without reading a format: a program is printed several times before a run's first step. */
static inline void lurn_sink_text (lurn_sink *s, const char *text) { lurn_sink_bytes(s, text, strlen(text)); }

static inline void lurn_sink_whole (lurn_sink *s, int n) {
  char digits[16], *first = digits + sizeof digits;
  unsigned left = n < 0 ? 0u - (unsigned)n : (unsigned)n;
  do *--first = (char)('0' + left % 10); while (left /= 10);
  if (n < 0) *--first = '-';
  lurn_sink_bytes(s, first, (size_t)(digits + sizeof digits - first));
}

#endif
