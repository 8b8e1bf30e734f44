// SPDX-License-Identifier: Apache-2.0
// Commits go out in order, and are asked after when a connection has broken.
#include "backend/kv/valkey/commit_log.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>
#include <utility>

#include "backend/kv/valkey/ask.h"
#include "backend/kv/valkey/command.h"
#include "backend/kv/valkey/commit_encoder.h"
#include "backend/kv/valkey/script.h"
#include "base/log.h"

namespace dpfs::kv::valkey {
namespace {

constexpr uint64_t kLoadLimitNs = 3'000'000'000;
constexpr uint64_t kSoonNs = 1'000'000;
// What an entry keeps of its memory when it is spare.
constexpr size_t kSpareBytesMax = 16 * 1024;

// Takes a number and the space behind it.
bool take_number(std::string_view& text, uint64_t& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return true;
}

bool is_among(std::string_view numbers, uint64_t wanted) noexcept {
  uint64_t number = 0;
  while (take_number(numbers, number)) {
    if (number == wanted) return true;
  }
  return false;
}

}  // namespace

class CommitLog::Entry final : public Request, public ListLink<LogTag> {
 public:
  explicit Entry(CommitLog& log) noexcept : log_(log) {}
  void answered(const Reply& reply) noexcept override { log_.answered(*this, reply); }
  void failed(Errno) noexcept override { log_.failed(*this); }

  EncodedCommit commit;
  uint64_t number = 0;
  Waiter* waiter = nullptr;
  bool in_flight = false;
  // It has been carried out, and is kept. Else, where nobody waits for it, it was given up, and
  // what has become of it is not known.
  bool done = false;

