// SPDX-License-Identifier: Apache-2.0
// Making, filling, finding and removing the files of a benchmark.
#include "cli/bench_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace dpfs::cli {

using driver::File;
using driver::Mount;

namespace {

constexpr uint32_t kModeMask = 0170000;
constexpr uint32_t kRegular = 0100000;

std::string folder_name(uint32_t number) { return "folder-" + std::to_string(number); }

template <class T>
T must(Result<T> result, const std::string& what) {
  if (!result) throw BenchError(what + ": " + describe(result.error()));
  return *result;
}

}  // namespace

BenchFiles::BenchFiles(driver::Tenant& tenant, const BenchOptions& options)
    : tenant_(tenant),
      options_(options),
      pattern_(options.seed),
      name_("dpfs-bench." + std::to_string(getpid())) {}

File BenchFiles::data(bool writable) {
  if (data_node_ == 0) find_data();
  const bool fill = options_.verify && !filled_;
  if ((writable || fill) && writable_.node == 0) {
    writable_ =
        must(tenant_.mount.open(data_node_, O_RDWR), "cannot open the data file for writing");
  }
  if (fill) fill_data();
  if (writable) return writable_;
  if (readable_.node == 0)
    readable_ = must(tenant_.mount.open(data_node_, O_RDONLY), "cannot open the data file");
  return readable_;
}

void BenchFiles::find_data() {
  if (!options_.path.empty()) return use_existing(options_.path);
  Result<Mount::Created> created = tenant_.mount.create({fuse::kRootNodeId, name_}, O_RDWR);
  if (!created) {
    if (!options_.verify && use_any_file()) return;
    throw BenchError(std::string("cannot create the data file ") + name_ + " (" +
                     describe(created.error()) +
                     "); make the share writable, or name an existing file of " +
                     std::to_string(options_.file_size) + " bytes with --path");
  }
  data_node_ = created->entry.nodeid;
  writable_ = created->file();
  made_data_ = true;
  fill_data();
}

void BenchFiles::use_existing(const std::string& path) {
  fuse::EntryOut entry = must(tenant_.mount.walk(path), "cannot find --path " + path);
  if ((entry.attr.mode & kModeMask) != kRegular)
    throw BenchError("--path " + path + " is not a regular file");
  if (entry.attr.size < options_.file_size && !options_.verify) {
    throw BenchError("--path " + path + " has " + std::to_string(entry.attr.size) +
                     " bytes; ask for less with --file-size " + std::to_string(entry.attr.size));
  }
  data_node_ = entry.nodeid;
}

// A device that lets nobody create files, such as null:, may have one that is large enough.
bool BenchFiles::use_any_file() {
  std::vector<Mount::Name> names;
  if (!tenant_.mount.list(fuse::kRootNodeId, names)) return false;
  for (const Mount::Name& name : names) {
    if (name.name == "." || name.name == "..") continue;
    Result<fuse::EntryOut> entry = tenant_.mount.lookup({fuse::kRootNodeId, name.name});
    if (!entry || (entry->attr.mode & kModeMask) != kRegular ||
        entry->attr.size < options_.file_size)
      continue;
    std::fprintf(stderr, "dpfs bench: cannot create files here, using %s\n", name.name.c_str());
    data_node_ = entry->nodeid;
    return true;
  }
  return false;
}

void BenchFiles::fill_data() {
  // In pieces of --bs: ext4 keeps what is written at once in one folio of its page cache, and a
  // small write into a large one costs it several times as much.
  const uint64_t most =
      std::min<uint64_t>(tenant_.client.options().data_size, tenant_.client.agreement().max_write);
  const uint64_t piece = std::clamp<uint64_t>(options_.block_size, 4096, most);
  std::vector<std::byte> content(piece);
  for (uint64_t offset = 0; offset < options_.file_size;) {
    std::span<std::byte> now =
        std::span(content).first(std::min(piece, options_.file_size - offset));
    pattern_.fill(now, offset, 0);
    const uint32_t written =
        must(tenant_.mount.write(writable_, offset, now), "cannot fill the data file");
    // A piece that was cut short begins the next one, and words must lie where the checks expect
    // them.
    offset += written - written % sizeof(uint64_t);
    if (written < sizeof(uint64_t))
      throw BenchError("cannot fill the data file: the device wrote nothing");
  }
  generations_.assign(options_.verify ? blocks() : 0, 0);
  filled_ = true;
}

// ---- The directory of small files
// ----------------------------------------------------------------

