/* l_process.c: children, for Lua. See process.h. What can fail returns true, or nil, message, code.
 *
 *   process.fork()                    pid and a descriptor to the child; in the child 0 and one to the parent
 *   process.ended(pid)                false: it runs; else true, code, signal, one of which is nil
 *   process.kill(pid, signal)         "KILL" to its whole group; "TERM", "INT", "STOP", "CONT" to it alone
 *   process.poll(fds, seconds)        a list of true and false, one a descriptor; how many are true
 *   process.read(fd)                  what there is; "" at the end, nil when there is nothing now
 *   process.write(fd, text)           process.close(fd)
 *   process.cores()                   the machine's numbers of the cores it may use
 *   process.pin(core)                 runs on that core only; whether that could be had
 *   process.limit(bytes)              process.redirect(path)      process.enter(folder)
 *   process.memory(pid)               process.oom_kills()
 *   process.host()                    process.exit(code)          at once: nothing is closed, nothing collected
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "lb.h"
#include "process.h"
#include "sys.h"

static int p_fork (lua_State *L) {
  int64_t pid;
  int fd;
  fflush(NULL);      /* what is in a buffer would be written twice */
  lurn_status status = lurn_process_fork(lb_ctx(L), &pid, &fd);
  if (status != LURN_OK) return lb_result(L, status);
  lua_pushinteger(L, pid);
  lua_pushinteger(L, fd);
  return 2;
}

static void push_known (lua_State *L, int value) {
  if (value >= 0) lua_pushinteger(L, value);
  else lua_pushnil(L);
}

static int p_ended (lua_State *L) {
  lurn_process_end how;
  int ended = lurn_process_ended(lb_integer(L, 1, 1, INT32_MAX, "pid"), &how);
  lua_pushboolean(L, ended);
  if (!ended) return 1;
  push_known(L, how.code);
  push_known(L, how.signal);
  return 3;
}

static int p_kill (lua_State *L) {
  static const char *const names[] = {"TERM", "KILL", "INT", "STOP", "CONT", NULL};
  static const int numbers[] = {SIGTERM, SIGKILL, SIGINT, SIGSTOP, SIGCONT};
  int64_t pid = lb_integer(L, 1, 1, INT32_MAX, "pid");
  int k = lb_choice(L, 2, names, "signal");
  lua_pushboolean(L, lurn_process_kill(pid, numbers[k], numbers[k] == SIGKILL) == 0);
  return 1;
}

static int descriptor_at (lua_State *L, int arg) { return (int)lb_integer(L, arg, 0, 1 << 20, "descriptor"); }

static int p_poll (lua_State *L) {
  int fd[LURN_PROCESS_MOST];
  char ready[LURN_PROCESS_MOST];
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 1);
  double seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, n <= LURN_PROCESS_MOST, 1, "too many descriptors");
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    fd[i] = (int)lb_integer_at(L, 1, lua_gettop(L), 0, 1 << 20, "descriptor");
    lua_pop(L, 1);
  }
  int count = lurn_process_poll(fd, (int)n, seconds, ready);
  lua_createtable(L, (int)n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushboolean(L, ready[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, count);
  return 2;
}

static int p_read (lua_State *L) {
  char bytes[1 << 14];
  int64_t n = lurn_process_read(descriptor_at(L, 1), bytes, sizeof bytes);
  if (n < 0) return 0;
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

static int p_write (lua_State *L) {
  size_t size;
  int fd = descriptor_at(L, 1);
  const char *text = luaL_checklstring(L, 2, &size);
  lua_pushboolean(L, lurn_process_write(fd, text, size) == 0);
  return 1;
}

static int p_close (lua_State *L) {
  lurn_process_close(descriptor_at(L, 1));
  return 0;
}

static int p_cores (lua_State *L) {
  lua_newtable(L);
  for (int k = 0, core; (core = lurn_process_core(k)) >= 0; k++) {
    lua_pushinteger(L, core);
    lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

static int p_pin (lua_State *L) {
  lua_pushboolean(L, lurn_process_pin((int)lb_integer(L, 1, 0, 1 << 20, "core")));
  return 1;
}

static int p_limit (lua_State *L) {
  return lb_done(L, lurn_process_limit(lb_ctx(L), lb_integer(L, 1, 1, INT64_MAX / 2, "bytes")));
}

static int p_redirect (lua_State *L) {
  return lb_done(L, lurn_process_redirect(lb_ctx(L), luaL_checkstring(L, 1)));
}

static int p_enter (lua_State *L) {
  return lb_done(L, lurn_process_enter(lb_ctx(L), luaL_checkstring(L, 1)));
}

static int p_memory (lua_State *L) {
  lua_pushinteger(L, lurn_process_memory(lb_integer(L, 1, 1, INT32_MAX, "pid")));
  return 1;
}

static int p_oom_kills (lua_State *L) {
  lua_pushinteger(L, lurn_process_oom_kills());
  return 1;
}

static int p_host (lua_State *L) {
  char text[256];
  lua_pushstring(L, lurn_sys_host(text, sizeof text));
  return 1;
}

static int p_exit (lua_State *L) {
  int code = (int)lb_integer(L, 1, 0, 255, "exit code");
  fflush(NULL);
  _exit(code);
}

static const luaL_Reg functions[] = {
  {"fork", p_fork}, {"ended", p_ended}, {"kill", p_kill}, {"poll", p_poll}, {"read", p_read},
  {"write", p_write}, {"close", p_close}, {"cores", p_cores}, {"pin", p_pin}, {"limit", p_limit},
  {"redirect", p_redirect}, {"enter", p_enter}, {"memory", p_memory}, {"oom_kills", p_oom_kills},
  {"host", p_host}, {"exit", p_exit}, {NULL, NULL}
};

int l_process_open (lua_State *L);

int l_process_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
