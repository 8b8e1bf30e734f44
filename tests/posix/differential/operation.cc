// SPDX-License-Identifier: Apache-2.0
// Drawing operations at random, and their text.
#include "tests/posix/differential/operation.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>

namespace dpfs::posix {
namespace {

struct KindRow {
  Kind kind;
  const char* name;
  uint32_t weight;
};

constexpr KindRow kRows[] = {
#define DPFS_POSIX_ROW(name, weight) {Kind::name, #name, weight},
    DPFS_POSIX_OPERATIONS(DPFS_POSIX_ROW)
#undef DPFS_POSIX_ROW
};

constexpr mode_t kModes[] = {0644, 0600,  0666,  0755,  0700,  0777, 0000,
                             0444, 01777, 02755, 04755, 06775, 02777};
// All without waiting: a FIFO may be behind the name.
constexpr int kOpenFlags[] = {O_RDONLY,
                              O_RDWR,
                              O_WRONLY,
                              O_RDWR | O_CREAT,
                              O_RDWR | O_CREAT,
                              O_RDWR | O_CREAT | O_EXCL,
                              O_RDWR | O_CREAT | O_TRUNC,
                              O_WRONLY | O_CREAT | O_APPEND,
                              O_RDWR | O_TRUNC,
                              O_RDONLY | O_NOFOLLOW,
                              O_RDONLY | O_DIRECTORY};

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}

  uint64_t below(uint64_t limit) { return random_() % limit; }

  template <class T, size_t size>
  T one_of(const T (&values)[size]) {
    return values[below(size)];
  }

  // Few names, so that they meet.
  std::string path() {
    std::string text;
    const uint64_t depth = 1 + below(10) / 7 + below(20) / 19;
    for (uint64_t i = 0; i < depth; ++i) {
      if (!text.empty()) text += '/';
      text += static_cast<char>('a' + below(5));
    }
    return text;
  }

  // Often at a page's edge, often anywhere.
  int64_t offset() {
    const auto anywhere = static_cast<int64_t>(below(200'000));
    return below(3) == 0 ? anywhere / 4096 * 4096 : anywhere;
  }

  int64_t size() {
    switch (below(4)) {
      case 0:
        return static_cast<int64_t>(1 + below(100));
      case 1:
        return static_cast<int64_t>(4096 * (1 + below(8)));
      default:
        return static_cast<int64_t>(1 + below(40'000));
    }
  }

 private:
  std::mt19937_64 random_;
};

Kind draw_kind(Draw& draw, const std::vector<Kind>& without) {
  uint64_t total = 0;
  for (const KindRow& row : kRows) total += row.weight;
  while (true) {
    uint64_t place = draw.below(total);
    for (const KindRow& row : kRows) {
      if (place < row.weight) {
        if (std::find(without.begin(), without.end(), row.kind) == without.end()) return row.kind;
        break;
      }
      place -= row.weight;
    }
  }
}

}  // namespace

const char* kind_name(Kind kind) { return kRows[static_cast<size_t>(kind)].name; }

std::vector<Kind> all_kinds() {
  std::vector<Kind> kinds;
  for (const KindRow& row : kRows) kinds.push_back(row.kind);
  return kinds;
}

std::string Operation::text() const {
  char line[400];
  snprintf(
      line, sizeof line,
      "%u: %s%s path %s other %s slot %u,%u flags %#o mode %#o offset %lld size %lld choice %u",
      number, as_user ? "(user) " : "", kind_name(kind), path.c_str(), other.c_str(), slot,
      other_slot, static_cast<unsigned>(flags), mode, static_cast<long long>(offset),
      static_cast<long long>(size), choice);
  return line;
}

std::vector<Operation> random_sequence(uint64_t seed, uint32_t count,
                                       const std::vector<Kind>& without) {
  Draw draw(seed);
  std::vector<Operation> sequence;
  for (uint32_t number = 0; number < count; ++number) {
    Operation next;
    next.number = number;
    next.kind = draw_kind(draw, without);
    // All is seen by root only.
    next.as_user = draw.below(4) == 0 && next.kind != Kind::compare_all;
    next.path = draw.path();
    next.other = draw.path();
    next.slot = static_cast<uint32_t>(draw.below(kSlots));
    next.other_slot = static_cast<uint32_t>(draw.below(kSlots));
    next.flags = draw.one_of(kOpenFlags) | O_NONBLOCK | O_CLOEXEC;
    next.mode = draw.one_of(kModes);
    next.offset = draw.offset();
    next.size = draw.size();
    next.choice = static_cast<uint32_t>(draw.below(1000));
    sequence.push_back(next);
  }
  if (!sequence.empty()) {
    sequence.back().kind = Kind::compare_all;
    sequence.back().as_user = false;
  }
  return sequence;
}

}  // namespace dpfs::posix
