/* compiled.h: chunks of Lua that are compiled already, for the launcher, which reads them in a seventh of the time.
 *
 * A file NAME.luac holds, one behind the other: which Lua it is for, the name of the chunk, the text it was made of, and
 * what lua_dump made of that, all of its debug information included. It is played only where its first three parts are,
 * byte for byte, what is here now, so a text that has changed since, or lies elsewhere, is read as a text.
 */
#ifndef COMPILED_H
#define COMPILED_H

#include <stdio.h>

#include <lua.h>
#include <lauxlib.h>

/* Pushes all that is in a file, or nil. */
static inline void compiled_pushfile (lua_State *L, const char *path) {
  FILE *f = fopen(path, "rb");
  luaL_Buffer b;
  size_t n = 1;
  if (f == NULL) {
    lua_pushnil(L);
    return;
  }
  luaL_buffinit(L, &b);
  for (; n > 0; luaL_addsize(&b, n)) n = fread(luaL_prepbuffsize(&b, 1 << 14), 1, 1 << 14, f);
  fclose(f);
  luaL_pushresult(&b);
}

/* Pushes the first three parts, for the text on top of the stack, which it takes off. */
static inline void compiled_pushhead (lua_State *L, const char *chunk_name) {
  lua_pushfstring(L, "%s\n%s\n", lua_ident, chunk_name);
  lua_insert(L, -2);
  lua_concat(L, 2);
}

#endif
