/* op_map.c: the derivatives of the elementwise maps, as further maps. a, b are operands, y the
 * result, dy its gradient. */
#include "derive.h"

/* d/da of a one-operand map, or -1 where the derivative is zero almost everywhere. */
static lurn_reg slope1 (lurn_program *p, const lurn_instr *i, lurn_reg dy) {
  lurn_reg a = i->in[0], y = i->out;
  switch ((lurn_map)i->op) {
    case LURN_MAP_copy: case LURN_MAP_add_imm: return dy;
    case LURN_MAP_neg: case LURN_MAP_rsub_imm: return lurn_map1(p, LURN_MAP_neg, dy);
    case LURN_MAP_abs: return lurn_map2(p, LURN_MAP_mul, dy, lurn_map1(p, LURN_MAP_sign, a));
    case LURN_MAP_exp: return lurn_map2(p, LURN_MAP_mul, dy, y);
    case LURN_MAP_expm1: return lurn_map2(p, LURN_MAP_mul, dy, lurn_map1k(p, LURN_MAP_add_imm, y, 1));
    case LURN_MAP_log: return lurn_map2(p, LURN_MAP_div, dy, a);
    case LURN_MAP_log1p: return lurn_map2(p, LURN_MAP_div, dy, lurn_map1k(p, LURN_MAP_add_imm, a, 1));
    /* (sqrt a)' = 1 / (2 y) */
    case LURN_MAP_sqrt: return lurn_map2(p, LURN_MAP_div, lurn_map1k(p, LURN_MAP_mul_imm, dy, 0.5), y);
    case LURN_MAP_sin: return lurn_map2(p, LURN_MAP_mul, dy, lurn_map1(p, LURN_MAP_cos, a));
    case LURN_MAP_cos: return lurn_map1(p, LURN_MAP_neg, lurn_map2(p, LURN_MAP_mul, dy,
                                                                   lurn_map1(p, LURN_MAP_sin, a)));
    case LURN_MAP_erf: {        /* (erf a)' = 2/sqrt(pi) e^(-a^2) */
      lurn_reg e = lurn_map1(p, LURN_MAP_exp, lurn_map1(p, LURN_MAP_neg, lurn_map2(p, LURN_MAP_mul, a, a)));
      return lurn_map2(p, LURN_MAP_mul, dy, lurn_map1k(p, LURN_MAP_mul_imm, e, 1.1283791670955125739));
    }
    case LURN_MAP_tanh: return lurn_map2(p, LURN_MAP_tanh_grad, dy, y);
    case LURN_MAP_sigmoid: return lurn_map2(p, LURN_MAP_sigmoid_grad, dy, y);
    case LURN_MAP_mul_imm: return lurn_map1k(p, LURN_MAP_mul_imm, dy, i->k);
    /* (k / a)' = -y / a */
    case LURN_MAP_rdiv_imm: return lurn_map1(p, LURN_MAP_neg,
                                             lurn_map2(p, LURN_MAP_div, lurn_map2(p, LURN_MAP_mul, dy, y), a));
    case LURN_MAP_max_imm: return lurn_map2k(p, LURN_MAP_gate_gt, dy, a, i->k);
    case LURN_MAP_min_imm: return lurn_map2k(p, LURN_MAP_gate_lt, dy, a, i->k);
    default: return -1;
  }
}

/* max and min: the gradient goes to the operand that was taken, to the second one on a tie. */
static void grad_choice (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_reg a = i->in[0], b = i->in[1];
  lurn_reg first = i->op == LURN_MAP_max ? lurn_map2(p, LURN_MAP_gt, a, b) : lurn_map2(p, LURN_MAP_gt, b, a);
  lurn_grad_add(d, a, lurn_map2(p, LURN_MAP_mul, dy, first));
  lurn_grad_add(d, b, lurn_map2(p, LURN_MAP_mul, dy, lurn_map1k(p, LURN_MAP_rsub_imm, first, 1)));
}

