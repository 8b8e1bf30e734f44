// SPDX-License-Identifier: Apache-2.0
// Names, attributes and contents, as a server sees what a tenant does.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"
#include "fuse/dirent_writer.h"

namespace dpfs::nfs {

namespace {

class NfsNames : public testing::Test, public NfsFsHarness {
 protected:
  explicit NfsNames(responder::Options of_server = {}, const NfsOptions& options = {})
      : NfsFsHarness(of_server, options) {}
  void become(uint32_t uid, uint32_t gid) {
    request().header.uid = uid;
    request().header.gid = gid;
  }
  Result<Unit> unlink(std::string_view name) {
    return call(&NfsFs::unlink, {.parent = NodeId::root, .name = name_of(name)});
  }
  Result<Unit> rename(std::string_view from, std::string_view to, uint32_t flags = 0) {
    return call(&NfsFs::rename2, {.parent = NodeId::root,
                                  .name = name_of(from),
                                  .new_parent = NodeId::root,
                                  .new_name = name_of(to),
                                  .flags = flags});
  }
};

TEST_F(NfsNames, WhoAsksIsToldToTheServer) {
  become(1000, 100);
  put("file", "");
  node("file");
  const responder::Seen last = server.seen().back();
  EXPECT_EQ(last.credential.uid, 1000u);
  EXPECT_EQ(last.credential.gid, 100u);
  EXPECT_EQ(last.credential.flavor, 1u);
}

TEST_F(NfsNames, WhatIsMadeIsItsMakers) {
  server.with([](responder::World& world) { world.tree.at(kExport)->mode = 0777; });
  become(1000, 100);
  const Result<fuse::EntryOut> made = call(
      &NfsFs::mkdir, {.parent = NodeId::root, .name = name_of("dir"), .mode = 0777, .umask = 022});
  ASSERT_TRUE(made) << describe(made.error());
  EXPECT_EQ(made->attr.mode, static_cast<uint32_t>(S_IFDIR | 0755));
  EXPECT_EQ(made->attr.uid, 1000u);
  EXPECT_EQ(made->attr.gid, 100u);
}

TEST_F(NfsNames, ModesAreTheServersToEnforce) {
  put("file", "secret");
  server.with([](responder::World& world) { world.tree.at(path("file"))->mode = 0600; });
  const NodeId file = node("file");
  become(1000, 100);
  EXPECT_EQ(try_open(file, O_RDONLY).error(), Errno::acces);
  EXPECT_EQ(call(&NfsFs::access, {.node = file, .mask = R_OK}).error(), Errno::acces);
  EXPECT_EQ(unlink("file").error(), Errno::acces);
}

TEST_F(NfsNames, EveryEntryIsListedOnceWhateverTheRoom) {
  std::set<std::string> expected{".", ".."};
  for (int i = 0; i < 500; ++i) {
    const std::string name = "entry-" + std::to_string(i) + std::string(i % 50, 'n');
    put("dir/" + name, "");
    expected.insert(name);
  }
  const NodeId directory = node("dir");
  for (const bool plus : {false, true}) {
    for (const size_t room : {512u, 4096u, 65536u}) {
      const std::vector<std::string> names = list(directory, plus, room);
      EXPECT_EQ(names.size(), expected.size()) << room;
      EXPECT_TRUE(std::set(names.begin(), names.end()) == expected) << room;
    }
  }
}

TEST_F(NfsNames, AFileThatIsRemovedWhileItIsOpenIsThereUntilItIsClosed) {
  const File file = open_file("file", "contents");
  ASSERT_TRUE(unlink("file"));
  EXPECT_FALSE(server.exists(path("file")));
  EXPECT_EQ(look_up(NodeId::root, "file").error(), Errno::noent);
  EXPECT_EQ(read(file, 0, 100), "contents");
  EXPECT_EQ(write(file, 0, "CONTENTS"), 8u);
  const std::vector<std::string> names = list(NodeId::root, true, 4096);
  EXPECT_EQ(names, (std::vector<std::string>{".", ".."}));
  const Result<fuse::AttrOut> attributes = call(&NfsFs::getattr, {.node = file.node});
  ASSERT_TRUE(attributes);
  EXPECT_EQ(attributes->attr.nlink, 0u);
  release(file);
  size_t regular = 0;
  server.with([&](responder::World& world) {
    for (uint64_t fileid = 1; fileid < 100; ++fileid) {
      const responder::NodePointer node = world.tree.find(fileid);
      if (node != nullptr && node->is_regular()) ++regular;
    }
  });
  EXPECT_EQ(regular, 0u);
}

TEST_F(NfsNames, AFileThatIsReplacedWhileItIsOpenIsThereUntilItIsClosed) {
  const File file = open_file("file", "old");
  put("new", "new");
  node("new");
  ASSERT_TRUE(rename("new", "file"));
  EXPECT_EQ(read(file, 0, 100), "old");
  EXPECT_EQ(NfsFsHarness::on_server("file"), "new");
  release(file);
}

TEST_F(NfsNames, OfAFileWithTwoNamesOneIsSimplyRemoved) {
  const File file = open_file("file", "contents");
  ASSERT_TRUE(call(&NfsFs::link,
                   {.node = file.node, .new_parent = NodeId::root, .new_name = name_of("second")}));
  ASSERT_TRUE(unlink("file"));
  EXPECT_EQ(server.executed(Operation::rename), 0u);
  EXPECT_EQ(read(file, 0, 100), "contents");
  release(file);
}

TEST_F(NfsNames, WhatSomebodyElseRemovesIsStale) {
  const File file = open_file("file", "contents");
  server.remove(path("file"));
  EXPECT_EQ(read_error(file), Errno::stale);
  EXPECT_EQ(call(&NfsFs::getattr, {.node = file.node}).error(), Errno::stale);
  release_anyhow(file);
}

TEST_F(NfsNames, WhatSomebodyElseWroteIsReadAfterOpening) {
  const File file = open_file("file", "before");
  EXPECT_EQ(read(file, 0, 100), "before");
  release(file);
  put("file", "afterwards");
  const Handle again = open(file.node);
  EXPECT_EQ(read({file.node, again}, 0, 100), "afterwards");
  release(file.node, again);
}

TEST_F(NfsNames, TheKernelsCacheIsKeptOnlyWhereNothingHasChanged) {
  put("file", "contents");
  const NodeId file = node("file");
  const auto keeps = [&] {
    const Result<fuse::OpenOut> opened = try_open(file, O_RDONLY);
    EXPECT_TRUE(opened);
    release(file, Handle{opened->fh});
    return (opened->open_flags & fuse::open_flag::kKeepCache) != 0;
  };
  keeps();
  EXPECT_TRUE(keeps());
  put("file", "others");
  EXPECT_FALSE(keeps());
  EXPECT_TRUE(keeps());
}

TEST_F(NfsNames, AppendingGoesToTheEndThatTheServerHas) {
  const File file = open_file("file", "one");
  put("file", "one two");
  write(file, 0, " three", O_APPEND);
  EXPECT_EQ(NfsFsHarness::on_server("file"), "one two three");
  release(file);
}

TEST_F(NfsNames, TruncationByOpenAndBySetattr) {
  put("file", "contents");
  const NodeId file = node("file");
  const Handle handle = open(file, O_RDWR | O_TRUNC);
  EXPECT_EQ(NfsFsHarness::on_server("file"), "");
  fuse::SetattrIn in{};
  in.valid = fuse::attr_valid::kSize;
  in.size = 5;
  const Result<fuse::AttrOut> set = call(&NfsFs::setattr, {.node = file, .in = in});
  ASSERT_TRUE(set) << describe(set.error());
  EXPECT_EQ(set->attr.size, 5u);
  EXPECT_EQ(NfsFsHarness::on_server("file"), std::string(5, '\0'));
  release(file, handle);
}

TEST_F(NfsNames, LinksAndSpecialFilesAreWhatTheyWereMadeAs) {
  const std::string target = "somewhere/else";
  const Result<fuse::EntryOut> link =
      call(&NfsFs::symlink, {.parent = NodeId::root,
                             .name = name_of("link"),
                             .target = target.c_str(),
                             .target_size = static_cast<uint16_t>(target.size())});
  ASSERT_TRUE(link) << describe(link.error());
  EXPECT_EQ(link->attr.mode & S_IFMT, static_cast<uint32_t>(S_IFLNK));
  std::string text(100, '\0');
  const iovec part{text.data(), text.size()};
  const Result<uint32_t> bytes =
      call(&NfsFs::readlink, {.node = NodeId{link->nodeid}, .into = IoView({&part, 1})});
  ASSERT_TRUE(bytes);
  EXPECT_EQ(text.substr(0, *bytes), target);
  const Result<fuse::EntryOut> pipe = call(
      &NfsFs::mknod, {.parent = NodeId::root, .name = name_of("pipe"), .mode = S_IFIFO | 0644});
  ASSERT_TRUE(pipe) << describe(pipe.error());
  EXPECT_EQ(pipe->attr.mode & S_IFMT, static_cast<uint32_t>(S_IFIFO));
}

TEST_F(NfsNames, DirectoriesAreRemovedWhenTheyAreEmpty) {
  put("dir/file", "");
  const NodeId directory = node("dir");
  const auto rmdir = [&] {
    return call(&NfsFs::rmdir, {.parent = NodeId::root, .name = name_of("dir")}).error();
  };
  EXPECT_EQ(rmdir(), Errno::notempty);
  ASSERT_TRUE(call(&NfsFs::unlink, {.parent = directory, .name = name_of("file")}));
  EXPECT_EQ(rmdir(), Errno::none);
}

TEST_F(NfsNames, RenamingWithFlagsThatNfsDoesNotHaveIsRefused) {
  put("one", "1");
  put("two", "2");
  for (const unsigned flags : {RENAME_EXCHANGE, RENAME_NOREPLACE}) {
    EXPECT_FALSE(rename("one", "two", flags));
  }
  EXPECT_EQ(NfsFsHarness::on_server("two"), "2");
}

TEST_F(NfsNames, NamesThatAreTooLongForTheServerAreToldSo) {
  const std::string name(256, 'n');
  EXPECT_EQ(look_up(NodeId::root, name).error(), Errno::nametoolong);
}

TEST_F(NfsNames, SpaceOfTheServerIsTold) {
  const Result<fuse::StatfsOut> out = call(&NfsFs::statfs, {.node = NodeId::root});
  ASSERT_TRUE(out) << describe(out.error());
  EXPECT_EQ(out->st.blocks * out->st.frsize, uint64_t{1} << 40);
  EXPECT_EQ(out->st.namelen, 255u);
}

TEST_F(NfsNames, HolesAreFoundAndMade) {
  const File file = open_file("file", std::string(4 * 4096, 'x'));
  ASSERT_TRUE(
      call(&NfsFs::fallocate,
           {.node = file.node, .handle = file.handle, .offset = 4096, .length = 4096, .mode = 3}));
  const auto seek = [&](uint64_t offset, uint32_t whence) {
    const Result<fuse::LseekOut> out =
        call(&NfsFs::lseek,
             {.node = file.node, .handle = file.handle, .offset = offset, .whence = whence});
    return out ? out->offset : UINT64_MAX;
  };
  EXPECT_EQ(seek(0, SEEK_HOLE), 4096u);
  EXPECT_EQ(seek(4096, SEEK_DATA), 8192u);
  EXPECT_EQ(seek(8192, SEEK_HOLE), 4u * 4096);
  EXPECT_EQ(seek(5 * 4096, SEEK_DATA), UINT64_MAX);
  release(file);
}

TEST_F(NfsNames, CopiesAreMadeByTheServerAndStored) {
  const File from = open_file("from", "0123456789");
  const File to = open_file("to", "");
  server.shorten({.operation = Operation::copy}, 4);
  const auto copy = [&](uint64_t from_offset, uint64_t to_offset, uint64_t length) {
    return call(&NfsFs::copy_file_range, {.node_in = from.node,
                                          .handle_in = from.handle,
                                          .offset_in = from_offset,
                                          .node_out = to.node,
                                          .handle_out = to.handle,
                                          .offset_out = to_offset,
                                          .length = length,
                                          .flags = 0});
  };
  Result<fuse::CopyFileRangeOut> copied = copy(0, 0, 10);
  ASSERT_TRUE(copied) << describe(copied.error());
  EXPECT_EQ(copied->bytes_copied, 4u);
  copied = copy(4, 4, 6);
  ASSERT_TRUE(copied) << describe(copied.error());
  EXPECT_EQ(server.stable_contents(path("to")), "0123456789");
  release(from);
  release(to);
}

TEST_F(NfsNames, ExclusiveCreationWithoutTheServersHelpIsGuarded) {
  server.answer({.operation = Operation::open}, Status::notsupp);
  const Result<CreateOut> created = create("file", O_RDWR | O_CREAT | O_EXCL);
  ASSERT_TRUE(created) << describe(created.error());
  EXPECT_EQ(created->entry.attr.mode, static_cast<uint32_t>(S_IFREG | 0644));
  release({NodeId{created->entry.nodeid}, Handle{created->open.fh}});
}

class NfsSmallTransfers : public NfsNames {
 protected:
  NfsSmallTransfers() : NfsNames({.read_bytes_max = 8192, .write_bytes_max = 8192}) {}
};

TEST_F(NfsSmallTransfers, LargeOnesAreCutAsTheServerWantsThem) {
  std::string contents(100'000, '\0');
  for (size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<char>(i * 13 / 11);
  const File file = open_file("file", "");
  EXPECT_EQ(write(file, 0, contents), contents.size());
  EXPECT_TRUE(NfsFsHarness::on_server("file") == contents);
  EXPECT_TRUE(read(file, 0, contents.size()) == contents);
  EXPECT_GE(server.executed(Operation::read), 13u);
  release(file);
}

class NfsLongHandles : public NfsNames {
 protected:
  NfsLongHandles() : NfsNames({.handle_bytes = 128}) {}
};

TEST_F(NfsLongHandles, AreGivenBackAsTheyAre) {
  const File file = open_file("file", "contents");
  EXPECT_EQ(read(file, 0, 100), "contents");
  put("new", "new");
  ASSERT_TRUE(rename("new", "file"));
  release(file);
  for (int i = 0; i < 50; ++i) put("dir/" + std::to_string(i), "");
  EXPECT_EQ(list(node("dir"), true, 4096).size(), 52u);
}

}  // namespace

}  // namespace dpfs::nfs
