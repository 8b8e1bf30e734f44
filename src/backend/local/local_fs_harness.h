// SPDX-License-Identifier: Apache-2.0
// For tests: a LocalFs on a directory of its own and a running reactor, called as if it answered at
// once.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "backend/local/local_fs.h"

namespace dpfs::local {

inline Name name_of(std::string_view text) {
  return Name(text.data(), static_cast<uint16_t>(text.size()));
}

class LocalFsHarness {
 public:
  explicit LocalFsHarness(LocalOptions options = {}) {
    ::umask(0);
    const char* tmp = std::getenv("TMPDIR");
    std::string pattern = std::string(tmp != nullptr ? tmp : "/tmp") + "/dpfs_local_XXXXXX";
    root = ::mkdtemp(pattern.data());
    share = root / "share";
    std::filesystem::create_directory(share);
    options.path = share;
    reactor_ = std::make_unique<Reactor>(Reactor::Options{});
    thread_ = std::thread([this] { reactor_->run(); });
    fs_ = std::make_unique<LocalFs>(*reactor_, options);
    request_.header = {};
    Negotiated negotiated;
    on_reactor([&] { fs_->begin(negotiated); });
  }
  ~LocalFsHarness() {
    on_reactor([&] { fs_->end(); });
    EXPECT_EQ(fs_->nodes(), 1u);
    EXPECT_EQ(fs_->open_files(), 0u);
    fs_.reset();
    reactor_->stop();
    thread_.join();
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }

  std::filesystem::path root;   // share lies in it, and things that must not be reached
  std::filesystem::path share;  // what the tenant sees

  LocalFs& fs() { return *fs_; }
  Request& request() { return request_; }
  Reactor& reactor() { return *reactor_; }

  // Another session, in which these fuse::init_flag are agreed on. What is left of them.
  uint64_t begin_with(uint64_t flags) {
    Negotiated negotiated;
    negotiated.flags = flags;
    begin_with(negotiated);
    return negotiated.flags;
  }
  void begin_with(Negotiated& negotiated) {
    on_reactor([&] {
      fs_->end();
      fs_->begin(negotiated);
    });
  }

