#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* A worker looks this often for work before it sleeps: some tens of microseconds. */
enum { SPINS = 20000 };

typedef struct worker { struct lurn_pool *pool; pthread_t thread; int part; } worker;

struct lurn_pool {
  int threads;
  atomic_uint turn;             /* grows with every job */
  atomic_int left;              /* parts of the current job that are not done */
  atomic_int asleep;
  atomic_int stop;
  lurn_job job;
  void *arg;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  worker w[LURN_MAX_THREADS];
};

static void breathe (void) {
#if defined __x86_64__ || defined __i386__
  __builtin_ia32_pause();
#endif
}

/* Waits for a turn after `seen`: spinning first, then asleep until somebody wakes all. */
static unsigned next_turn (lurn_pool *p, unsigned seen) {
  for (int k = 0; k < SPINS; k++) {
    unsigned turn = atomic_load_explicit(&p->turn, memory_order_acquire);
    if (turn != seen) return turn;
    breathe();
  }
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->asleep, 1);
  while (atomic_load(&p->turn) == seen) pthread_cond_wait(&p->wake, &p->lock);
  atomic_fetch_sub(&p->asleep, 1);
  pthread_mutex_unlock(&p->lock);
  return atomic_load(&p->turn);
}

static void *work (void *ud) {
  worker *w = ud;
  lurn_pool *p = w->pool;
  for (unsigned seen = 0; ; ) {
    seen = next_turn(p, seen);
    if (atomic_load(&p->stop)) return NULL;
    p->job(p->arg, w->part, p->threads);
    atomic_fetch_sub_explicit(&p->left, 1, memory_order_release);
  }
}

/* The counter is raised before sleepers are looked for, and a sleeper looks at the counter after it
 * has said that it sleeps: one of the two sees the other. */
static void announce (lurn_pool *p) {
  atomic_fetch_add(&p->turn, 1);
  if (atomic_load(&p->asleep) == 0) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
}

void lurn_pool_run (lurn_pool *p, lurn_job job, void *arg) {
  p->job = job;
  p->arg = arg;
  atomic_store(&p->left, p->threads - 1);
  announce(p);
  job(arg, 0, p->threads);
  for (int k = 0; atomic_load_explicit(&p->left, memory_order_acquire) > 0; k++) {
    breathe();
    if (k >= SPINS) sched_yield();                 /* fewer cores than threads: let them in */
  }
}

int lurn_pool_threads (const lurn_pool *p) { return p ? p->threads : 1; }

/* Signals are the main thread's business: a worker that took one would run Lua's handler. */
static int start_worker (lurn_pool *p, int part) {
  sigset_t all, old;
  p->w[part] = (worker){.pool = p, .part = part};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int failed = pthread_create(&p->w[part].thread, NULL, work, &p->w[part]);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return failed;
}

static void join (lurn_pool *p, int started) {
  atomic_store(&p->stop, 1);
  announce(p);
  for (int k = 1; k < started; k++) pthread_join(p->w[k].thread, NULL);
}

lurn_pool *lurn_pool_start (lurn_ctx *ctx, int threads) {
  lurn_pool *p = lurn_realloc(ctx, NULL, 0, sizeof *p);
  if (!p) return NULL;
  memset(p, 0, sizeof *p);
  p->threads = threads;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  for (int k = 1; k < threads; k++) {
    if (start_worker(p, k) == 0) continue;
    join(p, k);
    lurn_free(ctx, p, sizeof *p);
    lurn_fail(ctx, LURN_EIO, "the system does not start thread %d of %d", k + 1, threads);
    return NULL;
  }
  return p;
}

void lurn_pool_stop (lurn_ctx *ctx, lurn_pool *p) {
  if (!p) return;
  join(p, p->threads);
  pthread_mutex_destroy(&p->lock);
  pthread_cond_destroy(&p->wake);
  lurn_free(ctx, p, sizeof *p);
}
