/* l_line.c: a line from the terminal, edited: by GNU readline or by libedit, whichever the system has.
 *
 * lurn is MIT-licensed and needs neither: they are looked for when a prompt asks for its first line, by the names of
 * their shared libraries, and only functions that both have are called. So no file of lurn is linked against readline, which
 * is GPL, and whoever has none reads plain lines. libedit is BSD-licensed; it knows no bracketed paste, so that a pasted
 * block arrives there line by line.
 *
 *   line.open([name])        "readline", "libedit", or nil; name chooses one of them, "plain" neither
 *   line.read(prompt, f)     the line without its end; nil at the end of the input; false when Ctrl-C came. f (text,
 *                            cursor) is asked for completions: the column where the word begins, counted from 1, and the
 *                            list of what it can become
 *   line.add(text)           to the history, for the keys that go up and down
 *
 * Readline is called back, key by key: between two keys the process waits where a signal can be seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "l_signal.h"
#include "sys.h"

int l_line_open (lua_State *L);

typedef char **(*completer) (const char *text, int start, int end);

/* What is called, by the names that both libraries have. */
static struct {
  void *library;
  void (*install) (const char *prompt, void (*done)(char *line));
  void (*remove) (void);
  void (*read_char) (void);
  void (*add) (const char *line);
  void (*resize) (void);
  void (*cleanup) (void);
  int (*bind) (const char *name, const char *value);
  char **buffer;
  int *point;
  completer *attempt;
  int *attempt_over, *append, *catch_signals;
  const char **breaks;
  char *(**break_hook) (void);
} lib;

/* One line at a time is read in a process. */
static struct {
  lua_State *L;
  char *line;
  int done, ended;
  int start;                            /* where the completed word begins, from 0 */
  char breaks[2];
} reading;

/* ---------- completion ---------- */

/* Readline cuts the word at these characters. They are chosen anew for every word: all that makes the word begin where
 * the completions do is the character before it. */
static char *choose_breaks (void) {
  lua_State *L = reading.L;
  reading.breaks[0] = '\n';
  reading.start = -1;
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_pushstring(L, *lib.buffer);
  lua_pushinteger(L, *lib.point);
  if (lua_pcall(L, 2, 2, 0) == LUA_OK && lua_isinteger(L, 3) && lua_istable(L, 4)) {
    reading.start = (int)lua_tointeger(L, 3) - 1;
    if (reading.start > 0 && reading.start <= *lib.point) reading.breaks[0] = (*lib.buffer)[reading.start - 1];
  }
  return reading.breaks;
}

static char *copy_of (const char *text, size_t n) {
  char *copy = malloc(n + 1);
  if (copy) { memcpy(copy, text, n); copy[n] = '\0'; }
  return copy;
}

static size_t common (const char *a, const char *b, size_t most) {
  size_t n = 0;
  while (n < most && a[n] && a[n] == b[n]) n++;
  return n;
}

/* The list at index 4 as readline wants it: what all have in common, then all of them, freed by readline. A word that begins
 * within the completions' word (the character before it comes in it, too) gets their ends only. */
static char **matches (int skip) {
  lua_State *L = reading.L;
  int n = (int)lua_rawlen(L, 4), kept = 0;
  char **list = calloc((size_t)n + 2, sizeof *list);
  size_t same = 0;
  for (int i = 1; list && i <= n; i++) {
    size_t size;
    lua_rawgeti(L, 4, i);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
    if (text && size >= (size_t)skip) {
      list[++kept] = copy_of(text + skip, size - (size_t)skip);
      if (!list[kept]) { kept--; lua_pop(L, 1); break; }
      same = kept == 1 ? size - (size_t)skip : common(list[1], list[kept], same);
    }
    lua_pop(L, 1);
  }
  if (kept > 0) list[0] = copy_of(list[1], same);
  if (kept == 0 || !list[0]) { free(list); return NULL; }
  if (kept == 1) { free(list[1]); list[1] = NULL; }
  return list;
}

static char **attempt (const char *text, int start, int end) {
  (void)text; (void)end;
  *lib.attempt_over = 1;
  *lib.append = '\0';
  if (reading.start < 0) choose_breaks();
  char **list = reading.start < 0 || start < reading.start ? NULL : matches(start - reading.start);
  reading.start = -1;
  return list;
}

/* ---------- the library ---------- */

static void *find (const char *name) { return lurn_sys_find(lib.library, name); }

/* POSIX lets a function's address be a data pointer; C has no cast for it. */
#define FIND(member, name) do { void *at = find(name); memcpy(&lib.member, &at, sizeof at); } while (0)

