// Products of codes cut into bit planes: population counts of 64-bit words of both sides.
#include <vector>

#include "ways.h"

namespace automl {
namespace planes {

// What does not change between calls; Python fills it once.
struct Planes {
  const uint64_t* words;  // (blocks, planes, words, 32): 32 output channels are a block, bits past the end clear
  const int32_t* sums;    // (columns) sums of the codes
  const int32_t* zero;    // (columns) zero points, or null
  const float* scale;     // (columns), or null
  const float* bias;      // (columns), or null
  int64_t planes, count, columns, inner;
  int32_t kind;  // 0 unsigned, 1 signed, 2 binary
};

namespace {

constexpr int64_t kBlock = 32;
constexpr int kUnsigned = 0, kSigned = 1, kBinary = 2;

struct Rows {
  std::vector<uint64_t> words;  // (rows, planes, words)
  std::vector<int32_t> sums;    // (rows) of what the planes stand for
};

struct Call {
  const Planes* w;
  const Rows* x;
  int64_t rows, bits;
  int kind;
  const int32_t* x_zero;
  const float* x_scale;
  int64_t zero_step, scale_step;
  void* out;
  bool integers;
};

// What a set bit of a plane adds; a binary code is twice its bit, less 1.
inline int32_t worth(int64_t plane, int64_t bits, int kind) {
  if (kind == kBinary) return 2;
  const int32_t size = static_cast<int32_t>(1u << plane);
  return kind == kSigned && plane == bits - 1 ? -size : size;
}

inline uint64_t word_of(const int8_t* x, int64_t count, int plane, int kind) {
#if AUTOML_AVX512
  if (take_vectors) {
    const __mmask64 held = count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
    const __m512i codes = _mm512_maskz_loadu_epi8(held, x);
    if (kind == kBinary) return _mm512_cmpgt_epi8_mask(codes, _mm512_setzero_si512());
    return _mm512_test_epi8_mask(codes, _mm512_set1_epi8(static_cast<char>(1 << plane)));
  }
#endif
  uint64_t word = 0;
  for (int64_t j = 0; j < count && j < 64; ++j) {
    const bool set = kind == kBinary ? x[j] > 0 : (static_cast<uint8_t>(x[j]) >> plane & 1) != 0;
    word |= static_cast<uint64_t>(set) << j;
  }
  return word;
}

// Sums wrap as unsigned numbers do; the last one fits int32, and so is right.
void cut(const int8_t* x, int64_t stride, const Call& call, Rows& rows) {
  const int64_t count = call.w->count, inner = call.w->inner;
  const bool both_binary = call.kind == kBinary && call.w->kind == kBinary;
  rows.words.resize(static_cast<size_t>(call.rows * call.bits * count));
  rows.sums.resize(static_cast<size_t>(call.rows));
  for (int64_t row = 0; row < call.rows; ++row) {
    uint32_t sum = both_binary ? static_cast<uint32_t>(-inner) : 0u;
    for (int64_t plane = 0; plane < call.bits; ++plane) {
      const uint32_t one = static_cast<uint32_t>(worth(plane, call.bits, call.kind));
      for (int64_t i = 0; i < count; ++i) {
        const uint64_t word = word_of(x + row * stride + 64 * i, inner - 64 * i, static_cast<int>(plane), call.kind);
        rows.words[(row * call.bits + plane) * count + i] = word;
        sum += one * static_cast<uint32_t>(__builtin_popcountll(word));
      }
    }
    rows.sums[row] = static_cast<int32_t>(sum);
  }
}

template <bool kXor>
void count_plain(const uint64_t* w, const uint64_t* x, int64_t count, int64_t* found) {
  for (int64_t lane = 0; lane < kBlock; ++lane) found[lane] = 0;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t lane = 0; lane < kBlock; ++lane) {
      const uint64_t both = kXor ? w[i * kBlock + lane] ^ x[i] : w[i * kBlock + lane] & x[i];
      found[lane] += __builtin_popcountll(both);
    }
}

#if AUTOML_AVX512 && defined(__AVX512VPOPCNTDQ__)
template <bool kXor>
void count_vector(const uint64_t* w, const uint64_t* x, int64_t count, int64_t* found) {
  __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  for (int64_t i = 0; i < count; ++i) {
    const __m512i word = _mm512_set1_epi64(static_cast<int64_t>(x[i]));
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const __m512i own = _mm512_loadu_si512(w + i * kBlock + 8 * part);
      const __m512i both = kXor ? _mm512_xor_si512(own, word) : _mm512_and_si512(own, word);
      sums[part] = _mm512_add_epi64(sums[part], _mm512_popcnt_epi64(both));
    }
  }
  for (int part = 0; part < 4; ++part) _mm512_storeu_si512(found + 8 * part, sums[part]);
}
#endif

template <bool kXor>
inline void count(const uint64_t* w, const uint64_t* x, int64_t words, int64_t* found) {
#if AUTOML_AVX512 && defined(__AVX512VPOPCNTDQ__)
  if (take_vectors) return count_vector<kXor>(w, x, words, found);
#endif
  count_plain<kXor>(w, x, words, found);
}

// The sum of (a - a0)(b - b0) from those of a b, a and b, where a is x and b is w, moved by 1 when binary.
void finish(const Call& call, int64_t row, int64_t block, uint32_t* total) {
  const Planes& w = *call.w;
  const bool both_binary = call.kind == kBinary && w.kind == kBinary;
  const uint32_t x_moved = call.kind == kBinary && !both_binary, w_moved = w.kind == kBinary && !both_binary;
  const uint32_t x_zero = call.x_zero ? static_cast<uint32_t>(call.x_zero[row * call.zero_step]) : 0u;
  const uint32_t x_less = x_zero + x_moved, inner = static_cast<uint32_t>(w.inner);
  const uint32_t rest = static_cast<uint32_t>(call.x->sums[row]) - inner * x_less;
  const int64_t first = block * kBlock, many = w.columns - first < kBlock ? w.columns - first : kBlock;
  // One loop a term, so that the compiler can take many columns at once.
  for (int64_t i = 0; i < many; ++i)
    total[i] -= w_moved * rest + x_less * (static_cast<uint32_t>(w.sums[first + i]) + inner * w_moved);
  if (w.zero)
    for (int64_t i = 0; i < many; ++i) total[i] -= static_cast<uint32_t>(w.zero[first + i]) * rest;
  if (call.integers) {
    std::memcpy(static_cast<int32_t*>(call.out) + row * w.columns + first, total, static_cast<size_t>(many) * 4);
    return;
  }
  const float x_scale = call.x_scale ? call.x_scale[row * call.scale_step] : 1.0f;
  float* out = static_cast<float*>(call.out) + row * w.columns + first;
  for (int64_t i = 0; i < many; ++i) out[i] = static_cast<float>(static_cast<int32_t>(total[i])) * x_scale;
  if (w.scale)
    for (int64_t i = 0; i < many; ++i) out[i] *= w.scale[first + i];
  if (w.bias)
    for (int64_t i = 0; i < many; ++i) out[i] += w.bias[first + i];
}

void blocks(const Call& call, int64_t from, int64_t to) {
  const Planes& w = *call.w;
  const bool both_binary = call.kind == kBinary && w.kind == kBinary;
  int64_t found[kBlock];
  for (int64_t block = from; block < to; ++block) {
    const uint64_t* own = w.words + block * w.planes * w.count * kBlock;
    for (int64_t row = 0; row < call.rows; ++row) {
      const uint64_t* x = &call.x->words[row * call.bits * w.count];
      uint32_t total[kBlock] = {};
      if (both_binary) {
        // Two signs agree in all inputs but those where their bits differ.
        count<true>(own, x, w.count, found);
        for (int64_t lane = 0; lane < kBlock; ++lane)
          total[lane] = static_cast<uint32_t>(w.inner) - 2u * static_cast<uint32_t>(found[lane]);
      } else {
        for (int64_t s = 0; s < w.planes; ++s)
          for (int64_t t = 0; t < call.bits; ++t) {
            count<false>(own + s * w.count * kBlock, x + t * w.count, w.count, found);
            const uint32_t one = static_cast<uint32_t>(worth(s, w.planes, w.kind)) *
                                 static_cast<uint32_t>(worth(t, call.bits, call.kind));
            for (int64_t lane = 0; lane < kBlock; ++lane) total[lane] += one * static_cast<uint32_t>(found[lane]);
          }
      }
      finish(call, row, block, total);
    }
  }
}

}  // namespace
}  // namespace planes
}  // namespace automl

// out (rows, columns), int32 sums or float32 results, of codes x (rows, inner), a byte each.
//   x_zero, x_scale: one a row when their step is 1, one for all when it is 0, or null
extern "C" void automl_bitplanes(const void* weight, const void* x, int64_t rows, int64_t stride, int bits, int kind,
                                 const int32_t* x_zero, int zero_step, const float* x_scale, int scale_step,
                                 void* out, int integers, int threads) {
  using namespace automl::planes;
  static thread_local Rows cut_rows;
  const Planes& w = *static_cast<const Planes*>(weight);
  const Call call{&w, &cut_rows, rows, bits, kind, x_zero, x_scale, zero_step, scale_step, out, integers != 0};
  cut(static_cast<const int8_t*>(x), stride, call, cut_rows);
  automl::deal((w.columns + kBlock - 1) / kBlock, threads, [=](int64_t from, int64_t to) { blocks(call, from, to); });
}
