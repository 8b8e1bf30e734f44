// SPDX-License-Identifier: Apache-2.0
// OpenStates: all opens of one client, and getting them back from a server that has lost them.
#pragma once

#include "backend/nfs/client.h"
#include "backend/nfs/file_operations.h"
#include "backend/nfs/files.h"
#include "backend/nfs/opens.h"

namespace dpfs::nfs {

// RFC 8881, sections 8.4.2 (a server's restart) and 8.4.2.1, 9.8 (a lease that ran out).
class OpenStates {
 public:
  OpenStates(Client& client, Files& files) noexcept : client_(client), files_(files) {}

  void add(Open& open) noexcept { opens_.push_back(open); }
  Open* first() noexcept { return opens_.front(); }
  Open* after(Open& open) noexcept { return opens_.after(open); }
  // One by which the file of that number may be written, or nullptr.
  OpenRef any_writer(uint32_t file) noexcept;

  // What the server gave us before it restarted. What it does not give back stays doubtful.
  Op<Unit> reclaim();
  // What is doubtful is asked for anew. What cannot be had is lost: EIO, and a line in the log.
  Op<Unit> reopen();
  // Any of them may have been taken away.
  void doubt_all() noexcept;
  // A recovery has come to its end.
  void settled() noexcept;

 private:
  Open* next_untried() noexcept;
  Op<Unit> reclaim_one(Open& open);
  Op<Unit> give_back(Open& open);
  Op<Unit> reopen_one(Open& open);
  Op<bool> lock_again(Open& open, bool reclaim);
  Op<bool> lock_each_again(Open& open, bool reclaim);
  void lose(Open& open, const char* what, Status why) noexcept;

  Client& client_;
  Files& files_;
  List<Open> opens_;
  uint32_t round_ = 0;  // of recovery: each is tried once in it
};

}  // namespace dpfs::nfs