static int load (const char *name) {
  lib.library = lurn_sys_library(name);
  if (!lib.library) return 0;
  FIND(install, "rl_callback_handler_install");
  FIND(remove, "rl_callback_handler_remove");
  FIND(read_char, "rl_callback_read_char");
  FIND(add, "add_history");
  FIND(resize, "rl_resize_terminal");
  FIND(cleanup, "rl_cleanup_after_signal");
  FIND(bind, "rl_variable_bind");
  FIND(buffer, "rl_line_buffer");
  FIND(point, "rl_point");
  FIND(attempt, "rl_attempted_completion_function");
  FIND(attempt_over, "rl_attempted_completion_over");
  FIND(append, "rl_completion_append_character");
  FIND(catch_signals, "rl_catch_signals");
  FIND(breaks, "rl_completer_word_break_characters");
  FIND(break_hook, "rl_completion_word_break_hook");
  if (!lib.install || !lib.remove || !lib.read_char || !lib.add || !lib.buffer || !lib.point || !lib.attempt
      || !lib.attempt_over || !lib.append) lib.library = NULL;
  return lib.library != NULL;
}

static void set_up (void) {
  *lib.attempt = attempt;
  if (lib.catch_signals) *lib.catch_signals = 0;
  if (lib.break_hook) *lib.break_hook = choose_breaks;
  if (!lib.bind) return;
  lib.bind("enable-bracketed-paste", "on");
  lib.bind("blink-matching-paren", "on");
}

static const struct { const char *name, *library; } libraries[] = {
  {"readline", "libreadline.so.8"}, {"readline", "libreadline.so.7"}, {"libedit", "libedit.so.2"},
  {"libedit", "libedit.so.0"}, {"libedit", "libedit.dylib"},
};

static int n_open (lua_State *L) {
  const char *wanted = luaL_optstring(L, 1, NULL);
  for (size_t k = 0; k < sizeof libraries / sizeof *libraries; k++) {
    if ((wanted && strcmp(wanted, libraries[k].name)) || !load(libraries[k].library)) continue;
    set_up();
    lua_pushstring(L, libraries[k].name);
    return 1;
  }
  lib.library = NULL;
  lua_pushnil(L);
  return 1;
}

/* ---------- reading ---------- */

static void line_done (char *line) {
  reading.line = line;
  reading.done = 1;
  reading.ended = line == NULL;
  lib.remove();                         /* the terminal is as it was before the line is used */
}

/* What was typed is given up, and stays in sight: what readline writes in the end takes the cursor to the left. */
static void give_up (void) {
  fputs("^C", stdout);
  fflush(stdout);
  if (lib.cleanup) lib.cleanup();
  lib.remove();
  fputs("\n", stdout);
  fflush(stdout);
}

static int read_edited (lua_State *L, l_signals *s) {
  int columns = lurn_sys_columns(1);
  reading.L = L;
  reading.line = NULL;
  reading.done = 0;
  reading.start = -1;
  lib.install(lua_tostring(L, 1), line_done);
  while (!reading.done) {
    int ready = lurn_sys_wait_input(0, &s->stop);
    if (!ready) { give_up(); lua_pushboolean(L, 0); return 1; }
    if (lib.resize && lurn_sys_columns(1) != columns) { columns = lurn_sys_columns(1); lib.resize(); }
    lib.read_char();
  }
  if (reading.ended) lua_pushnil(L);
  else lua_pushstring(L, reading.line);
  free(reading.line);
  return 1;
}

/* Through the same buffer as io.read, so that a script that is piped in may read what follows it. */
static int read_plain (lua_State *L, l_signals *s) {
  luaL_Buffer b;
  int c = EOF, interactive = lurn_sys_isatty(0);
  if (interactive) {
    fflush(stdout);
    fputs(lua_tostring(L, 1), stderr);
    if (!lurn_sys_wait_input(0, &s->stop)) {
      fputs("\n", stderr);
      lua_pushboolean(L, 0);
      return 1;
    }
  }
  luaL_buffinit(L, &b);
  while ((c = getc(stdin)) != EOF && c != '\n') luaL_addchar(&b, (char)c);
  luaL_pushresult(&b);
  if (c == EOF && lua_rawlen(L, -1) == 0) lua_pushnil(L);
  if (interactive) clearerr(stdin);
  return 1;
}

static int n_read (lua_State *L) {
  l_signals *s = l_signal_of(L);
  luaL_checkstring(L, 1);
  lua_settop(L, 2);
  return lib.library ? read_edited(L, s) : read_plain(L, s);
}

static int n_add (lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  if (lib.library) lib.add(text);
  return 0;
}

static const luaL_Reg functions[] = {{"open", n_open}, {"read", n_read}, {"add", n_add}, {NULL, NULL}};

int l_line_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
