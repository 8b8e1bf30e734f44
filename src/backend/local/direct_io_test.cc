// SPDX-License-Identifier: Apache-2.0
// A tenant's O_DIRECT, passed on to the host's file system where it may be and can be.
#include <sys/mman.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

constexpr size_t kPage = 4096;
constexpr uint32_t kDirect = O_RDWR | O_DIRECT;

class DirectIo : public LocalFsTest {
 protected:
  DirectIo() {
    Negotiated negotiated;
    negotiated.direct_io = true;
    begin_with(negotiated);
    host_write("file", "");
    file_ = node("file");
    handle_ = open(file_, kDirect);
  }
  void SetUp() override {
    const Fd probe(::open((share / "file").c_str(), O_RDONLY | O_DIRECT));
    if (!probe) GTEST_SKIP() << "the file system of " << share << " has no O_DIRECT";
  }
  // At an address that is `shift` bytes beyond a page.
  std::string read_at(uint64_t offset, size_t bytes, size_t shift) {
    alignas(kPage) static char memory[8 * kPage];
    std::memset(memory, '?', sizeof memory);
    const iovec part{memory + shift, bytes};
    const Result<uint32_t> got = call(&LocalFs::read, {.node = file_,
                                                       .handle = handle_,
                                                       .offset = offset,
                                                       .flags = kDirect,
                                                       .into = IoView({&part, 1})});
    EXPECT_TRUE(got) << describe(got.error());
    EXPECT_EQ(memory[shift + bytes], '?');
    return {memory + shift, got ? *got : 0};
  }
  uint32_t write_at(uint64_t offset, std::string_view text, size_t shift,
                    WriteFlags flags = {.open = kDirect}) {
    alignas(kPage) static char memory[8 * kPage];
    std::memcpy(memory + shift, text.data(), text.size());
    const iovec part{memory + shift, text.size()};
    const Result<fuse::WriteOut> put = call(&LocalFs::write, {.node = file_,
                                                              .handle = handle_,
                                                              .offset = offset,
                                                              .flags = flags.open,
                                                              .write_flags = flags.write,
                                                              .from = IoView({&part, 1})});
    EXPECT_TRUE(put) << describe(put.error());
    return put ? put->size : 0;
  }
  // How much of the file the host's page cache has.
  size_t pages_cached() {
    const Fd fd(::open((share / "file").c_str(), O_RDONLY));
    const size_t bytes = std::filesystem::file_size(share / "file");
    void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
    std::vector<unsigned char> there((bytes + kPage - 1) / kPage);
    EXPECT_EQ(::mincore(map, bytes, there.data()), 0);
    ::munmap(map, bytes);
    size_t count = 0;
    for (const unsigned char page : there) count += page & 1;
    return count;
  }

  NodeId file_{};
  Handle handle_{};
};

INSTANTIATE_TEST_SUITE_P(Both, DirectIo, testing::Bool(), mode_name);

TEST_P(DirectIo, AlignedBytesGoAndComePastThePageCache) {
  const std::string text(4 * kPage, 'a');
  EXPECT_EQ(write_at(0, text, 0), text.size());
  EXPECT_EQ(pages_cached(), 0u);
  EXPECT_EQ(read_at(0, 4 * kPage, 0), text);
  EXPECT_EQ(pages_cached(), 0u);
}

TEST_P(DirectIo, MemoryThatIsNotAlignedGoesPastItToo) {
  const std::string text(2 * kPage, 'b');
  EXPECT_EQ(write_at(kPage, text, 80), text.size());
  EXPECT_EQ(read_at(kPage, 2 * kPage, 17), text);
  EXPECT_EQ(pages_cached(), 0u);
}

TEST_P(DirectIo, AnyOffsetAndSizeIsServed) {
  EXPECT_EQ(write_at(3, "text", 0), 4u);
  EXPECT_EQ(read_at(0, 7, 1), std::string("\0\0\0text", 7));
  EXPECT_EQ(read_at(5, 100, 0), "xt");
}

TEST_P(DirectIo, ReadOverTheEndIsShort) {
  host_write("file", std::string(kPage + 100, 'c'));
  EXPECT_EQ(read_at(kPage, kPage, 0), std::string(100, 'c'));
  EXPECT_EQ(read_at(kPage, kPage, 3), std::string(100, 'c'));
  EXPECT_EQ(read_at(2 * kPage, kPage, 0), "");
}

TEST_P(DirectIo, BothWaysSeeEachOthersBytes) {
  write(file_, handle_, 0, std::string(2 * kPage, 'd'));
  EXPECT_EQ(read_at(0, 2 * kPage, 0), std::string(2 * kPage, 'd'));
  write_at(0, std::string(kPage, 'e'), 0);
  EXPECT_EQ(read(file_, handle_, kPage - 1, 2), "ed");
}

TEST_P(DirectIo, AppendingAndCachedWritesFindTheirPlace) {
  host_write("file", std::string(kPage, 'f'));
  write_at(0, std::string(kPage, 'g'), 0, {.open = kDirect | O_APPEND});
  EXPECT_EQ(host_read("file").size(), 2 * kPage);
  write_at(0, "last part", 0, {.open = kDirect, .write = fuse::write_flag::kCache});
  EXPECT_EQ(host_read("file").substr(0, 9), "last part");
}

TEST_P(DirectIo, UnlinkedFileIsServedDirectlyToo) {
  ASSERT_TRUE(call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  EXPECT_EQ(write_at(0, std::string(kPage, 'h'), 0), kPage);
  EXPECT_EQ(read_at(0, kPage, 0), std::string(kPage, 'h'));
}

TEST_P(DirectIo, WithoutTheOperatorsLeaveThePageCacheIsUsed) {
  begin_with(0);
  file_ = node("file");
  handle_ = open(file_, kDirect);
  EXPECT_EQ(write_at(0, std::string(kPage, 'i'), 0), kPage);
  EXPECT_EQ(pages_cached(), 1u);
}

}  // namespace
}  // namespace dpfs::local
