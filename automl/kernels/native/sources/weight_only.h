// Weights of a few bits by blocks of channels, and the inputs of a call as those blocks read them.
//
// Sixteen output channels are a block, one a lane. A word of a block's 4-bit codes holds eight inputs of its
// channel: inputs 0 to 3 in the low halves of its bytes, 4 to 7 in the high ones. Four inputs of 8-bit codes are
// a word, a byte each, unsigned with the middle at 128. A group is filled up to whole words with inputs that
// are 0.
#pragma once

#include <vector>

#include "floats.h"

namespace automl {

// What does not change between calls; Python fills it once.
struct Weight {
  const uint32_t* codes;  // (blocks, words, 16)
  const float* scale;     // (blocks, groups, 16)
  const float* offset;    // (blocks, groups, 16) zero points less the middle code, or null
  const float* table;     // (16) levels of 4-bit codes, or null: the code less the middle one
  const float* bias;      // (columns), or null
  int64_t columns, inner, group, bits;
};

constexpr int64_t kLanes = 16;
constexpr int kDigits = 3;

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Where groups lie among padded inputs.
struct Layout {
  int64_t word, step, inputs, groups;

  explicit Layout(const Weight& w) {
    word = w.bits == 4 ? 8 : 4;
    step = divide_up(w.group, word) * word;
    groups = divide_up(w.inner, w.group);
    inputs = w.inner / w.group * step + divide_up(w.inner % w.group, word) * word;
  }
  int64_t first(int64_t g) const { return g * step; }
  int64_t last(int64_t g) const { return (g + 1) * step < inputs ? (g + 1) * step : inputs; }
};

struct Inputs {
  std::vector<float> numbers;    // (rows, inputs) and (rows, groups), for sums in float32
  std::vector<float> sums;
  std::vector<int8_t> digits;    // (rows, 3, inputs), for sums of integers
  std::vector<int32_t> negated;  // (rows, groups, 3): the middle code times the digits' sums, negated
  std::vector<float> steps;      // (rows, groups): what a unit of the lowest digit is
};

struct Call {
  const Weight* weight;
  const Inputs* inputs;
  Layout layout;
  void* out;
  int64_t rows;
  int type;
};

}  // namespace automl
