// SPDX-License-Identifier: Apache-2.0
// `dpfs kv export` and `dpfs kv import`: a whole file system as a stream.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "backend/kv/owned_store.h"
#include "backend/kv/stream/export.h"
#include "backend/kv/stream/import.h"
#include "base/fd.h"
#include "daemon/kv_tool.h"
#include "daemon/kv_verbs.h"

namespace dpfs {
namespace {

using nlohmann::ordered_json;

struct StreamOptions {
  KvToolOptions tool;
  std::string file = "-";
  bool force = false;
};

struct Moved {
  uint64_t records = 0;
  uint64_t bytes = 0;
};

// Under another name until it is whole.
class FileSink final : public kv::ExportSink {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)) {
    if (path_ == "-") {
      if (isatty(STDOUT_FILENO) == 1) {
        throw std::invalid_argument("a terminal cannot take the stream: say a FILE, or > FILE");
      }
      fd_ = STDOUT_FILENO;
      return;
    }
    file_ = Fd(open(part().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file_) throw std::runtime_error(fmt::format("{}: {}", part(), describe(last_errno())));
    fd_ = file_.get();
  }
  ~FileSink() {
    if (file_ && !is_kept_) unlink(part().c_str());
  }
  Errno write(std::string_view bytes) noexcept override {
    while (!bytes.empty()) {
      const ssize_t done = ::write(fd_, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return last_errno();
      bytes.remove_prefix(static_cast<size_t>(done));
    }
    return Errno::none;
  }
  Errno keep() noexcept {
    if (!file_) return Errno::none;
    if (fsync(fd_) != 0 || rename(part().c_str(), path_.c_str()) != 0) return last_errno();
    is_kept_ = true;
    return Errno::none;
  }

 private:
  std::string part() const { return path_ + ".part"; }
  const std::string path_;
  Fd file_;
  int fd_ = -1;
  bool is_kept_ = false;
};

class FileSource final : public kv::ImportSource {
 public:
  explicit FileSource(const std::string& path) {
    if (path == "-") {
      if (isatty(STDIN_FILENO) == 1) {
        throw std::invalid_argument("a terminal gives no stream: say a FILE, or < FILE");
      }
      fd_ = STDIN_FILENO;
      return;
    }
    file_ = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file_) throw std::runtime_error(fmt::format("{}: {}", path, describe(last_errno())));
    fd_ = file_.get();
  }
  Errno read(std::span<char> into, size_t& got) noexcept override {
    got = 0;
    while (got < into.size()) {
      const ssize_t done = ::read(fd_, into.data() + got, into.size() - got);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return last_errno();
      if (done == 0) break;
      got += static_cast<size_t>(done);
    }
    return Errno::none;
  }

