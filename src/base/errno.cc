// SPDX-License-Identifier: Apache-2.0
// The text of an errno.
#include "base/errno.h"

#include <cstring>

namespace dpfs {

const char* describe(Errno why) noexcept {
  const char* text = strerrordesc_np(static_cast<int>(why));
  return text != nullptr ? text : "unknown error";
}

}  // namespace dpfs
