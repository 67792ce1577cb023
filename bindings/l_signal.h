/* l_signal.h: the flag that says "stop", for whoever makes an engine context. */
#ifndef L_SIGNAL_H
#define L_SIGNAL_H

#include "lb.h"

int l_signal_open (lua_State *L);             /* pushes the table of functions */
/* Not zero: abandon the step, commit nothing, return LURN_EINTR. For ctx->stop. */
volatile int *l_signal_flag (void);

#endif
