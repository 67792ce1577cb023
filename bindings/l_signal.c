/* l_signal.c: "please stop" from outside: SIGINT (Ctrl-C) and SIGTERM.
 *
 * The first signal only sets a flag. The engine polls it between time steps and abandons the
 * step, the run looks at it between iterations, writes its checkpoint and ends. The handler
 * puts the default actions back first, so that a second signal, of either kind, ends the process at once.
 * A limit on the size of files (ulimit -f) would end the process, too: it becomes an error of the write.
 *
 *   signal.install()      catch both; one that the process was started to ignore stays ignored
 *   signal.pending()      nil, "INT" or "TERM"
 *   signal.hold(yes)      while held the engine is not told: an iteration that has committed its
 *                         update is played to its end, because half of it cannot be resumed. Returns what it was
 *   signal.stop()         whether the engine is told
 *   signal.clear()        forgets what came and catches again
 *   signal.restore()      back to the default actions
 *
 * Signals belong to the process, so this is the one binding with state of its own.
 */
#include <signal.h>

#include "lb.h"
#include "l_signal.h"

static volatile int stop;                 /* what the engine polls */
static volatile sig_atomic_t caught;      /* the signal's number, or 0 */
static volatile sig_atomic_t held;

static void handler (int number) {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  if (!caught) caught = number;
  if (!held) stop = 1;
}

volatile int *l_signal_flag (void) {
  return &stop;
}

static void catch_one (int number) {
  if (signal(number, handler) == SIG_IGN) signal(number, SIG_IGN);
}

static int l_install (lua_State *L) {
  (void)L;
  catch_one(SIGINT);
  catch_one(SIGTERM);
#ifdef SIGXFSZ
  signal(SIGXFSZ, SIG_IGN);
#endif
  return 0;
}

static int l_pending (lua_State *L) {
  if (!caught) return 0;
  lua_pushstring(L, caught == SIGTERM ? "TERM" : "INT");
  return 1;
}

static int l_hold (lua_State *L) {
  lua_pushboolean(L, held);
  held = lua_toboolean(L, 1);
  stop = caught && !held;
  return 1;
}

static int l_stop (lua_State *L) {
  lua_pushboolean(L, stop);
  return 1;
}

static int l_clear (lua_State *L) {
  int again = caught != 0;
  caught = 0;
  held = 0;
  stop = 0;
  return again ? l_install(L) : 0;
}

static int l_restore (lua_State *L) {
  (void)L;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  return 0;
}

static const luaL_Reg functions[] = {
  {"install", l_install}, {"pending", l_pending}, {"hold", l_hold},
  {"stop", l_stop}, {"clear", l_clear}, {"restore", l_restore}, {NULL, NULL}
};

int l_signal_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
