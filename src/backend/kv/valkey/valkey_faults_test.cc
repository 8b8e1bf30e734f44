// SPDX-License-Identifier: Apache-2.0
// Servers of a cluster die, hang and exchange slots while a store is written to: what was
// acknowledged stays, and what cannot be known is not told.
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "backend/kv/store_contract.h"
#include "backend/kv/valkey/slot.h"
#include "backend/kv/valkey/valkey_rig.h"
#include "backend/kv/valkey/valkey_store.h"

namespace dpfs::kv {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

ValkeyOptions options_for(const ValkeyRig& rig) {
  ValkeyOptions options;
  options.servers = valkey_addresses(rig.address());
  options.partition = "main";
  return options;
}

// Lanes that each commit, and read what they have committed, one after the other.
class Load {
 public:
  explicit Load(Store& store) noexcept : store_(store) {}

  void begin(uint64_t lanes) {
    running_ = lanes;
    for (uint64_t lane = 0; lane < lanes; ++lane) run(lane);
  }
  void end() {
    stop_ = true;
    ended_.get_future().wait();
  }
  uint64_t acknowledged() const noexcept { return acknowledged_; }
  // Until so many more commits have been acknowledged.
  void go_on(uint64_t commits) const {
    const uint64_t wanted = acknowledged_ + commits;
    while (acknowledged_ < wanted && errors_ == 0) std::this_thread::yield();
  }

  std::set<uint64_t> done;     // acknowledged
  std::set<uint64_t> unknown;  // ETIMEDOUT
  Errno last_error = Errno::none;
  uint64_t wrong = 0;  // was read otherwise than it was written

  static std::string chunk_of(uint64_t number) { return some_text(2000, number); }

 private:
  Detached run(uint64_t lane) {
    for (uint64_t i = 0; !stop_; ++i) {
      const uint64_t number = (lane << 32) + i;
      const std::string name = std::to_string(number);
      const std::string chunk = chunk_of(number);
      const std::vector<Compare> compares{absent(inode_key(number))};
      const std::vector<Write> writes{put(inode_key(number), "inode"),
                                      put(entry_key(1, name), "entry"),
                                      patch(chunk_key(number, 0), 0, chunk), add(usage_key(0), 1)};
      Op<Unit> committing = store_.commit(compares, writes);
      const Result<Unit> committed = co_await std::move(committing);
      if (!committed) {
        if (committed.error() == Errno::timedout) {
          unknown.insert(number);
          continue;
        }
        last_error = committed.error();
        ++errors_;
        break;
      }
      done.insert(number);
      ++acknowledged_;
      KeptValue inode;
      KeptValue text;
      std::vector<Get> gets{{.key = inode_key(number), .reader = &inode},
                            {.key = chunk_key(number, 0), .reader = &text}};
      Op<Unit> reading = store_.get(gets);
      const Result<Unit> read = co_await std::move(reading);
      if (read && (inode.text != "inode" || text.text != chunk)) ++wrong;
    }
    if (--running_ == 0) ended_.set_value();
  }

