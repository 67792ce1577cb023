/* l_pause.c: Ctrl-C at a prompt pauses what is played there; it is gone on with from the very instruction.
 *
 * A prompt plays each of its chunks in a coroutine. The signal's handler sets a hook on the innermost coroutine that
 * runs, which yields at the next instruction; the coroutines around it yield, too, one after the other, until the
 * prompt has the floor. To know the innermost one, `resume` and `wrap` of the coroutine library are replaced while a
 * prompt is there: a debug hook belongs to one coroutine, so one that is set on another would wait for ever.
 *
 *   signal.resume(co, ...)     as coroutine.resume; nil when it was paused. Then the signal is pending again, for
 *                              whoever resumed it to pause in turn (signal.pause), after putting things in order
 *   signal.pause()             yields when a signal is pending, as soon as it can; true when a prompt is there, false when
 *                              there is none, or when it is asked for again where it cannot yield
 *   signal.whole(yes)          begins, or ends, a piece that is paused nowhere but where it asks for it (signal.pause);
 *                              they may be nested. What signal.resume plays in one is a matter of its own
 *   signal.coroutines(yes)     replaces coroutine.resume and coroutine.wrap, or puts them back
 *
 * Where a coroutine cannot yield (in a comparison that table.sort calls, say) the signal waits for that to end, so that
 * nothing is lost by it; a second one is an error there.
 */
#include "l_signal.h"

#define SOME_INSTRUCTIONS 1000

static void heed (lua_State *L, l_signals *s) {
  lua_sethook(L, NULL, 0, 0);
  s->caught = 0;
  s->stop = 0;
  s->insist = 0;
}

static void on_count (lua_State *L, lua_Debug *ar) {
  l_signals *s = l_signal_of(L);
  (void)ar;
  if (!s->caught) { lua_sethook(L, NULL, 0, 0); return; }
  if (s->whole == 0 && s->blocked == 0 && lua_isyieldable(L)) {
    heed(L, s);
    s->pausing = 1;
    lua_yield(L, 0);
  } else if (s->whole == 0 && s->insist) {
    heed(L, s);
    luaL_error(L, "interrupted");
  } else {
    lua_sethook(L, on_count, LUA_MASKCOUNT, SOME_INSTRUCTIONS);
  }
}

void l_pause_ask (lua_State *L) {
  lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
}

/* ---------- resuming ---------- */

/* Plays co with the n values on top of L. Its results, or the error, are left there; their number, -1 for an error,
 * -2 when it was paused. */
static int play (lua_State *L, lua_State *co, int n) {
  l_signals *s = l_signal_of(L);
  lua_State *before = s->running;
  int results = 0;
  if (!lua_checkstack(co, n)) { lua_pushliteral(L, "too many arguments to resume"); return -1; }
  lua_xmove(L, co, n);
  s->running = co;
  if (s->caught && s->prompt) l_pause_ask(co);
  int status = lua_resume(co, L, n, &results);
  s->running = before;
  int paused = status == LUA_YIELD && s->pausing;
  s->pausing = 0;
  if (paused) return -2;
  if (s->caught && s->prompt && before) l_pause_ask(before);
  if (status != LUA_OK && status != LUA_YIELD) { lua_xmove(co, L, 1); return -1; }
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, results);
  return results;
}

/* The same for a coroutine within what is played: where the one around it cannot yield, it does not pause either. */
static int play_within (lua_State *L, lua_State *co, int n) {
  l_signals *s = l_signal_of(L);
  int blocks = !lua_isyieldable(L);
  s->blocked += blocks;
  n = play(L, co, n);
  s->blocked -= blocks;
  return n;
}

/* What coroutine.resume checks; a message on top of L when it cannot be resumed. */
static int can_resume (lua_State *L, lua_State *co) {
  lua_Debug ar;
  const char *is = NULL;
  if (co == L) is = "non-suspended";
  else if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar)) is = "non-suspended";
  else if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) is = "dead";
  else if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) is = "dead";
  if (is) lua_pushfstring(L, "cannot resume %s coroutine", is);
  return is == NULL;
}

static lua_State *thread_at (lua_State *L, int arg) {
  lua_State *co = lua_tothread(L, arg);
  luaL_argexpected(L, co, arg, "coroutine");
  return co;
}

static int answer (lua_State *L, int n) {
  lua_pushboolean(L, n >= 0);
  int count = n >= 0 ? n : 1;
  lua_insert(L, -(count + 1));
  return count + 1;
}

