// SPDX-License-Identifier: Apache-2.0
// The store: which commands a request is made of.
#include "backend/kv/valkey/valkey_store.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <deque>
#include <optional>
#include <random>
#include <utility>

#include "backend/kv/valkey/ask.h"
#include "backend/kv/valkey/cluster.h"
#include "backend/kv/valkey/command.h"
#include "backend/kv/valkey/commit_encoder.h"
#include "backend/kv/valkey/commit_log.h"
#include "backend/kv/valkey/durability.h"
#include "backend/kv/valkey/facts.h"
#include "backend/kv/valkey/gets.h"
#include "backend/kv/valkey/keys.h"
#include "backend/kv/valkey/requests.h"
#include "backend/kv/valkey/scans.h"
#include "backend/kv/valkey/script.h"
#include "backend/kv/valkey/spread_log.h"
#include "base/log.h"
#include "base/monotonic.h"

namespace dpfs::kv {
namespace {

using namespace valkey;

constexpr uint32_t kCommitWrites = 4096;
constexpr uint64_t kValueBytesMax = uint64_t{64} << 20;
constexpr uint64_t kLookLimitNs = 3'000'000'000;

bool is_possible(const Key& key) noexcept {
  return shape_of(key.collection) != Shape::named ||
         (!key.name.empty() && key.name.size() <= kNameBytesMax);
}

bool is_possible(const Write& write) noexcept {
  if (!is_possible(write.key)) return false;
  const bool of_bytes = write.kind == Write::Kind::patch || write.kind == Write::Kind::cut;
  if (of_bytes && (write.number < 0 || is_hash(write.key.collection))) return false;
  if (write.kind == Write::Kind::add && is_spread(write)) return false;
  const uint64_t offset =
      write.kind == Write::Kind::patch ? static_cast<uint64_t>(write.number) : 0;
  const uint64_t bytes = write.value.size() + write.payload.size();
  return offset <= kValueBytesMax && bytes <= kValueBytesMax - offset;
}

// Those that began later are greater.
std::string new_incarnation() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::random_device random;
  Word word;
  word.add_hex(static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
               static_cast<uint64_t>(now.tv_nsec));
  word.add_hex(uint64_t{random()} << 32 | random());
  return std::string(word.view());
}

class ValkeyStore final : public Store, Restorer, WriteListener {
 public:
  ValkeyStore(Reactor& reactor, const ValkeyOptions& options)
      : reactor_(reactor),
        options_(options),
        keys_(options.partition),
        traits_{.engine = "valkey",
                .chunk_bytes = options.chunk_bytes,
                .commit_writes = kCommitWrites,
                .remote = true,
                .exclusive = false} {}
  ~ValkeyStore() override { DPFS_ASSERT(!log_); }

  const Traits& traits() const noexcept override { return traits_; }
  Op<Unit> open() override;
  Op<Unit> close() override;
  Op<Unit> get(std::span<Get> gets) override;
  Op<bool> scan(const Scan& scan, ScanReader& reader) override;
  Op<Unit> sweep(Sweep& sweep, ScanReader& reader) override;
  Op<Unit> commit(std::span<const Compare> compares, std::span<const Write> writes) override;
  Op<Unit> sync() override;
  Op<Space> space() override;

 private:
  Op<Unit> restore(Node& node) override;
  void tick(uint64_t now_ns) noexcept override { log_->tick(now_ns); }
  bool needs_tick() const noexcept override { return log_->awaits(); }

  void wrote(Node& node) noexcept override { durability_->wrote(node); }
  void lost(Node& node) noexcept override {
    log_->break_off("the Valkey server " + text_of(node.address) +
                    " has lost contents of files that it had acknowledged");
  }

  // Why nothing can be asked.
  Errno closed() const noexcept { return is_open_ ? log_->broken() : Errno::stale; }
  Op<Unit> check();
  Op<Unit> prepare(Node& node);
  Op<Unit> look_at(Node& node);
  Op<Unit> load_scripts(Node& node);
  Op<Unit> stop();
  Op<Unit> write_spread(std::span<const Write> writes);

