// SPDX-License-Identifier: Apache-2.0
// posix_suite cases DIR: runs the table of cases on a directory.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>

#include "tests/posix/suite/arguments.h"
#include "tests/posix/suite/commands.h"
#include "tests/posix/suite/known.h"
#include "tests/posix/suite/report.h"
#include "tests/posix/suite/runner.h"

namespace dpfs::posix {
namespace {

constexpr const char* kHelp = R"(usage: posix_suite cases DIR [OPTIONS]

Runs POSIX cases on the file system that DIR lies on, in a new directory below it. Root sees more:
what other users may do.

  --also DIR2      another path to DIR (another mount, or the directory below): cases look from both
  --only NAMES     only these, comma-separated: group, group/name, with '*'
  --except NAMES   not these
  --known FILE     lines 'group/name: reason': these may fail and are counted as known
  --slow           also what takes long, such as tens of thousands of links
  --timeout S      how long a case may take (default 30)
  --json FILE      results as JSON, '-' for the terminal
  --list           names the cases and ends
  --mutate         the suite's test of itself: each case once more, its last expectation
                   turned round; it has to fail then

Exit status: 0 nothing failed, 1 something did, 2 wrong usage.

  posix_suite cases /mnt --known tests/posix/known/fuse.txt
  posix_suite cases /mnt --also /srv/share --only 'locks*'
)";

std::vector<Case> chosen_cases(const std::string& only, const std::string& except) {
  std::map<std::string, std::vector<Case>> groups;
  for (const Case& one : all_cases()) {
    if (!only.empty() && !matches(only, one.full_name())) continue;
    if (!except.empty() && matches(except, one.full_name())) continue;
    if (only.empty() && one.group == "broken") continue;  // they are of the suite's own test
    groups[one.group].push_back(one);
  }
  std::vector<Case> cases;
  for (const auto& [name, group] : groups) cases.insert(cases.end(), group.begin(), group.end());
  return cases;
}

// Each case is run once more with its last expectation turned round. It has to fail then.
int mutate(Runner& runner, const std::vector<Case>& cases) {
  int unnoticed = 0;
  int count = 0;
  for (const Case& one : cases) {
    const CaseResult whole = runner.run(one);
    if (whole.outcome != Outcome::passed) continue;
    if (whole.expectations == 0) {
      printf("UNNOTICED %s expects nothing\n", one.full_name().c_str());
      ++unnoticed;
    }
    if (whole.expectations == 0) continue;
    ++count;
    const CaseResult turned = runner.run(one, whole.expectations);
    // A case that waits for something may have had less to expect this time.
    if (turned.outcome == Outcome::failed || turned.expectations < whole.expectations) continue;
    printf("UNNOTICED %s with its last expectation turned round\n", one.full_name().c_str());
    ++unnoticed;
  }
  printf("%d expectations of %zu cases turned round, %d not noticed\n", count, cases.size(),
         unnoticed);
  return unnoticed > 0 ? 1 : 0;
}

int wrong(const std::string& sentence) {
  fprintf(stderr, "posix_suite: %s; see posix_suite cases --help\n", sentence.c_str());
  return 2;
}

// Makes the directory that everything happens in; "" where that is not possible.
std::string make_workplace(const std::string& directory, std::string& name) {
  std::string path = directory + "/posix.XXXXXX";
  if (mkdtemp(path.data()) == nullptr || chmod(path.c_str(), 0755) != 0) return "";
  char* real = realpath(path.c_str(), nullptr);
  const std::string result = real;
  free(real);
  name = result.substr(result.rfind('/'));
  return result;
}

int write_json(const Report& report, const std::string& directory, const std::string& path) {
  const std::string text = report.json(directory);
  if (path == "-") {
    printf("%s", text.c_str());
    return 0;
  }
  std::ofstream(path) << text;
  return 0;
}

}  // namespace

int cases_command(Arguments arguments) {
  if (arguments.flag("--help")) {
    printf("%s", kHelp);
    return 0;
  }
  const std::string only = arguments.value("--only");
  const std::string except = arguments.value("--except");
  const std::string also = arguments.value("--also");
  const std::string json = arguments.value("--json");
  const std::string known_path = arguments.value("--known");
  const int timeout_s = static_cast<int>(arguments.number("--timeout", 30));
  settings().slow = arguments.flag("--slow");
  const bool turn_round = arguments.flag("--mutate");
  const std::vector<Case> cases = chosen_cases(only, except);
  std::vector<std::string> names;
  for (const Case& one : all_cases()) names.push_back(one.full_name());
  if (arguments.flag("--list")) {
    for (const Case& one : cases) printf("%s\n", one.full_name().c_str());
    return 0;
  }
  const std::vector<std::string> rest = arguments.rest();
  if (!arguments.problem().empty()) return wrong(arguments.problem());
  if (rest.size() != 1) return wrong("name one directory");
  if (cases.empty()) return wrong("no case is called so");
  Known known;
  std::string problem;
  if (!known_path.empty() && !known.read(known_path, problem)) return wrong(problem);
  for (const std::string& line : known.unused(names)) {
    printf("note: no case is called %s, which %s names\n", line.c_str(), known_path.c_str());
  }
  std::string name;
  settings().directory = make_workplace(rest[0], name);
  if (settings().directory.empty())
    return wrong("cannot work in " + rest[0] + ": " + strerror(errno));
  if (!also.empty()) settings().also = also + name;
  if (geteuid() != 0) {
    printf("Not root: all cases about other users, devices and trusted attributes are skipped.\n");
  }
  Runner runner(timeout_s);
  int result;
  if (turn_round) {
    result = mutate(runner, cases);
  } else {
    Report report;
    for (const Case& one : cases) {
      CaseResult found = runner.run(one);
      const std::string reason = known.reason(found.name);
      if (found.outcome == Outcome::failed && !reason.empty()) {
        found.outcome = Outcome::known;
        found.reason = reason;
      } else if (found.outcome == Outcome::passed && !reason.empty()) {
        printf("note: %s passes here, though it is a known difference\n", found.name.c_str());
      }
      report.add(std::move(found));
    }
    result = report.finish();
    if (!json.empty()) write_json(report, rest[0], json);
  }
  remove_tree(settings().directory);
  return result;
}

}  // namespace dpfs::posix
