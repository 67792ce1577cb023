/* l_program.h: the builder's userdata, as the model's binding sees it. */
#ifndef L_PROGRAM_H
#define L_PROGRAM_H

#include "lb.h"
#include "program.h"

int l_program_open (lua_State *L);               /* pushes the table of functions */
lurn_program *l_checkprogram (lua_State *L, int arg);
/* Pushes the text of a program. */
void l_pushtext (lua_State *L, const lurn_program *p);

#endif
