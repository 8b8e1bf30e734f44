// SPDX-License-Identifier: Apache-2.0
// Writing spread records, and sending again what a server may have lost.
#include "backend/kv/valkey/spread_log.h"

#include <algorithm>
#include <charconv>
#include <new>

#include "backend/kv/valkey/ask.h"
#include "backend/kv/valkey/command.h"
#include "backend/kv/valkey/commit_encoder.h"
#include "base/log.h"

namespace dpfs::kv::valkey {
namespace {

constexpr uint64_t kReplayLimitNs = 5'000'000'000;
// What an entry keeps of its memory when it is spare.
constexpr size_t kSpareBytesMax = 16 * 1024;

}  // namespace

class SpreadLog::Entry final : public Routed, public ListLink<WindowTag> {
 public:
  explicit Entry(SpreadLog& log) noexcept : Routed(log.cluster_), log_(log) {}
  void replied(const Reply& reply) noexcept override {
    const Errno why = to_errno(reply);
    if (why != Errno::none) return end(why);
    // The one that has answered may be a primary no more; then nobody has it.
    if (!is_where_it_belongs()) return log_.cluster_.send(*this);
    log_.acknowledged(*this, *at());
    group->done(Errno::none);
  }
  void failed(Errno why) noexcept override { end(why); }

  std::string text;
  Group* group = nullptr;
  uint64_t number = 0;  // in the order of the answers

 private:
  void end(Errno why) noexcept {
    group->done(why);
    log_.give_back(*this);
  }
  SpreadLog& log_;
};

// One of them, once more. Not sent again by itself: restore() begins anew.
class SpreadLog::Replay final : public Request {
 public:
  Replay(Entry& of, Group& its_group) noexcept : entry(of), group(its_group) {
    bytes = entry.text;
    deadline_ns = monotonic_ns() + kReplayLimitNs;
    group.add();
  }
  void answered(const Reply& reply) noexcept override {
    what = trouble(reply);
    if (what == Trouble::ask) text = reply.text();
    group.done(what == Trouble::none || what == Trouble::ask ? Errno::none : Errno::again);
  }
  void failed(Errno why) noexcept override { group.done(why); }

