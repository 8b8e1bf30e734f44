// SPDX-License-Identifier: Apache-2.0
// Record: what one case finds out, in memory that it shares with every process it starts.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace dpfs::posix {

// Enough to see what is wrong; a loop that fails everywhere needs no more.
inline constexpr uint32_t kFailuresMax = 8;

struct Failure {
  char file[80];
  int line;
  char row[96];  // which row of a table, if any
  char expression[200];
  char expected[160];
  char got[160];
};

struct Record {
  std::atomic<uint32_t> expectations;
  std::atomic<uint32_t> failures;
  std::atomic<bool> skipped;
  // The expectation with this number (from 1) is turned round: for the suite's test of itself.
  uint32_t turned_round;
  char reason[240];  // of the skip
  Failure failure[kFailuresMax];
};

// The record of the case that this process belongs to.
Record& record();
void set_record(Record* record);

// Cuts what does not fit.
template <size_t size>
void copy_text(char (&into)[size], const std::string& text) {
  const size_t length = text.copy(into, size - 1);
  into[length] = '\0';
}

}  // namespace dpfs::posix
