/* l_bench.c: the speed that the processor could reach, which `lurn bench` puts beside the speed
 * that a row of its table did. */
#include <string.h>

#include "lb.h"
#include "kernel.h"
#include "sys.h"

#define ROUNDS 100000           /* under a millisecond: shorter than a time slice of a busy machine */
#define TRIES 200

/* Twelve independent chains of fused multiply-adds in registers: more than latency times units. */
#if defined __x86_64__ && defined __GNUC__
#ifdef LURN_F64
#define SUFFIX "pd"
#else
#define SUFFIX "ps"
#endif
#define FMA(reg, i) "vfmadd231" SUFFIX " %%" reg "12, %%" reg "13, %%" reg i "\n\t"
#define FMAS(reg) \
  FMA(reg, "0") FMA(reg, "1") FMA(reg, "2") FMA(reg, "3") FMA(reg, "4") FMA(reg, "5") \
  FMA(reg, "6") FMA(reg, "7") FMA(reg, "8") FMA(reg, "9") FMA(reg, "10") FMA(reg, "11")
#define LOOP(reg) \
  __asm__ volatile("vzeroall\n\t" "1:\n\t" FMAS(reg) "sub $1, %0\n\t" "jnz 1b\n\t" "vzeroupper" \
    : "+r"(rounds) : : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
    "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

/* Runs the chains; returns the numbers in a register, 0 when these kernels have no such registers. */
static int chains (const char *isa, long rounds) {
  if (strcmp(isa, "avx512") == 0) {
    LOOP("zmm");
    return 64 / (int)sizeof(real);
  }
  if (strcmp(isa, "avx2") == 0) {
    LOOP("ymm");
    return 32 / (int)sizeof(real);
  }
  return 0;
}
#else
static int chains (const char *isa, long rounds) {
  (void)isa, (void)rounds;
  return 0;
}
#endif

/* fma_peak() -> GF/s of one core with the instruction set in use, the best of many short runs; nil
 * where that is not known. */
static int fma_peak (lua_State *L) {
  const char *isa = lb_ctx(L)->kernels->isa;
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    const double start = lurn_sys_clock();
    const double flops = 2.0 * 12 * ROUNDS * chains(isa, ROUNDS);
    const double rate = 1e-9 * flops / (lurn_sys_clock() - start);
    if (rate > best) best = rate;
  }
  if (best > 0) lua_pushnumber(L, best);
  else lua_pushnil(L);
  return 1;
}

static const luaL_Reg functions[] = {{"fma_peak", fma_peak}, {NULL, NULL}};

int l_bench_open (lua_State *L);
int l_bench_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
