// SPDX-License-Identifier: Apache-2.0
// The FUSE requests' shapes: which arguments, in which order, and how much room the reply gets.
#include "driver/requests.h"

#include <algorithm>

#include "base/assert.h"

namespace dpfs::driver::request {

using fuse::Opcode;

namespace {

uint32_t text_size(std::string_view name) { return static_cast<uint32_t>(name.size()) + 1; }

// A structure, and nothing but a header or a structure as reply.
template <class In>
void simple(Call& call, Opcode opcode, uint64_t node, const In& in,
            uint32_t reply_size = 0) noexcept {
  call.prepare(opcode, node, {.in_args = sizeof in, .out_args = reply_size});
  call.argument(in);
}

void name_only(Call& call, Opcode opcode, Entry entry, uint32_t reply_size = 0) noexcept {
  call.prepare(opcode, entry.parent, {.in_args = text_size(entry.name), .out_args = reply_size});
  call.text(entry.name);
}

// A structure with a name behind it.
template <class In>
void named(Call& call, Opcode opcode, Entry entry, const In& in, uint32_t reply_size) noexcept {
  const uint32_t args = static_cast<uint32_t>(sizeof in) + text_size(entry.name);
  call.prepare(opcode, entry.parent, {.in_args = args, .out_args = reply_size});
  call.argument(in);
  call.text(entry.name);
}

template <class In>
void two_names(Call& call, Opcode opcode, Entry from, std::string_view to, const In& in) noexcept {
  const uint32_t args = static_cast<uint32_t>(sizeof in) + text_size(from.name) + text_size(to);
  call.prepare(opcode, from.parent, {.in_args = args});
  call.argument(in);
  call.text(from.name);
  call.text(to);
}

void read_like(Call& call, Opcode opcode, File file, uint64_t offset, uint32_t size) noexcept {
  call.prepare(opcode, file.node, {.in_args = sizeof(fuse::ReadIn), .out_data = size});
  call.argument(fuse::ReadIn{.fh = file.handle,
                             .offset = offset,
                             .size = size,
                             .read_flags = 0,
                             .lock_owner = 0,
                             .flags = 0,
                             .padding = 0});
}

constexpr uint32_t kCreateReply = sizeof(fuse::EntryOut) + sizeof(fuse::OpenOut);

}  // namespace

void lookup(Call& call, Entry entry) noexcept {
  name_only(call, Opcode::lookup, entry, sizeof(fuse::EntryOut));
}

void getattr(Call& call, uint64_t node) noexcept {
  simple(call, Opcode::getattr, node, fuse::GetattrIn{}, sizeof(fuse::AttrOut));
}

void getattr(Call& call, File file) noexcept {
  fuse::GetattrIn in{.getattr_flags = fuse::getattr_flag::kFh, .dummy = 0, .fh = file.handle};
  simple(call, Opcode::getattr, file.node, in, sizeof(fuse::AttrOut));
}

void statx(Call& call, uint64_t node, uint32_t mask) noexcept {
  fuse::StatxIn in{.getattr_flags = 0, .reserved = 0, .fh = 0, .sx_flags = 0, .sx_mask = mask};
  simple(call, Opcode::statx, node, in, sizeof(fuse::StatxOut));
}

void setattr(Call& call, uint64_t node, const fuse::SetattrIn& in) noexcept {
  simple(call, Opcode::setattr, node, in, sizeof(fuse::AttrOut));
}

void readlink(Call& call, uint64_t node) noexcept {
  // Linux offers a page less the NUL that it adds itself.
  const uint32_t room = static_cast<uint32_t>(std::min<size_t>(4096, call.data().size()) - 1);
  call.prepare(Opcode::readlink, node, {.out_data = room});
}

void symlink(Call& call, Entry entry, std::string_view target) noexcept {
  const uint32_t args = text_size(entry.name) + text_size(target);
  call.prepare(Opcode::symlink, entry.parent,
               {.in_args = args, .out_args = sizeof(fuse::EntryOut)});
  call.text(entry.name);
  call.text(target);
}

void mknod(Call& call, Entry entry, const fuse::MknodIn& in) noexcept {
  named(call, Opcode::mknod, entry, in, sizeof(fuse::EntryOut));
}

void mkdir(Call& call, Entry entry, const fuse::MkdirIn& in) noexcept {
  named(call, Opcode::mkdir, entry, in, sizeof(fuse::EntryOut));
}

void unlink(Call& call, Entry entry) noexcept { name_only(call, Opcode::unlink, entry); }

void rmdir(Call& call, Entry entry) noexcept { name_only(call, Opcode::rmdir, entry); }

void rename(Call& call, Entry from, Entry to) noexcept {
  two_names(call, Opcode::rename, from, to.name, fuse::RenameIn{to.parent});
}

void rename2(Call& call, Entry from, Entry to, uint32_t flags) noexcept {
  two_names(call, Opcode::rename2, from, to.name,
            fuse::Rename2In{.newdir = to.parent, .flags = flags, .padding = 0});
}

void link(Call& call, uint64_t node, Entry to) noexcept {
  named(call, Opcode::link, to, fuse::LinkIn{node}, sizeof(fuse::EntryOut));
}

void open(Call& call, uint64_t node, uint32_t flags) noexcept {
  simple(call, Opcode::open, node, fuse::OpenIn{.flags = flags, .open_flags = 0},
         sizeof(fuse::OpenOut));
}

void opendir(Call& call, uint64_t node, uint32_t flags) noexcept {
  simple(call, Opcode::opendir, node, fuse::OpenIn{.flags = flags, .open_flags = 0},
         sizeof(fuse::OpenOut));
}

void create(Call& call, Entry entry, const fuse::CreateIn& in) noexcept {
  named(call, Opcode::create, entry, in, kCreateReply);
}

void tmpfile(Call& call, uint64_t parent, const fuse::CreateIn& in) noexcept {
  // Linux sends a name here too, of which nothing is used.
  named(call, Opcode::tmpfile, {parent, "/"}, in, kCreateReply);
}

void read(Call& call, File file, uint64_t offset, uint32_t size) noexcept {
  read_like(call, Opcode::read, file, offset, size);
}

void readdir(Call& call, File file, uint64_t offset, uint32_t size) noexcept {
  read_like(call, Opcode::readdir, file, offset, size);
}

void readdirplus(Call& call, File file, uint64_t offset, uint32_t size) noexcept {
  read_like(call, Opcode::readdirplus, file, offset, size);
}

void write(Call& call, File file, uint64_t offset, uint32_t size) noexcept {
  call.prepare(
      Opcode::write, file.node,
      {.in_args = sizeof(fuse::WriteIn), .in_data = size, .out_args = sizeof(fuse::WriteOut)});
  call.argument(fuse::WriteIn{.fh = file.handle,
                              .offset = offset,
                              .size = size,
                              .write_flags = 0,
                              .lock_owner = 0,
                              .flags = 0,
                              .padding = 0});
}

void statfs(Call& call, uint64_t node) noexcept {
  call.prepare(Opcode::statfs, node, {.out_args = sizeof(fuse::StatfsOut)});
}

void release(Call& call, File file, uint32_t open_flags) noexcept {
  fuse::ReleaseIn in{.fh = file.handle, .flags = open_flags, .release_flags = 0, .lock_owner = 0};
  simple(call, Opcode::release, file.node, in);
}

void releasedir(Call& call, File file) noexcept {
  fuse::ReleaseIn in{.fh = file.handle, .flags = 0, .release_flags = 0, .lock_owner = 0};
  simple(call, Opcode::releasedir, file.node, in);
}

void flush(Call& call, File file) noexcept {
  simple(call, Opcode::flush, file.node,
         fuse::FlushIn{.fh = file.handle, .unused = 0, .padding = 0, .lock_owner = 0});
}

void fsync(Call& call, File file, bool data_only) noexcept {
  fuse::FsyncIn in{
      .fh = file.handle, .fsync_flags = data_only ? fuse::fsync_flag::kFdatasync : 0, .padding = 0};
  simple(call, Opcode::fsync, file.node, in);
}

void fsyncdir(Call& call, File file, bool data_only) noexcept {
  fuse::FsyncIn in{
      .fh = file.handle, .fsync_flags = data_only ? fuse::fsync_flag::kFdatasync : 0, .padding = 0};
  simple(call, Opcode::fsyncdir, file.node, in);
}

void syncfs(Call& call, uint64_t node) noexcept {
  simple(call, Opcode::syncfs, node, fuse::SyncfsIn{});
}

void access(Call& call, uint64_t node, uint32_t mask) noexcept {
  simple(call, Opcode::access, node, fuse::AccessIn{.mask = mask, .padding = 0});
}

void setxattr(Call& call, Entry entry, std::span<const std::byte> value, uint32_t flags,
              bool extended) noexcept {
  const uint32_t head = extended ? sizeof(fuse::SetxattrIn) : fuse::kSetxattrInCompatSize;
  const uint32_t value_size = static_cast<uint32_t>(value.size());
  // Linux has the value among the arguments; one too long for their room goes as data, which a
  // device must not mind.
  constexpr uint32_t kValueMax = 4096;
  const bool as_data = value_size > kValueMax;
  DPFS_ASSERT(value_size <= call.data().size() || !as_data);
  call.prepare(Opcode::setxattr, entry.parent,
               {.in_args = head + text_size(entry.name) + (as_data ? 0 : value_size),
                .in_data = as_data ? value_size : 0});
  fuse::SetxattrIn in{.size = value_size, .flags = flags, .setxattr_flags = 0, .padding = 0};
  call.bytes(std::as_bytes(std::span(&in, 1)).first(head));
  call.text(entry.name);
  if (as_data) {
    std::memcpy(call.data().data(), value.data(), value.size());
  } else {
    call.bytes(value);
  }
}

void getxattr(Call& call, Entry entry, uint32_t size) noexcept {
  const uint32_t args = static_cast<uint32_t>(sizeof(fuse::GetxattrIn)) + text_size(entry.name);
  call.prepare(Opcode::getxattr, entry.parent,
               {.in_args = args,
                .out_args = size == 0 ? uint32_t{sizeof(fuse::GetxattrOut)} : 0,
                .out_data = size});
  call.argument(fuse::GetxattrIn{.size = size, .padding = 0});
  call.text(entry.name);
}

void listxattr(Call& call, uint64_t node, uint32_t size) noexcept {
  call.prepare(Opcode::listxattr, node,
               {.in_args = sizeof(fuse::GetxattrIn),
                .out_args = size == 0 ? uint32_t{sizeof(fuse::GetxattrOut)} : 0,
                .out_data = size});
  call.argument(fuse::GetxattrIn{.size = size, .padding = 0});
}

void removexattr(Call& call, Entry entry) noexcept { name_only(call, Opcode::removexattr, entry); }

void fallocate(Call& call, File file, const fuse::FallocateIn& in) noexcept {
  simple(call, Opcode::fallocate, file.node, in);
}

void lseek(Call& call, File file, uint64_t offset, uint32_t whence) noexcept {
  fuse::LseekIn in{.fh = file.handle, .offset = offset, .whence = whence, .padding = 0};
  simple(call, Opcode::lseek, file.node, in, sizeof(fuse::LseekOut));
}

void copy_file_range(Call& call, uint64_t node_in, const fuse::CopyFileRangeIn& in) noexcept {
  simple(call, Opcode::copy_file_range, node_in, in, sizeof(fuse::WriteOut));
}

void copy_file_range_64(Call& call, uint64_t node_in, const fuse::CopyFileRangeIn& in) noexcept {
  simple(call, Opcode::copy_file_range_64, node_in, in, sizeof(fuse::CopyFileRangeOut));
}

void getlk(Call& call, uint64_t node, const fuse::LkIn& in) noexcept {
  simple(call, Opcode::getlk, node, in, sizeof(fuse::LkOut));
}

void setlk(Call& call, uint64_t node, const fuse::LkIn& in, bool wait) noexcept {
  simple(call, wait ? Opcode::setlkw : Opcode::setlk, node, in);
}

void interrupt(Call& call, uint64_t unique) noexcept {
  simple(call, Opcode::interrupt, 0, fuse::InterruptIn{unique});
}

void destroy(Call& call) noexcept { call.prepare(Opcode::destroy, 0, {}); }

void raw(Call& call, Opcode opcode, uint64_t node, std::span<const std::byte> args,
         uint32_t reply_room) noexcept {
  call.prepare(opcode, node,
               {.in_args = static_cast<uint32_t>(args.size()), .out_args = reply_room});
  call.bytes(args);
}

}  // namespace dpfs::driver::request
