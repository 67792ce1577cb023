/* l_rng.c: random numbers as functions of what they are for.
 *
 *   uniform(seed, purpose, name, i)       element i of a stream in [0, 1)
 *   normal(seed, purpose, name, i)        the same, mean 0 and deviation 1
 *   below(seed, purpose, name, i, n)      an integer, 0 to n - 1 (a number, not an index)
 *   permutation(seed, purpose, name, n)   a table: 1 to n in random order
 *
 * purpose is one of the names below, name any string (nil: none), i counts from 1.
 */
#include "lb.h"
#include "rng.h"

#include <limits.h>
#include <string.h>

int l_rng_open (lua_State *L);

/* In the order of lurn_purpose. */
static const char *const purposes[] = {
  "init", "shuffle", "train", "eval", "sample", "script", "data", "search", NULL
};

/* The first three arguments of every function here. */
static lurn_key check_key (lua_State *L) {
  size_t n = 0;
  lua_Integer seed = lb_integer(L, 1, LUA_MININTEGER, LUA_MAXINTEGER, "seed");
  lurn_purpose purpose = (lurn_purpose)lb_choice(L, 2, purposes, "purpose");
  const char *name = luaL_optlstring(L, 3, "", &n);
  luaL_argcheck(L, strlen(name) == n, 3, "name: a zero byte would end it early");
  return lurn_key_make((uint64_t)seed, purpose, name);
}

static uint64_t check_element (lua_State *L) {
  return (uint64_t)lb_integer(L, 4, 1, LUA_MAXINTEGER, "i") - 1;
}

static int rng_uniform (lua_State *L) {
  lurn_key key = check_key(L);
  lua_pushnumber(L, lurn_random_uniform(key, check_element(L)));
  return 1;
}

static int rng_normal (lua_State *L) {
  lurn_key key = check_key(L);
  lua_pushnumber(L, lurn_random_normal(key, check_element(L)));
  return 1;
}

static int rng_below (lua_State *L) {
  lurn_key key = check_key(L);
  uint64_t i = check_element(L), n = (uint64_t)lb_integer(L, 5, 1, LUA_MAXINTEGER, "n");
  lua_pushinteger(L, (lua_Integer)lurn_random_below(key, i, n));
  return 1;
}

static int rng_permutation (lua_State *L) {
  lurn_key key = check_key(L);
  lua_Integer n = lb_integer(L, 4, 0, INT_MAX, "n");
  int64_t *p = lua_newuserdatauv(L, (size_t)n * sizeof *p, 0);
  lua_createtable(L, (int)n, 0);
  lurn_random_permutation(p, n, key);
  for (lua_Integer i = 0; i < n; i++) {
    lua_pushinteger(L, p[i] + 1);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  {"uniform", rng_uniform},
  {"normal", rng_normal},
  {"below", rng_below},
  {"permutation", rng_permutation},
  {NULL, NULL}
};

int l_rng_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
