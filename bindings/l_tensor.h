/* l_tensor.h: what other bindings need of tensors.
 *
 * The numbers live inside the userdata, so that the collector sees their size; a view keeps
 * the userdata that owns them as its user value. A model's parameters are shown as views
 * whose owner is the model.
 */
#ifndef L_TENSOR_H
#define L_TENSOR_H

#include "lb.h"
#include "tensor.h"

#define L_TENSOR LB_TYPE("tensor")

int l_tensor_open (lua_State *L);                              /* pushes the table of functions */
lurn_tensor *l_checktensor (lua_State *L, int arg);
lurn_tensor *l_testtensor (lua_State *L, int arg);             /* NULL when it is something else */
/* New, contiguous, LURN_ALIGN-aligned, cleared; pushed on the stack. */
lurn_tensor *l_newtensor (lua_State *L, lurn_dtype dtype, int rank, const int64_t *dim);
/* A view of memory owned by the userdata at stack index owner; pushed. */
lurn_tensor *l_newview (lua_State *L, int owner, lurn_dtype dtype, int rank, const int64_t *dim, void *data);

#endif
