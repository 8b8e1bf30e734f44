// SPDX-License-Identifier: Apache-2.0
// What a tenant can do with files of the local back end.
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

INSTANTIATE_TEST_SUITE_P(Both, LocalFsTest, testing::Bool(), mode_name);

TEST(LocalFsStart, MissingDirectorySaysWhatToDo) {
  Reactor reactor{Reactor::Options{}};
  try {
    LocalFs fs(reactor, {.path = "/nonexistent/share"});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("'/nonexistent/share': No such file"),
              std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("create it"), std::string::npos);
  }
}

TEST(LocalFsStart, FileIsRefusedAsDirectory) {
  Reactor reactor{Reactor::Options{}};
  EXPECT_THROW(LocalFs(reactor, {.path = "/proc/self/status"}), std::runtime_error);
}

TEST_P(LocalFsTest, LookupTellsTheAttributes) {
  host_write("hello", "hello world");
  ::chmod((share / "hello").c_str(), 0640);
  struct stat stat;
  ASSERT_EQ(::stat((share / "hello").c_str(), &stat), 0);
  const Result<fuse::EntryOut> entry = look_up(NodeId::root, "hello");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->attr.size, 11u);
  EXPECT_EQ(entry->attr.mode, S_IFREG | 0640u);
  EXPECT_EQ(entry->attr.ino, stat.st_ino);
  EXPECT_EQ(entry->attr.mtimensec, stat.st_mtim.tv_nsec);
  EXPECT_EQ(entry->entry_valid, 1u);
}

TEST_P(LocalFsTest, MissingNameIsEnoent) {
  EXPECT_EQ(look_up(NodeId::root, "nothing").error(), Errno::noent);
}

TEST_P(LocalFsTest, NameBelowAFileIsEnotdir) {
  host_write("file", "");
  EXPECT_EQ(look_up(node("file"), "x").error(), Errno::notdir);
}

TEST_P(LocalFsTest, SameInodeIsTheSameNode) {
  host_write("a", "");
  std::filesystem::create_hard_link(share / "a", share / "b");
  EXPECT_EQ(node("a"), node("b"));
  EXPECT_EQ(fs().nodes(), 2u);
}

TEST_P(LocalFsTest, ForgottenNodeIsStaleAndItsRowIsFree) {
  host_write("a", "");
  const NodeId a = node("a");
  EXPECT_EQ(node("a"), a);
  forget(a);
  EXPECT_TRUE(call(&LocalFs::getattr, {.node = a}));
  forget(a);
  EXPECT_EQ(call(&LocalFs::getattr, {.node = a}).error(), Errno::stale);
  EXPECT_EQ(fs().nodes(), 1u);
  EXPECT_NE(node("a"), a);  // node ids are never used again
}

TEST_P(LocalFsTest, RootIsNeverForgotten) {
  forget(NodeId::root, 1000);
  EXPECT_TRUE(call(&LocalFs::getattr, {.node = NodeId::root}));
}

TEST_P(LocalFsTest, CreatedFileIsWrittenAndReadBack) {
  const Result<CreateOut> out = call(&LocalFs::create, {.parent = NodeId::root,
                                                        .name = name_of("new"),
                                                        .flags = O_RDWR | O_EXCL,
                                                        .mode = S_IFREG | 0604,
                                                        .umask = 022});
  ASSERT_TRUE(out) << describe(out.error());
  EXPECT_EQ(out->entry.attr.mode, S_IFREG | 0604u);
  const NodeId file{out->entry.nodeid};
  const Handle handle{out->open.fh};
  EXPECT_EQ(write(file, handle, 0, "some text"), 9u);
  EXPECT_EQ(host_read("new"), "some text");
  EXPECT_EQ(read(file, handle, 5, 100), "text");
  EXPECT_EQ(node("new"), file);
  release(file, handle);
  EXPECT_EQ(call(&LocalFs::read, {.node = file, .handle = handle}).error(), Errno::badf);
}

TEST_P(LocalFsTest, CreateExclusivelyOverAFileIsEexist) {
  host_write("there", "");
  EXPECT_EQ(call(&LocalFs::create, {.parent = NodeId::root,
                                    .name = name_of("there"),
                                    .flags = O_RDWR | O_EXCL,
                                    .mode = 0600,
                                    .umask = 0})
                .error(),
            Errno::exist);
}

