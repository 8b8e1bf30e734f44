// SPDX-License-Identifier: Apache-2.0
// The conformance suites of tests/posix on `dpfs mount`, both ways of talking to the kernel. What
// is known to differ, and why: docs/posix.md.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/mounted.h"
#include "tests/integration/valkey_server.h"

namespace dpfs::test {
namespace {

namespace fs = std::filesystem;

// A suite that hangs is ended long before ctest's own limit, and says where it was.
constexpr int kLimitS = 100;

fs::path suite() { return fs::path(program_path()).parent_path() / "tests/posix_suite"; }

fs::path known_differences(const std::string& name) {
  const char* sources = std::getenv("DPFS_SOURCE_DIR");
  return fs::path(sources != nullptr ? sources : ".") / "tests/posix/known" / name;
}

class Posix : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (!mounting_possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    if (!way_.missing().empty()) GTEST_SKIP() << way_.missing();
    ASSERT_TRUE(fs::exists(suite())) << "not built: " << suite();
    for (const std::string& name : {share_, plain_, mount_point_}) fs::create_directory(name);
    mounted_.emplace(GetParam(), url(), mount_point_, options());
    ASSERT_TRUE(mounted_->wait_until_ready()) << mounted_->process().log();
  }

  virtual std::string url() const { return "local:" + share_; }
  virtual std::vector<std::string> options() const { return {"-o", "dev,suid"}; }

  // Its exit status; what it said is shown where that is not 0.
  int run(const std::string& arguments) {
    const std::string command = "timeout -k 5 " + std::to_string(kLimitS) + " " + suite().string() +
                                " " + arguments + " 2>&1";
    FILE* output = popen(command.c_str(), "r");
    if (output == nullptr) return -1;
    std::string text;
    std::array<char, 4096> block;
    while (const size_t count = fread(block.data(), 1, block.size(), output)) {
      text.append(block.data(), count);
    }
    const int status = pclose(output);
    if (status != 0) ADD_FAILURE() << command << "\n" << text << mounted_->process().log();
    return status;
  }

  const OfferedWay way_{GetParam()};
  TemporaryFolder folder_;
  const std::string share_ = folder_ / "share";
  const std::string plain_ = folder_ / "plain";
  const std::string mount_point_ = folder_ / "mnt";
  std::optional<MountedDaemon> mounted_;
};

TEST_P(Posix, CasesPassButForTheKnownDifferences) {
  EXPECT_EQ(run("cases " + mount_point_ + " --also " + share_ + " --known " +
                known_differences("fuse.txt").string()),
            0);
}

TEST_P(Posix, LocksOfTwoMountsExcludeEachOther) {
  const std::string second = folder_ / "second";
  fs::create_directory(second);
  MountedDaemon other(GetParam(), "local:" + share_, second);
  ASSERT_TRUE(other.wait_until_ready()) << other.process().log();
  EXPECT_EQ(run("cases " + mount_point_ + " --only shared_locks --also " + second), 0);
}

TEST_P(Posix, RandomSequencesDoTheSameAsOnThePlainDirectory) {
  const std::string rounds = kSanitized ? "2" : "5";
  EXPECT_EQ(
      run("differential " + mount_point_ + " --beside " + plain_ + " --seed 1 --rounds " + rounds),
      0);
}

TEST_P(Posix, BytesAreThoseThatWereWritten) {
  const std::string operations = kSanitized ? "1500" : "4000";
  EXPECT_EQ(run("fsx " + mount_point_ + " --also " + share_ + " --seed 1 --processes 2 --ops " +
                operations),
            0);
}

// The same on a file system in a RocksDB database, which one daemon has at a time.
class KvPosix : public Posix {
 protected:
  std::string url() const override { return "kv+rocksdb:" + share_; }
  std::vector<std::string> options() const override { return {"-o", "dev,suid", "--create"}; }
};

TEST_P(KvPosix, CasesPassButForTheKnownDifferences) {
  EXPECT_EQ(run("cases " + mount_point_ + " --known " + known_differences("kv.txt").string()), 0);
}

TEST_P(KvPosix, RandomSequencesDoTheSameAsOnThePlainDirectory) {
  const std::string rounds = kSanitized ? "2" : "5";
  EXPECT_EQ(
      run("differential " + mount_point_ + " --beside " + plain_ + " --seed 1 --rounds " + rounds),
      0);
}

TEST_P(KvPosix, BytesAreThoseThatWereWritten) {
  const std::string operations = kSanitized ? "1500" : "4000";
  EXPECT_EQ(run("fsx " + mount_point_ + " --seed 1 --processes 2 --ops " + operations), 0);
}

// And on a Valkey server of its own. tests/kv/run.py has them on a cluster.
class ValkeyPosix : public KvPosix {
 protected:
  void SetUp() override {
    if (!server_.missing().empty()) GTEST_SKIP() << server_.missing();
    KvPosix::SetUp();
  }
  std::string url() const override { return server_.url("posix"); }

  const ValkeyServer server_;
};

TEST_P(ValkeyPosix, CasesPassButForTheKnownDifferences) {
  EXPECT_EQ(run("cases " + mount_point_ + " --known " + known_differences("kv.txt").string()), 0);
}

TEST_P(ValkeyPosix, RandomSequencesDoTheSameAsOnThePlainDirectory) {
  const std::string rounds = kSanitized ? "1" : "3";
  EXPECT_EQ(
      run("differential " + mount_point_ + " --beside " + plain_ + " --seed 1 --rounds " + rounds),
      0);
}

TEST_P(ValkeyPosix, BytesAreThoseThatWereWritten) {
  const std::string operations = kSanitized ? "1000" : "3000";
  EXPECT_EQ(run("fsx " + mount_point_ + " --seed 1 --processes 2 --ops " + operations), 0);
}

// One way will do: the other is no other way to the store.
INSTANTIATE_TEST_SUITE_P(Ways, ValkeyPosix, testing::Values(Way::read_write),
                         [](const auto& way) { return name_of(way.param); });

INSTANTIATE_TEST_SUITE_P(Ways, KvPosix, testing::Values(Way::read_write, Way::io_uring),
                         [](const auto& way) { return name_of(way.param); });

INSTANTIATE_TEST_SUITE_P(Ways, Posix, testing::Values(Way::read_write, Way::io_uring),
                         [](const auto& way) { return name_of(way.param); });

}  // namespace
}  // namespace dpfs::test
