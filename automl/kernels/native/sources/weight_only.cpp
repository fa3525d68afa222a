// Products of a few rows of numbers with 4- and 8-bit weights in groups, which are read packed.
#include "weight_only_inputs.h"

namespace automl {
namespace {

inline const uint32_t* codes_of_block(const Weight& w, const Layout& layout, int64_t block) {
  return w.codes + block * (layout.inputs / layout.word) * kLanes;
}

inline int64_t at_group(const Layout& layout, int64_t block, int64_t g) { return (block * layout.groups + g) * kLanes; }

inline float level_plain(const Weight& w, uint32_t word, int64_t place) {
  if (w.bits == 8) return static_cast<float>(static_cast<int>(word >> (8 * place) & 255u) - 128);
  const uint32_t code = word >> (place % 4 * 8 + place / 4 * 4) & 15u;
  return w.table ? w.table[code] : static_cast<float>(static_cast<int>(code) - 8);
}

void put_plain(const Call& call, int64_t row, int64_t block, const float* total) {
  const Weight& w = *call.weight;
  for (int64_t lane = 0; lane < kLanes && block * kLanes + lane < w.columns; ++lane) {
    const int64_t column = block * kLanes + lane, at = row * w.columns + column;
    const float value = w.bias ? total[lane] + w.bias[column] : total[lane];
    if (call.type == kFloat32)
      store_one<kFloat32>(call.out, at, value);
    else if (call.type == kBFloat16)
      store_one<kBFloat16>(call.out, at, value);
    else
      store_one<kFloat16>(call.out, at, value);
  }
}

void blocks_plain(const Call& call, int64_t first, int64_t last) {
  const Weight& w = *call.weight;
  const Layout& layout = call.layout;
  for (int64_t block = first; block < last; ++block) {
    const uint32_t* codes = codes_of_block(w, layout, block);
    for (int64_t row = 0; row < call.rows; ++row) {
      const float* x = &call.inputs->numbers[row * layout.inputs];
      float total[kLanes] = {};
      for (int64_t g = 0; g < layout.groups; ++g) {
        float sums[kLanes] = {};
        for (int64_t k = layout.first(g); k < layout.last(g); ++k)
          for (int64_t lane = 0; lane < kLanes; ++lane)
            sums[lane] += x[k] * level_plain(w, codes[k / layout.word * kLanes + lane], k % layout.word);
        const int64_t at = at_group(layout, block, g);
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          const float less = w.offset ? w.offset[at + lane] * call.inputs->sums[row * layout.groups + g] : 0.0f;
          total[lane] += (sums[lane] - less) * w.scale[at + lane];
        }
      }
      put_plain(call, row, block, total);
    }
  }
}

#if AUTOML_AVX512
inline void put(const Call& call, int64_t row, int64_t block, __m512 total) {
  const Weight& w = *call.weight;
  const __mmask16 mask = lanes_below(w.columns - block * kLanes);
  if (w.bias) total = _mm512_add_ps(total, _mm512_maskz_loadu_ps(mask, w.bias + block * kLanes));
  const int64_t at = row * w.columns + block * kLanes;
  if (call.type == kFloat32)
    store_lanes<kFloat32>(call.out, at, mask, total);
  else if (call.type == kBFloat16)
    store_lanes<kBFloat16>(call.out, at, mask, total);
  else
    store_lanes<kFloat16>(call.out, at, mask, total);
}

// Sums in float32: levels from a table, and processors or groups that the sums of integers do not serve.
struct Floats {
  template <int kBits, int kRows, int kBlocks>
  static void tile(const Call& call, int64_t row, int64_t block) {
    const Weight& w = *call.weight;
    const Layout& layout = call.layout;
    const float* sums_of_x = &call.inputs->sums[row * layout.groups];
    const __m512 plain = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    const __m512 levels = w.table ? _mm512_loadu_ps(w.table) : plain;
    __m512 total[kRows][kBlocks];
    for (auto& of_row : total)
      for (auto& value : of_row) value = _mm512_setzero_ps();
    for (int64_t g = 0; g < layout.groups; ++g) {
      __m512 sums[kRows][kBlocks];
      for (int r = 0; r < kRows; ++r)
        for (int b = 0; b < kBlocks; ++b) {
          sums[r][b] = _mm512_setzero_ps();
          if (w.offset) {
            const __m512 offset = _mm512_loadu_ps(w.offset + at_group(layout, block + b, g));
            sums[r][b] = _mm512_fnmadd_ps(offset, _mm512_set1_ps(sums_of_x[r * layout.groups + g]), sums[r][b]);
          }
        }
      add_words<kBits, kRows, kBlocks>(call, row, block, layout.first(g), layout.last(g), levels, sums);
      for (int b = 0; b < kBlocks; ++b) {
        const __m512 scale = _mm512_loadu_ps(w.scale + at_group(layout, block + b, g));
        for (int r = 0; r < kRows; ++r) total[r][b] = _mm512_fmadd_ps(sums[r][b], scale, total[r][b]);
      }
    }
    for (int r = 0; r < kRows; ++r)
      for (int b = 0; b < kBlocks; ++b) put(call, row + r, block + b, total[r][b]);
  }

