/* l_h5.h: documents in HDF5, for Lua.
 *
 *   local w = assert(h5.create "a.h5")            nothing shows under the name before commit
 *   w:write("/x", tensor | text | number | list [, {chunk =, deflate =, type = "u8" | ...}])
 *   w:append("/x", tensor)                        rows at the end of what was written with chunk
 *   w:attr("/x", "unit", "volt")
 *   assert(w:commit())                            or w:abort(); so does the collector
 *
 *   local r <close> = assert(h5.open "a.h5")
 *   r:read "/x"   r:read("/x", first, count)      a tensor, a number, a text or a list
 *   r:shape "/x"  r:list "/"  r:exists "/x"  r:attr("/x", "unit")  r:attrs "/x"
 *
 * A list is of integers, of numbers, of texts, or of equally long lists of integers. Integers of
 * 64 bits come back as a list (rank 2: a list of lists), 8 and 32 bits as an index tensor. Index
 * tensors keep their count from 0 in files; lists of integers are stored as they are.
 */
#ifndef L_H5_H
#define L_H5_H

#include "h5.h"
#include "lb.h"

int l_h5_open (lua_State *L);           /* pushes the table of functions */
/* The context, for who opens documents: HDF5 is loaded when that is first asked for. Raises when it is not there. */
lurn_ctx *l_h5_ctx (lua_State *L);

#endif
