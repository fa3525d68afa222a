// Products of int8 codes with few rows: the weight is read once from memory, which is what they cost.
//
// The weight lies in blocks of 16 channels, a block as [inner / 4][16][4], inner filled with zeros to a multiple
// of 64: what a tile (AMX) and a dot product of bytes (VNNI) load as it is.
#include "activations.h"
#include "quantize.h"
#include "tiles.h"

// All sources are one unit of translation, so what is named here is named inside of this.
namespace automl::few {

constexpr int kInt8 = 3;
constexpr int64_t kBlock = 16, kStretch = 64;

// What stays the same from call to call; laid out as `Plan` of `few_rows.py`.
struct Plan {
  const int8_t* weight;
  const float* scale;
  const float* bias;     // or null
  const int32_t* shift;  // 128 times the sum of each channel's codes
  int64_t columns, inner;
  int32_t activation, type, zero, tiles;
  float step;  // of int8 results
};

struct Call {
  const int8_t* x;
  const float* steps;  // one a row, or null
  const float* residual;
  void* out;
  float step;
  int64_t rows;
};

inline int64_t padded(int64_t inner) { return (inner + kStretch - 1) / kStretch * kStretch; }

void finish_few_plain(const Plan& p, const Call& c, int64_t row, int64_t column, const int32_t* sums, int64_t many) {
  const float step = c.steps ? c.steps[row] : c.step;
  for (int64_t i = 0; i < many; ++i) {
    const int64_t at = row * p.columns + column + i;
    float value = static_cast<float>(sums[i]) * (step * p.scale[column + i]);
    if (p.bias) value += p.bias[column + i];
    if (c.residual) value += c.residual[at];
    value = activate_one(value, p.activation);
    if (p.type == kInt8)
      static_cast<int8_t*>(c.out)[at] = code_of(value, p.step, p.zero);
    else if (p.type == kFloat32)
      store_one<kFloat32>(c.out, at, value);
    else if (p.type == kBFloat16)
      store_one<kBFloat16>(c.out, at, value);
    else
      store_one<kFloat16>(c.out, at, value);
  }
}

void block_plain(const Plan& p, const Call& c, int64_t block) {
  const int8_t* weight = p.weight + block * kBlock * padded(p.inner);
  const int64_t column = block * kBlock, left = p.columns - column, many = left < kBlock ? left : kBlock;
  for (int64_t row = 0; row < c.rows; ++row) {
    int32_t sums[kBlock] = {};
    const int8_t* x = c.x + row * p.inner;
    for (int64_t i = 0; i < p.inner; ++i)
      for (int64_t j = 0; j < kBlock; ++j) sums[j] += x[i] * weight[i / 4 * 64 + j * 4 + i % 4];
    finish_few_plain(p, c, row, column, sums, many);
  }
}

#if AUTOML_AVX512
inline void finish_few(const Plan& p, const Call& c, int64_t row, int64_t column, __mmask16 mask, __m512i sums) {
  const int64_t at = row * p.columns + column;
  const __m512 step = _mm512_set1_ps(c.steps ? c.steps[row] : c.step);
  const __m512 scale = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, p.scale + column), step);
  const __m512 bias = p.bias ? _mm512_maskz_loadu_ps(mask, p.bias + column) : _mm512_setzero_ps();
  __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), scale, bias);
  if (c.residual) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, c.residual + at));
  value = activate_lanes(value, p.activation);
  if (p.type == kInt8)
    _mm_mask_storeu_epi8(static_cast<int8_t*>(c.out) + at, mask,
                         divided_codes(value, _mm512_set1_ps(p.step), _mm512_set1_epi32(p.zero)));
  else if (p.type == kFloat32)
    store_lanes<kFloat32>(c.out, at, mask, value);
  else if (p.type == kBFloat16)
    store_lanes<kBFloat16>(c.out, at, mask, value);
  else
    store_lanes<kFloat16>(c.out, at, mask, value);
}
#endif

#if AUTOML_AVX512 && defined(__AVX512VNNI__)
#define AUTOML_DOTS 1

// The instruction multiplies unsigned by signed bytes: codes are moved up by 128, and the sums down again.
template <int rows>
void dots(const Plan& p, const Call& c, int64_t row, int64_t block) {
  const int64_t wide = padded(p.inner), column = block * kBlock;
  const int8_t* weight = p.weight + block * kBlock * wide;
  const __mmask16 mask = lanes_below(p.columns - column);
  const __m512i shift = _mm512_maskz_loadu_epi32(mask, p.shift + column);
  __m512i sums[rows] = {};
  const auto step = [&](int64_t i, int64_t bytes) {
    const __m512i part = _mm512_loadu_si512(weight + i * kBlock);
    for (int r = 0; r < rows; ++r) {
      uint32_t four = 0;
      std::memcpy(&four, c.x + (row + r) * p.inner + i, static_cast<size_t>(bytes));
      sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_set1_epi32(static_cast<int>(four ^ 0x80808080u)), part);
    }
  };
  int64_t i = 0;
  for (; i + 4 <= p.inner; i += 4) step(i, 4);
  if (i < p.inner) step(i, p.inner - i);
  for (int r = 0; r < rows; ++r) finish_few(p, c, row + r, column, mask, _mm512_sub_epi32(sums[r], shift));
}

