// SPDX-License-Identifier: Apache-2.0
// FUSE messages for tests: built piece by piece, cut into any parts, and what came back.
#pragma once

#include <fcntl.h>
#include <sys/uio.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "fuse/request.h"
#include "fuse/session.h"

namespace dpfs {

template <class T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
inline std::string text_of(std::string_view text) { return std::string(text) + '\0'; }

// One message and its reply. Ends the test program where it is answered twice.
class FakeMessage final : private ReplySink {
 public:
  explicit FakeMessage(fuse::Opcode opcode, std::string args = {}, uint64_t node = 1)
      : FakeMessage(static_cast<uint32_t>(opcode), std::move(args), node) {}
  FakeMessage(uint32_t opcode, std::string args, uint64_t node) : args(std::move(args)) {
    header.opcode = opcode;
    header.nodeid = node;
    header.unique = 0x1122334455667788;
    header.len = static_cast<uint32_t>(sizeof header + this->args.size());
  }

  fuse::InHeader header{};
  std::string args;
  size_t reply_room = 8192;  // OutHeader included
  size_t sent_max = SIZE_MAX;
  // How the two sides are cut: pieces of these sizes over and over; none: one piece.
  std::vector<size_t> in_cut;
  std::vector<size_t> out_cut;

  FakeMessage& room(size_t bytes) {
    reply_room = bytes;
    return *this;
  }
  // `header.len` says so many bytes, whatever is sent.
  FakeMessage& says(uint32_t bytes) {
    header.len = bytes;
    return *this;
  }
  FakeMessage& serve(Session& session) {
    lay_out();
    session.serve(request_);
    return *this;
  }
  // Once more, as a steady state has it: nothing is laid out again.
  void serve_again(Session& session) {
    answered_ = false;
    written_ = 0;
    request_.in = IoView(in_parts_);
    request_.out = IoView(out_parts_);
    session.serve(request_);
  }

  bool answered() const { return answered_; }
  uint32_t written() const { return written_; }
  fuse::OutHeader reply_header() const {
    fuse::OutHeader out{};
    std::memcpy(&out, reply_.data(), std::min<size_t>(sizeof out, reply_.size()));
    return out;
  }
  // The error of a well-formed reply; EPROTO where it is none.
  Errno error() const {
    if (!answered_ || written_ < sizeof(fuse::OutHeader)) return Errno::proto;
    const fuse::OutHeader out = reply_header();
    const bool well_formed = out.len == written_ && out.len <= reply_room &&
                             out.unique == header.unique && out.error <= 0 && out.error > -4096 &&
                             (out.error == 0 || out.len == sizeof out);
    return well_formed ? to_errno(-out.error) : Errno::proto;
  }
  template <class T>
  T reply() const {
    T value{};
    DPFS_ASSERT(written_ >= sizeof(fuse::OutHeader) + sizeof value);
    std::memcpy(&value, reply_.data() + sizeof(fuse::OutHeader), sizeof value);
    return value;
  }
  std::string payload() const {
    return std::string(reply_.data() + sizeof(fuse::OutHeader), written_ - sizeof(fuse::OutHeader));
  }

 private:
  void lay_out() {
    sent_ = bytes_of(header) + args;
    if (sent_.size() > sent_max) sent_.resize(sent_max);
    reply_.assign(reply_room, '\xaa');
    in_parts_ = cut(sent_, in_cut);
    out_parts_ = cut(reply_, out_cut);
    request_.in = IoView(in_parts_);
    request_.out = IoView(out_parts_);
    ReplySink& sink = *this;
    request_.sink = &sink;
  }
  static std::vector<iovec> cut(std::string& bytes, const std::vector<size_t>& sizes) {
    if (sizes.empty()) return {{bytes.data(), bytes.size()}};
    std::vector<iovec> parts;
    size_t at = 0;
    for (size_t i = 0; at < bytes.size(); ++i) {
      // A cut of zeros only would never come to an end.
      const size_t n =
          i < 4096 ? std::min(sizes[i % sizes.size()], bytes.size() - at) : bytes.size() - at;
      parts.push_back({bytes.data() + at, n});
      at += n;
    }
    return parts;
  }
  void done(Request&, uint32_t written) noexcept override {
    DPFS_ASSERT(!answered_);
    answered_ = true;
    written_ = written;
  }

