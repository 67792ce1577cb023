#include "wave.h"

#include <string.h>

#include "pool.h"
#include "recompute.h"

/* ---------- the plan ---------- */

static size_t rows_of (const lurn_wave *w, const lurn_register *x, lurn_keep store) {
  if (x->axis == LURN_ONCE) return 1;
  if (lurn_axis_level(x->axis) == LURN_ROW || store == LURN_KEEP_STEP) return (size_t)w->most.B;
  size_t block = store == LURN_KEEP_BLOCK ? (size_t)lurn_wave_block(w) * (size_t)w->most.B : SIZE_MAX;
  size_t frames = (size_t)w->most.N[lurn_axis_set(x->axis)], window = (size_t)w->window * (size_t)w->most.B;
  if (x->axis == LURN_TIME && w->window && window < frames) frames = window;
  return block < frames ? block : frames;
}

static size_t register_bytes (const lurn_wave *w, lurn_reg r) {
  const lurn_register *x = &w->program->reg[r];
  lurn_keep store = w->schedule ? (lurn_keep)w->schedule->store[r] : LURN_KEEP_FULL;
  return lurn_align(lurn_row_bytes(x) * rows_of(w, x, store));
}

static int owns_memory (const lurn_wave *w, lurn_reg r) {
  const lurn_program *p = w->program;
  const lurn_register *x = &p->reg[r];
  if (x->kind == LURN_REG_PARAM || x->kind == LURN_REG_INPUT) return 0;
  if (x->kind == LURN_REG_VALUE && (x->index >= p->ninstr || p->instr[x->index].out != r)) return 0;
  /* pruned */
  if (!w->schedule) return 1;
  return w->schedule->root[r] == r && w->schedule->store[r] >= LURN_KEEP_STEP
         && w->schedule->store[r] <= LURN_KEEP_FULL;
}

/* The lowest place that no register alive at the same time overlaps. */
static size_t first_fit (const lurn_wave *w, lurn_reg r) {
  const lurn_schedule *s = w->schedule;
  size_t at = 0, want = register_bytes(w, r);
  for (int moved = 1; moved; ) {
    moved = 0;
    for (lurn_reg o = 0; o < r; o++) {
      if (w->offset[o] == SIZE_MAX) continue;
      int together = !s->choices.reuse || (s->birth[o] <= s->death[r] && s->birth[r] <= s->death[o]);
      size_t end = w->offset[o] + register_bytes(w, o);
      if (together && w->offset[o] < at + want && at < end) { at = end; moved = 1; }
    }
  }
  return at;
}

static void plan_registers (lurn_wave *w) {
  for (lurn_reg r = 0; r < w->program->nreg; r++) {
    w->offset[r] = SIZE_MAX;
    if (!owns_memory(w, r)) continue;
    w->offset[r] = w->schedule ? first_fit(w, r) : w->bytes;
    size_t end = w->offset[r] + register_bytes(w, r);
    if (end > w->bytes) w->bytes = end;
  }
}

static size_t pack_bytes (const lurn_wave *w, const lurn_packing *how) {
  return lurn_align(sizeof(real) * (size_t)how->blocks * lurn_packing_stride(w->kernels, how));
}

static size_t op_scratch (const lurn_wave *w) {
  size_t most = 0;
  for (int n = 0; n < w->program->ninstr; n++) {
    const lurn_op *op = lurn_op_info(w->program->instr[n].op);
    size_t bytes = op->scratch ? op->scratch(w->program, &w->program->instr[n], &w->most) : 0;
    if (bytes > most) most = bytes;
  }
  return most;
}

/* Packed weights and the strips' scratch lie behind the registers. The twin packs per product. */
static void layout_rest (lurn_wave *w, char *memory) {
  const lurn_schedule *s = w->schedule;
  size_t at = w->bytes;
  for (int k = 0; s && k < s->npack; k++) {
    if (memory) w->packed[k] = (real *)(void *)(memory + at);
    at += pack_bytes(w, &s->pack[k].how);
  }
  for (int n = 0; !s && n < w->program->ninstr; n++) {
    lurn_packing how;
    if (!lurn_packing_of(w->program, &w->program->instr[n], &how)) continue;
    if (memory) w->packed[n] = (real *)(void *)(memory + at);
    at += pack_bytes(w, &how);
  }
  if (s) {
    if (memory) w->scratch = (real *)(void *)(memory + at);
    at += (size_t)s->nslot * w->slot_bytes * (size_t)w->threads;
  }
  if (memory) w->op_scratch = memory + at;
  at += lurn_align(op_scratch(w));
  if (w->window) at += lurn_recompute_place(w, memory ? memory + at : NULL);
  if (!memory) w->rest = at - w->bytes;
}

