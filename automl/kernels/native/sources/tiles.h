// The processor's tiles (AMX): whether they may be used, and their shapes.
#pragma once

#include "ways.h"

#if AUTOML_AVX512 && defined(__AMX_TILE__) && defined(__AMX_INT8__) && defined(__linux__)
#define AUTOML_TILES 1
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace automl::tiles {

// Channels, or rows, and inputs of a tile.
constexpr int64_t kSide = 16, kDepth = 64, kTile = kSide * kDepth;

#if AUTOML_TILES
// The system wants to be asked before a process keeps tiles; a thread pool's threads are asked for with it.
inline bool permitted() {
  constexpr long kAskForState = 0x1023, kTileData = 18;
  static const bool yes = syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
  return yes;
}

struct alignas(64) Shapes {
  uint8_t bytes[64] = {};
};

// Tiles 0 to 3 hold sums and 4 and 5 inputs, of some rows; 6 and 7 hold weights. Other libraries of the process
// may rely on the shapes that they left behind, so those come back afterwards.
class Shaped {
 public:
  explicit Shaped(int rows) {
    _tile_storeconfig(before_.bytes);
    Shapes own;
    own.bytes[0] = 1;
    for (int tile = 0; tile < 8; ++tile) {
      own.bytes[16 + 2 * tile] = static_cast<uint8_t>(kDepth);
      own.bytes[48 + tile] = static_cast<uint8_t>(tile < 6 ? rows : kSide);
    }
    _tile_loadconfig(own.bytes);
  }
  ~Shaped() {
    if (before_.bytes[0] != 0)
      _tile_loadconfig(before_.bytes);
    else
      _tile_release();
  }

 private:
  Shapes before_;
};
#endif

}  // namespace automl::tiles
