// SPDX-License-Identifier: Apache-2.0
// For tests of tools: a small file system in a RocksDB database, whose records a test can damage.
//
//   /        inode 1
//   /dir     10, in it /dir/inner 11 and /dir/small 20
//   /small2  20 too: 5 bytes in one record, user.x, an access list
//   /large   21: 100,000 bytes in two chunks
//   /link    22 -> dir/small
//   /pipe    23
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/kv/check/fsck.h"
#include "backend/kv/format.h"
#include "backend/kv/found.h"
#include "backend/kv/page_map.h"
#include "backend/kv/posix_acl.h"
#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/store_contract.h"
#include "backend/kv/usage.h"

namespace dpfs::kv {

class NoProgress final : public Progress {
 public:
  void is_at(const char*, uint64_t, uint64_t) noexcept override {}
};

class SampleFileSystem : public testing::Test {
 protected:
  static constexpr uint64_t kDir = 10;
  static constexpr uint64_t kInner = 11;
  static constexpr uint64_t kSmall = 20;
  static constexpr uint64_t kLarge = 21;
  static constexpr uint64_t kLink = 22;
  static constexpr uint64_t kPipe = 23;
  static constexpr uint32_t kChunk = 64 * 1024;

  template <size_t kRoom, class Record>
  static std::string bytes(const Record& record) {
    std::array<char, kRoom> room;
    return std::string(encode(record, room));
  }
  static std::string of(const Inode& inode) { return bytes<kInodeBytes>(inode); }
  static std::string of(const Entry& entry) { return bytes<kEntryBytes>(entry); }
  static std::string of(const Listing& listing) { return bytes<kListingBytesMax>(listing); }
  static std::string of(const PageMap& map) { return bytes<PageMap::kBytes>(map); }

  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "dpfs-kv-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    open();
    ASSERT_EQ(client_->why<Unit>([&] { return format(client_->store(), {}); }), Errno::none);
    fill();
  }
  void TearDown() override {
    client_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::unique_ptr<Store> make_store(const std::string& partition = "main") {
    return make_rocksdb_store(
        reactor_.reactor, {.path = folder_ + "/database", .partition = partition, .create = true});
  }
  void open() {
    client_ = std::make_unique<ContractClient>(reactor_, make_store());
    ASSERT_EQ(client_->open(), Errno::none);
  }

  // ---- Records, as they are and as a test wants them
  void put(const Key& key, std::string_view value) {
    ASSERT_EQ(client_->write(kv::put(key, value)), Errno::none);
  }
  void erase(const Key& key) { ASSERT_EQ(client_->write(kv::erase(key)), Errno::none); }
  Inode inode(uint64_t ino) {
    Inode inode;
    const std::optional<std::string> value = client_->get(inode_key(ino));
    EXPECT_TRUE(value && decode(*value, inode)) << ino;
    return inode;
  }
  void change(uint64_t ino, const std::function<void(Inode&)>& how) {
    Inode changed = inode(ino);
    how(changed);
    put(inode_key(ino), of(changed));
  }
  void put_name(uint64_t directory, const std::string& name, const Entry& entry) {
    put(entry_key(directory, name), of(entry));
    put(listing_key(directory, entry.cookie), of(Listing{entry.ino, entry.type, name}));
  }
  static Key contents_key(uint64_t ino) {
    return {.collection = Collection::contents, .object = ino};
  }
  static Key pages_key(uint64_t ino, uint64_t group) {
    return {.collection = Collection::pages, .object = ino, .number = group};
  }
  static Key xattr_key(uint64_t ino, std::string_view name) {
    return {.collection = Collection::xattr, .object = ino, .name = name};
  }
  static Key orphan_key(uint64_t ino) { return {.collection = Collection::orphan, .number = ino}; }
  static Key garbage_key(uint64_t ino) {
    return {.collection = Collection::garbage, .number = ino};
  }
  static Inode file(uint64_t size) {
    Inode inode{.mode = S_IFREG | 0644, .nlink = 1, .flags = inode_flag::kInline, .size = size};
    if (size > 0) inode.stored = kPageBytes;
    return inode;
  }
  static Inode directory(uint64_t parent) {
    Inode inode{.mode = S_IFDIR | 0755, .nlink = 2};
    inode.parent = parent;
    inode.next_cookie = kFirstCookie;
    return inode;
  }

  // ---- Checking

  // Words of what is found, each once, sorted.
  std::vector<std::string> check() { return fsck(false); }
  // The same after mending.
  std::vector<std::string> mend() { return fsck(true); }

  std::vector<std::string> fsck(bool repairs) {
    client_.reset();
    std::vector<std::string> words;
    ContractClient runner(reactor_, make_store("other"));  // only to wait by
    const Errno why = runner.why<Unit>([&] { return run(repairs, words); });
    EXPECT_EQ(why, Errno::none);
    open();
    return words;
  }

  RunningReactor reactor_;
  std::string folder_;
  std::unique_ptr<ContractClient> client_;
  std::vector<Fsck::Item> items_;  // of the last check

 private:
  Op<Unit> run(bool repairs, std::vector<std::string>& words) {
    OwnedStore owned(reactor_.reactor, make_store(), {});
    NoProgress progress;
    Fsck fsck(owned, progress, {.repairs = repairs});
    Result<Unit> ok = co_await owned.open();
    if (ok) ok = co_await fsck.run();
    if (ok) {
      for (const Finding& finding : fsck.left().kept()) words.emplace_back(word_of(finding.kind));
      items_ = fsck.items();
    }
    std::ranges::sort(words);
    const auto again = std::ranges::unique(words);
    words.erase(again.begin(), again.end());
    const Result<Unit> closed = co_await owned.close();
    co_return ok ? closed : ok;
  }

  void fill() {
    Inode root = inode(kRootIno);
    root.nlink = 3;
    root.entries = 5;
    root.next_cookie = 8;
    put(inode_key(kRootIno), of(root));
    put_name(kRootIno, "dir", {.ino = kDir, .cookie = 3, .type = DT_DIR});
    put_name(kRootIno, "small2", {.ino = kSmall, .cookie = 4, .type = DT_REG});
    put_name(kRootIno, "large", {.ino = kLarge, .cookie = 5, .type = DT_REG});
    put_name(kRootIno, "link", {.ino = kLink, .cookie = 6, .type = DT_LNK});
    put_name(kRootIno, "pipe", {.ino = kPipe, .cookie = 7, .type = DT_FIFO});
    Inode dir = directory(kRootIno);
    dir.nlink = 3;
    dir.entries = 2;
    dir.next_cookie = 5;
    put(inode_key(kDir), of(dir));
    put_name(kDir, "inner", {.ino = kInner, .cookie = 3, .type = DT_DIR});
    put_name(kDir, "small", {.ino = kSmall, .cookie = 4, .type = DT_REG});
    put(inode_key(kInner), of(directory(kDir)));
    fill_files();
    put({.collection = Collection::allocator}, number_text(1026));
    put(kv::usage_key(UsageCounter::inodes), number_text(7));
    put(kv::usage_key(UsageCounter::bytes), number_text(26 * 4096));
  }
  void fill_files() {
    Inode small = file(5);
    small.nlink = 2;
    small.flags |= inode_flag::kXattrs | inode_flag::kAccessAcl;
    put(inode_key(kSmall), of(small));
    put(contents_key(kSmall), "hello");
    put(xattr_key(kSmall, "user.x"), "y");
    put(xattr_key(kSmall, kAccessAclName), access_list());
    Inode large = file(100'000);
    large.flags = 0;
    large.stored = 25 * kPageBytes;
    put(inode_key(kLarge), of(large));
    put(chunk_key(kLarge, 0), std::string(kChunk, 'a'));
    put(chunk_key(kLarge, 1), std::string(100'000 - kChunk, 'b'));
    PageMap map;
    map.set(0, 25);
    put(pages_key(kLarge, 0), of(map));
    Inode link = file(9);
    link.mode = S_IFLNK | 0777;
    link.stored = 0;
    put(inode_key(kLink), of(link));
    put(contents_key(kLink), "dir/small");
    Inode pipe = file(0);
    pipe.mode = S_IFIFO | 0644;
    put(inode_key(kPipe), of(pipe));
  }
  // user::rw-,user:5:r--,group::r--,mask::r--,other::r--
  static std::string access_list() {
    constexpr std::string_view kValue(
        "\x02\0\0\0"
        "\x01\0\x06\0\xff\xff\xff\xff"
        "\x02\0\x04\0\x05\0\0\0"
        "\x04\0\x04\0\xff\xff\xff\xff"
        "\x10\0\x04\0\xff\xff\xff\xff"
        "\x20\0\x04\0\xff\xff\xff\xff",
        44);
    return std::string(kValue);
  }
};

}  // namespace dpfs::kv
