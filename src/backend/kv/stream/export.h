// SPDX-License-Identifier: Apache-2.0
// Export: a file system's records, into a stream.
#pragma once

#include <cstdint>
#include <string_view>

#include "backend/kv/check/progress.h"
#include "backend/kv/owned_store.h"
#include "backend/kv/stream/stream.h"
#include "base/op.h"

namespace dpfs::kv {

class ExportSink {
 public:
  ExportSink() = default;
  ExportSink(const ExportSink&) = delete;
  ExportSink& operator=(const ExportSink&) = delete;
  // May wait; called inside Reactor::blocking().
  virtual Errno write(std::string_view bytes) noexcept = 0;

 protected:
  ~ExportSink() = default;
};

class Export {
 public:
  Export(OwnedStore& owned, ExportSink& sink, Progress& progress) noexcept
      : owned_(owned), sink_(sink), progress_(progress) {}
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;

  // The store is open. EIO: a record that no file system has; else the store's errors, and the
  // sink's.
  Op<Unit> run();
  uint64_t records() const noexcept { return blocks_.total(); }
  uint64_t bytes() const noexcept { return bytes_; }

 private:
  Op<Unit> sweep(Collection collection);
  Op<Unit> write(std::string_view bytes);

  OwnedStore& owned_;
  ExportSink& sink_;
  Progress& progress_;
  BlockWriter blocks_;
  uint64_t bytes_ = 0;
};

}  // namespace dpfs::kv
