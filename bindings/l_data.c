/* l_data.c: the data set as Lua sees it, and the importer of texts. */
#include "l_data.h"

#include <string.h>

#include "l_h5.h"
#include "l_tensor.h"
#include "text.h"

#define DATASET LB_TYPE("dataset")
#define MEMORY 1                /* user values: the set's memory, and fields already shown */
#define SHOWN 2

lurn_data *l_checkdata (lua_State *L, int arg) { return luaL_checkudata(L, arg, DATASET); }

void *l_newblock (lua_State *L, size_t size) {
  char *p = lua_newuserdatauv(L, size + LURN_ALIGN, 0);
  memset(p, 0, size + LURN_ALIGN);
  return (void *)lurn_align((uintptr_t)p);
}

lurn_data *l_newdata (lua_State *L) { return lb_new(L, DATASET, sizeof(lurn_data), 2); }

static int fail (lua_State *L, lurn_status status) { return lb_result(L, status); }

/* ------------------------------------------------------------------ opening */

/* dataset.open(path [, whole]): sets of more than `whole` bytes are read as they are needed. */
static int d_open (lua_State *L) {
  int arg = lua_istable(L, 1) ? 2 : 1;
  const char *path = luaL_checkstring(L, arg);
  int64_t whole = lua_isnoneornil(L, arg + 1) ? LURN_DATA_WHOLE : lb_integer(L, arg + 1, 0, LUA_MAXINTEGER, "bytes read whole");
  lurn_data *d = l_newdata(L);
  lurn_status status = lurn_data_open(l_h5_ctx(L), d, path, whole);
  if (status != LURN_OK) return fail(L, status);
  void *memory = l_newblock(L, d->bytes);
  lua_setiuservalue(L, -2, MEMORY);
  status = lurn_data_load(lb_ctx(L), d, memory);
  return status == LURN_OK ? 1 : fail(L, status);
}

static int d_call (lua_State *L) {
  lua_remove(L, 1);
  return l_dataset_make(L);
}

static int d_close (lua_State *L) {
  lurn_data_close(l_checkdata(L, 1));
  return 0;
}

static int d_save (lua_State *L) {
  lurn_status status = lurn_data_save(l_h5_ctx(L), l_checkdata(L, 1), luaL_checkstring(L, 2));
  if (status != LURN_OK) return fail(L, status);
  lua_pushboolean(L, 1);
  return 1;
}

static int d_hash (lua_State *L) {
  char hex[LURN_SHA256_HEX];
  lurn_status status = lurn_data_hash(lb_ctx(L), l_checkdata(L, 1), hex);
  if (status != LURN_OK) return fail(L, status);
  lua_pushstring(L, hex);
  return 1;
}

/* ------------------------------------------------------------------ one sequence */

static lurn_status push_rows (lua_State *L, lurn_data *d, int column, int64_t first, int64_t count) {
  const lurn_column *c = &d->column[column];
  int reals = c->store == LURN_STORE_REAL;
  int64_t dim[2] = {count, c->cols};
  lurn_tensor *t = l_newtensor(L, reals ? LURN_REAL : LURN_INDEX, reals ? 2 : 1, dim);
  return lurn_data_read(lb_ctx(L), d, column, first, count, t->data.p);
}

static int d_sequence (lua_State *L) {
  lurn_data *d = l_checkdata(L, 1);
  int64_t i = lb_integer(L, 2, 1, d->n, "number of the sequence") - 1;
  lua_createtable(L, 0, d->ncolumn);
  for (int k = 0; k < d->ncolumn; k++) {
    int per_sequence = d->column[k].axis == LURN_ROW;
    const int64_t *offset = lurn_data_offset(d, d->column[k].axis);
    int64_t first = per_sequence ? i : offset[i], count = per_sequence ? 1 : offset[i + 1] - first;
    lurn_status status = push_rows(L, d, k, first, count);
    if (status != LURN_OK) return fail(L, status);
    lua_setfield(L, -2, d->column[k].name);
  }
  return 1;
}

/* ------------------------------------------------------------------ fields */

