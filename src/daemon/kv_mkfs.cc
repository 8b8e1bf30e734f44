// SPDX-License-Identifier: Apache-2.0
// `dpfs kv mkfs` and `dpfs kv set`: making a file system, and changing its limits.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "backend/kv/format.h"
#include "backend/kv/owned_store.h"
#include "backend/kv/records.h"
#include "daemon/kv_tool.h"
#include "daemon/kv_verbs.h"
#include "daemon/url.h"

namespace dpfs {
namespace {

using nlohmann::ordered_json;

// Limits as the command line has them: sizes may have a unit.
struct LimitTexts {
  std::string bytes;
  std::string inodes;
};

void add_limits(CLI::App& app, LimitTexts& limits) {
  app.add_option("--bytes-max", limits.bytes,
                 "How much may be stored, like 10G; what is more is EDQUOT. 0: no limit")
      ->type_name("SIZE");
  app.add_option("--inodes-max", limits.inodes, "How many files and directories. 0: no limit")
      ->type_name("N");
}

std::optional<uint64_t> limit_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return parse_size(text);
}

void print(const KvToolOptions& options, const char* status, uint64_t bytes, uint64_t inodes) {
  if (options.json) {
    const ordered_json out = {
        {"url", options.url}, {"status", status}, {"bytes_max", bytes}, {"inodes_max", inodes}};
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("{}: at most {} and {} inodes\n", status,
             bytes == 0 ? "any size" : kv_size_text(bytes),
             inodes == 0 ? "any number of" : fmt::format("{}", inodes));
}

struct AnyRecord final : kv::ScanReader {
  bool found(const kv::Key&, std::string_view) noexcept override {
    is_there = true;
    return false;
  }
  bool is_there = false;
};

Op<Unit> make(kv::Store& store, const kv::FormatOptions& options, std::string& problem) {
  AnyRecord any;
  kv::Sweep sweep{.collection = kv::Collection::inode};
  const Result<Unit> swept = co_await store.sweep(sweep, any);
  if (!swept) co_return swept;
  if (any.is_there) {
    problem =
        "there is a file system already, or what an import that was cut short has left (dpfs kv "
        "import --force erases that); nothing was changed";
    co_return Errno::exist;
  }
  const Result<Unit> made = co_await kv::format(store, options);
  if (!made && made.error() == Errno::exist) problem = "there is a file system already";
  co_return made;
}

Op<Unit> mkfs(Reactor& reactor, const KvAsked& asked, const kv::FormatOptions& options,
              std::string& problem) {
  const std::unique_ptr<kv::Store> store = asked.make_store(reactor);
  const Result<Unit> opened = co_await store->open();
  if (!opened) {
    problem = fmt::format("cannot be opened: {}", describe(opened.error()));
    co_return opened;
  }
  const Result<Unit> made = co_await make(*store, options, problem);
  const Result<Unit> closed = co_await store->close();
  co_return made ? closed : made;
}

Op<Unit> change(kv::OwnedStore& owned, const LimitTexts& limits, kv::Superblock& superblock) {
  superblock = owned.superblock();
  superblock.bytes_max = limit_of(limits.bytes).value_or(superblock.bytes_max);
  superblock.inodes_max = limit_of(limits.inodes).value_or(superblock.inodes_max);
  std::array<char, kv::kSuperblockBytes> room;
  const kv::Write write{.kind = kv::Write::Kind::put,
                        .key = {.collection = kv::Collection::superblock},
                        .value = encode(superblock, room)};
  const Result<Unit> done = co_await owned.commit({&write, 1});
  co_return done;
}

Op<Unit> set(Reactor& reactor, const KvAsked& asked, const LimitTexts& limits,
             kv::Superblock& superblock, std::string& problem) {
  kv::OwnedStore owned(reactor, asked.make_store(reactor), asked.volume.ownership);
  Result<Unit> ok = co_await owned.open();
  problem = owned.problem();
  if (ok) ok = co_await change(owned, limits, superblock);
  const Result<Unit> closed = co_await owned.close();
  co_return ok ? closed : ok;
}

// The exit code of what parse() says; nothing: go on.
std::optional<int> parse(CLI::App& app, int argc, char** argv, const LimitTexts& limits,
                         const char* verb) {
  try {
    app.parse(argc, argv);
    limit_of(limits.bytes);
    limit_of(limits.inodes);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "dpfs kv {}: {}\nTry: dpfs kv {} --help\n", verb, error.what(), verb);
    return 2;
  }
  return std::nullopt;
}

}  // namespace

int kv_mkfs_main(int argc, char** argv) {
  CLI::App app("Makes a file system in a key-value store. What is there already stays as it is.",
               "dpfs kv mkfs");
  app.footer(
      "\nExamples:\n"
      "  dpfs kv mkfs kv+rocksdb:/srv/files\n"
      "  dpfs kv mkfs --bytes-max 10G --inodes-max 1000000 'kv+rocksdb:/srv/files?fs=alice'");
  KvToolOptions options;
  LimitTexts limits;
  kv::FormatOptions format;
  std::string mode = "0755";
  add_limits(app, limits);
  app.add_option("--uid", format.uid, "The root directory's user")->capture_default_str();
  app.add_option("--gid", format.gid, "Its group")->capture_default_str();
  app.add_option("--mode", mode, "Its permissions, octal")
      ->capture_default_str()
      ->check(CLI::Validator(
          [](const std::string& text) {
            const bool octal = !text.empty() && text.size() <= 5 &&
                               text.find_first_not_of("01234567") == std::string::npos;
            return octal ? std::string() : "expected an octal number like 0755";
          },
          "MODE"));
  add_kv_tool_options(app, options);
  if (const std::optional<int> code = parse(app, argc, argv, limits, "mkfs")) return *code;
  format.bytes_max = limit_of(limits.bytes).value_or(0);
  format.inodes_max = limit_of(limits.inodes).value_or(0);
  format.mode = static_cast<uint32_t>(std::stoul(mode, nullptr, 8)) & 07777;
  const int code =
      run_kv_job("mkfs", options, true,
                 [&](Reactor& reactor, const KvAsked& asked, kv::Progress&, std::string& problem) {
                   return mkfs(reactor, asked, format, problem);
                 });
  if (code == 0) print(options, "made", format.bytes_max, format.inodes_max);
  return code;
}

int kv_set_main(int argc, char** argv) {
  CLI::App app(
      "Changes the limits of a file system that nobody has mounted. What is stored already stays.",
      "dpfs kv set");
  app.footer(
      "\nExamples:\n"
      "  dpfs kv set --bytes-max 20G kv+rocksdb:/srv/files\n"
      "  dpfs kv set --inodes-max 0 kv+rocksdb:/srv/files        as many as there is room for");
  KvToolOptions options;
  LimitTexts limits;
  add_limits(app, limits);
  add_kv_tool_options(app, options);
  if (const std::optional<int> code = parse(app, argc, argv, limits, "set")) return *code;
  if (limits.bytes.empty() && limits.inodes.empty()) {
    fmt::print(stderr,
               "dpfs kv set: nothing to change: expected --bytes-max or --inodes-max\n"
               "Try: dpfs kv set --help\n");
    return 2;
  }
  kv::Superblock superblock;
  const int code =
      run_kv_job("set", options, false,
                 [&](Reactor& reactor, const KvAsked& asked, kv::Progress&, std::string& problem) {
                   return set(reactor, asked, limits, superblock, problem);
                 });
  if (code == 0) print(options, "set", superblock.bytes_max, superblock.inodes_max);
  return code;
}

}  // namespace dpfs
