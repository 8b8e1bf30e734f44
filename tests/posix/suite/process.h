// SPDX-License-Identifier: Apache-2.0
// Other users and other processes: as(kAlice, [] { ... }), Peer.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"

namespace dpfs::posix {

struct User {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups = {};  // supplementary ones
};

inline const User kAlice{5001, 5001};
inline const User kBob{5002, 5002};
inline constexpr gid_t kStaff = 5100;  // nobody's own group

// Skips where this is not root's process.
void need_root();

// Runs `body` in a child process with these ids and no capabilities; waits for it. What it notes
// counts; where it ends early, the case ends. Needs root.
void as(const User& user, const std::function<void()>& body);
// The same as who we are, for what cannot be undone (limits, name spaces, descriptors).
void apart(const std::function<void()>& body);
// For good. Needs root.
void become(const User& user);

// A process beside this one, which takes turns with it: each hear() waits for one tell() of the
// other side.
class Peer {
 public:
  explicit Peer(const std::function<void(Peer&)>& body);
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer();  // kills it where join() was not called

  void tell();
  void hear();
  void join();             // waits for its end; ends the case where it ended early
  void kill();             // SIGKILL, and waits
  void interrupt() const;  // SIGUSR1, for which it should have a handler
  // Waits until it sleeps in a system call: it "is blocked".
  void wait_until_asleep() const;
  // Whether it ended within some seconds.
  bool ended_soon();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;  // 0 in the peer itself
  Fd in_;
  Fd out_;
};

// A handler for SIGUSR1 that does nothing, without SA_RESTART.
void catch_interrupts();
void sleep_ms(int milliseconds);

}  // namespace dpfs::posix
