/* l_model.h: a model's userdata, shared by the file that plays it and the one that updates it. */
#ifndef L_MODEL_H
#define L_MODEL_H

#include "lb.h"
#include "program.h"

typedef struct model {
  const lurn_program *source;   /* user value 1 */
  lurn_params params;           /* the source's, laid out by sorted path; borrowed */
  real *value, *grad;           /* user values 2 and 3 */
  double factor;                /* of the gradients in the update that follows a clip */
  uint64_t version;             /* grows with every change of the weights */
} model;

model *l_checkmodel (lua_State *L, int arg);
/* A program that was kept and added to after its model was made has parameters that have no place: raises. */
void l_checksource (lua_State *L, const model *m);
int l_model_open (lua_State *L);                 /* pushes the table of functions */

extern const luaL_Reg l_optim_methods[];         /* more methods of a model: l_optim.c */
int l_optim_lr (lua_State *L);
int l_optim_plateau (lua_State *L);

#endif
