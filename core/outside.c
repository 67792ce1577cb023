#include "outside.h"

#include <string.h>

#include "sys.h"

static const lurn_host host = {
#define HOST_POINTER(f) .f = f,
  LURN_HOST(HOST_POINTER)
#undef HOST_POINTER
};

/* A word of the text form that could not be a register, a number or a bracket. */
static int is_name (const char *s) {
  if (!s || !((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'))) return 0;
  size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  return s[n] == 0 && n < 32;
}

static const char *wrong_with (const lurn_op *op) {
  const int known = LURN_OP_COMMUTES | LURN_OP_RANDOM | LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_SPLITS | LURN_OP_MEMORY
                    | LURN_OP_OPTIONAL | LURN_OP_RISES | LURN_OP_FALLS | LURN_OP_NOGRAD;
  if (!op || !is_name(op->name)) return "its name must be a letter, then up to 30 letters, digits and _";
  if (op->version < 1) return "its version must be 1 or more";
  if (op->nin < 0 || op->nin > LURN_MAX_IN) return "too many operands";
  if (op->flags & ~known) return "a flag that is none";
  if ((op->flags & LURN_OP_OPTIONAL) && op->nin < 1) return "an optional operand, and no operand";
  if ((op->flags & LURN_OP_MEMORY) && op->nin < 2) return "a memory is two operands";
  if ((op->flags & LURN_OP_COMMUTES) && op->nin < 2) return "it commutes, and has less than two operands";
  if ((op->flags & (LURN_OP_SPLITS | LURN_OP_RISES | LURN_OP_FALLS)) && !(op->flags & LURN_OP_WHOLE))
    return "only whole ops split themselves, or rise or fall";
  if (!op->shape || !op->play || !op->doc) return "its shape rule, play or doc is missing";
  if (!op->grad != !!(op->flags & LURN_OP_NOGRAD)) return "a gradient or LURN_OP_NOGRAD, one of them";
  return NULL;
}

lurn_status lurn_outside_load (lurn_ctx *ctx, const char *path, int *op) {
  static const lurn_layout ours = LURN_LAYOUT;
  void *address;
  lurn_status status = lurn_sys_symbol(ctx, path, LURN_OUTSIDE_SYMBOL, &address);
  if (status != LURN_OK) return status;
  const lurn_outside *o = address;
  if (o->layout.version == ours.version && o->layout.real != ours.real)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: built for f%d, and this is " LURN_PRECISION, path, 8 * o->layout.real);
  if (memcmp(&o->layout, &ours, sizeof ours) != 0)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: built against the headers of another lurn: build it again", path);
  const char *wrong = wrong_with(o->op);
  if (wrong) return lurn_fail(ctx, LURN_EFORMAT, "%s: %s", path, wrong);
  *o->host = &host;
  *op = lurn_op_add(o->op);
  if (*op >= 0) return LURN_OK;
  return lurn_fail(ctx, LURN_EFORMAT, "%s: there is another op '%s' already, or there are %d from outside", path,
                   o->op->name, LURN_MAX_OUTSIDE);
}