 private:
  Fd file_;
  int fd_ = -1;
};

Op<Unit> do_export(Reactor& reactor, const KvAsked& asked, FileSink& sink, kv::Progress& progress,
                   Moved& moved, std::string& problem) {
  kv::OwnedStore owned(reactor, asked.make_store(reactor), asked.volume.ownership);
  Result<Unit> ok = co_await owned.open();
  problem = owned.problem();
  if (ok) {
    kv::Export exporting(owned, sink, progress);
    ok = co_await exporting.run();
    moved = {.records = exporting.records(), .bytes = exporting.bytes()};
  }
  const Result<Unit> closed = co_await owned.close();
  if (!ok || !closed) co_return ok ? closed : ok;
  const Errno why = sink.keep();
  if (why != Errno::none) co_return why;
  co_return Unit{};
}

struct Nothing final : kv::ValueReader {
  void found(std::string_view) noexcept override {}
};

// What an import left that was cut short: records without a superblock. A file system stays.
Op<Unit> erase_remains(Reactor& reactor, kv::Store& store, kv::Progress& progress) {
  Nothing nothing;
  kv::Get get{.key = {.collection = kv::Collection::superblock}, .reader = &nothing};
  const Result<Unit> got = co_await store.get({&get, 1});
  if (!got || get.found) co_return got;
  const Result<Unit> erased = co_await kv::erase_all(reactor, store, progress);
  co_return erased;
}

Op<Unit> do_import(Reactor& reactor, const KvAsked& asked, const StreamOptions& options,
                   FileSource& source, kv::Progress& progress, Moved& moved, std::string& problem) {
  const std::unique_ptr<kv::Store> store = asked.make_store(reactor);
  Result<Unit> ok = co_await store->open();
  if (!ok) {
    problem = fmt::format("cannot be opened: {}", describe(ok.error()));
    co_return ok;
  }
  if (options.force) ok = co_await erase_remains(reactor, *store, progress);
  if (ok) {
    kv::Import importing(reactor, *store, source, progress);
    ok = co_await importing.run();
    problem = importing.problem();
    moved = {.records = importing.records(), .bytes = importing.bytes()};
  }
  const Result<Unit> closed = co_await store->close();
  co_return ok ? closed : ok;
}

void print(const StreamOptions& options, const char* done, const Moved& moved, FILE* where) {
  if (options.tool.json) {
    const ordered_json out = {{"status", done}, {"records", moved.records}, {"bytes", moved.bytes}};
    fmt::print(where, "{}\n", out.dump(2));
  } else {
    fmt::print(where, "{} {} records, {}\n", done, moved.records, kv_size_text(moved.bytes));
  }
}

// The exit code of what the command line says; -1: go on.
int parse(CLI::App& app, StreamOptions& options, const char* what, int argc, char** argv) {
  add_kv_tool_options(app, options.tool);
  app.add_option("FILE", options.file, what)->type_name("")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return -1;
}

// What runs with a stream that may not be had.
template <class F>
int with_stream(const char* verb, F run) {
  try {
    return run();
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "dpfs kv {}: {}\nTry: dpfs kv {} --help\n", verb, error.what(), verb);
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "dpfs kv {}: {}\n", verb, error.what());
    return 1;
  }
}

}  // namespace

int kv_export_main(int argc, char** argv) {
  CLI::App app("Writes all of a file system that nobody has mounted into a file, or to stdout.",
               "dpfs kv export");
  app.footer(
      "\nEvery block has a checksum. 'dpfs kv import' makes the file system again, in any engine.\n"
      "\nExamples:\n"
      "  dpfs kv export kv+rocksdb:/srv/files files.dpfs\n"
      "  dpfs kv export kv+rocksdb:/srv/files | zstd > files.dpfs.zst");
  StreamOptions options;
  const int code = parse(app, options, "Where to; -: stdout", argc, argv);
  if (code >= 0) return code;
  return with_stream("export", [&] {
    FileSink sink(options.file);
    Moved moved;
    const int done = run_kv_job(
        "export", options.tool, false,
        [&](Reactor& reactor, const KvAsked& asked, kv::Progress& progress, std::string& problem) {
          return do_export(reactor, asked, sink, progress, moved, problem);
        });
    if (done == 0) print(options, "exported", moved, options.file == "-" ? stderr : stdout);
    return done;
  });
}

int kv_import_main(int argc, char** argv) {
  CLI::App app(
      "Makes a file system of what 'dpfs kv export' has written. Where a stream is broken or ends "
      "too early, nothing is left.",
      "dpfs kv import");
  app.footer(
      "\nExamples:\n"
      "  dpfs kv import kv+rocksdb:/srv/copy files.dpfs\n"
      "  zstdcat files.dpfs.zst | dpfs kv import kv+valkey://server/files\n"
      "  dpfs kv import --force kv+rocksdb:/srv/copy files.dpfs     after one that was killed");
  StreamOptions options;
  app.add_flag("--force", options.force,
               "Erase what an import has left that was cut short; a file system stays");
  const int code = parse(app, options, "Where from; -: stdin", argc, argv);
  if (code >= 0) return code;
  return with_stream("import", [&] {
    FileSource source(options.file);
    Moved moved;
    const int done = run_kv_job(
        "import", options.tool, true,
        [&](Reactor& reactor, const KvAsked& asked, kv::Progress& progress, std::string& problem) {
          return do_import(reactor, asked, options, source, progress, moved, problem);
        });
    if (done == 0) print(options, "imported", moved, stdout);
    return done;
  });
}

}  // namespace dpfs