  template <int kBits, int kRows, int kBlocks>
  static inline void add_words(const Call& call, int64_t row, int64_t block, int64_t first, int64_t last,
                               __m512 levels, __m512 (&sums)[kRows][kBlocks]) {
    constexpr int kWord = kBits == 4 ? 8 : 4;
    const int64_t inputs = call.layout.inputs;
    const float* x = &call.inputs->numbers[row * inputs];
    const uint32_t* codes = codes_of_block(*call.weight, call.layout, block);
    for (int64_t k = first; k < last; k += kWord) {
      __m512i bits[kBlocks];
      for (int b = 0; b < kBlocks; ++b)
        bits[b] = _mm512_loadu_si512(codes + b * (inputs / kWord) * kLanes + k / kWord * kLanes);
#pragma GCC unroll 8
      for (int place = 0; place < kWord; ++place)
        for (int b = 0; b < kBlocks; ++b) {
          __m512 level;
          if (kBits == 4) {
            // A look-up reads the lowest four bits alone.
            level = _mm512_permutexvar_ps(_mm512_srli_epi32(bits[b], place % 4 * 8 + place / 4 * 4), levels);
          } else {
            const __m512i code = _mm512_and_si512(_mm512_srli_epi32(bits[b], 8 * place), _mm512_set1_epi32(255));
            level = _mm512_cvtepi32_ps(_mm512_sub_epi32(code, _mm512_set1_epi32(128)));
          }
          for (int r = 0; r < kRows; ++r)
            sums[r][b] = _mm512_fmadd_ps(level, _mm512_set1_ps(x[r * inputs + k + place]), sums[r][b]);
        }
    }
  }
};

#if AUTOML_DIGITS
// Sums of integers, four products a lane and instruction. Every digit of the inputs has sums of its own, which
// are exact; what they are worth is put together once a group.
struct Integers {
  template <int kBits, int kRows, int kBlocks>
  static void tile(const Call& call, int64_t row, int64_t block) {
    const Weight& w = *call.weight;
    const Layout& layout = call.layout;
    const int32_t* negated = &call.inputs->negated[row * layout.groups * kDigits];
    const float* steps = &call.inputs->steps[row * layout.groups];
    const __m512 base = _mm512_set1_ps(256.0f), middle = _mm512_set1_ps(kBits == 4 ? -0.125f : -0x1p-7f);
    __m512 total[kRows][kBlocks];
    for (auto& of_row : total)
      for (auto& value : of_row) value = _mm512_setzero_ps();
    for (int64_t g = 0; g < layout.groups; ++g) {
      __m512i sums[kRows][kBlocks][kDigits];
      for (int r = 0; r < kRows; ++r)
        for (int b = 0; b < kBlocks; ++b)
          for (int d = 0; d < kDigits; ++d)
            sums[r][b][d] = _mm512_set1_epi32(negated[(r * layout.groups + g) * kDigits + d]);
      add_words<kBits, kRows, kBlocks>(call, row, block, layout.first(g), layout.last(g), sums);
      for (int b = 0; b < kBlocks; ++b) {
        const __m512 scale = _mm512_loadu_ps(w.scale + at_group(layout, block + b, g));
        for (int r = 0; r < kRows; ++r) {
          const auto& s = sums[r][b];
          __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[2]), base, _mm512_cvtepi32_ps(s[1]));
          value = _mm512_fmadd_ps(value, base, _mm512_cvtepi32_ps(s[0]));
          if (w.offset) {
            const int32_t* n = negated + (r * layout.groups + g) * kDigits;
            const float whole = (static_cast<float>(n[2]) * 256.0f + static_cast<float>(n[1])) * 256.0f +
                                static_cast<float>(n[0]);
            // What is negated is the middle code times the inputs' sum.
            const __m512 offset = _mm512_loadu_ps(w.offset + at_group(layout, block + b, g));
            value = _mm512_fnmadd_ps(offset, _mm512_mul_ps(_mm512_set1_ps(whole), middle), value);
          }
          const __m512 step = _mm512_set1_ps(steps[r * layout.groups + g]);
          total[r][b] = _mm512_fmadd_ps(_mm512_mul_ps(value, step), scale, total[r][b]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r)
      for (int b = 0; b < kBlocks; ++b) put(call, row + r, block + b, total[r][b]);
  }

  template <int kBits, int kRows, int kBlocks>
  static inline void add_words(const Call& call, int64_t row, int64_t block, int64_t first, int64_t last,
                               __m512i (&sums)[kRows][kBlocks][kDigits]) {
    constexpr int kWord = kBits == 4 ? 8 : 4;
    const int64_t inputs = call.layout.inputs;
    const int8_t* digits = &call.inputs->digits[row * kDigits * inputs];
    const uint32_t* codes = codes_of_block(*call.weight, call.layout, block);
    const __m512i low = _mm512_set1_epi8(15);
    for (int64_t k = first; k < last; k += kWord) {
      __m512i bits[kBlocks];
      for (int b = 0; b < kBlocks; ++b)
        bits[b] = _mm512_loadu_si512(codes + b * (inputs / kWord) * kLanes + k / kWord * kLanes);
#pragma GCC unroll 2
      for (int half = 0; half < kWord / 4; ++half) {
        __m512i level[kBlocks];
        for (int b = 0; b < kBlocks; ++b)
          level[b] = kBits == 8 ? bits[b] : _mm512_and_si512(_mm512_srli_epi32(bits[b], 4 * half), low);
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
          for (int d = 0; d < kDigits; ++d) {
            int32_t four;
            std::memcpy(&four, digits + (r * kDigits + d) * inputs + k + 4 * half, sizeof four);
            const __m512i x = _mm512_set1_epi32(four);
            for (int b = 0; b < kBlocks; ++b) sums[r][b][d] = _mm512_dpbusd_epi32(sums[r][b][d], level[b], x);
          }
      }
    }
  }
};
#endif

template <class Sums, int kBits, int kRows>
inline void row_of_tiles(const Call& call, int64_t row, int64_t first, int64_t last) {
  // As many sums as registers hold, with room for the codes.
  constexpr int kBlocks = kRows == 1 ? 4 : 2;
  int64_t block = first;
  for (; block + kBlocks <= last; block += kBlocks) Sums::template tile<kBits, kRows, kBlocks>(call, row, block);
  for (; block < last; ++block) Sums::template tile<kBits, kRows, 1>(call, row, block);
}

template <class Sums, int kBits>
void blocks_vector(const Call& call, int64_t first, int64_t last) {
  int64_t row = 0;
  for (; row + 4 <= call.rows; row += 4) row_of_tiles<Sums, kBits, 4>(call, row, first, last);
  if (row + 2 <= call.rows) {
    row_of_tiles<Sums, kBits, 2>(call, row, first, last);
    row += 2;
  }
  if (row < call.rows) row_of_tiles<Sums, kBits, 1>(call, row, first, last);
}
#endif

bool sums_integers(const Weight& w) {
#if AUTOML_DIGITS
  return take_vectors && w.table == nullptr && w.group <= kLongestGroup;
#else
  (void)w;
  return false;
#endif
}

// Rows whose inputs are prepared at a time, so that a long input needs no more room.
constexpr int64_t kRowsAtATime = 64;

template <int type>
void some_rows(const Weight& w, const void* x, int64_t rows, int64_t stride, void* out, int threads) {
  static thread_local Inputs inputs;
  const Layout layout(w);
  const bool integers = sums_integers(w);
#if AUTOML_DIGITS
  if (integers) take_digits<type>(w, layout, x, rows, stride, inputs);
#endif
  if (!integers) take_numbers<type>(w, layout, x, rows, stride, inputs);
  const Call call{&w, &inputs, layout, out, rows, type};
  deal(divide_up(w.columns, kLanes), threads, [=](int64_t first, int64_t last) {
#if AUTOML_DIGITS
    if (integers)
      return call.weight->bits == 4 ? blocks_vector<Integers, 4>(call, first, last)
                                    : blocks_vector<Integers, 8>(call, first, last);
#endif
#if AUTOML_AVX512
    if (take_vectors)
      return call.weight->bits == 4 ? blocks_vector<Floats, 4>(call, first, last)
                                    : blocks_vector<Floats, 8>(call, first, last);
#endif
    blocks_plain(call, first, last);
  });
}

template <int type>
void product(const Weight& w, const void* x, int64_t rows, int64_t stride, void* out, int threads) {
  for (int64_t row = 0; row < rows; row += kRowsAtATime) {
    const int64_t many = rows - row < kRowsAtATime ? rows - row : kRowsAtATime;
    const char* from = static_cast<const char*>(x) + row * stride * bytes_of<type>();
    some_rows<type>(w, from, many, stride, static_cast<char*>(out) + row * w.columns * bytes_of<type>(), threads);
  }
}

}  // namespace
}  // namespace automl

// out (rows, columns) = x (rows, inner) times the weight, plus the bias; both of `type`.
extern "C" void automl_weight_only(const void* weight, const void* x, int type, int64_t rows, int64_t stride,
                                   void* out, int threads) {
  using namespace automl;
  const Weight& w = *static_cast<const Weight*>(weight);
  auto* run = type == kFloat32 ? product<kFloat32> : type == kBFloat16 ? product<kBFloat16> : product<kFloat16>;
  run(w, x, rows, stride, out, threads);
}
