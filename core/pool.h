/* pool.h: threads that play parts of one piece of work.
 *
 * A pool of n threads is the caller and n - 1 workers. lurn_pool_run hands the same job to all of
 * them, each with its part number, and returns when the last part is done. Within a job they may meet: nobody goes on
 * before all have come. Who waits, for others or, between jobs, for the next one, spins for a
 * while, because in a training step that is near, and then sleeps. Where threads have no processor each, spinning
 * takes the time of whoever is waited for: then they sleep at once. Which thread plays what is a choice that changes no
 * bit (DESIGN.md).
 *
 * Jobs never call back into Lua, never allocate and never fail.
 *
 * Threads are of the process that started them. In a child that it forks the pool is the caller alone: it plays jobs as
 * the one part of one, and stopping it gives back the memory and waits for nobody.
 */
#ifndef LURN_POOL_H
#define LURN_POOL_H

#include "base.h"

#define LURN_MAX_THREADS 64

typedef void (*lurn_job) (void *arg, int part, int parts);

/* NULL and the message when threads cannot be started. threads: 2 .. LURN_MAX_THREADS. */
lurn_pool *lurn_pool_start (lurn_ctx *ctx, int threads);
void lurn_pool_stop (lurn_ctx *ctx, lurn_pool *pool);       /* NULL is fine */
int lurn_pool_threads (const lurn_pool *pool);              /* 1 for NULL, and in a fork */
/* Why the threads wait for processors, as far as the last fifth of a second of jobs says. */
typedef enum lurn_crowd { LURN_CROWD_NONE, LURN_CROWD_OWN /* there are more threads than processors for this process */,
                          LURN_CROWD_OTHERS /* the caller waited for others a third of the time */ } lurn_crowd;
lurn_crowd lurn_pool_crowd (const lurn_pool *pool);         /* LURN_CROWD_NONE for NULL, and in a fork */
void lurn_pool_run (lurn_pool *pool, lurn_job job, void *arg);
/* From within a job, by every part of it equally often. */
void lurn_pool_meet (lurn_pool *pool, int part);
/* Whether meeting often is worth it, which it is not for threads that wait for processors. Where others had them, it is
 * tried again after some seconds. */
int lurn_pool_meets (lurn_pool *pool);

#endif
