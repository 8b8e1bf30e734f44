// SPDX-License-Identifier: Apache-2.0
// One operation of a random sequence. Made from a seed alone, so that any part of a sequence can be
// played again.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace dpfs::posix {

// One row for each kind: its name, and how often it comes relative to the others.
#define DPFS_POSIX_OPERATIONS(X) \
  X(mkdir, 16)                   \
  X(mkfifo, 1)                   \
  X(symlink, 4)                  \
  X(link, 5)                     \
  X(unlink, 5)                   \
  X(rmdir, 2)                    \
  X(rename, 8)                   \
  X(rename_noreplace, 2)         \
  X(rename_exchange, 3)          \
  X(rename_whiteout, 1)          \
  X(open, 22)                    \
  X(close, 6)                    \
  X(read, 10)                    \
  X(write, 14)                   \
  X(append, 3)                   \
  X(truncate, 4)                 \
  X(ftruncate, 4)                \
  X(allocate, 2)                 \
  X(allocate_keep_size, 1)       \
  X(punch_hole, 3)               \
  X(zero_range, 2)               \
  X(collapse_range, 1)           \
  X(insert_range, 1)             \
  X(copy_range, 3)               \
  X(map_write, 3)                \
  X(fsync, 1)                    \
  X(chmod, 5)                    \
  X(fchmod, 2)                   \
  X(chown, 4)                    \
  X(utimens, 5)                  \
  X(futimens, 2)                 \
  X(utimens_now, 1)              \
  X(set_attribute, 8)            \
  X(get_attribute, 5)            \
  X(remove_attribute, 2)         \
  X(list_attributes, 2)          \
  X(set_acl, 2)                  \
  X(set_default_acl, 2)          \
  X(set_umask, 1)                \
  X(stat, 6)                     \
  X(lstat, 4)                    \
  X(readlink, 2)                 \
  X(access, 4)                   \
  X(list, 5)                     \
  X(tmpfile, 2)                  \
  X(name_tmpfile, 2)             \
  X(compare_all, 1)

enum class Kind : uint8_t {
#define DPFS_POSIX_KIND(name, weight) name,
  DPFS_POSIX_OPERATIONS(DPFS_POSIX_KIND)
#undef DPFS_POSIX_KIND
};

const char* kind_name(Kind kind);
std::vector<Kind> all_kinds();

struct Operation {
  uint32_t number;  // in its sequence; also the seed of what it writes
  Kind kind;
  bool as_user;  // an ordinary user instead of root
  std::string path;
  std::string other;
  uint32_t slot;  // of the table of open files
  uint32_t other_slot;
  int flags;  // of open
  mode_t mode;
  int64_t offset;
  int64_t size;
  uint32_t choice;  // among a few values of a kind's own

  std::string text() const;
};

inline constexpr uint32_t kSlots = 12;

// `without`: kinds that are left out. The last operation compares everything.
std::vector<Operation> random_sequence(uint64_t seed, uint32_t count,
                                       const std::vector<Kind>& without);

}  // namespace dpfs::posix