namespace {

constexpr std::array kMake{FileStep::create, FileStep::flush, FileStep::release};
constexpr std::array kFill{FileStep::lookup, FileStep::open_to_write, FileStep::write,
                           FileStep::flush, FileStep::release};
constexpr std::array kFind{FileStep::lookup};
constexpr std::array kRemove{FileStep::unlink};

}  // namespace

const BenchFiles::Directory& BenchFiles::directory() {
  if (directory_.node == 0) make_directory();
  return directory_;
}

const BenchFiles::Directory& BenchFiles::filled_directory() {
  directory();
  if (made_directory_ && !filled_directory_) run_on_files(kFill, "cannot fill the small files");
  filled_directory_ = true;
  return directory_;
}

const BenchFiles::Directory& BenchFiles::known_directory() {
  filled_directory();
  if (!directory_.nodes.empty()) return directory_;
  directory_.nodes.resize(directory_.names.size());
  run_on_files(kFind, "cannot find the small files",
               [this](uint64_t number, const BenchSlot& slot) {
                 directory_.nodes[number] = slot.file.node;
               });
  return directory_;
}

void BenchFiles::run_on_files(std::span<const FileStep> steps, const std::string& what,
                              const std::function<void(uint64_t, const BenchSlot&)>& end) {
  FileSequence sequence(
      steps, {.size = options_.block_size, .pattern = &pattern_, .verify = options_.verify});
  const BatchOfFiles batch{.count = directory_.names.size(),
                           .file = [this](uint64_t number) { return directory_.file(number); },
                           .end = end};
  must(run_batch(tenant_, sequence, batch), what);
}

void BenchFiles::make_directory() {
  const std::string name = name_ + ".d";
  Result<fuse::EntryOut> made = tenant_.mount.mkdir({fuse::kRootNodeId, name});
  if (!made) {
    return use_root(name + " (" + describe(made.error()) + ")");
  }
  directory_.node = made->nodeid;
  made_directory_ = true;
  make_folders();
  for (uint32_t i = 0; i < options_.files; ++i) {
    directory_.names.push_back("file-" + std::to_string(i));
  }
  std::vector<uint64_t> to_forget;
  to_forget.reserve(options_.files);
  run_on_files(kMake, "cannot create the files in " + name,
               [&](uint64_t, const BenchSlot& slot) { to_forget.push_back(slot.file.node); });
  // As a tenant that has never seen them.
  for (const uint64_t node : to_forget) must(tenant_.mount.forget(node), "cannot forget a file");
}

// With one folder the files are in the directory itself.
void BenchFiles::make_folders() {
  if (options_.folders == 1) {
    directory_.folders.push_back(directory_.node);
    return;
  }
  for (uint32_t i = 0; i < options_.folders; ++i) {
    const std::string name = folder_name(i);
    directory_.folders.push_back(
        must(tenant_.mount.mkdir({directory_.node, name}), "cannot create a folder").nodeid);
  }
}

// Again, a device that lets nobody create anything: its root must do.
void BenchFiles::use_root(const std::string& not_made) {
  std::vector<Mount::Name> names;
  must(tenant_.mount.list(fuse::kRootNodeId, names),
       "cannot create " + not_made + ", and cannot list the root either");
  for (const Mount::Name& entry : names) {
    if (entry.name != "." && entry.name != "..") directory_.names.push_back(entry.name);
  }
  if (directory_.names.empty()) {
    throw BenchError("cannot create " + not_made + ", and the root is empty");
  }
  std::fprintf(stderr, "dpfs bench: cannot create files here, using the root's %zu\n",
               directory_.names.size());
  directory_.node = fuse::kRootNodeId;
  directory_.folders.push_back(directory_.node);
}

void BenchFiles::remove() noexcept {
  // What cannot be removed stays: the measurement is done, and the next error would hide the first.
  [[maybe_unused]] Result<Unit> ignored = Unit{};
  for (const File& file : {readable_, writable_}) {
    if (file.node != 0) ignored = tenant_.mount.release(file);
  }
  if (options_.keep) return;
  if (made_data_) ignored = tenant_.mount.unlink({fuse::kRootNodeId, name_});
  if (!made_directory_) return;
  FileSequence removal(kRemove, {});
  ignored = run_batch(tenant_, removal,
                      {.count = directory_.names.size(),
                       .file = [this](uint64_t number) { return directory_.file(number); }});
  for (uint32_t i = 0; options_.folders > 1 && i < options_.folders; ++i) {
    ignored = tenant_.mount.rmdir({directory_.node, folder_name(i)});
  }
  ignored = tenant_.mount.rmdir({fuse::kRootNodeId, name_ + ".d"});
}

}  // namespace dpfs::cli
