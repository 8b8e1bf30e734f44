// SPDX-License-Identifier: Apache-2.0
// Who may have a database, what is none, and what a full disk does.
#include "backend/kv/rocksdb/rocksdb_store.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "backend/kv/rocksdb/operand.h"
#include "backend/kv/store_contract.h"
#include "base/sanitized.h"

namespace dpfs::kv {
namespace {

using Kind = RocksdbFolder::Kind;

class RocksdbStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "dpfs-kv-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ + "/database";
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::unique_ptr<ContractClient> make(const std::string& partition, bool create = true) {
    return std::make_unique<ContractClient>(
        reactor_, make_rocksdb_store(reactor_.reactor,
                                     {.path = path_, .partition = partition, .create = create}));
  }

  std::string folder_;
  std::string path_;
  RunningReactor reactor_;
};

TEST_F(RocksdbStoreTest, ADatabaseIsNotCreatedUnlessToldSo) {
  EXPECT_EQ(make("main", false)->open(), Errno::noent);
  EXPECT_EQ(make("main")->open(), Errno::none);
  EXPECT_EQ(make("main", false)->open(), Errno::none);
}

TEST_F(RocksdbStoreTest, AFolderOfOtherThingsIsLeftAlone) {
  std::filesystem::create_directory(path_);
  std::ofstream(path_ + "/letter.txt") << "Dear";
  EXPECT_EQ(make("main")->open(), Errno::inval);
  EXPECT_EQ(inspect_rocksdb(path_).kind, Kind::other);
}

TEST_F(RocksdbStoreTest, APartitionIsOneStoresInAProcess) {
  auto first = make("main");
  ASSERT_EQ(first->open(), Errno::none);
  EXPECT_EQ(make("main")->open(), Errno::busy);
  auto other = make("other");
  EXPECT_EQ(other->open(), Errno::none);
  ASSERT_EQ(first->close(), Errno::none);
  EXPECT_EQ(make("main")->open(), Errno::none);
}

// Another process that has the database's lock, as RocksDB takes it.
class OtherProcess {
 public:
  explicit OtherProcess(const std::string& lock) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) return;
    child_ = fork();
    if (child_ == 0) {  // system calls only: the parent has threads
      struct flock all{};
      all.l_type = F_WRLCK;
      all.l_whence = SEEK_SET;
      const int file = open(lock.c_str(), O_RDWR);  // NOLINT: no Fd here
      if (fcntl(file, F_SETLK, &all) != 0) _exit(1);
      [[maybe_unused]] const ssize_t written = write(ends[1], "x", 1);
      while (true) pause();
    }
    close(ends[1]);
    char byte = 0;
    has_it_ = read(ends[0], &byte, 1) == 1;
    close(ends[0]);
  }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;
  ~OtherProcess() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  bool has_it() const noexcept { return has_it_; }

 private:
  pid_t child_ = -1;
  bool has_it_ = false;
};

TEST_F(RocksdbStoreTest, ADatabaseIsOneProcesss) {
  ASSERT_EQ(make("main")->open(), Errno::none);
  {
    const OtherProcess other(path_ + "/LOCK");
    ASSERT_TRUE(other.has_it());
    EXPECT_EQ(make("main")->open(), Errno::busy);
  }
  EXPECT_EQ(make("main")->open(), Errno::none);
}

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total_pages = 0;
  size_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(RocksdbStoreTest, AFurtherDatabaseTakesLittleMemory) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer has memory of its own";
  std::vector<std::unique_ptr<ContractClient>> clients;
  const auto add_one = [&] {
    const std::string path = path_ + std::to_string(clients.size());
    clients.push_back(std::make_unique<ContractClient>(
        reactor_, make_rocksdb_store(reactor_.reactor, {.path = path, .create = true})));
    ASSERT_EQ(clients.back()->open(), Errno::none);
    ASSERT_EQ(clients.back()->commit({}, {put(inode_key(1), "root"), put(chunk_key(2, 0), "x")}),
              Errno::none);
  };
  for (int i = 0; i < 4; ++i) add_one();
  const size_t before = resident_bytes();
  constexpr size_t kMore = 32;
  for (size_t i = 0; i < kMore; ++i) add_one();
  const size_t each = (resident_bytes() - before) / kMore;
  RecordProperty("bytes_each", std::to_string(each));
  EXPECT_LT(each, size_t{1} << 20);
}

TEST_F(RocksdbStoreTest, ANameThatNoPartitionHasIsRefused) {
  for (const char* name : {"", "with space", "\n"}) {
    EXPECT_EQ(make(name)->open(), Errno::inval) << name;
  }
  EXPECT_EQ(make(std::string(65, 'x'))->open(), Errno::inval);
}

