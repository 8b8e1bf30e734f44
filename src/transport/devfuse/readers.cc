// SPDX-License-Identifier: Apache-2.0
// A request's way through /dev/fuse: one read, one visit, one write.
#include "transport/devfuse/readers.h"

#include <unistd.h>

#include <exception>
#include <span>
#include <thread>

#include "base/assert.h"

namespace dpfs::devfuse {

Readers::Readers(Reactor& reactor, FetchHost& host, std::string_view name, int device,
                 size_t io_bytes_max)
    : reactor_(reactor), host_(host), name_(name), device_(device), slots_(io_bytes_max) {}

Readers::~Readers() { DPFS_ASSERT(running_ == 0); }

// ---- Threads ------------------------------------------------------------------------------------

bool Readers::keep(uint32_t threads) noexcept {
  wanted_ = threads;
  fill_up();
  return running_ > 0;
}

void Readers::stop() noexcept {
  stopped_ = true;
  for (Reader& reader : readers_) {
    if (!reader.ended) reader.thread.interrupt();
  }
}

// A call that takes a little long costs no new thread: only when half of them are away.
void Readers::replenish() noexcept {
  if (available_ < (wanted_ + 1) / 2) fill_up();
}

void Readers::fill_up() noexcept {
  while (!stopped_ && available_ < wanted_ && running_ < kThreadsMax && slots_.free() > 0 &&
         start_one()) {
  }
}

bool Readers::start_one() noexcept {
  std::erase_if(readers_, [](const Reader& reader) { return reader.ended; });  // joins it
  Reader& reader = readers_.emplace_back(*this);
  reader.slot = slots_.take();
  try {
    reader.thread.start([this, &reader] { run(reader); });
  } catch (const std::exception& error) {
    log::warn("{}: cannot start another thread ({}); slow calls may delay other requests", name_,
              error.what());
    slots_.give(*reader.slot);
    readers_.pop_back();
    return false;
  }
  ++running_;
  ++available_;
  return true;
}

void Readers::blocked(Reader& reader) noexcept {
  if (reader.is_blocked) return;
  reader.is_blocked = true;
  --available_;
  replenish();
}

void Readers::run(Reader& reader) noexcept {
  while (read_one(reader)) {
  }
  const Reactor::Visit visit(reactor_, reader);
  if (reader.slot != nullptr) slots_.give(*reader.slot);
  reader.ended = true;
  --running_;
  host_.thread_ended();
}

// ---- One request's way --------------------------------------------------------------------------

// False: this thread is not needed any more.
bool Readers::read_one(Reader& reader) noexcept {
  if (reader.thread.interrupted()) return false;
  Slot& slot = *reader.slot;
  const ssize_t bytes = read(device_, slot.message.iov_base, slot.message.iov_len);
  if (bytes < 0) {
    const Errno why = last_errno();
    // ENOENT: the request was aborted just now.
    if (why == Errno::noent || why == Errno::intr || why == Errno::again) return true;
    const Reactor::Visit visit(reactor_, reader);
    host_.read_failed(why);
    return false;
  }
  slot.message_part = {slot.message.iov_base, static_cast<size_t>(bytes)};
  slot.in = IoView(std::span(&slot.message_part, 1));
  slot.out = IoView(std::span(&slot.reply, 1));
  slot.sink = this;
  bool goes_on = false;
  bool greets = false;
  for (uint32_t asked = 0;; ++asked) {
    if (asked > 0) std::this_thread::sleep_for(FetchHost::kAskAgainAfter);
    const Reactor::Visit visit(reactor_, reader);
    if (!host_.may_serve(slot, asked)) continue;
    goes_on = serve(reader, slot);
    greets = !greeted_;
    greeted_ = true;
    break;
  }
  // A slot that somebody else answers may be anybody's by now.
  if (reader.slot == &slot && slot.answered) {
    if (const Errno why = write_reply(slot); why != Errno::none) {
      const Reactor::Visit visit(reactor_, reader);
      reply_failed(slot, why);
    }
  }
  if (greets) {
    const Reactor::Visit visit(reactor_, reader);
    host_.greeted();
  }
  return goes_on;
}

// False: this thread is not needed any more.
bool Readers::serve(Reader& reader, Slot& slot) noexcept {
  if (stopped_) return false;  // the kernel gives it back to who waits when the device is closed
  slot.answered = false;
  slot.with_reader = true;
  host_.serve(slot);
  if (reader.is_blocked) {
    reader.is_blocked = false;
    ++available_;
  }
  if (!slot.answered) {
    slot.with_reader = false;
    // Without one this thread ends; done() starts another.
    reader.slot = slots_.free() > 0 ? slots_.take() : nullptr;
  }
  if (reader.slot != nullptr && available_ <= wanted_) return true;
  --available_;
  return false;
}

void Readers::done(dpfs::Request& request, uint32_t written) noexcept {
  auto& slot = static_cast<Slot&>(request);
  slot.reply_part = {slot.reply.iov_base, written};
  slot.answered = true;
  if (!slot.with_reader) {
    if (const Errno why = write_reply(slot); why != Errno::none) reply_failed(slot, why);
    slots_.give(slot);
    if (slots_.taken() <= running_) slots_.trim();
    replenish();
  }
  host_.answered();
}

// By any thread.
Errno Readers::write_reply(const Slot& slot) const noexcept {
  if (slot.reply_part.iov_len == 0) return Errno::none;  // FORGET
  if (write(device_, slot.reply_part.iov_base, slot.reply_part.iov_len) >= 0) return Errno::none;
  const Errno why = last_errno();
  // ENOENT: nobody waits for it any more (an interrupted or aborted request). ENODEV: unmounted.
  return why == Errno::noent || why == Errno::nodev ? Errno::none : why;
}

void Readers::reply_failed(const Slot& slot, Errno why) noexcept {
  if (error_log_.admit() >= 0) {
    log::error("{}: the kernel refused the reply to a request of type {}: {}", name_,
               slot.header.opcode, describe(why));
  }
  // Whoever asked must not wait for ever.
  const fuse::OutHeader header{sizeof header, -static_cast<int32_t>(Errno::io), slot.header.unique};
  [[maybe_unused]] const ssize_t told = write(device_, &header, sizeof header);
}

}  // namespace dpfs::devfuse
