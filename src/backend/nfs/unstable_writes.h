// SPDX-License-Identifier: Apache-2.0
// What was written and may be lost with the server: kept until it says that it is stored.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"
#include "base/list.h"

namespace dpfs::nfs {

// One WRITE's data, copied out of the tenant's memory: to be sent, and sent again as it was.
class KeptWrite : public ListLink<> {
 public:
  uint64_t offset = 0;
  uint32_t bytes = 0;
  Verifier verifier;    // of the server that took it
  uint64_t number = 0;  // in the order in which they were taken
  // A recovery has it in its hands, and gives it back where it was dropped meanwhile.
  bool pinned = false;
  bool dropped = false;

  uint8_t* data() noexcept { return reinterpret_cast<uint8_t*>(this + 1); }
  Bytes view() noexcept { return {data(), bytes}; }

 private:
  friend class KeptWrites;
  uint32_t size_class_ = 0;
  KeptWrite* next_free_ = nullptr;
};

// Memory for them, used again by the next. Of one reactor.
class KeptWrites {
 public:
  KeptWrites() = default;
  KeptWrites(const KeptWrites&) = delete;
  KeptWrites& operator=(const KeptWrites&) = delete;
  ~KeptWrites() {
    for (KeptWrite* first : free_) {
      while (first != nullptr) destroy(std::exchange(first, first->next_free_));
    }
  }

  // With room for so many bytes; nullptr when memory is out.
  KeptWrite* take(size_t bytes) noexcept {
    const uint32_t size_class = class_of(bytes);
    if (size_class >= kClasses) return nullptr;
    KeptWrite* write = free_[size_class];
    if (write == nullptr) {
      void* memory = std::malloc(sizeof(KeptWrite) + (kBytesMin << size_class));
      if (memory == nullptr) return nullptr;
      write = new (memory) KeptWrite;
      write->size_class_ = size_class;
    } else {
      free_[size_class] = write->next_free_;
      idle_ -= kBytesMin << size_class;
    }
    write->bytes = static_cast<uint32_t>(bytes);
    write->pinned = write->dropped = false;
    kept_ += kBytesMin << size_class;
    return write;
  }
  void give(KeptWrite& write) noexcept {
    const size_t bytes = kBytesMin << write.size_class_;
    kept_ -= bytes;
    if (idle_ + bytes > kIdleBytesMax) return destroy(&write);
    idle_ += bytes;
    write.next_free_ = std::exchange(free_[write.size_class_], &write);
  }
  size_t kept() const noexcept { return kept_; }  // bytes

 private:
  static constexpr size_t kBytesMin = 4096;
  static constexpr uint32_t kClasses = 12;  // up to 8 MiB
  static constexpr size_t kIdleBytesMax = 8u << 20;

  static uint32_t class_of(size_t bytes) noexcept {
    const size_t grains = (bytes + kBytesMin - 1) / kBytesMin;
    return grains <= 1 ? 0 : static_cast<uint32_t>(std::bit_width(grains - 1));
  }
  static void destroy(KeptWrite* write) noexcept {
    write->~KeptWrite();
    std::free(write);
  }

  std::array<KeptWrite*, kClasses> free_{};
  size_t idle_ = 0;
  size_t kept_ = 0;
};

}  // namespace dpfs::nfs
