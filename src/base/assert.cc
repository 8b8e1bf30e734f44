// SPDX-License-Identifier: Apache-2.0
// What happens when a bug of ours is found: say where, then stop before it can spread.
#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace dpfs {

void assertion_failed(const char* fact, const char* file, int line) noexcept {
  std::fprintf(stderr, "dpfs: bug at %s:%d: %s does not hold\n", file, line, fact);
  std::abort();
}

}  // namespace dpfs
