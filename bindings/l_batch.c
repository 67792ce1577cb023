/* l_batch.c: a batch as Lua sees it, and batches made from tensors. */
#include <string.h>

#include "l_data.h"
#include "l_tensor_parts.h"

#define BATCH LB_TYPE("batch")
#define OWNER 1                 /* user value: what keeps the memory */

typedef struct handle {
  lurn_batch b;                 /* first: the model's binding takes the pointer for a lurn_batch */
  const int64_t *order[LURN_MAX_AXES];  /* (B) places in the tensors it was made from; NULL: the batch's own */
  lurn_batch along[LURN_MAX_AXES - 1];
  const lurn_batch *source;     /* whose memory it shares (its user value keeps that); NULL: it has its own */
} handle;

/* Who shares memory with a feed's batch is a copy of what that was: the serial of the copy stays. */
uint64_t l_batchserial (const lurn_batch *b) {
  const handle *h = (const handle *)(const void *)b;
  return h->source ? h->source->serial : b->serial;
}

static handle *check_handle (lua_State *L, int arg) {
  handle *h = luaL_checkudata(L, arg, BATCH);
  if (l_batchserial(&h->b) != h->b.serial)
    luaL_error(L, "the batch that this one was made from is gone: its feed has made another one since");
  return h;
}

lurn_batch *l_checkbatch (lua_State *L, int arg) {
  handle *h = check_handle(L, arg);
  luaL_argcheck(L, h->b.B > 0, arg, "the batch is empty");
  return &h->b;
}

lurn_batch *l_newbatch (lua_State *L, int owner) {
  if (owner != 0) owner = lua_absindex(L, owner);
  handle *h = lb_new(L, BATCH, sizeof *h, 1);
  if (owner != 0) {
    lua_pushvalue(L, owner);
    lua_setiuservalue(L, -2, OWNER);
  }
  return &h->b;
}

/* ------------------------------------------------------------------ looking inside */

/* A copy with its rows side by side, in the order of the first time axis: (T,B,cols), (T,B), (B,cols) or (B). Where
 * a row has ended there is 0, which for ids is "none". */
static void push_field (lua_State *L, const lurn_batch *first, const lurn_field *f) {
  const lurn_batch *b = lurn_batch_along(first, f->axis);
  int time = lurn_on_time(f->axis), rank = 0;
  int64_t dim[LURN_MAX_RANK];
  if (time) dim[rank++] = b->T;
  dim[rank++] = b->B;
  if (f->dtype == LURN_REAL) dim[rank++] = f->cols;
  lurn_tensor *t = l_newtensor(L, f->dtype, rank, dim);
  size_t row = (size_t)f->cols * lurn_dtype_size(f->dtype);
  char *to = t->data.p;
  const char *from = f->data;
  if (f->dtype == LURN_INDEX) memset(to, -1, (size_t)lurn_tensor_count(t) * sizeof(int32_t));
  for (int s = 0; s < (time ? b->T : 1); s++)
    for (int r = 0; r < (time ? b->live[s] : b->B); r++)
      memcpy(to + ((size_t)s * (size_t)b->B + (size_t)(b->place ? b->place[r] : r)) * row,
             from + (size_t)((time ? b->start[s] : 0) + r) * row, row);
}

static int length_of (const lurn_batch *b, int r) {
  int T = 0;
  while (T < b->T && b->live[T] > r) T++;
  return T;
}

/* Along any time axis, in the order of the first. */
static void push_lengths (lua_State *L, const lurn_batch *b) {
  lua_createtable(L, b->B, 0);
  for (int r = 0; r < b->B; r++) {
    lua_pushinteger(L, length_of(b, r));
    lua_rawseti(L, -2, (b->place ? b->place[r] : r) + 1);
  }
}

/* Numbers from 0 as a list from 1. */
static void push_list (lua_State *L, const int64_t *v, int n) {
  if (v == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushinteger(L, v[i] + 1);
    lua_rawseti(L, -2, i + 1);
  }
}

