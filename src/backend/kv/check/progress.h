// SPDX-License-Identifier: Apache-2.0
// Progress: who wants to know how far a tool has come.
#pragma once

#include <cstdint>

namespace dpfs::kv {

class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Often, on the reactor. `stage` is a literal; `of` is about right, or 0 where nobody knows.
  virtual void is_at(const char* stage, uint64_t done, uint64_t of) noexcept = 0;

 protected:
  ~Progress() = default;
};

}  // namespace dpfs::kv
