// SPDX-License-Identifier: Apache-2.0
// The bytes of a file, block by block.
#include "responder/contents.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace dpfs::responder {

namespace {

constexpr uint64_t kBlock = Contents::kBlockBytes;

// Calls `piece(block, offset in it, bytes)` for each block that the range touches.
template <class Piece>
void for_each_block(uint64_t offset, uint64_t length, Piece&& piece) {
  while (length > 0) {
    const uint64_t within = offset % kBlock;
    const uint64_t bytes = std::min(length, kBlock - within);
    piece(offset / kBlock, within, bytes);
    offset += bytes;
    length -= bytes;
  }
}

}  // namespace

uint8_t* Contents::own_block(uint64_t number) {
  std::shared_ptr<Block>& block = blocks_[number];
  if (block == nullptr) {
    block = std::make_shared<Block>();
    block->fill(0);
  } else if (block.use_count() > 1) {
    block = std::make_shared<Block>(*block);
  }
  return block->data();
}

size_t Contents::read(uint64_t offset, std::span<uint8_t> into) const {
  if (offset >= size_) return 0;
  const uint64_t bytes = std::min<uint64_t>(into.size(), size_ - offset);
  uint8_t* to = into.data();
  for_each_block(offset, bytes, [&](uint64_t number, uint64_t within, uint64_t part) {
    const auto block = blocks_.find(number);
    if (block == blocks_.end()) {
      std::memset(to, 0, part);
    } else {
      std::memcpy(to, block->second->data() + within, part);
    }
    to += part;
  });
  return bytes;
}

void Contents::write(uint64_t offset, nfs::Bytes from) {
  const uint8_t* at = from.data();
  for_each_block(offset, from.size(), [&](uint64_t number, uint64_t within, uint64_t part) {
    std::memcpy(own_block(number) + within, at, part);
    at += part;
  });
  if (!from.empty()) size_ = std::max(size_, offset + from.size());
}

void Contents::resize(uint64_t size) {
  if (size < size_) {
    const uint64_t old_size = size_;
    deallocate(size, std::min(old_size - size, kBlock - size % kBlock));
    blocks_.erase(blocks_.lower_bound((size + kBlock - 1) / kBlock), blocks_.end());
  }
  size_ = size;
}

void Contents::allocate(uint64_t offset, uint64_t length) {
  for_each_block(offset, length, [&](uint64_t number, uint64_t, uint64_t) { own_block(number); });
  size_ = std::max(size_, offset + length);
}

void Contents::deallocate(uint64_t offset, uint64_t length) {
  const uint64_t end = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
  const auto first = blocks_.lower_bound(offset / kBlock);
  std::vector<uint64_t> touched;
  for (auto at = first; at != blocks_.end() && at->first * kBlock < end; ++at) {
    touched.push_back(at->first);
  }
  for (const uint64_t number : touched) {
    const uint64_t begin = number * kBlock;
    const uint64_t from = std::max(begin, offset);
    const uint64_t to = std::min(begin + kBlock, end);
    // The last block of a file is whole where nothing of the file lies behind the range.
    if (from == begin && (to == begin + kBlock || to >= size_)) {
      blocks_.erase(number);
    } else {
      std::memset(own_block(number) + (from - begin), 0, to - from);
    }
  }
}

std::optional<uint64_t> Contents::seek(uint64_t offset, nfs::Content what) const {
  if (offset >= size_) return std::nullopt;
  if (what == nfs::Content::data) {
    const auto block = blocks_.lower_bound(offset / kBlock);
    if (block == blocks_.end() || block->first * kBlock >= size_) return std::nullopt;
    return std::max(offset, block->first * kBlock);
  }
  uint64_t at = offset;
  while (at < size_ && blocks_.contains(at / kBlock)) at = (at / kBlock + 1) * kBlock;
  return std::min(at, size_);
}

void Contents::copy(const Contents& from, uint64_t from_offset, uint64_t offset, uint64_t length) {
  std::vector<uint8_t> bytes(length);
  bytes.resize(from.read(from_offset, bytes));
  write(offset, bytes);
}

}  // namespace dpfs::responder
