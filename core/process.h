/* process.h: children of this process: started, limited, listened to, ended.
 *
 * A child is a copy of its parent (fork), so whatever the parent has read is there already and is shared until one
 * of the two writes to it. The two are joined by a socket; when either is gone, the other reads the end of it. A
 * child leads a process group of its own: Ctrl-C at a terminal reaches the parent only, and whatever the
 * child starts ends with it. A child does not outlive its parent, however that one ended.
 *
 * fork copies the calling thread alone: no threads of the engine may run. What the parent has open stays open in
 * the child; a child leaves with _exit, so that nothing of its parent's is closed or flushed twice.
 *
 * Like sys.c this file knows Linux, and nothing else of core needs it.
 */
#ifndef LURN_PROCESS_H
#define LURN_PROCESS_H

#include "base.h"

/* Starts a child. In the parent *pid is its number and *fd the parent's end of the socket, which does not block; in the
 * child *pid is 0 and *fd the child's end, which does. EIO when the system has no room for one more. */
lurn_status lurn_process_fork (lurn_ctx *ctx, int64_t *pid, int *fd);

/* Whether the child has ended, and how: exited with a code, or killed by a signal (the other one is -1). Does not wait;
 * once it said yes, the pid is free for others. A pid that is no child of ours counts as killed by signal 0. */
typedef struct lurn_process_end { int code, signal; } lurn_process_end;
int lurn_process_ended (int64_t pid, lurn_process_end *how);
/* Sends a signal to the child, to its whole group where `group`. 0 or an error number. */
int lurn_process_kill (int64_t pid, int number, int group);

/* Waits until something can be read from one of the descriptors or its other end is gone, at most so many seconds
 * (below 0: for ever); a signal ends it, too. ready[i] is set to 0 or 1. How many are ready. */
#define LURN_PROCESS_MOST 1024
int lurn_process_poll (const int *fd, int n, double seconds, char *ready);
/* What there is to read, at most size bytes. 0: the end. -1: nothing now. */
int64_t lurn_process_read (int fd, void *bytes, size_t size);
/* All of it; waits while the other side is slow. 0 or an error number; never a signal when nobody reads any more. */
int lurn_process_write (int fd, const void *bytes, size_t size);
void lurn_process_close (int fd);

/* For the calling process. The machine's number of the k-th core that it may use, from 0; -1: there are not so many. */
int lurn_process_core (int k);
int lurn_process_pin (int core);              /* runs on that core only; whether that could be had */
/* Memory of its own that it may still ask for; what goes beyond is refused, as if there were no more. */
lurn_status lurn_process_limit (lurn_ctx *ctx, int64_t bytes);
/* Relative paths are of this folder from now on. */
lurn_status lurn_process_enter (lurn_ctx *ctx, const char *folder);
/* Standard input from nowhere, standard output and error to the end of this file, which is made. */
lurn_status lurn_process_redirect (lurn_ctx *ctx, const char *path);

int64_t lurn_process_memory (int64_t pid);    /* bytes it has resident; 0: no such process */
/* How often this system killed somebody to get memory back, since it started; -1: it does not say. */
int64_t lurn_process_oom_kills (void);

#endif
