/* l_tensor_text.c: tensors as text and as Lua tables. */
#include "l_tensor_parts.h"

#include <math.h>
#include <stdio.h>

/* ==== totable ==== */

/* Pushes the table of dimension d and below; `offset` elements into the memory. */
static void pushtable (lua_State *L, const lurn_tensor *t, int d, int64_t offset) {
  lua_createtable(L, (int)(t->dim[d] < INT32_MAX ? t->dim[d] : 0), 0);
  for (int64_t i = 0; i < t->dim[d]; i++) {
    int64_t at = offset + i * t->stride[d];
    if (l_lastdim(t, d)) l_pushelement(L, t, at);
    else pushtable(L, t, d + 1, at);
    lua_rawseti(L, -2, i + 1);
  }
}

/* A tensor of rank 0 is its number. */
static int t_totable (lua_State *L) {
  const lurn_tensor *t = l_checktensor(L, 1);
  luaL_checkstack(L, LURN_MAX_RANK + 2, "tensor too deep");
  if (t->rank == 0) l_pushelement(L, t, 0);
  else pushtable(L, t, 0, 0);
  return 1;
}

/* ==== tostring ==== */

#define CORNER 8                /* rows and columns that are shown */

typedef struct summary {
  double min, max, mean, std;   /* of the numbers that are not NaN */
  int64_t nan, count;
} summary;

static double element (const lurn_tensor *t, int64_t offset) {
  return t->dtype == LURN_INDEX ? (double)t->data.i[offset] + 1 : (double)t->data.r[offset];
}

/* Mean and sum of squared distances by Welford's update: one pass, no cancellation. */
static summary summarise (const lurn_tensor *t) {
  summary s = {HUGE_VAL, -HUGE_VAL, 0, 0, 0, 0};
  int64_t n = lurn_tensor_count(t);
  double m2 = 0;
  for (int64_t i = 0; i < n; i++) {
    double x = element(t, l_offset(t, i)), delta = x - s.mean;
    if (isnan(x)) { s.nan++; continue; }
    s.count++;
    s.mean += delta / (double)s.count;
    m2 += delta * (x - s.mean);
    s.min = fmin(s.min, x);
    s.max = fmax(s.max, x);
  }
  s.std = s.count > 1 ? sqrt(m2 / (double)(s.count - 1)) : 0;
  return s;
}

static void addheader (luaL_Buffer *b, const lurn_tensor *t) {
  char shape[L_SHAPE_TEXT], line[256];
  summary s = summarise(t);
  lurn_shape_text(shape, sizeof shape, t->rank, t->dim);
  snprintf(line, sizeof line, "lurn.tensor %s %s", t->dtype == LURN_INDEX ? "ids" : LURN_PRECISION, shape);
  luaL_addstring(b, line);
  if (s.count > 0) {
    snprintf(line, sizeof line, "  min %.4g  max %.4g  mean %.4g  std %.4g", s.min, s.max, s.mean, s.std);
    luaL_addstring(b, line);
  }
  if (t->dtype == LURN_REAL) {
    snprintf(line, sizeof line, "  NaN %lld", (long long)s.nan);
    luaL_addstring(b, line);
  }
}

static void addrow (luaL_Buffer *b, const lurn_tensor *t, int64_t offset) {
  int64_t cols = t->rank > 0 ? t->dim[t->rank - 1] : 1, step = t->rank > 0 ? t->stride[t->rank - 1] : 0;
  char cell[32];
  luaL_addchar(b, '\n');
  for (int64_t j = 0; j < cols && j < CORNER; j++) {
    snprintf(cell, sizeof cell, "%11.4g", element(t, offset + j * step));
    luaL_addstring(b, cell);
  }
  if (cols > CORNER) luaL_addstring(b, "  ...");
}

/* The first rows; of more than two dimensions, those of the first slice. */
static void addcorner (luaL_Buffer *b, const lurn_tensor *t) {
  int64_t rows = t->rank > 1 ? t->dim[t->rank - 2] : 1, step = t->rank > 1 ? t->stride[t->rank - 2] : 0;
  if (t->rank > 2) luaL_addstring(b, t->rank == 3 ? "\n(1, ..)" : "\n(1, 1, ..)");
  for (int64_t i = 0; i < rows && i < CORNER; i++) addrow(b, t, i * step);
  if (rows > CORNER) luaL_addstring(b, "\n        ...");
}

static int t_tostring (lua_State *L) {
  const lurn_tensor *t = l_checktensor(L, 1);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  addheader(&b, t);
  if (lurn_tensor_count(t) > 0) addcorner(&b, t);
  luaL_pushresult(&b);
  return 1;
}

void l_tensor_text_open (lua_State *L) {
  lua_pushcfunction(L, t_totable);
  lua_setfield(L, -2, "totable");
  lua_pushcfunction(L, t_tostring);
  lua_setfield(L, -3, "__tostring");
}
