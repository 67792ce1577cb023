/* host.c: the smallest Lua interpreter that can run busted: host SCRIPT [ARG]... | host -e CODE
 *
 * `make check` builds it with the sanitizers, so that the module is loaded into a process that is
 * sanitised from the start; a preloaded runtime would also go into every child the specs start.
 * There it is called lua5.4 as well: a stock interpreter cannot load a sanitised module. */
#define _POSIX_C_SOURCE 200809L      /* setenv */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int traceback (lua_State *L) {
  const char *message = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, message, 1);
  return 1;
}

static void set_arg (lua_State *L, int argc, char **argv) {
  lua_createtable(L, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);          /* the script is arg[0] */
  }
  lua_setglobal(L, "arg");
}

static int run (lua_State *L, int argc, char **argv) {
  luaL_openlibs(L);
  set_arg(L, argc, argv);
  lua_pushcfunction(L, traceback);
  int code = strcmp(argv[1], "-e") == 0 && argc > 2;
  if ((code ? luaL_loadstring(L, argv[2]) : luaL_loadfile(L, argv[1])) != LUA_OK) return 0;
  for (int i = 2 + code; i < argc; i++) lua_pushstring(L, argv[i]);
  return lua_pcall(L, argc - 2 - code, 0, 1) == LUA_OK;
}

int main (int argc, char **argv) {
  if (argc < 2) { fprintf(stderr, "usage: host SCRIPT [ARG]...\n"); return 2; }
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  /* Leaks are looked for in this process. In children that specs interrupt and kill the search
   * itself fails now and then: it stops all threads, and a signal in between is fatal to it. */
  const char *options = getenv("CHILD_ASAN_OPTIONS");
  if (options) setenv("ASAN_OPTIONS", options, 1);
  int ok = run(L, argc, argv);
  if (!ok) fprintf(stderr, "host: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return ok ? 0 : 1;
}
