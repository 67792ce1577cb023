/* l_dataset.c: a data set from Lua tables.
 *
 * Everything is made a contiguous tensor first, and the tensors are kept in a list on the stack;
 * then they are compared, measured and copied. An error may be raised at any point: every block is a
 * userdata, kept by a list that the set keeps.
 */
#include <string.h>

#include "l_data.h"
#include "l_tensor_parts.h"

/* ------------------------------------------------------------------ values become tensors */

/* Integers are ids from 1, anything with a fraction part (also 1.0) is a real. */
static int all_integers (lua_State *L, int list, int64_t n) {
  int yes = 1;
  for (int64_t i = 1; i <= n && yes; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, list, i);
    yes = lua_isinteger(L, -1);
  }
  return yes;
}

static double number_at (lua_State *L, int list, int64_t i) {
  int fits;
  lua_rawgeti(L, list, i);
  double x = lua_tonumberx(L, -1, &fits);
  if (!fits) luaL_error(L, "a data set: expected numbers in the list, got %s at %I", luaL_typename(L, -1), (LUAI_UACINT)i);
  lua_pop(L, 1);
  return x;
}

static void push_flat (lua_State *L, int list, int reals) {
  int64_t n = (int64_t)lua_rawlen(L, list);
  if (reals || !all_integers(L, list, n)) {
    lurn_tensor *t = l_newtensor(L, LURN_REAL, 1, &n);
    for (int64_t i = 0; i < n; i++) t->data.r[i] = (real)number_at(L, list, i + 1);
    return;
  }
  lurn_tensor *t = l_newtensor(L, LURN_INDEX, 1, &n);
  for (int64_t i = 0; i < n; i++) {
    double id = number_at(L, list, i + 1) - 1;
    if (id < -1 || id >= INT32_MAX) luaL_error(L, "a data set: id %f in a list, ids count from 1", id + 1);
    t->data.i[i] = (int32_t)id;
  }
}

static void push_rows (lua_State *L, int list) {
  int64_t dim[2] = {(int64_t)lua_rawlen(L, list), 0};
  lua_rawgeti(L, list, 1);
  dim[1] = (int64_t)lua_rawlen(L, -1);
  lua_pop(L, 1);
  lurn_tensor *t = l_newtensor(L, LURN_REAL, 2, dim);
  for (int64_t i = 0; i < dim[0]; i++, lua_pop(L, 1)) {
    if (lua_rawgeti(L, list, i + 1) != LUA_TTABLE || (int64_t)lua_rawlen(L, -1) != dim[1])
      luaL_error(L, "a data set: row %I of a list of lists has not %I numbers like the first", (LUAI_UACINT)i + 1, (LUAI_UACINT)dim[1]);
    int row = lua_gettop(L);
    for (int64_t k = 0; k < dim[1]; k++) t->data.r[i * dim[1] + k] = (real)number_at(L, row, k + 1);
  }
}

/* The value at `at` as a contiguous tensor, pushed. */
static void push_tensor (lua_State *L, int at, int reals) {
  if (l_testtensor(L, at)) l_pushcontiguous(L, at);
  else if (lua_type(L, at) == LUA_TTABLE) {
    int nested = lua_rawgeti(L, at, 1) == LUA_TTABLE;
    lua_pop(L, 1);
    if (nested) push_rows(L, at);
    else push_flat(L, at, reals);
  } else if (lua_isinteger(L, at) && !reals) {
    lua_Integer id = lb_integer(L, at, 0, INT32_MAX, "id");
    l_newtensor(L, LURN_INDEX, 0, NULL)->data.i[0] = (int32_t)(id - 1);
  } else l_newtensor(L, LURN_REAL, 0, NULL)->data.r[0] = (real)luaL_checknumber(L, at);
}

/* ------------------------------------------------------------------ measuring */

typedef struct shape { int there; lurn_dtype dtype; int64_t rows, cols; int axis; } shape;

static shape shape_of (const lurn_tensor *t, int axis) {
  shape s = {1, t->dtype, t->rank > 0 ? t->dim[0] : 1, 1, axis};
  for (int i = 1; i < t->rank; i++) s.cols *= t->dim[i];
  if (axis == LURN_ROW) {
    s.cols *= s.rows;
    s.rows = 1;
  }
  return s;
}

/* targets = "sequence" | "step" decides; else one value for several steps means the sequence, and
 * one for one step means what it means for the first sequence. */
static int axis_of (int k, const lurn_tensor *t, int64_t steps, const char *targets, const shape *first) {
  if (k > 2) return LURN_TIME2;
  if (k != 1) return LURN_TIME;
  if (targets && strcmp(targets, "sequence") == 0) return LURN_ROW;
  if (targets && strcmp(targets, "step") == 0) return LURN_TIME;
  if (t->rank == 0) return LURN_ROW;
  if (t->rank > 1 || t->dim[0] != 1) return LURN_TIME;
  return steps != 1 ? LURN_ROW : first->there ? first->axis : LURN_TIME;
}

