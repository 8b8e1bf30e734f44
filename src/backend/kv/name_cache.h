// SPDX-License-Identifier: Apache-2.0
// NameCache: which inode the names of directories are, or that there are none.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "backend/kv/keyed_hash.h"
#include "backend/kv/random_seed.h"
#include "base/assert.h"
#include "fuse/indexed_rows.h"

namespace dpfs::kv {

struct CachedName {
  uint64_t inode = 0;   // 0: there is no such name
  uint64_t cookie = 0;  // where it is listed
  uint8_t type = 0;     // DT_..., as dirent has it
  bool absent() const noexcept { return inode == 0; }
  bool operator==(const CachedName&) const = default;
};

// Nothing but a memory of what is stored: anything may be missing at any time, long names always
// are. What is there is true, as long as every change of a directory is told by set() or forget()
// when it is committed, and what a look-up has read is told by fill().
//
// Bounded by a number of rows, which are made a thousand at a time (128 KiB) when they are needed
// and used again; nothing is allocated once all are there. Which row goes is decided by a clock:
// one that was found since the hand passed it stays. New ones count as not found yet, so that many
// names that are asked for once (find, a backup, a hostile tenant) push out each other first.
class NameCache {
 public:
  struct Options {
    uint32_t rows = 1u << 16;  // at most; 8 MiB
  };
  // Longer ones are not kept: what is left of a row of 128 bytes.
  static constexpr size_t kNameBytesMax = 70;

  explicit NameCache(const Options& options)
      : rows_max_(std::max(options.rows, 1u)), key_{random_seed(), random_seed()} {}

  // nullptr: not known. Good until the next call of anything.
  const CachedName* find(uint64_t parent, std::string_view name) noexcept {
    Row* row = known(parent, name, hash_of(parent, name));
    if (row == nullptr) return nullptr;
    row->found = true;
    return &row->what;
  }
  // It is this from now on; CachedName{}: it is absent.
  void set(uint64_t parent, std::string_view name, const CachedName& what) noexcept {
    const uint64_t hash = hash_of(parent, name);
    ++changes_of(hash);
    put(parent, name, hash, what);
  }
  // Not known any longer.
  void forget(uint64_t parent, std::string_view name) noexcept {
    const uint64_t hash = hash_of(parent, name);
    ++changes_of(hash);
    if (Row* row = known(parent, name, hash)) rows_.give(*row);
  }
  // No name of that directory is known any longer. Takes as long for one with a million of them:
  // their rows go when they are come upon. A few other directories' names may go as well.
  void forget_directory(uint64_t parent) noexcept {
    if (++epoch_of(parent) == 0) clear();
  }
  void clear() noexcept {
    rows_.clear();
    hand_ = 0;
    for (uint32_t& epoch : tables_->epochs) ++epoch;
    for (uint32_t& changes : tables_->changes) ++changes;
  }

  // Of a look-up that goes to the store: what it finds there may be out of date when it comes back,
  // because the name was changed meanwhile. Then fill() does nothing.
  class Ticket {
   private:
    friend class NameCache;
    uint64_t hash_ = 0;
    uint32_t changes_ = 0;
    uint32_t epoch_ = 0;
  };
  Ticket ticket(uint64_t parent, std::string_view name) noexcept {
    Ticket ticket;
    ticket.hash_ = hash_of(parent, name);
    ticket.changes_ = changes_of(ticket.hash_);
    ticket.epoch_ = epoch_of(parent);
    return ticket;
  }
  void fill(const Ticket& ticket, uint64_t parent, std::string_view name,
            const CachedName& what) noexcept {
    if (ticket.changes_ != changes_of(ticket.hash_) || ticket.epoch_ != epoch_of(parent)) return;
    put(parent, name, ticket.hash_, what);
  }

  uint32_t size() const noexcept { return rows_.size(); }

 private:
  struct Row : IndexedRow {
    uint64_t parent;
    CachedName what;
    uint32_t lower_hash;
    uint32_t epoch;
    uint8_t name_bytes;
    bool found;  // since the hand passed
    char name[kNameBytesMax];

    uint64_t hash() const noexcept { return lower_hash; }
    std::string_view view() const noexcept { return {name, name_bytes}; }
  };
  static_assert(sizeof(Row) == 128);

  // For how many rows the hand passes over before it takes one that was found: so a call is short
  // also when everything is in use.
  static constexpr uint32_t kPassedMax = 16;
  // Counters that directories, or names, share by chance: one that is moved for another's sake
  // costs a look-up.
  static constexpr size_t kCounters = 1024;
  struct Tables {
    std::array<uint32_t, kCounters> epochs{};   // of directories
    std::array<uint32_t, kCounters> changes{};  // of names
  };

  uint64_t hash_of(uint64_t parent, std::string_view name) const noexcept {
    return KeyedHash(key_).number(parent).bytes(name);
  }
  uint32_t& changes_of(uint64_t hash) noexcept { return tables_->changes[hash >> 54]; }
  uint32_t& epoch_of(uint64_t parent) noexcept {
    return tables_->epochs[(parent * 0x9e3779b97f4a7c15) >> 54];
  }

  Row* known(uint64_t parent, std::string_view name, uint64_t hash) noexcept {
    const auto lower_hash = static_cast<uint32_t>(hash);
    Row* row = rows_.find(lower_hash, [&](const Row& candidate) {
      return candidate.lower_hash == lower_hash && candidate.parent == parent &&
             candidate.view() == name;
    });
    if (row == nullptr || row->epoch == epoch_of(parent)) return row;
    rows_.give(*row);
    return nullptr;
  }
  void put(uint64_t parent, std::string_view name, uint64_t hash, const CachedName& what) noexcept {
    if (name.size() > kNameBytesMax) return;
    Row* row = known(parent, name, hash);
    if (row != nullptr) {
      row->what = what;
      return;
    }
    if (rows_.size() >= rows_max_) make_room();
    row = rows_.take();
    if (row == nullptr) return;
    row->parent = parent;
    row->what = what;
    row->lower_hash = static_cast<uint32_t>(hash);
    row->epoch = epoch_of(parent);
    row->name_bytes = static_cast<uint8_t>(name.size());
    row->found = false;
    std::memcpy(row->name, name.data(), name.size());
    rows_.index(*row);
  }
  // Rows that were never used are taken in the order of their numbers, and only when no other is
  // free. So rows_max_ rows that are used have the numbers 1 to rows_max_.
  void make_room() noexcept {
    for (uint32_t passed = 0;; ++passed) {
      hand_ = hand_ % rows_max_ + 1;
      Row& row = rows_.at(hand_);
      DPFS_ASSERT(row.used);
      const bool stays = row.found && passed < kPassedMax && row.epoch == epoch_of(row.parent);
      if (!stays) return rows_.give(row);
      row.found = false;
    }
  }

  const uint32_t rows_max_;
  const KeyedHash::Key key_;
  IndexedRows<Row> rows_;
  std::unique_ptr<Tables> tables_ = std::make_unique<Tables>();
  uint32_t hand_ = 0;
};

}  // namespace dpfs::kv
