// SPDX-License-Identifier: Apache-2.0
// The command line of `dpfs umount`.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "daemon/mount_command.h"
#include "transport/devfuse/kernel_mount.h"

namespace dpfs {
namespace {

const char* advice(Errno why) {
  if (why == Errno::busy) return "; close what is open there, or: dpfs umount --lazy";
  if (why == Errno::perm) return "; who mounted it may, with fusermount3 (apt install fuse3)";
  return "";
}

// The parent's links are followed; DIR itself is not looked at, for a mount that has died or hangs.
std::string absolute_directory(const std::string& directory) {
  std::filesystem::path path = std::filesystem::absolute(directory).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::canonical(path.parent_path(), error);
  return error ? path.string() : (parent / path.filename()).string();
}

}  // namespace

int umount_main(int argc, char** argv) {
  CLI::App app("Unmounts what 'dpfs mount' has mounted; its daemon ends.", "dpfs umount");
  app.footer(
      "\nExamples:\n"
      "  dpfs umount /mnt\n"
      "  dpfs umount --lazy /mnt     also while files are open there");
  std::string directory;
  bool lazy = false;
  app.add_flag("-l,--lazy", lazy,
               "Take it out of the tree now, end it when the last open file is closed");
  app.add_option("DIR", directory, "Where it is mounted")->type_name("")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  directory = absolute_directory(directory);
  const std::string type = devfuse::mounted_at(directory).type;
  if (!type.starts_with("fuse")) {
    fmt::print(stderr, "dpfs umount: '{}' is {}\n", directory,
               type.empty() ? "not mounted" : fmt::format("a mount of type {}", type));
    return 1;
  }
  const Result<Unit> unmounted = devfuse::unmount(directory, lazy);
  if (unmounted) return 0;
  fmt::print(stderr, "dpfs umount: '{}': {}{}\n", directory, describe(unmounted.error()),
             advice(unmounted.error()));
  return 1;
}

}  // namespace dpfs
