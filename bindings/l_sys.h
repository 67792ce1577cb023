/* l_sys.h: the operating system, for Lua. See sys.h; names are the same without the prefix. */
#ifndef L_SYS_H
#define L_SYS_H

#include "lb.h"

int l_sys_open (lua_State *L);          /* pushes the table of functions */
void l_lock_open (lua_State *L);        /* adds `lock` to the table on top */

#endif
