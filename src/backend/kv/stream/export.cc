// SPDX-License-Identifier: Apache-2.0
// Collection by collection.
#include "backend/kv/stream/export.h"

#include <array>

namespace dpfs::kv {
namespace {

constexpr std::array kAll{
#define DPFS_KV_COLLECTION(name, shape, letter) Collection::name,
#include "backend/kv/collections.def"
};

class IntoBlock final : public ScanReader {
 public:
  explicit IntoBlock(BlockWriter& blocks) noexcept : blocks_(blocks) {}
  bool found(const Key& key, std::string_view value) noexcept override {
    ok = ok && blocks_.add(key, value);
    if (blocks_.is_full()) full += blocks_.finish();
    return ok;
  }
  bool ok = true;
  std::string full;  // blocks to be written

 private:
  BlockWriter& blocks_;
};

}  // namespace

Op<Unit> Export::run() {
  std::array<char, kStreamHeaderBytes> room;
  Result<Unit> ok = co_await write(encode(StreamHeader{.format = kFormat}, room));
  if (!ok) co_return ok;
  for (const Collection collection : kAll) {
    if (collection == Collection::session) continue;
    ok = co_await sweep(collection);
    if (!ok) co_return ok;
  }
  if (blocks_.records() > 0) {
    ok = co_await write(blocks_.finish());
    if (!ok) co_return ok;
  }
  ok = co_await write(blocks_.end());
  co_return ok;
}

Op<Unit> Export::sweep(Collection collection) {
  IntoBlock reader(blocks_);
  Sweep sweep{.collection = collection};
  do {
    Result<Unit> ok = co_await owned_.store().sweep(sweep, reader);
    if (!ok) co_return ok;
    if (!reader.ok) co_return Errno::io;
    if (reader.full.empty()) continue;
    ok = co_await write(reader.full);
    if (!ok) co_return ok;
    reader.full.clear();
  } while (sweep.cursor != 0);
  co_return Unit{};
}

Op<Unit> Export::write(std::string_view bytes) {
  const Errno why = owned_.reactor().blocking([&] { return sink_.write(bytes); });
  if (why != Errno::none) co_return why;
  bytes_ += bytes.size();
  progress_.is_at("bytes written", bytes_, 0);
  co_return Unit{};
}

}  // namespace dpfs::kv
