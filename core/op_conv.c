/* op_conv.c: images, and convolutions over them. An image is a row of shape (h, w, c), c fastest.
 *
 * A convolution is valid (without padding) and fits exactly: of an input h high a kernel of kh taps, dy apart, moved
 * by sy, makes oh rows when h = (oh-1) sy + (kh-1) dy + 1. Whoever wants something else crops, or places the
 * image among zeros, first. An output element is one chain over the taps (ky, kx, c) ascending, from the
 * accumulator. It is played by the kernels of product on views of the input: the rows of such a view overlap,
 * nothing is copied.
 */
#include <string.h>

#include "blas.h"
#include "derive.h"

static int fail_conv (lurn_program *p, const lurn_instr *i, int k, const char *want) {
  char have[96];
  lurn_program_fail(p, "%s: operand %d: expected %s, got %s", lurn_op_info(i->op)->name, k + 1, want,
                    lurn_reg_text(p, i->in[k], have, sizeof have));
  return 0;
}

static int is_image (const lurn_register *x) { return x->rank == 3 && x->dtype == LURN_REAL; }

static void image (lurn_register *out, int axis, int h, int w, int c) {
  out->axis = (int16_t)axis;
  out->rank = 3;
  out->dim[0] = h;
  out->dim[1] = w;
  out->dim[2] = c;
}

/* ---------- some places of an image ---------- */

/* Whether n places from `first` on, `step` apart, are among `size`. */
static int fit (int first, int step, int n, int size) {
  return first >= 0 && step >= 1 && n >= 1 && first + (int64_t)(n - 1) * step < size;
}

/* (y0, x0, sy, sx, oh, ow) of the larger image x: what to take, in order. */
static int crop_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  const int *at = i->i;
  char have[96];
  if (!is_image(x)) return fail_conv(p, i, 0, "an image (h,w,c)");
  if (!fit(at[0], at[2], at[4], x->dim[0]) || !fit(at[1], at[3], at[5], x->dim[1]))
    return lurn_program_fail(p, "crop: %d x %d places from (%lld,%lld) on, (%d,%d) apart, are not all in %s", at[4], at[5],
                             at[0] + 1LL, at[1] + 1LL, at[2], at[3], lurn_reg_text(p, i->in[0], have, sizeof have)), 0;
  image(out, x->axis, at[4], at[5], x->dim[2]);
  return 1;
}

static int place_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  const int *at = i->i;
  char have[96];
  if (!is_image(x)) return fail_conv(p, i, 0, "an image (h,w,c)");
  if (!fit(at[0], at[2], x->dim[0], at[4]) || !fit(at[1], at[3], x->dim[1], at[5]))
    return lurn_program_fail(p, "place: %s from (%lld,%lld) on, (%d,%d) apart, is not all in %d x %d",
                             lurn_reg_text(p, i->in[0], have, sizeof have), at[0] + 1LL, at[1] + 1LL, at[2], at[3], at[4],
                             at[5]), 0;
  image(out, x->axis, at[4], at[5], x->dim[2]);
  return 1;
}

/* Between `few`, a small image without gaps, and the places of a large one that it stands for: from the large one when
 * `take`, into it otherwise. */
static void move_places (const int *at, const lurn_register *small, const lurn_register *large, real *few, real *many,
                         int take) {
  size_t c = (size_t)small->dim[2], run = at[3] == 1 ? c * (size_t)small->dim[1] : c, row = c * (size_t)large->dim[1];
  int runs = at[3] == 1 ? 1 : small->dim[1];
  for (int y = 0; y < small->dim[0]; y++) {
    real *place = many + row * (size_t)(at[0] + y * at[2]) + c * (size_t)at[1];
    for (int x = 0; x < runs; x++, few += run, place += c * (size_t)at[3])
      memcpy(take ? few : place, take ? place : few, sizeof(real) * run);
  }
}

static void crop_play (const lurn_call *c) {
  const lurn_register *x = lurn_in_info(c, 0), *y = lurn_out_info(c);
  for (int r = 0; r < c->rows; r++)
    move_places(c->instr->i, y, x, (real *)c->out + (size_t)r * (size_t)y->cols,
                (real *)(uintptr_t)c->in[0] + r * c->step[0], 1);
}

static void place_play (const lurn_call *c) {
  const lurn_register *x = lurn_in_info(c, 0), *y = lurn_out_info(c);
  memset(c->out, 0, sizeof(real) * (size_t)y->cols * (size_t)c->rows);
  for (int r = 0; r < c->rows; r++)
    move_places(c->instr->i, x, y, (real *)(uintptr_t)c->in[0] + r * c->step[0],
                (real *)c->out + (size_t)r * (size_t)y->cols, 0);
}

