/* feed.c: batches from a split. */
#include "feed.h"

#include <stdio.h>
#include <string.h>

/* What is played of a column set: its columns, and y made of x when targets are "next". */
static int fields_of (const lurn_data *d) { return d->ncolumn + d->next; }

/* The column behind a field, and how many frames ahead it is read. */
static int source_of (const lurn_data *d, int field, int *shift) {
  *shift = field == d->ncolumn;
  return *shift ? 0 : field;
}

static int64_t least (int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most (int64_t a, int64_t b) { return a > b ? a : b; }

/* ------------------------------------------------------------------ what there is to play */

typedef struct span { int64_t first, last; } span;

static int64_t ranges_of (const lurn_feed *f, const lurn_split **s) {
  *s = f->how.split ? lurn_data_split(f->data, f->split) : NULL;
  return *s ? (*s)->nrange : 1;
}

/* The i-th range, in frames or sequences as the set counts. Without a split: everything. */
static span range_of (const lurn_feed *f, int64_t i) {
  const lurn_split *s;
  ranges_of(f, &s);
  if (s) return (span){s->range[2 * i], s->range[2 * i + 1]};
  return (span){0, f->data->unit == LURN_UNIT_FRAME ? f->data->total : f->data->n};
}

/* Calls for every piece: ranges of frames for a stream, else sequences. With item NULL it counts. */
static void walk_items (lurn_feed *f, int64_t *item) {
  const lurn_data *d = f->data;
  const lurn_split *s;
  int by_frame = d->unit == LURN_UNIT_FRAME, stream = f->how.mode == LURN_FEED_STREAM;
  int64_t n = 0, ranges = ranges_of(f, &s), longest = 0, frames = 0, longest2 = 0, frames2 = 0;
  for (int64_t r = 0; r < ranges; r++) {
    span range = range_of(f, r);
    int64_t pieces = by_frame || stream ? 1 : range.last - range.first;
    for (int64_t k = 0; k < pieces; k++) {
      int64_t from = by_frame ? range.first : d->offset[stream ? range.first : range.first + k];
      int64_t to = by_frame ? range.last : d->offset[stream ? range.last : range.first + k + 1];
      int64_t steps = to - from - (stream ? 0 : d->next);
      if (steps < 1) continue;
      if (item) memcpy(item + 3 * n, ((int64_t[3]){from, steps, by_frame ? r : range.first + k}), 3 * sizeof *item);
      longest = most(longest, steps);
      frames += steps;
      n++;
      if (!d->offset2) continue;
      int64_t steps2 = d->offset2[range.first + k + 1] - d->offset2[range.first + k];
      longest2 = most(longest2, steps2);
      frames2 += steps2;
    }
  }
  f->nitem = n;
  f->T2 = (int)least(longest2, INT32_MAX);
  f->frames2 = frames2;
  f->frames = stream ? most(frames - d->next, 0) : frames;
  f->T = (int)least(f->how.seq > 0 ? least(f->how.seq, stream ? f->frames : longest) : longest, INT32_MAX);
}

static lurn_status check_how (lurn_ctx *ctx, const lurn_feed *f) {
  const lurn_data *d = f->data;
  int y = lurn_data_column(d, "y");
  int per_sequence = y > 0 && d->column[y].axis == LURN_ROW;
  int stream = f->how.mode == LURN_FEED_STREAM;
  if (f->how.split && lurn_data_split(d, f->split) == NULL)
    return lurn_fail(ctx, LURN_EINVAL, "%s: no split %s", d->name, f->how.split);
  if (stream && f->how.seq < 1) return lurn_fail(ctx, LURN_EINVAL, "a stream needs a length of its windows, seq");
  if (stream && f->how.bucket) return lurn_fail(ctx, LURN_EINVAL, "a stream has one order: bucket is for sequences");
  if (f->how.bucket < 0) return lurn_fail(ctx, LURN_EINVAL, "bucket: expected a number of batches, got %d", f->how.bucket);
  if (f->how.B < 1) return lurn_fail(ctx, LURN_EINVAL, "a batch of %d rows", f->how.B);
  if (d->offset2 && (stream || f->how.seq > 0 || d->unit == LURN_UNIT_FRAME))
    return lurn_fail(ctx, LURN_EINVAL, "%s: a second time axis needs whole sequences, without windows (seq)", d->name);
  if (f->how.stride < 0 || f->how.stride > f->how.seq)
    return lurn_fail(ctx, LURN_EINVAL, "stride: expected 1 to seq, %d, got %d", f->how.seq, f->how.stride);
  int numbers = (y > 0 || d->next) && d->column[y > 0 ? y : 0].store == LURN_STORE_REAL;
  if (f->how.stride && numbers && lurn_data_column(d, "mask") < 0)
    return lurn_fail(ctx, LURN_EINVAL, "%s: stride: targets that are numbers need a column mask", d->name);
  if (per_sequence && (stream || f->how.seq > 0 || d->unit == LURN_UNIT_FRAME))
    return lurn_fail(ctx, LURN_EINVAL, "%s: one target for a whole sequence needs whole sequences, without windows (seq)", d->name);
  return LURN_OK;
}

/* ------------------------------------------------------------------ memory */

static size_t value_size (const lurn_column *c) {
  return (size_t)c->cols * lurn_dtype_size(c->store == LURN_STORE_REAL ? LURN_REAL : LURN_INDEX);
}

static int64_t groups_of (const lurn_feed *f) { return f->B > 0 ? (f->nitem + f->B - 1) / f->B : 0; }

static void lay_out (lurn_feed *f, char *base) {
  const lurn_data *d = f->data;
  size_t at = 0, B = (size_t)f->B, T = (size_t)f->T, widest = 1;
  f->item = lurn_take(base, &at, (size_t)f->nitem * 3 * sizeof *f->item);
  f->order = lurn_take(base, &at, (size_t)f->nitem * sizeof *f->order);
  f->scratch = lurn_take(base, &at, f->how.bucket ? (size_t)f->nitem * sizeof *f->scratch : 0);
  f->group = lurn_take(base, &at, (size_t)(groups_of(f) + 1) * sizeof *f->group);
  f->at = lurn_take(base, &at, B * sizeof *f->at);
  f->pos = lurn_take(base, &at, B * sizeof *f->pos);
  f->seq = lurn_take(base, &at, B * sizeof *f->seq);
  f->length = lurn_take(base, &at, B * sizeof *f->length);
  f->live = lurn_take(base, &at, T * sizeof *f->live);
  f->start = lurn_take(base, &at, (T + 1) * sizeof *f->start);
  size_t second = d->offset2 ? B : 0;
  f->seq2 = lurn_take(base, &at, second * sizeof *f->seq2);
  f->pos2 = lurn_take(base, &at, second * sizeof *f->pos2);
  f->length2 = lurn_take(base, &at, second * sizeof *f->length2);
  f->place = lurn_take(base, &at, second * sizeof *f->place);
  f->rank = lurn_take(base, &at, second * sizeof *f->rank);
  f->live2 = lurn_take(base, &at, (size_t)f->T2 * sizeof *f->live2);
  f->start2 = lurn_take(base, &at, ((size_t)f->T2 + 1) * sizeof *f->start2);
  for (int i = 0; i < fields_of(d); i++) {
    int shift;
    const lurn_column *c = &d->column[source_of(d, i, &shift)];
    size_t rows = c->axis == LURN_ROW ? B : c->axis == LURN_TIME2 ? (size_t)f->N2 : (size_t)f->N;
    f->field[i] = lurn_take(base, &at, rows * value_size(c));
    if (value_size(c) > widest) widest = value_size(c);
  }
  f->run = lurn_take(base, &at, (size_t)most(f->T, f->T2) * widest);
  f->bytes = at;
}

/* Rows of a stream: as many as are wanted, unless the windows would then be shorter than seq. */
static int64_t rows_of (const lurn_feed *f) {
  if (f->how.mode == LURN_FEED_SEQUENCE) return least(f->how.B, f->nitem);
  return f->frames == 0 ? 0 : most(1, least(f->how.B, f->frames / f->how.seq));
}

lurn_status lurn_feed_plan (lurn_ctx *ctx, lurn_feed *f, lurn_data *data, const lurn_feed_options *how) {
  memset(f, 0, sizeof *f);
  f->data = data;
  f->how = *how;
  f->epoch = -1;
  if (how->split) snprintf(f->split, sizeof f->split, "%s", how->split);
  lurn_status status = check_how(ctx, f);
  if (status != LURN_OK) return status;
  walk_items(f, NULL);
  f->B = (int)rows_of(f);
  int64_t frames = least((int64_t)f->B * f->T, f->frames);
  if (frames >= INT32_MAX)      /* a longest sequence of more frames has been cut to as many */
    return lurn_fail(ctx, LURN_EINVAL, "%s: batches of %lld frames: ask for fewer rows or for windows (seq)", data->name, (long long)frames);
  f->N = (int)frames;
  int64_t frames2 = least((int64_t)f->B * f->T2, f->frames2);
  if (frames2 >= INT32_MAX) return lurn_fail(ctx, LURN_EINVAL, "%s: batches of %lld frames along the second time axis",
                                            data->name, (long long)frames2);
  f->N2 = (int)frames2;
  lay_out(f, NULL);
  return LURN_OK;
}

void lurn_feed_place (lurn_feed *f, void *memory) {
  lay_out(f, memory);
  walk_items(f, f->item);
}

/* ------------------------------------------------------------------ order */

/* New frames of a window; 0: all that there are. */
static int64_t stride_of (const lurn_feed *f) { return f->how.stride ? f->how.stride : f->how.seq; }

static int64_t windows_of (const lurn_feed *f, int64_t steps) {
  return f->how.seq > 0 ? (steps + stride_of(f) - 1) / stride_of(f) : 1;
}

/* Where the window begins whose new frames begin at `from`. */
static int64_t begin_of (const lurn_feed *f, int64_t from) { return most(0, from + stride_of(f) - f->how.seq); }

/* The state is handed on at the step where the next window begins: behind the last one when they do not overlap. */
static int hand_of (const lurn_feed *f, int64_t from) {
  return stride_of(f) < f->how.seq ? (int)(begin_of(f, from + stride_of(f)) - begin_of(f, from)) : 0;
}

static int64_t steps_at (const lurn_feed *f, int64_t place) { return f->item[3 * f->order[place] + 1]; }

/* Two sorted runs of the order into one, longest first, equals in the order in which they came. */
static void merge (lurn_feed *f, int64_t from, int64_t mid, int64_t to) {
  int64_t a = from, b = mid;
  for (int64_t n = from; n < to; n++)
    f->scratch[n] = f->order[b >= to || (a < mid && steps_at(f, a) >= steps_at(f, b)) ? a++ : b++];
  memcpy(f->order + from, f->scratch + from, sizeof *f->order * (size_t)(to - from));
}

static void sort_chunk (lurn_feed *f, int64_t from, int64_t to) {
  for (int64_t run = 1; run < to - from; run *= 2)
    for (int64_t at = from; at + run < to; at += 2 * run) merge(f, at, at + run, least(at + 2 * run, to));
}

/* Sorts chunk by chunk; then, when the order is a shuffled one, whole batches change places. */
static void fill_buckets (lurn_feed *f, const char *name) {
  int64_t chunk = (int64_t)f->how.bucket * f->B, whole = f->nitem / f->B;
  for (int64_t at = 0; at < f->nitem; at += chunk) sort_chunk(f, at, least(at + chunk, f->nitem));
  if (!f->how.shuffle) return;
  lurn_random_permutation(f->group, whole, lurn_key_make(f->how.seed, LURN_PURPOSE_SHUFFLE, name));
  memcpy(f->scratch, f->order, sizeof *f->order * (size_t)f->nitem);
  for (int64_t g = 0; g < whole; g++)
    memcpy(f->order + g * f->B, f->scratch + f->group[g] * f->B, sizeof *f->order * (size_t)f->B);
}

/* The order of an epoch is drawn when it is asked for first; any epoch can be asked for at any time. */
static void draw_epoch (lurn_feed *f, int64_t epoch) {
  char name[64];
  if (f->epoch == epoch) return;
  snprintf(name, sizeof name, "%s/%lld", f->split, (long long)epoch);
  if (f->how.shuffle) lurn_random_permutation(f->order, f->nitem, lurn_key_make(f->how.seed, LURN_PURPOSE_SHUFFLE, name));
  else for (int64_t i = 0; i < f->nitem; i++) f->order[i] = i;
  snprintf(name, sizeof name, "%s/%lld/batches", f->split, (long long)epoch);
  if (f->how.bucket) fill_buckets(f, name);
  f->group[0] = 0;
  for (int64_t g = 0; g < groups_of(f); g++) {
    int64_t longest = 0;
    for (int64_t i = g * f->B; i < least((g + 1) * f->B, f->nitem); i++)
      longest = most(longest, steps_at(f, i));
    f->group[g + 1] = f->group[g] + windows_of(f, longest);
  }
  f->epoch = epoch;
}

int64_t lurn_feed_steps (lurn_feed *f, int64_t epoch) {
  if (f->B == 0) return 0;
  if (f->how.mode == LURN_FEED_STREAM) return windows_of(f, (f->frames + f->B - 1) / f->B);
  draw_epoch(f, epoch);
  return f->group[groups_of(f)];
}

int64_t lurn_feed_frames (const lurn_feed *f) { return f->frames; }

/* ------------------------------------------------------------------ rows of a batch */

/* Row r has the steps [r*L + min(r, rest), ...) of the stream: the first `rest` rows one more. */
static int stream_rows (lurn_feed *f, int64_t step, lurn_batch *out) {
  int64_t L = f->frames / f->B, rest = f->frames % f->B, from = step * stride_of(f), begin = begin_of(f, from);
  int B = 0;
  out->carry = begin > 0;
  out->hand = hand_of(f, from);
  f->old = (int32_t)(from - begin);
  for (int64_t r = 0; r < f->B; r++) {
    int64_t left = L + (r < rest) - from;
    if (left < 1) break;
    f->at[r] = r * L + least(r, rest) + begin;
    f->pos[r] = begin;
    f->seq[r] = (uint64_t)r;
    f->length[r] = f->old + (int32_t)least(left, stride_of(f));
    B++;
  }
  return B;
}

static int64_t group_of (const lurn_feed *f, int64_t step) {
  int64_t low = 0, high = groups_of(f);
  while (high - low > 1) {
    int64_t mid = low + (high - low) / 2;
    if (f->group[mid] <= step) low = mid;
    else high = mid;
  }
  return low;
}

/* Insertion keeps equals in order; groups are small, and sorted for good once they have been sorted. */
static void sort_group (lurn_feed *f, int64_t *order, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    int64_t one = order[i], j = i;
    for (; j > 0 && f->item[3 * order[j - 1] + 1] < f->item[3 * one + 1]; j--) order[j] = order[j - 1];
    order[j] = one;
  }
}

