/* pool.h: threads that play parts of one piece of work.
 *
 * A pool of n threads is the caller and n - 1 workers. lurn_pool_run hands the same job to all of
 * them, each with its part number, and returns when the last part is done. Between jobs workers
 * spin for some microseconds, because the next job of a training step is that near, and then
 * sleep. Where threads have no processor each, spinning takes the time of whoever is waited for: then they sleep at
 * once, and so does the caller who waits for them. Which thread plays what is a choice that changes no bit (DESIGN.md).
 *
 * Jobs never call back into Lua, never allocate and never fail.
 */
#ifndef LURN_POOL_H
#define LURN_POOL_H

#include "base.h"

#define LURN_MAX_THREADS 64

typedef void (*lurn_job) (void *arg, int part, int parts);

/* NULL and the message when threads cannot be started. threads: 2 .. LURN_MAX_THREADS. */
lurn_pool *lurn_pool_start (lurn_ctx *ctx, int threads);
void lurn_pool_stop (lurn_ctx *ctx, lurn_pool *pool);       /* NULL is fine */
int lurn_pool_threads (const lurn_pool *pool);              /* 1 for NULL */
/* Why the threads wait for processors, as far as the last fifth of a second of jobs says. */
typedef enum lurn_crowd { LURN_CROWD_NONE, LURN_CROWD_OWN /* there are more threads than processors for this process */,
                          LURN_CROWD_OTHERS /* the caller waited for them a third of the time */ } lurn_crowd;
lurn_crowd lurn_pool_crowd (const lurn_pool *pool);         /* LURN_CROWD_NONE for NULL */
void lurn_pool_run (lurn_pool *pool, lurn_job job, void *arg);

#endif