/* Each is the other's transpose. */
static void places_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  const int *at = i->i, *x = p->reg[i->in[0]].dim;
  const lurn_instr like = {.op = i->op == LURN_OP_CROP ? LURN_OP_PLACE : LURN_OP_CROP, .in = {dy},
                           .i = {at[0], at[1], at[2], at[3], x[0], x[1]}};
  lurn_grad_add(d, i->in[0], lurn_write(p, &like, NULL));
}

/* ---------- the geometry of a convolution ---------- */

/* A dimension of the larger image, from the smaller one's. */
static int64_t reach (int n, int stride, int taps, int apart) {
  return (int64_t)(n - 1) * stride + (int64_t)(taps - 1) * apart + 1;
}

/* Whether the immediates are strides and distances, and the weights what they should be with `channels` on side
 * `side` of them (2: C, 3: M). */
static int check_conv (lurn_program *p, const lurn_instr *i, int side) {
  const lurn_register *x = &p->reg[i->in[1]], *w = &p->reg[i->in[2]];
  if (!is_image(x)) return fail_conv(p, i, 1, "an image (h,w,c)");
  if (w->axis != LURN_ONCE || w->rank != 4 || w->dtype != LURN_REAL || w->dim[side] != x->dim[2])
    return fail_conv(p, i, 2, side == 2 ? "weights (kh,kw,C,M) with the C of operand 2"
                     : "weights (kh,kw,C,M) with the M of operand 2");
  for (int k = 0; k < 4; k++)
    if (i->i[k] < 1) return lurn_program_fail(p, "%s: strides and dilations are at least 1, got %d",
                                              lurn_op_info(i->op)->name, i->i[k]), 0;
  return 1;
}

static int conv_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  if (!check_conv(p, i, 2)) return 0;
  const lurn_register *x = &p->reg[i->in[1]], *w = &p->reg[i->in[2]];
  int n[2];
  for (int k = 0; k < 2; k++) {
    int64_t left = x->dim[k] - reach(1, 1, w->dim[k], i->i[2 + k]);
    if (left < 0 || left % i->i[k])
      return lurn_program_fail(p, "conv: %d taps, %d apart, moved by %d do not fit %d places exactly", w->dim[k],
                               i->i[2 + k], i->i[k], x->dim[k]), 0;
    n[k] = (int)(left / i->i[k]) + 1;
  }
  image(out, x->axis, n[0], n[1], w->dim[3]);
  return lurn_acc_fits(p, "conv", i->in[0], out, 1);
}

static int conv_dx_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  if (!check_conv(p, i, 3)) return 0;
  const lurn_register *x = &p->reg[i->in[1]], *w = &p->reg[i->in[2]];
  int64_t h = reach(x->dim[0], i->i[0], w->dim[0], i->i[2]), wide = reach(x->dim[1], i->i[1], w->dim[1], i->i[3]);
  if (h > INT32_MAX || wide > INT32_MAX) return fail_conv(p, i, 1, "a smaller image");
  image(out, x->axis, (int)h, (int)wide, w->dim[2]);
  return lurn_acc_fits(p, "conv_dx", i->in[0], out, 1);
}

static int conv_dw_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[1]], *d = &p->reg[i->in[2]];
  if (!is_image(x)) return fail_conv(p, i, 1, "an image (h,w,c)");
  int fits = is_image(d) && x->axis == d->axis;
  for (int k = 0; k < 2 && fits; k++)
    fits = i->i[k] > 0 && i->i[2 + k] > 0 && i->i[4 + k] > 0
           && reach(d->dim[k], i->i[k], i->i[4 + k], i->i[2 + k]) == x->dim[k];
  if (!fits) return fail_conv(p, i, 2, "what such a convolution makes of operand 2");
  *out = (lurn_register){.kind = out->kind, .dtype = LURN_REAL, .axis = LURN_ONCE, .scan = out->scan, .rank = 4,
                         .dim = {i->i[4], i->i[5], x->dim[2], d->dim[2]}};
  return lurn_acc_fits(p, "conv_dw", i->in[0], out, 0);
}

/* What the three have in common: the larger image (.., w, C), the smaller one (oh, ow, M), the kernel between them. */
typedef struct window { int w, C, oh, ow, M, kh, kw, sy, sx, dy, dx; } window;

static window window_of (const lurn_call *c, const lurn_register *large, const lurn_register *small,
                         const lurn_register *kernel) {
  const int *i = c->instr->i, sx = small->dim[1] > 1 ? i[1] : 1;       /* a single place has no next one */
  return (window){large->dim[1], large->dim[2], small->dim[0], small->dim[1], small->dim[2], kernel->dim[0],
                  kernel->dim[1], i[0], sx, i[2], i[3]};
}

