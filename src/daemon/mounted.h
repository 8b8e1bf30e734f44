// SPDX-License-Identifier: Apache-2.0
// Mounted: one URL mounted on one directory of this machine, from mount to unmount.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/fd.h"
#include "daemon/backends.h"
#include "daemon/share_config.h"
#include "io/reactor.h"
#include "transport/devfuse/connection.h"
#include "transport/devfuse/mount_options.h"

namespace dpfs {

struct MountConfig {
  ShareConfig share;
  std::string directory;  // an absolute path
  devfuse::MountOptions options;
  bool io_uring = true;       // for file I/O
  bool fuse_io_uring = true;  // requests come by io_uring, where the kernel offers it
};

// Used by one thread, which is no reactor's.
class Mounted final : private devfuse::ConnectionOwner {
 public:
  // Makes the file system and mounts it; returns when the kernel has been answered. Throws
  // std::exception with a message for the operator.
  Mounted(const MountConfig& config, const Backends& backends);
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  ~Mounted();

  // Readable when it was unmounted by somebody.
  int ended_fd() const noexcept { return ended_event_.get(); }
  bool ended() const noexcept;
  // Unmounts: lazily when it is in use, which is logged. Then as finish(). Takes longer than
  // `patience` only while the kernel still sends requests.
  bool stop(std::chrono::seconds patience);
  // Answers what is in flight and ends the reactor. False when it did not end within `patience` (a
  // call below that hangs): then all who still wait for this file system have got an error, and the
  // process can only be left by _exit.
  bool finish(std::chrono::seconds patience);
  // For the log: what is mounted, and how it is served.
  std::string describe_service() const;
  // A line for each operation that has had requests, to the log.
  void log_counters();

 private:
  void connection_begun(bool accepted) noexcept override;
  void connection_ended() noexcept override;
  void start();
  void abort() noexcept;
  bool unmount_within(std::chrono::seconds patience);
  uint64_t requests_served();

  const MountConfig config_;
  Fd ended_event_;
  Fd device_;
  SessionCounters counters_;
  std::promise<bool> begun_;
  std::promise<void> closed_;
  std::future<void> closed_future_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<devfuse::Connection> connection_;
  const char* way_ = "";  // how requests come; once begun_ is there
  std::thread thread_;
};

}  // namespace dpfs