TEST_P(LocalFsTest, CreateOverAFileOpensItAndTruncates) {
  host_write("there", "old text");
  const Result<CreateOut> out = call(&LocalFs::create, {.parent = NodeId::root,
                                                        .name = name_of("there"),
                                                        .flags = O_RDWR | O_TRUNC,
                                                        .mode = 0600,
                                                        .umask = 0});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->entry.attr.size, 0u);
  EXPECT_EQ(host_read("there"), "");
}

TEST_P(LocalFsTest, TmpfileIsRefused) {
  EXPECT_EQ(call(&LocalFs::create, {.parent = NodeId::root,
                                    .name = name_of("x"),
                                    .flags = O_RDWR | O_TMPFILE,
                                    .mode = 0600,
                                    .umask = 0})
                .error(),
            Errno::opnotsupp);
}

TEST_P(LocalFsTest, OpenWithTruncEmptiesTheFile) {
  host_write("file", "text");
  open(node("file"), O_WRONLY | O_TRUNC);
  EXPECT_EQ(host_read("file"), "");
}

TEST_P(LocalFsTest, ReadBeyondTheEndIsEmpty) {
  host_write("file", "0123456789");
  const NodeId file = node("file");
  const Handle handle = open(file, O_RDONLY);
  EXPECT_EQ(read(file, handle, 10, 10), "");
  EXPECT_EQ(read(file, handle, 1 << 20, 10), "");
  EXPECT_EQ(read(file, handle, 8, 4096), "89");
}

TEST_P(LocalFsTest, ReadThatThePageCacheHasNotGotIsComplete) {
  std::string text(3 << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 24);
  host_write("big", text);
  const Fd host(::open((share / "big").c_str(), O_RDONLY));
  ::fsync(host.get());
  const NodeId file = node("big");
  const Handle handle = open(file, O_RDONLY);
  for (const uint64_t warm : {uint64_t{0}, uint64_t{64 << 10}}) {
    ::posix_fadvise(host.get(), 0, 0, POSIX_FADV_DONTNEED);
    char part[4096];
    // Some of it is in the page cache again: the answer begins at once and ends later.
    ASSERT_GE(::pread(host.get(), part, std::min(sizeof part, warm), 0), 0);
    EXPECT_EQ(read(file, handle, 0, 1 << 20), text.substr(0, 1 << 20));
  }
  ::posix_fadvise(host.get(), 0, 0, POSIX_FADV_DONTNEED);
  EXPECT_EQ(read(file, handle, (3 << 20) - 5000, 1 << 20), text.substr(text.size() - 5000));
}

// Half an answer would be the end of the file, and zeros behind it.
TEST_P(LocalFsTest, ReadThatFailsHalfwayIsAnError) {
  host_write("file", std::string(8192, 'x'));
  const NodeId file = node("file");
  std::string good(4096, '\0');
  void* const bad = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(bad, MAP_FAILED);
  const iovec parts[] = {{good.data(), good.size()}, {bad, 4096}};
  const Result<uint32_t> got =
      call(&LocalFs::read,
           {.node = file, .handle = open(file), .offset = 0, .flags = 0, .into = IoView(parts)});
  ::munmap(bad, 4096);
  EXPECT_EQ(got.error(), Errno::fault);
}

TEST_P(LocalFsTest, ReadIntoMorePartsThanOneCallTakesIsComplete) {
  std::string text(5000, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  host_write("file", text);
  const NodeId file = node("file");
  const Handle handle = open(file, O_RDWR);
  std::string buffer(5000, '\0');
  std::vector<iovec> parts;
  for (size_t at = 0; at < buffer.size(); at += 2) parts.push_back({buffer.data() + at, 2});
  const Fd host(::open((share / "file").c_str(), O_RDONLY));
  ::fsync(host.get());
  for (const bool cold : {false, true}) {
    if (cold) ::posix_fadvise(host.get(), 0, 0, POSIX_FADV_DONTNEED);
    buffer.assign(5000, '\0');
    const Result<uint32_t> bytes =
        call(&LocalFs::read, {.node = file, .handle = handle, .into = IoView(parts)});
    ASSERT_TRUE(bytes);
    EXPECT_EQ(*bytes, 5000u);
    EXPECT_EQ(buffer, text);
  }
  const Result<fuse::WriteOut> put = call(
      &LocalFs::write, {.node = file, .handle = handle, .offset = 5000, .from = IoView(parts)});
  ASSERT_TRUE(put);
  EXPECT_EQ(put->size, 5000u);
  EXPECT_EQ(host_read("file"), text + text);
}

TEST_P(LocalFsTest, FileReleasedDuringAReadStaysOpenUntilItIsDone) {
  std::string text(1 << 20, 'x');
  host_write("big", text);
  const Fd host(::open((share / "big").c_str(), O_RDONLY));
  ::fsync(host.get());
  const NodeId file = node("big");
  const Handle handle = open(file, O_RDONLY);
  ::posix_fadvise(host.get(), 0, 0, POSIX_FADV_DONTNEED);
  std::string buffer(1 << 20, '\0');
  const iovec part{buffer.data(), buffer.size()};
  std::promise<Result<uint32_t>> answer;
  on_reactor([&] {
    answer_later(fs().read(request(), {.node = file, .handle = handle, .into = IoView({&part, 1})}),
                 answer);
    EXPECT_TRUE(fs().release(request(), {.node = file, .handle = handle}).take());
    EXPECT_EQ(fs().open_files(), 0u);
  });
  const Result<uint32_t> bytes = answer.get_future().get();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, text.size());
  EXPECT_EQ(buffer, text);
}

