/* l_json.c: JSON's everyday half, for Lua: what json.lua reads, read many times faster.
 *
 *   json.decode(text, null, nonfinite)      true and the value; false when there is something here for json.lua
 *   json.copy(value)                        of plain values: tables are copied, however deep; no table holds itself
 *
 * The logs of sweeps are read line by line, 200,000 of them in a large study. Whatever is rare (escapes but the short
 * ones, deep nesting) or wrong is left to json.lua, which has the messages: the two never say different things of a text.
 */
#include "lb.h"

#include <math.h>
#include <string.h>

#define DEEPEST 60
#define LONGEST 40              /* of a number, in bytes */

typedef struct text {
  lua_State *L;
  const char *at, *end;
  int nonfinite, depth;
} text;

static int value (text *t);

static void skip (text *t) {
  while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\r' || *t->at == '\n')) t->at++;
}

/* Past that character, and the space around it; whether it was there. */
static int past (text *t, char c) {
  skip(t);
  if (t->at == t->end || *t->at != c) return 0;
  t->at++;
  skip(t);
  return 1;
}

static int plain_byte (char c) { return c != '"' && c != '\\' && (unsigned char)c >= 32 && c != 127; }

static const char *plain_run (const text *t) {
  const char *p = t->at;
  while (p < t->end && plain_byte(*p)) p++;
  return p;
}

/* Behind the first run of plain bytes: escapes and further runs. */
static int long_string (text *t, const char *start) {
  static const char names[] = "bfnrt\"\\/", meant[] = "\b\f\n\r\t\"\\/";
  luaL_Buffer b;
  luaL_buffinit(t->L, &b);
  luaL_addlstring(&b, start, (size_t)(t->at - start));
  while (t->at < t->end && *t->at != '"') {
    const char *name = *t->at == '\\' && t->at + 1 < t->end && t->at[1] ? strchr(names, t->at[1]) : NULL;
    if (!name) break;
    luaL_addchar(&b, meant[name - names]);
    t->at += 2;
    const char *run = plain_run(t);
    luaL_addlstring(&b, t->at, (size_t)(run - t->at));
    t->at = run;
  }
  luaL_pushresult(&b);
  if (t->at == t->end || *t->at != '"') return 0;
  t->at++;
  return 1;
}

static int string (text *t) {
  const char *start = ++t->at;
  t->at = plain_run(t);
  if (t->at == t->end) return 0;
  if (*t->at != '"') return long_string(t, start);
  lua_pushlstring(t->L, start, (size_t)(t->at - start));
  t->at++;
  return 1;
}

static int digit (const text *t, const char *p) { return p < t->end && *p >= '0' && *p <= '9'; }

/* As json.lua: -?%d+%.?%d*[eE]?[+-]?%d*, no leading zero, and what Lua itself makes of it. */
static int number (text *t) {
  const char *start = t->at, *p = start;
  char copy[LONGEST + 1];
  if (p < t->end && *p == '-') p++;
  if (!digit(t, p) || (*p == '0' && digit(t, p + 1))) return 0;
  while (digit(t, p)) p++;
  if (p < t->end && *p == '.') p++;
  while (digit(t, p)) p++;
  if (p < t->end && (*p == 'e' || *p == 'E')) p++;
  if (p < t->end && (*p == '+' || *p == '-')) p++;
  while (digit(t, p)) p++;
  if (p - start > LONGEST) return 0;
  memcpy(copy, start, (size_t)(p - start));
  copy[p - start] = 0;
  t->at = p;
  return lua_stringtonumber(t->L, copy) != 0;
}

static int word (text *t) {
  static const char *const words[] = {"true", "false", "null"};
  for (int k = 0; k < 3; k++) {
    size_t n = strlen(words[k]);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, words[k], n) != 0) continue;
    t->at += n;
    if (k < 2) lua_pushboolean(t->L, k == 0);
    else lua_pushvalue(t->L, 2);
    return 1;
  }
  return 0;
}

static int array (text *t) {
  lua_newtable(t->L);
  t->at++;
  if (past(t, ']')) return 1;
  for (lua_Integer n = 1; ; n++) {
    if (!value(t)) return 0;
    lua_rawseti(t->L, -2, n);
    if (past(t, ']')) return 1;
    if (!past(t, ',')) return 0;
  }
}

static int object (text *t) {
  lua_newtable(t->L);
  t->at++;
  if (past(t, '}')) return 1;
  for (;;) {
    if (t->at == t->end || *t->at != '"' || !string(t)) return 0;
    if (!past(t, ':') || !value(t)) return 0;
    lua_rawset(t->L, -3);
    if (past(t, '}')) return 1;
    if (!past(t, ',')) return 0;
  }
}

/* The strings that stand for numbers JSON cannot say. */
static void unword (lua_State *L) {
  static const char *const names[] = {"NaN", "Infinity", "-Infinity"};
  const char *s = lua_tostring(L, -1);
  for (int k = 0; k < 3; k++) {
    if (lua_rawlen(L, -1) != strlen(names[k]) || strcmp(s, names[k]) != 0) continue;
    lua_pop(L, 1);
    lua_pushnumber(L, k == 0 ? (lua_Number)NAN : k == 1 ? (lua_Number)HUGE_VAL : -(lua_Number)HUGE_VAL);
    return;
  }
}

/* Pushes the value that stands here. 0: there is something for json.lua, and anything on the stack. */
static int value (text *t) {
  int done = 0;
  if (++t->depth > DEEPEST || t->at == t->end) return 0;
  luaL_checkstack(t->L, 8, "json");
  switch (*t->at) {
    case '{': done = object(t); break;
    case '[': done = array(t); break;
    case '"':
      done = string(t);
      if (done && t->nonfinite) unword(t->L);
      break;
    case 't': case 'f': case 'n': done = word(t); break;
    default: done = number(t);
  }
  t->depth--;
  return done;
}

static int decode (lua_State *L) {
  size_t size;
  const char *s = luaL_checklstring(L, 1, &size);
  lua_settop(L, 3);
  text t = {L, s, s + size, lua_toboolean(L, 3), 0};
  skip(&t);
  int done = value(&t);
  skip(&t);
  if (!done || t.at != t.end) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_pushboolean(L, 1);
  lua_insert(L, -2);
  return 2;
}

/* Pushes a copy of the table at that index. */
static void copy_table (lua_State *L, int from, int depth) {
  if (depth > DEEPEST) luaL_error(L, "json.copy: tables nested too deeply, or one that holds itself");
  luaL_checkstack(L, 8, "json.copy");
  lua_createtable(L, (int)lua_rawlen(L, from), 0);
  for (lua_pushnil(L); lua_next(L, from); ) {
    lua_pushvalue(L, -2);
    if (lua_istable(L, -2)) {
      copy_table(L, lua_absindex(L, -2), depth + 1);
      lua_remove(L, -3);
    } else {
      lua_insert(L, -2);
    }
    lua_rawset(L, -4);
  }
}

static int copy (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (lua_istable(L, 1)) copy_table(L, 1, 1);
  return 1;
}

int l_json_open (lua_State *L);
int l_json_open (lua_State *L) {
  static const luaL_Reg functions[] = {{"decode", decode}, {"copy", copy}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
