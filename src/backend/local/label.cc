// SPDX-License-Identifier: Apache-2.0
// Putting a security label on a new object.
#include "backend/local/label.h"

#include <sys/xattr.h>

#include "backend/local/system.h"

namespace dpfs::local {
namespace {

Result<Unit> or_without(const Result<Unit>& put) noexcept {
  if (!put && put.error() == Errno::opnotsupp) return Unit{};
  return put;
}

}  // namespace

Result<Unit> Label::put_on(int directory, const char* path) const noexcept {
  const XattrArgs args{reinterpret_cast<uintptr_t>((**value_).data()), static_cast<uint32_t>(size_),
                       0};
  return or_without(
      done([&] { return setxattr_at(directory, path, AT_SYMLINK_NOFOLLOW, name_.c_str(), args); }));
}

Result<Unit> Label::put_on(int fd) const noexcept {
  return or_without(
      done([&] { return ::fsetxattr(fd, name_.c_str(), (**value_).data(), size_, 0); }));
}

}  // namespace dpfs::local
