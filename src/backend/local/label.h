// SPDX-License-Identifier: Apache-2.0
// Label: the security label that something new gets (FUSE_SECURITY_CTX).
#pragma once

#include <optional>

#include "backend/local/spares.h"
#include "backend/local/xattr_calls.h"
#include "fuse/request.h"

namespace dpfs::local {

// Our copy of what the request says. Linux has no call that makes an object with a label on it, so
// whoever looks in between sees it without; where it cannot be put on, the object is taken away
// again. A file system that has no such attributes goes without, as with a local one.
class Label {
 public:
  Label(const Creation& creation, Spares<XattrBuffer>& buffers) noexcept
      : name_(creation.context_name) {
    if (name_.size() == 0) return;
    if (!name_.view().starts_with("security.")) {
      error_ = Errno::inval;  // no other attribute is for a kernel to set on its own
      return;
    }
    if (creation.context.size() > kXattrBytes) {
      error_ = Errno::toobig;
      return;
    }
    value_.emplace(buffers.take());
    if (!*value_) {
      error_ = Errno::nomem;
      return;
    }
    IoView from = creation.context;
    size_ = from.copy_out((**value_).data(), from.size());
  }

  bool ok() const noexcept { return error_ == Errno::none; }
  Errno error() const noexcept { return error_; }
  // Whether there is one.
  explicit operator bool() const noexcept { return size_ > 0; }

  // Both may block.
  Result<Unit> put_on(int directory, const char* path) const noexcept;
  Result<Unit> put_on(int fd) const noexcept;

 private:
  Name name_;
  std::optional<Spares<XattrBuffer>::Lease> value_;
  size_t size_ = 0;
  Errno error_ = Errno::none;
};

}  // namespace dpfs::local
