// SPDX-License-Identifier: Apache-2.0
// Messages that lie: about their length, their names, their sizes. Through a session, as they come.
#include "fuse/decode.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "fuse/fake_filesystem.h"
#include "fuse/fake_message.h"
#include "fuse/session.h"

namespace dpfs {
namespace {

using fuse::Opcode;
namespace init_flag = fuse::init_flag;

class Decoding : public testing::Test {
 protected:
  void SetUp() override { begin(linux_init()); }
  void begin(const fuse::InitIn& in) {
    session_.queues_stopped();
    FakeMessage init(Opcode::init, bytes_of(in));
    ASSERT_EQ(init.serve(session_).error(), Errno::none);
    file_ = open(2, Opcode::open);
    directory_ = open(1, Opcode::opendir);
    fs_.calls = 0;
  }
  uint64_t open(uint64_t node, Opcode opcode) {
    FakeMessage message(opcode, bytes_of(fuse::OpenIn{}), node);
    EXPECT_EQ(message.serve(session_).error(), Errno::none);
    return message.reply<fuse::OpenOut>().fh;
  }
  Errno answer_to(Opcode opcode, std::string args, uint64_t node = 1) {
    return FakeMessage(opcode, std::move(args), node).serve(session_).error();
  }
  Errno lookup(const std::string& raw_name) { return answer_to(Opcode::lookup, raw_name); }

