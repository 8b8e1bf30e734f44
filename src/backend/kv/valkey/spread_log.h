// SPDX-License-Identifier: Apache-2.0
// SpreadLog: the writes to spread records, from when they are made until nothing can lose them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "backend/kv/store.h"
#include "backend/kv/valkey/cluster.h"
#include "backend/kv/valkey/keys.h"
#include "backend/kv/valkey/requests.h"

namespace dpfs::kv::valkey {

// Is told which server has acknowledged something.
class WriteListener {
 public:
  virtual void wrote(Node& node) noexcept = 0;
  // Something that was acknowledged is gone, and cannot be sent again.
  virtual void lost(Node& node) noexcept = 0;

 protected:
  ~WriteListener() = default;
};

// Each write (SET, SETRANGE, UNLINK, and the script that cuts) does the same when it is done again,
// and a row of them that is done again from any point of it on ends in the same state. So when a
// server has others of our slots than before, or a connection is a new one, all that it should have
// and may have lost is sent again in its order, before anybody sees its data.
//
// What is known to be safe is forgotten; and so is what was acknowledged before, where there is
// more than may be kept. Of that there is a mark on the server: the number of the last write before
// it. A server that has an older mark has lost what is not kept here any more.
class SpreadLog {
 public:
  SpreadLog(Cluster& cluster, const Keys& keys, std::string_view incarnation,
            WriteListener& listener, uint64_t window_bytes);
  ~SpreadLog();

  // False: no memory. Else the group is told.
  bool write(const Write& write, Group& group) noexcept;

  // As Restorer::restore().
  Op<Unit> restore(Node& node);

  // The number of the last write that was acknowledged, whoever it was by.
  uint64_t acknowledged() const noexcept { return acknowledged_; }
  bool has_window(const Node& node) noexcept { return !window(node).empty(); }
  bool window_is_full() const noexcept { return window_bytes_ > window_bytes_max_; }
  // The mark on `node` has that number, and what was acknowledged up to it need not be kept.
  void forget(Node& node, uint64_t number) noexcept;
  void stop() noexcept;

 private:
  class Entry;
  struct WindowTag;
  using Window = List<Entry, WindowTag>;
  class Replay;

  Window& window(const Node& node) noexcept;
  Entry* take_entry();
  void give_back(Entry& entry) noexcept;
  void encode(const Write& write, std::string& into);
  void acknowledged(Entry& entry, Node& node) noexcept;
  Op<Unit> check_marks(Node& node);
  Op<Unit> replay(Node& node);

  Cluster& cluster_;
  const Keys& keys_;
  const std::string incarnation_;
  WriteListener& listener_;
  const uint64_t window_bytes_max_;
  std::deque<Window> windows_;  // by the server's number
  std::vector<std::unique_ptr<Entry>> all_;
  std::vector<Entry*> spare_;
  uint64_t acknowledged_ = 0;
  uint64_t window_bytes_ = 0;
  uint32_t replaying_ = 0;  // nothing is forgotten meanwhile
};

}  // namespace dpfs::kv::valkey
