// SPDX-License-Identifier: Apache-2.0
// What every fuzz target of a session does: messages out of any bytes, cut into any parts, and one
// well-formed answer to each.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "fuse/fake_message.h"
#include "fuse/fuzz_input.h"
#include "fuse/session.h"

namespace dpfs {

// Where there is no reactor, the session's side of things runs at once.
struct AtOnce {
  template <class F>
  void operator()(F task) const {
    task();
  }
};

// `later` is called between messages, with a byte of the input: a file system that answers late
// does it there. `on_session` runs what touches the session where the session is at home.
template <class FileSystemType, class Later, class OnSession = AtOnce>
class SessionFuzzer {
 public:
  // `fs` has a file of that name in its root.
  SessionFuzzer(FileSystemType& fs, std::string file_name, Later later, FuzzInput input,
                OnSession on_session = {})
      : file_name_(std::move(file_name)),
        later_(later),
        on_session_(on_session),
        input_(input),
        session_(std::in_place, fs, "fuzz", Session::Options{}, counters_) {}

  // Each record of the input: how, opcode, node, sizes, bytes.
  void go() {
    using fuse::Opcode;
    log::set_level(log::Level::error);
    // A bit of the first byte says whether the session begins as it should, so that what follows
    // gets deep.
    if ((input_.byte() & 1) == 0) {
      serve_now(Opcode::init, bytes_of(linux_init()));
      const auto entry =
          serve_now(Opcode::lookup, text_of(file_name_)).template reply<fuse::EntryOut>();
      file_ = entry.nodeid;
      const std::string how = bytes_of(fuse::OpenIn{.flags = O_RDWR});
      file_handle_ = serve_now(Opcode::open, how, file_).template reply<fuse::OpenOut>().fh;
      directory_handle_ =
          serve_now(Opcode::opendir, bytes_of(fuse::OpenIn{})).template reply<fuse::OpenOut>().fh;
    }
    samples_ = sample_messages(file_handle_, directory_handle_, file_);
    while (!input_.empty() && messages_.size() < kMessagesMax) {
      record();
      later_(input_.byte());
    }
    settle();
    for (const auto& message : messages_) check(*message);
    on_session_([this] {
      DPFS_ASSERT(session_->in_flight() == 0);
      session_.reset();
    });
  }

 private:
  static constexpr size_t kMessagesMax = 64;

  void record() {
    const uint8_t how = input_.byte();
    const uint8_t what = input_.byte();
    std::unique_ptr<FakeMessage> message;
    if ((how & 1) != 0) {
      // One that is right, to begin with, with up to 8 bytes changed.
      const SampleMessage& sample = samples_[what % samples_.size()];
      message = std::make_unique<FakeMessage>(sample.opcode, sample.args, sample.node);
      if ((how & 2) != 0 && !message->args.empty()) {
        const size_t at = input_.byte() % message->args.size();
        const std::string patch = input_.bytes(input_.byte() % 9);
        message->args.replace(at, std::min(patch.size(), message->args.size() - at), patch);
        message->header.len = static_cast<uint32_t>(sizeof(fuse::InHeader) + message->args.size());
      }
    } else {
      const uint8_t which = input_.byte() % 5;
      const uint64_t node = which == 2 ? file_ : which;
      message =
          std::make_unique<FakeMessage>(uint32_t{what} % 70, input_.bytes(input_.byte()), node);
    }
    if ((how & 4) != 0) message->header.len = input_.take<uint32_t>();
    if ((how & 8) != 0) message->room(input_.take<uint16_t>() % 1024);
    if ((how & 16) != 0) message->in_cut = {input_.byte(), input_.byte()};
    if ((how & 32) != 0) message->out_cut = {input_.byte(), 1, 0, input_.byte()};
    if ((how & 64) != 0) message->header.nodeid = input_.take<uint64_t>();
    if ((how & 128) != 0) {
      switch (input_.byte() % 4) {
        case 0:
          message->header.opcode = input_.take<uint32_t>();
          break;
        case 1:
          message->header.total_extlen = input_.take<uint16_t>();
          break;
        case 2:
          message->sent_max = input_.byte();
          break;
        case 3:
          session_stops();
          break;
      }
    }
    serve(std::move(message));
  }

  // Everything is answered at last, or the tenant would wait for ever. (A DESTROY, or an INIT after
  // a reboot, is not in flight; where it lets the reactor go on it is answered late all the same.)
  void settle() {
    bool is_settled = false;
    while (!is_settled) {
      later_(0xff);
      on_session_([&] { is_settled = session_->in_flight() == 0 && all_are_answered(); });
    }
  }
  bool all_are_answered() const {
    return std::ranges::all_of(messages_, [](const auto& each) { return each->answered(); });
  }

  // As when the driver stops its queues: only with nothing in flight.
  void session_stops() {
    settle();
    on_session_([this] { session_->queues_stopped(); });
  }

  // One that is right, and is answered.
  FakeMessage& serve_now(fuse::Opcode opcode, std::string args, uint64_t node = 1) {
    serve(std::make_unique<FakeMessage>(opcode, std::move(args), node));
    settle();
    DPFS_ASSERT(messages_.back()->error() == Errno::none);
    return *messages_.back();
  }

  void serve(std::unique_ptr<FakeMessage> message) {
    FakeMessage& served = *message;
    messages_.push_back(std::move(message));
    on_session_([this, &served] { served.serve(*session_); });
  }

  // One answer (FakeMessage refuses a second), whose length is what was used, with the tenant's
  // number and an error that Linux takes.
  static void check(const FakeMessage& message) {
    DPFS_ASSERT(message.answered());
    if (message.written() == 0) return;  // FORGET, or no room
    DPFS_ASSERT(message.written() >= sizeof(fuse::OutHeader));
    DPFS_ASSERT(message.written() <= message.reply_room);
    const fuse::OutHeader out = message.reply_header();
    DPFS_ASSERT(out.len == message.written());
    DPFS_ASSERT(out.error <= 0 && out.error > -4096);
    DPFS_ASSERT(out.error == 0 || out.len == sizeof out);
    const bool header_came = message.sent_max >= sizeof(fuse::InHeader);
    DPFS_ASSERT(out.unique == (header_came ? message.header.unique : 0));
  }

  std::vector<SampleMessage> samples_;
  const std::string file_name_;
  uint64_t file_ = 2;
  uint64_t file_handle_ = 1;
  uint64_t directory_handle_ = 1;
  Later later_;
  OnSession on_session_;
  FuzzInput input_;
  SessionCounters counters_;
  std::vector<std::unique_ptr<FakeMessage>> messages_;
  std::optional<Session> session_;
};

}  // namespace dpfs