/* Sequence i, column k: its tensor goes to tensors[LURN_MAX_COLUMNS * i + k]; it must look like the others. */
static void take_value (lua_State *L, int tensors, int64_t i, int k, const char *targets, shape *all, int64_t steps[2]) {
  int at = lua_gettop(L);
  push_tensor(L, at, k == 2);
  const lurn_tensor *t = l_checktensor(L, -1);
  int64_t own = t->rank > 0 ? t->dim[0] : 1;
  if (k == 0) steps[0] = own;
  if (k > 2 && steps[1] == 0) steps[1] = own;
  shape s = shape_of(t, axis_of(k, t, steps[0], targets, &all[k]));
  if (!all[k].there && i == 0) all[k] = s;
  if (!all[k].there || s.dtype != all[k].dtype || s.cols != all[k].cols || s.axis != all[k].axis)
    luaL_error(L, "a data set: %s of sequence %I is not like that of the first (type, columns, or one per step or sequence)",
               lurn_column_names[k], (LUAI_UACINT)i + 1);
  int64_t expected = s.axis == LURN_TIME2 ? steps[1] : steps[0];
  if (s.axis != LURN_ROW && s.rows != expected)
    luaL_error(L, "a data set: sequence %I has %I steps of %s and %I of %s", (LUAI_UACINT)i + 1, (LUAI_UACINT)expected,
               s.axis == LURN_TIME2 ? "source" : "x", (LUAI_UACINT)s.rows, lurn_column_names[k]);
  all[k].rows += i == 0 ? 0 : s.rows;
  lua_rawseti(L, tensors, LURN_MAX_COLUMNS * i + k + 1);
}

/* Fills offsets with lengths added up; leaves the stack as it was. */
static void take_sequences (lua_State *L, int tensors, int64_t n, const char *targets, shape *all, int64_t *offset,
                            int64_t *offset2) {
  for (int64_t i = 0; i < n; i++) {
    int64_t steps[2] = {0, 0};
    if (lua_rawgeti(L, 1, i + 1) != LUA_TTABLE) luaL_error(L, "a data set: sequence %I: expected a table {x =, y =}", (LUAI_UACINT)i + 1);
    int one = lua_gettop(L);
    for (int k = 0; k < LURN_MAX_COLUMNS; k++) {
      int there = lua_getfield(L, one, lurn_column_names[k]) != LUA_TNIL;
      if (there) take_value(L, tensors, i, k, targets, all, steps);
      else if (k == 0 || all[k].there) luaL_error(L, "a data set: sequence %I has no %s", (LUAI_UACINT)i + 1, lurn_column_names[k]);
      lua_settop(L, one);
    }
    offset[i + 1] = offset[i] + steps[0];
    offset2[i + 1] = offset2[i] + steps[1];
    lua_pop(L, 1);
  }
}

/* ------------------------------------------------------------------ copying */

static void copy_column (lua_State *L, int tensors, int64_t n, int k, const shape *s, lurn_column *c, char *to) {
  size_t value = lurn_dtype_size(s->dtype);
  strcpy(c->name, lurn_column_names[k]);
  c->store = s->dtype == LURN_REAL ? LURN_STORE_REAL : LURN_STORE_INDEX;
  c->axis = s->axis;
  c->cols = (int)s->cols;
  c->rows = s->rows;
  c->data = to;
  for (int64_t i = 0; i < n; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, tensors, LURN_MAX_COLUMNS * i + k + 1);
    const lurn_tensor *t = l_checktensor(L, -1);
    size_t size = (size_t)lurn_tensor_count(t) * value;
    memcpy(to, t->data.p, size);
    to += size;
  }
}

/* ------------------------------------------------------------------ the rest of the table */

static void take_words (lua_State *L, const char *key, lurn_words *w) {
  if (lua_getfield(L, 1, key) == LUA_TNIL) return;
  luaL_checktype(L, -1, LUA_TTABLE);
  int list = lua_gettop(L);
  size_t n = (size_t)lua_rawlen(L, list), width = 1;
  for (size_t i = 1; i <= n; i++, lua_pop(L, 1)) {
    if (lua_rawgeti(L, list, (lua_Integer)i) != LUA_TSTRING) luaL_error(L, "a data set: %s: expected a list of texts", key);
    if (lua_rawlen(L, -1) > width) width = (size_t)lua_rawlen(L, -1);
  }
  char *block = l_newblock(L, n * width);
  for (size_t i = 0; i < n; i++, lua_pop(L, 1)) {
    size_t size;
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    const char *text = luaL_checklstring(L, -1, &size);
    memcpy(block + i * width, text, size < width ? size : width);
  }
  *w = (lurn_words){(int64_t)n, (int64_t)width, block};
}

static int64_t bound (lua_State *L, int i) {
  lua_rawgeti(L, -1, i);
  int64_t x = lb_integer(L, lua_gettop(L), 0, LUA_MAXINTEGER, "end of a range");
  lua_pop(L, 1);
  return x;
}

