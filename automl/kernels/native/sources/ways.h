// What all kernels share: which form they take, and how rows are dealt out to threads.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include <omp.h>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define AUTOML_AVX512 1
#include <immintrin.h>
#endif

namespace automl {

extern bool take_vectors;

// Calls body(first, last) for contiguous parts of [0, count), one a thread of the pool that torch uses.
template <class Body>
inline void deal(int64_t count, int threads, Body body) {
  if (threads > count) threads = static_cast<int>(count);
  if (threads <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const int64_t here = omp_get_thread_num(), all = omp_get_num_threads();
    const int64_t first = count * here / all, last = count * (here + 1) / all;
    if (first < last) body(first, last);
  }
}

inline float bits_to_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t float_to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

}  // namespace automl
