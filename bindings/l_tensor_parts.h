/* l_tensor_parts.h: what the files behind l_tensor.h share, file by file.
 *
 * Every l_tensor_<part>_open adds its methods to the table on top of the stack and its
 * metamethods to the metatable just below it; l_tensor_make adds to the module's table on top.
 * Functions that return a tensor they "push" leave exactly that one value on the stack.
 */
#ifndef L_TENSOR_PARTS_H
#define L_TENSOR_PARTS_H

#include "kernel.h"
#include "l_tensor.h"

#ifdef LURN_F64
#define L_OTHER_PRECISION "f32"
#else
#define L_OTHER_PRECISION "f64"
#endif
#define L_OTHER_TENSOR "lurn." L_OTHER_PRECISION ".tensor"

#define L_SHAPE_TEXT 128        /* room for the text of any shape */

/* Is d the last dimension? The second bound is implied by the first, and lets a compiler see
 * that a recursion over dimensions ends. */
static inline int l_lastdim (const lurn_tensor *t, int d) {
  return d == t->rank - 1 || d == LURN_MAX_RANK - 1;
}

/* From l_tensor.c: */
lurn_tensor *l_checkreal (lua_State *L, int arg);              /* a tensor of numbers, not ids */
int l_shapeerror (lua_State *L, int arg, const char *expected, const lurn_tensor *got);   /* raises */
int l_checkdim (lua_State *L, int arg, const lurn_tensor *t);  /* 1..rank or -rank..-1; returns 0.. */
/* Sizes from arguments first..last, or from one table of sizes at first; returns the rank. */
int l_checkshape (lua_State *L, int first, int last, int64_t *dim);
/* Pushes a view shaped like `as` of the memory that the tensor at stack index `of` keeps alive. */
lurn_tensor *l_pushview (lua_State *L, int of, const lurn_tensor *as);
/* Pushes the tensor at `idx` itself when it is contiguous, else a contiguous copy. */
lurn_tensor *l_pushcontiguous (lua_State *L, int idx);
lurn_tensor *l_pushclone (lua_State *L, int idx);
int64_t l_count (int rank, const int64_t *dim);                /* elements; -1: more than memory can hold */
int64_t l_offset (const lurn_tensor *t, int64_t i);            /* of the i-th element, row by row */
void l_pushelement (lua_State *L, const lurn_tensor *t, int64_t offset);
void l_setelement (lua_State *L, lurn_tensor *t, int64_t offset, int arg);
void *l_scratch (lua_State *L, size_t bytes);                  /* LURN_ALIGN-aligned; pushed */

/* From l_tensor_map.c: */
#define L_MAX_OPERANDS 4
/* v[0] = f(v[1], ..; k). All of one shape, any strides; v is used up. */
void l_apply (lurn_map_fn f, double k, int n, lurn_tensor *v);
int l_broadcast (lurn_tensor *y, const lurn_tensor *a);        /* widens y's shape; 0: they don't fit */
int l_stretches (const lurn_tensor *a, const lurn_tensor *y);  /* 1: a broadcasts to exactly y's shape */
void l_expand (lurn_tensor *a, const lurn_tensor *y);          /* a as a view of y's shape */
int l_overlap (const lurn_tensor *a, const lurn_tensor *b);    /* 1: they may share memory */
void l_assign (lua_State *L, int dst, int src);                /* dst[..] = src, which is broadcast */

/* From l_tensor_math.c: */
/* 1: the operand at 2 is something else that knows the operator; its result has been pushed. */
int l_defer (lua_State *L, const char *event);

void l_tensor_make (lua_State *L);
void l_tensor_access_open (lua_State *L);
void l_tensor_view_open (lua_State *L);
void l_tensor_math_open (lua_State *L);
void l_tensor_reduce_open (lua_State *L);
void l_tensor_linalg_open (lua_State *L);
void l_tensor_text_open (lua_State *L);

#endif
