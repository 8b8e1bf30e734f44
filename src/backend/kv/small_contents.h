// SPDX-License-Identifier: Apache-2.0
// SmallContents: contents of small files that came along with their inodes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>

#include "backend/kv/records.h"
#include "backend/kv/store.h"

namespace dpfs::kv {

// Where a request to the engine is a round trip, who looks up or opens a small file gets its
// contents with its inode, since a READ follows as a rule. Kept for a little while: a file's place
// is taken by the next whose number falls on it. Of one reactor.
class SmallContents {
 public:
  SmallContents() = default;
  SmallContents(const SmallContents&) = delete;
  SmallContents& operator=(const SmallContents&) = delete;

 private:
  class Place;

 public:
  // Takes a file's contents from the engine. Nobody sees them before keep(): whether they belong to
  // the inode is known only when all has been read.
  class Fetch final : public ValueReader {
   public:
    Fetch(SmallContents& of, uint64_t ino) noexcept : of_(of), ino_(ino) {}
    ~Fetch() {
      if (place_ != nullptr && place_->fetch == this) place_->fetch = nullptr;
    }
    void found(std::string_view value) noexcept override {
      if (value.size() <= kInlineBytes && begin()) place_->put(value);
    }
    // `absent`: there is no record of contents, so all of it is zeros.
    void keep(bool absent) noexcept {
      if (absent && begin()) place_->put({});
      if (place_ != nullptr && place_->fetch == this) place_->ino = ino_;
    }

   private:
    bool begin() noexcept {
      place_ = of_.make_place(ino_);
      if (place_ == nullptr) return false;
      place_->ino = 0;
      place_->fetch = this;
      return true;
    }

    SmallContents& of_;
    const uint64_t ino_;
    Place* place_ = nullptr;
  };

  // All that is stored of a file, which may be less than its size; nullptr: not here.
  const std::string_view* find(uint64_t ino) const noexcept {
    const Place* place = places_[index_of(ino)].get();
    return place != nullptr && place->ino == ino ? &place->value : nullptr;
  }
  // They are different now.
  void forget(uint64_t ino) noexcept {
    Place* place = places_[index_of(ino)].get();
    if (place != nullptr && place->ino == ino) place->ino = 0;
  }
  void clear() noexcept {
    for (std::unique_ptr<Place>& place : places_) place.reset();
  }

 private:
  static constexpr size_t kPlaces = 128;  // half a megabyte, once they have all been used

  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    void put(std::string_view from) noexcept {
      value = {bytes.data(), from.copy(bytes.data(), bytes.size())};
    }
    uint64_t ino = 0;              // whose; 0: nobody's
    const Fetch* fetch = nullptr;  // the last to put something here, unless it is gone
    std::string_view value;
    std::array<char, kInlineBytes> bytes;
  };

  // Inode numbers are handed out one by one.
  static size_t index_of(uint64_t ino) noexcept { return ino % kPlaces; }
  Place* make_place(uint64_t ino) noexcept {
    std::unique_ptr<Place>& place = places_[index_of(ino)];
    if (!place) place.reset(new (std::nothrow) Place);
    return place.get();
  }

  std::array<std::unique_ptr<Place>, kPlaces> places_;
};

}  // namespace dpfs::kv