/* A slot holds the largest block that any strip has: as many rows as choices.strip allows, at
 * least one, never more than there are. */
static void find_slot_bytes (lurn_wave *w) {
  const lurn_schedule *s = w->schedule;
  size_t most = 1;
  for (lurn_reg r = 0; s && r < w->program->nreg; r++) {
    const lurn_register *x = &w->program->reg[r];
    if (x->kind != LURN_REG_VALUE || s->store[s->root[r]] > LURN_KEEP_STRIP) continue;
    size_t rows = rows_of(w, x, LURN_KEEP_FULL), block = (size_t)(s->choices.strip / x->cols);
    if (block < 1) block = 1;
    if (rows > block) rows = block;
    if (rows * (size_t)x->cols > most) most = rows * (size_t)x->cols;
  }
  w->slot_bytes = lurn_align(sizeof(real) * most);
}

static void lower (int32_t *limit, int32_t to) {
  if (*limit == 0 || to < *limit) *limit = to;
}

/* The smallest table that an index input is used to look up. */
static void find_limits (lurn_wave *w) {
  const lurn_program *p = w->program;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    int at = i->op == LURN_OP_SCATTER ? 2 : 1;
    if (i->op != LURN_OP_GATHER && i->op != LURN_OP_PICK && i->op != LURN_OP_UNPICK
        && i->op != LURN_OP_SCATTER && i->op != LURN_OP_CTC) continue;
    const lurn_register *id = &p->reg[i->in[at]];
    if (id->kind != LURN_REG_INPUT) continue;
    if (i->op == LURN_OP_GATHER) lower(&w->limit[id->index], p->reg[i->in[0]].dim[0] - !!i->i[0]);
    else if (i->op == LURN_OP_PICK || i->op == LURN_OP_CTC) lower(&w->limit[id->index], p->reg[i->in[0]].cols);
    else lower(&w->limit[id->index], i->i[0] - (i->op == LURN_OP_SCATTER && i->i[1]));
  }
}

/* What all registers, packed weights and strips can need at most, counted so that nothing overflows. */
static double most_bytes (const lurn_wave *w) {
  double most = 0;
  for (lurn_reg r = 0; r < w->program->nreg; r++) if (owns_memory(w, r)) most += (double)register_bytes(w, r);
  return most + (double)w->rest;
}

/* A product, and what sums like one, has a row for each place of a row that is a matrix: their number has to be an int. */
static lurn_status check_places (const lurn_wave *w) {
  const lurn_program *p = w->program;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    if (i->op != LURN_OP_PRODUCT && i->op != LURN_OP_OUTER && i->op != LURN_OP_PLACESUM) continue;
    const lurn_register *x = &p->reg[i->in[1]];
    size_t rows = rows_of(w, x, LURN_KEEP_FULL), places = (size_t)(x->cols / x->dim[x->rank - 1]);
    if (rows > INT32_MAX / places)
      return lurn_fail(w->ctx, LURN_EINVAL, "%s: %zu rows of %zu places each are more than %ld: ask for fewer rows or for "
                       "windows", lurn_op_info(i->op)->name, rows, places, (long)INT32_MAX);
  }
  return LURN_OK;
}

/* One walk measures and places. */
static size_t place_tables (lurn_wave *w, char *block) {
  const lurn_program *p = w->program;
  size_t at = 0, r = (size_t)p->nreg + 1, n = (size_t)p->ninstr + 1, states = (size_t)p->nscan * LURN_MAX_STATES;
  size_t units = w->schedule ? (size_t)w->schedule->nunit : 0;
  w->ready = lurn_take(block, &at, w->schedule ? sizeof *w->ready * n : 0);
  w->base = lurn_take(block, &at, sizeof *w->base * r);
  w->ready_for = lurn_take(block, &at, sizeof *w->ready_for * r);
  w->packed = lurn_take(block, &at, sizeof *w->packed * n);
  w->op = lurn_take(block, &at, sizeof *w->op * n);
  w->entry = lurn_take(block, &at, sizeof *w->entry * states);
  w->from = lurn_take(block, &at, sizeof *w->from * states);
  w->offset = lurn_take(block, &at, sizeof *w->offset * r);
  w->limit = lurn_take(block, &at, sizeof *w->limit * ((size_t)p->ninput + 1));
  w->known = lurn_take(block, &at, sizeof *w->known * units);
  w->sharing = lurn_take(block, &at, sizeof *w->sharing * units);
  w->axis = lurn_take(block, &at, sizeof *w->axis * n);
  w->looks = lurn_take(block, &at, sizeof *w->looks * 3 * r);
  return at;
}

