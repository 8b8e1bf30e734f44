// SPDX-License-Identifier: Apache-2.0
// Import: a file system, from a stream.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "backend/kv/check/progress.h"
#include "backend/kv/records.h"
#include "backend/kv/store.h"
#include "backend/kv/stream/stream.h"
#include "base/op.h"
#include "io/reactor.h"

namespace dpfs::kv {

class ImportSource {
 public:
  ImportSource() = default;
  ImportSource(const ImportSource&) = delete;
  ImportSource& operator=(const ImportSource&) = delete;
  // Fills all of it, unless the stream ends before: then `got` is less. May wait; called inside
  // Reactor::blocking().
  virtual Errno read(std::span<char> into, size_t& got) noexcept = 0;

 protected:
  ~ImportSource() = default;
};

// Into a store that is open and has no file system. The superblock comes last, when all else is
// there and right: what is broken off before is not taken for a file system by anybody.
class Import {
 public:
  Import(Reactor& reactor, Store& store, ImportSource& source, Progress& progress) noexcept
      : reactor_(reactor), store_(store), source_(source), progress_(progress) {}
  Import(const Import&) = delete;
  Import& operator=(const Import&) = delete;

  // EEXIST: there is a file system, or what is left of one. EINVAL: the stream is broken, which
  // problem() says more about. Where it fails after it has begun to write, what it has written is
  // erased.
  Op<Unit> run();
  const std::string& problem() const noexcept { return problem_; }
  uint64_t records() const noexcept { return records_; }
  uint64_t bytes() const noexcept { return bytes_; }

 private:
  Op<Unit> read_header();
  Op<Unit> read_blocks();
  Op<bool> read_block();
  Op<Unit> read(std::span<char> into);
  Op<Unit> write_records(std::string_view payload, uint32_t count);
  Op<Unit> add(const Key& key, std::string_view value);
  Op<Unit> flush();
  Op<Unit> finish();
  Errno broken(std::string why);

  Reactor& reactor_;
  Store& store_;
  ImportSource& source_;
  Progress& progress_;
  std::string payload_;
  std::vector<Write> writes_;  // their names and values lie in payload_
  size_t writes_bytes_ = 0;
  std::string superblock_;
  uint64_t blocks_ = 0;
  uint64_t records_ = 0;
  uint64_t bytes_ = 0;
  bool has_written_ = false;
  std::string problem_;
};

// Whether there is any record of a file system, the session left out.
Op<bool> has_records(Store& store);
// Erases all records, so that nothing is left of a file system.
Op<Unit> erase_all(Reactor& reactor, Store& store, Progress& progress);

}  // namespace dpfs::kv
