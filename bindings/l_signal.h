/* l_signal.h: what SIGINT, SIGTERM and SIGHUP have asked for, for the bindings that heed it.
 *
 * Both precisions' modules share one record in a Lua state, whichever was loaded first: there is one
 * terminal and one Ctrl-C. The handler (l_signal.c) writes it, l_pause.c reads it at a prompt.
 */
#ifndef L_SIGNAL_H
#define L_SIGNAL_H

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "lb.h"

typedef struct l_signals {
  volatile int stop;                    /* what the engine polls, ctx->stop: abandon the step, commit nothing */
  volatile sig_atomic_t caught;         /* the signal's number, or 0 */
  volatile sig_atomic_t held;           /* an iteration that has committed is played to its end */
  volatile sig_atomic_t prompt;         /* Ctrl-C pauses what a prompt plays; it ends nothing */
  volatile sig_atomic_t pausing;        /* the coroutine that yields now was paused, it did not ask for it */
  atomic_int looks;                     /* of the engine until the signal that a test asked for; 0: none is */
  volatile sig_atomic_t insist;         /* Ctrl-C came again before the first was heeded */
  volatile sig_atomic_t leave;          /* SIGTERM or SIGHUP came at a prompt: it pauses, saves what it has, and ends */
  int whole;                            /* so many pieces are played that a pause must not cut in two */
  int blocked;                          /* so many coroutines were resumed where the one around them cannot yield */
  volatile time_t since;                /* when the signal came, by time() */
  lua_State *volatile running;          /* the innermost coroutine of what a prompt plays, or NULL */
} l_signals;

/* The record of this state. */
l_signals *l_signal_of (lua_State *L);
int l_signal_open (lua_State *L);       /* pushes the table of functions */
void l_pause_open (lua_State *L);       /* adds those of a prompt to it */
/* Asks the coroutine to pause at its next instruction. May be called by a signal handler, as lua_sethook may. */
void l_pause_ask (lua_State *L);

#endif
