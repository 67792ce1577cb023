/* parzen.c: kernels fitted to observations. Draws and scores are in parzen_score.c. */
#include "parzen.h"
#include "gauss.h"
#include "portable.h"

#include <math.h>
#include <string.h>

/* --- room ---------------------------------------------------------------------------------- */

/* Lays all arrays out from base on; base NULL only measures. */
static size_t place (lurn_parzen *p, char *base, int capacity) {
  size_t at = 0, A = (size_t)p->A, N = (size_t)capacity, K = N + 1;
#define PLACE(name, elements) \
  p->name = (void *)(base ? base + at : NULL); \
  at += lurn_align(sizeof *p->name * (elements))
  PLACE(number, N);
  PLACE(bump, A * N);
  PLACE(slot, N);
  PLACE(coming, N);
  PLACE(kernel, N);
  PLACE(member, N);
  PLACE(order, A * N);
  PLACE(weight, K);
  PLACE(constant, K);
  PLACE(mu, A * K);
  PLACE(inverse, A * K);
  PLACE(same, A * K);
  PLACE(different, A * K);
  PLACE(count, A);
#undef PLACE
  return at;
}

lurn_status lurn_parzen_init (lurn_ctx *ctx, lurn_parzen *p, const lurn_range *axis, int A, lurn_key key) {
  memset(p, 0, sizeof *p);
  p->axis = lurn_realloc(ctx, NULL, 0, sizeof *axis * (size_t)A);
  if (!p->axis) return LURN_ENOMEM;
  memcpy(p->axis, axis, sizeof *axis * (size_t)A);
  p->A = A;
  p->key = key;
  return lurn_parzen_reserve(ctx, p, 64);
}

void lurn_parzen_free (lurn_ctx *ctx, lurn_parzen *p) {
  lurn_free(ctx, p->scratch, p->scratch_size * sizeof *p->scratch);
  lurn_free(ctx, p->block, p->bytes);
  lurn_free(ctx, p->axis, sizeof *p->axis * (size_t)p->A);
  memset(p, 0, sizeof *p);
}

static lurn_bump *bumps (const lurn_parzen *p, int a) { return p->bump + (size_t)a * (size_t)p->capacity; }

/* What was added moves along; what was fitted is forgotten. */
lurn_status lurn_parzen_reserve (lurn_ctx *ctx, lurn_parzen *p, int capacity) {
  if (capacity <= p->capacity) return LURN_OK;
  if (capacity < 2 * p->capacity) capacity = 2 * p->capacity;
  lurn_parzen old = *p, now = *p;
  now.bytes = place(&now, NULL, capacity);
  now.block = lurn_realloc(ctx, NULL, 0, now.bytes);
  if (!now.block) return LURN_ENOMEM;
  memset(now.block, 0, now.bytes);
  place(&now, now.block, capacity);
  now.capacity = capacity;
  now.n = now.K = 0;
  if (old.block) {
    size_t N = (size_t)old.added;
    memcpy(now.number, old.number, N * sizeof *now.number);
    for (int a = 0; a < old.A; a++) memcpy(bumps(&now, a), bumps(&old, a), N * sizeof *now.bump);
    lurn_free(ctx, old.block, old.bytes);
  }
  *p = now;
  return LURN_OK;
}

/* --- axes ---------------------------------------------------------------------------------- */

void lurn_range_ends (const lurn_range *a, double *low, double *high) {
  double half = a->kind == LURN_RANGE_STEPS ? a->step / 2 : 0;
  *low = a->low - half;
  *high = a->high + half;
  if (!a->log) return;
  *low = lurn_portable_log(*low);
  *high = lurn_portable_log(*high);
}

int lurn_parzen_add (lurn_parzen *p, int64_t number, const double *x) {
  int s = p->added++;
  for (int a = 0; a < p->A; a++)
    bumps(p, a)[s] = (lurn_bump){.x = p->axis[a].log ? lurn_portable_log(x[a]) : x[a]};
  p->number[s] = number;
  return s;
}

/* --- fitting ------------------------------------------------------------------------------- */

static int before (const lurn_parzen *p, const lurn_bump *bump, int32_t s, int32_t t) {
  return bump[s].x < bump[t].x || (bump[s].x == bump[t].x && p->number[s] < p->number[t]);
}

/* What `member` says while a fit is being made. */
enum { WAS = 1, IS = 2 };

/* order keeps those that stay and takes in the new ones, each at its place. */
static void sort_axis (lurn_parzen *p, int a, int was, const int32_t *slots, int n) {
  int32_t *order = p->order + (size_t)a * (size_t)p->capacity;
  const lurn_bump *bump = bumps(p, a);
  int m = 0;
  for (int i = 0; i < was; i++)
    if (p->member[order[i]] & IS) order[m++] = order[i];
  for (int i = 0; i < n; i++) {
    int low = 0, high = m;
    if (p->member[slots[i]] & WAS) continue;
    while (low < high) {
      int middle = (low + high) / 2;
      if (before(p, bump, slots[i], order[middle])) high = middle; else low = middle + 1;
    }
    memmove(order + low + 1, order + low, sizeof *order * (size_t)(m - low));
    order[low] = slots[i];
    m++;
  }
}

