// What follows an int8 product whose rows have steps of their own.
#include "floats.h"

namespace automl {
namespace {

struct Finish {
  const float *y, *steps, *bias, *residual;
  int64_t columns;
  bool relu;
};

struct Part {
  int64_t first_row, last_row, first_column, last_column;
};

template <int type>
void finish_plain(const Finish& f, const Part& part, void* out) {
  for (int64_t row = part.first_row; row < part.last_row; ++row) {
    const float step = f.steps[row];
    const int64_t base = row * f.columns;
    for (int64_t i = part.first_column; i < part.last_column; ++i) {
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
void finish_vector(const Finish& f, const Part& part, void* out) {
  for (int64_t row = part.first_row; row < part.last_row; ++row) {
    const __m512 step = _mm512_set1_ps(f.steps[row]);
    const int64_t base = row * f.columns;
    for (int64_t i = part.first_column; i < part.last_column; i += 16) {
      const __mmask16 mask = lanes_below(part.last_column - i);
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
void finish_part(const Finish& f, const Part& part, void* out) {
#if AUTOML_AVX512
  if (take_vectors) return finish_vector<type>(f, part, out);
#endif
  finish_plain<type>(f, part, out);
}

// Rows of y from which they are dealt out, and not its columns.
constexpr int64_t kManyRows = 64;

// A product of few rows is dealt out by columns, so that a thread finds here what it has in its own cache.
template <int type>
void finish(const Finish& f, int64_t rows, void* out, int threads) {
  if (rows >= kManyRows) {
    deal(rows, threads, [=](int64_t first, int64_t last) {
      finish_part<type>(f, Part{first, last, 0, f.columns}, out);
    });
  } else {
    deal((f.columns + 63) / 64, threads, [=](int64_t first, int64_t last) {
      const int64_t end = last * 64 < f.columns ? last * 64 : f.columns;
      finish_part<type>(f, Part{0, rows, first * 64, end}, out);
    });
  }
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