static int b_index (lua_State *L) {
  handle *h = check_handle(L, 1);
  const lurn_batch *b = &h->b;
  const char *key = luaL_checkstring(L, 2);
  const lurn_field *f = lurn_batch_field(b, key);
  if (f) push_field(L, b, f);
  else if (strcmp(key, "T") == 0) lua_pushinteger(L, b->T);
  else if (strcmp(key, "B") == 0) lua_pushinteger(L, b->B);
  else if (strcmp(key, "N") == 0) lua_pushinteger(L, b->N);
  else if (strcmp(key, "carry") == 0) lua_pushboolean(L, b->carry);
  else if (strcmp(key, "lengths") == 0) push_lengths(L, b);
  else if (strcmp(key, "lengths2") == 0 && b->along[0]) push_lengths(L, b->along[0]);
  else if (strcmp(key, "lengths3") == 0 && b->along[1]) push_lengths(L, b->along[1]);
  else if (strcmp(key, "seq") == 0) push_list(L, (const int64_t *)(const void *)b->seq, b->B);
  else if (strcmp(key, "pos") == 0) push_list(L, b->pos, b->B);
  else if (strcmp(key, "order") == 0) push_list(L, h->order[0], b->B);
  else lua_pushnil(L);
  return 1;
}

static int b_tostring (lua_State *L) {
  handle *h = luaL_checkudata(L, 1, BATCH);
  lua_pushfstring(L, "batch: T = %d, B = %d, N = %d", h->b.T, h->b.B, h->b.N);
  return 1;
}

/* ------------------------------------------------------------------ from tensors */

/* How a tensor lies: on the time axis (T,B,cols) or per row (B,cols); ids have no columns. */
typedef struct layout { int axis; int64_t T, B, cols; } layout;

/* x, for which T and B are not known yet: ids (T,B) or (T), reals (T,B,D), (T,D) or (T). */
static layout layout_of_x (lua_State *L, const lurn_tensor *t) {
  int full = t->dtype == LURN_INDEX ? 2 : 3;
  if (t->rank < 1 || t->rank > full)
    luaL_error(L, "a batch: x: expected %s", t->dtype == LURN_INDEX ? "ids (T,B) or (T)" : "reals (T,B,D) or (T,D)");
  layout x = {LURN_TIME, t->dim[0], t->rank == full ? t->dim[1] : 1, 1};
  if (t->dtype == LURN_REAL && t->rank > 1) x.cols = t->dim[t->rank - 1];
  if (x.T < 1 || x.B < 1 || x.cols < 1 || x.T > INT32_MAX / x.B || x.cols > INT32_MAX) luaL_error(L, "a batch: x is empty, or too large");
  return x;
}

static layout layout_of (lua_State *L, const char *name, const lurn_tensor *t, const layout *x) {
  int weights = strcmp(name, "mask") == 0 || strcmp(name, "reset") == 0;
  int flat = t->dtype == LURN_INDEX || weights, full = flat ? 2 : 3;
  layout y = {LURN_TIME, x->T, x->B, flat || t->rank == 0 ? 1 : t->dim[t->rank - 1]};
  int whole = t->rank == full && t->dim[0] == x->T && t->dim[1] == x->B;
  int single = t->rank == full - 1 && x->B == 1 && t->dim[0] == x->T;
  int per_row = t->rank == full - 1 && t->dim[0] == x->B && !weights;
  if (!whole && !single && !per_row) {
    char got[128];
    luaL_error(L, "a batch: %s: expected (%I,%I%s)%s like x, got %s", name, (LUAI_UACINT)x->T, (LUAI_UACINT)x->B, flat ? "" : ",K",
               weights ? "" : ", or one per row,", lurn_shape_text(got, sizeof got, t->rank, t->dim));
  }
  if (!whole && !single) y.axis = LURN_ROW;
  return y;
}

static int length_at (lua_State *L, int list, int64_t i, int64_t T) {
  if (list == 0) return (int)T;
  lua_rawgeti(L, list, i + 1);
  int n = (int)lb_integer_at(L, 1, lua_gettop(L), 1, T, "length of a row");
  lua_pop(L, 1);
  return n;
}

/* Longest first, equals as they came. */
static void sort_rows (int64_t *order, int32_t *length, int64_t B) {
  for (int64_t i = 1; i < B; i++) {
    int64_t o = order[i], j = i;
    int32_t n = length[i];
    for (; j > 0 && length[j - 1] < n; j--) {
      order[j] = order[j - 1];
      length[j] = length[j - 1];
    }
    order[j] = o;
    length[j] = n;
  }
}

