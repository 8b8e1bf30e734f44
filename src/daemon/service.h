// SPDX-License-Identifier: Apache-2.0
// Service: reactors and the devices on them, from start to clean end.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "daemon/backends.h"
#include "daemon/config.h"
#include "io/reactor.h"
#include "transport/vhost_user/server.h"

namespace dpfs {

// Used by one thread, which is no reactor's.
class Service {
 public:
  // Makes everything, without a thread, and serves nothing yet. `listening`: a socket for each
  // device. Throws std::exception with a message for the operator.
  Service(const ServeConfig& config, const Backends& backends, std::vector<Fd> listening);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service();

  void start();
  // Takes no more requests, answers those in flight, ends the threads. False when some did not end
  // within `patience` (a call below that hangs): then the process can only be left by _exit.
  bool stop(std::chrono::seconds patience);
  // Readable when the VMM of a device that serves one only has gone.
  int ended_fd() const noexcept { return ended_.get(); }
  // A line for each device and operation that has had requests, to the log.
  void log_counters();

 private:
  struct Lane {  // a reactor and its thread
    std::unique_ptr<Reactor> reactor;
    std::thread thread;
  };
  struct Device {
    Lane* lane;
    std::unique_ptr<FileSystem> fs;
    std::unique_ptr<vhost_user::Server> server;
  };

  // Devices are spread over the lanes, but those of one place are on one.
  Lane& lane_of(const std::string& place, size_t device);

  Fd ended_;
  std::vector<Lane> lanes_;
  std::map<std::string, size_t> places_;  // which lane
  std::vector<Device> devices_;
};

}  // namespace dpfs