static int s_resume (lua_State *L) {
  lua_State *co = thread_at(L, 1);
  if (!can_resume(L, co)) return answer(L, -1);
  l_signals *s = l_signal_of(L);
  int whole = s->whole;
  s->whole = 0;
  int n = play(L, co, lua_gettop(L) - 1);
  s->whole = whole;
  if (n != -2) return answer(L, n);
  s->caught = SIGINT;
  lua_pushnil(L);
  return 1;
}

/* A pause goes outwards as long as there is a coroutine around; then it comes back here, and inwards again. */
static int go_on (lua_State *L, int status, lua_KContext wrapped);

static int finish (lua_State *L, int n, int wrapped) {
  if (n == -2 && !lua_isyieldable(L)) return luaL_error(L, "interrupted");
  if (n == -2) {
    l_signal_of(L)->pausing = 1;
    return lua_yieldk(L, 0, wrapped, go_on);
  }
  if (!wrapped) return answer(L, n);
  if (n >= 0) return n;
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  if (lua_status(co) > LUA_YIELD) lua_resetthread(co);
  if (lua_type(L, -1) == LUA_TSTRING) {       /* as coroutine.wrap does: where it was called */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int go_on (lua_State *L, int status, lua_KContext wrapped) {
  (void)status;
  lua_State *co = wrapped ? lua_tothread(L, lua_upvalueindex(1)) : lua_tothread(L, 1);
  return finish(L, play_within(L, co, 0), (int)wrapped);
}

static int c_resume (lua_State *L) {
  lua_State *co = thread_at(L, 1);
  if (!can_resume(L, co)) return answer(L, -1);
  return finish(L, play_within(L, co, lua_gettop(L) - 1), 0);
}

static int wrapped_call (lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  if (!can_resume(L, co)) return finish(L, -1, 1);
  return finish(L, play_within(L, co, lua_gettop(L)), 1);
}

static int c_wrap (lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped_call, 1);
  return 1;
}

/* ---------- pausing ---------- */

static int paused (lua_State *L, int status, lua_KContext whole) {
  (void)status;
  l_signal_of(L)->whole = (int)whole;
  lua_pushboolean(L, 1);
  return 1;
}

static int s_pause (lua_State *L) {
  l_signals *s = l_signal_of(L);
  int whole = s->whole, can = s->blocked == 0 && lua_isyieldable(L);
  if (!s->prompt || (!can && s->insist)) { lua_pushboolean(L, 0); return 1; }
  if (s->caught && !can) {              /* what was asked whether it pauses here plays on, and does so later */
    s->stop = 0;
    l_pause_ask(L);
  }
  if (!s->caught || !can) return paused(L, LUA_OK, whole);
  heed(L, s);
  s->whole = 0;
  s->pausing = 1;
  return lua_yieldk(L, 0, whole, paused);
}

static int s_whole (lua_State *L) {
  l_signals *s = l_signal_of(L);
  s->whole += lua_toboolean(L, 1) ? 1 : -1;
  if (s->whole < 0) s->whole = 0;       /* a coroutine that was paused in a piece has been closed */
  if (s->whole <= 0 && s->caught && s->prompt) l_pause_ask(L);
  return 0;
}

/* The functions that were there are upvalues 1 and 2. */
static int s_coroutines (lua_State *L) {
  int ours = lua_toboolean(L, 1);
  lua_getglobal(L, LUA_COLIBNAME);
  luaL_checktype(L, -1, LUA_TTABLE);
  if (ours) lua_pushcfunction(L, c_resume); else lua_pushvalue(L, lua_upvalueindex(1));
  lua_setfield(L, -2, "resume");
  if (ours) lua_pushcfunction(L, c_wrap); else lua_pushvalue(L, lua_upvalueindex(2));
  lua_setfield(L, -2, "wrap");
  return 0;
}

void l_pause_open (lua_State *L) {
  lua_pushcfunction(L, s_resume);
  lua_setfield(L, -2, "resume");
  lua_pushcfunction(L, s_pause);
  lua_setfield(L, -2, "pause");
  lua_pushcfunction(L, s_whole);
  lua_setfield(L, -2, "whole");
  luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 0);
  lua_getfield(L, -1, "resume");
  lua_getfield(L, -2, "wrap");
  lua_remove(L, -3);
  lua_pushcclosure(L, s_coroutines, 2);
  lua_setfield(L, -2, "coroutines");
}
