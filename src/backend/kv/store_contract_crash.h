// SPDX-License-Identifier: Apache-2.0
// The contract: a process that is killed loses nothing that it was told, and leaves nothing in
// part.
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "backend/kv/store_contract.h"
#include "backend/kv/store_contract_commits.h"
#include "base/fd.h"

extern char** environ;  // NOLINT: POSIX has it declared by the program

namespace dpfs::kv {

inline constexpr const char* kCrashPipe = "DPFS_CONTRACT_PIPE";

// What one commit of the process that is killed writes: four records of one number.
inline ManyCommits::Content crash_content(uint64_t number, const std::string& name,
                                          const std::string& chunk) {
  return {{absent(inode_key(number))},
          {put(inode_key(number), "inode"), put(entry_key(1, name), "entry"),
           patch(chunk_key(number, 0), 100, chunk), add(usage_key(0), 1)}};
}

inline Detached commit_for_ever(Store& store, int pipe, uint64_t lane) {
  for (uint64_t i = 0;; ++i) {
    const uint64_t number = (lane << 32) + i;
    const std::string name = std::to_string(number);
    const std::string chunk = some_text(3000, number);
    const ManyCommits::Content content = crash_content(number, name, chunk);
    Op<Unit> op = store.commit(content.compares, content.writes);
    const Result<Unit> ended = co_await std::move(op);
    if (!ended) _exit(3);
    if (::write(pipe, &number, sizeof number) != sizeof number) _exit(4);
  }
}

// Runs in a process of its own, started by the test below: commits, and says so by the pipe, until
// it is killed.
TEST_P(StoreContract, DISABLED_ChildThatCommitsUntilItIsKilled) {
  const char* const address = getenv(kCrashAddress);
  const char* const pipe = getenv(kCrashPipe);
  if (address == nullptr || pipe == nullptr) GTEST_SKIP() << "for a test that starts it";
  const auto place = GetParam().make_place(address);
  const int pipe_fd = std::atoi(pipe);
  RunningReactor running;
  ContractClient child(running, place->make_store(running.reactor, "crash"));
  if (child.open() != Errno::none) _exit(2);
  running.reactor.post([&] {
    for (uint64_t lane = 0; lane < 8; ++lane) commit_for_ever(child.store(), pipe_fd, lane);
  });
  while (true) pause();
}

// Starts the test above for `address` and kills it after so many commits; gives their numbers.
inline std::vector<uint64_t> commit_and_kill(const std::string& address, size_t commits) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return {};
  const Fd from(ends[0]);
  Fd to(ends[1]);
  setenv(kCrashAddress, address.c_str(), 1);
  setenv(kCrashPipe, std::to_string(to.get()).c_str(), 1);
  std::string program = "/proc/self/exe";
  std::string filter = "--gtest_filter=*DISABLED_ChildThatCommitsUntilItIsKilled*";
  std::string disabled = "--gtest_also_run_disabled_tests";
  std::array<char*, 4> arguments{program.data(), filter.data(), disabled.data(), nullptr};
  pid_t child = -1;
  EXPECT_EQ(posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments.data(), environ), 0);
  unsetenv(kCrashAddress);
  unsetenv(kCrashPipe);
  to.reset();
  std::vector<uint64_t> numbers;
  uint64_t number = 0;
  while (read(from.get(), &number, sizeof number) == sizeof number) {
    numbers.push_back(number);
    if (numbers.size() == commits) kill(child, SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  return numbers;
}

TEST_P(StoreContract, AProcessThatIsKilledLosesNothingAndLeavesNothingInPart) {
  // Engines that one process may have at a time: the child is to be that one.
  ASSERT_EQ(client().close(), Errno::none);
  for (const size_t commits : {1, 50, 3000}) {
    const auto place = GetParam().make_place("");
    const std::vector<uint64_t> numbers = commit_and_kill(place->address(), commits);
    ASSERT_GE(numbers.size(), commits);
    ContractClient after(reactor_, place->make_store(reactor(), "crash"));
    ASSERT_EQ(after.open(), Errno::none);
    for (const uint64_t number : numbers) ASSERT_EQ(after.get(inode_key(number)), "inode");
    const std::vector<KeptRecord> inodes = after.sweep(Collection::inode);
    for (const KeptRecord& inode : inodes) {
      ASSERT_EQ(after.get(entry_key(1, std::to_string(inode.object))), "entry");
      ASSERT_EQ(after.get(chunk_key(inode.object, 0)),
                std::string(100, '\0') + some_text(3000, inode.object));
    }
    EXPECT_EQ(after.get(usage_key(0)), number_text(static_cast<int64_t>(inodes.size())));
    EXPECT_EQ(after.scan({.collection = Collection::entry, .object = 1}).size(), inodes.size());
  }
}

}  // namespace dpfs::kv