  Reactor& reactor_;
  const ValkeyOptions options_;
  const Keys keys_;
  const Traits traits_;
  std::optional<Cluster> cluster_;
  std::optional<CommitLog> log_;
  std::optional<Gets> gets_;
  std::optional<SpreadLog> spread_;
  std::optional<Durability> durability_;
  bool is_open_ = false;
};

Op<Unit> ValkeyStore::open() {
  if (!is_partition_name(options_.partition)) {
    log::error("a partition's name has letters, digits, '.', '_' and '-', at most {}",
               kPartitionBytesMax);
    co_return Errno::inval;
  }
  if (options_.tls.enabled) {
    log::error("encrypted connections to Valkey are not supported yet");
    co_return Errno::opnotsupp;
  }
  cluster_.emplace(reactor_, static_cast<Restorer&>(*this), options_.servers,
                   Login{.user = options_.user, .password = options_.password}, options_.limit_ns);
  const std::string incarnation = new_incarnation();
  auto& listener = static_cast<WriteListener&>(*this);
  log_.emplace(*cluster_, keys_, incarnation, listener, options_.window_bytes);
  gets_.emplace(*cluster_, keys_, log_->slot());
  spread_.emplace(*cluster_, keys_, incarnation, listener, options_.window_bytes);
  durability_.emplace(*cluster_, *log_, *spread_, keys_, incarnation, options_);
  Op<Unit> starting = cluster_->start();
  Result<Unit> result = co_await std::move(starting);
  if (result) {
    Op<Unit> checking = check();
    result = co_await std::move(checking);
  }
  if (!result) {
    Op<Unit> stopping = stop();
    static_cast<void>(co_await std::move(stopping));
    co_return result;
  }
  is_open_ = true;
  co_return Unit{};
}

// Whether each primary can be used. Later ones are looked at when they are connected to.
Op<Unit> ValkeyStore::check() {
  uint32_t without_append_file = 0;
  for (size_t i = 0; i < cluster_->nodes().size(); ++i) {
    Node& node = *cluster_->nodes()[i];
    if (!node.is_primary) continue;
    Op<Unit> preparing = prepare(node);
    const Result<Unit> good = co_await std::move(preparing);
    if (!good) co_return good;
    if (!node.has_append_file) ++without_append_file;
  }
  if (without_append_file > 0) {
    log::warn(
        "partition {}: Valkey servers without an append-only file: {}. What is written is lost "
        "when "
        "they end (set appendonly to yes)",
        keys_.partition(), without_append_file);
  }
  co_return Unit{};
}

Op<Unit> ValkeyStore::look_at(Node& node) {
  Ask info(reactor_, command({"INFO", "server", "memory", "persistence"}), kLookLimitNs);
  node.side.send(info);
  co_await info;
  if (info.error() != Errno::none) co_return info.error();
  Facts facts;
  Objection no{.why = Errno::proto, .text = "does not say what it is"};
  if (info.good() && parse_facts(info.reply().text(), facts)) no = objection(facts);
  if (!info.good()) no.text = "says: " + std::string(info.reply().text());
  node.has_append_file = facts.has_append_file;
  if (no.text != node.complaint && no.why != Errno::none) {
    log::error("the Valkey server {} {}", text_of(node.address), no.text);
  }
  node.complaint = no.text;
  if (no.why != Errno::none) co_return no.why;
  co_return Unit{};
}

// Nothing is asked of a server that is not fit to be asked, or has no scripts.
Op<Unit> ValkeyStore::prepare(Node& node) {
  Op<Unit> looking = look_at(node);
  Result<Unit> result = co_await std::move(looking);
  if (!result) co_return result;
  Op<Unit> loading = load_scripts(node);
  result = co_await std::move(loading);
  co_return result;
}

Op<Unit> ValkeyStore::restore(Node& node) {
  Op<Unit> preparing = prepare(node);
  Result<Unit> result = co_await std::move(preparing);
  if (!result) co_return result;
  if (log_->broken() != Errno::none) co_return log_->broken();
  Op<Unit> writing_again = spread_->restore(node);
  result = co_await std::move(writing_again);
  if (!result) co_return result;
  Op<Unit> restoring = log_->restore(node);
  result = co_await std::move(restoring);
  co_return result;
}

Op<Unit> ValkeyStore::load_scripts(Node& node) {
  Scripts& names = cluster_->scripts();
  const std::array<std::pair<std::string_view, std::string*>, 4> scripts{
      {{kCommitScript, &names.commit},
       {kCutScript, &names.cut},
       {kRangeScript, &names.range},
       {kScanScript, &names.scan}}};
  std::deque<Ask> loads;
  for (const auto& [script, name] : scripts) {
    loads.emplace_back(reactor_, command({"SCRIPT", "LOAD", script}), kLookLimitNs);
    node.side.send(loads.back());
  }
  Result<Unit> result = Unit{};
  for (size_t i = 0; i < loads.size(); ++i) {
    Ask& load = loads[i];
    co_await load;
    if (load.error() != Errno::none) {
      result = load.error();
    } else if (load.reply().text().size() != kShaDigits || !load.good()) {
      log::error("the Valkey server {} refuses a script: {}", text_of(node.address),
                 load.reply().text());
      result = Errno::proto;
    } else {
      *scripts[i].second = load.reply().text();
    }
  }
  co_return result;
}

Op<Unit> ValkeyStore::stop() {
  is_open_ = false;
  Op<Unit> stopping = cluster_->stop();
  static_cast<void>(co_await std::move(stopping));
  Op<Unit> ending = durability_->stop();
  static_cast<void>(co_await std::move(ending));
  spread_->stop();
  log_->stop();
  durability_.reset();
  spread_.reset();
  gets_.reset();
  log_.reset();
  cluster_.reset();
  co_return Unit{};
}

Op<Unit> ValkeyStore::close() {
  if (!is_open_) co_return Unit{};
  is_open_ = false;
  Op<Unit> removing = durability_->remove_marks();
  static_cast<void>(co_await std::move(removing));
  Op<Unit> stopping = stop();
  const Result<Unit> stopped = co_await std::move(stopping);
  co_return stopped;
}

Op<Unit> ValkeyStore::get(std::span<Get> gets) {
  if (closed() != Errno::none) return closed();
  for (const Get& get : gets) {
    if (!is_possible(get.key)) return Errno::inval;
  }
  return gets_->get(gets);
}

Op<bool> ValkeyStore::scan(const Scan& scan, ScanReader& reader) {
  if (closed() != Errno::none) return closed();
  if (!is_hash(scan.collection)) return Errno::inval;
  return scan_object(*cluster_, keys_, scan, reader);
}

Op<Unit> ValkeyStore::sweep(Sweep& sweep, ScanReader& reader) {
  if (closed() != Errno::none) return closed();
  return sweep_step(*cluster_, keys_, sweep, reader);
}

Op<Unit> ValkeyStore::write_spread(std::span<const Write> writes) {
  Group group(reactor_);
  Errno result = Errno::none;
  for (const Write& write : writes) {
    if (is_spread(write) && !spread_->write(write, group)) result = Errno::nomem;
  }
  const Errno why = co_await group;
  if (why != Errno::none) result = why;
  if (result != Errno::none) co_return result;
  co_return Unit{};
}

Op<Unit> ValkeyStore::commit(std::span<const Compare> compares, std::span<const Write> writes) {
  if (closed() != Errno::none) co_return closed();
  if (writes.size() > kCommitWrites) co_return Errno::inval;
  for (const Write& write : writes) {
    if (!is_possible(write)) co_return Errno::inval;
  }
  for (const Compare& compare : compares) {
    if (!is_possible(compare.key)) co_return Errno::inval;
  }
  const auto spread = static_cast<size_t>(std::ranges::count_if(writes, is_spread));
  if (spread > 0) {
    Op<Unit> writing = write_spread(writes);
    const Result<Unit> written = co_await std::move(writing);
    if (!written) co_return written;
  }
  if (compares.empty() && spread == writes.size()) co_return Unit{};
  CommitLog::Waiter waiter;
  if (!log_->append(compares, writes, waiter)) co_return Errno::nomem;
  const CommitLog::Outcome outcome = co_await waiter;
  switch (outcome) {
    case CommitLog::Outcome::done:
      co_return Unit{};
    case CommitLog::Outcome::compare_failed:
      co_return kCompareFailed;
    case CommitLog::Outcome::no_space:
      co_return Errno::nospc;
    case CommitLog::Outcome::given_up:
      co_return Errno::timedout;
    case CommitLog::Outcome::stale:
      co_return Errno::stale;
    case CommitLog::Outcome::not_a_number:
    case CommitLog::Outcome::refused:
      break;
  }
  co_return Errno::io;
}

Op<Unit> ValkeyStore::sync() {
  if (closed() != Errno::none) return closed();
  return durability_->sync();
}

// Of all primaries together: chunks are spread over them evenly.
Op<Store::Space> ValkeyStore::space() {
  if (closed() != Errno::none) co_return closed();
  Space space;
  for (size_t i = 0; i < cluster_->nodes().size(); ++i) {
    Node& node = *cluster_->nodes()[i];
    if (!node.is_primary) continue;
    Ask info(reactor_, command({"INFO", "memory"}), options_.limit_ns);
    node.side.send(info);
    co_await info;
    if (!info.good()) co_return info.error() == Errno::none ? Errno::io : info.error();
    const ServerSpace its = parse_space(info.reply().text());
    space.total_bytes += its.total_bytes;
    space.free_bytes += its.total_bytes - its.used_bytes;
  }
  co_return space;
}

}  // namespace

std::unique_ptr<Store> make_valkey_store(Reactor& reactor, const ValkeyOptions& options) {
  return std::make_unique<ValkeyStore>(reactor, options);
}

}  // namespace dpfs::kv
