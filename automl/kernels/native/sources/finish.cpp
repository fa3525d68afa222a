// What follows an int8 product whose rows have steps of their own.
#include "floats.h"

namespace automl {
namespace {

struct Finish {
  const float *y, *steps, *bias, *residual;
  int64_t columns;
  bool relu;
};

template <int type>
void finish_plain(const Finish& f, int64_t first, int64_t last, void* out) {
  for (int64_t row = first; row < last; ++row) {
    const float step = f.steps[row];
    const int64_t base = row * f.columns;
    for (int64_t i = 0; i < f.columns; ++i) {
      float value = f.y[base + i] * step;
      if (f.bias) value += f.bias[i];
      if (f.residual) value += f.residual[base + i];
      // NaN stays NaN.
      store_one<type>(out, base + i, f.relu && value < 0.0f ? 0.0f : value);
    }
  }
}

#if AUTOML_AVX512
template <int type>
void finish_vector(const Finish& f, int64_t first, int64_t last, void* out) {
  for (int64_t row = first; row < last; ++row) {
    const __m512 step = _mm512_set1_ps(f.steps[row]);
    const int64_t base = row * f.columns;
    for (int64_t i = 0; i < f.columns; i += 16) {
      const __mmask16 mask = lanes_below(f.columns - i);
      const __m512 start = f.bias ? _mm512_maskz_loadu_ps(mask, f.bias + i) : _mm512_setzero_ps();
      __m512 value = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, f.y + base + i), step, start);
      if (f.residual) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, f.residual + base + i));
      // The second operand is what a comparison with NaN gives.
      if (f.relu) value = _mm512_max_ps(_mm512_setzero_ps(), value);
      store_lanes<type>(out, base + i, mask, value);
    }
  }
}
#endif

template <int type>
void finish(const Finish& f, int64_t rows, void* out, int threads) {
  deal(rows, threads, [=](int64_t first, int64_t last) {
#if AUTOML_AVX512
    if (take_vectors) return finish_vector<type>(f, first, last, out);
#endif
    finish_plain<type>(f, first, last, out);
  });
}

}  // namespace
}  // namespace automl

// out = y * steps by row + bias + residual, then relu when asked for, rounded to `type`; out may be y.
//   y, residual, out (rows, columns), steps (rows), bias (columns); bias and residual may be null
extern "C" void automl_finish_rows(const float* y, const float* steps, const float* bias, const float* residual,
                                   int relu, int64_t rows, int64_t columns, void* out, int type, int threads) {
  using namespace automl;
  const Finish f{y, steps, bias, residual, columns, relu != 0};
  auto* run = type == kFloat32 ? finish<kFloat32> : type == kBFloat16 ? finish<kBFloat16> : finish<kFloat16>;
  run(f, rows, out, threads);
}
