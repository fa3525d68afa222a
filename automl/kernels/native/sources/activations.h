// Activations of sixteen numbers, and of one where there are no vectors.
#pragma once

#include <initializer_list>

#include "floats.h"

namespace automl {

enum Activation : int { kNone = 0, kRelu = 1, kGelu = 2, kSilu = 3 };

inline float activate_one(float value, int activation) {
  if (activation == kRelu) return value < 0.0f ? 0.0f : value;  // NaN stays NaN.
  if (activation == kGelu) return 0.5f * value * (1.0f + std::erf(value * 0.70710678f));
  return activation == kSilu ? value / (1.0f + std::exp(-value)) : value;
}

#if AUTOML_AVX512
// Relative error below 2e-7: the exponent apart, then a polynomial of degree 7 on half an octave each side.
inline __m512 exp_lanes(__m512 x) {
  // The second operand is what a comparison with NaN gives.
  x = _mm512_min_ps(_mm512_set1_ps(88.0f), _mm512_max_ps(_mm512_set1_ps(-87.0f), x));
  const __m512 octaves = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
  __m512 rest = _mm512_fnmadd_ps(octaves, _mm512_set1_ps(0.693359375f), x);
  rest = _mm512_fnmadd_ps(octaves, _mm512_set1_ps(-2.12194440e-4f), rest);
  __m512 sum = _mm512_set1_ps(1.0f / 5040);
  for (const float coefficient : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(coefficient));
  return _mm512_scalef_ps(sum, octaves);
}

// x * (1 + erf(x / sqrt 2)) / 2 with erf by Abramowitz and Stegun 7.1.26, whose error is below 1.5e-7.
inline __m512 gelu_lanes(__m512 x) {
  const __m512 size = _mm512_abs_ps(x), one = _mm512_set1_ps(1.0f);
  const __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(size, _mm512_set1_ps(0.3275911f * 0.70710678f), one));
  __m512 tail = _mm512_set1_ps(1.061405429f);
  for (const float coefficient : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f})
    tail = _mm512_fmadd_ps(tail, t, _mm512_set1_ps(coefficient));
  const __m512 falls = exp_lanes(_mm512_mul_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-0.5f)));
  tail = _mm512_mul_ps(_mm512_mul_ps(tail, t), falls);
  const __m512 positive = _mm512_max_ps(_mm512_setzero_ps(), x);
  return _mm512_fnmadd_ps(_mm512_mul_ps(size, _mm512_set1_ps(0.5f)), tail, positive);
}

inline __m512 activate_lanes(__m512 value, int activation) {
  if (activation == kRelu) return _mm512_max_ps(_mm512_setzero_ps(), value);
  if (activation == kGelu) return gelu_lanes(value);
  if (activation != kSilu) return value;
  const __m512 negative = _mm512_sub_ps(_mm512_setzero_ps(), value);
  return _mm512_div_ps(value, _mm512_add_ps(_mm512_set1_ps(1.0f), exp_lanes(negative)));
}
#endif

}  // namespace automl
