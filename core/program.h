/* program.h: a model as a straight-line program over typed registers, and its builder.
 *
 * Letters: T steps, B rows (sequences), N live frames, D input width, H hidden width.
 *
 * A register has an element type, an axis and a row shape:
 *   LURN_ONCE  one for all: parameters, what is computed from them, settings, the loss
 *   LURN_ROW   one per sequence, B of them
 *   LURN_TIME  one per live frame of a packed time axis, N of them
 * and LURN_ROW2, LURN_TIME2 ... where the sequences have a second and a third time axis. Rows of different time
 * axes are in different orders and never meet by themselves: REORDER carries what is known per row over.
 * An instruction is a row of the op table (op.h) applied to registers. Instructions between
 * lurn_scan_begin and lurn_scan_end are the body of a scan: the same register names, played one
 * time step after the other, with states that hand a value from one step to the next. A body
 * register is an ordinary time register: whoever stands outside reads all its steps.
 *
 *   scan = lurn_scan_begin(p, "rnn1", 0);
 *   h    = lurn_scan_state(p, "h", lurn_zeros(p, ...));        value after the previous step
 *   y    = tanh(x Wx + h Wh + b)
 *   lurn_scan_next(p, h, y);
 *   lurn_scan_end(p);
 *
 * Errors are sticky: a wrong shape gives register -1, every call with a -1 gives -1, and
 * lurn_program_status tells the first error. So a cell reads as its formula.
 */
#ifndef LURN_PROGRAM_H
#define LURN_PROGRAM_H

#include "batch.h"
#include "kernel.h"
#include "param.h"

typedef int32_t lurn_reg;       /* index into lurn_program.reg, or -1 */

#define LURN_MAX_IN 6
#define LURN_MAX_IMM 6
#define LURN_MAX_STATES 8
#define LURN_PROGRAM_VERSION 1

typedef enum lurn_reg_kind { LURN_REG_PARAM, LURN_REG_INPUT, LURN_REG_STATE, LURN_REG_VALUE } lurn_reg_kind;

typedef struct lurn_register {
  uint8_t kind, dtype;
  int16_t axis;                 /* lurn_axis_kind */
  int16_t scan;                 /* the scan whose body computes it, or -1 */
  int rank, dim[LURN_MAX_RANK]; /* row shape */
  int cols;                     /* product of dim: elements per row */
  int index;                    /* which parameter, input, state; or the instruction that writes it */
} lurn_register;

typedef struct lurn_instr {
  int16_t op, scan;
  lurn_reg out, in[LURN_MAX_IN];          /* -1: absent */
  double k;                     /* immediate of a map, rate of a dropout */
  int i[LURN_MAX_IMM];          /* whole-number immediates; their meaning is the op's */
  int name;                     /* index into names: the random stream; or -1 */
} lurn_instr;

typedef struct lurn_state {
  char name[16];
  lurn_reg prev, next;          /* prev: this register inside the body; next: what it becomes */
  lurn_reg init;                /* row register: the value before the first step */
} lurn_state;

#define LURN_DERIVED (LURN_NAME + 32)   /* of a name that is made of others, with its terminator */

typedef struct lurn_scan {
  char name[LURN_NAME + 2];     /* the layer's path, "lstm1"; its mirror's, "d lstm1" */
  int reverse;                  /* 1: from the last step to the first */
  int axis;                     /* LURN_TIME, or the steps of another time axis */
  int nstate;
  lurn_state state[LURN_MAX_STATES];
} lurn_scan;

typedef struct lurn_name { char text[LURN_NAME]; } lurn_name;
typedef struct lurn_named { char name[LURN_DERIVED]; lurn_reg reg; } lurn_named;

typedef struct lurn_program {
  lurn_ctx *ctx;
  lurn_status status;           /* of the first error; its text is in `error` */
  char error[512];
  lurn_register *reg;   int nreg, creg;
  lurn_instr *instr;    int ninstr, cinstr;
  lurn_scan *scans;     int nscan, cscan;
  lurn_named *input;    int ninput, cinput;       /* batch fields and carried states */
  lurn_named *output;   int noutput, coutput;     /* "loss", "out", "weight", "d:<path>", "state:..." */
  lurn_name *name;      int nname, cname;
  lurn_params params;
  int forward;                  /* instructions [0, forward) are the forward half */
  int scan;                     /* the open scan, or -1 */
  int share;                    /* 1: an instruction that stands already is not written again */
} lurn_program;

void lurn_program_init (lurn_ctx *ctx, lurn_program *p);
void lurn_program_free (lurn_program *p);
/* The first error of the builder, copied to ctx->message. */
lurn_status lurn_program_status (lurn_program *p);
/* Records the first error and returns -1. */
lurn_reg lurn_program_fail (lurn_program *p, const char *fmt, ...)
#ifdef __GNUC__
  __attribute__((format(printf, 2, 3)))
