// SPDX-License-Identifier: Apache-2.0
// Playing, comparing, shrinking.
#include "tests/posix/differential/compare.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>

#include "tests/posix/differential/side.h"
#include "tests/posix/suite/expect.h"
#include "tests/posix/suite/files.h"

namespace dpfs::posix {
namespace {

Operation plain_operation(Kind kind) {
  return {.number = 1,
          .kind = kind,
          .as_user = false,
          .path = "a",
          .other = "b",
          .slot = 0,
          .other_slot = 1,
          .flags = O_RDWR | O_CREAT | O_CLOEXEC,
          .mode = 0777,
          .offset = 0,
          .size = 65536,
          .choice = 0};
}

// Whether the errno that a kind begins its outcome with says that there is no such thing.
std::string refusal(const std::string& directory, Kind kind) {
  Side side(directory);
  if (kind == Kind::set_default_acl || kind == Kind::tmpfile) {
    side.apply(plain_operation(Kind::mkdir));
  } else {
    side.apply(plain_operation(Kind::open));
    Operation write = plain_operation(Kind::write);
    write.size = 200'000;
    side.apply(write);
    if (kind == Kind::rename_exchange) {
      Operation other = plain_operation(Kind::mkdir);
      other.path.assign(1, 'b');  // g++ 12 warns without a cause about = "b"
      side.apply(other);
    }
  }
  const std::string text = side.apply(plain_operation(kind));
  for (const char* error : {"EOPNOTSUPP", "EINVAL", "ENOSYS"}) {
    if (text.rfind(error, 0) == 0) return error;
  }
  return {};
}

}  // namespace

void Tally::add(Kind kind, const std::string& outcome) {
  const bool failed = outcome.size() > 1 && outcome[0] == 'E' && outcome[1] >= 'A';
  ++(failed ? failed_ : worked_)[kind];
}

void Tally::print() const {
  for (const Kind kind : all_kinds()) {
    const auto count = [&](const std::map<Kind, int>& of) {
      return of.contains(kind) ? of.at(kind) : 0;
    };
    printf("%-20s %6d worked %6d failed\n", kind_name(kind), count(worked_), count(failed_));
  }
}

std::optional<Difference> play(const Directories& directories,
                               const std::vector<Operation>& sequence, Tally* tally) {
  umask(022);
  Side tested(directories.tested);
  Side plain(directories.plain);
  const bool trusted = tested.takes_trusted_attributes() && plain.takes_trusted_attributes();
  tested.use_trusted_attributes(trusted);
  plain.use_trusted_attributes(trusted);
  const bool times = tested.keeps_times_of_symlinks() && plain.keeps_times_of_symlinks();
  tested.compare_times_of_symlinks(times);
  plain.compare_times_of_symlinks(times);
  for (Side* side : {&tested, &plain}) side->keep_only_regular_files_open(directories.regular_only);
  for (size_t i = 0; i < sequence.size(); ++i) {
    if (directories.sabotage_at != 0 && i == directories.sabotage_at) {
      make_directory(directories.tested + "/sabotage");
    }
    const std::string wanted = plain.apply(sequence[i]);
    const std::string got = tested.apply(sequence[i]);
    if (wanted != got) return Difference{i, got, wanted};
    if (tally != nullptr) tally->add(sequence[i].kind, wanted);
  }
  return std::nullopt;
}

std::vector<Operation> shrink(const Directories& directories, std::vector<Operation> sequence,
                              int plays_max) {
  for (size_t part = sequence.size() / 2; part > 0; part /= 2) {
    for (size_t begin = 0; begin + part < sequence.size() && plays_max > 0;) {
      std::vector<Operation> shorter(sequence.begin(), sequence.begin() + static_cast<long>(begin));
      shorter.insert(shorter.end(), sequence.begin() + static_cast<long>(begin + part),
                     sequence.end());
      --plays_max;
      const std::optional<Difference> found = play(directories, shorter);
      // Another difference would lead away from the one that was found.
      if (found && shorter[found->index].number == sequence.back().number) {
        sequence = shorter;
      } else {
        begin += part;
      }
    }
  }
  return sequence;
}

std::vector<std::pair<Kind, std::string>> not_offered(const Directories& directories) {
  std::vector<std::pair<Kind, std::string>> found;
  for (const Kind kind :
       {Kind::rename_noreplace, Kind::rename_exchange, Kind::rename_whiteout, Kind::allocate,
        Kind::allocate_keep_size, Kind::punch_hole, Kind::zero_range, Kind::collapse_range,
        Kind::insert_range, Kind::set_attribute, Kind::get_attribute, Kind::remove_attribute,
        Kind::list_attributes, Kind::set_acl, Kind::set_default_acl, Kind::tmpfile}) {
    const std::string tested = refusal(directories.tested, kind);
    const std::string plain = refusal(directories.plain, kind);
    if (!tested.empty()) {
      found.emplace_back(kind, tested + " on the directory under test");
    } else if (!plain.empty()) {
      found.emplace_back(kind, plain + " on the plain directory");
    }
  }
  return found;
}

}  // namespace dpfs::posix
