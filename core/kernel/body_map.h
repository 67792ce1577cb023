/* body_map.h: the elementwise maps. One formula per row of LURN_MAPS, one loop for all. */
#ifndef LURN_BODY_MAP_H
#define LURN_BODY_MAP_H

#include "kernel.h"
#include "body_math.h"

#define FORMULA(name) static inline vf f_##name (vf a, vf b, vf c, vf k)
#define UNUSED3(x, y, z) ((void)(x), (void)(y), (void)(z))
#define UNUSED2(x, y) ((void)(x), (void)(y))

static inline vf vf_one_if (vm m) { return vf_select(m, vf_set(1), vf_set(0)); }

FORMULA(copy) { UNUSED3(b, c, k); return a; }
FORMULA(fill) { UNUSED3(a, b, c); return k; }
FORMULA(neg) { UNUSED3(b, c, k); return vf_neg(a); }
FORMULA(abs) { UNUSED3(b, c, k); return vf_abs(a); }
FORMULA(sign) {
  UNUSED3(b, c, k);
  const vf y = vf_select(vf_gt(a, vf_set(0)), vf_set(1), a);
  return vf_select(vf_gt(vf_set(0), a), vf_set(-1), y);
}
FORMULA(exp) { UNUSED3(b, c, k); return vf_exp(a); }
FORMULA(expm1) { UNUSED3(b, c, k); return vf_expm1(a); }
FORMULA(log) { UNUSED3(b, c, k); return vf_log(a); }
FORMULA(log1p) { UNUSED3(b, c, k); return vf_log1p(a); }
FORMULA(sqrt) { UNUSED3(b, c, k); return vf_sqrt(a); }
FORMULA(sin) { UNUSED3(b, c, k); return vf_sin(a); }
FORMULA(cos) { UNUSED3(b, c, k); return vf_cos(a); }
FORMULA(erf) { UNUSED3(b, c, k); return vf_erf(a); }
FORMULA(tanh) { UNUSED3(b, c, k); return vf_tanh(a); }
FORMULA(sigmoid) { UNUSED3(b, c, k); return vf_sigmoid(a); }

FORMULA(add_imm) { UNUSED2(b, c); return vf_add(a, k); }
FORMULA(mul_imm) { UNUSED2(b, c); return vf_mul(a, k); }
FORMULA(rsub_imm) { UNUSED2(b, c); return vf_sub(k, a); }
FORMULA(rdiv_imm) { UNUSED2(b, c); return vf_div(k, a); }
FORMULA(max_imm) { UNUSED2(b, c); return vf_select(vf_nan(a), a, vf_max(a, k)); }
FORMULA(min_imm) { UNUSED2(b, c); return vf_select(vf_nan(a), a, vf_min(a, k)); }
FORMULA(gt_imm) { UNUSED2(b, c); return vf_one_if(vf_gt(a, k)); }
FORMULA(ge_imm) { UNUSED2(b, c); return vf_one_if(vf_ge(a, k)); }

FORMULA(add) { UNUSED2(c, k); return vf_add(a, b); }
FORMULA(sub) { UNUSED2(c, k); return vf_sub(a, b); }
FORMULA(mul) { UNUSED2(c, k); return vf_mul(a, b); }
FORMULA(div) { UNUSED2(c, k); return vf_div(a, b); }
FORMULA(max) { UNUSED2(c, k); return vf_max(a, b); }
FORMULA(min) { UNUSED2(c, k); return vf_min(a, b); }
FORMULA(gt) { UNUSED2(c, k); return vf_one_if(vf_gt(a, b)); }
FORMULA(ge) { UNUSED2(c, k); return vf_one_if(vf_ge(a, b)); }
FORMULA(eq) { UNUSED2(c, k); return vf_one_if(vf_eq(a, b)); }

/* tanh' = 1 - y^2,  sigmoid' = y - y^2 */
FORMULA(tanh_grad) { UNUSED2(c, k); return vf_mul(a, vf_fnma(b, b, vf_set(1))); }
FORMULA(sigmoid_grad) { UNUSED2(c, k); return vf_mul(a, vf_fnma(b, b, b)); }
FORMULA(gate_gt) { UNUSED2(c, c); return vf_select(vf_gt(b, k), a, vf_set(0)); }
FORMULA(gate_lt) { UNUSED2(c, c); return vf_select(vf_gt(k, b), a, vf_set(0)); }
FORMULA(where) { UNUSED2(k, k); return vf_select(vf_eq(a, vf_set(0)), c, b); }

typedef vf (*formula_fn) (vf a, vf b, vf c, vf k);

/* `f` and `inputs` are constants where this is inlined, so no call and no test is left. */
static inline __attribute__((always_inline))
void map_over (formula_fn f, const int inputs, real *y, const real *a, const real *b,
               const real *c, real imm, size_t n) {
  const vf k = vf_set(imm), none = vf_set(0);
  size_t i = 0;
  for (; i + VL <= n; i += VL)
    vf_store(y + i, f(inputs > 0 ? vf_load(a + i) : none, inputs > 1 ? vf_load(b + i) : none,
                      inputs > 2 ? vf_load(c + i) : none, k));
  const int left = (int)(n - i);
  if (left > 0)
    vf_store_n(y + i, f(inputs > 0 ? vf_load_n(a + i, left, 0) : none,
                        inputs > 1 ? vf_load_n(b + i, left, 0) : none,
                        inputs > 2 ? vf_load_n(c + i, left, 0) : none, k), left);
}

#define MAP_FUNCTION(name, nin, imm, formula) \
  static void map_##name (real *y, const real *a, const real *b, const real *c, real k, \
                          size_t n) { \
    map_over(f_##name, nin, y, a, b, c, k, n); \
  }
LURN_MAPS(MAP_FUNCTION)
#undef MAP_FUNCTION

#define MAP_ENTRY(name, nin, imm, formula) map_##name,
#define LURN_MAP_TABLE { LURN_MAPS(MAP_ENTRY) }

#endif
