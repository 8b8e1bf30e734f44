// SPDX-License-Identifier: Apache-2.0
// The bytes of a file in memory: sparse, and cheap to copy (blocks are shared until written).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"

namespace dpfs::responder {

class Contents {
 public:
  static constexpr uint64_t kBlockBytes = 4096;

  uint64_t size() const noexcept { return size_; }
  // How many bytes came: fewer than asked for at the end only.
  size_t read(uint64_t offset, std::span<uint8_t> into) const;
  void write(uint64_t offset, nfs::Bytes from);
  void resize(uint64_t size);
  // The range has memory afterwards, and lies within the file.
  void allocate(uint64_t offset, uint64_t length);
  // The range reads as zero afterwards; whole blocks of it become a hole. The size stays.
  void deallocate(uint64_t offset, uint64_t length);
  // Where the next data or the next hole begins, from `offset` on. There is a hole at the end of
  // every file; nothing where there is no such data, or the offset is behind the end.
  std::optional<uint64_t> seek(uint64_t offset, nfs::Content what) const;
  // What `from` has there. Both may be the same.
  void copy(const Contents& from, uint64_t from_offset, uint64_t offset, uint64_t length);
  uint64_t allocated_bytes() const noexcept { return blocks_.size() * kBlockBytes; }

 private:
  using Block = std::array<uint8_t, kBlockBytes>;
  uint8_t* own_block(uint64_t number);

  // Shared between copies of the contents; whoever writes takes a copy of the block first.
  std::map<uint64_t, std::shared_ptr<Block>> blocks_;
  uint64_t size_ = 0;
};

}  // namespace dpfs::responder
