// int8 codes of numbers with a given step: round(x / step) half to even, plus a zero point, saturated.
#pragma once

#include "floats.h"

namespace automl {

// Added to a small number, it leaves the sum no bit for a fraction, so the addition rounds, half to even.
constexpr float kMagic = 0x1.8p23f;
constexpr int32_t kMagicBits = 0x4b400000;

inline int8_t code_of(float x, float step, int zero) {
  float quotient = x / step;
  if (quotient != quotient) quotient = 0.0f;
  float code = __builtin_rintf(quotient) + static_cast<float>(zero);
  code = code < -128.0f ? -128.0f : code > 127.0f ? 127.0f : code;
  return static_cast<int8_t>(code);
}

#if AUTOML_AVX512
// Exact for any number: a division, NaN to 0, and saturation.
inline __m128i divided_codes(__m512 value, __m512 step, __m512i zero) {
  __m512 quotient = _mm512_div_ps(value, step);
  quotient = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(quotient, quotient, _CMP_ORD_Q), quotient);
  quotient = _mm512_min_ps(_mm512_max_ps(quotient, _mm512_set1_ps(-512.0f)), _mm512_set1_ps(512.0f));
  const __m512i sum = _mm512_castps_si512(_mm512_add_ps(quotient, _mm512_set1_ps(kMagic)));
  return _mm512_cvtsepi32_epi8(_mm512_add_epi32(_mm512_sub_epi32(sum, _mm512_set1_epi32(kMagicBits)), zero));
}
#endif

}  // namespace automl
