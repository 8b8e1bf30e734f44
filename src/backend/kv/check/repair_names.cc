// SPDX-License-Identifier: Apache-2.0
// Mending names, and /lost+found.
#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "backend/kv/check/repair.h"
#include "backend/kv/clock.h"

namespace dpfs::kv {
namespace {

Key entry_key(uint64_t directory, std::string_view name) noexcept {
  return {.collection = Collection::entry, .object = directory, .name = name};
}
Key listing_key(uint64_t directory, uint64_t cookie) noexcept {
  return {.collection = Collection::listing, .object = directory, .number = cookie};
}

// What a name needs to be written down.
class NameWrites {
 public:
  std::array<Write, 2> put(uint64_t directory, std::string_view name, const Entry& entry) {
    return {Write{.kind = Write::Kind::put,
                  .key = entry_key(directory, name),
                  .value = encode(entry, entry_)},
            Write{.kind = Write::Kind::put,
                  .key = listing_key(directory, entry.cookie),
                  .value = encode(Listing{entry.ino, entry.type, name}, listing_)}};
  }

 private:
  std::array<char, kEntryBytes> entry_;
  std::array<char, kListingBytesMax> listing_;
};

bool lists(std::string_view listing_bytes, std::string_view name) {
  Listing listing;
  return decode(listing_bytes, listing) && listing.name == name;
}

}  // namespace

// With its listing, where that is its own.
Op<Unit> Repair::remove_name(uint64_t directory, std::string_view name) {
  Entry entry;
  const Result<Unit> there = co_await read(directory, name, entry);
  if (!there) co_return there;
  std::string listing;
  const Result<Unit> listed = co_await read(listing_key(directory, entry.cookie), listing);
  if (!listed && listed.error() != Errno::noent) co_return listed;
  std::array writes{Write{.kind = Write::Kind::erase, .key = entry_key(directory, name)},
                    Write{.kind = Write::Kind::erase, .key = listing_key(directory, entry.cookie)}};
  const size_t count = listed && lists(listing, name) ? 2 : 1;
  const Result<Unit> done = co_await owned_.commit({writes.data(), count});
  co_return done;
}

// Unless its inode has been made again meanwhile.
Op<Unit> Repair::remove_name_of(uint64_t nothing, uint64_t directory, std::string_view name) {
  Inode inode;
  const Result<Unit> there = co_await read(nothing, inode);
  if (there || there.error() != Errno::noent) co_return there;
  const Result<Unit> done = co_await remove_name(directory, name);
  co_return done;
}

// READDIR is to give the name: at its cookie, or at a new one where that is another name's.
Op<Unit> Repair::list(uint64_t directory, std::string_view name) {
  Entry entry;
  Result<Unit> ok = co_await read(directory, name, entry);
  if (!ok) co_return ok;
  std::string bytes;
  const Result<Unit> listed = co_await read(listing_key(directory, entry.cookie), bytes);
  if (!listed && listed.error() != Errno::noent) co_return listed;
  Listing other;
  bool is_taken = listed && decode(bytes, other) && other.name != name;
  if (is_taken) {
    Entry its;
    const Result<Unit> there = co_await read(directory, other.name, its);
    is_taken = there && its.cookie == entry.cookie;
  }
  NameWrites room;
  if (!is_taken) {
    const std::array writes = room.put(directory, name, entry);
    ok = co_await owned_.commit(writes);
    co_return ok;
  }
  Inode inode;
  ok = co_await read(directory, inode);
  if (!ok) co_return ok;
  for (const SurveyedName& known : survey_.entries_of(directory)) {
    inode.next_cookie = std::max(inode.next_cookie, known.cookie() + 1);
  }
  entry.cookie = inode.next_cookie++;
  const std::array name_writes = room.put(directory, name, entry);
  std::array<char, kInodeBytes> inode_room;
  const std::array writes{name_writes[0], name_writes[1],
                          Write{.kind = Write::Kind::put,
                                .key = {.collection = Collection::inode, .object = directory},
                                .value = encode(inode, inode_room)}};
  ok = co_await owned_.commit(writes);
  co_return ok;
}

// A listing whose name is gone: the name comes back, if something is behind it.
Op<Unit> Repair::restore(const Finding& listing) {
  const Key key = listing_key(listing.ino, listing.number);
  Entry entry;
  const Result<Unit> there = co_await read(listing.ino, listing.name, entry);
  if (there && entry.cookie == listing.number) co_return Unit{};
  Inode inode;
  const Result<Unit> behind = co_await read(listing.found, inode);
  const bool is_lost = behind && listing.found != kRootIno && inode.nlink > 0;
  if (there || !is_lost) {
    const Result<Unit> erased = co_await erase(key);
    co_return erased;
  }
  entry = {.ino = listing.found,
           .cookie = listing.number,
           .type = static_cast<uint8_t>(IFTODT(inode.mode))};
  NameWrites room;
  const std::array writes = room.put(listing.ino, listing.name, entry);
  const Result<Unit> done = co_await owned_.commit(writes);
  co_return done;
}

Op<Unit> Repair::set_type(uint64_t directory, std::string_view name, uint8_t type) {
  Entry entry;
  const Result<Unit> there = co_await read(directory, name, entry);
  if (!there) co_return there;
  entry.type = type;
  NameWrites room;
  const std::array writes = room.put(directory, name, entry);
  const Result<Unit> done = co_await owned_.commit(writes);
  co_return done;
}

namespace {

struct NamesOf final : ScanReader {
  explicit NamesOf(uint64_t of) noexcept : ino(of) {}
  bool found(const Key& key, std::string_view value) noexcept override {
    Entry entry;
    if (decode(value, entry) && entry.ino == ino) names.emplace_back(key.name);
    return true;
  }
  const uint64_t ino;
  std::vector<std::string> names;
};

}  // namespace

// The next check finds that it cannot be reached.
Op<Unit> Repair::break_circle(uint64_t ino, uint64_t directory) {
  NamesOf found(ino);
  const Scan scan{.collection = Collection::entry, .object = directory};
  const Result<bool> scanned = co_await owned_.store().scan(scan, found);
  if (!scanned) co_return scanned.error();
  for (const std::string& name : found.names) {
    const Result<Unit> removed = co_await remove_name(directory, name);
    if (!removed) co_return removed;
  }
  co_return Unit{};
}

// ---- /lost+found --------------------------------------------------------------------------------

Op<uint64_t> Repair::new_ino() {
  const uint64_t ino = std::max({next_ino_, survey_.next_ino(), survey_.highest_ino() + 1});
  next_ino_ = ino + 1;
  const Result<Unit> noted = co_await put_number({.collection = Collection::allocator}, next_ino_);
  if (!noted) co_return noted.error();
  co_return ino;
}

Op<uint64_t> Repair::lost_and_found() {
  if (lost_and_found_ != 0) co_return lost_and_found_;
  Inode root;
  const Result<Unit> ok = co_await read(kRootIno, root);
  if (!ok) co_return ok.error();
  // Somebody may have a file of that name.
  std::string name = "lost+found";
  for (uint32_t i = 1;; ++i) {
    Entry entry;
    const Result<Unit> there = co_await read(kRootIno, name, entry);
    if (!there && there.error() != Errno::noent) co_return there.error();
    if (!there) break;
    Inode inode;
    const Result<Unit> behind = co_await read(entry.ino, inode);
    if (behind && S_ISDIR(inode.mode)) {
      lost_and_found_ = entry.ino;
      co_return entry.ino;
    }
    name = fmt::format("lost+found.{}", i);
  }
  const Result<uint64_t> ino = co_await new_ino();
  if (!ino) co_return ino.error();
  Inode made{.mode = S_IFDIR | 0700, .nlink = 2};
  made.atime = made.mtime = made.ctime = made.btime = now();
  made.parent = kRootIno;
  made.next_cookie = kFirstCookie;
  const Entry entry{.ino = *ino, .cookie = root.next_cookie++, .type = DT_DIR};
  ++root.entries;
  ++root.nlink;
  NameWrites room;
  const std::array name_writes = room.put(kRootIno, name, entry);
  std::array<char, kInodeBytes> root_room;
  std::array<char, kInodeBytes> made_room;
  const std::array writes{name_writes[0], name_writes[1],
                          Write{.kind = Write::Kind::put,
                                .key = {.collection = Collection::inode, .object = kRootIno},
                                .value = encode(root, root_room)},
                          Write{.kind = Write::Kind::put,
                                .key = {.collection = Collection::inode, .object = *ino},
                                .value = encode(made, made_room)}};
  const Result<Unit> done = co_await owned_.commit(writes);
  if (!done) co_return done.error();
  lost_and_found_ = *ino;
  co_return *ino;
}

Op<Unit> Repair::attach(uint64_t ino) {
  const Result<uint64_t> place = co_await lost_and_found();
  if (!place) co_return place.error();
  Inode inode;
  Inode directory;
  Result<Unit> ok = co_await read(ino, inode);
  if (ok) ok = co_await read(*place, directory);
  if (!ok) co_return ok;
  const bool is_directory = S_ISDIR(inode.mode);
  const std::string name = fmt::format("#{}", ino);
  const Entry entry{.ino = ino,
                    .cookie = directory.next_cookie++,
                    .type = static_cast<uint8_t>(IFTODT(inode.mode))};
  ++directory.entries;
  if (is_directory) {
    ++directory.nlink;
    inode.parent = *place;
    inode.nlink = std::max(inode.nlink, 2u);
  } else {
    inode.nlink = 1;
  }
  NameWrites room;
  const std::array name_writes = room.put(*place, name, entry);
  std::array<char, kInodeBytes> inode_room;
  std::array<char, kInodeBytes> directory_room;
  const std::array writes{name_writes[0], name_writes[1],
                          Write{.kind = Write::Kind::put,
                                .key = {.collection = Collection::inode, .object = ino},
                                .value = encode(inode, inode_room)},
                          Write{.kind = Write::Kind::put,
                                .key = {.collection = Collection::inode, .object = *place},
                                .value = encode(directory, directory_room)}};
  ok = co_await owned_.commit(writes);
  co_return ok;
}

}  // namespace dpfs::kv
