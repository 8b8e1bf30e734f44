// SPDX-License-Identifier: Apache-2.0
// Listening, accepting, and starting again.
#include "transport/vhost_user/server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "base/assert.h"
#include "base/log.h"

namespace dpfs::vhost_user {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw std::runtime_error(
        fmt::format("socket path '{}' must have 1 to {} bytes", path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Fd unix_socket() {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd)
    throw std::runtime_error(fmt::format("cannot make a socket: {}", describe(last_errno())));
  return fd;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Of something that needs no path: a confined process has none.
Fd spare_descriptor() noexcept { return Fd(eventfd(0, EFD_CLOEXEC)); }

bool somebody_listens(const sockaddr_un& address) {
  const Fd probe = unix_socket();
  return connect(probe.get(), generic(address), sizeof address) == 0 || errno == EAGAIN;
}

constexpr int kPatience = 3;
constexpr std::chrono::milliseconds kPatienceStep{50};

// Removes a socket that nobody listens on any more.
void remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) {
    throw std::runtime_error(
        fmt::format("'{}' exists and is no socket; choose another --socket path", path));
  }
  // The process of a daemon that was killed a moment ago may just be going.
  for (int i = 0; somebody_listens(address); ++i) {
    if (i == kPatience) {
      throw std::runtime_error(fmt::format(
          "socket '{}' is in use by another process; stop it or choose another --socket path",
          path));
    }
    std::this_thread::sleep_for(kPatienceStep);
  }
  unlink(path.c_str());
}

}  // namespace

Fd listen_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  remove_stale(path, address);
  Fd fd = unix_socket();
  // The socket is the tenant's whole file system: for its owner and group only.
  const mode_t umask_before = umask(0117);
  const bool bound = bind(fd.get(), generic(address), sizeof address) == 0;
  const Errno why = last_errno();
  umask(umask_before);
  if (!bound)
    throw std::runtime_error(fmt::format("cannot make socket '{}': {}{}", path, describe(why),
                                         why == Errno::noent ? "; create its folder first" : ""));
  if (listen(fd.get(), SOMAXCONN) != 0) {
    throw std::runtime_error(
        fmt::format("cannot listen on '{}': {}", path, describe(last_errno())));
  }
  return fd;
}

Fd adopt_listening(int number) {
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
    throw std::runtime_error(fmt::format("descriptor {} is no listening socket", number));
  }
  Fd fd(number);
  fcntl(number, F_SETFD, FD_CLOEXEC);
  fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK);
  return fd;
}

Server::Server(Reactor& reactor, DeviceOptions options, FileSystem& fs, Fd listening)
    : reactor_(reactor),
      options_(std::move(options)),
      fs_(fs),
      listening_(std::move(listening)),
      spare_(spare_descriptor()) {}

Server::~Server() { DPFS_ASSERT(!taken_); }

bool Server::open() noexcept {
  try {
    timers_ = std::make_unique<Timers>(reactor_);
  } catch (const std::exception& error) {
    log::error("{}: {}", options_.tag, error.what());
    return false;
  }
  if (!reactor_.watch(listening_.get(), *this)) {
    timers_.reset();
    return false;
  }
  accept_next();
  return true;
}

void Server::close(std::function<void()> closed) noexcept {
  closing_ = true;
  closed_ = std::move(closed);
  reactor_.unwatch(listening_.get(), *this);
  if (!taken_) return finish_closing();
  if (connection_ != nullptr) connection_->close();
}

void Server::finish_closing() noexcept {
  timers_.reset();
  closed_();
}

void Server::ready() noexcept { accept_next(); }

// A second VMM waits in the socket's backlog until the first has gone.
void Server::accept_next() noexcept {
  while (!taken_ && !closing_) {
    Fd socket(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      const Errno why = last_errno();
      if (why == Errno::intr || why == to_errno(ECONNABORTED)) continue;
      if (why == Errno::mfile || why == Errno::nfile) return turn_away();
      if (why != Errno::again && accept_log_.admit() >= 0)
        log::error("{}: cannot accept a VMM: {}", options_.tag, describe(why));
      return;
    }
    taken_ = true;
    log::info("{}: a VMM has connected", options_.tag);
    ConnectionOwner& owner = *this;
    connection_ = std::make_unique<Connection>(reactor_, *timers_, owner, options_, fs_, counters_,
                                               std::move(socket));
    if (!connection_->open()) connection_->close();
  }
}

// There is no descriptor for a VMM. Those that waited for one would wait for ever, because nothing
// tells us when there is one again: they are sent away, and may come back.
void Server::turn_away() noexcept {
  bool accepted = true;
  while (accepted && spare_) {
    spare_.reset();
    accepted = static_cast<bool>(Fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    spare_ = spare_descriptor();
    if (accepted && accept_log_.admit() >= 0) {
      log::error("{}: a VMM was sent away: this process has no descriptors left", options_.tag);
    }
  }
}

void Server::connection_closed() noexcept {
  // Later, when nothing of the connection is on the stack.
  reactor_.post([this] {
    log::info("{}: the VMM has gone", options_.tag);
    const bool heard = connection_ != nullptr && connection_->heard();
    connection_.reset();
    taken_ = false;
    if (closing_) return finish_closing();
    if (gone_ && heard) return gone_();
    accept_next();
  });
}

}  // namespace dpfs::vhost_user
