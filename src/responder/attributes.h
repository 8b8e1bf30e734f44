// SPDX-License-Identifier: Apache-2.0
// fattr4: attributes of a node as XDR, and those that a client sets.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"
#include "responder/tree.h"

namespace dpfs::responder {

// bitmap4 with the words that the attributes here need.
class Bitmap {
 public:
  bool has(uint32_t number) const noexcept {
    return number / 32 < words_.size() && (words_[number / 32] >> (number % 32) & 1) != 0;
  }
  void add(uint32_t number) noexcept { words_[number / 32] |= 1u << (number % 32); }
  Bitmap operator&(const Bitmap& other) const noexcept;
  // Words behind ours are skipped; more than anybody needs fail.
  static Bitmap take(nfs::XdrReader& from) noexcept;
  void put(nfs::XdrWriter& to) const noexcept;

 private:
  std::array<uint32_t, 3> words_{};
};

// What is the same for all nodes.
struct FileSystemAttributes {
  nfs::FsId fsid{.major = 0x6470, .minor = 1};
  uint32_t lease_s = 0;
  uint64_t read_bytes_max = 0;
  uint64_t write_bytes_max = 0;
  uint64_t space_bytes = 0;
  uint64_t space_used_bytes = 0;
  bool xattrs = true;
};

// Those of `wanted` that are known.
void put_attributes(nfs::XdrWriter& to, const Bitmap& wanted, const Node& node,
                    const nfs::FileHandle& handle, const FileSystemAttributes& file_system);

struct SetAttributes {
  struct Time {
    bool is_now = false;
    timespec time{};
  };
  Bitmap named;
  std::optional<uint64_t> size;
  std::optional<uint32_t> mode;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<Time> accessed;
  std::optional<Time> modified;
};

// fattr4. Not ok: ATTRNOTSUPP for what is unknown, INVAL for what is read-only, BADOWNER for an
// owner that is not a number, BADXDR.
nfs::Status take_attributes(nfs::XdrReader& from, SetAttributes& to);
// All but the size, which is the contents' affair.
void apply(const SetAttributes& set, Node& node);

}  // namespace dpfs::responder
