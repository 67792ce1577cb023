/* onednn_peer.c: the oneDNN side of `lurn bench`: the recurrent layers of a case alone, timed when it is asked for.
 *
 * The protocol is that of turns.py: one JSON document a line on stdin, one on stdout. A step is
 *
 *   reorder of Wx, Wh into the format of the forward primitive, forward_training over all T, B and layers,
 *   reorder of Wx, Wh into the format of the backward primitive, backward with a given gradient of the output,
 *   reorder of the gradients of Wx, Wh back
 *
 * because weights change with every update, and a model keeps them, and their gradients, in one format. Formats are
 * those that the primitives ask for; where that is the model's own nothing is copied. States begin at zero and are
 * not handed out. Cells: lstm, gru (linear before reset, as cuDNN, PyTorch and lurn have it), rnn (tanh).
 *
 * `lurn bench` compiles this file when it finds libdnnl (Debian: libdnnl-dev, 2.6). Threads are OpenMP's
 * (OMP_NUM_THREADS). Every case runs in a child process, so that peak memory is that of the case alone.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <oneapi/dnnl/dnnl.h>

enum { LINE = 4096, ARGS = 24 };

typedef dnnl_memory_desc_t desc;
typedef struct size { int T, B, D, H, layers, gates, biases; char cell[8]; } size;

static void answer (const char *text) { printf("%s\n", text); fflush(stdout); }

/* What went wrong is an answer too, or lurn would wait for it. */
static void need (int ok, const char *what) {
  if (ok) return;
  printf("{\"error\": \"oneDNN: %s failed\"}\n", what);
  fflush(stdout);
  _exit(0);
}
#define DO(call) need((call) == dnnl_success, #call)

/* ---------- a document ---------- */

/* What stands behind "name": in a flat document, NULL when nothing does. */
static const char *field (const char *line, const char *name) {
  char key[32];
  snprintf(key, sizeof key, "\"%s\":", name);
  const char *at = strstr(line, key);
  if (!at) return NULL;
  at += strlen(key);
  return at + strspn(at, " ");
}

static int number (const char *line, const char *name) {
  const char *at = field(line, name);
  need(at != NULL, name);
  return atoi(at);
}

static size read_case (const char *line) {
  size s = {.T = number(line, "T"), .B = number(line, "B"), .D = number(line, "D"), .H = number(line, "H"),
            .layers = number(line, "layers"), .gates = 1, .biases = 1};
  const char *cell = field(line, "cell");
  need(cell && sscanf(cell, "\"%7[a-z]\"", s.cell) == 1, "reading the cell");
  if (strcmp(s.cell, "lstm") == 0) s.gates = s.biases = 4;
  if (strcmp(s.cell, "gru") == 0) s.gates = 3, s.biases = 4;
  return s;
}

/* ---------- memory ---------- */

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static desc any (int n, dnnl_dim_t a, dnnl_dim_t b, dnnl_dim_t c, dnnl_dim_t d, dnnl_dim_t e, dnnl_format_tag_t tag) {
  const dnnl_dims_t dims = {a, b, c, d, e};
  desc out;
  DO(dnnl_memory_desc_init_by_tag(&out, n, dims, dnnl_f32, tag));
  return out;
}

/* Memory of that format; filled with numbers of [-scale, scale), or zeros. */
static dnnl_memory_t memory (const desc *d, float scale) {
  dnnl_memory_t m;
  void *data;
  DO(dnnl_memory_create(&m, d, engine, DNNL_MEMORY_ALLOCATE));
  DO(dnnl_memory_get_data_handle(m, &data));
  const size_t bytes = dnnl_memory_desc_get_size(d);
  memset(data, 0, bytes);
  for (size_t i = 0; scale > 0 && i < bytes / sizeof(float); i++)
    ((float *)data)[i] = scale * (2 * (float)rand() / (float)RAND_MAX - 1);
  return m;
}

static void clear (dnnl_memory_t m) {
  const desc *d;
  void *data;
  DO(dnnl_memory_get_memory_desc(m, &d));
  DO(dnnl_memory_get_data_handle(m, &data));
  memset(data, 0, dnnl_memory_desc_get_size(d));
}

/* ---------- primitives with what they work on ---------- */

typedef struct work { dnnl_primitive_t p; dnnl_exec_arg_t arg[ARGS]; int n; } work;

static void bind (work *w, int what, dnnl_memory_t m) { w->arg[w->n++] = (dnnl_exec_arg_t){what, m}; }

static void play (const work *w) {
  if (w->p) DO(dnnl_primitive_execute(w->p, stream, w->n, w->arg));
}

