// SPDX-License-Identifier: Apache-2.0
// What the tests that every engine passes stand on. An engine's own test includes
// backend/kv/store_contract_tests.h and says
//
//   INSTANTIATE_TEST_SUITE_P(Mine, StoreContract, testing::Values(ContractSubject{...}),
//                            contract_subject_name);
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "backend/kv/store.h"
#include "io/reactor_harness.h"

namespace dpfs::kv {

// A place where an engine has records: a folder, some servers. What it has made itself is gone when
// it dies.
class ContractPlace {
 public:
  ContractPlace() = default;
  ContractPlace(const ContractPlace&) = delete;
  ContractPlace& operator=(const ContractPlace&) = delete;
  virtual ~ContractPlace() = default;
  // Not opened yet; open() makes what is not there.
  virtual std::unique_ptr<Store> make_store(Reactor& reactor, const std::string& partition) = 0;
  // By which another process finds the place.
  virtual std::string address() const = 0;
};

struct ContractSubject {
  const char* name = "";
  // A new place where the address is empty, else the one that somebody else has made.
  std::unique_ptr<ContractPlace> (*make_place)(const std::string& address) = nullptr;
  // Why it cannot be tested here, or nothing.
  std::string (*missing)() = [] { return std::string(); };
};
inline void PrintTo(const ContractSubject& subject, std::ostream* out) { *out << subject.name; }
inline std::string contract_subject_name(const testing::TestParamInfo<ContractSubject>& info) {
  return info.param.name;
}

// Keeps what it is given.
class KeptValue final : public ValueReader {
 public:
  void found(std::string_view value) noexcept override { text.emplace(value); }
  std::optional<std::string> text;
};

struct KeptRecord {
  uint64_t object = 0;
  uint64_t number = 0;
  std::string name;
  std::string value;
  bool operator==(const KeptRecord&) const = default;
};
inline void PrintTo(const KeptRecord& record, std::ostream* out) {
  *out << record.object << "/" << record.number << "/" << testing::PrintToString(record.name) << "="
       << testing::PrintToString(record.value);
}

class KeptRecords final : public ScanReader {
 public:
  explicit KeptRecords(size_t max = SIZE_MAX) noexcept : max_(max) {}
  bool found(const Key& key, std::string_view value) noexcept override {
    records.push_back({key.object, key.number, std::string(key.name), std::string(value)});
    return records.size() < max_;
  }
  std::vector<KeptRecord> records;

 private:
  const size_t max_;
};

// A store, asked from a thread that may wait.
class ContractClient {
 public:
  ContractClient(RunningReactor& reactor, std::unique_ptr<Store> its) noexcept
      : reactor_(reactor), store_(std::move(its)) {}
  ContractClient(const ContractClient&) = delete;
  ContractClient& operator=(const ContractClient&) = delete;
  ~ContractClient() {
    if (is_open_) {
      EXPECT_EQ(close(), Errno::none);
    }
  }

  Store& store() noexcept { return *store_; }

  // Begins what `begin` does on the reactor, and waits for its result.
  template <class T>
  Result<T> wait(const std::function<Op<T>()>& begin) {
    std::promise<Result<T>> done;
    reactor_.reactor.post([&] { tell(begin, done); });
    return done.get_future().get();
  }
  template <class T>
  Errno why(const std::function<Op<T>()>& begin) {
    return wait<T>(begin).error();
  }

  Errno open() {
    const Errno result = why<Unit>([&] { return store_->open(); });
    is_open_ = result == Errno::none;
    return result;
  }
  Errno close() {
    is_open_ = false;
    return why<Unit>([&] { return store_->close(); });
  }
  Errno commit(const std::vector<Compare>& compares, const std::vector<Write>& writes) {
    return why<Unit>([&] { return store_->commit(compares, writes); });
  }
  Errno write(const Write& write) { return commit({}, {write}); }
  Errno sync() {
    return why<Unit>([&] { return store_->sync(); });
  }
  // Nothing where there is no such record, or the request failed (which fails the test).
  std::optional<std::string> get(const Key& key, uint32_t offset = 0, uint32_t bytes = UINT32_MAX) {
    KeptValue value;
    std::vector<Get> gets{{.key = key, .reader = &value, .offset = offset, .bytes = bytes}};
    EXPECT_EQ(why<Unit>([&] { return store_->get(gets); }), Errno::none);
    EXPECT_EQ(gets[0].found, value.text.has_value());
    return value.text;
  }
  std::vector<KeptRecord> scan(const Scan& scan) {
    KeptRecords reader;
    EXPECT_EQ(why<bool>([&] { return store_->scan(scan, reader); }), Errno::none);
    return reader.records;
  }
  // All of a collection.
  std::vector<KeptRecord> sweep(Collection collection) {
    KeptRecords reader;
    Sweep sweep{.collection = collection};
    do {
      const Errno result = why<Unit>([&] { return store_->sweep(sweep, reader); });
      EXPECT_EQ(result, Errno::none);
      if (result != Errno::none) break;
    } while (sweep.cursor != 0);
    return reader.records;
  }

