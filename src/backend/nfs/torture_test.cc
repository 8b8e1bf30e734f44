// SPDX-License-Identifier: Apache-2.0
// Many users at once, each with a file of its own, while everything goes wrong that can: nobody
// loses a byte, and nobody hangs.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {

namespace {

constexpr uint32_t kGraceMs = 600'000;
constexpr size_t kUsers = 6;
constexpr int kSteps = 60;
constexpr size_t kFileBytes = 16 * 1024;

NfsOptions several_connections() {
  NfsOptions options;
  options.nconnect = 3;
  options.slots = 8;
  options.timeo_ds = 10;
  return options;
}

class Torture : public testing::Test, public NfsFsHarness {
 protected:
  Torture() : NfsFsHarness({.grace_ms = kGraceMs}, several_connections()) {}

  void use_a_file(size_t user, uint64_t seed) {
    std::mt19937_64 random(seed + user);
    const std::string name = "file" + std::to_string(user);
    std::string model(kFileBytes, '\0');
    put(name, model);
    const NodeId file_node = node(name);
    File file{file_node, open(file_node)};
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      const size_t offset = random() % (kFileBytes - 1);
      const size_t bytes = 1 + random() % std::min<size_t>(6000, kFileBytes - offset - 1);
      switch (random() % 7) {
        case 0:
          EXPECT_TRUE(fsync(file)) << name << " step " << step;
          EXPECT_TRUE(server.stable_contents(path(name)) == model) << name << " step " << step;
          break;
        case 1:
        case 2:
          EXPECT_TRUE(read(file, offset, bytes) == model.substr(offset, bytes))
              << name << " step " << step;
          break;
        case 3:
          EXPECT_TRUE(lock(file, user, F_WRLCK, {.start = offset, .end = offset + bytes}));
          break;
        case 4:
          EXPECT_TRUE(lock(file, user, F_UNLCK));
          break;
        case 5:
          release(file);
          file.handle = open(file_node);
          break;
        default: {
          const std::string piece(bytes, static_cast<char>('a' + step % 26));
          EXPECT_EQ(write(file, offset, piece), bytes) << name << " step " << step;
          model.replace(offset, bytes, piece);
          break;
        }
      }
    }
    EXPECT_TRUE(fsync(file)) << name;
    EXPECT_TRUE(server.stable_contents(path(name)) == model) << name;
    release(file);
  }

  void one_fault(std::mt19937_64& random) {
    const auto skip = static_cast<uint32_t>(random() % 8);
    switch (random() % 8) {
      case 0:
        return server.restart();
      case 1:
        return server.drop_connections();
      case 2:
        return server.drop_after({.skip = skip});
      case 3:
        return server.drop_before({.skip = skip});
      case 4:
        return server.reorder(1 + random() % 4);
      case 5:
        return server.fragment(random() % 3000);
      case 6:
        return server.answer({.operation = Operation::putfh, .skip = skip, .times = 3},
                             Status::delay);
      default:
        return server.with([&](responder::World& world) {
          world.target_slots = 1 + static_cast<uint32_t>(random() % 8);
        });
    }
  }
};

TEST_F(Torture, NobodyLosesAByte) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::atomic<size_t> busy{kUsers};
  std::vector<std::thread> users;
  users.reserve(kUsers);
  for (size_t user = 0; user < kUsers; ++user) {
    users.emplace_back([this, user, seed, &busy] {
      use_a_file(user, seed);
      --busy;
    });
  }
  std::mt19937_64 random(seed);
  while (busy > 0) {
    one_fault(random);
    // What has gone wrong is to be over before the next does: a client that finds the server away
    // tries again after a while only.
    const uint64_t requests = server.counters().requests;
    const auto goes_on = [&](responder::World& world) {
      return world.counters.requests > requests + 30;
    };
    for (int i = 0; i < 100 && busy > 0; ++i) {
      if (server.wait_until(goes_on, std::chrono::milliseconds(100))) break;
    }
  }
  for (std::thread& user : users) user.join();
  server.clear_rules();
  server.reorder(1);
  server.fragment(0);
}

}  // namespace

}  // namespace dpfs::nfs