#endif
  ;

/* Bytes of one row of a register. */
static inline size_t lurn_row_bytes (const lurn_register *x) {
  return lurn_dtype_size((lurn_dtype)x->dtype) * (size_t)x->cols;
}

lurn_reg lurn_param_reg (lurn_program *p, const char *path, int rank, const int *dim, lurn_init init);
lurn_reg lurn_input_reg (lurn_program *p, const char *name, lurn_dtype dtype, int axis, int rank, const int *dim);
lurn_reg lurn_output_reg (lurn_program *p, const char *name, lurn_reg r);
/* Inputs and outputs that variants of a program have (normalise.h): "d:lstm1.f.Wx", "state:lstm1.h" .... Sources have
 * none: whoever finds such a name finds what was written for it. */
typedef enum lurn_derived {
  LURN_DERIVED_GRADIENT, LURN_DERIVED_STATE, LURN_STATE_VALUE, LURN_STATE_GRADIENT
} lurn_derived;
/* Of a path, or of a scan and one of its states (NULL: none); name (LURN_DERIVED). */
void lurn_derived_name (char *name, lurn_derived kind, const char *of, const char *state);
int lurn_is_derived (const char *name, lurn_derived kind);
/* Whether a source may call an input or output so. Otherwise 0, the error is set. */
int lurn_source_name (lurn_program *p, const char *what, const char *name);

lurn_reg lurn_find_input (const lurn_program *p, const char *name);     /* -1: none */
lurn_reg lurn_find_output (const lurn_program *p, const char *name);

int lurn_scan_begin (lurn_program *p, const char *name, int reverse, int axis);
lurn_reg lurn_scan_state (lurn_program *p, const char *name, lurn_reg init);
void lurn_scan_next (lurn_program *p, lurn_reg state, lurn_reg next);
void lurn_scan_end (lurn_program *p);

/* The general instruction. Ops are named in op.h; the op's shape rule checks the operands and
 * gives the result its axis and shape. ins beyond the op's number are -1. */
lurn_reg lurn_emit (lurn_program *p, int op, lurn_reg a, lurn_reg b, lurn_reg c, double k, int i0, int i1, const char *name);
/* The same for ops with more operands or immediates: op, in (beyond the op's number they are ignored), k and i
 * of *like. */
lurn_reg lurn_write (lurn_program *p, const lurn_instr *like, const char *name);

/* Elementwise maps; an operand with a lower axis is broadcast over rows or frames, one with a
 * single column over columns. */
lurn_reg lurn_map1 (lurn_program *p, lurn_map m, lurn_reg a);
lurn_reg lurn_map1k (lurn_program *p, lurn_map m, lurn_reg a, double k);
lurn_reg lurn_map2 (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b);
lurn_reg lurn_map2k (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b, double k);
lurn_reg lurn_map3 (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b, lurn_reg c);
/* A single column as often as `like` has columns, in the same row shape. */
lurn_reg lurn_widen (lurn_program *p, lurn_reg column, lurn_reg like);
/* A constant of that axis and shape. */
lurn_reg lurn_fill (lurn_program *p, double k, int axis, int rank, const int *dim);
/* What is known per row, for the rows of the time axis that `axis` belongs to. */
lurn_reg lurn_reorder (lurn_program *p, lurn_reg a, int axis);
/* The same numbers per row in another shape; dim must not lie in p->reg, which may move. */
lurn_reg lurn_reshape (lurn_program *p, lurn_reg a, int rank, const int *dim);
/* The same values on a higher axis. */
lurn_reg lurn_spread (lurn_program *p, lurn_reg a, int axis);
/* acc + a W, one chain (acc may be -1: zero, or a once register: a bias). trans: W is (N,K). */
lurn_reg lurn_matmul (lurn_program *p, lurn_reg acc, lurn_reg a, lurn_reg w, int trans);

const lurn_register *lurn_reg_info (const lurn_program *p, lurn_reg r);
/* "time (50) real", for messages. */
const char *lurn_reg_text (const lurn_program *p, lurn_reg r, char *text, size_t size);
uint64_t lurn_program_hash (const lurn_program *p);       /* of its text form */

/* The text form: versioned, one instruction a line, printed and parsed. lurn_program_print
 * returns the length it needs (without the terminator) and writes at most size bytes. */
size_t lurn_program_print (const lurn_program *p, char *text, size_t size);
lurn_status lurn_program_parse (lurn_program *p, const char *text, size_t size);

#endif
