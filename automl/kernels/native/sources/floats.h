// Sixteen numbers at a time of every float type, and the types' codes that Python passes.
#pragma once

#include "ways.h"

namespace automl {

enum Type : int { kFloat32 = 0, kBFloat16 = 1, kFloat16 = 2 };

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, rest = half & 0x7fffu;
  if (rest >= 0x7c00u) return bits_to_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  // Multiplying by 2^112 moves the exponent's bias, and makes subnormal numbers normal.
  return bits_to_float(float_to_bits(bits_to_float(rest << 13) * 0x1p112f) | sign);
}

template <int type>
inline float load_one(const void* at, int64_t index) {
  if (type == kFloat32) return static_cast<const float*>(at)[index];
  const uint16_t half = static_cast<const uint16_t*>(at)[index];
  return type == kBFloat16 ? bits_to_float(static_cast<uint32_t>(half) << 16) : half_to_float(half);
}

inline uint16_t float_to_bfloat(float value) {
  const uint32_t bits = float_to_bits(value);
  if (value != value) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline uint16_t float_to_half(float value) {
  const uint32_t bits = float_to_bits(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (size >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (size < 0x38800000u) {
    // Added to 0.5, a number below the smallest normal one is rounded to that type's smallest step, 2^-24.
    return static_cast<uint16_t>(sign | (float_to_bits(bits_to_float(size) + 0.5f) - 0x3f000000u));
  }
  return static_cast<uint16_t>(sign | (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13);
}

template <int type>
inline void store_one(void* at, int64_t index, float value) {
  if (type == kFloat32)
    static_cast<float*>(at)[index] = value;
  else
    static_cast<uint16_t*>(at)[index] = type == kBFloat16 ? float_to_bfloat(value) : float_to_half(value);
}

template <int type>
inline int64_t bytes_of() {
  return type == kFloat32 ? 4 : 2;
}

#if AUTOML_AVX512
inline __mmask16 lanes_below(int64_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << count) - 1u);
}

// Lanes that the mask leaves out are neither read nor anything but 0.
template <int type>
inline __m512 load_lanes(const void* at, int64_t index, __mmask16 mask) {
  if (type == kFloat32) return _mm512_maskz_loadu_ps(mask, static_cast<const float*>(at) + index);
  const __m256i halves = _mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(at) + index);
  if (type == kFloat16) return _mm512_cvtph_ps(halves);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

// The processor's own conversion to bfloat16 takes subnormal numbers for zeros; this one does not.
inline __m256i to_bfloat(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 bad = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  rounded = _mm512_mask_mov_epi32(rounded, bad, _mm512_set1_epi32(0x7fc00000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

template <int type>
inline void store_lanes(void* at, int64_t index, __mmask16 mask, __m512 value) {
  if (type == kFloat32) {
    _mm512_mask_storeu_ps(static_cast<float*>(at) + index, mask, value);
  } else {
    const __m256i halves = type == kBFloat16 ? to_bfloat(value) : _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT);
    _mm256_mask_storeu_epi16(static_cast<uint16_t*>(at) + index, mask, halves);
  }
}
#endif

}  // namespace automl
