/* l_op.c: the op table, seen from Lua, and the ops from outside that join it. */
#include "lb.h"
#include "op.h"
#include "outside.h"

static int g_ops (lua_State *L) {                /* every row of the op table that has a name */
  lua_newtable(L);
  for (int op = 0; op < lurn_op_count(); op++) {
    const lurn_op *info = lurn_op_info(op);
    if (lurn_op_find(info->name) != op) continue;
    lua_createtable(L, 0, 8);
    lua_pushstring(L, info->name); lua_setfield(L, -2, "name");
    lua_pushinteger(L, info->version); lua_setfield(L, -2, "version");
    lua_pushinteger(L, info->nin); lua_setfield(L, -2, "operands");
    lua_pushstring(L, info->doc); lua_setfield(L, -2, "doc");
    lua_pushboolean(L, !(info->flags & LURN_OP_NOGRAD)); lua_setfield(L, -2, "gradient");
    lua_pushboolean(L, info->flags & LURN_OP_WHOLE); lua_setfield(L, -2, "whole");
    lua_pushboolean(L, info->flags & LURN_OP_MEMORY); lua_setfield(L, -2, "memory");
    lua_pushboolean(L, info->flags & LURN_OP_RANDOM); lua_setfield(L, -2, "random");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  return 1;
}

static int g_loadop (lua_State *L) {             /* path -> name, or nil, message, code */
  int op;
  lurn_status status = lurn_outside_load(lb_ctx(L), luaL_checkstring(L, 1), &op);
  if (status != LURN_OK) return lb_result(L, status);
  lua_pushstring(L, lurn_op_info(op)->name);
  return 1;
}

static int g_refuseop (lua_State *L) {           /* name: of an op from outside that does not keep its promises */
  lurn_op_refuse(lurn_op_find(luaL_checkstring(L, 1)));
  return 0;
}

static const luaL_Reg functions[] = {{"ops", g_ops}, {"load_op", g_loadop}, {"refuse_op", g_refuseop}, {NULL, NULL}};

int l_op_open (lua_State *L);
int l_op_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
