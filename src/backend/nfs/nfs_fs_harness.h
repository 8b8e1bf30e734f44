// SPDX-License-Identifier: Apache-2.0
// For tests: an NfsFs, a server that does as it is told, and a running reactor; called as if it
// answered at once.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "backend/nfs/nfs_fs.h"
#include "fuse/dirent_writer.h"
#include "responder/responder.h"

namespace dpfs::nfs {

using responder::Damage;
using responder::kAlways;
using responder::Responder;
using responder::When;

inline Name name_of(std::string_view text) {
  return Name(text.data(), static_cast<uint16_t>(text.size()));
}

// What comes later. Whoever waits for it in vain ends the program: nothing could be taken down.
template <class T>
class Answer {
 public:
  explicit Answer(std::future<Result<T>> future) : future_(std::move(future)) {}
  Result<T> get() {
    constexpr std::chrono::seconds kPatience{40};
    if (future_.wait_for(kPatience) != std::future_status::ready) {
      ADD_FAILURE() << "no answer, ever";
      std::abort();
    }
    return future_.get();
  }
  bool is_there() { return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }

 private:
  std::future<Result<T>> future_;
};

class NfsFsHarness {
 public:
  static constexpr std::string_view kExport = "/export";

  explicit NfsFsHarness(const responder::Options& of_server = {}, NfsOptions options = {})
      : server(of_server) {
    server.with([](responder::World& world) { world.tree.make_directories(kExport); });
    options.server = of_server.address;
    options.port = server.port();
    options.path = kExport;
    reactor_ = std::make_unique<Reactor>(Reactor::Options{});
    thread_ = std::thread([this] { reactor_->run(); });
    on_reactor([&] { fs_ = std::make_unique<NfsFs>(*reactor_, options); });
    begin();
  }
  ~NfsFsHarness() {
    server.clear_rules();
    server.go_on();
    on_reactor([&] { fs_->end(); });
    EXPECT_EQ(fs_->open_files(), 0u);
    EXPECT_EQ(fs_->files(), 0u);
    on_reactor([&] { fs_.reset(); });
    reactor_->stop();
    thread_.join();
  }

  Responder server;
  NfsFs& fs() { return *fs_; }
  Request& request() { return request_; }