/* From one format to another; nothing to play when they are the same, and then both are one memory. */
static work reorder (dnnl_memory_t from, dnnl_memory_t to) {
  const desc *a, *b;
  dnnl_primitive_desc_t pd;
  work w = {NULL};
  if (from == to) return w;
  DO(dnnl_memory_get_memory_desc(from, &a));
  DO(dnnl_memory_get_memory_desc(to, &b));
  DO(dnnl_reorder_primitive_desc_create(&pd, a, engine, b, engine, NULL));
  DO(dnnl_primitive_create(&w.p, pd));
  DO(dnnl_primitive_desc_destroy(pd));
  bind(&w, DNNL_ARG_FROM, from);
  bind(&w, DNNL_ARG_TO, to);
  return w;
}

static const desc *wanted (const_dnnl_primitive_desc_t pd, int what) {
  const desc *d = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, what);
  need(d != NULL, "asking for a format");
  return d;
}

/* The memory itself where the primitive takes its format, else a new one. */
static dnnl_memory_t fitting (const_dnnl_primitive_desc_t pd, int what, dnnl_memory_t own) {
  const desc *have;
  DO(dnnl_memory_get_memory_desc(own, &have));
  const desc *want = wanted(pd, what);
  return dnnl_memory_desc_equal(have, want) ? own : memory(want, 0);
}

/* ---------- the layers ---------- */

typedef struct formats { desc x, Wx, Wh, b, y; } formats;

/* x (T,B,D) and y (T,B,H) lie as a caller has them; the weights as the primitives like them. */
static formats make_formats (const size *s) {
  const dnnl_dim_t L = s->layers, D = s->D, H = s->H, G = s->gates;
  return (formats){
    .x = any(3, s->T, s->B, D, 0, 0, dnnl_tnc), .y = any(3, s->T, s->B, H, 0, 0, dnnl_tnc),
    .Wx = any(5, L, 1, D, G, H, dnnl_format_tag_any), .Wh = any(5, L, 1, H, G, H, dnnl_format_tag_any),
    .b = any(4, L, 1, s->biases, H, 0, dnnl_ldgo)};
}

static dnnl_primitive_desc_t forward_of (const size *s, const formats *f) {
  const dnnl_prop_kind_t kind = dnnl_forward_training;
  const dnnl_rnn_direction_t way = dnnl_unidirectional_left2right;
  dnnl_rnn_desc_t d;
  dnnl_primitive_desc_t pd;
  if (strcmp(s->cell, "lstm") == 0)
    DO(dnnl_lstm_forward_desc_init(&d, kind, way, &f->x, NULL, NULL, &f->Wx, &f->Wh, &f->b, &f->y, NULL, NULL, 0));
  else if (strcmp(s->cell, "gru") == 0)
    DO(dnnl_lbr_gru_forward_desc_init(&d, kind, way, &f->x, NULL, &f->Wx, &f->Wh, &f->b, &f->y, NULL, 0));
  else
    DO(dnnl_vanilla_rnn_forward_desc_init(&d, kind, dnnl_eltwise_tanh, way, &f->x, NULL, &f->Wx, &f->Wh, &f->b,
                                          &f->y, NULL, 0, 0, 0));
  DO(dnnl_primitive_desc_create(&pd, &d, NULL, engine, NULL));
  return pd;
}

static dnnl_primitive_desc_t backward_of (const size *s, const formats *f, const_dnnl_primitive_desc_t hint) {
  const dnnl_prop_kind_t kind = dnnl_backward;
  const dnnl_rnn_direction_t way = dnnl_unidirectional_left2right;
  dnnl_rnn_desc_t d;
  dnnl_primitive_desc_t pd;
  if (strcmp(s->cell, "lstm") == 0)
    DO(dnnl_lstm_backward_desc_init(&d, kind, way, &f->x, NULL, NULL, &f->Wx, &f->Wh, &f->b, &f->y, NULL, NULL,
                                    &f->x, NULL, NULL, &f->Wx, &f->Wh, &f->b, &f->y, NULL, NULL, 0));
  else if (strcmp(s->cell, "gru") == 0)
    DO(dnnl_lbr_gru_backward_desc_init(&d, kind, way, &f->x, NULL, &f->Wx, &f->Wh, &f->b, &f->y, NULL,
                                       &f->x, NULL, &f->Wx, &f->Wh, &f->b, &f->y, NULL, 0));
  else
    DO(dnnl_vanilla_rnn_backward_desc_init(&d, kind, dnnl_eltwise_tanh, way, &f->x, NULL, &f->Wx, &f->Wh, &f->b,
                                           &f->y, NULL, &f->x, NULL, &f->Wx, &f->Wh, &f->b, &f->y, NULL, 0, 0, 0));
  DO(dnnl_primitive_desc_create(&pd, &d, NULL, engine, hint));
  return pd;
}

typedef struct layers {
  work forward, backward, to_forward[2], to_backward[2], back[2];
  dnnl_memory_t dWx, dWh, db;              /* as the primitive has them: it adds to what is there */
} layers;

