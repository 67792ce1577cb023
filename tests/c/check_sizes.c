/* check_sizes.c: sizes that no test can have in memory, and such as have no place in 64 bits: what only looks at them says
 * no, or reckons right.
 */
#include "check.h"
#include "feed.h"
#include "normalise.h"
#include "npy.h"
#include "op.h"
#include "wave.h"

#define CHECK(ok) check(ok, "%s:%d: %s (%s)", __func__, __LINE__, #ok, ctx->message)

#define FAR ((int64_t)1 << 40)

static void check_tensor (lurn_ctx *ctx) {
  static const int64_t dim[4][4] = {{0, FAR, FAR, FAR}, {FAR, FAR, FAR, 0}, {FAR, 0, FAR, FAR}, {2, 3, 4, 5}};
  for (int k = 0; k < 4; k++) {
    lurn_tensor t = {.rank = 4};
    memcpy(t.dim, dim[k], sizeof t.dim);
    lurn_tensor_pack_strides(&t);
    CHECK(lurn_tensor_count(&t) == (k < 3 ? 0 : 120));
    CHECK(lurn_tensor_contiguous(&t));
    CHECK(k < 3 || (t.stride[0] == 60 && t.stride[1] == 20 && t.stride[2] == 5 && t.stride[3] == 1));
  }
}

static lurn_status open_npy (lurn_ctx *ctx, const char *header, lurn_npy *a) {
  uint8_t bytes[256] = "\x93NUMPY\1";
  size_t n = strlen(header);
  bytes[8] = (uint8_t)n;
  memcpy(bytes + 10, header, n);
  return lurn_npy_open(ctx, "a.npy", bytes, 10 + n, a);
}

static void check_npy (lurn_ctx *ctx) {
  char hex[LURN_SHA256_HEX];
  lurn_npy a;
  for (int fortran = 0; fortran < 2; fortran++) {
    char header[160];
    snprintf(header, sizeof header, "{'descr': '<f8', 'fortran_order': %s, 'shape': (0, 1099511627776, 1099511627776)}",
             fortran ? "True" : "False");
    CHECK(open_npy(ctx, header, &a) == LURN_OK && a.count == 0);
    lurn_npy_hash(&a, hex);
    lurn_npy_reals(&a, NULL);
  }
  CHECK(open_npy(ctx, "{'descr': '', 'fortran_order': False, 'shape': (1,)}", &a) == LURN_EFORMAT);
  CHECK(strstr(ctx->message, "numbers of type ''") != NULL);
}

/* Plans look at offsets, never at values. */
static void check_feed (lurn_ctx *ctx) {
  static const int64_t longest[] = {INT32_MAX - (int64_t)1, INT32_MAX, INT32_MAX + (int64_t)1, INT32_MAX + (int64_t)5000};
  for (int k = 0; k < 4; k++) {
    const int64_t offset[2] = {0, longest[k]};
    lurn_data d = {.name = "d", .n = 1, .total = longest[k], .offset = offset, .ncolumn = 1, .offset2 = NULL,
                   .column = {{.name = "x", .store = LURN_STORE_INDEX, .axis = LURN_TIME, .cols = 1, .rows = longest[k]}}};
    const lurn_feed_options whole = {.mode = LURN_FEED_SEQUENCE, .B = 1};
    const lurn_feed_options windows = {.mode = LURN_FEED_SEQUENCE, .B = 1, .seq = 100};
    lurn_feed f;
    CHECK(lurn_feed_plan(ctx, &f, &d, &whole) == (k == 0 ? LURN_OK : LURN_EINVAL));
    CHECK(k > 0 || f.T == longest[0]);
    CHECK(lurn_feed_plan(ctx, &f, &d, &windows) == LURN_OK && f.T == 100);
  }
}

/* A product of images has a row for each place of each frame. */
static void check_places (lurn_ctx *ctx) {
  const lurn_variant v = {.grad = 0};
  lurn_program source, p;
  lurn_wave w;
  int image[3] = {1 << 10, 1 << 10, 2}, dim[2] = {2, 3};
  lurn_program_init(ctx, &source);
  lurn_program_init(ctx, &p);
  lurn_reg x = lurn_input_reg(&source, "x", LURN_REAL, LURN_TIME, 3, image);
  lurn_reg W = lurn_param_reg(&source, "W", 2, dim, (lurn_init){LURN_INIT_NORMAL, 0, 1});
  lurn_output_reg(&source, "out", lurn_emit(&source, LURN_OP_PRODUCT, -1, x, W, 0, 0, 0, NULL));
  CHECK(lurn_normalise(ctx, &source, &v, &p) == LURN_OK);
  for (int frames = 2047; frames <= 2048; frames++) {
    const lurn_extent most = {.B = 1, .T = {frames}, .N = {frames}};
    CHECK(lurn_wave_plan(ctx, &w, &p, NULL, ctx->kernels, &most) == (frames == 2047 ? LURN_OK : LURN_EINVAL));
    lurn_wave_free(&w);
  }
  CHECK(strstr(ctx->message, "2048 rows of 1048576 places") != NULL);
  lurn_program_free(&p);
  lurn_program_free(&source);
}

int main (void) {
  lurn_ctx real_ctx, *ctx = &real_ctx;
  check_heap heap;
  check_ctx(ctx, &heap);
  check_tensor(ctx);
  check_npy(ctx);
  check_feed(ctx);
  check_places(ctx);
  check(heap.held == 0, "%zu bytes are still held", heap.held);
  return check_done("check_sizes");
}