/* The place of a field: that of the same name, which it then replaces, or a new one. */
static lurn_field *place_of (lua_State *L, lurn_batch *b, const char *name) {
  const lurn_field *known = lurn_batch_field(b, name);
  if (known) return &b->field[known - b->field];
  if (b->nfield == LURN_MAX_FIELDS || strlen(name) >= sizeof b->field[0].name)
    luaL_error(L, "a batch: %s: at most %d fields, with names of at most %d letters", name, LURN_MAX_FIELDS,
               (int)sizeof b->field[0].name - 1);
  return &b->field[b->nfield++];
}

/* Packs a contiguous tensor; the copy is anchored in the list at `keep`. */
static void add_field (lua_State *L, int keep, handle *h, const char *name, const lurn_tensor *t, const layout *y) {
  lurn_batch *first = &h->b;
  const lurn_batch *b = lurn_batch_along(first, y->axis);
  const int64_t *order = h->order[lurn_axis_set(y->axis)];
  int time = lurn_on_time(y->axis);
  lurn_field *f = place_of(L, first, name);
  size_t row = (size_t)y->cols * lurn_dtype_size(t->dtype);
  char *to = l_newblock(L, (size_t)(time ? b->N : b->B) * row);
  lua_rawseti(L, keep, (lua_Integer)lua_rawlen(L, keep) + 1);
  strcpy(f->name, name);
  f->dtype = t->dtype;
  f->axis = y->axis;
  f->cols = (int)y->cols;
  f->data = to;
  for (int s = 0; s < (time ? b->T : 1); s++)
    for (int r = 0; r < (time ? b->live[s] : b->B); r++, to += row)
      memcpy(to, (const char *)t->data.p + (size_t)(s * y->B + (order ? order[r] : r)) * row, row);
}

/* T, B and the rows' order along time axis `set`, from x and the lengths in the table at `arg`; all in one block that
 * the batch keeps. */
static lurn_batch *lay_rows (lua_State *L, int keep, handle *h, int set, const layout *x, int arg) {
  size_t B = (size_t)x->B, T = (size_t)x->T;
  lurn_batch *b = set == 0 ? &h->b : &h->along[set - 1];
  int list = lua_getfield(L, arg, "lengths") == LUA_TTABLE ? lua_gettop(L) : 0;
  int64_t *order = l_newblock(L, 3 * B * sizeof *order + (3 * B + 2 * T + 1) * sizeof(int32_t));
  int64_t *pos = order + B, *seq = pos + B;
  int32_t *length = (int32_t *)(void *)(seq + B), *place = length + B, *rank = place + B, *live = rank + B,
      *start = live + T;
  lua_rawseti(L, keep, (lua_Integer)lua_rawlen(L, keep) + 1);
  for (int64_t r = 0; r < x->B; r++) {
    order[r] = r;
    length[r] = (int32_t)length_at(L, list, r, x->T);
  }
  sort_rows(order, length, x->B);
  if (set == 0) memcpy(seq, order, B * sizeof *seq);
  h->order[set] = order;
  b->seq = (const uint64_t *)(const void *)seq;
  b->pos = pos;
  b->live = live;
  b->start = start;
  b->T = length[0];
  b->B = (int)x->B;
  b->N = lurn_batch_pack(b->B, length, live, start);
  lua_pop(L, 1);
  for (int r = 0; set > 0 && r < b->B; r++) {
    int first = h->order[0] ? 0 : (int)order[r];
    while (h->order[0] && h->order[0][first] != order[r]) first++;
    place[r] = first;
    rank[first] = r;
    seq[r] = (int64_t)h->b.seq[first];
  }
  if (set > 0) { b->place = place; b->rank = rank; h->b.along[set - 1] = b; }
  return b;
}

/* The tensors of the table at `arg`, but for x of the first time axis, as fields along time axis `set`. */
static void add_fields (lua_State *L, int keep, handle *h, int set, const layout *x, int arg) {
  int top = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_settop(L, top + 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "x";
    if (l_testtensor(L, -1) == NULL || (set == 0 && strcmp(name, "x") == 0)) continue;
    const lurn_tensor *t = l_pushcontiguous(L, -1);
    layout y = layout_of(L, name, t, x);
    y.axis += 2 * set;
    add_field(L, keep, h, name, t, &y);
  }
  lua_settop(L, top);
}

