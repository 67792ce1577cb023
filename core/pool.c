#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "sys.h"

/* A worker looks this often for work before it sleeps: some tens of microseconds. */
enum { SPINS = 20000 };
/* Seconds of jobs that a judgement takes, and the share of them spent waiting from which on processors are missing. Uneven
 * shares of a job count as waiting only beyond the caller's own part. */
#define WATCH 0.2
#define MOST_WAITING (1.0 / 3)

typedef struct worker { struct lurn_pool *pool; pthread_t thread; int part; } worker;

struct lurn_pool {
  int threads;
  atomic_uint turn;             /* grows with every job */
  atomic_int left;              /* parts of the current job that are not done */
  atomic_int asleep;
  atomic_int waiting;           /* the caller sleeps until the last part is done */
  atomic_int stop;
  atomic_int spins;
  atomic_int crowd;             /* lurn_crowd */
  double played, waited;        /* seconds of the jobs looked at, and of waiting in them */
  lurn_job job;
  void *arg;
  pthread_mutex_t lock;
  pthread_cond_t wake, done;
  worker w[LURN_MAX_THREADS];
};

static void breathe (void) {
#if defined __x86_64__ || defined __i386__
  __builtin_ia32_pause();
#endif
}

/* Waits for a turn after `seen`: spinning first, then asleep until somebody wakes all. */
static unsigned next_turn (lurn_pool *p, unsigned seen) {
  for (int k = 0, most = atomic_load(&p->spins); k < most; k++) {
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

/* The caller says that it sleeps before it looks whether anything is left, and the last part looks for it afterwards. */
static void finish_part (lurn_pool *p) {
  if (atomic_fetch_sub(&p->left, 1) > 1 || !atomic_load(&p->waiting)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_signal(&p->done);
  pthread_mutex_unlock(&p->lock);
}

static void *work (void *ud) {
  worker *w = ud;
  lurn_pool *p = w->pool;
  for (unsigned seen = 0; ; ) {
    seen = next_turn(p, seen);
    if (atomic_load(&p->stop)) return NULL;
    p->job(p->arg, w->part, p->threads);
    finish_part(p);
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

static void wait_for_parts (lurn_pool *p) {
  for (int k = 0, most = atomic_load(&p->spins); k < most; k++) {
    if (atomic_load_explicit(&p->left, memory_order_acquire) <= 0) return;
    breathe();
  }
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->waiting, 1);
  while (atomic_load(&p->left) > 0) pthread_cond_wait(&p->done, &p->lock);
  atomic_store(&p->waiting, 0);
  pthread_mutex_unlock(&p->lock);
}

/* own, waited: seconds of one job. */
static void judge (lurn_pool *p, double own, double waited) {
  p->played += own + waited;
  if (waited > own) p->waited += waited - own;
  if (p->played < WATCH) return;
  int others = p->waited > MOST_WAITING * p->played, few = atomic_load(&p->crowd) == LURN_CROWD_OWN;
  if (!few) {
    atomic_store(&p->crowd, others ? LURN_CROWD_OTHERS : LURN_CROWD_NONE);
    atomic_store(&p->spins, others ? 0 : SPINS);
  }
  p->played = p->waited = 0;
}

lurn_crowd lurn_pool_crowd (const lurn_pool *p) {
  return p ? (lurn_crowd)atomic_load(&((lurn_pool *)(uintptr_t)p)->crowd) : LURN_CROWD_NONE;
}

void lurn_pool_run (lurn_pool *p, lurn_job job, void *arg) {
  double start = lurn_sys_clock(), end;
  p->job = job;
  p->arg = arg;
  atomic_store(&p->left, p->threads - 1);
  announce(p);
  job(arg, 0, p->threads);
  end = lurn_sys_clock();
  wait_for_parts(p);
  judge(p, end - start, lurn_sys_clock() - end);
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
  pthread_cond_init(&p->done, NULL);
  atomic_store(&p->crowd, threads > lurn_sys_cpus() ? LURN_CROWD_OWN : LURN_CROWD_NONE);
  atomic_store(&p->spins, atomic_load(&p->crowd) == LURN_CROWD_OWN ? 0 : SPINS);
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
  pthread_cond_destroy(&p->done);
  lurn_free(ctx, p, sizeof *p);
}