/* Where tap (ky, kx) of output row oy begins in the larger image. */
static ptrdiff_t tap (const window *v, int oy, int ky, int kx) {
  return ((ptrdiff_t)(oy * v->sy + ky * v->dy) * v->w + kx * v->dx) * v->C;
}

/* Taps next to each other are one matrix; OpenBLAS does not take rows that overlap. */
static int taps_together (const lurn_call *c, const window *v) { return v->dx == 1 && !c->ctx->blas ? v->kw : 1; }

/* ---------- conv ---------- */

/* y[oy] (ow,M) = init + sum over ky, kx of x[oy sy + ky dy][kx dx ..] W[ky][kx] */
static void conv_row (const lurn_call *c, const window *v, int oy, const real *x, const real *init, ptrdiff_t ldi,
                      real *y) {
  lurn_packing how;
  lurn_packing_of(c->program, c->instr, &how);
  size_t stride = lurn_packing_stride(c->kernels, &how);
  int n = taps_together(c, v);
  const real *packed = c->packed, *w = c->in[2];
  for (int ky = 0; ky < v->kh; ky++)
    for (int kx = 0; kx < v->kw; kx += n) {
      const lurn_product job = {.M = v->ow, .N = v->M, .K = n * v->C, .a = x + tap(v, oy, ky, kx),
        .lda = (ptrdiff_t)v->sx * v->C, .packed = packed, .init = init, .ldi = ldi, .c = y, .ldc = v->M};
      lurn_multiply(c, &job, w, v->M, 0);
      init = y;
      ldi = v->M;
      packed += packed ? stride : 0;
      w += (ptrdiff_t)n * v->C * v->M;
    }
}

static void conv_play (const lurn_call *c) {
  const lurn_register *x = lurn_in_info(c, 1), *y = lurn_out_info(c);
  window v = window_of(c, x, y, lurn_in_info(c, 2));
  const real *acc = c->in[0];
  int bias = acc && lurn_in_info(c, 0)->cols != y->cols;
  ptrdiff_t row = (ptrdiff_t)v.ow * v.M;
  for (int r = 0; r < c->rows; r++)
    for (int oy = 0; oy < v.oh; oy++)
      conv_row(c, &v, oy, (const real *)c->in[1] + r * c->step[1],
               bias || !acc ? acc : acc + r * c->step[0] + oy * row, bias ? 0 : v.M,
               (real *)c->out + r * (ptrdiff_t)y->cols + oy * row);
}

static void conv_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  const int *s = i->i, *w = lurn_grad_program(d)->reg[i->in[2]].dim;
  const lurn_instr dx = {.op = LURN_OP_CONV_DX, .in = {-1, dy, i->in[2]}, .i = {s[0], s[1], s[2], s[3]}};
  const lurn_instr dw = {.op = LURN_OP_CONV_DW, .in = {-1, i->in[1], dy}, .i = {s[0], s[1], s[2], s[3], w[0], w[1]}};
  lurn_acc_grad(d, i, dy);
  lurn_grad_chain(d, i->in[1], &dx);
  lurn_grad_whole(d, i->in[2], &dw);
}

/* ---------- its transpose ---------- */

/* Every element begins as its accumulator. */
static void conv_dx_start (const lurn_call *c, int r, real *y) {
  size_t cols = (size_t)lurn_out_info(c)->cols, have = c->in[0] ? (size_t)lurn_in_info(c, 0)->cols : 0;
  const real *acc = c->in[0] ? (const real *)c->in[0] + r * c->step[0] : NULL;
  if (!acc) memset(y, 0, sizeof *y * cols);
  else if (have == cols && acc != y) memcpy(y, acc, sizeof *y * cols);
  else for (size_t at = 0; have < cols && at < cols; at += have) memcpy(y + at, acc, sizeof *y * have);
}

/* dx[oy sy + ky dy][ox sx + kx dx] += d[oy][ox] W[ky][kx]^T: by rows of d, then taps, ascending. Rows of one product
 * are sx places apart, so none meets another. */
