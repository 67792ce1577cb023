/* dispatch.c: which tables this CPU can run, and the names of the maps. */
#include <string.h>
#include "tables.h"

/* Bit 0 stands for avx2, bit 1 for avx512. __builtin_cpu_supports asks the operating system,
 * too, whether it saves the registers. */
static unsigned cpu_features (void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
                && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  return (fma ? 1u : 0u) | (fma && wide ? 2u : 0u);
#else
  return 0;
#endif
}

const char *const *lurn_kernels_list (void) {
  static const char *const names[4][4] = {
    { "c", NULL }, { "c", "avx2", NULL }, { "c", NULL }, { "c", "avx2", "avx512", NULL }
  };
  return names[cpu_features()];
}

static const lurn_kernels *table_of (const char *isa) {
#if defined(__x86_64__)
  if (strcmp(isa, "avx512") == 0) return &lurn_kernels_avx512;
  if (strcmp(isa, "avx2") == 0) return &lurn_kernels_avx2;
#endif
  return strcmp(isa, "c") == 0 ? &lurn_kernels_c : NULL;
}

const lurn_kernels *lurn_kernels_find (const char *isa) {
  const char *const *names = lurn_kernels_list();
  const char *best = NULL;
  const int any = isa == NULL || *isa == '\0';
  for (; *names; names++)
    if (any || strcmp(*names, isa) == 0) best = *names;
  return best ? table_of(best) : NULL;
}

/* It works in registers that every system saves. */
lurn_sha256_fn lurn_kernels_sha256 (void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1")) return lurn_sha256_x86;
#endif
  return NULL;
}

/* ---- the maps --------------------------------------------------------------------------- */

static const struct { const char *name, *formula; int inputs, has_imm; } maps[LURN_NMAPS] = {
#define MAP_ROW(name, nin, imm, formula) { #name, formula, nin, imm },
  LURN_MAPS(MAP_ROW)
#undef MAP_ROW
};

const char *lurn_map_name (lurn_map map) { return maps[map].name; }
int lurn_map_inputs (lurn_map map) { return maps[map].inputs; }
int lurn_map_has_imm (lurn_map map) { return maps[map].has_imm; }
const char *lurn_map_formula (lurn_map map) { return maps[map].formula; }