static void push_words (lua_State *L, const lurn_words *w) {
  if (w->n == 0) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, (int)w->n, 0);
  for (int64_t i = 0; i < w->n; i++) {
    const char *text = w->text + i * w->width;
    size_t size = (size_t)w->width;
    while (size > 0 && text[size - 1] == '\0') size--;
    lua_pushlstring(L, text, size);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_optional (lua_State *L, int64_t i, int there) {
  if (there) lua_pushinteger(L, i);
  else lua_pushnil(L);
}

static void f_n (lua_State *L, lurn_data *d) { lua_pushinteger(L, d->n); }
static void f_total (lua_State *L, lurn_data *d) { lua_pushinteger(L, d->total); }
static void f_name (lua_State *L, lurn_data *d) { lua_pushstring(L, d->name); }
static void f_vocab (lua_State *L, lurn_data *d) { push_words(L, &d->vocab); }
static void f_classes (lua_State *L, lurn_data *d) { push_words(L, &d->classes); }
static void f_unknown (lua_State *L, lurn_data *d) { push_optional(L, d->unknown + 1, d->unknown >= 0); }
static void f_unit (lua_State *L, lurn_data *d) { lua_pushstring(L, d->unit == LURN_UNIT_FRAME ? "frame" : "sequence"); }

static void f_vocab_size (lua_State *L, lurn_data *d) {
  push_optional(L, d->column[0].limit, d->column[0].store != LURN_STORE_REAL);
}

static void f_dim (lua_State *L, lurn_data *d) {
  push_optional(L, d->column[0].cols, d->column[0].store == LURN_STORE_REAL);
}

/* The targets: y, or the labels of a set that has no y. */
static int targets_of (const lurn_data *d) {
  int y = lurn_data_column(d, "y");
  return d->next ? 0 : y >= 0 ? y : lurn_data_column(d, "labels");
}

/* How many classes the targets' ids need, how many reals y has per row. */
static void f_nclass (lua_State *L, lurn_data *d) {
  int y = targets_of(d);
  push_optional(L, y < 0 ? 0 : d->column[y].limit, y >= 0 && d->column[y].store != LURN_STORE_REAL);
}

static void f_y_dim (lua_State *L, lurn_data *d) {
  int y = d->next ? 0 : lurn_data_column(d, "y");
  push_optional(L, y < 0 ? 0 : d->column[y].cols, y >= 0 && d->column[y].store == LURN_STORE_REAL);
}

static void f_source_vocab (lua_State *L, lurn_data *d) {
  int c = lurn_data_column(d, "source");
  push_optional(L, c < 0 ? 0 : d->column[c].limit, c >= 0 && d->column[c].store != LURN_STORE_REAL);
}

static void f_source_dim (lua_State *L, lurn_data *d) {
  int c = lurn_data_column(d, "source");
  push_optional(L, c < 0 ? 0 : d->column[c].cols, c >= 0 && d->column[c].store == LURN_STORE_REAL);
}

static void f_targets (lua_State *L, lurn_data *d) {
  int y = lurn_data_column(d, "y");
  lua_pushstring(L, d->next ? "next" : y < 0 ? "none" : d->column[y].axis == LURN_ROW ? "sequence" : "step");
}

static void f_lengths (lua_State *L, lurn_data *d) {
  lua_newtable(L);
  for (int64_t i = 0; i < d->n; i++) {
    lua_pushinteger(L, d->offset[i + 1] - d->offset[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* name -> {{first, last}, ...}, from 1, both ends included. */
static void f_splits (lua_State *L, lurn_data *d) {
  lua_newtable(L);
  for (int i = 0; i < d->nsplit; i++) {
    const lurn_split *s = &d->split[i];
    lua_newtable(L);
    for (int64_t k = 0; k < s->nrange; k++) {
      lua_createtable(L, 2, 0);
      lua_pushinteger(L, s->range[2 * k] + 1);
      lua_rawseti(L, -2, 1);
      lua_pushinteger(L, s->range[2 * k + 1]);
      lua_rawseti(L, -2, 2);
      lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, s->name);
  }
}

static const struct { const char *name; void (*push) (lua_State *, lurn_data *); } fields[] = {
  {"n", f_n}, {"total", f_total}, {"name", f_name}, {"vocab", f_vocab}, {"vocab_size", f_vocab_size}, {"dim", f_dim},
  {"classes", f_classes}, {"nclass", f_nclass}, {"y_dim", f_y_dim}, {"source_vocab", f_source_vocab}, {"source_dim", f_source_dim}, {"unknown", f_unknown}, {"unit", f_unit},
  {"targets", f_targets}, {"lengths", f_lengths}, {"splits", f_splits}
};

/* Pushes a field that is no method; nil when there is none of that name. */
static void push_field (lua_State *L, lurn_data *d, const char *key) {
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (strcmp(key, fields[i].name) == 0) {
      fields[i].push(L, d);
      return;
    }
  for (int i = 0; i < LURN_NOTES; i++)
    if (strcmp(key, lurn_notes[i]) == 0 && d->note[i][0]) {
      lua_pushstring(L, d->note[i]);
      return;
    }
  lua_pushnil(L);
}

/* Fields are made when they are first asked for and kept: `#data.vocab` in a loop costs nothing. */
static int d_index (lua_State *L) {
  lurn_data *d = l_checkdata(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL || lua_type(L, 2) != LUA_TSTRING) return 1;
  if (lua_getiuservalue(L, 1, SHOWN) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, SHOWN);
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  push_field(L, d, lua_tostring(L, 2));
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, -5);
  return 1;
}

static int d_tostring (lua_State *L) {
  lurn_data *d = l_checkdata(L, 1);
  lua_pushfstring(L, "dataset %s: %I sequences, %I frames", d->name, (LUAI_UACINT)d->n, (LUAI_UACINT)d->total);
  return 1;
}

static int d_len (lua_State *L) {
  lua_pushinteger(L, l_checkdata(L, 1)->n);
  return 1;
}

/* ------------------------------------------------------------------ texts */

static const char *const levels[] = {"byte", "char", NULL};

static void take_parts (lua_State *L, lurn_text_options *o) {
  static const double usual[] = {90, 5, 5};
  int given = lua_getfield(L, 1, "split") != LUA_TNIL;
  if (given) luaL_checktype(L, -1, LUA_TTABLE);
  for (int i = 0; i < 3; i++) {
    o->part[i] = given ? 0 : usual[i];
    if (given && lua_rawgeti(L, -1, i + 1) != LUA_TNIL) o->part[i] = luaL_checknumber(L, -1);
    if (given) lua_pop(L, 1);
    luaL_argcheck(L, o->part[i] >= 0 && o->part[i] < 1e9, 1, "split: expected parts that are not negative");
  }
  luaL_argcheck(L, o->part[0] + o->part[1] + o->part[2] > 0, 1, "split: all parts are 0");
  lua_pop(L, 1);
}

/* text {path =, out =, level =, split = {90, 5, 5}, min_count =, vocab = dataset, source =, licence =} */
static int d_text (lua_State *L) {
  lurn_text_options o;
  memset(&o, 0, sizeof o);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  o.path = lb_getstring(L, 1, "path", NULL);
  o.out = lb_getstring(L, 1, "out", NULL);
  luaL_argcheck(L, o.path && o.out, 1, "expected path and out, the text and the data set");
  o.source = lb_getstring(L, 1, "source", NULL);
  o.licence = lb_getstring(L, 1, "licence", NULL);
  o.min_count = lb_getinteger(L, 1, "min_count", 0, LUA_MAXINTEGER, 0);
  o.unknown = -1;
  take_parts(L, &o);
  if (lua_getfield(L, 1, "level") != LUA_TNIL) o.bytes = lb_choice(L, 2, levels, "level") == 0;
  if (lua_getfield(L, 1, "vocab") != LUA_TNIL) {
    lurn_data *d = luaL_testudata(L, 3, DATASET);
    luaL_argcheck(L, d && d->vocab.n > 0, 1, "vocab: expected a data set with a vocabulary");
    luaL_argcheck(L, (strcmp(d->note[LURN_NOTE_LEVEL], "byte") == 0) == o.bytes, 1, "vocab: of another level than this text");
    o.vocab = &d->vocab;
    o.unknown = d->unknown;
  }
  lurn_status status = lurn_text_import(l_h5_ctx(L), &o);
  if (status != LURN_OK) return fail(L, status);
  lua_pushstring(L, o.out);
  return 1;
}

/* ------------------------------------------------------------------ */

static const luaL_Reg methods[] = {
  {"sequence", d_sequence}, {"hash", d_hash}, {"save", d_save}, {"close", d_close}, {NULL, NULL}
};
static const luaL_Reg meta[] = {
  {"__index", d_index}, {"__len", d_len}, {"__tostring", d_tostring}, {"__gc", d_close}, {NULL, NULL}
};

int l_data_open (lua_State *L) {
  lb_type(L, DATASET, methods, meta);
  lua_createtable(L, 0, 4);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, d_open);
  lua_setfield(L, -2, "open");
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, d_call);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "dataset");
  lua_pushcfunction(L, d_text);
  lua_setfield(L, -2, "text");
  l_batch_open(L);
  lua_setfield(L, -2, "batch");
  l_feed_open(L);
  lua_setfield(L, -2, "feed");
  return 1;
}