  void on_reactor(const std::function<void()>& task) {
    std::promise<void> done;
    reactor_->post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  void begin() {
    Negotiated negotiated;
    negotiated.flags = fuse::init_flag::kPosixLocks | fuse::init_flag::kFlockLocks;
    on_reactor([&] { fs_->begin(negotiated); });
  }

  // Any operation: harness.start(&NfsFs::lookup, {.parent = ..., .name = ...}).get(). What `args`
  // refers to stays until then.
  template <class Out, class Args>
  Answer<Out> start(Op<Out> (NfsFs::*operation)(Request&, const Args&),
                    const std::type_identity_t<Args>& args) {
    auto promise = std::make_shared<std::promise<Result<Out>>>();
    Answer<Out> answer(promise->get_future());
    reactor_->post([this, operation, args, promise] {
      answer_later<Out>((fs_.get()->*operation)(request_, args), promise);
    });
    return answer;
  }
  template <class Out, class Args>
  Result<Out> call(Op<Out> (NfsFs::*operation)(Request&, const Args&),
                   const std::type_identity_t<Args>& args) {
    return start(operation, args).get();
  }

  Result<fuse::EntryOut> look_up(NodeId parent, std::string_view name) {
    return call(&NfsFs::lookup, {.parent = parent, .name = name_of(name)});
  }
  NodeId node(std::string_view name, NodeId parent = NodeId::root) {
    const Result<fuse::EntryOut> entry = look_up(parent, name);
    EXPECT_TRUE(entry) << name << ": " << describe(entry.error());
    return NodeId{entry ? entry->nodeid : 0};
  }
  Result<fuse::OpenOut> try_open(NodeId node, uint32_t flags = O_RDWR) {
    return call(&NfsFs::open, {.node = node, .flags = flags});
  }
  Handle open(NodeId node, uint32_t flags = O_RDWR) {
    const Result<fuse::OpenOut> out = try_open(node, flags);
    EXPECT_TRUE(out) << describe(out.error());
    return Handle{out ? out->fh : 0};
  }
  void release(NodeId node, Handle handle) {
    const Result<Unit> released = call(&NfsFs::release, {.node = node, .handle = handle});
    EXPECT_TRUE(released) << describe(released.error());
  }
  // A file of the server's, found and opened.
  struct File {
    NodeId node;
    Handle handle;
  };
  File open_file(std::string_view name, std::string_view contents) {
    put(name, contents);
    const NodeId found = node(name);
    return {found, open(found)};
  }
  void release(const File& file) { release(file.node, file.handle); }
  // Of a file that has lost something: what is said of it does not matter.
  void release_anyhow(const File& file) {
    [[maybe_unused]] const Result<Unit> released =
        call(&NfsFs::release, {.node = file.node, .handle = file.handle});
  }
  Result<CreateOut> create(std::string_view name, uint32_t flags = O_RDWR | O_CREAT) {
    return call(&NfsFs::create,
                {.parent = NodeId::root, .name = name_of(name), .flags = flags, .mode = 0644});
  }

  // Names in the order in which they came, through replies of `room` bytes.
  std::vector<std::string> list(NodeId node, bool plus, size_t room = 65536) {
    const Result<fuse::OpenOut> opened = call(&NfsFs::opendir, {.node = node, .flags = O_RDONLY});
    EXPECT_TRUE(opened);
    std::vector<char> buffer(room);
    const iovec part{buffer.data(), buffer.size()};
    std::vector<std::string> names;
    uint64_t offset = 0;
    while (true) {
      const Result<uint32_t> bytes =
          call(plus ? &NfsFs::readdirplus : &NfsFs::readdir, {.node = node,
                                                              .handle = Handle{opened->fh},
                                                              .offset = offset,
                                                              .into = IoView({&part, 1})});
      EXPECT_TRUE(bytes) << describe(bytes.error());
      if (!bytes || *bytes == 0) break;
      IoView left = IoView({&part, 1}).first(*bytes);
      while (!left.empty()) {
        if (plus) left.skip(sizeof(fuse::EntryOut));
        const fuse::Dirent head = *left.load<fuse::Dirent>();
        std::string name(head.namelen, '\0');
        left.copy_out(name.data(), name.size());
        left.skip(fuse::dirent_size(head.namelen) - sizeof head - head.namelen);
        names.push_back(name);
        offset = head.off;
      }
    }
    EXPECT_TRUE(call(&NfsFs::releasedir, {.node = node, .handle = Handle{opened->fh}}));
    return names;
  }

  // A READ or a WRITE with the memory that it is about.
  struct Transfer {
    std::string text;
    iovec part{};
  };
  struct Reading {
    std::shared_ptr<Transfer> transfer;
    Answer<uint32_t> answer;
    Result<uint32_t> bytes{0};
    // The text; empty, and error() says why, where there is none.
    std::string get() {
      bytes = answer.get();
      return transfer->text.substr(0, bytes ? *bytes : 0);
    }
    Errno error() const { return bytes.error(); }
  };
  Reading start_read(const File& file, uint64_t offset, size_t bytes) {
    auto transfer = std::make_shared<Transfer>();
    transfer->text.resize(bytes);
    transfer->part = {transfer->text.data(), bytes};
    return {transfer, start(&NfsFs::read, {.node = file.node,
                                           .handle = file.handle,
                                           .offset = offset,
                                           .flags = 0,
                                           .into = IoView({&transfer->part, 1})})};
  }
  std::string read(const File& file, uint64_t offset, size_t bytes) {
    Reading reading = start_read(file, offset, bytes);
    std::string text = reading.get();
    EXPECT_EQ(reading.error(), Errno::none) << describe(reading.error());
    return text;
  }
  Errno read_error(const File& file) {
    Reading reading = start_read(file, 0, 1);
    reading.get();
    return reading.error();
  }
  struct Writing {
    std::shared_ptr<Transfer> transfer;
    Answer<fuse::WriteOut> answer;
    Result<fuse::WriteOut> get() { return answer.get(); }
  };
  Writing start_write(const File& file, uint64_t offset, std::string text, uint32_t flags = 0) {
    auto transfer = std::make_shared<Transfer>();
    transfer->text = std::move(text);
    transfer->part = {transfer->text.data(), transfer->text.size()};
    return {transfer, start(&NfsFs::write, {.node = file.node,
                                            .handle = file.handle,
                                            .offset = offset,
                                            .flags = flags,
                                            .write_flags = 0,
                                            .from = IoView({&transfer->part, 1})})};
  }
  // How many bytes; 0 fails the test.
  uint32_t write(const File& file, uint64_t offset, std::string text, uint32_t flags = 0) {
    const Result<fuse::WriteOut> put = start_write(file, offset, std::move(text), flags).get();
    EXPECT_TRUE(put) << describe(put.error());
    return put ? put->size : 0;
  }
  Result<Unit> fsync(const File& file) {
    return call(&NfsFs::fsync, {.node = file.node, .handle = file.handle, .data_only = false});
  }

  struct Range {
    uint64_t start = 0;
    uint64_t end = INT64_MAX;  // the last byte
  };
  // All of the file.
  Result<Unit> lock(const File& file, uint64_t owner, uint32_t type) {
    return lock(file, owner, type, Range());
  }
  Result<Unit> lock(const File& file, uint64_t owner, uint32_t type, const Range& range) {
    return call(&NfsFs::setlk, {.node = file.node,
                                .handle = file.handle,
                                .owner = owner,
                                .start = range.start,
                                .end = range.end,
                                .type = type,
                                .pid = 1,
                                .flock = false});
  }

  // On the server, behind the client's back.
  static std::string path(std::string_view name) {
    return std::string(kExport) + "/" + std::string(name);
  }
  void put(std::string_view name, std::string_view contents) {
    server.put_file(path(name), contents);
  }
  std::string on_server(std::string_view name) { return server.contents(path(name)); }

 private:
  template <class Out>
  static Detached answer_later(Op<Out> op, std::shared_ptr<std::promise<Result<Out>>> promise) {
    const Result<Out> result = co_await op;
    promise->set_value(result);
  }

  std::unique_ptr<Reactor> reactor_;
  std::thread thread_;
  std::unique_ptr<NfsFs> fs_;
  Request request_;
};

}  // namespace dpfs::nfs
