/* lurn.h: the engine, from C. Includes every public header in reading order.
 *
 *   base.h      status codes, context, numbers            program.h    registers, instructions, the builder
 *   rng.h       random numbers by purpose and place       op.h         the op table
 *   tensor.h    a view of numbers                         cell.h       built-in cells, activations, losses
 *   batch.h     packed ragged time                        normalise.h  one canonical program, and its gradient
 *   kernel.h    row kernels and products                  schedule.h   order, groups, places
 *   param.h     parameters by path                        wave.h       one use: plan, bind, play
 *   optim.h     updates, clipping                         gradcheck.h  gradients against differences
 *   lr.h        learning rates over time                  pool.h       threads
 *   outside.h   ops from shared objects                  recompute.h  long sequences in windows
 *   parzen.h    densities that a search draws from        data.h, feed.h, h5.h   data sets and files
 *
 * A model, once: build a program (lurn_program_init, the builder, lurn_cell_layer), normalise it,
 * make a schedule, plan and place a wave. A step, many times: lurn_wave_bind, lurn_conductor_play
 * forward and backward, lurn_optim_clip, lurn_optim_update, lurn_wave_pack.
 * tests/c/check_plan.c is a whole training loop in C.
 */
#ifndef LURN_H
#define LURN_H

#include "base.h"
#include "rng.h"
#include "tensor.h"
#include "batch.h"
#include "kernel.h"
#include "param.h"
#include "optim.h"
#include "lr.h"
#include "program.h"
#include "op.h"
#include "cell.h"
#include "normalise.h"
#include "schedule.h"
#include "pool.h"
#include "wave.h"
#include "recompute.h"
#include "gradcheck.h"
#include "outside.h"
#include "parzen.h"
#include "data.h"
#include "feed.h"
#include "h5.h"

#endif