  FakeFileSystem fs_;
  SessionCounters counters_;
  Session session_{fs_, "test", {}, counters_};
  uint64_t file_ = 0;
  uint64_t directory_ = 0;
};

// ---- Lengths ------------------------------------------------------------------------------------

TEST_F(Decoding, MessageShorterThanAHeaderIsRefused) {
  for (size_t size = 0; size < sizeof(fuse::InHeader); ++size) {
    FakeMessage message(Opcode::statfs);
    message.sent_max = size;
    message.serve(session_);
    ASSERT_TRUE(message.answered());
    EXPECT_EQ(message.reply_header().error, -EINVAL) << size;
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, LengthLongerThanTheMessageIsRefused) {
  for (const uint32_t says : {41u, 4096u, UINT32_MAX}) {
    FakeMessage message(Opcode::statfs);
    EXPECT_EQ(message.says(says).serve(session_).error(), Errno::inval) << says;
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, LengthShorterThanAHeaderIsRefused) {
  for (const uint32_t says : {0u, 1u, 39u}) {
    FakeMessage message(Opcode::statfs);
    EXPECT_EQ(message.says(says).serve(session_).error(), Errno::inval) << says;
  }
}

TEST_F(Decoding, LengthThatEndsInTheArgumentsIsRefused) {
  FakeMessage message(Opcode::lookup, text_of("file"));
  EXPECT_EQ(message.says(sizeof(fuse::InHeader) + 4).serve(session_).error(), Errno::inval);
}

TEST_F(Decoding, ExtensionsLongerThanTheMessageAreRefused) {
  FakeMessage message(Opcode::lookup, text_of("file"));
  message.header.total_extlen = 1;
  EXPECT_EQ(message.serve(session_).error(), Errno::inval);
}

TEST_F(Decoding, ExtensionsAreNotTakenForArguments) {
  FakeMessage message(Opcode::lookup, text_of("file") + std::string(8, 'x'));
  message.header.total_extlen = 1;
  EXPECT_EQ(message.serve(session_).error(), Errno::none);
}

TEST_F(Decoding, ArgumentsThatEndEarlyReachNoFileSystem) {
  for (const SampleMessage& sample : sample_messages(file_, directory_)) {
    for (size_t size = 0; size < sample.args.size(); ++size) {
      const Errno why = answer_to(sample.opcode, sample.args.substr(0, size), sample.node);
      EXPECT_EQ(why, Errno::inval) << static_cast<int>(sample.opcode) << " " << size;
    }
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, BytesBehindTheLastNameAreRefused) {
  for (const SampleMessage& sample : sample_messages(file_, directory_)) {
    if (sample.args.empty() || sample.args.back() != '\0') continue;
    if (sample.args.find("file") == std::string::npos) continue;
    EXPECT_EQ(answer_to(sample.opcode, sample.args + "x", sample.node), Errno::inval)
        << static_cast<int>(sample.opcode);
  }
  EXPECT_EQ(fs_.calls, 0u);
}

// ---- Extensions ---------------------------------------------------------------------------------

std::string padded(std::string bytes) {
  bytes.resize(fuse::record_align(bytes.size()));
  return bytes;
}
// As Linux lays it out: fs/fuse/dir.c, get_security_context().
std::string context(const std::string& name, const std::string& value, uint32_t count = 1) {
  const std::string body = padded(
      bytes_of(fuse::Secctx{.size = static_cast<uint32_t>(value.size())}) + text_of(name) + value);
  return bytes_of(fuse::SecctxHeader{static_cast<uint32_t>(8 + body.size()), count}) + body;
}
std::string groups(std::vector<uint32_t> ids) {
  std::string body = bytes_of(fuse::SuppGroups{static_cast<uint32_t>(ids.size())});
  for (const uint32_t id : ids) body += bytes_of(id);
  const auto size = static_cast<uint32_t>(sizeof(fuse::ExtHeader) + body.size());
  return padded(bytes_of(fuse::ExtHeader{size, static_cast<uint32_t>(fuse::ExtType::groups)}) +
                body);
}

class Extensions : public Decoding {
 protected:
  Errno mkdir_with(const std::string& extensions) {
    FakeMessage message(Opcode::mkdir,
                        bytes_of(fuse::MkdirIn{}) + text_of("d") + padding_ + extensions);
    message.header.total_extlen = static_cast<uint16_t>(extensions.size() / 8);
    return message.serve(session_).error();
  }
  // Linux pads what lies before the extensions by nothing: the name may end anywhere.
  std::string padding_;
};

TEST_F(Extensions, SecurityLabelComesWithWhatIsMade) {
  EXPECT_EQ(mkdir_with(context("security.selinux", "a label")), Errno::none);
  EXPECT_EQ(fs_.last_context_name, "security.selinux");
  EXPECT_EQ(fs_.last_context, "a label");
}

TEST_F(Extensions, SupplementaryGroupComesWithWhatIsMade) {
  EXPECT_EQ(mkdir_with(groups({42})), Errno::none);
  EXPECT_EQ(fs_.last_group, 42u);
  EXPECT_EQ(fs_.last_context_name, "");
}

TEST_F(Extensions, BothComeInOneMessage) {
  EXPECT_EQ(mkdir_with(context("security.selinux", "l") + groups({7})), Errno::none);
  EXPECT_EQ(fs_.last_group, 7u);
  EXPECT_EQ(fs_.last_context, "l");
}

TEST_F(Extensions, ThoseOfThePreviousMessageAreForgotten) {
  EXPECT_EQ(mkdir_with(context("security.selinux", "l") + groups({7})), Errno::none);
  EXPECT_EQ(mkdir_with(""), Errno::none);
  EXPECT_EQ(fs_.last_group, Creation::kNoGroup);
  EXPECT_EQ(fs_.last_context_name, "");
}

TEST_F(Extensions, LabelThatIsEmptyOnPurposeIsNone) {
  EXPECT_EQ(mkdir_with(bytes_of(fuse::SecctxHeader{8, 0})), Errno::none);
  EXPECT_EQ(fs_.last_context_name, "");
}

TEST_F(Extensions, WhatWasNotAgreedOnIsLeftOut) {
  fuse::InitIn in = linux_init();
  in.flags2 = 0;
  begin(in);
  EXPECT_EQ(mkdir_with(context("security.selinux", "l") + groups({7})), Errno::none);
  EXPECT_EQ(fs_.last_group, Creation::kNoGroup);
  EXPECT_EQ(fs_.last_context_name, "");
}

TEST_F(Extensions, LyingSizesAreRefused) {
  std::string long_label = context("security.selinux", "label");
  long_label[8] = 100;  // Secctx::size
  EXPECT_EQ(mkdir_with(long_label), Errno::inval);
  std::string long_header = context("security.selinux", "label");
  long_header[0] = 127;
  EXPECT_EQ(mkdir_with(long_header), Errno::inval);
  std::string no_size = groups({7});
  no_size[0] = 0;
  EXPECT_EQ(mkdir_with(no_size), Errno::inval);
  std::string many = groups({7});
  many[8] = 9;
  EXPECT_EQ(mkdir_with(many), Errno::inval);
  EXPECT_EQ(mkdir_with(context(std::string(300, 'n'), "l")), Errno::inval);
  EXPECT_EQ(mkdir_with(context("", "l")), Errno::inval);
  EXPECT_EQ(mkdir_with(context("security.selinux", "l", 2)), Errno::inval);
  EXPECT_EQ(fs_.calls, 0u);
}

// ---- Locks, dots, and what is longer than it seems
// ------------------------------------------------

TEST_F(Decoding, LocksThatCannotBeAreRefused) {
  const auto answer = [&](fuse::FileLock lock) {
    return answer_to(Opcode::setlk, bytes_of(fuse::LkIn{.fh = file_, .lk = lock}), 2);
  };
  EXPECT_EQ(answer({.start = 0, .end = INT64_MAX, .type = F_WRLCK}), Errno::none);
  EXPECT_EQ(answer({.start = 5, .end = 4, .type = F_WRLCK}), Errno::inval);
  EXPECT_EQ(answer({.start = 0, .end = UINT64_MAX, .type = F_WRLCK}), Errno::inval);
  EXPECT_EQ(answer({.start = 0, .end = 9, .type = 3}), Errno::inval);
}

TEST_F(Decoding, DotsAreLookedUpForExportOnly) {
  EXPECT_EQ(lookup(text_of(".")), Errno::noent);  // the file system was asked
  EXPECT_EQ(lookup(text_of("..")), Errno::noent);
  EXPECT_EQ(answer_to(Opcode::mkdir, bytes_of(fuse::MkdirIn{}) + text_of("..")), Errno::inval);
  fuse::InitIn in = linux_init();
  in.flags &= ~static_cast<uint32_t>(init_flag::kExportSupport);
  begin(in);
  EXPECT_EQ(lookup(text_of(".")), Errno::inval);
  EXPECT_EQ(lookup(text_of("..")), Errno::inval);
}

TEST_F(Decoding, IoctlAnswersItsResultAndItsBytes) {
  FakeMessage message(Opcode::ioctl,
                      bytes_of(fuse::IoctlIn{.fh = file_, .in_size = 5, .out_size = 5}) + "bytes",
                      2);
  ASSERT_EQ(message.serve(session_).error(), Errno::none);
  EXPECT_EQ(message.reply<fuse::IoctlOut>().result, 7);
  EXPECT_EQ(message.payload().substr(sizeof(fuse::IoctlOut)), "bytes");
}

TEST_F(Decoding, IoctlLargerThanItsRoomIsRefused) {
  FakeMessage message(Opcode::ioctl, bytes_of(fuse::IoctlIn{.fh = file_, .out_size = 8}), 2);
  message.room(sizeof(fuse::OutHeader) + sizeof(fuse::IoctlOut) + 7);
  EXPECT_EQ(message.serve(session_).error(), Errno::inval);
}

TEST_F(Decoding, CopiesOfBothWidthsSayHowMuch) {
  const fuse::CopyFileRangeIn in{.fh_in = file_, .len = uint64_t{5} << 32};
  FakeMessage narrow(Opcode::copy_file_range, bytes_of(in), 2);
  ASSERT_EQ(narrow.serve(session_).error(), Errno::none);
  EXPECT_EQ(narrow.reply<fuse::WriteOut>().size, 0xfffff000u);
  FakeMessage wide(Opcode::copy_file_range_64, bytes_of(in), 2);
  ASSERT_EQ(wide.serve(session_).error(), Errno::none);
  EXPECT_EQ(wide.reply<fuse::CopyFileRangeOut>().bytes_copied, uint64_t{5} << 32);
}

// ---- Names --------------------------------------------------------------------------------------

TEST_F(Decoding, PlainNameIsTaken) {
  EXPECT_EQ(lookup(text_of("file")), Errno::none);
  EXPECT_EQ(fs_.last_name, "file");
}

TEST_F(Decoding, NameMayHaveAnyOtherByte) {
  const std::string odd = "\xff\x01 \n\\...";
  EXPECT_EQ(lookup(text_of(odd)), Errno::noent);
  EXPECT_EQ(fs_.last_name, odd);
}

TEST_F(Decoding, NameOf255BytesIsTakenAndOf256IsTooLong) {
  EXPECT_EQ(lookup(text_of(std::string(255, 'n'))), Errno::noent);
  EXPECT_EQ(fs_.last_name.size(), 255u);
  EXPECT_EQ(lookup(text_of(std::string(256, 'n'))), Errno::nametoolong);
  EXPECT_EQ(lookup(text_of(std::string(5000, 'n'))), Errno::nametoolong);
  EXPECT_EQ(fs_.calls, 1u);
}

TEST_F(Decoding, NameThatLeavesItsDirectoryIsRefused) {
  fuse::InitIn in = linux_init();
  in.flags &= ~static_cast<uint32_t>(init_flag::kExportSupport);
  begin(in);
  for (const char* name : {".", "..", "/", "a/b", "../a", "a/", "/a", "a/.."}) {
    EXPECT_EQ(lookup(text_of(name)), Errno::inval) << name;
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, NameWithANulInsideIsRefused) {
  EXPECT_EQ(lookup(std::string("fi\0le\0", 6)), Errno::inval);
  EXPECT_EQ(lookup(std::string("file\0\0", 6)), Errno::inval);
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, EmptyNameIsRefused) {
  EXPECT_EQ(lookup(""), Errno::inval);
  EXPECT_EQ(lookup(text_of("")), Errno::inval);
}

TEST_F(Decoding, NameWithoutItsNulIsRefused) {
  EXPECT_EQ(lookup("file"), Errno::inval);
  EXPECT_EQ(lookup(std::string(255, 'n')), Errno::inval);
}

TEST_F(Decoding, EveryOperationWithANameChecksIt) {
  const std::string bad = text_of("..");
  EXPECT_EQ(answer_to(Opcode::mknod, bytes_of(fuse::MknodIn{}) + bad), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::mkdir, bytes_of(fuse::MkdirIn{}) + bad), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::symlink, bad + text_of("target")), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::unlink, bad), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::rmdir, bad), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::link, bytes_of(fuse::LinkIn{2}) + bad), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::create, bytes_of(fuse::CreateIn{}) + bad), Errno::inval);
  const std::string good = text_of("file");
  EXPECT_EQ(answer_to(Opcode::rename, bytes_of(fuse::RenameIn{1}) + bad + good), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::rename, bytes_of(fuse::RenameIn{1}) + good + bad), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::rename2, bytes_of(fuse::Rename2In{1}) + good + bad), Errno::inval);
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, BothNamesOfARenameMayBeAsLongAsNamesAre) {
  const std::string longest = text_of(std::string(255, 'n'));
  EXPECT_EQ(answer_to(Opcode::rename2, bytes_of(fuse::Rename2In{1}) + longest + longest),
            Errno::none);
}

