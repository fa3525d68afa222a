// int8 codes of rows: round(x / step) half to even, the quotient that of IEEE single precision.
#pragma once

#include "floats.h"

namespace automl {

constexpr float kLevels = 127.0f, kSmallestStep = 0x1p-126f;
// Added to a small number, it leaves the sum no bit for a fraction, so the addition rounds, half to even.
constexpr float kMagic = 0x1.8p23f;
constexpr int32_t kMagicBits = 0x4b400000;
constexpr uint32_t kInfinity = 0x7f800000u;

// Bits of the largest size; those of NaN lie above infinity's.
template <int type>
uint32_t largest_plain(const void* x, int64_t first, int64_t last) {
  uint32_t most = 0;
  for (int64_t i = first; i < last; ++i) {
    const uint32_t bits = float_to_bits(load_one<type>(x, i)) & 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  return most;
}

inline int8_t code_of(float x, float step, int zero) {
  float quotient = x / step;
  if (quotient != quotient) quotient = 0.0f;
  float code = __builtin_rintf(quotient) + static_cast<float>(zero);
  code = code < -128.0f ? -128.0f : code > 127.0f ? 127.0f : code;
  return static_cast<int8_t>(code);
}

template <int type>
void codes_plain(const void* x, int64_t first, int64_t last, float step, int zero, int8_t* codes) {
  for (int64_t i = first; i < last; ++i) codes[i] = code_of(load_one<type>(x, i), step, zero);
}

#if AUTOML_AVX512
template <int type>
uint32_t largest_vector(const void* x, int64_t first, int64_t last) {
  const __m512i rest = _mm512_set1_epi32(0x7fffffff);
  __m512i most[4] = {};
  int64_t i = first;
  for (; i + 64 <= last; i += 64)
    for (int part = 0; part < 4; ++part) {
      const __m512i bits = _mm512_castps_si512(load_lanes<type>(x, i + 16 * part, 0xffff));
      most[part] = _mm512_max_epu32(most[part], _mm512_and_si512(bits, rest));
    }
  for (; i < last; i += 16) {
    const __m512i bits = _mm512_castps_si512(load_lanes<type>(x, i, lanes_below(last - i)));
    most[0] = _mm512_max_epu32(most[0], _mm512_and_si512(bits, rest));
  }
  most[0] = _mm512_max_epu32(_mm512_max_epu32(most[0], most[1]), _mm512_max_epu32(most[2], most[3]));
  return _mm512_reduce_max_epu32(most[0]);
}

// Exact for any number: a division, NaN to 0, and saturation.
inline __m128i divided_codes(__m512 value, __m512 step, __m512i zero) {
  __m512 quotient = _mm512_div_ps(value, step);
  quotient = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(quotient, quotient, _CMP_ORD_Q), quotient);
  quotient = _mm512_min_ps(_mm512_max_ps(quotient, _mm512_set1_ps(-512.0f)), _mm512_set1_ps(512.0f));
  const __m512i sum = _mm512_castps_si512(_mm512_add_ps(quotient, _mm512_set1_ps(kMagic)));
  return _mm512_cvtsepi32_epi8(_mm512_add_epi32(_mm512_sub_epi32(sum, _mm512_set1_epi32(kMagicBits)), zero));
}

// A product with the reciprocal is off the quotient by less than 2^-14 below 512, so where it lies farther
// than that from the middle of two codes both round alike. Divisions, which take ten times as long, serve the
// few other vectors, and all of a step whose reciprocal is no normal number.
template <int type>
void codes_vector(const void* x, int64_t first, int64_t last, float step, int zero, int8_t* codes) {
  const __m512 steps = _mm512_set1_ps(step), inverse = _mm512_set1_ps(1.0f / step), magic = _mm512_set1_ps(kMagic);
  const __m512 low = _mm512_set1_ps(-512.0f), high = _mm512_set1_ps(512.0f), near = _mm512_set1_ps(0.5f - 0x1p-12f);
  const __m512i moved = _mm512_set1_epi32(zero), base = _mm512_set1_epi32(zero - kMagicBits);
  const bool divides = !(step >= 0x1p-125f && step <= 0x1p125f);
  for (int64_t i = first; i < last; i += 16) {
    const __mmask16 mask = lanes_below(last - i);
    const __m512 value = load_lanes<type>(x, i, mask);
    const __m512 quotient = _mm512_mul_ps(value, inverse);
    // NaN fails every comparison, and so goes the exact way.
    const __m512 kept = _mm512_min_ps(_mm512_max_ps(quotient, low), high);
    const __m512 sum = _mm512_add_ps(kept, magic);
    const __m512 off = _mm512_abs_ps(_mm512_sub_ps(kept, _mm512_sub_ps(sum, magic)));
    __mmask16 unsure = _mm512_cmp_ps_mask(off, near, _CMP_NLT_UQ);
    unsure |= _mm512_cmp_ps_mask(quotient, quotient, _CMP_UNORD_Q);
    const __m128i found = __builtin_expect(unsure != 0 || divides, 0)
                              ? divided_codes(value, steps, moved)
                              : _mm512_cvtsepi32_epi8(_mm512_add_epi32(_mm512_castps_si512(sum), base));
    _mm_mask_storeu_epi8(codes + i, mask, found);
  }
}
#endif

template <int type>
uint32_t largest(const void* x, int64_t first, int64_t last) {
#if AUTOML_AVX512
  if (take_vectors) return largest_vector<type>(x, first, last);
#endif
  return largest_plain<type>(x, first, last);
}

template <int type>
void codes_of(const void* x, int64_t first, int64_t last, float step, int zero, int8_t* codes) {
#if AUTOML_AVX512
  if (take_vectors) return codes_vector<type>(x, first, last, step, zero, codes);
#endif
  codes_plain<type>(x, first, last, step, zero, codes);
}

inline float step_of(uint32_t most) {
  if (most >= kInfinity) return bits_to_float(0x7fc00000u);
  const float step = bits_to_float(most) / kLevels;
  return step < kSmallestStep ? kSmallestStep : step;
}

// Codes (rows, inner), rows `room` codes apart.
template <int type>
void by_row(const void* x, int64_t rows, int64_t inner, int64_t stride, int8_t* codes, int64_t room, float* steps,
            int threads) {
  deal(rows, threads, [=](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const void* at = static_cast<const char*>(x) + row * stride * bytes_of<type>();
      const float step = steps[row] = step_of(largest<type>(at, 0, inner));
      if (step == step)
        codes_of<type>(at, 0, inner, step, 0, codes + row * room);
      else
        std::memset(codes + row * room, 0, static_cast<size_t>(inner));
    }
  });
}

// Parts end at multiples of 64 numbers, so that no two threads write one line of the cache.
template <class Body>
void deal_numbers(int64_t count, int threads, Body body) {
  deal((count + 63) / 64, threads, [=](int64_t first, int64_t last) {
    body(first * 64, last * 64 < count ? last * 64 : count);
  });
}

template <int type>
void static_codes(const void* x, int64_t count, float step, int zero, int8_t* codes, int threads) {
  deal_numbers(count, threads, [=](int64_t first, int64_t last) {
    codes_of<type>(x, first, last, step, zero, codes);
  });
}

template <int type>
float by_tensor(const void* x, int64_t count, int8_t* codes, int threads) {
  uint32_t most = 0;
  deal_numbers(count, threads, [=, &most](int64_t first, int64_t last) {
    const uint32_t own = largest<type>(x, first, last);
#pragma omp critical(automl_largest)
    most = own > most ? own : most;
  });
  const float step = step_of(most);
  if (step == step)
    static_codes<type>(x, count, step, 0, codes, threads);
  else
    std::memset(codes, 0, static_cast<size_t>(count));
  return step;
}

}  // namespace automl
