// SPDX-License-Identifier: Apache-2.0
// Store: the small interface that the key-value file system needs of an engine.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/op.h"
#include "base/result.h"
#include "guest/io_view.h"

namespace dpfs::kv {

// How the records of a collection are found.
enum class Shape : uint8_t {
  single,    // by their object
  named,     // by their object and a name; a scan gives one object's in the order of the names
  numbered,  // by their object and a number; a scan gives one object's in the order of the numbers
  spread,    // by their object and a number; never scanned by object, and not part of a commit's
             // atomic change (see Store::commit)
};

enum class Collection : uint8_t {
#define DPFS_KV_COLLECTION(name, shape, letter) name,
#include "backend/kv/collections.def"
};

constexpr Shape shape_of(Collection collection) noexcept {
  switch (collection) {
#define DPFS_KV_COLLECTION(name, shape, letter) \
  case Collection::name:                        \
    return Shape::shape;
#include "backend/kv/collections.def"
  }
  return Shape::single;
}

constexpr char letter_of(Collection collection) noexcept {
  switch (collection) {
#define DPFS_KV_COLLECTION(name, shape, letter) \
  case Collection::name:                        \
    return letter;
#include "backend/kv/collections.def"
  }
  return 0;
}

// A record's place. `number` and `name` count where the collection's shape has them.
struct Key {
  Collection collection;
  uint64_t object = 0;
  uint64_t number = 0;
  std::string_view name = {};  // 1 to 255 bytes, any
};

inline constexpr uint32_t kNameBytesMax = 255;

// Takes what is stored, as it lies in the engine: valid until found() returns. Called on the
// reactor, and may not start anything there.
class ValueReader {
 public:
  ValueReader() = default;
  ValueReader(const ValueReader&) = delete;
  ValueReader& operator=(const ValueReader&) = delete;
  virtual void found(std::string_view value) noexcept = 0;

 protected:
  ~ValueReader() = default;
};

struct Get {
  Key key;
  ValueReader* reader = nullptr;
  // The part of the value that is wanted; what lies behind its end is not there.
  uint32_t offset = 0;
  uint32_t bytes = UINT32_MAX;
  bool found = false;  // out; where it is false the reader is not called
};

class ScanReader {
 public:
  ScanReader() = default;
  ScanReader(const ScanReader&) = delete;
  ScanReader& operator=(const ScanReader&) = delete;
  // As ValueReader::found(). False: no more.
  virtual bool found(const Key& key, std::string_view value) noexcept = 0;

 protected:
  ~ScanReader() = default;
};

// Records of one object of a collection that is named or numbered, in order.
struct Scan {
  Collection collection;
  uint64_t object = 0;
  // Where to begin: with that number, or behind that name.
  uint64_t from_number = 0;
  std::string_view after_name = {};
  uint32_t records_max = UINT32_MAX;
};

// All records of a collection, whoever's they are, in an order of the engine's own, each at least
// once. For tools. What is written meanwhile may be left out.
struct Sweep {
  Collection collection;
  uint64_t cursor = 0;  // in and out; 0 at the beginning, and at the end
};

// What a record must be for a commit to take place.
struct Compare {
  Key key;
  bool present = false;          // false: there is no such record
  std::string_view prefix = {};  // else: its value begins with this
};

struct Write {
  enum class Kind : uint8_t {
    put,    // the value is `value` followed by `payload`
    erase,  // there is no such record afterwards
    add,    // the value is a number (8 bytes, big-endian, two's complement; absent is 0): plus
            // `number`
    patch,  // `value` and `payload` lie at `number` in the value from now on. What was there
            // outside of them stays; a gap is zeros; absent counts as empty. Of no bytes it
            // changes nothing
    cut,    // the value has at most `number` bytes; absent stays absent
            // patch and cut: only of records that are single or spread
  };
  Kind kind;
  Key key;
  std::string_view value = {};
  IoView payload = {};  // a tenant's: its bytes may change while they are read
  int64_t number = 0;
};

// Of commit(): a comparison failed, and nothing was written.
inline constexpr Errno kCompareFailed = Errno::canceled;

// One file system in one engine: a partition, all of whose records but the spread ones can be
// changed in one atomic commit. Of one reactor. It would fit FoundationDB, TiKV and etcd as it fits
// RocksDB and Valkey: docs/kv.md says how to add an engine.
//
// What arguments refer to stays until the Op is done. Requests may be in flight at the same time;
// those to the same record are not ordered among each other, unless one begins when the other is
// done: then it sees what that one has done.
//
// Errors but kCompareFailed: EIO, ENOSPC (nothing more can be written), ETIMEDOUT (the engine could
// not be reached for as long as it was told to try), ESTALE (closed). A commit that ended so may
// have been carried out or not, but is not carried out later, and never in part.
class Store {
 public:
  struct Traits {
    const char* engine = "";     // "rocksdb"
    uint32_t chunk_bytes = 0;    // of contents in a chunk: a power of two, at least 64 KiB
    uint32_t commit_writes = 0;  // in one commit, at most
    bool remote = false;         // a request is a round trip: better to ask for much at once
    bool exclusive = false;      // no other process can have the engine open while this has
  };
  // Of the engine, whoever's records they are.
  struct Space {
    uint64_t total_bytes = 0;
    uint64_t free_bytes = 0;
  };

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  virtual const Traits& traits() const noexcept = 0;

  // Before all else, and after close() again. EBUSY: somebody else has the engine.
  virtual Op<Unit> open() = 0;
  // No request is in flight. After it nothing of this store runs or is held.
  virtual Op<Unit> close() = 0;

  virtual Op<Unit> get(std::span<Get> gets) = 0;
  // True: the reader has had all there is behind the beginning.
  virtual Op<bool> scan(const Scan& scan, ScanReader& reader) = 0;
  // Gives some records, at most some thousand; the reader has no say in it. See Sweep.
  virtual Op<Unit> sweep(Sweep& sweep, ScanReader& reader) = 0;

  // All writes or none, if all comparisons hold; seen by all who ask after it is done, and after a
  // crash of this process. Writes to spread records come first: they are not atomic with the
  // others, are done when the others take place, and may have been done where the others are not.
  // No record is written twice in one commit. Comparisons are with records that are not spread.
  virtual Op<Unit> commit(std::span<const Compare> compares, std::span<const Write> writes) = 0;

  // What was committed before stays, as safely as the engine can (docs/kv.md).
  virtual Op<Unit> sync() = 0;

  virtual Op<Space> space() = 0;
};

}  // namespace dpfs::kv