TEST_F(Decoding, SymlinkTargetMayHaveSlashesAndAnyLengthOfAPath) {
  EXPECT_EQ(answer_to(Opcode::symlink, text_of("l") + text_of("../../etc/passwd")), Errno::none);
  EXPECT_EQ(fs_.last_target, "../../etc/passwd");
  const std::string longest(4095, 't');
  EXPECT_EQ(answer_to(Opcode::symlink, text_of(std::string(255, 'n')) + text_of(longest)),
            Errno::none);
  EXPECT_EQ(fs_.last_target, longest);
  EXPECT_EQ(fs_.last_name.size(), 255u);
}

TEST_F(Decoding, SymlinkTargetThatIsTooLongOrEmptyIsRefused) {
  EXPECT_EQ(answer_to(Opcode::symlink, text_of("l") + text_of(std::string(4096, 't'))),
            Errno::nametoolong);
  EXPECT_EQ(answer_to(Opcode::symlink, text_of("l") + text_of("")), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::symlink, text_of("l")), Errno::inval);
  EXPECT_EQ(answer_to(Opcode::symlink, text_of("l") + "target"), Errno::inval);
  EXPECT_EQ(fs_.calls, 0u);
}

// ---- Sizes --------------------------------------------------------------------------------------

TEST_F(Decoding, ReadLargerThanAgreedOnIsRefused) {
  for (const uint32_t size : {(1u << 20) + 1, UINT32_MAX}) {
    FakeMessage message(Opcode::read, bytes_of(fuse::ReadIn{.fh = file_, .size = size}), 2);
    EXPECT_EQ(message.room(2 << 20).serve(session_).error(), Errno::inval) << size;
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, LargestReadIsServed) {
  FakeMessage message(Opcode::read, bytes_of(fuse::ReadIn{.fh = file_, .size = 1u << 20}), 2);
  EXPECT_EQ(message.room(sizeof(fuse::OutHeader) + (1 << 20)).serve(session_).error(), Errno::none);
}

TEST_F(Decoding, WriteWhoseSizeLiesIsRefused) {
  for (const uint32_t size : {0u, 31u, 33u, UINT32_MAX}) {
    EXPECT_EQ(
        answer_to(Opcode::write,
                  bytes_of(fuse::WriteIn{.fh = file_, .size = size}) + std::string(32, 'w'), 2),
        Errno::inval)
        << size;
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, WriteLargerThanAgreedOnIsRefused) {
  constexpr uint32_t kSize = (1 << 20) + 1;
  EXPECT_EQ(
      answer_to(Opcode::write,
                bytes_of(fuse::WriteIn{.fh = file_, .size = kSize}) + std::string(kSize, 'w'), 2),
      Errno::inval);
}

TEST_F(Decoding, WriteOfNothingIsServed) {
  EXPECT_EQ(answer_to(Opcode::write, bytes_of(fuse::WriteIn{.fh = file_}), 2), Errno::none);
}

// preadv2() and io_uring take an offset of -1 for "where the file stands".
TEST_F(Decoding, OffsetThatIsNoFileOffsetIsRefused) {
  for (const uint64_t offset : {uint64_t{1} << 63, UINT64_MAX}) {
    const fuse::ReadIn read{.fh = file_, .offset = offset, .size = 16};
    EXPECT_EQ(answer_to(Opcode::read, bytes_of(read), 2), Errno::inval) << offset;
    const fuse::WriteIn write{.fh = file_, .offset = offset, .size = 5};
    EXPECT_EQ(answer_to(Opcode::write, bytes_of(write) + "bytes", 2), Errno::inval) << offset;
  }
  EXPECT_EQ(fs_.calls, 0u);
}

TEST_F(Decoding, XattrValueWhoseSizeLiesIsRefused) {
  for (const uint32_t size : {0u, 4u, 6u}) {
    EXPECT_EQ(answer_to(Opcode::setxattr,
                        bytes_of(fuse::SetxattrIn{.size = size}) + text_of("n") + "value"),
              Errno::inval)
        << size;
  }
  EXPECT_EQ(answer_to(Opcode::setxattr,
                      bytes_of(fuse::SetxattrIn{.size = UINT32_MAX}) + text_of("n") + "value"),
            Errno::toobig);
}

TEST_F(Decoding, XattrNameThatIsTooLongIsOutOfRange) {
  EXPECT_EQ(answer_to(Opcode::removexattr, text_of(std::string(256, 'n'))), Errno::range);
}

TEST_F(Decoding, XattrNameMayHaveASlash) {
  EXPECT_EQ(answer_to(Opcode::removexattr, text_of("user.a/..")), Errno::none);
}

TEST_F(Decoding, SetxattrHasItsOldSizeUnlessTheNewOneWasAgreedOn) {
  fuse::InitIn in = linux_init();
  in.flags &= ~static_cast<uint32_t>(init_flag::kSetxattrExt);
  begin(in);
  const std::string compat =
      bytes_of(fuse::SetxattrIn{.size = 5}).substr(0, fuse::kSetxattrInCompatSize);
  EXPECT_EQ(answer_to(Opcode::setxattr, compat + text_of("user.x") + "value"), Errno::none);
}

TEST_F(Decoding, XattrRoomOfMoreThanThereCanBeIsCut) {
  FakeMessage message(Opcode::getxattr,
                      bytes_of(fuse::GetxattrIn{.size = UINT32_MAX}) + text_of("user.x"), 2);
  EXPECT_EQ(message.room(70000).serve(session_).error(), Errno::none);
}

}  // namespace
}  // namespace dpfs
