// SPDX-License-Identifier: Apache-2.0
// Printing results.
#include "tests/posix/suite/report.h"

#include <array>
#include <cstdio>
#include <map>

namespace dpfs::posix {
namespace {

const char* outcome_name(Outcome outcome) {
  constexpr std::array kNames{"passed", "failed", "skipped", "known"};
  return kNames[static_cast<size_t>(outcome)];
}

struct Counts {
  std::array<int, 4> of = {};
  double seconds = 0;

  void add(const CaseResult& result) {
    ++of[static_cast<size_t>(result.outcome)];
    seconds += result.seconds;
  }
  void print(const std::string& name) const {
    printf("%-18s %4d passed %3d failed %3d skipped %3d known  %6.2f s\n", name.c_str(), of[0],
           of[1], of[2], of[3], seconds);
    fflush(stdout);
  }
};

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') out += '\\';
    if (static_cast<unsigned char>(byte) < ' ') {
      out += ' ';
    } else {
      out += byte;
    }
  }
  return out + '"';
}

std::string json_failure(const Failure& failure) {
  return "{\"file\": " + json_text(failure.file) + ", \"line\": " + std::to_string(failure.line) +
         ", \"row\": " + json_text(failure.row) +
         ", \"expression\": " + json_text(failure.expression) +
         ", \"expected\": " + json_text(failure.expected) + ", \"got\": " + json_text(failure.got) +
         "}";
}

}  // namespace

void print_failures(const CaseResult& result) {
  for (const Failure& failure : result.failures) {
    printf("  %s:%d: %s", failure.file, failure.line, failure.expression);
    if (failure.row[0] != '\0') printf(" [%s]", failure.row);
    printf("\n    expected %s, got %s\n", failure.expected, failure.got);
  }
}

void Report::add(CaseResult result) {
  if (!group_.empty() && result.group != group_) print_group();
  group_ = result.group;
  results_.push_back(std::move(result));
}

void Report::print_group() const {
  Counts counts;
  for (const CaseResult& result : results_) {
    if (result.group == group_) counts.add(result);
  }
  counts.print(group_);
  for (const CaseResult& result : results_) {
    if (result.group != group_ || result.outcome != Outcome::failed) continue;
    printf("FAILED %s\n", result.name.c_str());
    print_failures(result);
  }
  fflush(stdout);
}

int Report::finish() {
  if (!group_.empty()) print_group();
  Counts total;
  std::map<std::string, std::vector<std::string>> reasons;
  for (const CaseResult& result : results_) {
    total.add(result);
    if (result.outcome == Outcome::skipped) reasons[result.reason].push_back(result.name);
  }
  if (!reasons.empty()) printf("\nSkipped:\n");
  for (const auto& [reason, names] : reasons) {
    printf("  %s:", reason.c_str());
    for (const std::string& name : names) printf(" %s", name.c_str());
    printf("\n");
  }
  if (total.of[3] > 0) printf("\nKnown differences:\n");
  for (const CaseResult& result : results_) {
    if (result.outcome != Outcome::known) continue;
    printf("  %s: %s\n", result.name.c_str(), result.reason.c_str());
  }
  if (total.of[1] > 0) printf("\nFailed:\n");
  for (const CaseResult& result : results_) {
    if (result.outcome != Outcome::failed) continue;
    printf("  %s\n", result.name.c_str());
  }
  printf("\n");
  total.print("total");
  return total.of[1] > 0 ? 1 : 0;
}

std::string Report::json(const std::string& directory) const {
  Counts total;
  std::string cases;
  for (const CaseResult& result : results_) {
    total.add(result);
    std::string failures;
    for (const Failure& failure : result.failures) {
      failures += (failures.empty() ? "" : ", ") + json_failure(failure);
    }
    char seconds[32];
    snprintf(seconds, sizeof seconds, "%.3f", result.seconds);
    cases += std::string(cases.empty() ? "" : ",") + "\n    {\"name\": " + json_text(result.name) +
             ", \"outcome\": \"" + outcome_name(result.outcome) +
             "\", \"reason\": " + json_text(result.reason) + ", \"seconds\": " + seconds +
             ", \"expectations\": " + std::to_string(result.expectations) + ", \"failures\": [" +
             failures + "]}";
  }
  std::string text = "{\n  \"directory\": " + json_text(directory);
  for (const Outcome outcome :
       {Outcome::passed, Outcome::failed, Outcome::skipped, Outcome::known}) {
    text += std::string(",\n  \"") + outcome_name(outcome) +
            "\": " + std::to_string(total.of[static_cast<size_t>(outcome)]);
  }
  return text + ",\n  \"cases\": [" + cases + "\n  ]\n}\n";
}

}  // namespace dpfs::posix
