// SPDX-License-Identifier: Apache-2.0
// Choosing a verb of `dpfs kv`.
#include "daemon/kv_command.h"

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "daemon/kv_verbs.h"

namespace dpfs {
namespace {

constexpr const char* kUsage = R"(Usage: dpfs kv VERB [OPTIONS] URL

Tools for file systems in key-value stores. Nobody else may have the file system meanwhile.

Verbs:
  mkfs    make one
  info    what it is, what it uses, who has it
  set     change its limits
  fsck    check it, and mend it
  gc      collect what is removed, now
  dump    print its records
  export  write all of it into a file
  import  make one from such a file

Examples:
  dpfs kv mkfs --bytes-max 10G kv+rocksdb:/srv/files
  dpfs kv fsck --repair kv+rocksdb:/srv/files

'dpfs kv VERB --help' says more.
)";

struct Verb {
  std::string_view name;
  int (*main)(int argc, char** argv);
};
constexpr std::array kVerbs{
    Verb{"mkfs", kv_mkfs_main},     Verb{"info", kv_info_main},     Verb{"set", kv_set_main},
    Verb{"fsck", kv_fsck_main},     Verb{"gc", kv_gc_main},         Verb{"dump", kv_dump_main},
    Verb{"export", kv_export_main}, Verb{"import", kv_import_main},
};

}  // namespace

int kv_main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return verb.main(argc - 1, argv + 1);
  }
  if (name == "help" || name == "--help" || name == "-h") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (name.empty()) {
    fmt::print(stderr, "{}", kUsage);
  } else {
    fmt::print(stderr, "dpfs kv: '{}' is no verb\nTry: dpfs kv help\n", name);
  }
  return 2;
}

}  // namespace dpfs
