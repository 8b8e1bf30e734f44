// SPDX-License-Identifier: Apache-2.0
// Extended attributes: RFC 8276, section 8.4.
#include <algorithm>

#include "responder/compound.h"

namespace dpfs::responder {

using nfs::Status;

namespace {

constexpr size_t kValueBytesMax = 64 << 10;
constexpr size_t kNamesMax = 1024;

enum class How : uint32_t { either = 0, create = 1, replace = 2 };

}  // namespace

Status Compound::getxattr(Writer& out) {
  std::string_view name;
  const Status named = take_name(name);
  if (!world_.options.xattrs) return Status::notsupp;
  if (current_ == nullptr) return Status::nofilehandle;
  if (named != Status::ok) return named;
  if (!permitted(*current_, 4)) return Status::access;
  const auto xattr = current_->xattrs.find(name);
  if (xattr == current_->xattrs.end()) return Status::noxattr;
  out.text(xattr->second);
  return Status::ok;
}

Status Compound::setxattr(Writer& out) {
  const auto how = How{args_.u32()};
  std::string_view name;
  const Status named = take_name(name);
  const std::string value(args_.text(request_.bytes));
  if (args_.failed()) return Status::badxdr;
  if (!world_.options.xattrs) return Status::notsupp;
  if (current_ == nullptr) return Status::nofilehandle;
  if (how > How::replace) return Status::inval;
  if (named != Status::ok) return named;
  if (!permitted(*current_, 2)) return Status::access;
  if (value.size() > kValueBytesMax) return Status::xattr2big;
  const bool exists = current_->xattrs.contains(name);
  if (exists && how == How::create) return Status::exist;
  if (!exists && how == How::replace) return Status::noxattr;
  if (!exists && current_->xattrs.size() >= kNamesMax) return Status::nospc;
  const uint64_t before = current_->change;
  current_->xattrs.insert_or_assign(std::string(name), value);
  current_->touch_attributes();
  put_change(out, before, current_->change);
  return Status::ok;
}

// A cookie is how many names have been given. RFC 8276, section 8.4.3.2
Status Compound::listxattrs(Writer& out) {
  constexpr size_t kEndBytes = sizeof(uint32_t);
  const uint64_t cookie = args_.u64();
  const uint32_t bytes_max = args_.u32();
  if (args_.failed()) return Status::badxdr;
  if (!world_.options.xattrs) return Status::notsupp;
  if (current_ == nullptr) return Status::nofilehandle;
  if (!permitted(*current_, 4)) return Status::access;
  if (cookie > current_->xattrs.size()) return Status::bad_cookie;
  const size_t cookie_at = out.reserve_u32();
  const size_t cookie_low_at = out.reserve_u32();
  const size_t count_at = out.reserve_u32();
  auto xattr = std::next(current_->xattrs.begin(), static_cast<long>(cookie));
  uint32_t count = 0;
  for (; xattr != current_->xattrs.end(); ++xattr, ++count) {
    const size_t bytes =
        sizeof(uint32_t) + xattr->first.size() + nfs::xdr_padding(xattr->first.size());
    if (out.size() + bytes + kEndBytes > bytes_max) break;
    out.text(xattr->first);
  }
  const bool all = xattr == current_->xattrs.end();
  if (!all && count == 0) return Status::toosmall;
  out.patch_u32(cookie_at, static_cast<uint32_t>((cookie + count) >> 32));
  out.patch_u32(cookie_low_at, static_cast<uint32_t>(cookie + count));
  out.patch_u32(count_at, count);
  out.boolean(all);
  return Status::ok;
}

Status Compound::removexattr(Writer& out) {
  std::string_view name;
  const Status named = take_name(name);
  if (!world_.options.xattrs) return Status::notsupp;
  if (current_ == nullptr) return Status::nofilehandle;
  if (named != Status::ok) return named;
  if (!permitted(*current_, 2)) return Status::access;
  const auto xattr = current_->xattrs.find(name);
  if (xattr == current_->xattrs.end()) return Status::noxattr;
  const uint64_t before = current_->change;
  current_->xattrs.erase(xattr);
  current_->touch_attributes();
  put_change(out, before, current_->change);
  return Status::ok;
}

}  // namespace dpfs::responder
