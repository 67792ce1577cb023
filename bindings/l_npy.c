/* l_npy.c: NumPy's arrays and zip archives of them, for Lua. Files come as strings.
 *
 *   npy.array(bytes, name, as)        a tensor ("numbers", "ids"), a list ("list"), by default "ids" for integers
 *   npy.hash(bytes, name)             SHA-256 of the array's content
 *   npy.members(bytes, name)          {name = contents} of a zip archive
 * nil, message, code for what is damaged or not read.
 */
#include <string.h>

#include "l_tensor.h"
#include "npy.h"
#include "zip.h"

int l_npy_open (lua_State *L);

enum { NUMBERS, IDS, LIST, BY_TYPE };
static const char *const kinds[] = {"numbers", "ids", "list", NULL};

static lurn_status push_list (lua_State *L, const lurn_npy *a) {
  int64_t *x = lua_newuserdatauv(L, sizeof *x * (size_t)(a->count + 1), 0);
  lurn_status status = lurn_npy_integers(lb_ctx(L), a, x);
  if (status != LURN_OK) return status;
  lua_createtable(L, (int)(a->count < 1 << 24 ? a->count : 1 << 24), 0);
  for (int64_t i = 0; i < a->count; i++) {
    lua_pushinteger(L, x[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return LURN_OK;
}

static int n_array (lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n), *name = luaL_checkstring(L, 2);
  int as = lua_isnoneornil(L, 3) ? BY_TYPE : lb_choice(L, 3, kinds, "as");
  lurn_npy a;
  lurn_status status = lurn_npy_open(lb_ctx(L), name, (const uint8_t *)bytes, n, &a);
  if (status != LURN_OK) return lb_result(L, status);
  if (as == BY_TYPE) as = a.kind == 'i' || a.kind == 'u' ? IDS : NUMBERS;
  if (as == LIST) status = push_list(L, &a);
  else {
    lurn_tensor *t = l_newtensor(L, as == IDS ? LURN_INDEX : LURN_REAL, a.rank, a.dim);
    if (as == IDS) status = lurn_npy_ids(lb_ctx(L), &a, t->data.i);
    else lurn_npy_reals(&a, t->data.r);
  }
  return status == LURN_OK ? 1 : lb_result(L, status);
}

static int n_hash (lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n), *name = luaL_checkstring(L, 2);
  char hex[LURN_SHA256_HEX];
  lurn_npy a;
  lurn_status status = lurn_npy_open(lb_ctx(L), name, (const uint8_t *)bytes, n, &a);
  if (status != LURN_OK) return lb_result(L, status);
  lurn_npy_hash(&a, hex);
  lua_pushstring(L, hex);
  return 1;
}

static int n_members (lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n), *name = luaL_checkstring(L, 2);
  lurn_zip z;
  lurn_status status = lurn_zip_open(lb_ctx(L), name, (const uint8_t *)bytes, n, &z);
  lua_newtable(L);
  for (uint64_t k = 0; status == LURN_OK && k < z.count; k++) {
    lurn_zip_member m;
    if ((status = lurn_zip_next(lb_ctx(L), &z, &m)) != LURN_OK) break;
    luaL_Buffer b;
    lua_pushlstring(L, m.name, m.name_size);
    char *to = luaL_buffinitsize(L, &b, (size_t)m.size + 1);
    status = lurn_zip_read(lb_ctx(L), &z, &m, (uint8_t *)to);
    luaL_pushresultsize(&b, status == LURN_OK ? (size_t)m.size : 0);
    lua_rawset(L, -3);
  }
  return status == LURN_OK ? 1 : lb_result(L, status);
}

static const luaL_Reg functions[] = {{"array", n_array}, {"hash", n_hash}, {"members", n_members}, {NULL, NULL}};

int l_npy_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
