// SPDX-License-Identifier: Apache-2.0
// `dpfs kv dump`: records, one for each line.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "backend/kv/describe.h"
#include "daemon/kv_tool.h"
#include "daemon/kv_verbs.h"

namespace dpfs {
namespace {

using kv::Collection;
using kv::Shape;
using nlohmann::ordered_json;

struct DumpOptions {
  KvToolOptions tool;
  std::vector<std::string> collections;
  uint64_t inode = 0;  // 0: all
};

// Records that are of the file system as a whole have their inode in the number.
bool is_of(const kv::Key& key, uint64_t inode) {
  if (key.collection == Collection::orphan || key.collection == Collection::garbage) {
    return key.number == inode;
  }
  return key.object == inode && key.collection != Collection::usage;
}

class Printer final : public kv::ScanReader {
 public:
  explicit Printer(const DumpOptions& options) noexcept : options_(options) {}
  bool found(const kv::Key& key, std::string_view value) noexcept override {
    if (options_.inode == 0 || is_of(key, options_.inode)) print(key, value);
    return true;
  }
  uint64_t count = 0;

 private:
  void print(const kv::Key& key, std::string_view value) {
    ++count;
    const Shape shape = shape_of(key.collection);
    const std::string text = kv::describe_value(key.collection, value);
    if (options_.tool.json) {
      ordered_json out = {{"collection", kv::name_of(key.collection)}, {"object", key.object}};
      if (shape == Shape::numbered || shape == Shape::spread) out["number"] = key.number;
      if (shape == Shape::named) out["name"] = std::string(key.name);
      out["bytes"] = value.size();
      out["value"] = text;
      fmt::print("{}\n", out.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
      return;
    }
    std::string place = fmt::format("{} {}", kv::name_of(key.collection), key.object);
    if (shape == Shape::numbered || shape == Shape::spread) place += fmt::format(" {}", key.number);
    if (shape == Shape::named) place += fmt::format(" '{}'", kv::escaped(key.name));
    fmt::print("{}{}{}\n", place, text.empty() ? "" : ": ", text);
  }

  const DumpOptions& options_;
};

std::vector<Collection> wanted(const DumpOptions& options) {
  std::vector<Collection> all;
  for (const Collection each : {
#define DPFS_KV_COLLECTION(name, shape, letter) Collection::name,
#include "backend/kv/collections.def"
       }) {
    const bool named =
        std::ranges::find(options.collections, kv::name_of(each)) != options.collections.end();
    // Chunks are all the contents there are: only where they are asked for.
    if (named || (options.collections.empty() && each != Collection::chunk)) all.push_back(each);
  }
  return all;
}

Op<Unit> sweep_all(kv::Store& store, const DumpOptions& options, Printer& printer) {
  for (const Collection collection : wanted(options)) {
    kv::Sweep sweep{.collection = collection};
    do {
      const Result<Unit> swept = co_await store.sweep(sweep, printer);
      if (!swept) co_return swept;
    } while (sweep.cursor != 0);
  }
  co_return Unit{};
}

Op<Unit> dump(Reactor& reactor, const KvAsked& asked, const DumpOptions& options,
              std::string& problem) {
  const std::unique_ptr<kv::Store> store = asked.make_store(reactor);
  const Result<Unit> opened = co_await store->open();
  if (!opened) {
    problem = opened.error() == Errno::busy
                  ? "a daemon has it open: unmount it, or stop that daemon, first"
                  : fmt::format("cannot be opened: {}", describe(opened.error()));
    co_return opened;
  }
  Printer printer(options);
  Result<Unit> done = co_await sweep_all(*store, options, printer);
  if (done && printer.count == 0 && options.inode == 0 && options.collections.empty()) {
    problem = "there is no file system of that name";
    done = Errno::noent;
  }
  const Result<Unit> closed = co_await store->close();
  co_return done ? closed : done;
}

}  // namespace

int kv_dump_main(int argc, char** argv) {
  CLI::App app("Prints a file system's records, one for each line, whatever they are worth.",
               "dpfs kv dump");
  app.footer(
      "\nNothing is claimed, changed or checked. With --json each line is an object.\n"
      "\nExamples:\n"
      "  dpfs kv dump kv+rocksdb:/srv/files\n"
      "  dpfs kv dump --inode 17 kv+rocksdb:/srv/files\n"
      "  dpfs kv dump --collection entry,listing kv+rocksdb:/srv/files");
  DumpOptions options;
  std::set<std::string> names;
#define DPFS_KV_COLLECTION(name, shape, letter) names.insert(#name);
#include "backend/kv/collections.def"
  app.add_option("--collection", options.collections,
                 "Only these: superblock, allocator, usage, session, inode, entry, listing, "
                 "contents, xattr, pages, orphan, garbage, chunk (without this: all but chunk)")
      ->delimiter(',')
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(CLI::IsMember(names))
      ->type_name("NAME,...");
  app.add_option("--inode", options.inode, "Only those of this inode")->type_name("NUMBER");
  add_kv_tool_options(app, options.tool);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run_kv_job("dump", options.tool, false,
                    [&](Reactor& reactor, const KvAsked& asked, kv::Progress&,
                        std::string& problem) { return dump(reactor, asked, options, problem); });
}

}  // namespace dpfs
