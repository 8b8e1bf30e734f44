// SPDX-License-Identifier: Apache-2.0
// posix_suite self-test: cases that are wrong on purpose have to be reported as such.
#include <signal.h>

#include <cstdio>
#include <cstring>

#include "tests/posix/differential/compare.h"
#include "tests/posix/fsx/exerciser.h"
#include "tests/posix/suite/commands.h"
#include "tests/posix/suite/known.h"
#include "tests/posix/suite/runner.h"

namespace dpfs::posix {

CASE(broken, wrong_errno) {
  Row row("a row");
  FAILS(EEXIST, open("missing", O_RDONLY));
}
CASE(broken, success_where_an_error_is_due) { FAILS(EEXIST, mkdir("new", 0755)); }
CASE(broken, error_where_success_is_due) { WORKS(open("missing", O_RDONLY)); }
CASE(broken, wrong_value) {
  make_file("f", "text");
  EQUAL(5, status("f").st_size);
}
CASE(broken, wrong_content) {
  make_file("f", "text");
  EQUAL("taxt", content("f"));
}
CASE(broken, wrong_order) { ORDERED(2, <, 1); }
CASE(broken, of_another_user) {
  as(kAlice, [] { EQUAL(0, geteuid()); });
}
CASE(broken, of_a_peer) {
  Peer peer([](Peer&) { HOLDS(getpid() == 1); });
  peer.join();
}
CASE(broken, peer_dies) {
  Peer peer([](Peer&) { raise(SIGKILL); });
  peer.hear();
}
CASE(broken, dies) { raise(SIGSEGV); }
CASE(broken, hangs) {
  while (true) pause();
}
CASE(broken, not_really) {
  EQUAL(1, 1);
  FAILS(ENOENT, open("missing", O_RDONLY));
}
CASE(broken, has_a_reason) { skip("a reason"); }

namespace {

bool as_wanted(const CaseResult& result) {
  const std::string name = result.name.substr(strlen("broken/"));
  if (name == "not_really") return result.outcome == Outcome::passed && result.expectations == 2;
  if (name == "has_a_reason") {
    return result.outcome == Outcome::skipped && result.reason == "a reason";
  }
  if (name == "of_another_user" && geteuid() != 0) return result.outcome == Outcome::skipped;
  if (result.outcome != Outcome::failed || result.failures.empty()) return false;
  const Failure& failure = result.failures[0];
  if (name != "wrong_errno") return true;
  return failure.line > 0 && strstr(failure.file, "self_test.cc") != nullptr &&
         strcmp(failure.row, "a row") == 0 && strcmp(failure.expected, "EEXIST") == 0 &&
         strcmp(failure.got, "ENOENT") == 0;
}

// How many of the two random testers do not notice what was done behind their backs.
int sabotage_unnoticed(const std::string& directory) {
  int unnoticed = 0;
  ExerciserSettings settings = {};
  settings.path = directory + "/fsx";
  settings.operations = 500;
  settings.size_max = 100'000;
  settings.seed = 1;
  if (!Exerciser(settings).run().empty()) ++unnoticed;
  settings.sabotage_at = 400;
  if (Exerciser(settings).run().empty()) ++unnoticed;
  unlink(settings.path.c_str());
  Directories directories{directory + "/tested", directory + "/plain"};
  const std::vector<Operation> sequence =
      random_sequence(1, 500, {Kind::rename_whiteout, Kind::collapse_range, Kind::insert_range});
  if (play(directories, sequence)) ++unnoticed;
  directories.sabotage_at = 400;
  if (!play(directories, sequence)) ++unnoticed;
  return unnoticed;
}

constexpr const char* kHelp = R"(usage: posix_suite self-test DIR

Runs cases that are wrong on purpose in DIR, and the random testers with something done behind their
backs, and demands that all of it is reported.

  posix_suite self-test /tmp
)";

}  // namespace

int self_test_command(Arguments arguments) {
  if (arguments.flag("--help")) {
    printf("%s", kHelp);
    return 0;
  }
  const std::vector<std::string> rest = arguments.rest();
  if (rest.size() != 1 || !arguments.problem().empty()) {
    fprintf(stderr, "posix_suite: name one directory; see posix_suite self-test --help\n");
    return 2;
  }
  std::string path = rest[0] + "/posix.XXXXXX";
  if (mkdtemp(path.data()) == nullptr) {
    fprintf(stderr, "posix_suite: cannot work in %s: %s\n", rest[0].c_str(), strerror(errno));
    return 2;
  }
  settings().directory = path;
  Runner runner(1);
  int unnoticed = 0;
  int count = 0;
  for (const Case& one : all_cases()) {
    if (one.group != "broken") continue;
    const CaseResult result = runner.run(one);
    ++count;
    if (as_wanted(result)) continue;
    ++unnoticed;
    printf("NOT REPORTED %s\n", result.name.c_str());
  }
  const int sabotage = sabotage_unnoticed(path);
  printf("differential and fsx: %d of 4 runs were not judged right\n", sabotage);
  unnoticed += sabotage;
  remove_tree(path);
  printf("%d cases wrong on purpose, %d not reported as they should\n", count, unnoticed);
  return unnoticed > 0 ? 1 : 0;
}

}  // namespace dpfs::posix
