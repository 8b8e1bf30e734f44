// SPDX-License-Identifier: Apache-2.0
// idle_tenants: mounts any number of devices, makes a file on each where it can, and does nothing.
//
//   idle_tenants SOCKET...
//
// Says "ready" when all have, and ends with its input.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "driver/tenant.h"

namespace {

using dpfs::Result;
using dpfs::Unit;
using dpfs::driver::Mount;
using dpfs::driver::Tenant;

std::unique_ptr<Tenant> mount(const std::string& socket_path) {
  constexpr uint32_t kCalls = 4;
  constexpr uint32_t kDataBytes = 4096;
  auto tenant = std::make_unique<Tenant>(
      socket_path,
      dpfs::driver::TenantOptions{.device = {},
                                  .client = {.calls_per_queue = kCalls, .data_size = kDataBytes}});
  tenant->client.set_sleep(true);
  if (!tenant->mount.init()) throw std::runtime_error(socket_path + " refuses FUSE_INIT");
  // A file system of files that are there already refuses this; it has been asked all the same.
  const Result<Mount::Created> created =
      tenant->mount.create({dpfs::fuse::kRootNodeId, "idle"}, O_RDWR);
  if (!created) return tenant;
  const std::vector<std::byte> contents(kDataBytes, std::byte{'x'});
  const Result<uint32_t> written = tenant->mount.write(created->file(), 0, contents);
  const Result<Unit> closed = tenant->mount.release(created->file());
  if (!written || !closed) throw std::runtime_error(socket_path + ": a file cannot be written");
  return tenant;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::vector<std::unique_ptr<Tenant>> tenants;
    for (int i = 1; i < argc; ++i) tenants.push_back(mount(argv[i]));
    std::puts("ready");
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  return 0;
}
