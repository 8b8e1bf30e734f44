// SPDX-License-Identifier: Apache-2.0
// Spares<T>: buffers for the length of one operation, used again by the next.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace dpfs {

// As many exist as operations have needed one at the same time. Of one reactor.
template <class T>
class Spares {
 public:
  // `max`: as many as there may be; who finds none left has to do without.
  explicit Spares(size_t max = SIZE_MAX) noexcept : max_(max) {}
  class Lease {
   public:
    Lease(Lease&& other) noexcept : spares_(other.spares_), value_(std::move(other.value_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (value_) spares_.free_.push_back(std::move(value_));
    }
    // False when memory is out, or none are left.
    explicit operator bool() const noexcept { return value_ != nullptr; }
    T& operator*() const noexcept { return *value_; }

   private:
    friend class Spares;
    Lease(Spares& spares, std::unique_ptr<T> value) noexcept
        : spares_(spares), value_(std::move(value)) {}
    Spares& spares_;
    std::unique_ptr<T> value_;
  };

  Lease take() noexcept {
    if (!free_.empty()) {
      Lease lease(*this, std::move(free_.back()));
      free_.pop_back();
      return lease;
    }
    if (made_ >= max_) return Lease(*this, nullptr);
    try {
      free_.reserve(made_ + 1);                       // so that giving back never needs memory
      Lease lease(*this, std::unique_ptr<T>(new T));  // uninitialized: pages untouched cost nothing
      ++made_;
      return lease;
    } catch (const std::bad_alloc&) {
      return Lease(*this, nullptr);
    }
  }

 private:
  std::vector<std::unique_ptr<T>> free_;
  size_t made_ = 0;
  const size_t max_;
};

}  // namespace dpfs
