// SPDX-License-Identifier: Apache-2.0
// Fills a Call with one FUSE request as Linux lays it out; Client::submit() or run() sends it.
//
// The names are the opcodes'. Node ids and handles are whatever the device gave, or whatever a test
// makes up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "driver/client.h"
#include "fuse/wire.h"

namespace dpfs::driver {

// An open file or directory.
struct File {
  uint64_t node = 0;
  uint64_t handle = 0;
};

// A name in a directory.
struct Entry {
  uint64_t parent;
  std::string_view name;
};

namespace request {

void lookup(Call& call, Entry entry) noexcept;
void getattr(Call& call, uint64_t node) noexcept;
void getattr(Call& call, File file) noexcept;  // by handle, as fstat() does
void statx(Call& call, uint64_t node, uint32_t mask) noexcept;
void setattr(Call& call, uint64_t node, const fuse::SetattrIn& in) noexcept;
void readlink(Call& call, uint64_t node) noexcept;  // the target is reply_data()
void symlink(Call& call, Entry entry, std::string_view target) noexcept;
void mknod(Call& call, Entry entry, const fuse::MknodIn& in) noexcept;
void mkdir(Call& call, Entry entry, const fuse::MkdirIn& in) noexcept;
void unlink(Call& call, Entry entry) noexcept;
void rmdir(Call& call, Entry entry) noexcept;
void rename(Call& call, Entry from, Entry to) noexcept;
void rename2(Call& call, Entry from, Entry to, uint32_t flags) noexcept;
void link(Call& call, uint64_t node, Entry to) noexcept;
void open(Call& call, uint64_t node, uint32_t flags) noexcept;
void opendir(Call& call, uint64_t node, uint32_t flags) noexcept;
// The reply is an EntryOut and an OpenOut behind it.
void create(Call& call, Entry entry, const fuse::CreateIn& in) noexcept;
void tmpfile(Call& call, uint64_t parent, const fuse::CreateIn& in) noexcept;
// `size` is at most the Call's data().size(), here and below.
void read(Call& call, File file, uint64_t offset, uint32_t size) noexcept;
void readdir(Call& call, File file, uint64_t offset, uint32_t size) noexcept;
void readdirplus(Call& call, File file, uint64_t offset, uint32_t size) noexcept;
// The bytes are what lies in data().
void write(Call& call, File file, uint64_t offset, uint32_t size) noexcept;
void statfs(Call& call, uint64_t node) noexcept;
void release(Call& call, File file, uint32_t open_flags = 0) noexcept;
void releasedir(Call& call, File file) noexcept;
void flush(Call& call, File file) noexcept;
void fsync(Call& call, File file, bool data_only) noexcept;
void fsyncdir(Call& call, File file, bool data_only) noexcept;
void syncfs(Call& call, uint64_t node) noexcept;
void access(Call& call, uint64_t node, uint32_t mask) noexcept;
// With `extended`, the 16-byte structure of init_flag::kSetxattrExt.
void setxattr(Call& call, Entry entry, std::span<const std::byte> value, uint32_t flags,
              bool extended) noexcept;
// A size of 0 asks for a GetxattrOut, another for the bytes in reply_data().
void getxattr(Call& call, Entry entry, uint32_t size) noexcept;
void listxattr(Call& call, uint64_t node, uint32_t size) noexcept;
void removexattr(Call& call, Entry entry) noexcept;
void fallocate(Call& call, File file, const fuse::FallocateIn& in) noexcept;
void lseek(Call& call, File file, uint64_t offset, uint32_t whence) noexcept;
void copy_file_range(Call& call, uint64_t node_in, const fuse::CopyFileRangeIn& in) noexcept;
void copy_file_range_64(Call& call, uint64_t node_in, const fuse::CopyFileRangeIn& in) noexcept;
void getlk(Call& call, uint64_t node, const fuse::LkIn& in) noexcept;
void setlk(Call& call, uint64_t node, const fuse::LkIn& in, bool wait) noexcept;
void interrupt(Call& call, uint64_t unique) noexcept;
void destroy(Call& call) noexcept;
// Any opcode with any arguments and room for any reply.
void raw(Call& call, fuse::Opcode opcode, uint64_t node, std::span<const std::byte> args,
         uint32_t reply_room) noexcept;

}  // namespace request
}  // namespace dpfs::driver
