#include "ways.h"

namespace automl {
bool take_vectors = true;
}

// Every kernel has a form with intrinsics, compiled where the processor has the instructions, and a plain one.
extern "C" void automl_take_vectors(int yes) { automl::take_vectors = yes != 0; }

// How many threads a parallel region of this library gets; shows that the pool is torch's.
extern "C" int automl_threads_of(int threads) {
  int found = 0;
#pragma omp parallel num_threads(threads)
  {
#pragma omp atomic
    ++found;
  }
  return found;
}
