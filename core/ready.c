#include "ready.h"

#include <string.h>

/* A register that only its strip reads has a slot of the scratch, in which every block of rows begins anew. */
static lurn_spot spot_of (const lurn_wave *w, lurn_reg r) {
  const lurn_schedule *s = w->schedule;
  const lurn_register *x = &w->program->reg[r];
  if (x->kind == LURN_REG_VALUE && s->store[s->root[r]] <= LURN_KEEP_STRIP)
    return (lurn_spot){(size_t)s->slot[r] * w->slot_bytes, 0, 0, UINTPTR_MAX};
  int frames = lurn_on_time(x->axis) && lurn_keeps_frames(s, r);
  return (lurn_spot){(uintptr_t)w->base[r], x->axis == LURN_ONCE ? 0 : lurn_row_bytes(x), frames ? UINTPTR_MAX : 0, 0};
}

static void ready_map (const lurn_wave *w, lurn_ready *a, const lurn_instr *i) {
  const lurn_program *p = w->program;
  a->f = i->op < LURN_NMAPS ? w->kernels->map[i->op] : NULL;
  a->k = (real)i->k;
  a->cols = p->reg[i->out].cols;
  a->still = 0;
  for (int j = 0; j < 3; j++) {
    a->in[j] = i->in[j] < 0 ? (lurn_spot){0, 0, 0, 0} : spot_of(w, i->in[j]);
    a->still |= i->in[j] >= 0 && p->reg[i->in[j]].axis == LURN_ONCE && p->reg[i->out].axis != LURN_ONCE;
  }
}

static void ready_product (const lurn_wave *w, lurn_ready *a, int n, lurn_reg before) {
  const lurn_program *p = w->program;
  const lurn_instr *i = &p->instr[n];
  const lurn_register *acc = i->in[0] < 0 ? NULL : &p->reg[i->in[0]];
  int K = p->reg[i->in[1]].cols, N = p->reg[i->out].cols;
  a->in[0] = acc ? spot_of(w, i->in[0]) : (lurn_spot){0, 0, 0, 0};
  a->in[1] = spot_of(w, i->in[1]);
  a->job = (lurn_product){.N = N, .K = K, .lda = K, .packed = w->packed[w->schedule->packed[n]],
                          .ldi = acc && acc->axis == LURN_ONCE ? 0 : N, .ldc = N,
                          .follows = before >= 0 && i->in[0] == before};
}

static void ready_section (lurn_wave *w, const lurn_section *u) {
  const int *order = w->schedule->order + u->first;
  int strip = u->kind == LURN_SECTION_STRIP;
  if (!strip && u->kind != LURN_SECTION_LIST) return;
  for (int k = 0; k < u->count; k++) {
    const lurn_instr *i = &w->program->instr[order[k]];
    lurn_ready *a = &w->ready[order[k]];
    a->out = spot_of(w, i->out);
    if (strip) ready_map(w, a, i);
    else ready_product(w, a, order[k], k > 0 ? w->program->instr[order[k - 1]].out : -1);
  }
}

/* Most plays find everything where it was: comparing is much less than writing it again, which other threads would have
 * to read again. */
void lurn_ready_find (lurn_wave *w) {
  size_t bytes = sizeof *w->base * (size_t)w->program->nreg;
  if (!memcmp(w->ready_for, w->base, bytes)) return;
  memcpy(w->ready_for, w->base, bytes);
  for (int k = 0; k < w->schedule->nunit; k++) ready_section(w, &w->schedule->unit[k]);
}