  Store& store_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> acknowledged_ = 0;
  std::atomic<uint64_t> errors_ = 0;
  uint64_t running_ = 0;
  std::promise<void> ended_;
};

class ValkeyFaults : public testing::Test {
 protected:
  // Skips the test where there is none.
  void open(const std::vector<std::string>& rig_options, const ValkeyOptions& more = {}) {
    rig_.emplace(rig_options);
    if (!rig_->missing().empty()) GTEST_SKIP() << rig_->missing();
    ValkeyOptions options = more;
    options.servers = options_for(*rig_).servers;
    client_.reset();
    client_ =
        std::make_unique<ContractClient>(running_, make_valkey_store(running_.reactor, options));
    ASSERT_EQ(client_->open(), Errno::none);
  }
  void begin_load() {
    load_ = std::make_unique<Load>(client_->store());
    running_.reactor.post([&] { load_->begin(16); });
    load_->go_on(500);
  }
  // All that was acknowledged is there, and each commit once.
  void expect_nothing_lost() {
    load_->go_on(500);
    load_->end();
    EXPECT_EQ(load_->last_error, Errno::none);
    EXPECT_EQ(load_->wrong, 0U);
    EXPECT_GE(load_->done.size(), 1000U);
    uint64_t carried_out = load_->done.size();
    std::vector<uint64_t> numbers;
    for (const uint64_t number : load_->done) {
      numbers.push_back(number);
      if (numbers.size() < 200) continue;
      ASSERT_NO_FATAL_FAILURE(expect_there(numbers));
    }
    expect_there(numbers);
    for (const uint64_t number : load_->unknown) {
      carried_out += client_->get(inode_key(number)).has_value() ? 1 : 0;
    }
    EXPECT_EQ(client_->get(usage_key(0)), number_text(static_cast<int64_t>(carried_out)));
    EXPECT_EQ(client_->scan({.collection = Collection::entry, .object = 1}).size(), carried_out);
    EXPECT_EQ(client_->sync(), Errno::none);
  }
  void expect_there(std::vector<uint64_t>& numbers) {
    std::vector<KeptValue> values(numbers.size() * 3);
    std::vector<std::string> names;
    for (const uint64_t number : numbers) names.push_back(std::to_string(number));
    std::vector<Get> gets;
    for (size_t i = 0; i < numbers.size(); ++i) {
      gets.push_back({.key = inode_key(numbers[i]), .reader = &values[3 * i]});
      gets.push_back({.key = entry_key(1, names[i]), .reader = &values[3 * i + 1]});
      gets.push_back({.key = chunk_key(numbers[i], 0), .reader = &values[3 * i + 2]});
    }
    ASSERT_EQ(client_->why<Unit>([&] { return client_->store().get(gets); }), Errno::none);
    for (size_t i = 0; i < numbers.size(); ++i) {
      ASSERT_EQ(values[3 * i].text, "inode") << names[i];
      ASSERT_EQ(values[3 * i + 1].text, "entry") << names[i];
      ASSERT_EQ(values[3 * i + 2].text, Load::chunk_of(numbers[i])) << names[i];
    }
    numbers.clear();
  }
  // The primary that has the metadata, and one that has contents only.
  static int metadata_server() { return static_cast<int>(valkey::slot_of("{main}") * 3 / 16384); }
  static int other_server() { return (metadata_server() + 1) % 3; }
  void tell(const std::string& command) { ASSERT_TRUE(rig_->tell(command).starts_with("ok")); }