TEST_P(LocalFsTest, ForgedNodesAndHandlesFindNothing) {
  host_write("a", "a");
  host_write("b", "b");
  const NodeId a = node("a");
  const NodeId b = node("b");
  const Handle handle = open(a, O_RDONLY);
  for (const uint64_t forged : {uint64_t{0}, uint64_t{2}, uint64_t{77}, uint64_t{1} << 40,
                                UINT64_MAX, static_cast<uint64_t>(a) + (uint64_t{1} << 32)}) {
    EXPECT_EQ(call(&LocalFs::getattr, {.node = NodeId{forged}}).error(), Errno::stale) << forged;
    EXPECT_EQ(look_up(NodeId{forged}, "a").error(), Errno::stale);
    EXPECT_EQ(call(&LocalFs::read, {.node = a, .handle = Handle{forged}}).error(), Errno::badf);
    forget(NodeId{forged});
  }
  EXPECT_EQ(call(&LocalFs::read, {.node = b, .handle = handle}).error(), Errno::badf);
  EXPECT_EQ(call(&LocalFs::release, {.node = b, .handle = handle}).error(), Errno::badf);
  EXPECT_EQ(call(&LocalFs::getattr, {.node = a, .has_handle = true, .handle = Handle{9}}).error(),
            Errno::badf);
  EXPECT_EQ(read(a, handle, 0, 1), "a");
}

TEST_P(LocalFsTest, OpenFileOutlivesItsName) {
  host_write("file", "still here");
  const NodeId file = node("file");
  const Handle handle = open(file);
  ASSERT_TRUE(call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  EXPECT_EQ(read(file, handle, 0, 100), "still here");
  write(file, handle, 0, "STILL");
  EXPECT_EQ(read(file, handle, 0, 100), "STILL here");
  const Result<fuse::AttrOut> by_handle =
      call(&LocalFs::getattr, {.node = file, .has_handle = true, .handle = handle});
  const Result<fuse::AttrOut> by_node = call(&LocalFs::getattr, {.node = file});
  ASSERT_TRUE(by_handle);
  ASSERT_TRUE(by_node);
  EXPECT_EQ(by_handle->attr.nlink, 0u);
  EXPECT_EQ(by_node->attr.nlink, 0u);
  release(file, handle);
}

TEST_P(LocalFsTest, UnlinkedFileGivesItsSpaceBackWhenForgotten) {
  host_write("file", "x");
  const NodeId file = node("file");
  ASSERT_TRUE(call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of("file")}));
  forget(file);
  EXPECT_EQ(fs().descriptors(), 1u);
}

TEST_P(LocalFsTest, InodeNumberUsedAgainIsAnotherNode) {
  // ext4 gives the lowest free inode number, and often within one tick of the clock.
  for (int i = 0; i < 50; ++i) {
    const Result<CreateOut> first = call(
        &LocalFs::create,
        {.parent = NodeId::root, .name = name_of("x"), .flags = O_RDWR, .mode = 0600, .umask = 0});
    ASSERT_TRUE(first);
    const NodeId old{first->entry.nodeid};
    release(old, Handle{first->open.fh});
    ASSERT_TRUE(call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of("x")}));
    const Result<CreateOut> second = call(
        &LocalFs::create,
        {.parent = NodeId::root, .name = name_of("x"), .flags = O_RDWR, .mode = 0600, .umask = 0});
    ASSERT_TRUE(second);
    EXPECT_NE(second->entry.nodeid, first->entry.nodeid);
    EXPECT_TRUE(second->entry.attr.ino != first->entry.attr.ino ||
                second->entry.nodeid != first->entry.nodeid);
    const NodeId fresh{second->entry.nodeid};
    release(fresh, Handle{second->open.fh});
    EXPECT_EQ(node("x"), fresh);
    ASSERT_TRUE(call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of("x")}));
    forget(old);
    forget(fresh, 2);
  }
}