  void on_reactor(const std::function<void()>& task) {
    std::promise<void> done;
    reactor_->post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Any operation: harness.call(&LocalFs::lookup, {.parent = ..., .name = ...})
  template <class Out, class Args>
  Result<Out> call(Op<Out> (LocalFs::*operation)(Request&, const Args&),
                   const std::type_identity_t<Args>& args) {
    std::promise<Result<Out>> answer;
    reactor_->post([&] { answer_later((fs_.get()->*operation)(request_, args), answer); });
    return answer.get_future().get();
  }
  // On the reactor: `answer` comes when `op` is done.
  template <class Out>
  static Detached answer_later(Op<Out> op, std::promise<Result<Out>>& answer) {
    const Result<Out> result = co_await op;
    answer.set_value(result);
  }

  Result<fuse::EntryOut> look_up(NodeId parent, std::string_view name) {
    return call(&LocalFs::lookup, {.parent = parent, .name = name_of(name)});
  }
  // Of a path below the share; fails the test where there is none.
  NodeId node(const std::string& path) {
    NodeId at = NodeId::root;
    for (const std::filesystem::path& part : std::filesystem::path(path)) {
      const std::string name = part.string();
      const Result<fuse::EntryOut> entry = look_up(at, name);
      EXPECT_TRUE(entry) << path << ": " << describe(entry.error());
      if (!entry) return NodeId{0};
      at = NodeId{entry->nodeid};
    }
    return at;
  }
  void forget(NodeId node, uint64_t lookups = 1) {
    EXPECT_TRUE(call(&LocalFs::forget, {.node = node, .lookups = lookups}));
  }
  Handle open(NodeId node, uint32_t flags = O_RDWR) {
    const Result<fuse::OpenOut> out = call(&LocalFs::open, {.node = node, .flags = flags});
    EXPECT_TRUE(out) << describe(out.error());
    return Handle{out ? out->fh : 0};
  }
  Handle open_directory(NodeId node) {
    const Result<fuse::OpenOut> out = call(&LocalFs::opendir, {.node = node, .flags = O_RDONLY});
    EXPECT_TRUE(out) << describe(out.error());
    return Handle{out ? out->fh : 0};
  }
  void release(NodeId node, Handle handle) {
    EXPECT_TRUE(call(&LocalFs::release, {.node = node, .handle = handle}));
  }
  std::string read(NodeId node, Handle handle, uint64_t offset, size_t bytes) {
    std::string text(bytes, '\0');
    const iovec part{text.data(), text.size()};
    const Result<uint32_t> got = call(
        &LocalFs::read,
        {.node = node, .handle = handle, .offset = offset, .flags = 0, .into = IoView({&part, 1})});
    EXPECT_TRUE(got) << describe(got.error());
    text.resize(got ? *got : 0);
    return text;
  }
  struct WriteFlags {
    uint32_t open = 0;   // O_...
    uint32_t write = 0;  // fuse::write_flag
  };
  uint32_t write(NodeId node, Handle handle, uint64_t offset, std::string text) {
    return write(node, handle, offset, std::move(text), {});
  }
  uint32_t write(NodeId node, Handle handle, uint64_t offset, std::string text, WriteFlags flags) {
    const iovec part{text.data(), text.size()};
    const Result<fuse::WriteOut> put = call(&LocalFs::write, {.node = node,
                                                              .handle = handle,
                                                              .offset = offset,
                                                              .flags = flags.open,
                                                              .write_flags = flags.write,
                                                              .from = IoView({&part, 1})});
    EXPECT_TRUE(put) << describe(put.error());
    return put ? put->size : 0;
  }

  struct Listed {
    std::string name;
    uint64_t ino;
    uint64_t offset;
    NodeId node;  // READDIRPLUS only
  };
  // One READDIR or READDIRPLUS.
  Result<Unit> list_some(NodeId node, Handle handle, uint64_t offset, size_t room, bool plus,
                         std::vector<Listed>& into) {
    std::vector<char> buffer(room);
    const iovec part{buffer.data(), buffer.size()};
    const Result<uint32_t> bytes =
        call(plus ? &LocalFs::readdirplus : &LocalFs::readdir,
             {.node = node, .handle = handle, .offset = offset, .into = IoView({&part, 1})});
    if (!bytes) return bytes.error();
    IoView left = IoView({&part, 1}).first(*bytes);
    while (!left.empty()) {
      fuse::EntryOut entry{};
      if (plus) entry = *left.load<fuse::EntryOut>();
      const fuse::Dirent head = *left.load<fuse::Dirent>();
      std::string name(head.namelen, '\0');
      left.copy_out(name.data(), name.size());
      left.skip(fuse::dirent_size(head.namelen) - sizeof head - head.namelen);
      into.push_back({name, head.ino, head.off, NodeId{entry.nodeid}});
    }
    return Unit{};
  }
  // All of a directory, through replies of `room` bytes.
  std::vector<Listed> list(NodeId node, size_t room, bool plus) {
    const Handle handle = open_directory(node);
    std::vector<Listed> entries;
    size_t before;
    do {
      before = entries.size();
      const uint64_t offset = entries.empty() ? 0 : entries.back().offset;
      const Result<Unit> ok = list_some(node, handle, offset, room, plus, entries);
      EXPECT_TRUE(ok) << describe(ok.error());
    } while (entries.size() > before);
    EXPECT_TRUE(call(&LocalFs::releasedir, {.node = node, .handle = handle}));
    return entries;
  }

  void host_write(const std::string& path, std::string_view text) {
    std::ofstream(share / path, std::ios::binary) << text;
  }
  std::string host_read(const std::filesystem::path& path) {
    std::ifstream file(path.is_absolute() ? path : share / path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::unique_ptr<Reactor> reactor_;
  std::thread thread_;
  std::unique_ptr<LocalFs> fs_;
  Request request_;
};

// Every test runs with file handles and without.
class LocalFsTest : public testing::TestWithParam<bool>, public LocalFsHarness {
 protected:
  LocalFsTest() : LocalFsHarness({.path = {}, .file_handles = GetParam()}) {}
};

inline std::string mode_name(const testing::TestParamInfo<bool>& info) {
  return info.param ? "WithFileHandles" : "WithoutFileHandles";
}

}  // namespace dpfs::local
