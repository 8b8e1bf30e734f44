// SPDX-License-Identifier: Apache-2.0
// FuzzInput: a fuzzer's bytes, taken from the front as what a target needs; zeros once they are
// used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace dpfs {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t byte() { return take<uint8_t>(); }
  template <class T>
  T take() {
    T value{};
    const size_t n = std::min(size_, sizeof value);
    if (n > 0) std::memcpy(&value, data_, n);
    data_ += n;
    size_ -= n;
    return value;
  }
  std::string bytes(size_t n) {
    n = std::min(n, size_);
    std::string text(reinterpret_cast<const char*>(data_), n);
    data_ += n;
    size_ -= n;
    return text;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace dpfs
