// SPDX-License-Identifier: Apache-2.0
// Server: a device's listening socket. Serves one VMM after another, each with a fresh session.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/log.h"
#include "transport/vhost_user/connection.h"

namespace dpfs::vhost_user {

// A listening socket at `path`; a stale one is replaced. Throws std::runtime_error when somebody
// listens there already, when the path is no socket, or when it cannot be made.
Fd listen_at(const std::string& path);
// One that somebody else made (systemd, libvirt). Throws std::runtime_error when it is none.
Fd adopt_listening(int fd);

// Of its reactor, except the constructor and the destructor, which run while the reactor does not
// know of it.
class Server final : private Watch, private ConnectionOwner {
 public:
  Server(Reactor& reactor, DeviceOptions options, FileSystem& fs, Fd listening);
  ~Server();

  // False when the socket cannot be watched.
  bool open() noexcept;
  // For a device that serves one VMM only: `gone` is called when that has gone. Before open().
  void serve_one(std::function<void()> gone) noexcept { gone_ = std::move(gone); }
  // Accepts no more, answers what is in flight, then calls `closed`.
  void close(std::function<void()> closed) noexcept;

  const DeviceOptions& options() const noexcept { return options_; }
  const SessionCounters& counters() const noexcept { return counters_; }

 private:
  void ready() noexcept override;
  void connection_closed() noexcept override;
  void accept_next() noexcept;
  void turn_away() noexcept;
  void finish_closing() noexcept;

  Reactor& reactor_;
  std::unique_ptr<Timers> timers_;  // while it is open: they are the running reactor's
  DeviceOptions options_;
  FileSystem& fs_;
  Fd listening_;
  Fd spare_;  // to be given up for accept() where the process has no other left
  log::RateLimit accept_log_;
  SessionCounters counters_;
  std::unique_ptr<Connection> connection_;
  // From accept() until the connection is destroyed. Destroying ends its session, which may let the
  // reactor go on meanwhile: the device is still taken then, though connection_ is null already.
  bool taken_ = false;
  std::function<void()> closed_;
  std::function<void()> gone_;
  bool closing_ = false;
};

}  // namespace dpfs::vhost_user