TEST_P(LocalFsTest, FileReplacedOnTheHostIsFoundAgain) {
  host_write("file", "one");
  const NodeId old = node("file");
  // Evict its descriptor, so that the inode's number can be used again.
  for (int i = 0; i < 1100; ++i) {
    const std::string name = "filler" + std::to_string(i);
    host_write(name, "");
    node(name);
  }
  std::filesystem::remove(share / "file");
  host_write("file", "two");
  // The tenant's kernel looks the name up again when it is told ESTALE.
  const Result<fuse::OpenOut> stale = call(&LocalFs::open, {.node = old, .flags = O_RDONLY});
  EXPECT_FALSE(stale);
  const NodeId fresh = node("file");
  EXPECT_NE(fresh, old);
  EXPECT_EQ(read(fresh, open(fresh, O_RDONLY), 0, 10), "two");
}

TEST_P(LocalFsTest, NodesOfAllKindsAreMade) {
  const Result<fuse::EntryOut> fifo =
      call(&LocalFs::mknod,
           {.parent = NodeId::root, .name = name_of("p"), .mode = S_IFIFO | 0600, .umask = 0});
  ASSERT_TRUE(fifo);
  EXPECT_EQ(fifo->attr.mode, S_IFIFO | 0600u);
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const Result<fuse::EntryOut> device = call(&LocalFs::mknod, {.parent = NodeId::root,
                                                               .name = name_of("null"),
                                                               .mode = S_IFCHR | 0600,
                                                               .rdev = (1 << 8) | 3,
                                                               .umask = 0});
  ASSERT_TRUE(device) << describe(device.error());
  EXPECT_EQ(device->attr.rdev, makedev(1, 3));
}

TEST_P(LocalFsTest, RmdirAndUnlinkMindWhatTheyRemove) {
  std::filesystem::create_directories(share / "d" / "e");
  host_write("f", "");
  const auto unlink = [&](const char* name) {
    return call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of(name)}).error();
  };
  const auto rmdir = [&](const char* name) {
    return call(&LocalFs::rmdir, {.parent = NodeId::root, .name = name_of(name)}).error();
  };
  EXPECT_EQ(unlink("d"), Errno::isdir);
  EXPECT_EQ(rmdir("f"), Errno::notdir);
  EXPECT_EQ(rmdir("d"), Errno::notempty);
  EXPECT_EQ(rmdir("x"), Errno::noent);
  std::filesystem::remove(share / "d" / "e");
  EXPECT_EQ(rmdir("d"), Errno::none);
  EXPECT_EQ(unlink("f"), Errno::none);
}

TEST_P(LocalFsTest, RenameMindsItsFlags) {
  std::filesystem::create_directory(share / "d");
  host_write("a", "A");
  host_write("d/b", "B");
  const NodeId d = node("d");
  const NodeId a = node("a");
  const NodeId b = node("d/b");
  const auto rename = [&](NodeId from, const char* name, NodeId to, const char* new_name,
                          uint32_t flags) {
    return call(&LocalFs::rename2, {.parent = from,
                                    .name = name_of(name),
                                    .new_parent = to,
                                    .new_name = name_of(new_name),
                                    .flags = flags})
        .error();
  };
  EXPECT_EQ(rename(NodeId::root, "a", d, "b", RENAME_NOREPLACE), Errno::exist);
  EXPECT_EQ(rename(NodeId::root, "a", d, "b", RENAME_EXCHANGE), Errno::none);
  EXPECT_EQ(host_read("a"), "B");
  EXPECT_EQ(host_read("d/b"), "A");
  EXPECT_EQ(node("a"), b);
  EXPECT_EQ(node("d/b"), a);
  EXPECT_EQ(rename(d, "b", NodeId::root, "c", RENAME_NOREPLACE), Errno::none);
  EXPECT_EQ(rename(NodeId::root, "c", NodeId::root, "a", 0), Errno::none);
  EXPECT_EQ(read(a, open(a, O_RDONLY), 0, 9), "A");
  EXPECT_EQ(rename(NodeId::root, "a", NodeId::root, "x", 0x80), Errno::inval);
}

