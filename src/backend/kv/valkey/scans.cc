// SPDX-License-Identifier: Apache-2.0
// Scans by the index of an object, sweeps by SCAN.
#include "backend/kv/valkey/scans.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <optional>
#include <string>

#include "backend/kv/valkey/ask.h"
#include "backend/kv/valkey/command.h"
#include "backend/kv/valkey/requests.h"
#include "backend/kv/valkey/script.h"
#include "base/log.h"

namespace dpfs::kv::valkey {
namespace {

constexpr uint32_t kScanRecords = 512;
constexpr std::string_view kSweepKeys = "1000";
constexpr uint64_t kAskLimitNs = 5'000'000'000;
constexpr uint64_t kSoonNs = 20'000'000;

// One page of a scan as the script answers it: the items, and their values.
class Page {
 public:
  explicit Page(const Reply& reply) noexcept : items_(reply), values_(reply) {}
  bool begin(uint32_t& count) noexcept {
    uint32_t elements = 0;
    if (!items_.array(elements) || elements != 2 || !items_.array(count)) return false;
    if (!values_.array(elements) || !values_.skip() || !values_.array(elements)) return false;
    return elements == count;
  }
  bool next(std::string_view& name, std::string_view& value) noexcept {
    return items_.string(name) && values_.string(value);
  }

 private:
  Reply::Walk items_;
  Reply::Walk values_;
};

std::string beginning(const Scan& scan) {
  if (shape_of(scan.collection) == Shape::numbered) {
    return '[' + std::string(item(scan.from_number).view());
  }
  return scan.after_name.empty() ? "-" : '(' + std::string(scan.after_name);
}

// Has no say.
class Whole final : public ScanReader {
 public:
  explicit Whole(ScanReader& reader) noexcept : reader_(reader) {}
  bool found(const Key& key, std::string_view value) noexcept override {
    reader_.found(key, value);
    return true;
  }

 private:
  ScanReader& reader_;
};

// Gives what lies under some keys.
class Harvest {
 public:
  Harvest(Cluster& cluster, const Keys& keys, Collection collection) noexcept
      : cluster_(cluster), keys_(keys), collection_(collection), group_(cluster.reactor()) {}

  // False: the server says something else than SCAN does.
  bool add(const Reply& reply, uint64_t& cursor) {
    Reply::Walk walk(reply);
    uint32_t elements = 0;
    std::string_view next;
    if (!walk.array(elements) || elements != 2 || !walk.string(next)) return false;
    const auto [end, error] = std::from_chars(next.data(), next.data() + next.size(), cursor);
    if (error != std::errc() || end != next.data() + next.size()) return false;
    if (cursor >> SweepPlace::kCursorBits != 0 || !walk.array(elements)) return false;
    for (uint32_t i = 0; i < elements; ++i) {
      std::string_view text;
      if (!walk.string(text)) return false;
      Key key{};
      if (keys_.decode(collection_, text, key)) add_key(key, text);
    }
    return true;
  }

  Op<Unit> give(ScanReader& reader) {
    for (auto& found : found_) {
      if (found.question) cluster_.send(*found.question);
    }
    const Errno why = co_await group_;
    if (why != Errno::none) co_return why;
    Whole whole(reader);
    for (auto& found : found_) {
      if (found.question) {
        const Reply& reply = found.question->reply();
        if (reply.type() == Reply::Type::string) reader.found(found.key, reply.text());
        continue;
      }
      const Scan all{.collection = collection_, .object = found.key.object};
      Op<bool> scanning = scan_object(cluster_, keys_, all, whole);
      const Result<bool> scanned = co_await std::move(scanning);
      if (!scanned) co_return scanned.error();
    }
    co_return Unit{};
  }

 private:
  void add_key(const Key& key, std::string_view text) {
    Found& found = found_.emplace_back(key);
    if (is_hash(collection_)) return;
    found.question.emplace(cluster_, group_, slot_of(text), command({"GET", text}));
  }

