// SPDX-License-Identifier: Apache-2.0
// READ and LSEEK of regular files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "backend/kv/access_time.h"
#include "backend/kv/kv_fs.h"

namespace dpfs {

using kv::Collection;
using kv::NodeRef;
using kv::PageMap;

namespace {

// A part of a file's contents, as far as there is any: the rest is zeros.
class ContentsInto final : public kv::ValueReader {
 public:
  ContentsInto() = default;
  void begin(IoView into) noexcept { into_ = into; }
  void found(std::string_view value) noexcept override {
    into_.copy_in(value.data(), value.size());
  }
  void fill_rest() noexcept { into_.fill(0, into_.size()); }

 private:
  IoView into_;
};

// One READ touches so many chunks at most.
constexpr size_t kChunksMax = 24;

}  // namespace

Op<uint32_t> KvFs::read(Request&, const ReadArgs& args) {
  NodeRef* open = files_.find(args.handle, args.node);
  if (open == nullptr) return Errno::badf;
  const Node& node = **open;
  if (node.is_there() && volume_->is_sure()) {
    if (args.offset >= node.inode.size || args.into.empty()) return 0u;
  }
  return read_file(node_of(args.node), args);
}

Op<uint32_t> KvFs::read_file(NodeRef node, ReadArgs args) {
  if (!node) co_return Errno::nomem;
  Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok.error();
  if (S_ISDIR(node->inode.mode)) co_return Errno::isdir;
  if (!S_ISREG(node->inode.mode)) co_return Errno::inval;
  // A file that becomes too large for one record while it is read is read again.
  constexpr int kTries = 4;
  for (int i = 0; i < kTries; ++i) {
    if (args.offset >= node->inode.size) co_return 0u;
    const auto bytes =
        static_cast<uint32_t>(std::min<uint64_t>(args.into.size(), node->inode.size - args.offset));
    const bool in_line = (node->inode.flags & kv::inode_flag::kInline) != 0;
    Result<bool> found = false;
    if (in_line) {
      found = co_await read_inline(*node, args.offset, args.into.first(bytes));
    } else {
      found = co_await read_chunks(*node, args.offset, args.into.first(bytes));
    }
    if (!found) co_return found.error();
    const bool is_inline = (node->inode.flags & kv::inode_flag::kInline) != 0;
    if (!*found && in_line != is_inline) continue;
    if ((args.flags & O_NOATIME) == 0) kv::note_access(*node);
    co_return bytes;
  }
  co_return Errno::io;
}

// False: there was nothing at all, and zeros are the answer.
Op<bool> KvFs::read_inline(Node& node, uint64_t offset, IoView into) {
  ContentsInto reader;
  reader.begin(into);
  if (offset >= kv::kInlineBytes) {
    reader.fill_rest();
    co_return true;
  }
  if (const std::string_view* known = volume_->known_contents(node)) {
    if (offset < known->size()) reader.found(known->substr(offset));
    reader.fill_rest();
    co_return true;
  }
  kv::Get get{.key = {.collection = Collection::contents, .object = node.ino},
              .reader = &reader,
              .offset = static_cast<uint32_t>(offset),
              .bytes = static_cast<uint32_t>(into.size())};
  const Result<Unit> got = co_await volume_->store().get({&get, 1});
  if (!got) co_return got.error();
  reader.fill_rest();
  co_return get.found;
}

Op<bool> KvFs::read_chunks(Node& node, uint64_t offset, IoView into) {
  const uint32_t chunk_bytes = volume_->chunk_bytes();
  std::array<ContentsInto, kChunksMax> readers;
  std::array<kv::Get, kChunksMax> gets;
  bool found = false;
  while (!into.empty()) {
    size_t count = 0;
    for (; count < kChunksMax && !into.empty(); ++count) {
      const auto within = static_cast<uint32_t>(offset % chunk_bytes);
      const auto bytes =
          static_cast<uint32_t>(std::min<uint64_t>(into.size(), chunk_bytes - within));
      readers[count].begin(into.first(bytes));
      gets[count] = {.key = {.collection = Collection::chunk,
                             .object = node.ino,
                             .number = offset / chunk_bytes},
                     .reader = &readers[count],
                     .offset = within,
                     .bytes = bytes};
      into.skip(bytes);
      offset += bytes;
    }
    const Result<Unit> got = co_await volume_->store().get({gets.data(), count});
    if (!got) co_return got.error();
    for (size_t i = 0; i < count; ++i) {
      readers[i].fill_rest();
      found = found || gets[i].found;
    }
  }
  co_return found;
}

namespace {

// Looks for the next page that is stored, or is not, in the records of a file's pages, which come
// in order and only where there is a page.
class PageSearch final : public kv::ScanReader {
 public:
  PageSearch(uint64_t from, bool stored) noexcept : page_(from), stored_(stored) {}
  bool found(const kv::Key& key, std::string_view value) noexcept override {
    PageMap map;
    damaged = !decode(value, map);
    if (damaged) return false;
    const uint64_t begin = key.number * PageMap::kPages;
    if (page_ < begin) {
      if (!stored_) return end();  // nothing is stored in between
      page_ = begin;
    }
    const auto within = static_cast<uint32_t>(page_ - begin);
    const uint32_t next = stored_ ? map.next_set(within) : map.next_clear(within);
    page_ = begin + next;
    return next < PageMap::kPages ? end() : true;
  }
  // Where none was found: behind the last record, nothing is stored.
  bool is_found() const noexcept { return done_ || !stored_; }
  uint64_t page() const noexcept { return page_; }
  bool damaged = false;

 private:
  bool end() noexcept {
    done_ = true;
    return false;
  }
  uint64_t page_;
  const bool stored_;
  bool done_ = false;
};

}  // namespace

Op<fuse::LseekOut> KvFs::lseek(Request&, const LseekArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  if (args.whence != SEEK_DATA && args.whence != SEEK_HOLE) return Errno::inval;
  return seek(args);
}

Op<fuse::LseekOut> KvFs::seek(LseekArgs args) {
  const NodeRef node = node_of(args.node);
  if (!node) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok.error();
  const uint64_t size = node->inode.size;
  if (args.offset >= size) co_return Errno::nxio;
  const bool wants_data = args.whence == SEEK_DATA;
  uint64_t at = size;
  if ((node->inode.flags & kv::inode_flag::kInline) != 0) {
    // One page at most, and all behind it is a hole.
    const uint64_t data_end = node->inode.stored > 0 ? kv::kPageBytes : 0;
    if (wants_data) {
      at = args.offset < data_end ? args.offset : size;
    } else {
      at = std::max(args.offset, data_end);
    }
  } else {
    const uint64_t from = args.offset / kv::kPageBytes;
    PageSearch search(from, wants_data);
    const kv::Scan scan{.collection = Collection::pages,
                        .object = node->ino,
                        .from_number = from / PageMap::kPages};
    const Result<bool> scanned = co_await volume_->store().scan(scan, search);
    if (!scanned) co_return scanned.error();
    if (search.damaged) co_return Errno::io;
    if (search.is_found()) at = std::max(args.offset, search.page() * kv::kPageBytes);
  }
  if (wants_data && at >= size) co_return Errno::nxio;
  co_return fuse::LseekOut{.offset = std::min(at, size)};
}

}  // namespace dpfs