static void grad_div (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_reg a = i->in[0], b = i->in[1];
  if (lurn_grad_needed(d, a)) lurn_grad_add(d, a, lurn_map2(p, LURN_MAP_div, dy, b));
  if (lurn_grad_needed(d, b))   /* (a / b)' = -y / b */
    lurn_grad_add(d, b, lurn_map1(p, LURN_MAP_neg, lurn_map2(p, LURN_MAP_div,
                                                             lurn_map2(p, LURN_MAP_mul, dy, i->out), b)));
}

/* where(c, a, b): the other branch's gradient is a chosen zero, never a product with zero. */
static void grad_where (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  const lurn_register *y = lurn_reg_info(p, i->out);
  lurn_reg zero = lurn_fill(p, 0, LURN_ONCE, y->rank, y->dim);
  if (lurn_grad_needed(d, i->in[1])) lurn_grad_add(d, i->in[1], lurn_map3(p, LURN_MAP_where, i->in[0], dy, zero));
  if (lurn_grad_needed(d, i->in[2])) lurn_grad_add(d, i->in[2], lurn_map3(p, LURN_MAP_where, i->in[0], zero, dy));
}

/* The maps that other derivatives are written with. Their first operand enters linearly. */
static void grad_of_slope (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_reg a = i->in[0], b = i->in[1];
  lurn_grad_add(d, a, lurn_map2k(p, (lurn_map)i->op, dy, b, i->k));
  if (!lurn_grad_needed(d, b)) return;
  if (i->op == LURN_MAP_tanh_grad)                /* d/db a (1 - b^2) = -2 a b */
    lurn_grad_add(d, b, lurn_map2(p, LURN_MAP_mul, dy,
                                  lurn_map1k(p, LURN_MAP_mul_imm, lurn_map2(p, LURN_MAP_mul, a, b), -2)));
  if (i->op == LURN_MAP_sigmoid_grad)             /* d/db a (b - b^2) = a (1 - 2 b) */
    lurn_grad_add(d, b, lurn_map2(p, LURN_MAP_mul, dy, lurn_map2(p, LURN_MAP_mul, a,
                                  lurn_map1k(p, LURN_MAP_rsub_imm, lurn_map1k(p, LURN_MAP_mul_imm, b, 2), 1))));
}

/* y = a b: d(a) += dy b. What is there once gets the sum over the frames, which is then one chain. */
static void grad_factor (lurn_deriv *d, lurn_reg a, lurn_reg b, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  if (!lurn_grad_needed(d, a)) return;
  int axis = lurn_reg_info(p, dy)->axis;
  if (lurn_reg_info(p, a)->axis == LURN_ONCE && axis != LURN_ONCE && lurn_reg_info(p, b)->axis == axis)
    lurn_grad_reduce(d, a, LURN_OP_COLDOT, b, dy, 0);
  else lurn_grad_add(d, a, lurn_map2(p, LURN_MAP_mul, dy, b));
}

void lurn_map_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_reg a = i->in[0], b = i->in[1];
  switch ((lurn_map)i->op) {
    case LURN_MAP_add: case LURN_MAP_sub:
      if (lurn_grad_needed(d, a)) lurn_grad_add(d, a, dy);
      if (lurn_grad_needed(d, b)) lurn_grad_add(d, b, i->op == LURN_MAP_add ? dy
                                                : lurn_map1(p, LURN_MAP_neg, dy));
      return;
    case LURN_MAP_mul:
      grad_factor(d, a, b, dy);
      grad_factor(d, b, a, dy);
      return;
    case LURN_MAP_div: grad_div(d, i, dy); return;
    case LURN_MAP_max: case LURN_MAP_min: grad_choice(d, i, dy); return;
    case LURN_MAP_where: grad_where(d, i, dy); return;
    case LURN_MAP_tanh_grad: case LURN_MAP_sigmoid_grad: case LURN_MAP_gate_gt: case LURN_MAP_gate_lt:
      grad_of_slope(d, i, dy); return;
    default: break;
  }
  if (lurn_map_inputs((lurn_map)i->op) == 1 && lurn_grad_needed(d, a)) {
    lurn_reg da = slope1(p, i, dy);
    if (da >= 0) lurn_grad_add(d, a, da);
  }
}
