// SPDX-License-Identifier: Apache-2.0
// IoView: a borrowed, bounded window on scattered tenant memory.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/result.h"

namespace dpfs {

// The bytes are the tenant's and change under our feet: control data is copied out once with
// load(), the copy is checked and used; payload is handed to the kernel as iovecs and never looked
// at. A view is a value: taking from the front moves this copy of it only. The iovecs it points to
// belong to its request.
class IoView {
 public:
  IoView() = default;
  explicit IoView(std::span<const iovec> parts) noexcept : parts_(parts) {
    for (const iovec& part : parts) size_ += part.iov_len;
  }

  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Takes sizeof(T) bytes off the front. EINVAL when there are fewer.
  template <class T>
  Result<T> load() noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (copy_out(&value, sizeof value) != sizeof value) return Errno::inval;
    return value;
  }
  // Puts sizeof(T) bytes at the front and steps over them. False, and nothing written, when they do
  // not fit.
  template <class T>
  bool store(const T& value) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    if (size_ < sizeof value) return false;
    copy_in(&value, sizeof value);
    return true;
  }

  // Both return how many bytes went over, at most size(), and step over them.
  size_t copy_out(void* to, size_t bytes) noexcept {
    return each(bytes, [to](char* part, size_t done, size_t n) {
      std::memcpy(static_cast<char*>(to) + done, part, n);
    });
  }
  size_t copy_in(const void* from, size_t bytes) noexcept {
    return each(bytes, [from](char* part, size_t done, size_t n) {
      std::memcpy(part, static_cast<const char*>(from) + done, n);
    });
  }
  size_t fill(char byte, size_t bytes) noexcept {
    return each(bytes, [byte](char* part, size_t, size_t n) { std::memset(part, byte, n); });
  }
  void skip(size_t bytes) noexcept {
    each(bytes, [](char*, size_t, size_t) {});
  }

  IoView first(size_t bytes) const noexcept {
    IoView view = *this;
    view.size_ = std::min(bytes, size_);
    return view;
  }
  IoView rest(size_t bytes) const noexcept {
    IoView view = *this;
    view.skip(bytes);
    return view;
  }

  // Fills `out` for one readv or writev and returns the part of it that is used. It covers fewer
  // bytes than size() only when `out` is too short.
  std::span<iovec> to_iovecs(std::span<iovec> out) const noexcept {
    size_t used = 0;
    size_t left = size_;
    size_t offset = offset_;
    for (size_t i = 0; i < parts_.size() && used < out.size() && left > 0; ++i, offset = 0) {
      const size_t n = std::min(parts_[i].iov_len - offset, left);
      if (n > 0) out[used++] = {static_cast<char*>(parts_[i].iov_base) + offset, n};
      left -= n;
    }
    return out.first(used);
  }
  // How many iovecs to_iovecs() may use.
  size_t parts() const noexcept { return parts_.size(); }

 private:
  template <class F>
  size_t each(size_t bytes, F visit) noexcept {
    size_t done = 0;
    while (done < bytes && size_ > 0) {
      const iovec& part = parts_.front();
      const size_t n = std::min({part.iov_len - offset_, bytes - done, size_});
      if (n > 0) visit(static_cast<char*>(part.iov_base) + offset_, done, n);
      done += n;
      offset_ += n;
      size_ -= n;
      if (offset_ == part.iov_len) {
        parts_ = parts_.subspan(1);
        offset_ = 0;
      }
    }
    return done;
  }

  std::span<const iovec> parts_;
  size_t offset_ = 0;  // into parts_.front()
  size_t size_ = 0;
};

}  // namespace dpfs
