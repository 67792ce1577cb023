/* launcher.c: the program `lurn`: a Lua interpreter that knows where its own files are.
 *
 * It finds the folder it lies in, puts lurn's files first on package.path and package.cpath,
 * and leaves everything else to lurn/cli.lua. lurn's own files are read as `make` has compiled them, where that is still
 * what they say (compiled.h). Two layouts, told apart by what is there:
 *
 *   a build      ROOT/build/bin/lurn      ROOT/bindings/?.lua  ROOT/?.lua     ROOT/build/lib/?.so  ?.luac
 *   installed    PREFIX/bin/lurn          PREFIX/share/lua/5.4/?.lua          PREFIX/lib/lua/5.4/?.so  ?.luac
 *                                         PREFIX/share/lurn/?.lua (data sets' importers)
 */
#define _POSIX_C_SOURCE 200809L      /* readlink */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "compiled.h"

#define PATH_SIZE 4096
#define ROOM (1 << 16)          /* bytes for a file at first */

/* A folder name and a text behind it, into out. */
static void join (char *out, const char *folder, const char *tail) {
  size_t n = strlen(folder), m = strlen(tail);
  if (n + m >= PATH_SIZE) m = n = 0;
  memcpy(out, folder, n);
  memcpy(out + n, tail, m);
  out[n + m] = '\0';
}

/* "/a/b" becomes "/a", "/a" becomes "", which is the root and stays that. */
static void cut_name (char *path) {
  char *slash = strrchr(path, '/');
  if (slash) *slash = '\0';
  else if (path[0]) strcpy(path, ".");
}

/* The folder of this program. Where the system does not tell, argv[0] has to do. */
static void own_folder (char folder[PATH_SIZE], const char *argv0) {
  ssize_t n = readlink("/proc/self/exe", folder, PATH_SIZE - 1);
  if (n > 0) folder[n] = '\0';
  else join(folder, argv0, "");
  cut_name(folder);
}

static int is_there (const char *folder, const char *tail) {
  char path[PATH_SIZE];
  join(path, folder, tail);
  FILE *f = fopen(path, "r");
  if (f) fclose(f);
  return f != NULL;
}

/* package[field] = the templates, each under folder, then what was there. */
static void prepend (lua_State *L, const char *field, const char *folder, const char *const *tails) {
  luaL_Buffer b;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, field);
  luaL_buffinit(L, &b);
  for (; *tails; tails++) {
    luaL_addstring(&b, folder);
    luaL_addstring(&b, *tails);
    luaL_addchar(&b, ';');
  }
  luaL_pushresult(&b);
  lua_insert(L, -2);
  lua_concat(L, 2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

/* All that is in a file, in memory that the next one takes over (an upvalue); NULL when there is none. */
static const char *read_file (lua_State *L, int upvalue, const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  char *bytes = lua_touserdata(L, upvalue);
  size_t room = lua_rawlen(L, upvalue), n = 1;
  if (f == NULL) return NULL;
  setvbuf(f, NULL, _IONBF, 0);
  for (*size = 0; n > 0; *size += n) {
    if (*size == room) {
      char *more = lua_newuserdatauv(L, room = 2 * room, 0);
      bytes = memcpy(more, bytes, *size);
      lua_replace(L, upvalue);
    }
    n = fread(bytes + *size, 1, room - *size, f);
  }
  fclose(f);
  return bytes;
}

/* A searcher for package.searchers. Upvalues: package.searchpath, the folder of texts, the folder of what is compiled, and
 * memory for one of each. Strings of Lua would be as much garbage as what is loaded. */
static int search (lua_State *L) {
  const char *texts = lua_tostring(L, lua_upvalueindex(2)), *path;
  size_t n = strlen(texts), size, all;
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_replace(L, -2);
  lua_call(L, 2, 1);
  path = lua_tostring(L, 1);
  if (path == NULL || strncmp(path, texts, n) != 0) return 0;
  lua_settop(L, 1);
  const char *compiled = lua_pushfstring(L, "%s%sc", lua_tostring(L, lua_upvalueindex(3)), path + n);
  const char *made = read_file(L, lua_upvalueindex(4), compiled, &all);
  const char *text = made ? read_file(L, lua_upvalueindex(5), path, &size) : NULL;
  size_t dump = text ? compiled_dump(made, all, path, text, size) : 0;
  const char *name = lua_pushfstring(L, "@%s", path);
  if (dump == 0 || luaL_loadbufferx(L, made + dump, all - dump, name, "b") != LUA_OK) return 0;
  lua_pushvalue(L, 1);
  return 2;
}

/* It goes behind the first searcher, which finds what package.preload has. */
static void add_searcher (lua_State *L, const char *texts, const char *compiled) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i > 1; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_getfield(L, -2, "searchpath");
  lua_pushstring(L, texts);
  lua_pushstring(L, compiled);
  for (int k = 0; k < 2; k++) lua_newuserdatauv(L, ROOM, 0);
  lua_pushcclosure(L, search, 5);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

static void set_paths (lua_State *L, const char *folder) {
  static const char *const build_path[] = {"/bindings/?.lua", "/bindings/?/init.lua", "/?.lua", NULL};
  static const char *const build_cpath[] = {"/lib/?.so", NULL};
  static const char *const path[] = {"/share/lua/5.4/?.lua", "/share/lua/5.4/?/init.lua", "/share/lurn/?.lua", NULL};
  static const char *const cpath[] = {"/lib/lua/5.4/?.so", NULL};
  char up[PATH_SIZE], root[PATH_SIZE];
  join(up, folder, "");
  cut_name(up);
  join(root, up, "");
  /* What was installed uses what was installed with it, also when the prefix lies inside a checkout. */
  int in_tree = 0, installed = is_there(up, "/share/lua/5.4/lurn/cli.lua");
  for (int i = 0; i < 3 && !in_tree && !installed; i++) {      /* build/, build/asan/, ... */
    cut_name(root);
    in_tree = is_there(root, "/bindings/lurn/cli.lua");
  }
  prepend(L, "path", in_tree ? root : up, in_tree ? build_path : path);
  prepend(L, "cpath", up, in_tree ? build_cpath : cpath);
  lua_pushfstring(L, "%s%s", in_tree ? root : up, in_tree ? "/bindings/" : "/share/lua/5.4/");
  lua_pushfstring(L, "%s%s", up, in_tree ? "/lib/" : "/lib/lua/5.4/");
  add_searcher(L, lua_tostring(L, -2), lua_tostring(L, -1));
  lua_pop(L, 2);
}

static int traceback (lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL) message = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, message, 1);
  return 1;
}

/* require "lurn.cli".main {argv[1], ...}, with argv[0] at index 0; its result is the exit code. */
static int start (lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);           /* the stack: 1 argc, 2 argv, 3 the list of arguments */
  char folder[PATH_SIZE];
  luaL_openlibs(L);
  own_folder(folder, argv[0]);
  set_paths(L, folder);
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_pushvalue(L, -1);
  lua_setglobal(L, "arg");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lurn.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_pushvalue(L, 3);
  lua_call(L, 1, 1);
  return 1;
}

int main (int argc, char **argv) {
  int code = EXIT_FAILURE;
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    fprintf(stderr, "lurn: not enough memory\n");
    return code;
  }
  lua_pushcfunction(L, traceback);
  lua_pushcfunction(L, start);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  if (lua_pcall(L, 2, 1, 1) == LUA_OK) code = (int)lua_tointeger(L, -1);
  else fprintf(stderr, "lurn: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return code;
}