  Entry& entry;
  Group& group;
  Trouble what = Trouble::none;
  std::string text;  // where else it is to be asked
};

SpreadLog::SpreadLog(Cluster& cluster, const Keys& keys, std::string_view incarnation,
                     WriteListener& listener, uint64_t window_bytes)
    : cluster_(cluster),
      keys_(keys),
      incarnation_(incarnation),
      listener_(listener),
      window_bytes_max_(window_bytes) {}

SpreadLog::~SpreadLog() = default;

SpreadLog::Window& SpreadLog::window(const Node& node) noexcept {
  while (windows_.size() <= node.number) windows_.emplace_back();
  return windows_[node.number];
}

SpreadLog::Entry* SpreadLog::take_entry() {
  if (!spare_.empty()) {
    Entry* entry = spare_.back();
    spare_.pop_back();
    return entry;
  }
  spare_.reserve(all_.size() + 1);
  all_.push_back(std::make_unique<Entry>(*this));
  return all_.back().get();
}

void SpreadLog::give_back(Entry& entry) noexcept {
  entry.bytes = {};
  if (entry.text.capacity() > kSpareBytesMax) std::string().swap(entry.text);
  spare_.push_back(&entry);
}

void SpreadLog::encode(const Write& write, std::string& into) {
  const Word key = keys_.record(write.key);
  into.clear();
  into.reserve(write.value.size() + write.payload.size() + 512);
  CommandWriter writer(into);
  switch (write.kind) {
    case Write::Kind::put:
      writer.begin(3);
      writer.word("SET");
      writer.word(key.view());
      return writer.word(write.value, write.payload);
    case Write::Kind::erase:
      writer.begin(2);
      writer.word("UNLINK");
      return writer.word(key.view());
    case Write::Kind::patch:
      writer.begin(4);
      writer.word("SETRANGE");
      writer.word(key.view());
      writer.number(static_cast<uint64_t>(write.number));
      return writer.word(write.value, write.payload);
    case Write::Kind::cut:
      writer.begin(5);
      writer.word("EVALSHA");
      writer.word(cluster_.scripts().cut);
      writer.number(1);
      writer.word(key.view());
      return writer.number(static_cast<uint64_t>(write.number));
    case Write::Kind::add:
      return;  // refused before
  }
}

bool SpreadLog::write(const Write& write, Group& group) noexcept {
  const bool is_empty = write.value.empty() && write.payload.empty();
  if (write.kind == Write::Kind::patch && is_empty) return true;
  Entry* entry = nullptr;
  try {
    entry = take_entry();
    encode(write, entry->text);
  } catch (const std::bad_alloc&) {
    if (entry != nullptr) spare_.push_back(entry);
    return false;
  }
  entry->bytes = entry->text;
  entry->slot = slot_of(keys_.record(write.key).view());
  entry->deadline_ns = cluster_.deadline_ns();
  entry->group = &group;
  group.add();
  cluster_.send(*entry);
  return true;
}

void SpreadLog::acknowledged(Entry& entry, Node& node) noexcept {
  entry.number = ++acknowledged_;
  window(node).push_back(entry);
  window_bytes_ += entry.text.size();
  listener_.wrote(node);
}

void SpreadLog::forget(Node& node, uint64_t number) noexcept {
  if (replaying_ > 0) return;
  node.safety.dropped = number;
  Window& kept = window(node);
  while (Entry* entry = kept.front()) {
    if (entry->number > number) break;
    static_cast<ListLink<WindowTag>&>(*entry).unlink();
    window_bytes_ -= entry->text.size();
    give_back(*entry);
  }
}

void SpreadLog::stop() noexcept {
  for (Window& kept : windows_) {
    while (Entry* entry = kept.pop_front()) give_back(*entry);
  }
  window_bytes_ = 0;
}

Op<Unit> SpreadLog::restore(Node& node) {
  ++replaying_;
  Op<Unit> checking = check_marks(node);
  Result<Unit> result = co_await std::move(checking);
  if (result) {
    Op<Unit> replaying = replay(node);
    result = co_await std::move(replaying);
  }
  --replaying_;
  co_return result;
}

// Those that were set on servers whose slots this one has now, or that it has set itself.
Op<Unit> SpreadLog::check_marks(Node& node) {
  for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
    const Node& marked = *cluster_.nodes()[i];
    const uint64_t dropped = marked.safety.dropped;
    if (dropped == 0 || cluster_.owner(slot_of(marked.safety.mark_key)) != &node) continue;
    Ask ask(cluster_.reactor(), command({"HGET", marked.safety.mark_key, incarnation_}),
            kReplayLimitNs);
    node.main.send_first(ask);
    co_await ask;
    if (ask.error() != Errno::none) co_return ask.error();
    if (!ask.good()) {
      if (trouble(ask.reply()) == Trouble::moved) cluster_.refresh();
      co_return Errno::again;
    }
    const std::string_view text = ask.reply().text();
    uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (number >= dropped) continue;
    listener_.lost(node);
    co_return Errno::io;
  }
  co_return Unit{};
}

Op<Unit> SpreadLog::replay(Node& node) {
  std::vector<Entry*> entries;
  for (Window& kept : windows_) {
    for (Entry* entry = kept.front(); entry != nullptr; entry = kept.after(*entry)) {
      if (cluster_.owner(entry->slot) == &node) entries.push_back(entry);
    }
  }
  if (entries.empty()) co_return Unit{};
  std::ranges::sort(entries, {}, &Entry::number);
  std::deque<Replay> replays;
  Group group(cluster_.reactor());
  for (Entry* entry : entries) node.main.send_first(replays.emplace_back(*entry, group));
  const Errno why = co_await group;
  if (why != Errno::none) {
    cluster_.refresh();
    co_return why;
  }
  // Of slots that are being moved: what is not here any more is there.
  std::deque<Replay> elsewhere;
  Group elsewhere_group(cluster_.reactor());
  for (const Replay& replay : replays) {
    if (replay.what != Trouble::ask) continue;
    Address address;
    if (!parse_redirect(replay.text, node.address, address)) co_return Errno::proto;
    Replay& again = elsewhere.emplace_back(replay.entry, elsewhere_group);
    again.asking = true;
    cluster_.node_at(address).side.send(again);
  }
  const Errno elsewhere_why = co_await elsewhere_group;
  if (elsewhere_why != Errno::none) co_return elsewhere_why;
  for (Entry* entry : entries) {
    static_cast<ListLink<WindowTag>&>(*entry).unlink();
    entry->number = ++acknowledged_;
    window(node).push_back(*entry);
  }
  listener_.wrote(node);
  co_return Unit{};
}

}  // namespace dpfs::kv::valkey
