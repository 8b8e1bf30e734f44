// SPDX-License-Identifier: Apache-2.0
// Random operations on one file, each checked against the model.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/posix/fsx/model.h"

namespace dpfs::posix {

struct ExerciserSettings {
  std::string path;  // of the file, which is made anew
  std::string also;  // the same file by another path, read now and then after fsync; empty: none
  uint64_t seed;
  uint64_t operations;
  int64_t size_max;
  bool direct;  // some of the descriptors are O_DIRECT
  bool maps;    // reads and writes through shared maps, too
  // Before this operation a byte is changed behind the model's back, for the suite's test of
  // itself; 0: never.
  uint64_t sabotage_at = 0;
};

class Exerciser {
 public:
  explicit Exerciser(const ExerciserSettings& settings);

  // "" where all was as it should be; otherwise what was not. history() has the last operations.
  std::string run();
  const std::deque<std::string>& history() const { return history_; }

 private:
  using Step = std::string (Exerciser::*)();

  std::string open_anew();
  std::string read();
  std::string write();
  std::string map_read();
  std::string map_write();
  std::string truncate();
  std::string append();
  std::string punch();
  std::string zero();
  std::string allocate();
  std::string collapse();
  std::string insert();
  std::string copy();
  std::string synchronize();
  std::string read_also();
  std::string check_whole();
  void sabotage();

  std::string compare(int64_t offset, const std::string& wanted, const std::string& got) const;
  // Runs fallocate; false where this mode is not offered here, which is remembered.
  bool allocate_with(int mode, int64_t offset, int64_t size, std::string& problem);
  void note(const char* what, int64_t offset, int64_t size);
  int64_t below(int64_t limit);
  int64_t draw_size();

  ExerciserSettings settings_;
  std::mt19937_64 random_;
  Model model_;
  Fd file_;
  bool direct_now_ = false;
  uint64_t number_ = 0;
  std::vector<int> refused_modes_;
  std::deque<std::string> history_;
  std::string memory_;  // twice a transfer, so that an aligned part can be found
};

}  // namespace dpfs::posix
