// SPDX-License-Identifier: Apache-2.0
// MountOptions: what `-o` says, as mount(8) and fstab(5) have it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dpfs::devfuse {

struct MountOptions {
  unsigned long flags = 0;      // MS_... of mount(2)
  bool allow_other = false;     // not only who mounts may use it
  uint32_t max_read_bytes = 0;  // 0: as the kernel has it
  std::string fsname;           // what is shown as the source
  std::string subtype = "dpfs";
  std::vector<std::string> kernel_options;  // context= and its like, as they are

  // Options that are none of the mount's: key and value, which is empty where there is none.
  using Others = std::vector<std::pair<std::string, std::string>>;

  // What a mount begins with: for root, others may use it, as with any file system that root
  // mounts. As with every FUSE mount, neither set-user-id bits nor device files count unless asked.
  static MountOptions defaults(bool root);

  // Takes the options of `list` ("ro,noatime,fsname=x"; a backslash before a comma keeps it), the
  // last one winning. Returns those it does not know. Throws std::invalid_argument for one that
  // cannot be.
  Others apply(std::string_view list);
};

}  // namespace dpfs::devfuse
