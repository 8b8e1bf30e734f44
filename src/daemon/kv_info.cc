// SPDX-License-Identifier: Apache-2.0
// `dpfs kv info`: what a file system is, and who has it.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <array>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/kv/found.h"
#include "backend/kv/records.h"
#include "backend/kv/usage.h"
#include "daemon/kv_tool.h"
#include "daemon/kv_verbs.h"

namespace dpfs {
namespace {

using nlohmann::ordered_json;

struct Info {
  std::string url;
  std::string engine;
  bool exclusive = false;
  kv::Superblock superblock;
  kv::Session session;
  std::string host;
  int64_t bytes = 0;
  int64_t inodes = 0;
  uint64_t orphans = 0;
  uint64_t garbage = 0;
  kv::Store::Space space;
};

struct FoundSession final : kv::ValueReader {
  void found(std::string_view value) noexcept override {
    if (!decode(value, session)) session = {};
    host = session.host;
    session.host = {};
  }
  kv::Session session;
  std::string host;
};

struct Counter final : kv::ScanReader {
  bool found(const kv::Key&, std::string_view) noexcept override { return ++count < UINT64_MAX; }
  uint64_t count = 0;
};

Op<Unit> read(kv::Store& store, Info& info, std::string& problem) {
  kv::Found<kv::Superblock> superblock;
  FoundSession session;
  kv::FoundNumber bytes;
  kv::FoundNumber inodes;
  std::array gets{kv::Get{.key = {.collection = kv::Collection::superblock}, .reader = &superblock},
                  kv::Get{.key = {.collection = kv::Collection::session}, .reader = &session},
                  kv::Get{.key = usage_key(kv::UsageCounter::bytes), .reader = &bytes},
                  kv::Get{.key = usage_key(kv::UsageCounter::inodes), .reader = &inodes}};
  const Result<Unit> got = co_await store.get(gets);
  if (!got) co_return got;
  const Errno why = superblock.why(gets[0]);
  if (why == Errno::noent) problem = "there is no file system of that name; dpfs kv mkfs makes one";
  if (why == Errno::io) problem = "its first record, the superblock, cannot be read";
  if (why != Errno::none) co_return why;
  if (superblock.value.format > kv::kFormat) {
    problem = fmt::format("its format is {}, and {} is the newest that this dpfs knows",
                          superblock.value.format, kv::kFormat);
    co_return Errno::proto;
  }
  Counter orphans;
  Counter garbage;
  const kv::Scan nameless{.collection = kv::Collection::orphan};
  Result<bool> scanned = co_await store.scan(nameless, orphans);
  if (!scanned) co_return scanned.error();
  const kv::Scan removed{.collection = kv::Collection::garbage};
  scanned = co_await store.scan(removed, garbage);
  if (!scanned) co_return scanned.error();
  const Result<kv::Store::Space> space = co_await store.space();
  if (!space) co_return space.error();
  info.superblock = superblock.value;
  info.session = session.session;
  info.host = session.host;
  info.bytes = static_cast<int64_t>(bytes.value);
  info.inodes = static_cast<int64_t>(inodes.value);
  info.orphans = orphans.count;
  info.garbage = garbage.count;
  info.space = *space;
  co_return Unit{};
}

Op<Unit> look(Reactor& reactor, const KvAsked& asked, Info& info, std::string& problem) {
  const std::unique_ptr<kv::Store> store = asked.make_store(reactor);
  info.url = asked.volume.name;
  info.engine = store->traits().engine;
  info.exclusive = store->traits().exclusive;
  const Result<Unit> opened = co_await store->open();
  if (!opened) {
    problem = opened.error() == Errno::busy
                  ? "a daemon has it open: what is in it can be seen when that has ended"
                  : fmt::format("cannot be opened: {}", describe(opened.error()));
    co_return opened;
  }
  const Result<Unit> done = co_await read(*store, info, problem);
  const Result<Unit> closed = co_await store->close();
  co_return done ? closed : done;
}

// ---- Saying it ----------------------------------------------------------------------------------

std::string uuid_text(const kv::Superblock& superblock) {
  std::string out;
  for (size_t i = 0; i < superblock.uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += fmt::format("{:02x}", static_cast<uint8_t>(superblock.uuid[i]));
  }
  return out;
}

std::string time_text(const kv::Time& time) {
  const auto seconds = static_cast<time_t>(time.s);
  tm parts{};
  std::array<char, 32> text{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "?";
  strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

// An owner raises its beat four times in a lease, where the engine can be shared.
uint64_t owned_seconds(const Info& info) {
  return info.session.beat * info.session.lease_ms / 4 / 1000;
}

std::string owner_text(const Info& info) {
  const std::string who = fmt::format("{} (process {})", info.host, info.session.pid);
  if (info.session.lease_ms == 0) {
    return info.session.epoch == 0 ? "nobody yet" : "nobody; the last was " + who;
  }
  if (info.exclusive) return "nobody; it was not given back by " + who;
  return fmt::format("{}, for some {} s, or it has died in the last {} s", who, owned_seconds(info),
                     info.session.lease_ms / 1000);
}

void print_json(const Info& info) {
  const kv::Superblock& superblock = info.superblock;
  const bool owned = info.session.lease_ms != 0 && !info.exclusive;
  ordered_json out = {{"url", info.url},
                      {"engine", info.engine},
                      {"format", superblock.format},
                      {"uuid", uuid_text(superblock)},
                      {"made", time_text(superblock.made)},
                      {"chunk_bytes", superblock.chunk_bytes},
                      {"bytes", info.bytes},
                      {"bytes_max", superblock.bytes_max},
                      {"inodes", info.inodes},
                      {"inodes_max", superblock.inodes_max},
                      {"orphans", info.orphans},
                      {"garbage", info.garbage},
                      {"engine_total_bytes", info.space.total_bytes},
                      {"engine_free_bytes", info.space.free_bytes},
                      {"owner",
                       {{"owned", owned},
                        {"host", info.host},
                        {"pid", info.session.pid},
                        {"epoch", info.session.epoch},
                        {"lease_ms", info.session.lease_ms}}}};
  if (owned) out["owner"]["seconds"] = owned_seconds(info);
  fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

void print_table(const Info& info) {
  const kv::Superblock& superblock = info.superblock;
  const auto row = [](const char* name, const std::string& text) {
    fmt::print("{:<12}{}\n", name, text);
  };
  row("URL", info.url);
  row("engine", fmt::format("{}, {} free of {}", info.engine, kv_size_text(info.space.free_bytes),
                            kv_size_text(info.space.total_bytes)));
  row("format",
      fmt::format("{}, chunks of {}", superblock.format, kv_size_text(superblock.chunk_bytes)));
  row("UUID", uuid_text(superblock));
  row("made", time_text(superblock.made));
  row("stored",
      fmt::format("{} of {}", kv_size_text(static_cast<uint64_t>(info.bytes)),
                  superblock.bytes_max == 0 ? "any size" : kv_size_text(superblock.bytes_max)));
  row("inodes", fmt::format("{} of {}", info.inodes,
                            superblock.inodes_max == 0 ? "any number"
                                                       : std::to_string(superblock.inodes_max)));
  row("to collect", fmt::format("{} without a name, {} removed", info.orphans, info.garbage));
  row("owner", owner_text(info));
}

}  // namespace

int kv_info_main(int argc, char** argv) {
  CLI::App app("Says what a file system is, what it uses, and who has it.", "dpfs kv info");
  app.footer(
      "\nExamples:\n"
      "  dpfs kv info kv+rocksdb:/srv/files\n"
      "  dpfs kv info --json kv+rocksdb:/srv/files");
  KvToolOptions options;
  add_kv_tool_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  Info info;
  const int code =
      run_kv_job("info", options, false,
                 [&](Reactor& reactor, const KvAsked& asked, kv::Progress&, std::string& problem) {
                   return look(reactor, asked, info, problem);
                 });
  if (code != 0) return code;
  if (options.json) {
    print_json(info);
  } else {
    print_table(info);
  }
  return 0;
}

}  // namespace dpfs
