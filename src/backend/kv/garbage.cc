// SPDX-License-Identifier: Apache-2.0
// Taking away pages and extended attributes in steps.
#include "backend/kv/garbage.h"

#include <algorithm>
#include <array>

#include "backend/kv/found.h"
#include "backend/kv/locked.h"
#include "backend/kv/volume.h"
#include "base/log.h"

namespace dpfs::kv {
namespace {

// The first record of a file's pages.
class FoundPages final : public ScanReader {
 public:
  bool found(const Key& key, std::string_view value) noexcept override {
    there = true;
    group = key.number;
    ok = decode(value, map);
    return false;
  }
  bool there = false;
  bool ok = true;
  uint64_t group = 0;
  PageMap map;
};

struct FoundGarbage final : ScanReader {
  bool found(const Key& key, std::string_view) noexcept override {
    inos[count++] = key.number;
    return count < inos.size();
  }
  std::array<uint64_t, 16> inos{};
  size_t count = 0;
};

// Names of one object.
class FoundName final : public ScanReader {
 public:
  bool found(const Key& key, std::string_view) noexcept override {
    size = key.name.copy(name.data(), name.size());
    return false;
  }
  std::array<char, kNameBytesMax> name{};
  size_t size = 0;
};

}  // namespace

Op<Unit> drop_pages(Volume& volume, PageDrop& drop, Change& change) {
  FoundPages found;
  const Scan scan{.collection = Collection::pages,
                  .object = drop.ino,
                  .from_number = drop.from_page / PageMap::kPages,
                  .records_max = 1};
  const Result<bool> scanned = co_await volume.store().scan(scan, found);
  if (!scanned) co_return scanned.error();
  drop.dropped = 0;
  drop.last = !found.there;
  if (!found.there) co_return Unit{};
  if (!found.ok) co_return Errno::io;
  const uint64_t group_begin = found.group * PageMap::kPages;
  const uint32_t first =
      drop.from_page > group_begin ? static_cast<uint32_t>(drop.from_page - group_begin) : 0;
  // Chunks that lie wholly behind it.
  const uint32_t chunk_pages = volume.chunk_bytes() / kPageBytes;
  for (uint32_t page = (first + chunk_pages - 1) / chunk_pages * chunk_pages;
       page < PageMap::kPages; page += chunk_pages) {
    if (!found.map.any(page, page + chunk_pages)) continue;
    change.write({.kind = Write::Kind::erase,
                  .key = {.collection = Collection::chunk,
                          .object = drop.ino,
                          .number = (group_begin + page) / chunk_pages}});
  }
  drop.dropped = found.map.clear(first, PageMap::kPages);
  const Key key{.collection = Collection::pages, .object = drop.ino, .number = found.group};
  if (found.map.none()) {
    change.write({.kind = Write::Kind::erase, .key = key});
  } else if (drop.dropped > 0) {
    std::array<char, PageMap::kBytes> room;
    change.write(
        {.kind = Write::Kind::put, .key = key, .value = change.keep(encode(found.map, room))});
  }
  drop.from_page = group_begin + PageMap::kPages;
  drop.last = drop.from_page >= drop.end_page;
  co_return Unit{};
}

void GarbageCollector::begin() noexcept {
  ending_ = false;
  collect();
}

void GarbageCollector::collect() noexcept {
  again_ = true;
  if (!working_ && !ending_) work();
}

Detached GarbageCollector::work() noexcept {
  working_ = true;
  // Held from the beginning on: end() waits for it.
  co_await busy_.lock();
  const Locked locked(busy_, volume_.reactor());
  co_await NextTurn(volume_.reactor());  // who collects does not wait
  while (again_ && !ending_) {
    again_ = false;
    const Result<Unit> done = co_await collect_all();
    if (!done) {
      log::warn("what removed files took up is not given back yet: {}", describe(done.error()));
      break;
    }
  }
  working_ = false;
}

Op<Unit> GarbageCollector::end() {
  ending_ = true;
  co_await busy_.lock();
  busy_.unlock(volume_.reactor());
  co_return Unit{};
}

Op<Unit> GarbageCollector::collect_all() {
  Scan scan{.collection = Collection::garbage};
  while (!ending_) {
    FoundGarbage found;
    scan.records_max = static_cast<uint32_t>(found.inos.size());
    const Result<bool> scanned = co_await volume_.store().scan(scan, found);
    if (!scanned) co_return scanned.error();
    for (size_t i = 0; i < found.count; ++i) {
      const Result<Unit> done = co_await collect_one(found.inos[i]);
      if (!done) co_return done;
    }
    if (*scanned || found.count == 0) break;
    scan.from_number = found.inos[found.count - 1] + 1;
  }
  co_return Unit{};
}

Op<Unit> GarbageCollector::collect_one(uint64_t ino) {
  const Spares<Change>::Lease change = volume_.new_change();
  if (!change) co_return Errno::nomem;
  PageDrop drop{.ino = ino};
  while (!drop.last) {
    if (ending_) co_return Unit{};
    (*change).clear();
    const Result<Unit> planned = co_await drop_pages(volume_, drop, *change);
    if (!planned) co_return planned;
    if ((*change).writes().empty()) continue;
    (*change).bytes = -static_cast<int64_t>(drop.dropped * kPageBytes);
    const Result<Unit> done = co_await volume_.commit(*change);
    if (!done) co_return done;
    co_await NextTurn(volume_.reactor());
  }
  const Result<Unit> dropped = co_await drop_xattrs(ino);
  if (!dropped || ending_) co_return dropped;
  (*change).clear();
  (*change).write(
      {.kind = Write::Kind::erase, .key = {.collection = Collection::garbage, .number = ino}});
  const Result<Unit> done = co_await volume_.commit(*change);
  co_return done;
}

Op<Unit> GarbageCollector::drop_xattrs(uint64_t ino) {
  const Spares<Change>::Lease change = volume_.new_change();
  if (!change) co_return Errno::nomem;
  while (!ending_) {
    FoundName found;
    const Scan scan{.collection = Collection::xattr, .object = ino, .records_max = 1};
    const Result<bool> scanned = co_await volume_.store().scan(scan, found);
    if (!scanned) co_return scanned.error();
    if (found.size == 0) break;
    (*change).clear();
    (*change).write({.kind = Write::Kind::erase,
                     .key = {.collection = Collection::xattr,
                             .object = ino,
                             .name = {found.name.data(), found.size}}});
    const Result<Unit> done = co_await volume_.commit(*change);
    if (!done) co_return done;
  }
  co_return Unit{};
}

}  // namespace dpfs::kv