/* sigma from the gaps to the neighbours, ends of the range included; outermost observations have only the inner gap. */
static double sigma_of (double left, double right, int first, int last, double least, double most) {
  double sigma = first == last ? (left > right ? left : right) : first ? right : left;
  return sigma < least ? least : sigma > most ? most : sigma;
}

/* ln of what a kernel is divided by: numbers sigma sqrt(2 pi) and the share inside the range, steps the share. */
static double norm_of (const lurn_range *axis, double mu, double sigma, double low, double high) {
  double inside = lurn_portable_log(lurn_gauss_mass((low - mu) / sigma, (high - mu) / sigma));
  return axis->kind == LURN_RANGE_STEPS ? inside : inside + lurn_portable_log(sigma) + LURN_LN_SQRT_2PI;
}

/* fresh: no kernel along this axis had this mu and sigma yet; else it is the same as the one put before. */
static void put_kernel (lurn_parzen *p, int a, int k, const lurn_bump *b, int fresh) {
  size_t row = (size_t)a * (size_t)(p->capacity + 1), at = row + (size_t)k;
  p->mu[at] = b->x;
  p->inverse[at] = b->inverse;
  p->constant[k] -= b->norm;
  if (fresh) p->different[row + (size_t)p->count[a]++] = k;
  p->same[at] = p->count[a] - 1;
}

static void set_sigma (const lurn_range *axis, lurn_bump *b, double sigma, double low, double high) {
  b->sigma = sigma;
  b->inverse = LURN_SQRT_HALF / sigma;
  b->norm = norm_of(axis, b->x, sigma, low, high);
}

static void fit_numbers (lurn_parzen *p, int a) {
  const int32_t *order = p->order + (size_t)a * (size_t)p->capacity;
  lurn_bump *bump = bumps(p, a), *last = NULL;
  double low, high;
  lurn_range_ends(&p->axis[a], &low, &high);
  double most = high - low, least = most / (p->K + 1 < 100 ? p->K + 1 : 100);
  p->count[a] = 0;
  for (int i = 0; i < p->n; i++) {
    lurn_bump *b = &bump[order[i]];
    double left = b->x - (i > 0 ? last->x : low), right = (i < p->n - 1 ? bump[order[i + 1]].x : high) - b->x;
    double sigma = sigma_of(left, right, i == 0, i == p->n - 1, least, most);
    if (sigma != b->sigma) set_sigma(&p->axis[a], b, sigma, low, high);
    put_kernel(p, a, p->kernel[order[i]], b, i == 0 || b->x != last->x || sigma != last->sigma);
    last = b;
  }
  lurn_bump prior = {.x = 0.5 * (low + high)};
  set_sigma(&p->axis[a], &prior, most, low, high);
  put_kernel(p, a, p->n, &prior, 1);
}

static void fit_choices (lurn_parzen *p, int a) {
  double *mu = p->mu + (size_t)a * (size_t)(p->capacity + 1);
  for (int k = 0; k < p->n; k++) mu[k] = bumps(p, a)[p->slot[k]].x;
  mu[p->n] = -1;
}

/* 25 newest and the prior: 1; older: from 1/n up to 1. */
static void weigh (lurn_parzen *p) {
  int n = p->n, old = n - 25;
  double sum = 0, rise = old > 1 ? (1.0 - 1.0 / n) / (old - 1) : 0;
  for (int k = 0; k < p->K; k++) {
    p->weight[k] = k < old ? 1.0 / n + k * rise : 1.0;
    sum += p->weight[k];
  }
  for (int k = 0; k < p->K; k++) {
    p->weight[k] /= sum;
    p->constant[k] = 0;
  }
}

void lurn_parzen_fit (lurn_parzen *p, const int32_t *slots, int n) {
  int was = p->n;
  for (int k = 0; k < was; k++) p->member[p->slot[k]] |= WAS;
  for (int k = 0; k < n; k++) {
    p->member[slots[k]] |= IS;
    p->kernel[slots[k]] = k;
  }
  for (int a = 0; a < p->A; a++)
    if (p->axis[a].kind != LURN_RANGE_CHOICE) sort_axis(p, a, was, slots, n);
  for (int k = 0; k < was; k++) p->member[p->slot[k]] = 0;
  for (int k = 0; k < n; k++) p->member[slots[k]] = 0;
  memcpy(p->slot, slots, sizeof *slots * (size_t)n);
  p->n = n;
  p->K = n + 1;
  weigh(p);
  for (int a = 0; a < p->A; a++)
    if (p->axis[a].kind == LURN_RANGE_CHOICE) fit_choices(p, a); else fit_numbers(p, a);
}