static layers make_layers (const size *s) {
  const formats f = make_formats(s);
  const float scale = 0.1f;
  layers l = {0};
  dnnl_primitive_desc_t fd = forward_of(s, &f), bd = backward_of(s, &f, fd);
  const desc own_Wx = any(5, s->layers, 1, s->D, s->gates, s->H, dnnl_ldigo);
  const desc own_Wh = any(5, s->layers, 1, s->H, s->gates, s->H, dnnl_ldigo);
  dnnl_memory_t Wx = memory(&own_Wx, scale), Wh = memory(&own_Wh, scale), b = memory(&f.b, scale);
  dnnl_memory_t dWx = memory(&own_Wx, 0), dWh = memory(&own_Wh, 0);
  dnnl_memory_t x = memory(&f.x, 1), y = memory(&f.y, 0), dx = memory(&f.x, 0), dy = memory(&f.y, scale);
  dnnl_memory_t space = memory(wanted(fd, DNNL_ARG_WORKSPACE), 0);
  dnnl_memory_t fWx = fitting(fd, DNNL_ARG_WEIGHTS_LAYER, Wx), fWh = fitting(fd, DNNL_ARG_WEIGHTS_ITER, Wh);
  dnnl_memory_t bWx = fitting(bd, DNNL_ARG_WEIGHTS_LAYER, Wx), bWh = fitting(bd, DNNL_ARG_WEIGHTS_ITER, Wh);
  l.dWx = fitting(bd, DNNL_ARG_DIFF_WEIGHTS_LAYER, dWx);
  l.dWh = fitting(bd, DNNL_ARG_DIFF_WEIGHTS_ITER, dWh);
  l.db = memory(&f.b, 0);
  l.to_forward[0] = reorder(Wx, fWx), l.to_forward[1] = reorder(Wh, fWh);
  l.to_backward[0] = reorder(Wx, bWx), l.to_backward[1] = reorder(Wh, bWh);
  l.back[0] = reorder(l.dWx, dWx), l.back[1] = reorder(l.dWh, dWh);
  work *both[2] = {&l.forward, &l.backward};
  for (int k = 0; k < 2; k++) {
    bind(both[k], DNNL_ARG_SRC_LAYER, x), bind(both[k], DNNL_ARG_BIAS, b), bind(both[k], DNNL_ARG_DST_LAYER, y);
    bind(both[k], DNNL_ARG_WEIGHTS_LAYER, k ? bWx : fWx), bind(both[k], DNNL_ARG_WEIGHTS_ITER, k ? bWh : fWh);
    bind(both[k], DNNL_ARG_WORKSPACE, space);
  }
  bind(&l.backward, DNNL_ARG_DIFF_SRC_LAYER, dx), bind(&l.backward, DNNL_ARG_DIFF_DST_LAYER, dy);
  bind(&l.backward, DNNL_ARG_DIFF_WEIGHTS_LAYER, l.dWx), bind(&l.backward, DNNL_ARG_DIFF_WEIGHTS_ITER, l.dWh);
  bind(&l.backward, DNNL_ARG_DIFF_BIAS, l.db);
  DO(dnnl_primitive_create(&l.forward.p, fd));
  DO(dnnl_primitive_create(&l.backward.p, bd));
  return l;
}

static void step (const layers *l) {
  play(&l->to_forward[0]), play(&l->to_forward[1]);
  play(&l->forward);
  play(&l->to_backward[0]), play(&l->to_backward[1]);
  clear(l->dWx), clear(l->dWh), clear(l->db);
  play(&l->backward);
  play(&l->back[0]), play(&l->back[1]);
  DO(dnnl_stream_wait(stream));
}

/* ---------- turns ---------- */

static double seconds (clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static long peak_memory (void) {
  char line[256];
  long kilobytes = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f)) if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1) break;
  if (f) fclose(f);
  return 1024 * kilobytes;
}

static void play_case (const char *document) {
  char line[LINE];
  const double start = seconds(CLOCK_MONOTONIC);
  const size s = read_case(document);
  DO(dnnl_engine_create(&engine, dnnl_cpu, 0));
  DO(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
  const layers l = make_layers(&s);
  step(&l);
  printf("{\"ready\": true, \"first\": %.9f}\n", seconds(CLOCK_MONOTONIC) - start);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) && !strstr(line, "\"end\"")) {
    const int steps = number(line, "steps");
    const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < steps; i++) step(&l);
    printf("{\"wall\": %.9f, \"cpu\": %.9f}\n", seconds(CLOCK_MONOTONIC) - wall,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    fflush(stdout);
  }
  printf("{\"peak\": %ld}\n", peak_memory());
  fflush(stdout);
  _exit(0);
}

int main (void) {
  char line[LINE], name[64];
  const dnnl_version_t *v = dnnl_version();
  setvbuf(stdin, NULL, _IONBF, 0);          /* a child must not find a line that its parent has read ahead */
  snprintf(name, sizeof name, "{\"name\": \"oneDNN %d.%d.%d\"}", v->major, v->minor, v->patch);
  answer(name);
  while (fgets(line, sizeof line, stdin)) {
    const pid_t pid = fork();
    if (pid == 0) play_case(line);
    waitpid(pid, NULL, 0);
  }
  return 0;
}
