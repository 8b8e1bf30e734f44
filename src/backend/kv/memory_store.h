// SPDX-License-Identifier: Apache-2.0
// For tests: a store in memory, of one reactor, that answers at once. A record that is there is
// read and written without the heap, so that what the file system itself takes from there can be
// counted.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "backend/kv/store.h"

namespace dpfs::kv {

class MemoryStore final : public Store {
 public:
  const Traits& traits() const noexcept override { return kTraits; }
  Op<Unit> open() override { return Unit{}; }
  Op<Unit> close() override { return Unit{}; }
  Op<Unit> sync() override { return Unit{}; }
  Op<Space> space() override {
    return Space{.total_bytes = uint64_t{1} << 40, .free_bytes = uint64_t{1} << 39};
  }

  Op<Unit> get(std::span<Get> gets) override {
    for (Get& get : gets) {
      const auto found = records_.find(Text(get.key).view());
      get.found = found != records_.end();
      if (!get.found) continue;
      const std::string_view value = found->second;
      const size_t from = std::min<size_t>(get.offset, value.size());
      get.reader->found(value.substr(from, get.bytes));
    }
    return Unit{};
  }

  // Numbers only.
  Op<bool> scan(const Scan& scan, ScanReader& reader) override {
    Key key{.collection = scan.collection, .object = scan.object, .number = scan.from_number};
    const Text from(key);
    const std::string wanted(from.view().substr(0, 9));
    uint32_t left = scan.records_max;
    for (auto at = records_.lower_bound(from.view()); at != records_.end(); ++at) {
      if (!at->first.starts_with(wanted)) break;
      if (left-- == 0) return false;
      key.number = 0;
      for (const char c : at->first.substr(9)) {
        key.number = key.number << 8 | static_cast<unsigned char>(c);
      }
      if (!reader.found(key, at->second)) return false;
    }
    return true;
  }

  Op<Unit> sweep(Sweep&, ScanReader&) override { return Errno::nosys; }

  Op<Unit> commit(std::span<const Compare> compares, std::span<const Write> writes) override {
    for (const Compare& compare : compares) {
      const auto found = records_.find(Text(compare.key).view());
      const bool there = found != records_.end();
      if (there != compare.present || (there && !found->second.starts_with(compare.prefix))) {
        return kCompareFailed;
      }
    }
    for (const Write& write : writes) carry_out(write);
    return Unit{};
  }

 private:
  static constexpr Traits kTraits{.engine = "memory",
                                  .chunk_bytes = uint32_t{64} << 10,
                                  .commit_writes = 4096,
                                  .remote = false,
                                  .exclusive = true};

  // A key as it is kept.
  class Text {
   public:
    explicit Text(const Key& key) noexcept {
      bytes_[size_++] = letter_of(key.collection);
      append(key.object);
      const Shape shape = shape_of(key.collection);
      if (shape == Shape::numbered || shape == Shape::spread) append(key.number);
      if (shape == Shape::named) size_ += key.name.copy(bytes_.data() + size_, kNameBytesMax);
    }
    std::string_view view() const noexcept { return {bytes_.data(), size_}; }

   private:
    void append(uint64_t number) noexcept {
      for (int shift = 56; shift >= 0; shift -= 8) {
        bytes_[size_++] = static_cast<char>(number >> shift);
      }
    }
    std::array<char, 17 + kNameBytesMax> bytes_{};
    size_t size_ = 0;
  };

  void carry_out(const Write& write) {
    const Text key(write.key);
    const auto found = records_.find(key.view());
    if (write.kind == Write::Kind::erase) {
      if (found != records_.end()) records_.erase(found);
      return;
    }
    if (write.kind == Write::Kind::cut && found == records_.end()) return;
    std::string& value =
        found != records_.end() ? found->second : records_[std::string(key.view())];
    const auto number = static_cast<size_t>(write.number);
    switch (write.kind) {
      case Write::Kind::put:
        value.clear();
        put_at(value, 0, write);
        break;
      case Write::Kind::patch:
        put_at(value, number, write);
        break;
      case Write::Kind::cut:
        value.resize(std::min(value.size(), number));
        break;
      case Write::Kind::add:
        add(value, write.number);
        break;
      case Write::Kind::erase:
        break;
    }
  }
  static void put_at(std::string& value, size_t offset, const Write& write) {
    const size_t end = offset + write.value.size() + write.payload.size();
    if (value.size() < end) value.resize(end);
    write.value.copy(value.data() + offset, write.value.size());
    IoView payload = write.payload;
    payload.copy_out(value.data() + offset + write.value.size(), payload.size());
  }
  static void add(std::string& value, int64_t more) {
    if (value.empty()) value.assign(8, '\0');
    uint64_t number = 0;
    for (const char c : value) number = number << 8 | static_cast<unsigned char>(c);
    number += static_cast<uint64_t>(more);
    for (int i = 7; i >= 0; --i, number >>= 8)
      value[static_cast<size_t>(i)] = static_cast<char>(number);
  }

  std::map<std::string, std::string, std::less<>> records_;
};

}  // namespace dpfs::kv
