// SPDX-License-Identifier: Apache-2.0
// Where a write goes: to its offset, or to the end of the file.
#include <sys/resource.h>

#include <csignal>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

// No file may grow beyond so many bytes: as if the disk were full then.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    before_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, before_handler_);
  }

 private:
  sighandler_t before_handler_;
  rlimit before_{};
};

INSTANTIATE_TEST_SUITE_P(Both, LocalFsTest, testing::Bool(), mode_name);

TEST_P(LocalFsTest, AppendingWriteGoesToTheEndThatTheHostKnows) {
  host_write("log", "one ");
  const NodeId file = node("log");
  const Handle handle = open(file, O_WRONLY | O_APPEND);
  host_write("log", "one two ");
  write(file, handle, 4, "three", {.open = O_WRONLY | O_APPEND});
  EXPECT_EQ(host_read("log"), "one two three");
}

// fcntl(fd, F_SETFL) changes it without a word to us.
TEST_P(LocalFsTest, AppendingIsWhatTheOpenFileSaysAtTheTime) {
  host_write("log", "0123456789");
  const NodeId file = node("log");
  const Handle handle = open(file, O_WRONLY | O_APPEND);
  write(file, handle, 2, "xx", {.open = O_WRONLY});
  EXPECT_EQ(host_read("log"), "01xx456789");
  const Handle plain = open(file, O_WRONLY);
  write(file, plain, 2, "yy", {.open = O_WRONLY | O_APPEND});
  EXPECT_EQ(host_read("log"), "01xx456789yy");
}

TEST_P(LocalFsTest, PageOfTheTenantsCacheGoesToItsPlace) {
  host_write("log", "0123456789");
  const NodeId file = node("log");
  const Handle handle = open(file, O_RDWR | O_APPEND);
  write(file, handle, 0, "ab", {.open = O_RDWR | O_APPEND, .write = fuse::write_flag::kCache});
  EXPECT_EQ(host_read("log"), "ab23456789");
}

TEST_P(LocalFsTest, WriteThatFitsInPartIsShort) {
  host_write("file", "");
  const NodeId file = node("file");
  const Handle handle = open(file, O_RDWR);
  const FileSizeLimit limit(4096);
  EXPECT_EQ(write(file, handle, 0, std::string(8192, 'x')), 4096u);
}

TEST_P(LocalFsTest, PagesOfTheTenantsCacheAreWrittenWhollyOrFail) {
  host_write("file", "");
  const NodeId file = node("file");
  const Handle handle = open(file, O_RDWR);
  std::string pages(8192, 'x');
  const iovec part{pages.data(), pages.size()};
  const FileSizeLimit limit(4096);
  const Result<fuse::WriteOut> put = call(&LocalFs::write, {.node = file,
                                                            .handle = handle,
                                                            .offset = 0,
                                                            .flags = O_RDWR,
                                                            .write_flags = fuse::write_flag::kCache,
                                                            .from = IoView({&part, 1})});
  EXPECT_EQ(put.error(), Errno::fbig);
}

TEST_P(LocalFsTest, TenantThatWritesBackKnowsTheEndItself) {
  if (begin_with(fuse::init_flag::kWritebackCache) == 0) GTEST_SKIP() << "not agreed to";
  host_write("log", "0123456789");
  const NodeId file = node("log");
  const Handle handle = open(file, O_WRONLY | O_APPEND);
  write(file, handle, 4, "ab", {.open = O_WRONLY | O_APPEND});
  EXPECT_EQ(host_read("log"), "0123ab6789");
  // And fills its pages through any of its descriptors.
  EXPECT_EQ(read(file, handle, 0, 100), "0123ab6789");
}

TEST_P(LocalFsTest, SynchronousWriteIsWritten) {
  host_write("file", "");
  const NodeId file = node("file");
  const Handle handle = open(file, O_WRONLY);
  EXPECT_EQ(write(file, handle, 0, "text", {.open = O_WRONLY | O_SYNC}), 4u);
  EXPECT_EQ(write(file, handle, 4, "text", {.open = O_WRONLY | O_DSYNC | O_APPEND}), 4u);
  EXPECT_EQ(host_read("file"), "texttext");
}

}  // namespace
}  // namespace dpfs::local
