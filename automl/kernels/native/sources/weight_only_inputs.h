// Inputs of a call, as numbers or as integers of three signed digits of 8 bits.
#pragma once

#include "weight_only.h"

namespace automl {

template <int type>
void take_numbers(const Weight& w, const Layout& layout, const void* x, int64_t rows, int64_t stride, Inputs& in) {
  in.numbers.assign(static_cast<size_t>(rows * layout.inputs), 0.0f);
  in.sums.assign(static_cast<size_t>(rows * layout.groups), 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    const char* from = static_cast<const char*>(x) + row * stride * bytes_of<type>();
    for (int64_t g = 0; g < layout.groups; ++g) {
      const int64_t first = g * w.group, size = w.inner - first < w.group ? w.inner - first : w.group;
      float* to = &in.numbers[row * layout.inputs + layout.first(g)];
      // Partial sums, one a lane, so that the compiler can add many numbers at once.
      float parts[kLanes] = {};
      int64_t i = 0;
      for (; i + kLanes <= size; i += kLanes)
        for (int lane = 0; lane < kLanes; ++lane) parts[lane] += to[i + lane] = load_one<type>(from, first + i + lane);
      for (; i < size; ++i) parts[0] += to[i] = load_one<type>(from, first + i);
      float sum = 0.0f;
      for (float part : parts) sum += part;
      in.sums[row * layout.groups + g] = sum;
    }
  }
}

#if AUTOML_AVX512 && defined(__AVX512VNNI__)
#define AUTOML_DIGITS 1

// The largest size of a group's integers is below 2^22, so its highest digit is too small to overflow.
constexpr int kTop = 21, kLeastExponent = -100;

// Sums of integers hold for 4-bit groups of any length here, and for 8-bit ones up to this one:
// 255 * 128 * 65,793 < 2^31.
constexpr int64_t kLongestGroup = 65000;

// A group's integers are its numbers over a power of two, rounded: the largest keeps 22 bits, a number of 8
// significant bits keeps all of them down to the 16,000th part of the largest.
template <int type>
void take_digits(const Weight& w, const Layout& layout, const void* x, int64_t rows, int64_t stride, Inputs& in) {
  in.digits.assign(static_cast<size_t>(rows * kDigits * layout.inputs), 0);
  in.negated.resize(static_cast<size_t>(rows * layout.groups * kDigits));
  in.steps.resize(static_cast<size_t>(rows * layout.groups));
  const __m512i rest = _mm512_set1_epi32(0x7fffffff), ones = _mm512_set1_epi8(1);
  const __m512i base = _mm512_set1_epi32(0x808080);
  const int32_t middle = w.bits == 4 ? 8 : 128;
  for (int64_t row = 0; row < rows; ++row) {
    const char* from = static_cast<const char*>(x) + row * stride * bytes_of<type>();
    for (int64_t g = 0; g < layout.groups; ++g) {
      const int64_t first = g * w.group, size = w.inner - first < w.group ? w.inner - first : w.group;
      __m512i most = _mm512_setzero_si512();
      for (int64_t i = 0; i < size; i += kLanes) {
        const __m512i bits = _mm512_castps_si512(load_lanes<type>(from, first + i, lanes_below(size - i)));
        most = _mm512_max_epu32(most, _mm512_and_si512(bits, rest));
      }
      int exponent = static_cast<int>(_mm512_reduce_max_epu32(most) >> 23) - 127;
      // A number that is not finite makes the step, and so the whole row, NaN.
      const bool finite = exponent < 128;
      exponent = exponent < kLeastExponent ? kLeastExponent : exponent;
      const float step = bits_to_float(static_cast<uint32_t>(exponent - kTop + 127) << 23);
      const float inverse = finite ? bits_to_float(static_cast<uint32_t>(kTop - exponent + 127) << 23) : 0.0f;
      in.steps[row * layout.groups + g] = finite ? step : bits_to_float(0x7fc00000u);
      int8_t* to = &in.digits[row * kDigits * layout.inputs + layout.first(g)];
      __m512i sums[kDigits] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
      for (int64_t i = 0; i < size; i += kLanes) {
        const __mmask16 mask = lanes_below(size - i);
        const __m512 value = load_lanes<type>(from, first + i, mask);
        const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(value, _mm512_set1_ps(inverse)));
        // With 128 added to every digit they are bytes; without it again they are signed ones.
        __m512i digits = _mm512_xor_si512(_mm512_add_epi32(whole, base), base);
        for (int d = 0; d < kDigits; ++d) {
          const __m128i bytes = _mm512_cvtepi32_epi8(digits);
          _mm_mask_storeu_epi8(to + d * layout.inputs + i, mask, bytes);
          // Lanes past the group were read as 0, whose digits are 0.
          sums[d] = _mm512_dpbusd_epi32(sums[d], ones, _mm512_zextsi128_si512(bytes));
          digits = _mm512_srli_epi32(digits, 8);
        }
      }
      for (int d = 0; d < kDigits; ++d)
        in.negated[(row * layout.groups + g) * kDigits + d] = -middle * _mm512_reduce_add_epi32(sums[d]);
    }
  }
}
#endif

}  // namespace automl
