// SPDX-License-Identifier: Apache-2.0
// What the local back end costs by itself, called directly: no queue, no session.
//
// The calls beside it (Bare...) are the system call that the operation comes down to.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/uio.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "backend/local/local_fs.h"

namespace dpfs {
namespace {

class LocalFsBench : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State&) override {
    std::string pattern = (std::filesystem::temp_directory_path() / "dpfs_bench_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
    for (int i = 0; i < kFiles; ++i) {
      std::ofstream(path_ / ("file" + std::to_string(i))) << std::string(4096, 'x');
    }
    reactor_ = std::make_unique<Reactor>(Reactor::Options{});
    fs_ = std::make_unique<LocalFs>(*reactor_, LocalOptions{.path = path_});
    Negotiated negotiated;
    fs_->begin(negotiated);
    file_ = look_up("file0");
    handle_ = Handle{fs_->open(request_, {.node = file_, .flags = O_RDWR}).take()->fh};
  }
  void TearDown(benchmark::State&) override {
    fs_->end();
    fs_.reset();
    reactor_.reset();
    std::filesystem::remove_all(path_);
  }

 protected:
  static constexpr int kFiles = 1000;

  NodeId look_up(std::string_view name) {
    const LookupArgs args{.parent = NodeId::root,
                          .name = dpfs::Name(name.data(), static_cast<uint16_t>(name.size()))};
    return NodeId{fs_->lookup(request_, args).take()->nodeid};
  }

  std::filesystem::path path_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<LocalFs> fs_;
  Request request_;
  NodeId file_{};
  Handle handle_{};
  std::array<char, 1 << 16> buffer_{};
};

BENCHMARK_F(LocalFsBench, BareStatxByName)(benchmark::State& state) {
  const Fd directory(::open(path_.c_str(), O_PATH | O_DIRECTORY));
  local::Stat stat;
  for (auto _ : state) benchmark::DoNotOptimize(local::stat_name(directory.get(), "file0", stat));
}

BENCHMARK_F(LocalFsBench, LookupKnown)(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(look_up("file0"));
}

BENCHMARK_F(LocalFsBench, LookupAndForgetUnknown)(benchmark::State& state) {
  int i = 0;
  for (auto _ : state) {
    const NodeId node = look_up("file" + std::to_string(1 + i++ % (kFiles - 1)));
    benchmark::DoNotOptimize(fs_->forget(request_, {.node = node, .lookups = 1}).take());
  }
}

BENCHMARK_F(LocalFsBench, BareStatxByDescriptor)(benchmark::State& state) {
  const Fd file(::open((path_ / "file0").c_str(), O_PATH));
  local::Stat stat;
  for (auto _ : state) benchmark::DoNotOptimize(local::stat_fd(file.get(), stat));
}

BENCHMARK_F(LocalFsBench, GetattrByNode)(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(fs_->getattr(request_, {.node = file_}).take());
}

BENCHMARK_F(LocalFsBench, GetattrByHandle)(benchmark::State& state) {
  const GetattrArgs args{.node = file_, .has_handle = true, .handle = handle_};
  for (auto _ : state) benchmark::DoNotOptimize(fs_->getattr(request_, args).take());
}

BENCHMARK_F(LocalFsBench, BareRead4KiB)(benchmark::State& state) {
  const Fd file(::open((path_ / "file0").c_str(), O_RDONLY));
  const iovec part{buffer_.data(), 4096};
  for (auto _ : state) benchmark::DoNotOptimize(::preadv2(file.get(), &part, 1, 0, RWF_NOWAIT));
}

BENCHMARK_F(LocalFsBench, Read4KiB)(benchmark::State& state) {
  const iovec part{buffer_.data(), 4096};
  const ReadArgs args{.node = file_, .handle = handle_, .into = IoView({&part, 1})};
  for (auto _ : state) benchmark::DoNotOptimize(fs_->read(request_, args).take());
}

BENCHMARK_F(LocalFsBench, Read4KiBAtTheEnd)(benchmark::State& state) {
  const iovec part{buffer_.data(), 4096};
  const ReadArgs args{.node = file_, .handle = handle_, .offset = 100, .into = IoView({&part, 1})};
  for (auto _ : state) benchmark::DoNotOptimize(fs_->read(request_, args).take());
}

BENCHMARK_F(LocalFsBench, BareWrite4KiB)(benchmark::State& state) {
  const Fd file(::open((path_ / "file0").c_str(), O_RDWR));
  const iovec part{buffer_.data(), 4096};
  for (auto _ : state) benchmark::DoNotOptimize(::pwritev(file.get(), &part, 1, 0));
}

BENCHMARK_F(LocalFsBench, Write4KiB)(benchmark::State& state) {
  const iovec part{buffer_.data(), 4096};
  const WriteArgs args{.node = file_, .handle = handle_, .from = IoView({&part, 1})};
  for (auto _ : state) benchmark::DoNotOptimize(fs_->write(request_, args).take());
}

BENCHMARK_F(LocalFsBench, OpenAndRelease)(benchmark::State& state) {
  for (auto _ : state) {
    const Handle handle{fs_->open(request_, {.node = file_, .flags = O_RDONLY}).take()->fh};
    benchmark::DoNotOptimize(fs_->release(request_, {.node = file_, .handle = handle}).take());
  }
}

// All 1000 files, which are known already, through replies of one page.
BENCHMARK_F(LocalFsBench, ReaddirplusOfAThousandFiles)(benchmark::State& state) {
  const iovec part{buffer_.data(), 4096};
  for (auto _ : state) {
    const Handle handle{fs_->opendir(request_, {.node = NodeId::root}).take()->fh};
    uint64_t offset = 0;
    while (true) {
      const ReaddirArgs args{
          .node = NodeId::root, .handle = handle, .offset = offset, .into = IoView({&part, 1})};
      const uint32_t bytes = *fs_->readdirplus(request_, args).take();
      if (bytes == 0) break;
      fuse::Direntplus entry;
      for (uint32_t at = 0; at < bytes; at += fuse::direntplus_size(entry.dirent.namelen)) {
        std::memcpy(&entry, buffer_.data() + at, sizeof entry);
        offset = entry.dirent.off;
      }
    }
    benchmark::DoNotOptimize(
        fs_->releasedir(request_, {.node = NodeId::root, .handle = handle}).take());
  }
}

}  // namespace
}  // namespace dpfs