  struct Found {
    explicit Found(const Key& its_key) noexcept : key(its_key) {}
    Key key;
    std::optional<Question> question;
  };
  Cluster& cluster_;
  const Keys& keys_;
  const Collection collection_;
  Group group_;
  std::deque<Found> found_;
};

// Asks one server, again when its connection breaks. Nothing where it is no primary any more.
Op<bool> ask_node(Cluster& cluster, Node& node, std::string text, Reply& reply) {
  const uint64_t end_ns = cluster.deadline_ns();
  while (true) {
    if (!node.is_primary) co_return false;
    Ask ask(cluster.reactor(), text, kAskLimitNs);
    node.side.send(ask);
    co_await ask;
    if (ask.good()) {
      reply = ask.reply();
      co_return true;
    }
    if (ask.error() == Errno::stale) co_return Errno::stale;
    if (ask.error() == Errno::none && trouble(ask.reply()) != Trouble::later) {
      log::error("a Valkey server refuses a scan: {}", ask.reply().text());
      co_return Errno::io;
    }
    if (monotonic_ns() >= end_ns) co_return Errno::timedout;
    co_await Sleep(cluster.timers(), kSoonNs);
  }
}

// A key that is moved from a server that comes later to one that has been looked at would be left
// out: who has which slots must be the same at the end as it was at the beginning, and no slot may
// be under way.
Op<Unit> check_settled(Cluster& cluster) {
  if (!cluster.is_cluster()) co_return Unit{};
  for (size_t i = 0; i < cluster.nodes().size(); ++i) {
    Reply reply;
    Op<bool> asking = ask_node(cluster, *cluster.nodes()[i], command({"CLUSTER", "NODES"}), reply);
    const Result<bool> asked = co_await std::move(asking);
    if (!asked) co_return asked.error();
    // "[93-<-ID]" and "[93->-ID]": of the server that says it only.
    if (*asked && reply.text().find('[') != std::string_view::npos) {
      log::warn("the Valkey cluster is moving slots just now: try again when that is done");
      co_return Errno::again;
    }
  }
  Op<Unit> looking = cluster.look_again();
  const Result<Unit> looked = co_await std::move(looking);
  co_return looked;
}

}  // namespace

Op<bool> scan_object(Cluster& cluster, const Keys& keys, const Scan& scan, ScanReader& reader) {
  const Scan wanted = scan;
  const Word hash = keys.record({.collection = wanted.collection, .object = wanted.object});
  const Word index = keys.index(wanted.collection, wanted.object);
  const uint16_t slot = slot_of(hash.view());
  std::string from = beginning(wanted);
  uint32_t left = wanted.records_max;
  while (left > 0) {
    const uint32_t most = std::min(left, kScanRecords);
    Group group(cluster.reactor());
    Question question(cluster, group, slot,
                      command({"EVALSHA", cluster.scripts().scan, "2", hash.view(), index.view(),
                               from, std::to_string(most)}));
    cluster.send(question);
    const Errno why = co_await group;
    if (why != Errno::none) co_return why;
    Page page(question.reply());
    uint32_t count = 0;
    if (!page.begin(count)) co_return Errno::io;
    for (uint32_t i = 0; i < count; ++i) {
      Key key{.collection = wanted.collection, .object = wanted.object};
      std::string_view name;
      std::string_view value;
      if (!page.next(name, value) || !decode_item(name, key)) co_return Errno::io;
      if (!reader.found(key, value)) co_return false;
      if (i + 1 == count) from = '(' + std::string(name);
    }
    if (count < most) co_return true;
    left -= count;
  }
  co_return false;
}

Op<Unit> sweep_step(Cluster& cluster, const Keys& keys, Sweep& sweep, ScanReader& reader) {
  constexpr uint32_t kViews = 16;
  SweepPlace place = SweepPlace::of(sweep.cursor);
  if (sweep.cursor == 0) {
    Op<Unit> checking = check_settled(cluster);
    const Result<Unit> settled = co_await std::move(checking);
    if (!settled) co_return settled;
    place.view = static_cast<uint32_t>(cluster.views() % kViews);
  }
  if (place.view != cluster.views() % kViews) {
    sweep.cursor = 0;
    place = {.view = static_cast<uint32_t>(cluster.views() % kViews), .node = 0, .cursor = 0};
  }
  if (place.node < cluster.nodes().size() && cluster.nodes()[place.node]->is_primary) {
    Reply reply;
    Op<bool> asking = ask_node(cluster, *cluster.nodes()[place.node],
                               command({"SCAN", std::to_string(place.cursor), "MATCH",
                                        keys.prefix(sweep.collection) + '*', "COUNT", kSweepKeys}),
                               reply);
    const Result<bool> asked = co_await std::move(asking);
    if (!asked) co_return asked.error();
    place.cursor = 0;
    if (*asked) {
      Harvest harvest(cluster, keys, sweep.collection);
      if (!harvest.add(reply, place.cursor)) co_return Errno::io;
      Op<Unit> giving = harvest.give(reader);
      const Result<Unit> given = co_await std::move(giving);
      if (!given) co_return given;
    }
  }
  if (place.cursor == 0) ++place.node;
  if (place.node < cluster.nodes().size()) {
    sweep.cursor = place.number();
    co_return Unit{};
  }
  Op<Unit> checking = check_settled(cluster);
  const Result<Unit> settled = co_await std::move(checking);
  if (!settled) co_return settled;
  // Not over: the next step sees that the view is another one, and begins anew.
  const bool same_view = place.view == cluster.views() % kViews;
  sweep.cursor = same_view ? 0 : SweepPlace{.view = place.view, .node = 0, .cursor = 1}.number();
  co_return Unit{};
}

}  // namespace dpfs::kv::valkey
