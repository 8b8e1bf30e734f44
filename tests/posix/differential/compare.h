// SPDX-License-Identifier: Apache-2.0
// Plays a sequence on two directories and finds the first operation that differs; makes a sequence
// that differs shorter.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/posix/differential/operation.h"

namespace dpfs::posix {

struct Difference {
  size_t index;  // in the sequence
  std::string tested;
  std::string plain;
};

struct Directories {
  std::string tested;
  std::string plain;
  // Before this operation of a sequence a name is made on one side only, for the suite's test of
  // itself; 0: never.
  size_t sabotage_at = 0;
  bool regular_only = false;  // only regular files are kept open
};

// How many operations of each kind did something, and how many were refused: a sequence in which
// little works tests little.
class Tally {
 public:
  void add(Kind kind, const std::string& outcome);
  void print() const;

 private:
  std::map<Kind, int> worked_;
  std::map<Kind, int> failed_;
};

std::optional<Difference> play(const Directories& directories,
                               const std::vector<Operation>& sequence, Tally* tally = nullptr);

// The last operation stays. At most so many further plays.
std::vector<Operation> shrink(const Directories& directories, std::vector<Operation> sequence,
                              int plays_max);

// Kinds that one of the two file systems does not offer, with the reason.
std::vector<std::pair<Kind, std::string>> not_offered(const Directories& directories);

}  // namespace dpfs::posix
