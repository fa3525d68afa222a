// int8 codes of activations, as functions that Python calls.
#include "quantize.h"

// Each row's codes and step; a row with a number that is not finite gets zeros and the step NaN.
//   x (rows, inner) of `type`, neighbours in a row adjacent, rows `stride` numbers apart
//   codes (rows, inner), steps (rows)
extern "C" void automl_quantize_rows(const void* x, int type, int64_t rows, int64_t inner, int64_t stride,
                                     int8_t* codes, float* steps, int threads) {
  using namespace automl;
  auto* run = type == kFloat32 ? by_row<kFloat32> : type == kBFloat16 ? by_row<kBFloat16> : by_row<kFloat16>;
  run(x, rows, inner, stride, codes, inner, steps, threads);
}

// Codes of `count` adjacent numbers with one step, which is returned: NaN when a number is not finite.
extern "C" float automl_quantize_tensor(const void* x, int type, int64_t count, int8_t* codes, int threads) {
  using namespace automl;
  auto* run = type == kFloat32 ? by_tensor<kFloat32> : type == kBFloat16 ? by_tensor<kBFloat16> : by_tensor<kFloat16>;
  return run(x, count, codes, threads);
}

// Codes of `count` adjacent numbers with a given step; `zero` is added before they saturate, NaN becomes `zero`.
extern "C" void automl_quantize_static(const void* x, int type, int64_t count, float step, int zero, int8_t* codes,
                                       int threads) {
  using namespace automl;
  auto* run = type == kFloat32    ? static_codes<kFloat32>
              : type == kBFloat16 ? static_codes<kBFloat16>
                                  : static_codes<kFloat16>;
  run(x, count, step, zero, codes, threads);
}