static int sequence_rows (lurn_feed *f, int64_t step, lurn_batch *out) {
  int64_t g = group_of(f, step), from = (step - f->group[g]) * stride_of(f), begin = f->how.seq > 0 ? begin_of(f, from) : 0;
  int64_t *order = f->order + g * f->B, n = least(f->B, f->nitem - g * f->B);
  int B = 0;
  sort_group(f, order, n);
  out->carry = begin > 0;
  out->hand = hand_of(f, from);
  f->old = (int32_t)(from - begin);
  for (int64_t r = 0; r < n; r++) {
    const int64_t *item = f->item + 3 * order[r];
    int64_t left = item[1] - from;
    if (left < 1) break;
    f->at[r] = item[0] + begin;
    f->pos[r] = begin;
    f->seq[r] = (uint64_t)item[2];
    f->length[r] = f->old + (int32_t)(f->how.seq > 0 ? least(left, stride_of(f)) : left);
    B++;
  }
  return B;
}

/* ------------------------------------------------------------------ values of a batch */

/* Frames of a stream lie in its ranges, one after the other. */
static lurn_status read_stream (lurn_ctx *ctx, lurn_feed *f, int column, int64_t at, int64_t n) {
  size_t row = value_size(&f->data->column[column]);
  char *to = f->run;
  for (int64_t i = 0; i < f->nitem && n > 0; i++) {
    int64_t size = f->item[3 * i + 1];
    if (at >= size) {
      at -= size;
      continue;
    }
    int64_t k = least(n, size - at);
    lurn_status status = lurn_data_read(ctx, f->data, column, f->item[3 * i] + at, k, to);
    if (status != LURN_OK) return status;
    to += (size_t)k * row;
    n -= k;
    at = 0;
  }
  return LURN_OK;
}

