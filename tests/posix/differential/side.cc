// SPDX-License-Identifier: Apache-2.0
// Operations on names and attributes, and how files look.
#include "tests/posix/differential/side.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <algorithm>
#include <vector>

#include "tests/posix/cases/acl_blob.h"
#include "tests/posix/differential/outcome.h"
#include "tests/posix/suite/expect.h"
#include "tests/posix/suite/files.h"
#include "tests/posix/suite/process.h"

namespace dpfs::posix {
namespace {

constexpr const char* kAttributes[] = {"user.a", "user.b", "trusted.c"};

const Acl kAcls[] = {
    {acl_owner(6), acl_user(kAlice.uid, 6), acl_owning_group(4), acl_mask(6), acl_other(0)},
    {acl_owner(7), acl_user(kBob.uid, 0), acl_owning_group(5), acl_mask(7), acl_other(5)},
    {acl_owner(7), acl_owning_group(5), acl_group(kStaff, 7), acl_mask(5), acl_other(4)},
    {acl_owner(7), acl_owning_group(7), acl_other(7)},
};

// Times that were set are far in the past and have to agree exactly; others are of the test itself.
std::string time_text(const timespec& time) {
  constexpr time_t kSetOnesEnd = 1'000'000'000;
  if (time.tv_sec > kSetOnesEnd) return "recent";
  return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
}

// Whether setgid without group execution goes away with a write differs between FUSE's protocol and
// Linux (docs/posix.md).
mode_t comparable(mode_t mode) {
  return S_ISREG(mode) && (mode & S_IXGRP) == 0 ? mode & ~S_ISGID : mode;
}

// The user of some operations. Root's other processes are not concerned: by system calls.
class AsUser {
 public:
  explicit AsUser(bool really) : really_(really) {
    if (!really_) return;
    const gid_t groups[] = {kStaff};
    syscall(SYS_setgroups, 1, groups);
    syscall(SYS_setresgid, -1, kAlice.gid, -1);
    syscall(SYS_setresuid, -1, kAlice.uid, -1);
  }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  ~AsUser() {
    if (!really_) return;
    syscall(SYS_setresuid, -1, 0, -1);
    syscall(SYS_setresgid, -1, 0, -1);
    syscall(SYS_setgroups, 0, nullptr);
  }