void block_dots(const Plan& p, const Call& c, int64_t block) {
  int64_t row = 0;
  for (; row + 8 <= c.rows; row += 8) dots<8>(p, c, row, block);
  if (row + 4 <= c.rows) dots<4>(p, c, row, block), row += 4;
  for (; row < c.rows; ++row) dots<1>(p, c, row, block);
}
#endif

#if AUTOML_TILES
void finish_tile(const Plan& p, const Call& c, int64_t row, int rows, int64_t column, const int32_t* sums) {
  const __mmask16 mask = lanes_below(p.columns - column);
  for (int r = 0; r < rows; ++r) finish_few(p, c, row + r, column, mask, _mm512_load_si512(sums + r * kBlock));
}

// Blocks [first, last) for at most 16 rows.
void blocks_tiles(const Plan& p, const Call& c, int64_t row, int rows, int64_t first, int64_t last) {
  const int64_t wide = padded(p.inner), whole = p.inner / kStretch * kStretch;
  const tiles::Shaped shaped(rows);
  const int8_t* x = c.x + row * p.inner;
  alignas(64) int8_t rest[kBlock * kStretch] = {};
  if (whole < p.inner)
    for (int r = 0; r < rows; ++r)
      std::memcpy(rest + r * kStretch, x + r * p.inner + whole, static_cast<size_t>(p.inner - whole));
  alignas(64) int32_t sums[kBlock * kBlock];
  for (int64_t block = first; block < last; block += 2) {
    const int8_t* weight = p.weight + block * kBlock * wide;
    const bool two = block + 1 < last;
    const int8_t* next = two ? weight + kBlock * wide : weight;
    _tile_zero(0);
    _tile_zero(1);
    for (int64_t i = 0; i < wide; i += kStretch) {
      if (i < whole)
        _tile_loadd(4, x + i, p.inner);
      else
        _tile_loadd(4, rest, kStretch);
      _tile_loadd(6, weight + i * kBlock, 64);
      _tile_dpbssd(0, 4, 6);
      if (two) {
        _tile_loadd(7, next + i * kBlock, 64);
        _tile_dpbssd(1, 4, 7);
      }
    }
    _tile_stored(0, sums, 64);
    finish_tile(p, c, row, rows, block * kBlock, sums);
    if (two) {
      _tile_stored(1, sums, 64);
      finish_tile(p, c, row, rows, (block + 1) * kBlock, sums);
    }
  }
}
#endif

void blocks(const Plan& p, const Call& c, int64_t first, int64_t last) {
#if AUTOML_TILES
  if (take_vectors && p.tiles && tiles::permitted()) {
    for (int64_t row = 0; row < c.rows; row += kBlock)
      blocks_tiles(p, c, row, static_cast<int>(c.rows - row < kBlock ? c.rows - row : kBlock), first, last);
    return;
  }
#endif
  for (int64_t block = first; block < last; ++block) {
#if AUTOML_DOTS
    if (take_vectors) {
      block_dots(p, c, block);
      continue;
    }
#endif
    block_plain(p, c, block);
  }
}

}  // namespace automl::few

// out = activation(x * weight * steps * scale + bias + residual), as `plan` says; x (rows, inner) of int8.
//   steps (rows) float32, or null for `step`; residual (rows, columns) float32, or null
extern "C" void automl_few_rows(const void* plan, const int8_t* x, int64_t rows, float step, const float* steps,
                                const float* residual, void* out, int threads) {
  using namespace automl::few;
  const Plan& p = *static_cast<const Plan*>(plan);
  const Call c{x, steps, residual, out, step, rows};
  if (!rows) return;
  automl::deal((p.columns + kBlock - 1) / kBlock, threads, [&](int64_t first, int64_t last) { blocks(p, c, first, last); });
}

// Which form serves: 2 tiles, 1 dot products of bytes, 0 plain loops.
extern "C" int automl_few_rows_form() {
#if AUTOML_TILES
  if (automl::tiles::permitted()) return 2;
#endif
#if AUTOML_DOTS
  return 1;
#endif
  return 0;
}