static lurn_status read_run (lurn_ctx *ctx, lurn_feed *f, int column, int64_t at, int64_t n) {
  if (f->how.mode == LURN_FEED_STREAM) return read_stream(ctx, f, column, at, n);
  return lurn_data_read(ctx, f->data, column, at, n, f->run);
}

/* One row of a batch into its places: step t of row r is frame start[t] + r. */
static void scatter (const lurn_feed *f, const int32_t *start, int32_t length, int r, size_t row, char *to) {
  const char *from = f->run;
  for (int32_t t = 0; t < length; t++, from += row) {
    char *place = to + ((size_t)start[t] + (size_t)r) * row;
    if (row == sizeof(int32_t)) memcpy(place, from, sizeof(int32_t));
    else memcpy(place, from, row);
  }
}

static lurn_status fill_field (lurn_ctx *ctx, lurn_feed *f, int index, int B, lurn_field *field) {
  int shift, column = source_of(f->data, index, &shift);
  const lurn_column *c = &f->data->column[column];
  lurn_status status = LURN_OK;
  snprintf(field->name, sizeof field->name, "%s", shift ? "y" : c->name);
  field->dtype = c->store == LURN_STORE_REAL ? LURN_REAL : LURN_INDEX;
  field->axis = c->axis;
  field->cols = c->cols;
  field->data = f->field[index];
  size_t row = value_size(c);
  for (int r = 0; r < B && status == LURN_OK; r++) {
    char *to = f->field[index];
    if (c->axis == LURN_ROW) {
      status = lurn_data_read(ctx, f->data, column, (int64_t)f->seq[r], 1, to + (size_t)r * row);
      continue;
    }
    if (c->axis == LURN_TIME2) {
      status = lurn_data_read(ctx, f->data, column, f->data->offset2[f->seq2[r]], f->length2[r], f->run);
      if (status == LURN_OK) scatter(f, f->start2, f->length2[r], r, row, to);
      continue;
    }
    status = read_run(ctx, f, column, f->at[r] + shift, f->length[r]);
    if (status == LURN_OK) scatter(f, f->start, f->length[r], r, row, to);
  }
  return status;
}

