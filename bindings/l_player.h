/* l_player.h: a player's userdata, shared by the file that plays it and the one that looks into it.
 *
 * A player is one use of a model (one wave): a variant of the program, a schedule, an arena, carried state. Training,
 * evaluation and a stepping stream are players of one model and never touch each other.
 *
 * Carried state has three copies: committed; pending, which a forward pass that went through leaves and the next one
 * starts from; and entry, a copy of what the last pass started from, which it reads. commit makes pending the committed
 * one; rollback takes back what was not committed. So an abandoned step has never happened. undo takes back a single
 * pass: a forward pass that was interrupted has changed nothing but entry, one whose backward was is played again from it.
 */
#ifndef L_PLAYER_H
#define L_PLAYER_H

#include "l_model.h"
#include "normalise.h"
#include "wave.h"

typedef struct carried {        /* one state of one scan */
  char name[LURN_DERIVED];
  int cols;
  size_t size;                  /* bytes per row */
  lurn_reg in, out;             /* where the program reads it, and where it leaves it */
  char *committed, *pending, *entry;              /* (B, cols) */
} carried;

typedef struct player {
  model *m;                     /* user value 1 */
  lurn_ctx *ctx;
  lurn_variant variant;
  lurn_choices choices;
  int twin;
  lurn_program program;
  lurn_schedule schedule;
  lurn_wave wave;
  int ready;                    /* program and schedule are made */
  void *arena; size_t arena_bytes;
  carried *state; int nstate;                     /* as many as the program has inputs "state:..." */
  char *states; size_t states_bytes;              /* all copies of all of them */
  real *fresh;                  /* (N) reset flags of a batch that starts anew; 1 in its first step */
  int B;                        /* rows of the pending state; 0: none yet */
  int committed_B, entry_B;
  uint64_t packed;              /* version of the weights that are packed */
  const struct lurn_blas *blas; /* and the engine that they were packed for */
  int played;                   /* 1: a forward pass waits for its backward */
  int32_t id;                   /* the one that l_player_step plays */
  lurn_batch batch;             /* the one bound, with the reset field that was added */
  lurn_moment moment;
} player;

player *l_checkplayer (lua_State *L, int arg);   /* raises when it is closed */
int l_player_new (lua_State *L);                 /* model, options -> player */
lurn_status l_player_plan (player *p, const lurn_extent *wanted);
lurn_status l_player_play (player *p, int back);
/* Plans for a batch, binds it and plays it at p->moment; its state is pending then. */
lurn_status l_player_forward (player *p, const lurn_batch *b);
void l_player_commit (player *p);                /* makes the pending state the committed one */
int l_player_step (lua_State *L);                /* a method: l_player_step.c */
/* Raises when the batch of the last forward pass has lost its frames. */
void l_player_checkbatch (lua_State *L, const player *p);
int l_player_open (lua_State *L);                /* makes the type; pushes nothing */

extern const luaL_Reg l_player_views[];          /* more methods: l_player_look.c */

#endif
