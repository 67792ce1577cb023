/* parzen.c: kernels fitted to observations. Draws and scores are in parzen_score.c. */
#include "parzen.h"
#include "gauss.h"
#include "portable.h"

#include <math.h>
#include <string.h>

#define SQRT_HALF   0.7071067811865476
#define LN_SQRT_2PI 0.9189385332046727

/* --- room ---------------------------------------------------------------------------------- */

/* Lays all arrays out from base on; base NULL only measures. */
static size_t place (lurn_parzen *p, char *base, int capacity) {
  size_t at = 0, A = (size_t)p->A, N = (size_t)capacity, K = N + 1;
#define PLACE(name, elements) \
  p->name = (void *)(base ? base + at : NULL); \
  at += lurn_align(sizeof *p->name * (elements))
  PLACE(number, N);
  PLACE(x, N * A);
  PLACE(sigma, N * A);
  PLACE(norm, N * A);
  PLACE(slot, N);
  PLACE(kernel, N);
  PLACE(member, N);
  PLACE(order, A * N);
  PLACE(weight, K);
  PLACE(constant, K);
  PLACE(mu, A * K);
  PLACE(inverse, A * K);
  PLACE(same, A * K);
#undef PLACE
  return at;
}

lurn_status lurn_parzen_init (lurn_ctx *ctx, lurn_parzen *p, const lurn_axis *axis, int A, lurn_key key) {
  memset(p, 0, sizeof *p);
  p->axis = lurn_realloc(ctx, NULL, 0, sizeof *axis * (size_t)A);
  if (!p->axis) return LURN_ENOMEM;
  memcpy(p->axis, axis, sizeof *axis * (size_t)A);
  p->A = A;
  p->key = key;
  return lurn_parzen_reserve(ctx, p, 64);
}

void lurn_parzen_free (lurn_ctx *ctx, lurn_parzen *p) {
  lurn_free(ctx, p->block, p->bytes);
  lurn_free(ctx, p->axis, sizeof *p->axis * (size_t)p->A);
  memset(p, 0, sizeof *p);
}

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
    size_t N = (size_t)old.added, NA = N * (size_t)old.A;
    memcpy(now.number, old.number, N * sizeof *now.number);
    memcpy(now.x, old.x, NA * sizeof *now.x);
    memcpy(now.sigma, old.sigma, NA * sizeof *now.sigma);
    memcpy(now.norm, old.norm, NA * sizeof *now.norm);
    lurn_free(ctx, old.block, old.bytes);
  }
  *p = now;
  return LURN_OK;
}

/* --- axes ---------------------------------------------------------------------------------- */

/* The range in which kernels live: half a step wider, on the logarithm. */
static void range_of (const lurn_axis *a, double *low, double *high) {
  double half = a->kind == LURN_AXIS_STEPS ? a->step / 2 : 0;
  *low = a->low - half;
  *high = a->high + half;
  if (!a->log) return;
  *low = lurn_portable_log(*low);
  *high = lurn_portable_log(*high);
}

int lurn_parzen_add (lurn_parzen *p, int64_t number, const double *x) {
  int s = p->added++;
  for (int a = 0; a < p->A; a++) {
    p->x[s * p->A + a] = p->axis[a].log ? lurn_portable_log(x[a]) : x[a];
    p->sigma[s * p->A + a] = 0;               /* no kernel has this width, so the first fit works its norm out */
  }
  p->number[s] = number;
  return s;
}

/* --- fitting ------------------------------------------------------------------------------- */

static int before (const lurn_parzen *p, int a, int32_t s, int32_t t) {
  double x = p->x[s * p->A + a], y = p->x[t * p->A + a];
  return x < y || (x == y && p->number[s] < p->number[t]);
}

/* What `member` says while a fit is being made. */
enum { WAS = 1, IS = 2 };

/* order keeps those that stay and takes in the new ones, each at its place. */
static void sort_axis (lurn_parzen *p, int a, int was, const int32_t *slots, int n) {
  int32_t *order = p->order + (size_t)a * (size_t)p->capacity;
  int m = 0;
  for (int i = 0; i < was; i++)
    if (p->member[order[i]] & IS) order[m++] = order[i];
  for (int i = 0; i < n; i++) {
    int low = 0, high = m;
    if (p->member[slots[i]] & WAS) continue;
    while (low < high) {
      int middle = (low + high) / 2;
      if (before(p, a, slots[i], order[middle])) high = middle; else low = middle + 1;
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

/* What a kernel is divided by, as a logarithm: numbers sigma sqrt(2 pi) and the share inside the range, steps the share. */
static double norm_of (const lurn_axis *axis, double mu, double sigma, double low, double high) {
  double inside = lurn_portable_log(lurn_gauss_mass((low - mu) / sigma, (high - mu) / sigma));
  return axis->kind == LURN_AXIS_STEPS ? inside : inside + lurn_portable_log(sigma) + LN_SQRT_2PI;
}

static void put_kernel (lurn_parzen *p, size_t row, int k, double mu, double sigma, double norm) {
  p->mu[row + (size_t)k] = mu;
  p->inverse[row + (size_t)k] = SQRT_HALF / sigma;
  p->same[row + (size_t)k] = k;
  p->constant[k] -= norm;
}

static void fit_numbers (lurn_parzen *p, int a) {
  const int32_t *order = p->order + (size_t)a * (size_t)p->capacity;
  size_t row = (size_t)a * (size_t)(p->capacity + 1);
  double low, high, before_x, x, next;
  range_of(&p->axis[a], &low, &high);
  double most = high - low, least = most / (p->K + 1 < 100 ? p->K + 1 : 100);
  before_x = low;
  next = p->n > 0 ? p->x[order[0] * p->A + a] : high;
  for (int i = 0; i < p->n; i++, before_x = x) {
    int at = order[i] * p->A + a, k = p->kernel[order[i]];
    x = next;
    next = i < p->n - 1 ? p->x[order[i + 1] * p->A + a] : high;
    double sigma = sigma_of(x - before_x, next - x, i == 0, i == p->n - 1, least, most);
    if (sigma != p->sigma[at]) {
      p->sigma[at] = sigma;
      p->norm[at] = norm_of(&p->axis[a], x, sigma, low, high);
    }
    put_kernel(p, row, k, x, sigma, p->norm[at]);
    if (i > 0 && x == before_x && p->sigma[order[i - 1] * p->A + a] == sigma)
      p->same[row + (size_t)k] = p->same[row + (size_t)p->kernel[order[i - 1]]];
  }
  double middle = 0.5 * (low + high);
  put_kernel(p, row, p->n, middle, most, norm_of(&p->axis[a], middle, most, low, high));
}

static void fit_choices (lurn_parzen *p, int a) {
  double *mu = p->mu + (size_t)a * (size_t)(p->capacity + 1);
  for (int k = 0; k < p->n; k++) mu[k] = p->x[p->slot[k] * p->A + a];
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
    if (p->axis[a].kind != LURN_AXIS_CHOICE) sort_axis(p, a, was, slots, n);
  for (int k = 0; k < was; k++) p->member[p->slot[k]] = 0;
  for (int k = 0; k < n; k++) p->member[slots[k]] = 0;
  memcpy(p->slot, slots, sizeof *slots * (size_t)n);
  p->n = n;
  p->K = n + 1;
  weigh(p);
  for (int a = 0; a < p->A; a++)
    if (p->axis[a].kind == LURN_AXIS_CHOICE) fit_choices(p, a); else fit_numbers(p, a);
}
