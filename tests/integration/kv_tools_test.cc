// SPDX-License-Identifier: Apache-2.0
// The program `dpfs kv`: what it says, and with which exit status.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace dpfs {
namespace {

class KvToolsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "dpfs-kv-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    url_ = "kv+rocksdb:" + folder_ + "/database";
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  // The exit status; what it says is in said_.
  int kv(const std::string& arguments) {
    const char* program = getenv("DPFS_BINARY");
    const std::string command =
        std::string(program != nullptr ? program : "dpfs") + " kv " + arguments + " 2>&1";
    said_.clear();
    FILE* out = popen(command.c_str(), "r");  // NOLINT: a test's own words
    if (out == nullptr) return -1;
    std::array<char, 4096> piece;
    while (const size_t got = fread(piece.data(), 1, piece.size(), out)) {
      said_.append(piece.data(), got);
    }
    const int status = pclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  nlohmann::json json() const { return nlohmann::json::parse(said_, nullptr, false); }

  std::string folder_;
  std::string url_;
  std::string said_;
};

TEST_F(KvToolsTest, WhatIsMadeHasItsLimitsAndIsClean) {
  ASSERT_EQ(kv("mkfs --bytes-max 10M --inodes-max 100 " + url_), 0) << said_;
  ASSERT_EQ(kv("info --json " + url_), 0) << said_;
  EXPECT_EQ(json()["bytes_max"], 10 << 20);
  EXPECT_EQ(json()["inodes_max"], 100);
  ASSERT_EQ(kv("fsck --json " + url_), 0) << said_;
  EXPECT_EQ(json()["status"], "clean");
}

TEST_F(KvToolsTest, AFileSystemIsNotMadeTwice) {
  ASSERT_EQ(kv("mkfs " + url_), 0) << said_;
  EXPECT_EQ(kv("mkfs " + url_), 1) << said_;
  EXPECT_EQ(kv("mkfs '" + url_ + "?fs=other'"), 0) << said_;
}

TEST_F(KvToolsTest, LimitsCanBeChanged) {
  ASSERT_EQ(kv("mkfs --bytes-max 10M --inodes-max 100 " + url_), 0) << said_;
  ASSERT_EQ(kv("set --bytes-max 0 " + url_), 0) << said_;
  ASSERT_EQ(kv("info --json " + url_), 0) << said_;
  EXPECT_EQ(json()["bytes_max"], 0);
  EXPECT_EQ(json()["inodes_max"], 100);
}

TEST_F(KvToolsTest, WhatIsNoFileSystemCannotBeChecked) {
  EXPECT_EQ(kv("fsck " + url_), 8) << said_;
  std::ofstream(folder_ + "/letter.txt") << "Dear";
  EXPECT_EQ(kv("fsck kv+rocksdb:" + folder_), 8) << said_;
  EXPECT_EQ(kv("info kv+rocksdb:" + folder_), 1) << said_;
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/database"));
}

TEST_F(KvToolsTest, WrongArgumentsHaveAStatusOfTheirOwn) {
  EXPECT_EQ(kv("fsck"), 16) << said_;
  EXPECT_EQ(kv("fsck --repair --quick " + url_), 16) << said_;
  EXPECT_EQ(kv("fsck local:/srv"), 16) << said_;
  EXPECT_EQ(kv("mkfs --bytes-max many " + url_), 2) << said_;
  EXPECT_EQ(kv("set " + url_), 2) << said_;
  EXPECT_EQ(kv("shrink " + url_), 2) << said_;
}

TEST_F(KvToolsTest, ACopyIsAFileSystemAndABrokenOneIsNone) {
  const std::string file = folder_ + "/stream";
  const std::string copy = "kv+rocksdb:" + folder_ + "/copy";
  ASSERT_EQ(kv("mkfs --inodes-max 77 " + url_), 0) << said_;
  ASSERT_EQ(kv("export " + url_ + " " + file), 0) << said_;
  ASSERT_EQ(kv("import " + copy + " " + file), 0) << said_;
  ASSERT_EQ(kv("info --json " + copy), 0) << said_;
  EXPECT_EQ(json()["inodes_max"], 77);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_EQ(kv("import '" + copy + "?fs=broken' " + file), 1) << said_;
  EXPECT_EQ(kv("fsck '" + copy + "?fs=broken'"), 8) << said_;
}

TEST_F(KvToolsTest, EveryVerbHasHelpWithExamples) {
  for (const char* verb : {"mkfs", "info", "set", "fsck", "gc", "dump", "export", "import"}) {
    EXPECT_EQ(kv(std::string(verb) + " --help"), 0) << verb;
    EXPECT_NE(said_.find("Examples:"), std::string::npos) << verb;
  }
}

}  // namespace
}  // namespace dpfs