static void conv_dx_play (const lurn_call *c) {
  const lurn_register *y = lurn_out_info(c), *small = lurn_in_info(c, 1);
  window v = window_of(c, y, small, lurn_in_info(c, 2));
  lurn_packing how;
  lurn_packing_of(c->program, c->instr, &how);
  size_t stride = lurn_packing_stride(c->kernels, &how), weights = (size_t)v.C * (size_t)v.M;
  for (int r = 0; r < c->rows; r++) {
    real *dx = (real *)c->out + r * (ptrdiff_t)y->cols;
    const real *d = (const real *)c->in[1] + r * c->step[1];
    conv_dx_start(c, r, dx);
    for (int oy = 0; oy < v.oh; oy++, d += (ptrdiff_t)v.ow * v.M)
      for (int k = 0; k < v.kh * v.kw; k++) {
        real *at = dx + tap(&v, oy, k / v.kw, k % v.kw);
        const ptrdiff_t ld = (ptrdiff_t)v.sx * v.C;
        const lurn_product job = {.M = v.ow, .N = v.C, .K = v.M, .a = d, .lda = v.M, .init = at, .ldi = ld, .c = at,
          .ldc = ld, .packed = c->packed ? c->packed + stride * (size_t)k : NULL};
        lurn_multiply(c, &job, (const real *)c->in[2] + weights * (size_t)k, v.M, 1);
      }
  }
}

static void conv_dx_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  const int *s = i->i, *w = lurn_grad_program(d)->reg[i->in[2]].dim;
  const lurn_instr dx = {.op = LURN_OP_CONV, .in = {-1, dy, i->in[2]}, .i = {s[0], s[1], s[2], s[3]}};
  const lurn_instr dw = {.op = LURN_OP_CONV_DW, .in = {-1, dy, i->in[1]}, .i = {s[0], s[1], s[2], s[3], w[0], w[1]}};
  lurn_acc_grad(d, i, dy);
  lurn_grad_chain(d, i->in[1], &dx);
  lurn_grad_whole(d, i->in[2], &dw);
}

/* ---------- the weights' gradient ---------- */

/* Rows [from, to) of the result, of one output row: dW[ky][kx] += x[oy sy + ky dy][kx dx ..]^T d[oy] */
static void conv_dw_row (const lurn_call *c, const window *v, int oy, const real *x, const real *d, int from, int to) {
  int n = taps_together(c, v), K = n * v->C;
  for (int k = from / K; k * K < to; k++) {
    int first = from > k * K ? from - k * K : 0, end = to < (k + 1) * K ? to - k * K : K;
    const real *a = x + tap(v, oy, k * n / v->kw, k * n % v->kw) + first;
    real *w = (real *)c->out + ((ptrdiff_t)k * K + first) * v->M;
    ptrdiff_t lda = (ptrdiff_t)v->sx * v->C;
    if (c->ctx->blas) c->ctx->blas->gemm(1, 0, end - first, v->M, v->ow, 1, a, (int)lda, d, v->M, 1, w, v->M);
    else c->kernels->outer(v->ow, end - first, v->M, a, lda, d, v->M, w, v->M);
  }
}

/* Frames descending and in them rows descending: the chain of a product of all places. A part has some rows of the
 * result. OpenBLAS keeps its one thread. */
static void conv_dw_play (const lurn_call *c) {
  const lurn_register *x = lurn_in_info(c, 1), *small = lurn_in_info(c, 2), *y = lurn_out_info(c);
  window v = window_of(c, x, small, y);
  int rows = v.kh * v.kw * v.C, from, to;
  real *w = c->out;
  const real *acc = c->in[0];
  lurn_share(c->ctx->blas ? 1 : rows, c->part, c->parts, &from, &to);
  if (c->ctx->blas) to *= rows, from *= rows;
  if (to <= from) return;
  size_t at = (size_t)from * (size_t)v.M, bytes = sizeof *w * (size_t)(to - from) * (size_t)v.M;
  if (!acc) memset(w + at, 0, bytes);
  else if (acc != w) memcpy(w + at, acc + at, bytes);
  for (ptrdiff_t r = c->rows - 1; r >= 0; r--)
    for (int oy = v.oh - 1; oy >= 0; oy--)
      conv_dw_row(c, &v, oy, (const real *)c->in[1] + r * x->cols,
                  (const real *)c->in[2] + r * small->cols + (ptrdiff_t)oy * v.ow * v.M, from, to);
}

const lurn_op lurn_ops_conv[] = {
  {"crop", 1, 1, 0, crop_shape, crop_play, places_grad, "some places of an image"},
  {"place", 1, 1, 0, place_shape, place_play, places_grad, "an image at some places, zeros elsewhere"},
  {"conv", 1, 3, LURN_OP_ACC, conv_shape, conv_play, conv_grad, "acc + x * W"},
  {"conv_dx", 1, 3, LURN_OP_ACC, conv_dx_shape, conv_dx_play, conv_dx_grad, "acc + the transpose of conv at d"},
  {"conv_dw", 1, 3, LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_FALLS | LURN_OP_SPLITS | LURN_OP_NOGRAD, conv_dw_shape, conv_dw_play, NULL,
    "acc + the weights' gradient of conv"},
};