  std::string sent_;
  std::string reply_;
  std::vector<iovec> in_parts_;
  std::vector<iovec> out_parts_;
  Request request_;
  bool answered_ = false;
  uint32_t written_ = 0;
};

// A message of each operation as a tenant would send it to FakeFileSystem, and the least room for
// its reply.
struct SampleMessage {
  fuse::Opcode opcode;
  std::string args;
  size_t reply_bytes;  // behind the OutHeader
  uint64_t node = 1;
};

inline std::vector<SampleMessage> sample_messages(uint64_t file_handle, uint64_t directory_handle,
                                                  uint64_t file = 2) {
  using fuse::Opcode;
  const std::string name = text_of("file");
  const fuse::LkIn lock{.fh = file_handle, .lk = {.end = 9, .type = F_WRLCK}};
  const fuse::ReadIn read_directory{.fh = directory_handle, .size = 512};
  return {
      {Opcode::lookup, name, sizeof(fuse::EntryOut)},
      {Opcode::getattr, bytes_of(fuse::GetattrIn{}), sizeof(fuse::AttrOut)},
      {Opcode::setattr, bytes_of(fuse::SetattrIn{}), sizeof(fuse::AttrOut), file},
      {Opcode::readlink, "", 0, file},
      {Opcode::symlink, text_of("link") + text_of("target"), sizeof(fuse::EntryOut)},
      {Opcode::mknod, bytes_of(fuse::MknodIn{}) + name, sizeof(fuse::EntryOut)},
      {Opcode::mkdir, bytes_of(fuse::MkdirIn{}) + name, sizeof(fuse::EntryOut)},
      {Opcode::unlink, name, 0},
      {Opcode::rmdir, name, 0},
      {Opcode::rename, bytes_of(fuse::RenameIn{1}) + name + text_of("other"), 0},
      {Opcode::rename2, bytes_of(fuse::Rename2In{1}) + name + text_of("other"), 0},
      {Opcode::link, bytes_of(fuse::LinkIn{2}) + name, sizeof(fuse::EntryOut)},
      {Opcode::open, bytes_of(fuse::OpenIn{}), sizeof(fuse::OpenOut), file},
      {Opcode::read, bytes_of(fuse::ReadIn{.fh = file_handle, .size = 64}), 64, file},
      {Opcode::write, bytes_of(fuse::WriteIn{.fh = file_handle, .size = 32}) + std::string(32, 'w'),
       sizeof(fuse::WriteOut), file},
      {Opcode::statfs, "", sizeof(fuse::StatfsOut)},
      {Opcode::fsync, bytes_of(fuse::FsyncIn{.fh = file_handle}), 0, file},
      {Opcode::setxattr,
       bytes_of(fuse::SetxattrIn{.size = 5}) + text_of("user.x") + std::string("value"), 0, file},
      {Opcode::getxattr, bytes_of(fuse::GetxattrIn{.size = 64}) + text_of("user.x"), 64, file},
      {Opcode::getxattr, bytes_of(fuse::GetxattrIn{}) + text_of("user.x"),
       sizeof(fuse::GetxattrOut), file},
      {Opcode::listxattr, bytes_of(fuse::GetxattrIn{.size = 64}), 64, file},
      {Opcode::listxattr, bytes_of(fuse::GetxattrIn{}), sizeof(fuse::GetxattrOut), file},
      {Opcode::removexattr, text_of("user.x"), 0, file},
      {Opcode::flush, bytes_of(fuse::FlushIn{.fh = file_handle}), 0, file},
      {Opcode::opendir, bytes_of(fuse::OpenIn{}), sizeof(fuse::OpenOut)},
      {Opcode::readdir, bytes_of(read_directory), 512},
      {Opcode::readdirplus, bytes_of(read_directory), 512},
      {Opcode::fsyncdir, bytes_of(fuse::FsyncIn{.fh = directory_handle}), 0},
      {Opcode::access, bytes_of(fuse::AccessIn{}), 0},
      {Opcode::create, bytes_of(fuse::CreateIn{}) + name,
       sizeof(fuse::EntryOut) + sizeof(fuse::OpenOut)},
      {Opcode::fallocate, bytes_of(fuse::FallocateIn{.fh = file_handle}), 0, file},
      {Opcode::lseek, bytes_of(fuse::LseekIn{.fh = file_handle}), sizeof(fuse::LseekOut), file},
      {Opcode::copy_file_range, bytes_of(fuse::CopyFileRangeIn{.fh_in = file_handle}),
       sizeof(fuse::WriteOut), file},
      {Opcode::copy_file_range_64, bytes_of(fuse::CopyFileRangeIn{.fh_in = file_handle}),
       sizeof(fuse::CopyFileRangeOut), file},
      {Opcode::syncfs, "", 0},
      {Opcode::getlk, bytes_of(lock), sizeof(fuse::LkOut), file},
      {Opcode::setlk, bytes_of(lock), 0, file},
      {Opcode::setlkw, bytes_of(lock), 0, file},
      {Opcode::bmap, bytes_of(fuse::BmapIn{}), sizeof(fuse::BmapOut), file},
      {Opcode::ioctl,
       bytes_of(fuse::IoctlIn{.fh = file_handle, .in_size = 4, .out_size = 4}) + "four",
       sizeof(fuse::IoctlOut) + 4, file},
      {Opcode::poll, bytes_of(fuse::PollIn{.fh = file_handle}), sizeof(fuse::PollOut), file},
      {Opcode::tmpfile, bytes_of(fuse::CreateIn{}) + text_of("/"),
       sizeof(fuse::EntryOut) + sizeof(fuse::OpenOut)},
      {Opcode::statx, bytes_of(fuse::StatxIn{}), sizeof(fuse::StatxOut), file},
      {Opcode::release, bytes_of(fuse::ReleaseIn{.fh = file_handle}), 0, file},
      {Opcode::releasedir, bytes_of(fuse::ReleaseIn{.fh = directory_handle}), 0},
  };
}

inline fuse::InitIn linux_init(uint32_t minor = 45) {
  return {.major = fuse::kMajorVersion,
          .minor = minor,
          .max_readahead = 128 << 10,
          .flags = static_cast<uint32_t>(0xffffffff & ~fuse::init_flag::kInitReserved),
          .flags2 = 0x7ff};
}

}  // namespace dpfs
