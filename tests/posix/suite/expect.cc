// SPDX-License-Identifier: Apache-2.0
// Noting what held and what did not; texts for errnos and bytes.
#include "tests/posix/suite/expect.h"

#include <cstdio>
#include <cstring>

#include "tests/posix/suite/record.h"

namespace dpfs::posix {
namespace {

Record* current_record = nullptr;
std::string& current_row() {
  static std::string row;
  return row;
}

}  // namespace

Record& record() { return *current_record; }
void set_record(Record* record) { current_record = record; }

Row::Row(const std::string& text) { current_row() = text; }
Row::~Row() { current_row().clear(); }

bool judge(bool held, const Place& place, const std::string& expected, const std::string& got) {
  const uint32_t number = ++record().expectations;
  const bool turned = number == record().turned_round;
  if (held != turned) return true;
  const uint32_t index = record().failures++;
  if (index >= kFailuresMax) return false;
  Failure& failure = record().failure[index];
  const char* tests = strstr(place.file, "tests/posix/");
  copy_text(failure.file, tests != nullptr ? tests : place.file);
  failure.line = place.line;
  copy_text(failure.row, current_row());
  copy_text(failure.expression, place.expression);
  copy_text(failure.expected, turned ? "(turned round) not " + expected : expected);
  copy_text(failure.got, got);
  return false;
}

void skip(const std::string& reason) {
  copy_text(record().reason, reason);
  record().skipped = true;
  throw Skipped();
}

std::string errno_text(int number) {
  if (number == 0) return "success";
  const char* name = strerrorname_np(number);
  return name != nullptr ? name : "errno " + std::to_string(number);
}

std::string quoted(std::string_view bytes) {
  constexpr size_t kShown = 40;
  std::string text = "\"";
  for (const char byte : bytes.substr(0, kShown)) {
    if (byte >= ' ' && byte <= '~') {
      text += byte;
    } else {
      char escape[8];
      snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(byte));
      text += escape;
    }
  }
  text += '"';
  if (bytes.size() > kShown) text += " and " + std::to_string(bytes.size() - kShown) + " bytes";
  return text;
}

void fails(const std::vector<int>& wanted, bool failed, int error, const Place& place) {
  bool held = false;
  std::string expected;
  for (const int number : wanted) {
    held = held || (failed && error == number);
    expected += (expected.empty() ? "" : " or ") + errno_text(number);
  }
  judge(held, place, expected, failed ? errno_text(error) : "success");
}

}  // namespace dpfs::posix