/* The rows of the batch along the second time axis, longest first. */
static void lay_second (lurn_feed *f, lurn_batch *out) {
  const int64_t *offset = f->data->offset2;
  for (int r = 0; r < out->B; r++) {
    int32_t n = (int32_t)(offset[f->seq[r] + 1] - offset[f->seq[r]]);
    int at = r;
    for (; at > 0 && f->length2[at - 1] < n; at--) {
      f->length2[at] = f->length2[at - 1];
      f->place[at] = f->place[at - 1];
    }
    f->length2[at] = n;
    f->place[at] = r;
  }
  for (int r = 0; r < out->B; r++) {
    f->rank[f->place[r]] = r;
    f->seq2[r] = f->seq[f->place[r]];
    f->pos2[r] = 0;
  }
  f->along = (lurn_batch){.T = f->length2[0], .B = out->B, .live = f->live2, .start = f->start2, .seq = f->seq2,
                          .pos = f->pos2, .place = f->place, .rank = f->rank};
  f->along.N = lurn_batch_pack(out->B, f->length2, f->live2, f->start2);
  out->along[0] = &f->along;
}

/* What was a target in an earlier window is none in this one, and weighs nothing. */
static void forget_old (const lurn_feed *f, const lurn_field *field) {
  int targets = strcmp(field->name, "y") == 0, mask = strcmp(field->name, "mask") == 0;
  if (f->old == 0 || field->axis != LURN_TIME) return;
  size_t frames = (size_t)f->start[f->old];
  if (mask) memset((void *)(uintptr_t)field->data, 0, frames * (size_t)field->cols * lurn_dtype_size(field->dtype));
  if (targets && field->dtype == LURN_INDEX) memset((void *)(uintptr_t)field->data, -1, frames * sizeof(int32_t));
}

