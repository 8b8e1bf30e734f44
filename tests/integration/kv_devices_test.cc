// SPDX-License-Identifier: Apache-2.0
// Devices whose files are in a RocksDB database, over vhost-user: confined, read-only, and two of
// one file system.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "driver/tenant.h"
#include "tests/integration/daemon.h"

namespace dpfs::test {
namespace {

using driver::File;
using driver::Tenant;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class KvDevices : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(folder_ / "database"); }

  std::string url() const { return "kv+rocksdb:" + (folder_ / "database"); }
  std::string socket(const std::string& tag) const { return folder_ / (tag + ".sock"); }
  std::string device(const std::string& tag, const std::string& more = "") const {
    return "[[device]]\ntag = \"" + tag + "\"\nsocket = \"" + socket(tag) + "\"\nurl = \"" + url() +
           "\"\n" + more;
  }
  std::unique_ptr<Daemon> serve(const std::string& devices) const {
    write_file(folder_ / "config.toml", "poll_us = 0\nreactors = 2\n" + devices);
    auto daemon = std::make_unique<Daemon>(
        std::vector<std::string>{"serve", "--config", folder_ / "config.toml"});
    EXPECT_TRUE(daemon->wait_until_ready()) << daemon->log();
    return daemon;
  }
  static driver::TenantOptions small() {
    driver::TenantOptions options;
    options.device.memory_size = 4 << 20;
    options.client.calls_per_queue = 8;
    options.client.data_size = 64 << 10;
    options.client.timeout_ms = 10'000;
    options.client.sleep = true;
    return options;
  }
  std::unique_ptr<Tenant> tenant(const std::string& tag) const {
    auto tenant = std::make_unique<Tenant>(socket(tag), small());
    EXPECT_TRUE(tenant->mount.init());
    return tenant;
  }
  static void write_new(Tenant& tenant, std::string_view name, std::string_view text) {
    const auto made = tenant.mount.create({1, name}, O_RDWR);
    ASSERT_TRUE(made);
    EXPECT_TRUE(tenant.mount.write(made->file(), 0, bytes_of(text)));
    EXPECT_TRUE(tenant.mount.release(made->file()));
  }
  static std::string text_of(Tenant& tenant, std::string_view name) {
    const Result<fuse::EntryOut> entry = tenant.mount.lookup({1, name});
    if (!entry) return describe(entry.error());
    const Result<File> file = tenant.mount.open(entry->nodeid, O_RDONLY);
    if (!file) return describe(file.error());
    std::array<char, 100> text{};
    const Result<uint32_t> read =
        tenant.mount.read(*file, 0, std::as_writable_bytes(std::span(text)));
    EXPECT_TRUE(tenant.mount.release(*file));
    return {text.data(), read ? *read : 0};
  }
  static Errno lock(Tenant& tenant, const File& file, uint32_t type) {
    driver::Call* call = tenant.client.take();
    driver::request::setlk(*call, file.node,
                           {.fh = file.handle,
                            .owner = 1,
                            .lk = {.start = 0, .end = INT64_MAX, .type = type, .pid = 1}},
                           false);
    static_cast<void>(tenant.client.run(*call));
    const Errno why = call->error();
    tenant.client.give(*call);
    return why;
  }

  TemporaryFolder folder_;
};

TEST_F(KvDevices, ReadonlyShareIsServedConfined) {
  {
    const auto daemon = serve(device("files", "create = true\n"));
    write_new(*tenant("files"), "a", "text");
    EXPECT_EQ(daemon->end(), 0) << daemon->log();
  }
  const auto daemon = serve(device("files", "readonly = true\n"));
  const auto reader = tenant("files");
  EXPECT_EQ(text_of(*reader, "a"), "text") << daemon->log();
  EXPECT_EQ(reader->mount.mkdir({1, "b"}).error(), Errno::rofs);
  EXPECT_EQ(reader->mount.unlink({1, "a"}).error(), Errno::rofs);
}

TEST_F(KvDevices, TenantsOfOneFileSystemSeeWhatTheOthersDo) {
  const auto daemon = serve(device("one", "create = true\n") + device("two", "create = true\n") +
                            device("three", "create = true\nreadonly = true\n"));
  const auto one = tenant("one");
  const auto two = tenant("two");
  const auto three = tenant("three");
  write_new(*one, "a", "from one");
  EXPECT_EQ(text_of(*two, "a"), "from one") << daemon->log();
  EXPECT_EQ(text_of(*three, "a"), "from one");
  EXPECT_TRUE(two->mount.rename({1, "a"}, {1, "b"}));
  EXPECT_EQ(one->mount.lookup({1, "a"}).error(), Errno::noent);
  write_new(*two, "a", "from two");
  EXPECT_EQ(text_of(*one, "a"), "from two");
  EXPECT_EQ(three->mount.unlink({1, "a"}).error(), Errno::rofs);
}

TEST_F(KvDevices, LocksOfOneTenantHoldForTheOthers) {
  const auto daemon = serve(device("one", "create = true\n") + device("two", "create = true\n"));
  const auto one = tenant("one");
  const auto two = tenant("two");
  write_new(*one, "a", "text");
  const uint64_t node = one->mount.lookup({1, "a"})->nodeid;
  const Result<File> first = one->mount.open(node, O_RDWR);
  const Result<File> second = two->mount.open(node, O_RDWR);
  ASSERT_TRUE(first && second) << daemon->log();
  EXPECT_EQ(lock(*one, *first, F_WRLCK), Errno::none);
  EXPECT_EQ(lock(*two, *second, F_WRLCK), Errno::again);
  EXPECT_EQ(lock(*one, *first, F_UNLCK), Errno::none);
  EXPECT_EQ(lock(*two, *second, F_WRLCK), Errno::none);
}

TEST_F(KvDevices, FileThatOneTenantHasOpenOutlivesItsRemovalByAnother) {
  const auto daemon = serve(device("one", "create = true\n") + device("two", "create = true\n"));
  const auto one = tenant("one");
  auto two = tenant("two");
  write_new(*one, "a", "text");
  const Result<File> file = two->mount.open(one->mount.lookup({1, "a"})->nodeid, O_RDWR);
  ASSERT_TRUE(file) << daemon->log();
  EXPECT_TRUE(one->mount.unlink({1, "a"}));
  std::array<std::byte, 100> text{};
  const Result<uint32_t> read = two->mount.read(*file, 0, text);
  EXPECT_TRUE(read && *read == 4);
  const auto inodes = [&] {
    const Result<fuse::Kstatfs> status = one->mount.statfs();
    return status ? status->files - status->ffree : 0;
  };
  EXPECT_EQ(inodes(), 2u);
  // Whoever goes without closing it.
  two.reset();
  EXPECT_TRUE(eventually([&] { return inodes() == 1; }));
}

TEST_F(KvDevices, TenantThatGoesLeavesTheFileSystemToTheOthers) {
  const auto daemon = serve(device("one", "create = true\n") + device("two", "create = true\n"));
  const auto one = tenant("one");
  for (int i = 0; i < 5; ++i) {
    auto two = tenant("two");
    const std::string name = "file" + std::to_string(i);
    write_new(*two, name, name);
    two.reset();
    EXPECT_EQ(text_of(*one, name), name) << daemon->log();
  }
  EXPECT_EQ(daemon->end(), 0) << daemon->log();
}

}  // namespace
}  // namespace dpfs::test
