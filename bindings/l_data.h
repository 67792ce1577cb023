/* l_data.h: data sets, feeds and batches, for Lua.
 *
 *   local d = assert(core.dataset.open "kjv.h5")       or core.dataset {{x =, y =, mask =}, ...}
 *   d.n  d.total  d.vocab  d.vocab_size  d.dim  d.classes  d.splits  d.lengths  d.targets  d.kind ...
 *   d:sequence(i)  d:hash()  d:save(path)  d:close()
 *   local f = core.feed {data = d, split = "train", batch = 50, seq = 50, seed = 1, mode = "stream"}
 *   for step = 1, f:steps(epoch) do local b = assert(f:batch(epoch, step)) ... end
 *   local b = core.batch {x = tensor, y =, mask =, reset =, lengths =}
 *   b.T  b.B  b.N  b.carry  b.lengths  b.seq  b.pos  b.order  b.x  b.y    copies, (T,B,...), 0 where rows have ended
 *   core.text {path =, out =, level =, split =, ...}   the importer of texts
 *
 * Epochs and steps count from 1. A set from tables takes tensors or plain lists: a list of integers is ids
 * (from 1), a list with a fraction in it (1.0 is one) reals, a list of lists reals (T,D). y: the
 * same, one value per step or one per sequence (a single number, or targets = "sequence"), or
 * targets = "next". Also vocab and classes (lists of texts), split = {train = {{first, last}, ...}, ...},
 * unit, kind, level, source, licence, units.
 */
#ifndef L_DATA_H
#define L_DATA_H

#include "batch.h"
#include "data.h"
#include "lb.h"

int l_data_open (lua_State *L);         /* pushes {dataset =, feed =, batch =, text =} */

lurn_data *l_checkdata (lua_State *L, int arg);
/* The batch stays as it is while its userdata lives, or until the feed that made it is asked for the next. */
lurn_batch *l_checkbatch (lua_State *L, int arg);
/* The serial of the memory of a batch userdata as it is now: another one than the batch's, and its frames are gone. */
uint64_t l_batchserial (const lurn_batch *b);
/* A batch userdata with nothing in it; `owner` (a stack index, 0: none) keeps its memory alive. Pushed. */
lurn_batch *l_newbatch (lua_State *L, int owner);
void *l_newblock (lua_State *L, size_t size);                  /* aligned to LURN_ALIGN, cleared; pushed */

int l_batch_open (lua_State *L);        /* pushes the function that makes batches from tensors */
int l_feed_open (lua_State *L);         /* pushes the function that makes feeds */
int l_dataset_make (lua_State *L);      /* the set from the table at argument 1 */
lurn_data *l_newdata (lua_State *L);    /* an empty set: user value 1 is its memory; pushed */

#endif