 private:
  bool really_;
};

}  // namespace

Side::Side(const std::string& directory) : directory_(directory) {
  WORKS(mkdir(directory.c_str(), 0777));
  WORKS(chmod(directory.c_str(), 0777));
  root_.reset(WORKS(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
}

Side::~Side() {
  for (Fd& slot : slots_) slot.reset();
  root_.reset();
  remove_tree(directory_);
}

bool Side::takes_trusted_attributes() const {
  return fsetxattr(root_.get(), "trusted.probe", "", 0, 0) == 0 &&
         fremovexattr(root_.get(), "trusted.probe") == 0;
}

bool Side::keeps_times_of_symlinks() const {
  const std::array<timespec, 2> times = {timespec{2000, 0}, timespec{2000, 0}};
  struct stat found = {};
  const bool kept = symlinkat("x", root_.get(), "probe") == 0 &&
                    utimensat(root_.get(), "probe", times.data(), AT_SYMLINK_NOFOLLOW) == 0 &&
                    fstatat(root_.get(), "probe", &found, AT_SYMLINK_NOFOLLOW) == 0 &&
                    found.st_mtim.tv_sec == 2000;
  unlinkat(root_.get(), "probe", 0);
  return kept;
}

std::string Side::text_of(const struct stat& found) const {
  const bool time_counts = symlink_times_ || !S_ISLNK(found.st_mode);
  char text[160];
  // How large a directory is, and how many blocks a file has, is the file system's own affair.
  snprintf(text, sizeof text, "{%o %u:%u links %lu size %lld mtime %s}", comparable(found.st_mode),
           found.st_uid, found.st_gid, static_cast<unsigned long>(found.st_nlink),
           S_ISDIR(found.st_mode) ? 0LL : static_cast<long long>(found.st_size),
           time_counts ? time_text(found.st_mtim).c_str() : "any");
  return text;
}

const char* Side::attribute_of(const Operation& operation) const {
  const size_t count = std::size(kAttributes) - (trusted_ ? 0 : 1);
  return kAttributes[operation.choice % count];
}

std::string Side::apply(const Operation& operation) {
  WORKS(fchdir(root_.get()));
  std::string text;
  {
    const AsUser user(operation.as_user && geteuid() == 0);
    text = act(operation);
  }
  // As root, so that modes hide nothing.
  return text + " " + look(operation.path) + " " + look(operation.other) + " " +
         look(slots_[operation.slot]);
}

std::string Side::act(const Operation& operation) {
  switch (operation.kind) {
    case Kind::mkdir:
    case Kind::mkfifo:
    case Kind::symlink:
    case Kind::link:
    case Kind::unlink:
    case Kind::rmdir:
    case Kind::rename:
    case Kind::rename_noreplace:
    case Kind::rename_exchange:
    case Kind::rename_whiteout:
      return act_on_names(operation);
    case Kind::open:
    case Kind::tmpfile:
      return open_into_slot(operation);
    case Kind::close:
    case Kind::read:
    case Kind::write:
    case Kind::append:
    case Kind::ftruncate:
    case Kind::allocate:
    case Kind::allocate_keep_size:
    case Kind::punch_hole:
    case Kind::zero_range:
    case Kind::collapse_range:
    case Kind::insert_range:
    case Kind::copy_range:
    case Kind::map_write:
    case Kind::fsync:
    case Kind::fchmod:
    case Kind::futimens:
    case Kind::name_tmpfile:
      return act_on_open_file(operation);
    default:
      return act_on_attributes(operation);
  }
}

std::string Side::act_on_names(const Operation& operation) {
  const char* path = operation.path.c_str();
  const char* other = operation.other.c_str();
  const auto rename_with = [&](unsigned flags) {
    return outcome(renameat2(AT_FDCWD, path, AT_FDCWD, other, flags));
  };
  switch (operation.kind) {
    case Kind::mkdir:
      return outcome(mkdir(path, operation.mode));
    case Kind::mkfifo:
      return outcome(mkfifo(path, operation.mode));
    case Kind::symlink:
      return outcome(symlink(other, path));
    case Kind::link:
      return outcome(link(path, other));
    case Kind::unlink:
      return outcome(unlink(path));
    case Kind::rmdir:
      return outcome(rmdir(path));
    case Kind::rename_noreplace:
      return rename_with(RENAME_NOREPLACE);
    case Kind::rename_exchange:
      return rename_with(RENAME_EXCHANGE);
    case Kind::rename_whiteout: {
      // Of a directory ext4 moves the times of the parent even where it fails, which no client of
      // it could guess.
      struct stat found = {};
      if (lstat(path, &found) == 0 && S_ISDIR(found.st_mode)) return "a directory";
      return rename_with(RENAME_WHITEOUT);
    }
    default:
      return rename_with(0);
  }
}

std::string Side::act_on_attributes(const Operation& operation) {
  const char* path = operation.path.c_str();
  const char* attribute = attribute_of(operation);
  const std::string acl = acl_blob(kAcls[operation.choice % std::size(kAcls)]);
  const uid_t ids[] = {0, kAlice.uid, kBob.uid};
  const timespec times[2] = {{1000 + operation.choice, 5}, {2000 + operation.choice, 7}};
  struct stat found = {};
  char block[4096];
  switch (operation.kind) {
    case Kind::truncate:
      return outcome(truncate(path, operation.offset));
    case Kind::chmod:
      return outcome(chmod(path, operation.mode));
    case Kind::chown:
      // Not both left as they are: docs/posix.md.
      switch (operation.choice / 9 % 3) {
        case 0:
          return outcome(lchown(path, ids[operation.choice % 3], static_cast<gid_t>(-1)));
        case 1:
          return outcome(lchown(path, static_cast<uid_t>(-1), ids[operation.choice % 3]));
        default:
          return outcome(lchown(path, ids[operation.choice % 3], ids[operation.choice / 3 % 3]));
      }
    case Kind::utimens:
      return outcome(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
    case Kind::utimens_now:
      return outcome(utimensat(AT_FDCWD, path, nullptr, 0));
    case Kind::set_attribute: {
      const std::string value = pattern(operation.choice % 200, operation.number);
      const int flags = static_cast<int>(operation.choice / 10 % 4 % 3);  // 0, CREATE, REPLACE
      return outcome(lsetxattr(path, attribute, value.data(), value.size(), flags));
    }
    case Kind::get_attribute:
      return outcome_with(lgetxattr(path, attribute, block, sizeof block), block);
    case Kind::remove_attribute:
      return outcome(lremovexattr(path, attribute));
    case Kind::list_attributes: {
      const ssize_t size = llistxattr(path, block, sizeof block);
      if (size < 0) return outcome(size);
      // FUSE names no user for a listing, so trusted names are shown to all (docs/posix.md).
      return attribute_names(std::string(block, size), !operation.as_user);
    }
    case Kind::set_acl:
      return outcome(setxattr(path, kAccessAcl, acl.data(), acl.size(), 0));
    case Kind::set_default_acl:
      return outcome(setxattr(path, kDefaultAcl, acl.data(), acl.size(), 0));
    case Kind::set_umask: {
      constexpr mode_t kMasks[] = {022, 077, 002, 0};
      umask(kMasks[operation.choice % 4]);
      return "";
    }
    case Kind::stat:
      return stat(path, &found) != 0 ? outcome(-1) : text_of(found);
    case Kind::lstat:
      return lstat(path, &found) != 0 ? outcome(-1) : text_of(found);
    case Kind::readlink:
      return outcome_with(readlink(path, block, sizeof block), block);
    case Kind::access:
      return outcome(faccessat(AT_FDCWD, path, static_cast<int>(operation.choice % 8), AT_EACCESS));
    case Kind::list:
      return list(operation.path);
    case Kind::compare_all:
      return whole_tree(".");
    default:
      return "";
  }
}

std::string Side::list(const std::string& path) const {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return outcome(-1);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    names.push_back(std::string(entry->d_name) + ":" + std::to_string(entry->d_type));
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return to_text(names);
}

std::string Side::look(const std::string& path) const {
  struct stat found = {};
  return lstat(path.c_str(), &found) != 0 ? outcome(-1) : text_of(found);
}

std::string Side::look(const Fd& file) const {
  struct stat found = {};
  if (!file) return "closed";
  return fstat(file.get(), &found) != 0 ? outcome(-1) : text_of(found);
}

std::string Side::whole_tree(const std::string& path) const {
  std::string text = path + look(path);
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0) return text;
  char block[4096];
  const ssize_t size = llistxattr(path.c_str(), block, sizeof block);
  if (size > 0) text += attribute_names(std::string(block, size), true);
  for (const char* attribute : kAttributes) {
    const ssize_t length = lgetxattr(path.c_str(), attribute, block, sizeof block);
    if (length >= 0) text += std::string(attribute) + "=" + digest(std::string(block, length));
  }
  if (S_ISREG(found.st_mode)) {
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    text += file ? digest(content(file)) : outcome(-1);
  } else if (S_ISLNK(found.st_mode)) {
    text += outcome_with(readlink(path.c_str(), block, sizeof block), block);
  } else if (S_ISDIR(found.st_mode)) {
    for (const std::string& name : names_in(path)) text += "\n  " + whole_tree(path + "/" + name);
  }
  return text;
}

}  // namespace dpfs::posix
