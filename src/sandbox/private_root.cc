// SPDX-License-Identifier: Apache-2.0
// Made of detached mounts, so that no place of the host's tree is needed to build it in.
#include "sandbox/private_root.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/fd.h"

namespace dpfs::sandbox {
namespace {

// <sys/mount.h> and <linux/mount.h> do not go together in Debian 12.
constexpr unsigned long kMsRec = 1 << 14;
constexpr unsigned long kMsSlave = 1 << 19;
constexpr int kMntDetach = 2;
constexpr uint64_t kAttrNosymfollow = 0x00200000;  // Linux 5.14
constexpr const char* kDescriptors = "/proc/self/fd";

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

long checked(long result, const std::string& what) {
  if (result < 0) fail(what);
  return result;
}

bool lies_in(const std::string& path, const std::string& folder) {
  return folder == "/" || path == folder ||
         (path.starts_with(folder) && path[folder.size()] == '/');
}

// Without those that lie in another one: that one brings them.
std::vector<std::string> outermost(std::vector<std::string> folders) {
  std::ranges::sort(folders);
  std::vector<std::string> kept;
  for (const std::string& path : folders) {
    const bool inside = std::ranges::any_of(
        kept, [&path](const std::string& folder) { return lies_in(path, folder); });
    if (!inside) kept.push_back(path);
  }
  return kept;
}

// A copy of what is mounted at `path`. As slaves, mounts in it that are made later appear in it.
Fd copy_of(const std::string& path, unsigned flags) {
  return Fd(static_cast<int>(
      checked(syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT | flags),
              "open_tree " + path)));
}

void attach(const Fd& tree, int folder, const char* path, const std::string& name) {
  checked(syscall(SYS_move_mount, tree.get(), "", folder, path, MOVE_MOUNT_F_EMPTY_PATH),
          "move_mount " + name);
}

void set_attributes(const Fd& tree, uint64_t attributes, unsigned flags, const std::string& name) {
  mount_attr attr{};
  attr.attr_set = attributes;
  checked(syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH | flags, &attr, sizeof attr),
          "mount_setattr " + name);
}

uint64_t attributes_for(const std::string& folder, const std::vector<std::string>& writable) {
  const bool writes =
      std::ranges::any_of(writable, [&](const std::string& path) { return lies_in(path, folder); });
  return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (writes ? 0 : MOUNT_ATTR_RDONLY);
}

void confine(const Fd& tree, const std::string& name, uint64_t attributes) {
  try {
    set_attributes(tree, attributes | kAttrNosymfollow, AT_RECURSIVE, name);
  } catch (const std::system_error&) {
    set_attributes(tree, attributes, AT_RECURSIVE, name);
  }
}

Fd empty_file_system() {
  const Fd context(static_cast<int>(checked(syscall(SYS_fsopen, "tmpfs", 1), "fsopen tmpfs")));
  const auto set = [&](const char* key, const char* value) {
    checked(syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, key, value, 0), key);
  };
  set("mode", "0755");
  set("size", "64k");
  checked(syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0),
          "fsconfig tmpfs");
  return Fd(static_cast<int>(
      checked(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0), "fsmount tmpfs")));
}

// `path` without its leading slash, made below `root`.
std::string make_place(const Fd& root, const std::string& path) {
  const std::string relative = path.substr(1);
  for (size_t end = 0; end != std::string::npos;) {
    end = relative.find('/', end + 1);
    if (mkdirat(root.get(), relative.substr(0, end).c_str(), 0755) != 0 && errno != EEXIST) {
      fail("mkdir " + path);
    }
  }
  return relative;
}

}  // namespace

void enter_private_root(const std::vector<std::string>& folders,
                        const std::vector<std::string>& writable) {
  // Mounts of the host arrive here; ours never arrive there.
  checked(syscall(SYS_mount, nullptr, "/", nullptr, kMsRec | kMsSlave, nullptr),
          "mount --make-rslave /");
  const std::vector<std::string> outer = outermost(folders);
  const bool everything = !outer.empty() && outer.front() == "/";
  Fd root = everything ? copy_of("/", AT_RECURSIVE) : empty_file_system();
  // With links: /proc/self is one.
  if (everything) set_attributes(root, attributes_for("/", writable), AT_RECURSIVE, "/");
  // On top of the root, which our paths do not notice: they begin below it.
  attach(root, AT_FDCWD, "/", "the new root");
  if (!everything) {
    for (const std::string& folder : outer) {
      const Fd tree = copy_of(folder, AT_RECURSIVE);
      confine(tree, folder, attributes_for(folder, writable));
      attach(tree, root.get(), make_place(root, folder).c_str(), folder);
    }
    // Nothing of the process but its descriptors: no memory, no environment, no other process.
    const Fd descriptors = copy_of(kDescriptors, 0);
    attach(descriptors, root.get(), make_place(root, kDescriptors).c_str(), kDescriptors);
    set_attributes(root,
                   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0,
                   "the new root");
  }
  checked(fchdir(root.get()), "fchdir");
  // The old root comes to lie on top of the new one, from where it is taken away: pivot_root(2),
  // "pivot_root(".", ".")".
  checked(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  checked(syscall(SYS_umount2, ".", kMntDetach), "umount of the old root");
  checked(chdir("/"), "chdir /");
}

}  // namespace dpfs::sandbox