  std::optional<ValkeyRig> rig_;
  RunningReactor running_;
  std::unique_ptr<ContractClient> client_;
  std::unique_ptr<Load> load_;
};

const std::vector<std::string> kCluster{"--cluster", "--node-timeout", "500"};

TEST_F(ValkeyFaults, PrimaryOfTheMetadataDiesAndNothingIsLost) {
  ASSERT_NO_FATAL_FAILURE(open(kCluster));
  if (IsSkipped()) return;
  begin_load();
  tell("kill " + std::to_string(metadata_server()));
  expect_nothing_lost();
}

TEST_F(ValkeyFaults, PrimaryOfContentsDiesAndNothingIsLost) {
  ASSERT_NO_FATAL_FAILURE(open(kCluster));
  if (IsSkipped()) return;
  begin_load();
  tell("kill " + std::to_string(other_server()));
  expect_nothing_lost();
}

TEST_F(ValkeyFaults, PrimaryThatHangsIsReplacedAndNothingIsLost) {
  ASSERT_NO_FATAL_FAILURE(open(kCluster));
  if (IsSkipped()) return;
  begin_load();
  tell("pause " + std::to_string(metadata_server()));
  load_->go_on(500);
  tell("resume " + std::to_string(metadata_server()));
  expect_nothing_lost();
}

// The replica lacks what was acknowledged after its connection was cut.
TEST_F(ValkeyFaults, ReplicaThatLagsGetsWhatItLacksFromTheStore) {
  for (const int server : {metadata_server(), other_server()}) {
    ASSERT_NO_FATAL_FAILURE(open(kCluster));
    if (IsSkipped()) return;
    begin_load();
    tell("pause " + std::to_string(server + 3));
    tell("call " + std::to_string(server) + " CLIENT KILL TYPE replica");
    load_->go_on(300);
    tell("kill " + std::to_string(server));
    tell("resume " + std::to_string(server + 3));
    expect_nothing_lost();
    ASSERT_EQ(client_->close(), Errno::none);
  }
}

TEST_F(ValkeyFaults, PrimaryOfContentsThatForgetsAllIsNotBelieved) {
  ASSERT_NO_FATAL_FAILURE(open(kCluster));
  if (IsSkipped()) return;
  begin_load();
  tell("kill " + std::to_string(other_server() + 3));
  tell("kill " + std::to_string(other_server()));
  tell("start " + std::to_string(other_server()));
  load_->end();
  EXPECT_EQ(load_->last_error, Errno::io);
  EXPECT_EQ(load_->wrong, 0U);
}

TEST_F(ValkeyFaults, AgreedFailoverLosesNothing) {
  ASSERT_NO_FATAL_FAILURE(open(kCluster));
  if (IsSkipped()) return;
  begin_load();
  tell("failover " + std::to_string(metadata_server() + 3));
  load_->go_on(500);
  tell("failover " + std::to_string(other_server() + 3));
  expect_nothing_lost();
}

TEST_F(ValkeyFaults, SlotsThatMoveLoseNothing) {
  ASSERT_NO_FATAL_FAILURE(open(kCluster));
  if (IsSkipped()) return;
  begin_load();
  const std::string slot = std::to_string(valkey::slot_of("{main}"));
  const std::string from = std::to_string(metadata_server());
  const std::string to = std::to_string(other_server());
  tell("reshard " + slot + " " + from + " " + to);
  load_->go_on(200);
  const int first = 16384 / 3 * other_server() + 100;
  tell("reshard " + std::to_string(first) + "-" + std::to_string(first + 20) + " " + to + " " +
       from);
  expect_nothing_lost();
}

TEST_F(ValkeyFaults, ServerThatForgetsAllIsNotBelieved) {
  ASSERT_NO_FATAL_FAILURE(open({}));
  if (IsSkipped()) return;
  begin_load();
  tell("kill 0");
  tell("start 0");
  load_->end();
  EXPECT_EQ(load_->last_error, Errno::io);
  EXPECT_EQ(load_->wrong, 0U);
  KeptValue value;
  std::vector<Get> gets{{.key = inode_key(0), .reader = &value}};
  EXPECT_EQ(client_->why<Unit>([&] { return client_->store().get(gets); }), Errno::io);
}

TEST_F(ValkeyFaults, ServerThatSynchronizesLosesNothingWhenItIsKilled) {
  ASSERT_NO_FATAL_FAILURE(open({"--append", "always"}));
  if (IsSkipped()) return;
  begin_load();
  tell("kill 0");
  tell("start 0");
  expect_nothing_lost();
}

TEST_F(ValkeyFaults, ServerThatIsGoneEndsRequestsInTime) {
  ValkeyOptions options;
  options.limit_ns = kSecondNs;
  ASSERT_NO_FATAL_FAILURE(open({}, options));
  if (IsSkipped()) return;
  ASSERT_EQ(client_->write(put(inode_key(1), "x")), Errno::none);
  tell("pause 0");
  EXPECT_EQ(client_->write(put(inode_key(1), "y")), Errno::timedout);
  EXPECT_EQ(client_->write(put(chunk_key(1, 1), "y")), Errno::timedout);
  KeptValue value;
  std::vector<Get> gets{{.key = inode_key(1), .reader = &value}};
  EXPECT_EQ(client_->why<Unit>([&] { return client_->store().get(gets); }), Errno::timedout);
  tell("resume 0");
  // Not carried out later.
  const std::optional<std::string> found = client_->get(inode_key(1));
  EXPECT_TRUE(found == "x" || found == "y");
  EXPECT_EQ(client_->get(inode_key(1)), found);
}

TEST_F(ValkeyFaults, ServerThatMayEvictIsRefused) {
  ValkeyRig rig({"--set", "maxmemory=64mb", "--set", "maxmemory-policy=allkeys-lru"});
  if (!rig.missing().empty()) GTEST_SKIP() << rig.missing();
  ContractClient client(running_, make_valkey_store(running_.reactor, options_for(rig)));
  EXPECT_EQ(client.open(), Errno::inval);
}

TEST_F(ValkeyFaults, FullServerSaysEnospcAndTakesRemovals) {
  ASSERT_NO_FATAL_FAILURE(open({"--set", "maxmemory=16mb"}));
  if (IsSkipped()) return;
  const std::string large = some_text(256 << 10, 1);
  uint64_t number = 0;
  Errno why = Errno::none;
  while (why == Errno::none && number < 1000) {
    why = client_->write(put(chunk_key(1, number++), large));
  }
  EXPECT_EQ(why, Errno::nospc);
  EXPECT_EQ(client_->write(put(inode_key(1), large)), Errno::nospc);
  EXPECT_EQ(client_->write(erase(chunk_key(1, 0))), Errno::none);
  EXPECT_EQ(client_->write(erase(chunk_key(1, 1))), Errno::none);
  EXPECT_EQ(client_->write(put(inode_key(1), "small")), Errno::none);
}

TEST_F(ValkeyFaults, StoresThatChangeNothingDoNotCrowdOutTheOneThatDoes) {
  ASSERT_NO_FATAL_FAILURE(open({}));
  if (IsSkipped()) return;
  ASSERT_EQ(client_->write(put(inode_key(1), "mine")), Errno::none);
  for (int i = 0; i < 70; ++i) {
    ContractClient other(running_, make_valkey_store(running_.reactor, options_for(*rig_)));
    ASSERT_EQ(other.open(), Errno::none);
    EXPECT_EQ(other.commit({absent(inode_key(1))}, {put(inode_key(1), "theirs")}), kCompareFailed);
  }
  EXPECT_EQ(client_->write(put(inode_key(1), "still mine")), Errno::none);
  // The first to be carried out comes behind some that were not.
  ContractClient other(running_, make_valkey_store(running_.reactor, options_for(*rig_)));
  ASSERT_EQ(other.open(), Errno::none);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(other.commit({absent(inode_key(1))}, {put(inode_key(1), "theirs")}), kCompareFailed);
  }
  EXPECT_EQ(other.write(put(inode_key(2), "theirs")), Errno::none);
  EXPECT_EQ(other.get(inode_key(2)), "theirs");
}

