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

#include "backend/kv/check/check.h"
#include "backend/kv/check/paths.h"
#include "backend/kv/owned_store.h"
#include "base/monotonic.h"
#include "daemon/kv_tool.h"
#include "daemon/kv_verbs.h"

namespace dpfs {
namespace {

using kv::Check;
using kv::Finding;
using kv::FindingLevel;
using nlohmann::ordered_json;

// fsck(8), "EXIT STATUS".
enum class Status : uint8_t { clean = 0, mended = 1, damaged = 4, unchecked = 8, usage = 16 };

struct FsckOptions {
  KvToolOptions tool;
  bool quick = false;
};

struct FoundThing {
  Finding finding;
  std::string path;
};

struct Report {
  Status status = Status::unchecked;
  std::string problem;  // where it could not be checked
  std::string engine;
  Check::Totals totals;
  kv::Survey::Counts counts;
  uint64_t memory_bytes = 0;
  uint64_t damage = 0;
  uint64_t garbage = 0;
  bool lists_all = true;
  std::vector<FoundThing> findings;
  uint64_t ns = 0;
};

Op<Unit> note(Check& check, kv::Store& store, Report& report) {
  const kv::Findings& findings = check.findings();
  report.damage = findings.count(FindingLevel::damage);
  report.garbage = findings.count(FindingLevel::garbage);
  report.totals = check.totals();
  report.counts = check.survey().counts();
  report.memory_bytes = check.survey().memory_bytes();
  report.lists_all = findings.all_kept();
  kv::Paths paths(store, check.survey(), findings.kept());
  for (const Finding& finding : findings.kept()) {
    FoundThing& thing = report.findings.emplace_back(finding);
    const Result<Unit> found = co_await paths.find(finding.ino, thing.path);
    if (!found) co_return found;
  }
  co_return Unit{};
}

Op<Unit> check_it(kv::OwnedStore& owned, const FsckOptions& options, kv::Progress& progress,
                  Report& report) {
  Check check(owned.reactor(), owned.store(), owned.superblock(), progress,
              {.reads_chunks = !options.quick});
  Result<Unit> ok = co_await check.run();
  if (!ok) co_return ok;
  ok = co_await note(check, owned.store(), report);
  co_return ok;
}

Op<Unit> fsck(Reactor& reactor, const KvAsked& asked, const FsckOptions& options,
              kv::Progress& progress, Report& report) {
  const uint64_t begun_ns = monotonic_ns();
  kv::OwnedStore owned(reactor, asked.make_store(reactor), options.tool.ownership);
  Result<Unit> ok = co_await owned.open();
  report.engine = owned.store().traits().engine;
  report.problem = owned.problem();
  if (ok) {
    ok = co_await check_it(owned, options, progress, report);
    if (!ok) report.problem = fmt::format("it cannot be read: {}", describe(ok.error()));
    if (ok) report.status = report.damage > 0 ? Status::damaged : Status::clean;
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

ordered_json json_of(const FoundThing& thing) {
  const Finding& finding = thing.finding;
  const bool damage = kv::level_of(finding.kind) == FindingLevel::damage;
  ordered_json out = {{"code", kv::word_of(finding.kind)},
                      {"level", damage ? "damage" : "garbage"}};
  if (finding.ino != 0) out["inode"] = finding.ino;
  if (!thing.path.empty()) out["path"] = thing.path;
  if (!finding.name.empty()) out["name"] = finding.name;
  out["message"] = kv::sentence_of(finding);
  return out;
}

void print_json(const FsckOptions& options, const Report& report) {
  ordered_json out = {
      {"url", options.tool.url}, {"status", word_of(report.status)}, {"engine", report.engine}};
  if (!report.problem.empty()) out["problem"] = report.problem;
  if (report.status != Status::unchecked) {
    out["inodes"] = report.totals.inodes;
    out["directories"] = report.totals.directories;
    out["names"] = report.counts.names;
    out["attributes"] = report.counts.attributes;
    out["stored_bytes"] = report.totals.stored_bytes;
    out["chunks"] = report.counts.chunks;
    out["damage"] = report.damage;
    out["garbage"] = report.garbage;
    out["lists_all"] = report.lists_all;
    out["seconds"] = static_cast<double>(report.ns) / 1e9;
    out["memory_bytes"] = report.memory_bytes;
    ordered_json findings = ordered_json::array();
    for (const FoundThing& thing : report.findings) findings.push_back(json_of(thing));
    out["findings"] = std::move(findings);
  }
  // Names are bytes of any kind.
  fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

std::string place_of(const FoundThing& thing) {
  if (thing.finding.ino == 0) return "file system";
  if (thing.path.empty()) return fmt::format("inode {}", thing.finding.ino);
  return fmt::format("{} (inode {})", kv::printable(thing.path), thing.finding.ino);
}

void print_table(const FsckOptions& options, const Report& report) {
  constexpr size_t kShownOfAKind = 20;  // --json has all
  std::map<kv::FindingKind, size_t> shown;
  for (const FoundThing& thing : report.findings) {
    const kv::FindingKind kind = thing.finding.kind;
    if (++shown[kind] > kShownOfAKind) continue;
    fmt::print("{:<20} {}: {}\n", kv::word_of(kind), place_of(thing),
               kv::sentence_of(thing.finding));
  }
  for (const auto& [kind, count] : shown) {
    if (count <= kShownOfAKind) continue;
    fmt::print("{:<20} and {} more\n", kv::word_of(kind), count - kShownOfAKind);
  }
  fmt::print("{}: {} inodes ({} directories), {} names, {} bytes; {} s, {} MiB of memory\n",
             options.tool.url, report.totals.inodes, report.totals.directories, report.counts.names,
             report.totals.stored_bytes, report.ns / 1'000'000'000, report.memory_bytes >> 20);
  fmt::print("{}: {} damaged, {} to collect\n", word_of(report.status), report.damage,
             report.garbage);
}

void print(const FsckOptions& options, const Report& report) {
  if (options.tool.json) {
    print_json(options, report);
  } else if (report.status == Status::unchecked) {
    say_problem("fsck", options.tool.url, report.problem);
  } else {
    print_table(options, report);
  }
}

Status run(const FsckOptions& options) {
  Report report;
  try {
    Url url = Url::parse(options.tool.url);
    const KvAsked asked = kv_asked(url, false);
    KvToolReactor reactor;
    KvProgress progress(options.tool);
    const Result<Unit> done = reactor.wait<Unit>(
        [&] { return fsck(reactor.reactor(), asked, options, progress, report); });
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
      "\nExit status, as fsck(8) has it: 0 clean, or only garbage to collect; 4 damaged; 8 could\n"
      "not be checked; 16 wrong arguments.\n"
      "\n"
      "Memory: some 250 bytes for each inode with its name.\n"
      "\n"
      "Examples:\n"
      "  dpfs kv fsck kv+rocksdb:/srv/files\n"
      "  dpfs kv fsck --json 'kv+rocksdb:/srv/files?fs=alice'\n"
      "  dpfs kv fsck --quick kv+rocksdb:/srv/files      without reading large files");
  FsckOptions options;
  app.add_flag("--quick", options.quick, "Do not read what is stored of files above 4 KiB");
  add_kv_tool_options(app, options.tool);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Status::usage);
  }
  return static_cast<int>(run(options));
}

}  // namespace dpfs