TEST_F(RocksdbStoreTest, PartitionsAreSeenFromOutside) {
  EXPECT_EQ(inspect_rocksdb(path_).kind, Kind::absent);
  auto first = make("main");
  auto second = make("b");
  ASSERT_EQ(first->open(), Errno::none);
  ASSERT_EQ(second->open(), Errno::none);
  ASSERT_EQ(first->write(put(inode_key(1), "x")), Errno::none);
  ASSERT_EQ(second->write(put(inode_key(1), "x")), Errno::none);
  const RocksdbFolder found = inspect_rocksdb(path_);  // while it is open
  EXPECT_EQ(found.kind, Kind::ours) << found.problem;
  EXPECT_EQ(found.partitions, (std::vector<std::string>{"b", "main"}));
}

TEST(Operand, OnesThatNobodyWroteAreRefused) {
  using rocks::decode_operand;
  EXPECT_FALSE(decode_operand(""));
  EXPECT_FALSE(decode_operand("P"));
  EXPECT_FALSE(decode_operand(std::string("P\0\0\0\0\0\0\0\0", 9)));      // of nothing
  EXPECT_FALSE(decode_operand(std::string("P\x7f\0\0\0\0\0\0\0x", 10)));  // far away
  EXPECT_FALSE(decode_operand(std::string("A\0\0\0\0\0\0\0\0x", 10)));    // too long
  EXPECT_FALSE(decode_operand(std::string("X\0\0\0\0\0\0\0\0", 9)));      // of no kind
}

TEST_F(RocksdbStoreTest, ARecordThatCannotBeAddedToFailsItsReadersOnly) {
  auto client = make("main");
  ASSERT_EQ(client->open(), Errno::none);
  ASSERT_EQ(client->commit({}, {put(usage_key(1), "short"), put(inode_key(1), "x")}), Errno::none);
  ASSERT_EQ(client->write(add(usage_key(1), 1)), Errno::none);
  KeptValue value;
  std::vector<Get> gets{{.key = usage_key(1), .reader = &value}};
  EXPECT_EQ(client->why<Unit>([&] { return client->store().get(gets); }), Errno::io);
  EXPECT_EQ(client->get(inode_key(1)), "x");
  EXPECT_EQ(client->write(put(usage_key(1), number_text(1))), Errno::none);
  EXPECT_EQ(client->get(usage_key(1)), number_text(1));
}

// A disk of 96 MiB in memory.
class FullDiskTest : public RocksdbStoreTest {
 protected:
  void SetUp() override {
    RocksdbStoreTest::SetUp();
    is_mounted_ = mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=96m") == 0;
    if (!is_mounted_) GTEST_SKIP() << "mounting a small disk needs root";
  }
  void TearDown() override {
    if (is_mounted_) umount2(folder_.c_str(), MNT_DETACH);
    RocksdbStoreTest::TearDown();
  }

 private:
  bool is_mounted_ = false;
};

TEST_F(FullDiskTest, WritingGoesOnWhenThereIsSpaceAgainAndNothingIsLost) {
  const std::string ballast = folder_ + "/ballast";
  std::ofstream(ballast) << std::string(size_t{64} << 20, 'x');
  auto client = make("main");
  ASSERT_EQ(client->open(), Errno::none);
  Errno why = Errno::none;
  uint64_t written = 0;
  for (; written < 2000; ++written) {
    const std::string text = some_text(65536, written);
    why = client->commit({}, {put(chunk_key(1, written), text), put(inode_key(written), "x")});
    if (why != Errno::none) break;
  }
  ASSERT_EQ(why, Errno::nospc);
  ASSERT_GT(written, 10U);
  EXPECT_EQ(client->write(put(inode_key(99999), "x")), Errno::nospc);
  EXPECT_EQ(client->get(chunk_key(1, 0)), some_text(65536, 0));

  std::filesystem::remove(ballast);
  for (int tries = 0; why != Errno::none && tries < 1000; ++tries) {
    why = client->write(put(inode_key(100000), "again"));
    if (why != Errno::none) usleep(10'000);
  }
  ASSERT_EQ(why, Errno::none);
  ASSERT_EQ(client->sync(), Errno::none);
  for (int round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < written; ++i) {
      ASSERT_EQ(client->get(chunk_key(1, i)), some_text(65536, i)) << i;
      ASSERT_EQ(client->get(inode_key(i)), "x");
    }
    EXPECT_EQ(client->get(inode_key(99999)), std::nullopt);
    EXPECT_EQ(client->get(inode_key(100000)), "again");
    ASSERT_EQ(client->close(), Errno::none);
    ASSERT_EQ(client->open(), Errno::none);
  }
}

}  // namespace
}  // namespace dpfs::kv
