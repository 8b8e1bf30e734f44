// SPDX-License-Identifier: Apache-2.0
// `dpfs bench` on devices of `dpfs serve`: what it reads is checked, and what it made is gone.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/integration/daemon.h"

namespace dpfs::test {
namespace {

class BenchOfADirectory : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkdir(shared().c_str(), 0755), 0); }

  std::string shared() const { return folder_ / "shared"; }

  // Serves the directory, and runs the benchmark with these arguments. Its exit code.
  int bench(const std::vector<std::string>& arguments) {
    Daemon serving({"serve", "--socket", folder_ / "socket", "--tag", "t", "--sandbox", "none",
                    "local:" + shared()});
    EXPECT_TRUE(serving.wait_until_ready()) << serving.log();
    std::vector<std::string> words{"bench", "--socket", folder_ / "socket", "--warmup", "0"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    Daemon measuring(words);
    const int status = measuring.wait();
    said_ = measuring.log();
    return status;
  }

  bool nothing_is_left() const { return std::filesystem::is_empty(shared()); }

  TemporaryFolder folder_;
  std::string said_;
};

TEST_F(BenchOfADirectory, WholeFilesHaveTheirOwnContents) {
  EXPECT_EQ(bench({"--job", "readfile,writefile,readknown", "--ops", "300", "--verify", "--files",
                   "40", "--file-size", "4k"}),
            0)
      << said_;
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(BenchOfADirectory, NewFilesInFoldersAreRemovedAfterwards) {
  EXPECT_EQ(bench({"--job", "newfile,create,lookup,readdirplus", "--ops", "100", "--files", "21",
                   "--folders", "4", "--depth", "3"}),
            0)
      << said_;
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(BenchOfADirectory, FilesAreKeptOnRequest) {
  EXPECT_EQ(bench({"--job", "readfile", "--ops", "1", "--files", "5", "--bs", "100", "--keep"}), 0)
      << said_;
  uint64_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(shared())) {
    if (entry.is_regular_file() && entry.file_size() == 100) ++files;
  }
  EXPECT_EQ(files, 5u);
}

}  // namespace
}  // namespace dpfs::test