lurn_status lurn_wave_plan (lurn_ctx *ctx, lurn_wave *w, const lurn_program *p, const lurn_schedule *s,
                            const lurn_kernels *k, const lurn_extent *most) {
  memset(w, 0, sizeof *w);
  w->ctx = ctx;
  w->program = p;
  w->schedule = s;
  w->kernels = k;
  w->threads = lurn_pool_threads(ctx->pool);
  w->most = *most;
  w->table_bytes = place_tables(w, NULL);
  w->tables = lurn_realloc(ctx, NULL, 0, w->table_bytes);
  if (!w->tables) return LURN_ENOMEM;
  memset(w->tables, 0, w->table_bytes);
  place_tables(w, w->tables);
  w->weights = 1;
  for (int at = 0; at < p->ninstr; at++) {
    w->op[at] = lurn_op_info(p->instr[at].op);
    w->axis[at] = (uint8_t)lurn_instr_axis(p, &p->instr[at]);
  }
  if (s && s->choices.window) w->window = s->choices.window > 0 ? s->choices.window : lurn_recompute_window(w, most->T[0]);
  lurn_status fits = check_places(w);
  if (fits != LURN_OK) return fits;
  find_slot_bytes(w);
  layout_rest(w, NULL);
  if (most_bytes(w) > 0x1p62) return lurn_fail(ctx, LURN_ENOMEM,
      "no memory for a plan of %.3g bytes (%d steps, %d rows)", most_bytes(w), most->T[0], most->B);
  plan_registers(w);
  w->bytes += w->rest;
  find_limits(w);
  return LURN_OK;
}

void lurn_wave_place (lurn_wave *w, void *memory) {
  for (lurn_reg r = 0; r < w->program->nreg; r++)
    if (w->offset[r] != SIZE_MAX) w->base[r] = (char *)memory + w->offset[r];
  w->bytes -= w->rest;
  layout_rest(w, memory);
  w->bytes += w->rest;
  for (lurn_reg r = 0; w->schedule && r < w->program->nreg; r++) w->base[r] = w->base[w->schedule->root[r]];
}

void lurn_wave_free (lurn_wave *w) {
  if (w->ctx) lurn_free(w->ctx, w->tables, w->table_bytes);
  memset(w, 0, sizeof *w);
}

/* ---------- binding ---------- */

/* The output that is the gradient of parameter k; -1: nothing flows into it. */
static lurn_reg gradient_of (const lurn_program *p, int k) {
  char name[LURN_DERIVED];
  lurn_derived_name(name, LURN_DERIVED_GRADIENT, p->params.p[k].path, NULL);
  lurn_reg g = lurn_find_output(p, name);
  const lurn_register *x = lurn_reg_info(p, g);
  return x && x->dtype == LURN_REAL && x->axis == LURN_ONCE && (size_t)x->cols == p->params.p[k].count ? g : -1;
}

/* A gradient is written where the model keeps it; the first register that claims a place has it. */
static void bind_gradient (lurn_wave *w, const lurn_param *p, lurn_reg g) {
  const lurn_schedule *s = w->schedule;
  if (!s || w->program->reg[g].kind != LURN_REG_VALUE) return;
  lurn_reg root = s->root[g];
  for (int k = 0; k < w->program->params.n; k++)
    if (w->base[root] == (void *)(w->grad + w->program->params.p[k].offset)) return;
  for (lurn_reg r = 0; r < w->program->nreg; r++)
    if (s->root[r] == root) w->base[r] = w->grad + p->offset;
}

void lurn_wave_params (lurn_wave *w, real *value, real *grad) {
  const lurn_params *t = &w->program->params;
  w->value = value;
  w->grad = grad;
  for (lurn_reg r = 0; r < w->program->nreg; r++)
    if (w->program->reg[r].kind == LURN_REG_PARAM) w->base[r] = value + t->p[w->program->reg[r].index].offset;
  for (int k = 0; grad && k < t->n; k++) {
    lurn_reg g = gradient_of(w->program, k);
    if (g >= 0) bind_gradient(w, &t->p[k], g);
  }
}

void lurn_wave_finish_grads (lurn_wave *w) {
  const lurn_params *t = &w->program->params;
  for (int k = 0; w->grad && k < t->n; k++) {
    real *to = w->grad + t->p[k].offset;
    lurn_reg g = gradient_of(w->program, k);
    if (g < 0) memset(to, 0, sizeof *to * t->p[k].count);
    else if (w->base[g] != (void *)to) memcpy(to, w->base[g], sizeof *to * t->p[k].count);
  }
}

/* Every so many matrices are one thread's. */
static void pack_part (void *arg, int part, int parts) {
  const lurn_wave *w = arg;
  for (int k = part; k < w->schedule->npack; k += parts) {
    const lurn_pack *e = &w->schedule->pack[k];
    if (w->program->reg[e->w].kind == LURN_REG_PARAM)
      lurn_packing_play(w->kernels, &e->how, w->base[e->w], w->packed[k]);
  }
}

