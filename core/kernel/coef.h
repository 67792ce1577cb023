/* coef.h: polynomials and split constants of body_math.h, in both precisions.
 *
 * Made by tests/tools/fit.py; change that, not this. The highest coefficient comes first.
 * The error given is the polynomial's share in the relative error of its function, before
 * any rounding. X_1 + X_2 (+ X_3) is X to twice (three times) the precision.
 */
#ifndef LURN_KERNEL_COEF_H
#define LURN_KERNEL_COEF_H

#ifdef LURN_F64

/* e^r = 1 + r + r^2 P(r), |r| <= ln 2 / 2; error 2^-61.7 */
static const real EXP_POLY[] = {
  0x1.1ee8894a1b5bfp-29,
  0x1.af5e750388edbp-26,
  0x1.27e5362b2ac63p-22,
  0x1.71ddf87ebb8b5p-19,
  0x1.a01a017bc6e9ap-16,
  0x1.a01a01afd3e02p-13,
  0x1.6c16c16c1f077p-10,
  0x1.111111110f6dap-7,
  0x1.555555555553fp-5,
  0x1.5555555555559p-3,
  0x1p-1,
};

/* ln((1 + s) / (1 - s)) = 2 s + s z P(z), z = s^2 <= (3 - 2 sqrt 2)^2; error 2^-59.5 */
static const real LOG_POLY[] = {
  0x1.2f06333b6ddedp-3,
  0x1.39a1a71d00352p-3,
  0x1.74663fa070f6ap-3,
  0x1.c71c520611cc7p-3,
  0x1.24924941f4edp-2,
  0x1.999999997fd78p-2,
  0x1.5555555555592p-1,
};

/* sin r = r + r z P(z), z = r^2, |r| <= pi / 4; error 2^-58.0 */
static const real SIN_POLY[] = {
  0x1.5d930100ef68p-33,
  -0x1.ae5e663aa4bc5p-26,
  0x1.71de3577b6bd8p-19,
  -0x1.a01a019c11999p-13,
  0x1.111111110f87ap-7,
  -0x1.5555555555549p-3,
};

/* cos r = 1 - z / 2 + z^2 P(z), z = r^2, |r| <= pi / 4; error 2^-64.2 */
static const real COS_POLY[] = {
  -0x1.8fae9c8def64bp-37,
  0x1.1ee9ebe95c9abp-29,
  -0x1.27e4f809f0ec9p-22,
  0x1.a01a019cb1be3p-16,
  -0x1.6c16c16c1517ep-10,
  0x1.555555555554cp-5,
};

/* erf x = x + x P(z), z = x^2 <= 1; error 2^-62.8 */
static const real ERF_POLY[] = {
  0x1.062759e8e3e1ep-34,
  -0x1.38ac2131185a2p-30,
  0x1.f7b99c84dbe43p-27,
  -0x1.5f1f40d5bd2f4p-23,
  0x1.b9df305661058p-20,
  -0x1.f4d1e43412831p-17,
  0x1.f9a321e4acd95p-14,
  -0x1.c02db3db48f68p-11,
  0x1.565bcd0dbd8eap-8,
  -0x1.b82ce31284f36p-6,
  0x1.ce2f21a042b34p-4,
  -0x1.812746b0379e6p-2,
  0x1.06eba8214db69p-3,
};

/* ln erfc(1 + t) = P(t), 0 <= t <= 5.0; error 2^-57.1 */
static const real ERFC_POLY[] = {
  -0x1.56603845827d5p-38,
  0x1.066bb5bf9760fp-33,
  -0x1.6a9dd9992748fp-30,
  0x1.24b8547cb8ff2p-27,
  -0x1.1ed84960a4584p-25,
  0x1.f25b997b8ac07p-25,
  0x1.b7cf8efef6c3bp-23,
  -0x1.1e247a6e063c2p-19,
  0x1.4484657c57891p-17,
  -0x1.c852aa4f6e1b4p-16,
  0x1.b92dd98896263p-16,
  0x1.f1b04a8f06e38p-13,
  -0x1.033f5a12fb95dp-9,
  0x1.48c9d37fc1dcap-7,
  -0x1.5477f099b6c4fp-5,
  -0x1.afabc11a2afdap-1,
  -0x1.51c9b0006c21ap+1,
  -0x1.d97fbf27aa2a1p+0,
};

#define LN2_1        0x1.62e42fefa39efp-1
#define LN2_2        0x1.abc9e3b39803fp-56
#define INV_LN2      0x1.71547652b82fep+0
#define PIO2_1       0x1.921fb54442d18p+0
#define PIO2_2       0x1.1a62633145c07p-54
#define PIO2_3       -0x1.f1976b7ed8fbcp-110
#define TWO_OVER_PI  0x1.45f306dc9c883p-1

#else

/* e^r = 1 + r + r^2 P(r), |r| <= ln 2 / 2; error 2^-26.2 */
static const real EXP_POLY[] = {
  0x1.6bec06p-10f,
  0x1.122776p-7f,
  0x1.555674p-5f,
  0x1.5554bp-3f,
  0x1.fffffep-2f,
};

/* ln((1 + s) / (1 - s)) = 2 s + s z P(z), z = s^2 <= (3 - 2 sqrt 2)^2; error 2^-30.2 */
static const real LOG_POLY[] = {
  0x1.31e34cp-2f,
  0x1.995eb6p-2f,
  0x1.55557ap-1f,
};

/* sin r = r + r z P(z), z = r^2, |r| <= pi / 4; error 2^-28.1 */
static const real SIN_POLY[] = {
  -0x1.994e5cp-13f,
  0x1.11076p-7f,
  -0x1.555546p-3f,
};

/* cos r = 1 - z / 2 + z^2 P(z), z = r^2, |r| <= pi / 4; error 2^-33.3 */
static const real COS_POLY[] = {
  0x1.9a020ap-16f,
  -0x1.6c0c8ap-10f,
  0x1.55554ap-5f,
};

/* erf x = x + x P(z), z = x^2 <= 1; error 2^-29.7 */
static const real ERF_POLY[] = {
  0x1.4ae4dp-14f,
  -0x1.a485ecp-11f,
  0x1.5419f4p-8f,
  -0x1.b7fbb4p-6f,
  0x1.ce2d2p-4f,
  -0x1.81273ep-2f,
  0x1.06eba8p-3f,
};

/* ln erfc(1 + t) = P(t), 0 <= t <= 3.0; error 2^-29.9 */
static const real ERFC_POLY[] = {
  0x1.852d24p-13f,
  -0x1.deb7acp-10f,
  0x1.441acep-7f,
  -0x1.53f94p-5f,
  -0x1.afad34p-1f,
  -0x1.51c9aap+1f,
  -0x1.d97fcp+0f,
};

#define LN2_1        0x1.62e43p-1f
#define LN2_2        -0x1.05c61p-29f
#define INV_LN2      0x1.715476p+0f
#define PIO2_1       0x1.921fb6p+0f
#define PIO2_2       -0x1.777a5cp-25f
#define PIO2_3       -0x1.ee59dap-50f
#define TWO_OVER_PI  0x1.45f306p-1f

#endif

#endif
