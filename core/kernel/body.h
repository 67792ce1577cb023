/* body.h: all kernels, written once. isa_*.c includes a vf_*.h and then this file, and so
 * compiles them for one instruction set; everything here is static but the table.
 */
#ifndef LURN_BODY_H
#define LURN_BODY_H

#include "kernel.h"
#include "tables.h"
#include "body_math.h"
#ifndef LURN_MAPS_OF                    /* an instruction set whose maps are in a file of their own */
#include "body_map.h"
static const lurn_map_fn maps_here[LURN_NMAPS] = LURN_MAP_TABLE;
#define LURN_MAPS_OF maps_here
#endif
#include "body_row.h"
#include "body_dropout.h"
#include "body_product.h"
#include "body_outer.h"
#include "body_place.h"
#include "body_basis.h"

#define LURN_KERNEL_TABLE(isa_name) { \
  .isa = isa_name, \
  .map = LURN_MAPS_OF, \
  .row_sum = row_sum, .row_max = row_max, .row_lse = row_lse, .row_argmax = row_argmax, \
  .row_norm = row_norm, .row_norm_grad = row_norm_grad, .row_fill = row_fill, \
  .dropout = dropout, .sum = sum, .sum_on = sum_on, .sum_up = sum_up, .sum_squares = sum_squares, \
  .pack_count = pack_count, .panel = PANEL, .panels = panels_of, .pack = pack, .product = product, \
  .outer = outer, .column_sum = column_sum, .column_dot = column_dot, .scatter = scatter, \
  .orthonormal = orthonormal \
}

#endif