/* Only weights are packed ahead; a matrix that is computed is packed when it is used. */
void lurn_wave_pack (lurn_wave *w) {
  w->weights++;
  if (!w->schedule || w->ctx->blas) return;
  if (w->ctx->pool && w->program->params.count >= (size_t)w->schedule->choices.worth) lurn_pool_run(w->ctx->pool, pack_part, w);
  else pack_part(w, 0, 1);
}

static lurn_status check_indices (lurn_wave *w, const lurn_field *f, int rows, int32_t limit) {
  const int32_t *id = f->data;
  for (int r = 0; r < rows; r++)
    if (id[r] < -1 || (limit && id[r] >= limit))
      return lurn_fail(w->ctx, LURN_EINVAL, "%s: index %d is out of range: expected 1 to %d (0: none)", f->name,
                       (int)id[r] + 1, (int)limit);
  return LURN_OK;
}

/* Where there is one step, frames and rows are the same. */
static int on_axis (const lurn_batch *b, int have, int want) {
  int first = (have == LURN_ROW || have == LURN_TIME) && (want == LURN_ROW || want == LURN_TIME);
  return have == want || (b->T == 1 && first);
}

/* What the names of two axes mean to whoever has not read of axes. */
static const char *mismatch (int have, int want) {
  if (lurn_on_time(have) == lurn_on_time(want)) return "";
  return lurn_on_time(want) ? " (one a sequence, not one a step)" : " (one a step, not one a sequence)";
}

static lurn_status bind_field (lurn_wave *w, const lurn_named *in) {
  const lurn_register *x = &w->program->reg[in->reg];
  const lurn_field *f = lurn_batch_field(w->batch, in->name);
  if (!f && lurn_is_derived(in->name, LURN_DERIVED_STATE)) return LURN_OK;
  if (!f) return lurn_fail(w->ctx, LURN_EINVAL, "the model asks for '%s', which the batch does not have",
                           in->name);
  char want[96];
  if ((int)f->dtype != x->dtype || f->cols != x->cols || !on_axis(w->batch, f->axis, x->axis))
    return lurn_fail(w->ctx, LURN_EINVAL, "batch field '%s': the model expects %s, got %s (%d) %s%s", in->name,
                     lurn_reg_text(w->program, in->reg, want, sizeof want), lurn_axis_names[f->axis], f->cols,
                     f->dtype == LURN_INDEX ? "index" : "real", mismatch(f->axis, x->axis));
  w->base[in->reg] = (void *)(uintptr_t)f->data;
  if (f->dtype != LURN_INDEX) return LURN_OK;
  return check_indices(w, f, lurn_on_time(f->axis) ? lurn_wave_along(w, f->axis)->N
                       : w->batch->B, w->limit[x->index]);
}

static lurn_status check_extent (lurn_wave *w, const lurn_batch *batch) {
  const lurn_extent e = lurn_extent_of(batch);
  for (lurn_reg r = 0; r < w->program->nreg; r++)
    if (!lurn_batch_along(batch, w->program->reg[r].axis))
      return lurn_fail(w->ctx, LURN_EINVAL, "the model works along an axis '%s', which the batch does not have",
                       lurn_axis_names[w->program->reg[r].axis]);
  for (int k = 0; k < LURN_MAX_AXES; k++)
    if (e.T[k] > w->most.T[k] || e.B > w->most.B || e.N[k] > w->most.N[k])
      return lurn_fail(w->ctx, LURN_EINVAL,
                       "a batch of %d steps, %d rows, %d frames does not fit the plan for %d, %d, %d",
                       e.T[k], e.B, e.N[k], w->most.T[k], w->most.B, w->most.N[k]);
  return LURN_OK;
}

lurn_status lurn_wave_bind (lurn_wave *w, const lurn_batch *batch, const lurn_moment *moment) {
  lurn_status fits = check_extent(w, batch);
  if (fits != LURN_OK) return fits;
  w->batch = batch;
  w->moment = *moment;
  for (int k = 0; k < w->program->ninput; k++) {
    lurn_status status = bind_field(w, &w->program->input[k]);
    if (status != LURN_OK) return status;
  }
  return LURN_OK;
}

int lurn_wave_input (lurn_wave *w, const char *name, void *data) {
  lurn_reg r = lurn_find_input(w->program, name);
  if (r >= 0) w->base[r] = data;
  return r >= 0;
}

void *lurn_wave_output (const lurn_wave *w, const char *name, const lurn_register **info) {
  lurn_reg r = lurn_find_output(w->program, name);
  if (r < 0) return NULL;
  if (info) *info = &w->program->reg[r];
  return w->base[r];
}