 private:
  template <class T>
  static Detached tell(std::function<Op<T>()> begin, std::promise<Result<T>>& done) {
    Op<T> op = begin();
    const Result<T> result = co_await std::move(op);
    done.set_value(result);
  }

  RunningReactor& reactor_;
  std::unique_ptr<Store> store_;
  bool is_open_ = false;
};

// In the environment of a process that a test starts: the place of that test. One of its own would
// be left behind when the process is killed.
inline constexpr const char* kCrashAddress = "DPFS_CONTRACT_ADDRESS";

class StoreContract : public testing::TestWithParam<ContractSubject> {
 protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty()) {
      GTEST_SKIP() << missing;
    }
    const char* const address = getenv(kCrashAddress);
    place_ = GetParam().make_place(address != nullptr ? address : "");
    ASSERT_NE(place_, nullptr);
    client_ = make_client("main");
    ASSERT_EQ(client_->open(), Errno::none);
  }
  // Not opened yet.
  std::unique_ptr<ContractClient> make_client(const std::string& partition) {
    return std::make_unique<ContractClient>(reactor_,
                                            place_->make_store(reactor_.reactor, partition));
  }
  ContractClient& client() noexcept { return *client_; }
  Store& store() noexcept { return client_->store(); }
  Reactor& reactor() noexcept { return reactor_.reactor; }
  ContractPlace& place() noexcept { return *place_; }

  std::unique_ptr<ContractPlace> place_;
  RunningReactor reactor_;
  std::unique_ptr<ContractClient> client_;
};

// ---- Short for what tests say often ---------------------------------------------------------

inline Key inode_key(uint64_t object) {
  return {.collection = Collection::inode, .object = object};
}
inline Key chunk_key(uint64_t object, uint64_t number) {
  return {.collection = Collection::chunk, .object = object, .number = number};
}
inline Key entry_key(uint64_t object, std::string_view name) {
  return {.collection = Collection::entry, .object = object, .name = name};
}
inline Key listing_key(uint64_t object, uint64_t number) {
  return {.collection = Collection::listing, .object = object, .number = number};
}
inline Key usage_key(uint64_t object) {
  return {.collection = Collection::usage, .object = object};
}

inline Write put(const Key& key, std::string_view value) {
  return {.kind = Write::Kind::put, .key = key, .value = value};
}
inline Write erase(const Key& key) { return {.kind = Write::Kind::erase, .key = key}; }
inline Write add(const Key& key, int64_t number) {
  return {.kind = Write::Kind::add, .key = key, .number = number};
}
inline Write patch(const Key& key, int64_t offset, std::string_view value) {
  return {.kind = Write::Kind::patch, .key = key, .value = value, .number = offset};
}
inline Write cut(const Key& key, int64_t bytes) {
  return {.kind = Write::Kind::cut, .key = key, .number = bytes};
}
inline Compare absent(const Key& key) { return {.key = key}; }
inline Compare begins_with(const Key& key, std::string_view prefix) {
  return {.key = key, .present = true, .prefix = prefix};
}

// A number as Write::Kind::add stores it.
inline std::string number_text(int64_t number) {
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i) {
    text[i] = static_cast<char>(static_cast<uint64_t>(number) >> (56 - 8 * i));
  }
  return text;
}
// So many bytes, others for each seed.
inline std::string some_text(size_t bytes, uint64_t seed) {
  std::string text(bytes, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& c : text) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state);
  }
  return text;
}

}  // namespace dpfs::kv
