#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "sys.h"

/* So often a thread looks for what it waits for before it sleeps: a millisecond or so, as a pause takes 30 to 90
 * nanoseconds. From the second number on the caller takes the time of a wait. */
enum { SPINS = 20000, TIMED = 500 };
/* Seconds of jobs that a judgement takes, and the share of them spent waiting from which on processors are missing. Uneven
 * shares of a job count as waiting only beyond the caller's own part. After so many seconds it is tried again. */
#define WATCH 0.2
#define MOST_WAITING (1.0 / 3)
#define AGAIN 5.0

typedef struct worker { struct lurn_pool *pool; pthread_t thread; int part; } worker;

struct lurn_pool {
  int threads;
  int64_t process;              /* whose threads they are: a fork has none of them */
  atomic_int stop;
  atomic_int asleep;
  atomic_int spins;
  atomic_int crowd;             /* lurn_crowd */
  double since;                 /* the caller has been at work since then, as far as it was looked */
  double played, waited;        /* seconds looked at, and of waiting in them */
  double judged;                /* when it was found that others use the processors */
  lurn_job job;
  void *arg;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  atomic_uint turn;             /* grows with every job */
  char apart[LURN_ALIGN];       /* what is waited for in a job has a cache line of its own */
  atomic_int met;               /* threads that have come to the meeting */
  atomic_uint round;            /* grows with every meeting */
  char behind[LURN_ALIGN];
  worker w[LURN_MAX_THREADS];
};

static void breathe (void) {
#if defined __x86_64__ || defined __i386__
  __builtin_ia32_pause();
#endif
}

/* In a child of the process that made it a pool has no workers, and its lock may be held for ever by one of them. */
static int is_own (const lurn_pool *p) { return p->process == lurn_sys_pid(); }

/* ---------- waiting for processors ---------- */

/* own, waited: seconds between two looks at the clock. */
static void judge (lurn_pool *p, double own, double waited) {
  p->played += own + waited;
  if (waited > own) p->waited += waited - own;
  if (p->played < WATCH) return;
  int others = p->waited > MOST_WAITING * p->played, few = atomic_load(&p->crowd) == LURN_CROWD_OWN;
  if (!few) {
    atomic_store(&p->crowd, others ? LURN_CROWD_OTHERS : LURN_CROWD_NONE);
    atomic_store(&p->spins, others ? 0 : SPINS);
    p->judged = p->since;
  }
  p->played = p->waited = 0;
}

lurn_crowd lurn_pool_crowd (const lurn_pool *p) {
  return p && is_own(p) ? (lurn_crowd)atomic_load(&((lurn_pool *)(uintptr_t)p)->crowd) : LURN_CROWD_NONE;
}

int lurn_pool_meets (lurn_pool *p) {
  lurn_crowd crowd = lurn_pool_crowd(p);
  if (crowd == LURN_CROWD_NONE || crowd == LURN_CROWD_OWN) return crowd == LURN_CROWD_NONE;
  if (lurn_sys_clock() - p->judged < AGAIN) return 0;
  atomic_store(&p->crowd, LURN_CROWD_NONE);
  atomic_store(&p->spins, SPINS);
  return 1;
}

/* ---------- waiting ---------- */

static void sleep_until (lurn_pool *p, atomic_uint *counter, unsigned seen) {
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->asleep, 1);
  while (atomic_load(counter) == seen) pthread_cond_wait(&p->wake, &p->lock);
  atomic_fetch_sub(&p->asleep, 1);
  pthread_mutex_unlock(&p->lock);
}

/* Waits until the counter is no more what was seen: looking first, then asleep until somebody wakes all. */
static int look_until (lurn_pool *p, atomic_uint *counter, unsigned seen, int from, int to) {
  int most = atomic_load_explicit(&p->spins, memory_order_relaxed);
  for (int k = from, end = to < most ? to : most; k < end; k++) {
    if (atomic_load_explicit(counter, memory_order_acquire) != seen) return 1;
    breathe();
  }
  return atomic_load_explicit(counter, memory_order_acquire) != seen;
}

static void wait_for (lurn_pool *p, atomic_uint *counter, unsigned seen, int is_caller) {
  if (look_until(p, counter, seen, 0, TIMED)) return;
  double start = is_caller ? lurn_sys_clock() : 0, own = is_caller ? start - p->since : 0;
  if (!look_until(p, counter, seen, TIMED, SPINS)) sleep_until(p, counter, seen);
  if (!is_caller) return;
  p->since = lurn_sys_clock();
  judge(p, own, p->since - start);
}

/* The counter is raised before sleepers are looked for, and a sleeper looks at the counter after it
 * has said that it sleeps: one of the two sees the other. */
static void announce (lurn_pool *p, atomic_uint *counter) {
  atomic_fetch_add(counter, 1);
  if (atomic_load(&p->asleep) == 0) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
}

/* Nobody comes to the next meeting before this one's last has cleared the count: they wait for the round. */
void lurn_pool_meet (lurn_pool *p, int part) {
  if (p->threads == 1) return;
  unsigned seen = atomic_load_explicit(&p->round, memory_order_relaxed);
  if (atomic_fetch_add(&p->met, 1) < p->threads - 1) { wait_for(p, &p->round, seen, part == 0); return; }
  atomic_store_explicit(&p->met, 0, memory_order_relaxed);
  announce(p, &p->round);
}

/* ---------- jobs ---------- */

static void *work (void *ud) {
  worker *w = ud;
  lurn_pool *p = w->pool;
  for (unsigned seen = 0; ; ) {
    wait_for(p, &p->turn, seen++, 0);
    if (atomic_load(&p->stop)) return NULL;
    p->job(p->arg, w->part, p->threads);
    lurn_pool_meet(p, w->part);
  }
}

void lurn_pool_run (lurn_pool *p, lurn_job job, void *arg) {
  if (!is_own(p)) {
    p->threads = 1;      /* whoever meets is alone */
    job(arg, 0, 1);
    return;
  }
  p->since = lurn_sys_clock();
  p->job = job;
  p->arg = arg;
  announce(p, &p->turn);
  job(arg, 0, p->threads);
  lurn_pool_meet(p, 0);
  double end = lurn_sys_clock();
  judge(p, end - p->since, 0);
}

int lurn_pool_threads (const lurn_pool *p) { return p && is_own(p) ? p->threads : 1; }

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
  announce(p, &p->turn);
  for (int k = 1; k < started; k++) pthread_join(p->w[k].thread, NULL);
}

lurn_pool *lurn_pool_start (lurn_ctx *ctx, int threads) {
  lurn_pool *p = lurn_realloc(ctx, NULL, 0, sizeof *p);
  if (!p) return NULL;
  memset(p, 0, sizeof *p);
  p->threads = threads;
  p->process = lurn_sys_pid();
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
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
  if (is_own(p)) {
    join(p, p->threads);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
  }
  lurn_free(ctx, p, sizeof *p);
}
