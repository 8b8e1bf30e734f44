// SPDX-License-Identifier: Apache-2.0
// The model's operations on bytes.
#include "tests/posix/fsx/model.h"

#include <algorithm>

namespace dpfs::posix {

void Model::write(int64_t offset, const std::string& text) {
  if (size() < offset + static_cast<int64_t>(text.size())) {
    bytes_.resize(static_cast<size_t>(offset) + text.size());
  }
  bytes_.replace(static_cast<size_t>(offset), text.size(), text);
}

void Model::truncate(int64_t size) { bytes_.resize(static_cast<size_t>(size)); }

void Model::punch(int64_t offset, int64_t size) {
  const int64_t end = std::min(offset + size, this->size());
  if (offset >= end) return;
  std::fill(bytes_.begin() + offset, bytes_.begin() + end, '\0');
}

void Model::zero(int64_t offset, int64_t size) {
  if (this->size() < offset + size) truncate(offset + size);
  punch(offset, size);
}

void Model::collapse(int64_t offset, int64_t size) {
  bytes_.erase(static_cast<size_t>(offset), static_cast<size_t>(size));
}

void Model::insert(int64_t offset, int64_t size) {
  bytes_.insert(static_cast<size_t>(offset), static_cast<size_t>(size), '\0');
}

void Model::copy(int64_t from, int64_t to, int64_t size) { write(to, read(from, size)); }

std::string Model::read(int64_t offset, int64_t size) const {
  if (offset >= this->size()) return "";
  return bytes_.substr(static_cast<size_t>(offset), static_cast<size_t>(size));
}

}  // namespace dpfs::posix
