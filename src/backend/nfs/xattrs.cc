// SPDX-License-Identifier: Apache-2.0
// Extended attributes: RFC 8276 has those of users ("user."), and no others.
#include <sys/xattr.h>

#include <array>

#include "backend/nfs/nfs_fs.h"

namespace dpfs {
namespace {

constexpr std::string_view kUser = "user.";
constexpr size_t kValueBytesMax = 64 * 1024;
constexpr size_t kListBytesMax = 64 * 1024;  // Linux's XATTR_LIST_MAX

}  // namespace

Op<uint32_t> NfsFs::nfs_getxattr(Request& request, GetxattrArgs args) {
  if (!args.name.view().starts_with(kUser) || no_xattrs_ || client_.minor_version() < 2) {
    co_return Errno::opnotsupp;
  }
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::GetXattr call;
  call.who = credential(request);
  call.node = *node;
  call.name = args.name.view().substr(kUser.size());
  call.into = args.into;
  Op<Unit> asking_server = ask(call, *node);
  const Result<Unit> done = co_await asking_server;
  if (done.error() == Errno::opnotsupp) no_xattrs_ = true;
  if (!done) co_return done.error();
  if (!args.into.empty() && call.bytes > args.into.size()) co_return Errno::range;
  co_return static_cast<uint32_t>(call.bytes);
}

Op<Unit> NfsFs::nfs_setxattr(Request& request, SetxattrArgs args) {
  if (!args.name.view().starts_with(kUser) || no_xattrs_ || client_.minor_version() < 2) {
    co_return Errno::opnotsupp;
  }
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  if (args.value.size() > kValueBytesMax) co_return Errno::toobig;
  nfs::KeptWrite* value = kept_writes_.take(args.value.size());
  if (value == nullptr) co_return Errno::nomem;
  args.value.copy_out(value->data(), args.value.size());
  nfs::SetXattr call;
  call.who = credential(request);
  call.node = *node;
  call.name = args.name.view().substr(kUser.size());
  call.how = (args.flags & XATTR_CREATE) != 0 ? 1 : (args.flags & XATTR_REPLACE) != 0 ? 2 : 0;
  call.value = value->view();
  Op<Unit> asking_server = ask(call, *node);
  const Result<Unit> done = co_await asking_server;
  kept_writes_.give(*value);
  if (done.error() == Errno::opnotsupp) no_xattrs_ = true;
  co_return done;
}

Op<uint32_t> NfsFs::nfs_listxattr(Request& request, ListxattrArgs args) {
  if (no_xattrs_ || client_.minor_version() < 2) co_return 0u;  // there are none
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::ListXattrs call;
  call.who = credential(request);
  call.node = *node;
  size_t total = 0;
  while (!call.at_end) {
    call.into = args.into.rest(total);
    Op<Unit> asking_server = ask(call, *node);
    const Result<Unit> done = co_await asking_server;
    if (done.error() == Errno::opnotsupp) {
      no_xattrs_ = true;
      co_return 0u;
    }
    if (!done) co_return done.error();
    if (call.bytes == 0) break;
    total += call.bytes;
    if (total > kListBytesMax) co_return Errno::toobig;
  }
  if (!args.into.empty() && total > args.into.size()) co_return Errno::range;
  co_return static_cast<uint32_t>(total);
}

Op<Unit> NfsFs::nfs_removexattr(Request& request, RemovexattrArgs args) {
  if (!args.name.view().starts_with(kUser) || no_xattrs_ || client_.minor_version() < 2) {
    co_return Errno::opnotsupp;
  }
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  nfs::RemoveXattr call;
  call.who = credential(request);
  call.node = *node;
  call.name = args.name.view().substr(kUser.size());
  Op<Unit> asking_server = ask(call, *node);
  const Result<Unit> done = co_await asking_server;
  if (done.error() == Errno::opnotsupp) no_xattrs_ = true;
  co_return done;
}

}  // namespace dpfs