/* {{first, last}, ...} or {first, last}, from 1, ends included. The block stays on the stack. */
static void take_ranges (lua_State *L, int list, lurn_split *s) {
  int nested = lua_rawgeti(L, list, 1) == LUA_TTABLE;
  lua_pop(L, 1);
  s->nrange = nested ? (int64_t)lua_rawlen(L, list) : 1;
  s->range = l_newblock(L, (size_t)s->nrange * 2 * sizeof *s->range);
  for (int64_t i = 0; i < s->nrange; i++, lua_pop(L, 1)) {
    if (nested) lua_rawgeti(L, list, i + 1);
    else lua_pushvalue(L, list);
    luaL_checktype(L, -1, LUA_TTABLE);
    s->range[2 * i] = bound(L, 1) - 1;
    s->range[2 * i + 1] = bound(L, 2);
  }
}

static void take_splits (lua_State *L, int keep, lurn_data *d) {
  if (lua_getfield(L, 1, "split") == LUA_TNIL) return;
  luaL_checktype(L, -1, LUA_TTABLE);
  int splits = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, splits) != 0; lua_settop(L, splits + 1)) {
    lurn_split *s = &d->split[d->nsplit];
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (d->nsplit == LURN_MAX_SPLITS || name[0] == '\0' || strlen(name) >= sizeof s->name || strchr(name, '/'))
      luaL_error(L, "a data set: split: at most %d, with names of 1 to %d letters", LURN_MAX_SPLITS, (int)sizeof s->name - 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    take_ranges(L, lua_gettop(L), s);
    lua_rawseti(L, keep, (lua_Integer)lua_rawlen(L, keep) + 1);
    strcpy(s->name, name);
    d->nsplit++;
  }
}

static void take_notes (lua_State *L, lurn_data *d) {
  for (int i = 0; i < LURN_NOTES; i++) {
    const char *text = lb_getstring(L, 1, lurn_notes[i], i == LURN_NOTE_KIND ? "sequences" : "");
    luaL_argcheck(L, strlen(text) < LURN_NOTE_SIZE, 1, "a note of more than 255 bytes");
    strcpy(d->note[i], text);
  }
  strncpy(d->name, lb_getstring(L, 1, "name", "data set"), sizeof d->name - 1);
  d->unit = strcmp(lb_getstring(L, 1, "unit", "sequence"), "frame") == 0 ? LURN_UNIT_FRAME : LURN_UNIT_SEQUENCE;
}

/* ------------------------------------------------------------------ */

enum { TENSORS = 2, KEEP, SET };

int l_dataset_make (lua_State *L) {
  shape all[LURN_MAX_COLUMNS];
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  memset(all, 0, sizeof all);
  int64_t n = (int64_t)lua_rawlen(L, 1);
  const char *targets = lb_getstring(L, 1, "targets", NULL);
  lua_newtable(L);
  lua_newtable(L);
  lurn_data *d = l_newdata(L);
  lua_pushvalue(L, KEEP);
  lua_setiuservalue(L, SET, 1);
  take_notes(L, d);
  int64_t *offset = l_newblock(L, 2 * (size_t)(n + 1) * sizeof *offset), *offset2 = offset + n + 1;
  lua_rawseti(L, KEEP, 1);
  take_sequences(L, TENSORS, n, targets, all, offset, offset2);
  d->n = n;
  d->total = offset[n];
  d->offset = offset;
  d->offset2 = all[3].there || all[4].there ? offset2 : NULL;
  d->next = targets != NULL && strcmp(targets, "next") == 0 && !all[1].there;
  d->unknown = lb_getinteger(L, 1, "unknown", 0, INT32_MAX, 0) - 1;
  for (int k = 0; k < LURN_MAX_COLUMNS; k++) {
    if (!all[k].there) continue;
    char *to = l_newblock(L, (size_t)(all[k].rows * all[k].cols) * lurn_dtype_size(all[k].dtype));
    lua_rawseti(L, KEEP, (lua_Integer)lua_rawlen(L, KEEP) + 1);
    copy_column(L, TENSORS, n, k, &all[k], &d->column[d->ncolumn++], to);
  }
  take_words(L, "vocab", &d->vocab);
  if (d->vocab.n > 0) lua_rawseti(L, KEEP, (lua_Integer)lua_rawlen(L, KEEP) + 1);
  lua_settop(L, SET);
  take_words(L, "classes", &d->classes);
  if (d->classes.n > 0) lua_rawseti(L, KEEP, (lua_Integer)lua_rawlen(L, KEEP) + 1);
  lua_settop(L, SET);
  take_splits(L, KEEP, d);
  lua_settop(L, SET);
  int y = lurn_data_column(d, "y");
  if (n > 0 && d->column[0].store != LURN_STORE_REAL) d->column[0].limit = d->vocab.n;
  if (y < 0) y = lurn_data_column(d, "labels");
  if (y > 0 && d->column[y].store != LURN_STORE_REAL) d->column[y].limit = d->classes.n;
  lb_check(L, lurn_data_check(lb_ctx(L), d));
  return 1;
}
