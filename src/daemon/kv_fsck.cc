// SPDX-License-Identifier: Apache-2.0
// `dpfs kv fsck`: checking and mending.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "backend/kv/check/fsck.h"
#include "backend/kv/owned_store.h"
#include "base/log.h"
#include "base/monotonic.h"
#include "daemon/kv_tool.h"
#include "daemon/kv_verbs.h"

namespace dpfs {
namespace {

using kv::Finding;
using kv::FindingLevel;
using Item = kv::Fsck::Item;
using nlohmann::ordered_json;

// fsck(8), "EXIT STATUS".
enum class Status : uint8_t { clean = 0, mended = 1, damaged = 4, unchecked = 8, usage = 16 };

struct FsckOptions {
  KvToolOptions tool;
  bool repairs = false;
  bool quick = false;
};

struct Report {
  std::string url;
  Status status = Status::unchecked;
  std::string problem;  // where it could not be checked
  std::string engine;
  kv::Check::Totals totals;
  kv::Survey::Counts counts;
  uint64_t memory_bytes = 0;
  uint64_t mended = 0;
  uint64_t damage = 0;
  uint64_t garbage = 0;
  bool lists_all = true;
  std::vector<Item> items;
  uint64_t ns = 0;
};

void note(const kv::Fsck& fsck, Report& report) {
  report.mended = fsck.mended();
  report.damage = fsck.left().count(FindingLevel::damage);
  report.garbage = fsck.left().count(FindingLevel::garbage);
  report.totals = fsck.totals();
  report.counts = fsck.survey().counts();
  report.memory_bytes = fsck.survey().memory_bytes();
  report.lists_all = fsck.lists_all();
  report.items = fsck.items();
  report.status = report.mended > 0 ? Status::mended : Status::clean;
  if (report.damage > 0) report.status = Status::damaged;
}

Op<Unit> check_it(Reactor& reactor, const KvAsked& asked, const FsckOptions& options,
                  kv::Progress& progress, Report& report) {
  const uint64_t begun_ns = monotonic_ns();
  kv::OwnedStore owned(reactor, asked.make_store(reactor), asked.volume.ownership);
  Result<Unit> ok = co_await owned.open();
  report.engine = owned.store().traits().engine;
  report.problem = owned.problem();
  if (ok) {
    kv::Fsck fsck(owned, progress, {.repairs = options.repairs, .reads_chunks = !options.quick});
    ok = co_await fsck.run();
    if (ok) note(fsck, report);
    if (!ok) report.problem = fmt::format("the store says: {}", describe(ok.error()));
  }
  const Result<Unit> closed = co_await owned.close();
  report.ns = monotonic_ns() - begun_ns;
  co_return ok ? closed : ok;
}

// ---- Saying it ----------------------------------------------------------------------------------

const char* word_of(Status status) noexcept {
  switch (status) {
    case Status::clean:
      return "clean";
    case Status::mended:
      return "mended";
    case Status::damaged:
      return "damaged";
    default:
      return "unchecked";
  }
}

ordered_json json_of(const Item& thing) {
  const Finding& finding = thing.finding;
  const bool damage = kv::level_of(finding.kind) == FindingLevel::damage;
  ordered_json out = {{"code", kv::word_of(finding.kind)},
                      {"level", damage ? "damage" : "garbage"}};
  if (finding.ino != 0) out["inode"] = finding.ino;
  if (!thing.path.empty()) out["path"] = thing.path;
  if (!finding.name.empty()) out["name"] = finding.name;
  if (thing.mended) out["mended"] = true;
  out["message"] = kv::sentence_of(finding);
  return out;
}

void print_json(const Report& report) {
  ordered_json out = {
      {"url", report.url}, {"status", word_of(report.status)}, {"engine", report.engine}};
  if (!report.problem.empty()) out["problem"] = report.problem;
  if (report.status != Status::unchecked) {
    out["inodes"] = report.totals.inodes;
    out["directories"] = report.totals.directories;
    out["names"] = report.counts.names;
    out["attributes"] = report.counts.attributes;
    out["stored_bytes"] = report.totals.stored_bytes;
    out["chunks"] = report.counts.chunks;
    out["mended"] = report.mended;
    out["damage"] = report.damage;
    out["garbage"] = report.garbage;
    out["lists_all"] = report.lists_all;
    out["seconds"] = static_cast<double>(report.ns) / 1e9;
    out["memory_bytes"] = report.memory_bytes;
    ordered_json findings = ordered_json::array();
    for (const Item& thing : report.items) findings.push_back(json_of(thing));
    out["findings"] = std::move(findings);
  }
  // Names are bytes of any kind.
  fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

std::string place_of(const Item& thing) {
  if (thing.finding.ino == 0) return "file system";
  if (thing.path.empty()) return fmt::format("inode {}", thing.finding.ino);
  return fmt::format("{} (inode {})", kv::printable(thing.path), thing.finding.ino);
}

void print_table(const FsckOptions& options, const Report& report) {
  constexpr size_t kShownOfAKind = 20;  // --json has all
  std::map<kv::FindingKind, size_t> shown;
  for (const Item& thing : report.items) {
    const kv::FindingKind kind = thing.finding.kind;
    if (++shown[kind] > kShownOfAKind) continue;
    fmt::print("{:<20} {}: {}{}\n", kv::word_of(kind), place_of(thing),
               kv::sentence_of(thing.finding), thing.mended ? " (mended)" : "");
  }
  for (const auto& [kind, count] : shown) {
    if (count <= kShownOfAKind) continue;
    fmt::print("{:<20} and {} more\n", kv::word_of(kind), count - kShownOfAKind);
  }
  fmt::print("{}: {} inodes ({} directories), {} names, {} bytes; {} s, {} MiB of memory\n",
             report.url, report.totals.inodes, report.totals.directories, report.counts.names,
             report.totals.stored_bytes, report.ns / 1'000'000'000, report.memory_bytes >> 20);
  fmt::print("{}: {} mended, {} damaged, {} to collect\n", word_of(report.status), report.mended,
             report.damage, report.garbage);
  if (report.damage > 0 && !options.repairs) fmt::print("dpfs kv fsck --repair mends it\n");
}

void print(const FsckOptions& options, const Report& report) {
  if (options.tool.json) {
    print_json(report);
  } else if (report.status == Status::unchecked) {
    say_problem("fsck", report.url, report.problem);
  } else {
    print_table(options, report);
  }
}

Status run(const FsckOptions& options) {
  Report report;
  report.url = options.tool.url;
  try {
    log::set_level(log::Level::warn);
    Url url = Url::parse(options.tool.url);
    const KvAsked asked = kv_asked(url, false);
    report.url = asked.volume.name;
    KvToolReactor reactor;
    KvProgress progress(options.tool);
    const Result<Unit> done = reactor.wait<Unit>(
        [&] { return check_it(reactor.reactor(), asked, options, progress, report); });
    if (!done && report.problem.empty()) report.problem = describe(done.error());
    if (!done) report.status = Status::unchecked;
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "dpfs kv fsck: {}\nTry: dpfs kv fsck --help\n", error.what());
    return Status::usage;
  } catch (const std::exception& error) {
    report.problem = error.what();
  }
  print(options, report);
  return report.status;
}

}  // namespace

int kv_fsck_main(int argc, char** argv) {
  CLI::App app("Checks a key-value file system that nobody has mounted.", "dpfs kv fsck");
  app.footer(
      "\nExit status, as fsck(8) has it: 0 clean, or only garbage to collect; 1 was damaged\n"
      "and is mended; 4 damaged; 8 could not be checked; 16 wrong arguments.\n"
      "\n"
      "--repair keeps what can be kept: what no name leads to gets one in /lost+found.\n"
      "\n"
      "Memory: some 250 bytes for each inode with its name.\n"
      "\n"
      "Examples:\n"
      "  dpfs kv fsck kv+rocksdb:/srv/files\n"
      "  dpfs kv fsck --repair kv+rocksdb:/srv/files\n"
      "  dpfs kv fsck --json 'kv+rocksdb:/srv/files?fs=alice'\n"
      "  dpfs kv fsck --quick kv+rocksdb:/srv/files      without reading large files");
  FsckOptions options;
  CLI::Option* repair = app.add_flag("--repair", options.repairs, "Mend what is damaged");
  app.add_flag("--quick", options.quick, "Do not read what is stored of files above 4 KiB")
      ->excludes(repair);
  add_kv_tool_options(app, options.tool);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Status::usage);
  }
  return static_cast<int>(run(options));
}

}  // namespace dpfs
