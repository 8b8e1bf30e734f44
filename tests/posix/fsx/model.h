// SPDX-License-Identifier: Apache-2.0
// What the file should hold: its bytes in memory.
#pragma once

#include <cstdint>
#include <string>

namespace dpfs::posix {

class Model {
 public:
  const std::string& bytes() const { return bytes_; }
  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }

  void write(int64_t offset, const std::string& text);
  void truncate(int64_t size);
  // Zeros; longer files are not made.
  void punch(int64_t offset, int64_t size);
  // Zeros, and the file is at least so long.
  void zero(int64_t offset, int64_t size);
  void collapse(int64_t offset, int64_t size);
  void insert(int64_t offset, int64_t size);
  // Within the file itself.
  void copy(int64_t from, int64_t to, int64_t size);
  // At most `size` bytes from `offset` on, fewer at the end.
  std::string read(int64_t offset, int64_t size) const;

 private:
  std::string bytes_;
};

}  // namespace dpfs::posix