/* More fields along a further time axis that 'from' has, their rows in the order of its rows. */
static void extend_axis (lua_State *L, int keep, handle *h, int set) {
  int arg = lua_gettop(L);
  const lurn_batch *b = h->b.along[set - 1];
  if (lua_getfield(L, arg, "lengths") != LUA_TNIL) luaL_error(L, "a batch: time%d: lengths are those of 'from'", set + 1);
  int64_t *order = l_newblock(L, (size_t)b->B * sizeof *order);
  for (int r = 0; r < b->B; r++) order[r] = b->place[r];
  lua_rawseti(L, keep, (lua_Integer)lua_rawlen(L, keep) + 1);
  h->order[set] = order;
  add_fields(L, keep, h, set, &(layout){.T = b->T, .B = b->B}, arg);
}

/* A further time axis: {name = tensor, ... [, lengths = {..}]}; its steps are those of the longest of its tensors. */
static void add_axis (lua_State *L, int keep, handle *h, int set) {
  int arg = lua_gettop(L);
  layout x = {.T = 0, .B = h->b.B};
  if (h->b.along[set - 1]) { extend_axis(L, keep, h, set); return; }
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_settop(L, arg + 1)) {
    const lurn_tensor *t = l_testtensor(L, -1);
    int64_t T = t && t->rank > 0 ? t->dim[0] : 0;
    if (t && (t->dtype == LURN_INDEX ? t->rank == 2 : t->rank == 3) && T > x.T) x.T = T;
  }
  if (x.T < 1 || x.T > INT32_MAX / x.B) luaL_error(L, "a batch: time%d: expected ids (T,B) or reals (T,B,D)", set + 1);
  lay_rows(L, keep, h, set, &x, arg);
  add_fields(L, keep, h, set, &x, arg);
}

enum { KEEP = 2, HANDLE };

static layout rows_of_x (lua_State *L, handle *h) {
  lua_getfield(L, 1, "x");
  luaL_argcheck(L, l_testtensor(L, -1) != NULL, 1, "x: expected a tensor");
  const lurn_tensor *t = l_pushcontiguous(L, -1);
  layout x = layout_of_x(L, t);
  lay_rows(L, KEEP, h, 0, &x, 1)->carry = lb_getboolean(L, 1, "carry", 0);
  add_field(L, KEEP, h, "x", t, &x);
  return x;
}

/* Everything of the batch on top of the stack, whose memory stays where it is. */
static layout rows_of_batch (lua_State *L, handle *h) {
  const lurn_batch *b = l_checkbatch(L, -1), *root = ((const handle *)(const void *)b)->source;
  if (lua_getfield(L, 1, "x") != LUA_TNIL || lua_getfield(L, 1, "lengths") != LUA_TNIL)
    luaL_error(L, "a batch: x and lengths are those of 'from'");
  lua_settop(L, HANDLE + 1);
  lua_rawseti(L, KEEP, 1);
  h->b = *b;
  h->source = root ? root : b;
  return (layout){LURN_TIME, b->T, b->B, 1};
}

/* batch {x = tensor, y =, mask =, reset =, ... [, lengths = {..}, carry = true, time2 = {source =, lengths =}]}: any
 * other tensor in the table becomes a field of that name; what is in the tables time2 and time3 lies along a time
 * axis of its own. batch {from = another, mask = ...}: the other's rows and fields, with more fields, along any of its
 * time axes, in the order of its rows. */
static int b_make (lua_State *L) {
  static const char *const further[] = {"time2", "time3"};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_newtable(L);
  handle *h = (handle *)(void *)l_newbatch(L, KEEP);
  layout x = lua_getfield(L, 1, "from") == LUA_TNIL ? rows_of_x(L, h) : rows_of_batch(L, h);
  lua_settop(L, HANDLE);
  add_fields(L, KEEP, h, 0, &x, 1);
  for (int set = 1; set < LURN_MAX_AXES; set++) {
    if (lua_getfield(L, 1, further[set - 1]) == LUA_TTABLE) add_axis(L, KEEP, h, set);
    lua_settop(L, HANDLE);
  }
  return 1;
}

static const luaL_Reg meta[] = {{"__index", b_index}, {"__tostring", b_tostring}, {NULL, NULL}};

int l_batch_open (lua_State *L) {
  lb_type(L, BATCH, NULL, meta);
  lua_pushcfunction(L, b_make);
  return 1;
}
