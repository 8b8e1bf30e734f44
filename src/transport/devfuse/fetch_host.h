// SPDX-License-Identifier: Apache-2.0
// FetchHost: who serves the requests that threads fetch from the kernel.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/errno.h"
#include "fuse/request.h"

namespace dpfs::devfuse {

// All on the reactor.
class FetchHost {
 public:
  // How much later.
  static constexpr std::chrono::microseconds kAskAgainAfter{50};
  // False: the request has come before one that was made earlier, and has to wait for that. To be
  // asked again a little later, with the number of times that it has been asked.
  virtual bool may_serve(const dpfs::Request& request, uint32_t times_asked) noexcept = 0;
  virtual void serve(dpfs::Request& request) noexcept = 0;
  // A request that serve() was given has been answered.
  virtual void answered() noexcept = 0;
  // The kernel has taken the reply to the mount's first request, which is INIT.
  virtual void greeted() noexcept = 0;
  // Nothing can be read any more. ENODEV: unmounted, or aborted.
  virtual void read_failed(Errno why) noexcept = 0;
  // The kernel wants to be asked by read(2) only.
  virtual void queues_refused() noexcept = 0;
  // One of the threads has done the last that it does with its host.
  virtual void thread_ended() noexcept = 0;

 protected:
  ~FetchHost() = default;
};

}  // namespace dpfs::devfuse