// As docs/kv.md has them.
TEST_F(ValkeyFaults, UserWithTheRightsThatAreAskedForCanDoAll) {
  ValkeyRig rig({"--append", "always"});
  if (!rig.missing().empty()) GTEST_SKIP() << rig.missing();
  ASSERT_TRUE(rig.tell("call 0 ACL SETUSER dpfs on >secret ~{main}* ~C:main:* ~Z:main:* +@all "
                       "-@dangerous +client|kill +client|info +cluster|slots +cluster|nodes "
                       "+cluster|info +info +script|load")
                  .starts_with("ok"));
  ValkeyOptions options = options_for(rig);
  options.limit_ns = kSecondNs;
  options.user = "dpfs";
  options.password = "secret";
  ContractClient client(running_, make_valkey_store(running_.reactor, options));
  ASSERT_EQ(client.open(), Errno::none);
  EXPECT_EQ(client.commit({absent(inode_key(1))},
                          {put(inode_key(1), "inode"), put(entry_key(1, "a"), "entry"),
                           put(chunk_key(1, 1), "chunk"), add(usage_key(0), 1)}),
            Errno::none);
  EXPECT_EQ(client.write(cut(chunk_key(1, 1), 3)), Errno::none);
  EXPECT_EQ(client.get(chunk_key(1, 1), 1, 10), "hu");
  EXPECT_EQ(client.get(chunk_key(1, 1), 10, 10), "");
  EXPECT_EQ(client.scan({.collection = Collection::entry, .object = 1}).size(), 1U);
  EXPECT_EQ(client.sweep(Collection::chunk).size(), 1U);
  EXPECT_EQ(client.sync(), Errno::none);
  // A connection that is given up is ended at the server.
  rig.tell("pause 0");
  EXPECT_EQ(client.write(put(inode_key(1), "again")), Errno::timedout);
  rig.tell("resume 0");
  EXPECT_EQ(client.write(put(inode_key(1), "again")), Errno::none);
}

TEST_F(ValkeyFaults, WrongPasswordIsEacces) {
  ValkeyRig rig({"--password", "secret"});
  if (!rig.missing().empty()) GTEST_SKIP() << rig.missing();
  ValkeyOptions options = options_for(rig);
  ContractClient with(running_, [&] {
    options.password = "secret";
    return make_valkey_store(running_.reactor, options);
  }());
  EXPECT_EQ(with.open(), Errno::none);
  options.password = "wrong";
  ContractClient without(running_, make_valkey_store(running_.reactor, options));
  EXPECT_EQ(without.open(), Errno::acces);
}

}  // namespace
}  // namespace dpfs::kv