 private:
  CommitLog& log_;
};

CommitLog::Poke::Poke(Cluster& cluster, uint16_t its_slot)
    : Routed(cluster), text(command({"PING"})) {
  slot = its_slot;
  bytes = text;
}

CommitLog::CommitLog(Cluster& cluster, const Keys& keys, std::string_view incarnation,
                     WriteListener& listener, uint64_t window_bytes)
    : cluster_(cluster),
      keys_(keys),
      slot_(slot_of(keys.progress().view())),
      incarnation_(incarnation),
      listener_(listener),
      window_bytes_max_(window_bytes),
      poke_(cluster, slot_) {
  breaking_.run = [](Completion& self) noexcept {
    CommitLog& log = static_cast<Breaking&>(self).log;
    log.cluster_.fail_all(log.broken_);
    log.stop();
  };
}

CommitLog::~CommitLog() { DPFS_ASSERT(entries_list_.empty() && !poke_.under_way); }

bool CommitLog::append(std::span<const Compare> compares, std::span<const Write> writes,
                       Waiter& waiter) noexcept {
  Entry* entry = nullptr;
  try {
    entry = take_entry();
    encode_commit(keys_, incarnation_, compares, writes, entry->commit);
  } catch (const std::bad_alloc&) {
    if (entry != nullptr) spare_.push_back(entry);
    return false;
  }
  entry->number = ++numbers_;
  entry->bytes = entry->commit.bytes;
  entry->deadline_ns = cluster_.deadline_ns();
  entry->waiter = &waiter;
  entry->done = false;
  entries_list_.push_back(*entry);
  ++unanswered_;
  if (broken_ != Errno::none) {
    finish(*entry, Outcome::refused);
    return true;
  }
  cluster_.need_tick();
  if (can_send()) {
    send(*entry);
  } else {
    poke();
  }
  return true;
}

// A spare one, or a new one, for which there is a place among the spare.
CommitLog::Entry* CommitLog::take_entry() {
  if (!spare_.empty()) {
    Entry* entry = spare_.back();
    spare_.pop_back();
    return entry;
  }
  spare_.reserve(all_.size() + 1);
  all_.push_back(std::make_unique<Entry>(*this));
  return all_.back().get();
}

void CommitLog::give_back(Entry& entry) noexcept {
  static_cast<ListLink<LogTag>&>(entry).unlink();
  entry.bytes = {};
  if (entry.commit.bytes.capacity() > kSpareBytesMax) std::string().swap(entry.commit.bytes);
  spare_.push_back(&entry);
}

bool CommitLog::can_send() const noexcept {
  return running_ && link_->has_greeted() && link_->connections() == connection_;
}

void CommitLog::send(Entry& entry) noexcept {
  std::memcpy(entry.commit.bytes.data() + entry.commit.sha_at, cluster_.scripts().commit.data(),
              kShaDigits);
  set_digits(entry.commit, entry.commit.previous_at, sent_);
  set_digits(entry.commit, entry.commit.number_at, entry.number);
  set_digits(entry.commit, entry.commit.heard_at, heard_);
  sent_ = entry.number;
  entry.in_flight = true;
  ++in_flight_;
  link_->send_first(entry);
}

void CommitLog::answered(Entry& entry, const Reply& reply) noexcept {
  entry.in_flight = false;
  --in_flight_;
  if (reply.type() == Reply::Type::integer && reply.integer() != -1) {
    heard_ = entry.number;
    if (reply.integer() == 1) return keep(entry);
    if (entry.done) return break_off("what was sent again after a failover does not fit any more");
    return finish(entry, reply.integer() == 0 ? Outcome::compare_failed : Outcome::not_a_number);
  }
  halt();
  if (entry.done) return;  // goes out again, whatever it is
  switch (trouble(reply)) {
    case Trouble::out_of_memory:
      return finish(entry, Outcome::no_space);
    case Trouble::denied:
    case Trouble::other:
      log::error("a Valkey server refuses a commit: {}", reply.text());
      return finish(entry, Outcome::refused);
    default:
      return;  // goes out again
  }
}

void CommitLog::failed(Entry& entry) noexcept {
  entry.in_flight = false;
  --in_flight_;
  running_ = false;
  if (broken_ != Errno::none) return;
  if (!entry.done && entry.deadline_ns <= monotonic_ns()) return give_up(entry);
  poke();
}

void CommitLog::poke() noexcept {
  if (poke_.under_way || broken_ != Errno::none) return;
  poke_.under_way = true;
  poke_.deadline_ns = cluster_.deadline_ns();
  cluster_.send(poke_);
}

void CommitLog::halt() noexcept {
  running_ = false;
  halted_ = true;
  cluster_.need_tick();
}

void CommitLog::tell(Entry& entry, Outcome outcome) noexcept {
  Waiter* waiter = std::exchange(entry.waiter, nullptr);
  if (waiter == nullptr) return;
  --unanswered_;
  waiter->outcome = outcome;
  cluster_.reactor().next_turn(*waiter);
}

void CommitLog::finish(Entry& entry, Outcome outcome) noexcept {
  tell(entry, outcome);
  give_back(entry);
}

// It has been carried out.
void CommitLog::keep(Entry& entry) noexcept {
  replayed_to_ = entry.number;
  if (entry.done) return;
  entry.done = true;
  acknowledged_ = entry.number;
  window_bytes_ += entry.commit.bytes.size();
  tell(entry, Outcome::done);
  if (Node* node = cluster_.owner(slot_)) listener_.wrote(*node);
}

// It stays until it is known whether it has been carried out: what comes later may build on it.
void CommitLog::give_up(Entry& entry) noexcept { tell(entry, Outcome::given_up); }

void CommitLog::forget(uint64_t number) noexcept {
  for (Entry* entry = entries_list_.front(); entry != nullptr && entry->number <= number;) {
    // It is being sent again, to a server that lacks it.
    if (entry->in_flight) break;
    Entry* next = entries_list_.after(*entry);
    if (entry->done) {
      forgotten_ = entry->number;
      window_bytes_ -= entry->commit.bytes.size();
      give_back(*entry);
    }
    entry = next;
  }
}

void CommitLog::tick(uint64_t now_ns) noexcept {
  for (Entry* entry = entries_list_.front(); entry != nullptr;) {
    Entry* next = entries_list_.after(*entry);
    if (!entry->done && !entry->in_flight && entry->deadline_ns <= now_ns) give_up(*entry);
    entry = next;
  }
  if (unanswered_ == 0 || in_flight_ > 0 || broken_ != Errno::none) return;
  if (!halted_ && !running_) return poke();
  if (!halted_) return;
  halted_ = false;
  Node* node = cluster_.owner(slot_);
  if (node != nullptr && node->main.has_greeted()) return cluster_.restore(*node);
  poke();
}

Op<Unit> CommitLog::restore(Node& node) {
  if (cluster_.owner(slot_) != &node) co_return Unit{};
  running_ = false;
  halted_ = false;
  if (link_ != nullptr && link_ != &node.main) link_->drop(Errno::notconn);
  // Of this very connection: their answers first.
  if (in_flight_ > 0) co_return Errno::again;
  if (broken_ != Errno::none) co_return Unit{};
  link_ = &node.main;
  const uint64_t connection = link_->connections();
  std::string state;
  Op<Unit> pending = load(node.main, state);
  const Result<Unit> loaded = co_await std::move(pending);
  if (!loaded) co_return loaded.error();
  if (!node.main.has_greeted() || node.main.connections() != connection) co_return Errno::notconn;
  connection_ = connection;
  const uint64_t lost = settle(state);
  if (broken_ != Errno::none) co_return Unit{};
  if (has_window()) listener_.wrote(node);
  running_ = true;
  for (Entry* entry = entries_list_.front(); entry != nullptr && can_send();) {
    Entry* next = entries_list_.after(*entry);
    if (entry->number > sent_) send(*entry);
    entry = next;
  }
  // Nobody is to see what this server has lost.
  while (running_ && replayed_to_ < acknowledged_) {
    co_await Sleep(cluster_.timers(), kSoonNs);
    if (broken_ != Errno::none) co_return Unit{};
  }
  if (!running_) co_return Errno::again;
  if (lost > 0) {
    log::info("partition {}: {} commits were sent again to the Valkey server {}", keys_.partition(),
              lost, text_of(node.address));
  }
  co_return Unit{};
}

Op<Unit> CommitLog::load(Link& link, std::string& state) {
  Ask progress(cluster_.reactor(), command({"HGET", keys_.progress().view(), incarnation_}),
               kLoadLimitNs);
  link.send_first(progress);
  co_await progress;
  if (progress.error() != Errno::none) co_return progress.error();
  if (!progress.good()) {
    // Being moved, or lost by the server meanwhile: somebody will know more soon.
    const Trouble what = trouble(progress.reply());
    if (what == Trouble::moved) cluster_.refresh();
    if (what != Trouble::denied && what != Trouble::other) co_return Errno::again;
    log::error("a Valkey server refuses to be read: {}", progress.reply().text());
    co_return Errno::io;
  }
  state = progress.reply().text();
  co_return Unit{};
}

// What became of each that was under way, as the server says. Gives how many of those that were
// acknowledged it does not have.
uint64_t CommitLog::settle(std::string_view state) noexcept {
  uint64_t last = 0;
  std::string_view failures = state;
  take_number(failures, last);
  sent_ = last;
  replayed_to_ = last;
  if (last < forgotten_) {
    break_off("the Valkey server has lost commits that it had acknowledged");
    return 0;
  }
  uint64_t lost = 0;
  for (Entry* entry = entries_list_.front(); entry != nullptr;) {
    Entry* next = entries_list_.after(*entry);
    if (entry->number <= last) {
      heard_ = std::max(heard_, entry->number);
      const bool failed = is_among(failures, entry->number);
      if (failed && !entry->done) {
        finish(*entry, Outcome::compare_failed);
      } else if (!entry->done) {
        keep(*entry);
      }
    } else if (entry->done) {
      ++lost;
    } else if (entry->waiter == nullptr) {
      give_back(*entry);  // given up, and never carried out
    }
    entry = next;
  }
  replayed_to_ = last;
  return lost;
}

void CommitLog::break_off(std::string_view what) noexcept {
  if (broken_ != Errno::none) return;
  log::error(
      "partition {}: {}. Nothing more is read or written; begin again to go on with what is there",
      keys_.partition(), what);
  broken_ = Errno::io;
  running_ = false;
  cluster_.reactor().next_turn(breaking_);
}

// Those that are on their way end with their connection.
void CommitLog::stop() noexcept {
  running_ = false;
  for (Entry* entry = entries_list_.front(); entry != nullptr;) {
    Entry* next = entries_list_.after(*entry);
    tell(*entry, broken_ != Errno::none ? Outcome::refused : Outcome::stale);
    if (!entry->in_flight) give_back(*entry);
    entry = next;
  }
  window_bytes_ = 0;
}

}  // namespace dpfs::kv::valkey
