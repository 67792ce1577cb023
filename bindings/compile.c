/* compile.c: TEXT.lua -> FILE.luac, at build time. usage: compile TEXT NAME FILE
 *
 * NAME is the path by which the launcher will find the text, which messages and tracebacks name. See compiled.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include <lua.h>
#include <lauxlib.h>

/* Pushes all that is in a file, or nil. */
static void push_file (lua_State *L, const char *path) {
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

static int put (lua_State *L, const void *p, size_t n, void *file) {
  (void)L;
  return fwrite(p, 1, n, file) != n;
}

/* The stack: 1 text, 2 name of the chunk, 3 function, 4 head. */
static int compile (lua_State *L, const char *text, const char *name, const char *file) {
  size_t n;
  push_file(L, text);
  const char *s = lua_tolstring(L, 1, &n), *chunk_name = lua_pushfstring(L, "@%s", name);
  if (s == NULL) return luaL_error(L, "cannot read %s", text);
  if (luaL_loadbufferx(L, s, n, chunk_name, "t") != LUA_OK) return lua_error(L);
  lua_pushfstring(L, "%s\n%s\n", lua_ident, chunk_name);
  lua_pushvalue(L, 1);
  lua_concat(L, 2);
  const char *head = lua_tolstring(L, 4, &n);
  FILE *f = fopen(file, "wb");
  if (f == NULL) return luaL_error(L, "cannot write %s", file);
  int bad = put(L, head, n, f);
  lua_settop(L, 3);
  bad |= lua_dump(L, put, f, 0);
  bad |= fclose(f);
  return bad ? luaL_error(L, "cannot write %s", file) : 0;
}

static int compile_arguments (lua_State *L) {
  char **argv = lua_touserdata(L, 1);
  lua_settop(L, 0);
  return compile(L, argv[1], argv[2], argv[3]);
}

int main (int argc, char **argv) {
  lua_State *L = argc == 4 ? luaL_newstate() : NULL;
  if (L == NULL) {
    fprintf(stderr, "usage: compile TEXT NAME FILE\n");
    return EXIT_FAILURE;
  }
  lua_pushcfunction(L, compile_arguments);
  lua_pushlightuserdata(L, argv);
  int rc = lua_pcall(L, 1, 0, 0);
  if (rc != LUA_OK) {
    fprintf(stderr, "compile: %s\n", lua_tostring(L, -1));
    remove(argv[3]);
  }
  lua_close(L);
  return rc == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
