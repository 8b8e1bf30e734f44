// SPDX-License-Identifier: Apache-2.0
// A mounted file system that answers when the test says so: /dev/fuse, served by a thread of the
// test program.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "fuse/wire.h"

namespace dpfs::test {

// Holds two files of one page each, "slow" and "fast". Reads and fsyncs of "slow" and lookups of
// "stuck" wait for release(); everything else is answered at once. "stuck" does not exist.
class SlowFileSystem {
 public:
  // Whether this machine lets us mount one (root, /dev/fuse). Call it before any thread is there:
  // the mount is seen by this process and its children only.
  static bool possible();

  explicit SlowFileSystem(std::string mount_point);
  SlowFileSystem(const SlowFileSystem&) = delete;
  SlowFileSystem& operator=(const SlowFileSystem&) = delete;
  ~SlowFileSystem();  // what still waits gets an error

  size_t waiting();
  // From now on closing a file waits for release() too.
  void hold_closing();
  // Answers all that wait now, and all that come later at once.
  void release();

  static constexpr uint32_t kFileBytes = 4096;
  static constexpr char kByte = 's';

 private:
  struct Waiting {
    uint64_t unique;
    fuse::Opcode opcode;
  };

  void serve();
  void answer(const fuse::InHeader& header, const char* args);
  void reply(uint64_t unique, int error, const void* payload = nullptr, size_t size = 0);
  void finish(const Waiting& request);

  std::string mount_point_;
  Fd device_;
  std::thread thread_;
  std::mutex mutex_;  // of what follows
  std::vector<Waiting> waiting_;
  bool closing_waits_ = false;
  bool released_ = false;
};

}  // namespace dpfs::test