TEST_P(LocalFsTest, LinkIsTheSameNode) {
  host_write("a", "");
  const NodeId a = node("a");
  const Result<fuse::EntryOut> out =
      call(&LocalFs::link, {.node = a, .new_parent = NodeId::root, .new_name = name_of("b")});
  ASSERT_TRUE(out) << describe(out.error());
  EXPECT_EQ(NodeId{out->nodeid}, a);
  EXPECT_EQ(out->attr.nlink, 2u);
}

TEST_P(LocalFsTest, HolesAreFoundAndMade) {
  const NodeId file = [&] {
    host_write("sparse", "");
    return node("sparse");
  }();
  const Handle handle = open(file);
  write(file, handle, 1 << 20, std::string(4096, 'x'));
  const auto seek = [&](uint64_t offset, uint32_t whence) {
    return call(&LocalFs::lseek,
                {.node = file, .handle = handle, .offset = offset, .whence = whence});
  };
  EXPECT_EQ(seek(0, SEEK_DATA)->offset, 1u << 20);
  EXPECT_EQ(seek(1 << 20, SEEK_HOLE)->offset, (1u << 20) + 4096);
  EXPECT_EQ(seek(2 << 20, SEEK_DATA).error(), Errno::nxio);
  EXPECT_EQ(seek(0, SEEK_SET).error(), Errno::inval);
  ASSERT_TRUE(call(&LocalFs::fallocate, {.node = file,
                                         .handle = handle,
                                         .offset = 1 << 20,
                                         .length = 4096,
                                         .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}));
  EXPECT_EQ(seek(0, SEEK_DATA).error(), Errno::nxio);
  ASSERT_TRUE(call(&LocalFs::fallocate,
                   {.node = file, .handle = handle, .offset = 0, .length = 3 << 20, .mode = 0}));
  EXPECT_EQ(std::filesystem::file_size(share / "sparse"), 3u << 20);
}

TEST_P(LocalFsTest, RangeIsCopiedOnTheHost) {
  host_write("from", "0123456789");
  host_write("to", "..........");
  const NodeId from = node("from");
  const NodeId to = node("to");
  const Result<fuse::CopyFileRangeOut> out =
      call(&LocalFs::copy_file_range, {.node_in = from,
                                       .handle_in = open(from, O_RDONLY),
                                       .offset_in = 2,
                                       .node_out = to,
                                       .handle_out = open(to, O_WRONLY),
                                       .offset_out = 4,
                                       .length = 3,
                                       .flags = 0});
  ASSERT_TRUE(out) << describe(out.error());
  EXPECT_EQ(out->bytes_copied, 3u);
  EXPECT_EQ(host_read("to"), "....234...");
}

TEST_P(LocalFsTest, SyncsAndFlushesAnswer) {
  host_write("file", "");
  const NodeId file = node("file");
  const Handle handle = open(file);
  write(file, handle, 0, "x");
  EXPECT_TRUE(call(&LocalFs::flush, {.node = file, .handle = handle}));
  EXPECT_TRUE(call(&LocalFs::fsync, {.node = file, .handle = handle, .data_only = false}));
  EXPECT_TRUE(call(&LocalFs::fsync, {.node = file, .handle = handle, .data_only = true}));
  const Handle directory = open_directory(NodeId::root);
  EXPECT_TRUE(call(&LocalFs::fsyncdir, {.node = NodeId::root, .handle = directory}));
  EXPECT_TRUE(call(&LocalFs::syncfs, {.node = NodeId::root}));
  EXPECT_EQ(call(&LocalFs::fsync, {.node = file, .handle = Handle{5}}).error(), Errno::badf);
}

TEST_P(LocalFsTest, EndForgetsEverythingAndASecondSessionBegins) {
  host_write("file", "text");
  const NodeId file = node("file");
  open(file);
  on_reactor([&] { fs().end(); });
  EXPECT_EQ(fs().nodes(), 1u);
  EXPECT_EQ(fs().open_files(), 0u);
  EXPECT_EQ(fs().descriptors(), 1u);
  const NodeId again = node("file");
  EXPECT_EQ(read(again, open(again, O_RDONLY), 0, 10), "text");
}

}  // namespace
}  // namespace dpfs::local
