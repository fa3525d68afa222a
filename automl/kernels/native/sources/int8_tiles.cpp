// An int8 product whose rows have steps of their own, in one call: codes, sums (AMX), steps and epilogue.
//
// Tiles of 16 rows and 64 bytes: inputs of 16 rows, or 64 inputs of 16 output channels, four of a channel side
// by side.
#include <vector>

#include "quantize.h"
#include "tiles.h"

namespace automl {
namespace tiles {

// What does not change between calls; Python fills it once.
struct Weight {
  const int8_t* codes;  // (blocks, words of 64 inputs, 16, 16, 4)
  const float* scale;   // (columns)
  const float* bias;    // (columns), or null
  int64_t columns, inner;
  int32_t relu;
};

#if AUTOML_TILES
namespace {

struct Call {
  const Weight* w;
  const int8_t* codes;  // (padded rows, padded inputs)
  const float* steps;
  const float* residual;
  void* out;
  int64_t rows, padded;
  int type;
};

template <int type>
inline void finish_row(const Call& call, const int32_t* sums, int64_t row, int64_t column) {
  const Weight& w = *call.w;
  const __mmask16 mask = lanes_below(w.columns - column);
  const int64_t at = row * w.columns + column;
  __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), _mm512_maskz_loadu_ps(mask, w.scale + column));
  const __m512 start = w.bias ? _mm512_maskz_loadu_ps(mask, w.bias + column) : _mm512_setzero_ps();
  value = _mm512_fmadd_ps(value, _mm512_set1_ps(call.steps[row]), start);
  if (call.residual) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, call.residual + at));
  // The second operand is what a comparison with NaN gives.
  if (w.relu) value = _mm512_max_ps(_mm512_setzero_ps(), value);
  store_lanes<type>(call.out, at, mask, value);
}

void finish_tile(const Call& call, const int32_t* sums, int64_t row, int64_t block) {
  if (block * kSide >= call.w->columns) return;
  for (int64_t i = 0; i < kSide && row + i < call.rows; ++i) {
    const int32_t* at = sums + i * kSide;
    if (call.type == kFloat32)
      finish_row<kFloat32>(call, at, row + i, block * kSide);
    else if (call.type == kBFloat16)
      finish_row<kBFloat16>(call, at, row + i, block * kSide);
    else
      finish_row<kFloat16>(call, at, row + i, block * kSide);
  }
}

// Two tiles of rows times two of channels.
void two_by_two(const Call& call, int64_t row, int64_t block) {
  const int64_t deep = call.padded / kDepth;
  const int8_t* x = call.codes + row * call.padded;
  const int8_t* w = call.w->codes + block * deep * kTile;
  alignas(64) int32_t sums[4][kSide * kSide];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t d = 0; d < deep; ++d) {
    _tile_loadd(4, x + d * kDepth, call.padded);
    _tile_loadd(6, w + d * kTile, kDepth);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, w + (deep + d) * kTile, kDepth);
    _tile_dpbssd(1, 4, 7);
    _tile_loadd(5, x + kSide * call.padded + d * kDepth, call.padded);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_stored(0, sums[0], kDepth);
  _tile_stored(1, sums[1], kDepth);
  _tile_stored(2, sums[2], kDepth);
  _tile_stored(3, sums[3], kDepth);
  finish_tile(call, sums[0], row, block);
  finish_tile(call, sums[1], row, block + 1);
  finish_tile(call, sums[2], row + kSide, block);
  finish_tile(call, sums[3], row + kSide, block + 1);
}

// One tile of rows times two of channels.
void one_by_two(const Call& call, int64_t row, int64_t block) {
  const int64_t deep = call.padded / kDepth;
  const int8_t* x = call.codes + row * call.padded;
  const int8_t* w = call.w->codes + block * deep * kTile;
  alignas(64) int32_t sums[2][kSide * kSide];
  _tile_zero(0);
  _tile_zero(1);
  for (int64_t d = 0; d < deep; ++d) {
    _tile_loadd(4, x + d * kDepth, call.padded);
    _tile_loadd(6, w + d * kTile, kDepth);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, w + (deep + d) * kTile, kDepth);
    _tile_dpbssd(1, 4, 7);
  }
  _tile_stored(0, sums[0], kDepth);
  _tile_stored(1, sums[1], kDepth);
  finish_tile(call, sums[0], row, block);
  finish_tile(call, sums[1], row, block + 1);
}

// Bytes of the weight that rows go over before the next ones: a quarter of a second-level cache of 2 MB.
constexpr int64_t kStretch = 1 << 19;

// Pairs of blocks of channels. Two tiles of rows stay in the first cache while a stretch of the weight, which lies
// in the order of its reading, goes by.
void pairs(const Call& call, int64_t first, int64_t last) {
  const Shaped shaped(static_cast<int>(kSide));
  const int64_t stripes = (call.rows + kSide - 1) / kSide;
  const int64_t many = kStretch / (2 * kSide * call.padded) + 1;
  for (int64_t from = first; from < last; from += many) {
    const int64_t to = from + many < last ? from + many : last;
    for (int64_t stripe = 0; stripe < stripes; stripe += 2)
      for (int64_t pair = from; pair < to; ++pair) {
        if (stripe + 1 < stripes)
          two_by_two(call, stripe * kSide, 2 * pair);
        else
          one_by_two(call, stripe * kSide, 2 * pair);
      }
  }
}

}  // namespace
#endif

}  // namespace tiles
}  // namespace automl

// Whether this build, processor and system have tiles, and intrinsics are to be taken.
extern "C" int automl_has_tiles() {
#if AUTOML_TILES
  return automl::take_vectors && automl::tiles::permitted();
#else
  return 0;
#endif
}

// out (rows, columns) of `out_type` = the codes of x by row times the weight, by steps and scales, plus bias and
// residual (rows, columns) of float32, then relu when asked for; a row with a number that is not finite is NaN.
extern "C" void automl_int8_tiles(const void* weight, const void* x, int type, int64_t rows, int64_t stride,
                                  const float* residual, void* out, int out_type, int threads) {
#if AUTOML_TILES
  using namespace automl;
  using namespace automl::tiles;
  static thread_local std::vector<int8_t> codes;
  static thread_local std::vector<float> steps;
  const Weight& w = *static_cast<const Weight*>(weight);
  const int64_t padded = (w.inner + kDepth - 1) / kDepth * kDepth, all = (rows + kSide - 1) / kSide * kSide;
  // What lies past the inputs and rows is 0 or old codes: weights are 0 past the inputs, and results past the
  // rows are not stored.
  if (codes.size() < static_cast<size_t>(all * padded)) codes.resize(static_cast<size_t>(all * padded));
  if (steps.size() < static_cast<size_t>(rows)) steps.resize(static_cast<size_t>(rows));
  auto* quantize = type == kFloat32 ? by_row<kFloat32> : type == kBFloat16 ? by_row<kBFloat16> : by_row<kFloat16>;
  quantize(x, rows, w.inner, stride, codes.data(), padded, steps.data(), rows * w.inner >= (1 << 15) ? threads : 1);
  const Call call{&w, codes.data(), steps.data(), residual, out, rows, padded, out_type};
  deal((w.columns + 2 * kSide - 1) / (2 * kSide), threads, [=](int64_t first, int64_t last) { pairs(call, first, last); });
#else
  (void)weight, (void)x, (void)type, (void)rows, (void)stride, (void)residual, (void)out, (void)out_type, (void)threads;
#endif
}
