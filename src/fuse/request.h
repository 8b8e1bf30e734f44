// SPDX-License-Identifier: Apache-2.0
// Request: one FUSE message and the room for its reply, in tenant memory. Reply: its one answer.
#pragma once

#include <cstdint>
#include <utility>

#include "base/errno.h"
#include "fuse/name.h"
#include "fuse/wire.h"
#include "guest/io_view.h"

namespace dpfs {

class Request;

// Where a finished request goes: the transport that it came from.
class ReplySink {
 public:
  // `written` bytes of request.out are the answer; 0 for a message that has none. The request is
  // the sink's again, and its buffers may be the tenant's at once.
  virtual void done(Request& request, uint32_t written) noexcept = 0;

 protected:
  ~ReplySink() = default;
};

// What comes with a request that makes something new: CREATE, MKNOD, MKDIR, SYMLINK, TMPFILE. Each
// part is there only where it was agreed on at INIT.
struct Creation {
  // A security label that the new object shall have from its first moment on. No name: none.
  Name context_name;  // "security.selinux"
  IoView context;     // its value
  // A group of the user's, besides request.header.gid, in which the new object may be made.
  uint32_t group = kNoGroup;

  static constexpr uint32_t kNoGroup = UINT32_MAX;
};

// Lives in a slot of its transport, is reused, and never moves. Of its reactor only.
class Request {
 public:
  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  fuse::InHeader header{};  // our copy: tenant memory is read once
  IoView in;                // what the tenant sent and we have not taken yet
  IoView extensions;        // what the tenant sent behind the operation's arguments
  IoView out;               // where the answer goes, OutHeader first
  Creation creation;
  ReplySink* sink = nullptr;

  // Copies of the names in the message. The longest: SYMLINK's name of 255 and target of 4095
  // bytes, and the name of a security label, each with its NUL. Untouched pages of it cost no
  // memory.
  static constexpr size_t kNamesMax = 256 + 4096 + 256;
  char names[kNamesMax];
};

// Exactly one answer. One that is dropped unanswered says EIO, so that no tenant waits for ever.
class Reply {
 public:
  explicit Reply(Request& request) noexcept : request_(&request) {}
  Reply(Reply&& other) noexcept : request_(std::exchange(other.request_, nullptr)) {}
  Reply& operator=(Reply&&) = delete;
  ~Reply() {
    if (request_ != nullptr) error(Errno::io);
  }

  void error(Errno why) noexcept { finish(0, -static_cast<int32_t>(why)); }
  // `n` bytes of payload already lie behind the room for the header.
  void bytes(uint32_t n) noexcept { finish(n, 0); }
  template <class T>
  void value(const T& out) noexcept {
    IoView payload = request_->out.rest(sizeof(fuse::OutHeader));
    if (payload.store(out)) return bytes(sizeof out);
    error(Errno::inval);
  }
  // For messages that have no answer (FORGET).
  void none() noexcept {
    Request& request = *std::exchange(request_, nullptr);
    request.sink->done(request, 0);
  }

 private:
  void finish(uint32_t payload, int32_t error) noexcept {
    Request& request = *std::exchange(request_, nullptr);
    const fuse::OutHeader header{static_cast<uint32_t>(sizeof(fuse::OutHeader) + payload), error,
                                 request.header.unique};
    IoView front = request.out;
    request.sink->done(request, front.store(header) ? header.len : 0);
  }

  Request* request_;
};

}  // namespace dpfs
