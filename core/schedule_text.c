/* schedule_text.c: a schedule as people read it: units, what is in them, where registers live. */
#include "schedule.h"
#include "sink.h"

static void put_unit (lurn_sink *s, const lurn_schedule *x, const lurn_section *u, const char *where) {
  static const char *const stores[] = {"none", "strip", "step", "block", "full", "bound"};
  static const char *const kinds[] = {[LURN_SECTION_CALL] = "call", [LURN_SECTION_LIST] = "list",
    [LURN_SECTION_STRIP] = "strip"};
  lurn_sink_put(s, "%s%s\n", where, kinds[u->kind]);
  for (int k = u->first; k < u->first + u->count; k++) {
    const lurn_instr *i = &x->program->instr[x->order[k]];
    lurn_sink_put(s, "%s  r%d = %s", where, i->out, lurn_op_info(i->op)->name);
    for (int j = 0; j < lurn_op_info(i->op)->nin; j++) if (i->in[j] >= 0) lurn_sink_put(s, " r%d", i->in[j]);
    lurn_sink_put(s, "   (%s%s)\n", stores[x->store[x->root[i->out]]], x->root[i->out] != i->out ? ", in place" : "");
  }
}

static void put_loop (lurn_sink *s, const lurn_schedule *x, int u) {
  static const char *const parts[] = {"before", "step", "after"};
  const lurn_section *loop = &x->unit[u];
  int count[3] = {loop->before, loop->step, loop->after}, at = u + 1;
  lurn_sink_put(s, "loop %s\n", x->program->scans[loop->scan].name);
  for (int part = 0; part < 3; part++) {
    if (count[part]) lurn_sink_put(s, "  %s\n", parts[part]);
    for (int k = 0; k < count[part]; k++) put_unit(s, x, &x->unit[at++], "    ");
  }
}

static void put_block (lurn_sink *s, const lurn_schedule *x, int u) {
  lurn_sink_put(s, "block\n");
  for (int k = 1; k <= x->unit[u].before; k++) put_unit(s, x, &x->unit[u + k], "  ");
}

size_t lurn_schedule_print (const lurn_schedule *x, char *text, size_t size) {
  lurn_sink s = {text, size, 0};
  for (int u = 0; u < x->nunit; u++) {
    if (u == x->forward) lurn_sink_put(&s, "-- backward\n");
    if (x->unit[u].kind == LURN_SECTION_BLOCK) { put_block(&s, x, u); u += x->unit[u].before; continue; }
    if (x->unit[u].kind != LURN_SECTION_LOOP) { put_unit(&s, x, &x->unit[u], ""); continue; }
    put_loop(&s, x, u);
    u += x->unit[u].before + x->unit[u].step + x->unit[u].after;
  }
  return s.at;
}
