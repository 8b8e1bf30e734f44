// SPDX-License-Identifier: Apache-2.0
// The command line of `dpfs bench`.
#include "cli/bench_options.h"

#include <gtest/gtest.h>

#include <vector>

namespace dpfs::cli {
namespace {

struct Parsed {
  std::optional<BenchOptions> options;
  int exit_code = -1;
};

Parsed parse(std::vector<std::string> words) {
  words.insert(words.begin(), "bench");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  Parsed parsed;
  parsed.options =
      parse_bench_options(static_cast<int>(argv.size()), argv.data(), parsed.exit_code);
  return parsed;
}

TEST(BenchOptions, SocketAloneMeansRandomReadsAtDepth32) {
  Parsed parsed = parse({"--socket", "s"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->jobs, std::vector<std::string>{"randread"});
  EXPECT_EQ(parsed.options->depth, 32u);
  EXPECT_FALSE(parsed.options->sleep);
}

TEST(BenchOptions, SizesTakeUnits) {
  Parsed parsed = parse({"-s", "s", "--bs", "64k", "--file-size", "1G"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->block_size, 64u << 10);
  EXPECT_EQ(parsed.options->file_size, 1ull << 30);
}

TEST(BenchOptions, JobsAreSplitAtCommas) {
  Parsed parsed = parse({"-s", "s", "--job", "getattr,lookup", "--job", "create"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->jobs, (std::vector<std::string>{"getattr", "lookup", "create"}));
}

TEST(BenchOptions, UnknownJobEndsWithTwo) {
  Parsed parsed = parse({"-s", "s", "--job", "dance"});
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit_code, 2);
}

TEST(BenchOptions, MissingSocketEndsWithTwo) { EXPECT_EQ(parse({}).exit_code, 2); }

TEST(BenchOptions, HelpEndsWithZero) {
  Parsed parsed = parse({"--help"});
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit_code, 0);
}

TEST(BenchOptions, BlocksLargerThanARequestAreRefused) {
  EXPECT_EQ(parse({"-s", "s", "--bs", "2M"}).exit_code, 2);
}

TEST(BenchOptions, DepthThatTheQueuesCannotHoldIsRefused) {
  EXPECT_EQ(parse({"-s", "s", "--depth", "256"}).exit_code, 2);
  EXPECT_TRUE(parse({"-s", "s", "--depth", "256", "--queues", "2"}).options);
}

TEST(BenchOptions, EveryJobOfWholeFilesIsKnown) {
  Parsed parsed = parse({"-s", "s", "--job", "readfile,readknown,writefile,newfile,create"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->jobs.size(), 5u);
}

TEST(BenchOptions, MoreFoldersThanFilesAreRefused) {
  EXPECT_EQ(parse({"-s", "s", "--files", "10", "--folders", "11"}).exit_code, 2);
  EXPECT_TRUE(parse({"-s", "s", "--files", "10", "--folders", "10"}).options);
}

TEST(BenchOptions, QueueSizeMustBeAPowerOfTwo) {
  EXPECT_EQ(parse({"-s", "s", "--queue-size", "100"}).exit_code, 2);
}

}  // namespace
}  // namespace dpfs::cli
