/* l_signal.c: "please stop" from outside: SIGINT (Ctrl-C), SIGTERM, and SIGHUP when the terminal is gone.
 *
 * The first signal only sets a flag. The engine polls it between time steps and abandons the
 * step, the run looks at it between iterations, writes its checkpoint and ends. The handler
 * puts the default actions back first, so that a second signal, of either kind, ends the process at once. A hangup counts
 * as SIGTERM and stays caught: the kernel and a shell both tell of it, and nobody is there who would insist.
 * A limit on the size of files (ulimit -f) would end the process, too: it becomes an error of the write.
 *
 *   signal.install()      catch them; one that the process was started to ignore stays ignored
 *   signal.pending()      nil, "INT" or "TERM"
 *   signal.hold(yes)      while held the engine is not told: an iteration that has committed its
 *                         update is played to its end, because half of it cannot be resumed. Returns what it was
 *   signal.stop()         whether the engine is told
 *   signal.clear()        forgets what came and catches again
 *   signal.restore()      back to the default actions
 *   signal.raise(k)       for tests: SIGINT at the k-th look that the engine takes from now on; 0: now; nil: never.
 *                         Returns how many looks were left of the last one that was asked for
 *   signal.prompt(yes)    a prompt is there from now on: Ctrl-C pauses what it plays (l_pause.c), again and again;
 *                         one that has not been heeded for two seconds lets the next one end the process.
 *                         SIGTERM pauses, too, and is then to be heeded (leave); a second one ends the process.
 *                         install and restore do nothing meanwhile
 *   signal.leave()        whether SIGTERM came since there is a prompt
 *
 * Signals belong to the process, so this is the one binding with state of its own.
 */
#define _POSIX_C_SOURCE 200809L      /* sigaction */

#include <limits.h>

#include "l_signal.h"

static l_signals own, *s = &own;

#define KEY "lurn.signals"

l_signals *l_signal_of (lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, KEY) == LUA_TLIGHTUSERDATA) s = lua_touserdata(L, -1);
  else {
    lua_pushlightuserdata(L, s);
    lua_setfield(L, LUA_REGISTRYINDEX, KEY);
  }
  lua_pop(L, 1);
  return s;
}

static void let_go (void) {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

static void handler (int number) {
  let_go();
  if (!s->caught) s->caught = number;
  if (!s->held) s->stop = 1;
}

/* Time enough to come back from a computation that nobody can interrupt; longer, and a user needs a way out. */
#define PATIENCE 2

static void prompt_handler (int number) {
  if (s->caught && time(NULL) - s->since >= PATIENCE) signal(SIGINT, SIG_DFL);
  if (!s->caught) s->since = time(NULL);
  else s->insist = 1;
  if (number != SIGINT) {
    s->leave = 1;
    signal(SIGTERM, SIG_DFL);
  }
  s->caught = number;
  s->stop = 1;
  if (s->running) l_pause_ask(s->running);
}

static void catch_one (int number) {
  if (signal(number, handler) == SIG_IGN) signal(number, SIG_IGN);
}

static void catch_hangup (void (*f)(int)) {
  struct sigaction action = {.sa_handler = f, .sa_flags = SA_RESTART}, old;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
}

static int l_install (lua_State *L) {
  (void)L;
  if (s->prompt) return 0;
  catch_one(SIGINT);
  catch_one(SIGTERM);
  catch_hangup(handler);
#ifdef SIGXFSZ
  signal(SIGXFSZ, SIG_IGN);
#endif
  return 0;
}

static int l_pending (lua_State *L) {
  if (!s->caught) return 0;
  lua_pushstring(L, s->caught == SIGINT ? "INT" : "TERM");
  return 1;
}

/* At a prompt nothing is lost by a pause, wherever it comes: there the engine is always told. */
static int l_hold (lua_State *L) {
  lua_pushboolean(L, s->held);
  s->held = lua_toboolean(L, 1);
  s->stop = s->caught && (!s->held || s->prompt);
  return 1;
}

static int l_stop (lua_State *L) {
  lua_pushboolean(L, s->stop);
  return 1;
}

/* No SA_RESTART: a read from the keyboard comes back, too. */
static void catch_for_prompt (void) {
  struct sigaction action = {.sa_handler = prompt_handler};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  if (!s->leave) sigaction(SIGTERM, &action, NULL);
  catch_hangup(prompt_handler);
}

static int l_clear (lua_State *L) {
  int again = s->caught != 0;
  s->caught = 0;
  s->held = 0;
  s->stop = 0;
  s->insist = 0;
  if (!again) return 0;
  if (s->prompt) catch_for_prompt();
  else l_install(L);
  return 0;
}

static int l_restore (lua_State *L) {
  (void)L;
  if (s->prompt) return 0;
  let_go();
  catch_hangup(SIG_DFL);
  return 0;
}

static int l_prompt (lua_State *L) {
  s->prompt = lua_toboolean(L, 1);
  s->whole = s->blocked = 0;
  s->caught = 0;
  s->stop = 0;
  s->insist = s->leave = 0;
  if (s->prompt) catch_for_prompt(); else l_restore(L);
  return 0;
}

static void interrupt (void) {
  if (s->prompt) prompt_handler(SIGINT); else handler(SIGINT);
}

/* Threads of one pass look at the same time; one of them is the k-th. */
static void count_look (lurn_ctx *ctx) {
  (void)ctx;
  if (atomic_load(&s->looks) > 0 && atomic_fetch_sub(&s->looks, 1) == 1) interrupt();
}

static int l_raise (lua_State *L) {
  int left = atomic_load(&s->looks), never = lua_isnoneornil(L, 1);
  int k = never ? 0 : (int)lb_integer(L, 1, 0, INT_MAX, "looks");
  atomic_store(&s->looks, k);
  lb_ctx(L)->looked = k > 0 ? count_look : NULL;
  if (k == 0 && !never) interrupt();
  lua_pushinteger(L, left > 0 ? left : 0);
  return 1;
}

static int l_leave (lua_State *L) {
  lua_pushboolean(L, s->leave);
  return 1;
}

static const luaL_Reg functions[] = {
  {"install", l_install}, {"pending", l_pending}, {"hold", l_hold}, {"stop", l_stop}, {"clear", l_clear},
  {"restore", l_restore}, {"raise", l_raise}, {"prompt", l_prompt}, {"leave", l_leave}, {NULL, NULL}
};

int l_signal_open (lua_State *L) {
  luaL_newlib(L, functions);
  l_pause_open(L);
  return 1;
}