lurn_status lurn_feed_batch (lurn_ctx *ctx, lurn_feed *f, int64_t epoch, int64_t step, lurn_batch *out) {
  int64_t steps = lurn_feed_steps(f, epoch);
  uint64_t serial = out->serial;
  memset(out, 0, sizeof *out);
  out->serial = serial + 1;
  if (steps == 0)
    return lurn_fail(ctx, LURN_EINVAL, "%s: nothing to play in %s: not one target", f->data->name, f->split[0] ? f->split : "it");
  if (step < 0 || step >= steps)
    return lurn_fail(ctx, LURN_EINVAL, "batch %lld of an epoch of %lld", (long long)step + 1, (long long)steps);
  out->B = f->how.mode == LURN_FEED_STREAM ? stream_rows(f, step, out) : sequence_rows(f, step, out);
  out->T = f->length[0];
  out->N = lurn_batch_pack(out->B, f->length, f->live, f->start);
  out->live = f->live;
  out->start = f->start;
  out->seq = f->seq;
  out->pos = f->pos;
  out->nfield = fields_of(f->data);
  if (f->data->offset2) lay_second(f, out);
  lurn_status status = LURN_OK;
  for (int i = 0; i < out->nfield && status == LURN_OK; i++) {
    status = fill_field(ctx, f, i, out->B, &out->field[i]);
    if (status == LURN_OK) forget_old(f, &out->field[i]);
  }
  return status;
}
