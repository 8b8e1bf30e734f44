// SPDX-License-Identifier: Apache-2.0
// The first records of a file system, in one commit.
#include "backend/kv/format.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <array>

#include "backend/kv/clock.h"
#include "backend/kv/records.h"
#include "backend/kv/usage.h"

namespace dpfs::kv {
namespace {

// RFC 9562, section 5.4: 122 random bits.
std::array<char, 16> random_uuid() noexcept {
  std::array<char, 16> uuid{};
  [[maybe_unused]] const ssize_t got = getrandom(uuid.data(), uuid.size(), 0);
  uuid[6] = static_cast<char>((uuid[6] & 0x0f) | 0x40);
  uuid[8] = static_cast<char>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

}  // namespace

Op<Unit> format(Store& store, FormatOptions options) {
  const Time made = now();
  const Superblock superblock{.uuid = random_uuid(),
                              .made = made,
                              .chunk_bytes = store.traits().chunk_bytes,
                              .bytes_max = options.bytes_max,
                              .inodes_max = options.inodes_max};
  Inode root{
      .mode = S_IFDIR | (options.mode & 07777), .uid = options.uid, .gid = options.gid, .nlink = 2};
  root.atime = root.mtime = root.ctime = root.btime = made;
  root.parent = kRootIno;
  root.next_cookie = kFirstCookie;
  std::array<char, kSuperblockBytes> superblock_room;
  std::array<char, kInodeBytes> root_room;
  std::array<char, 8> number_room;
  const std::array compares{Compare{.key = {.collection = Collection::superblock}}};
  const std::array writes{
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::superblock},
            .value = encode(superblock, superblock_room)},
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::inode, .object = kRootIno},
            .value = encode(root, root_room)},
      Write{.kind = Write::Kind::put,
            .key = {.collection = Collection::allocator},
            .value = encode_number(kFirstFreeIno, number_room)},
      Write{.kind = Write::Kind::add, .key = usage_key(UsageCounter::inodes), .number = 1}};
  Result<Unit> done = co_await store.commit(compares, writes);
  if (!done && done.error() == kCompareFailed) co_return Errno::exist;
  if (done) done = co_await store.sync();
  co_return done;
}

}  // namespace dpfs::kv
