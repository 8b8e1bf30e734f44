// SPDX-License-Identifier: Apache-2.0
// posix_suite differential DIR: random sequences, on DIR and on a plain directory.
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/posix/differential/compare.h"
#include "tests/posix/suite/commands.h"
#include "tests/posix/suite/expect.h"
#include "tests/posix/suite/files.h"
#include "tests/posix/suite/known.h"
#include "tests/posix/suite/record.h"

namespace dpfs::posix {
namespace {

constexpr const char* kHelp = R"(usage: posix_suite differential DIR --beside PLAIN [OPTIONS]

Applies random sequences of operations to a new directory in DIR and to one in PLAIN, and compares every
result, errno, content and stat. Not compared: inode and device numbers, blocks, sizes of directories, and
times other than those that were set. PLAIN is best on the file system that is below DIR.

  --seed N         the first sequence's seed (default: at random; it is printed)
  --ops N          operations of one sequence (default 2000)
  --rounds N       so many sequences, with seeds from N on (default 1)
  --without KINDS  leave out these kinds, comma-separated, with '*'
  --one-user       everything as who runs it; otherwise some of it as an ordinary user
  --only-files     directories and special files are not kept open: NFS servers take them away
  --plain-modes    no setuid, setgid and sticky bits
  --tally          how many operations of each kind worked and how many were refused
  --no-shrink      print the end of a sequence that differs as it is

What one of the two does not offer is left out, and said. On a difference it prints the shortest sequence
that it finds, and what both said. Exit status: 0 no difference, 1 a difference, 2 wrong usage.

  posix_suite differential /mnt --beside /srv/plain
  posix_suite differential /mnt --beside /srv/plain --seed 42 --ops 500
)";

constexpr int kPlaysMax = 400;
constexpr size_t kShownMax = 40;

uint64_t random_seed() {
  uint32_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = static_cast<uint32_t>(getpid());
  return seed;
}

void print_sequence(const std::vector<Operation>& sequence) {
  const size_t begin = sequence.size() - std::min(sequence.size(), kShownMax);
  if (begin > 0) printf("  (%zu operations before)\n", begin);
  for (size_t i = begin; i < sequence.size(); ++i) {
    printf("  %s\n", sequence[i].text().c_str());
  }
}

void report(const Directories& directories, std::vector<Operation> sequence, Difference difference,
            bool shorten) {
  sequence.resize(difference.index + 1);
  printf("operation %s differs\n", sequence.back().text().c_str());
  printf("under test: %s\n     plain: %s\n", difference.tested.c_str(), difference.plain.c_str());
  if (shorten) {
    std::vector<Operation> shorter = shrink(directories, sequence, kPlaysMax);
    if (const std::optional<Difference> again = play(directories, shorter)) {
      sequence = std::move(shorter);
      sequence.resize(again->index + 1);
      difference = *again;
    } else {
      printf("and does not when it is played again: a race\n");
    }
  }
  printf("the sequence, %zu operations:\n", sequence.size());
  print_sequence(sequence);
  printf("under test: %s\n     plain: %s\n", difference.tested.c_str(), difference.plain.c_str());
}

std::vector<Kind> left_out(const Directories& directories, const std::string& patterns) {
  std::vector<Kind> kinds;
  for (const Kind kind : all_kinds()) {
    if (!patterns.empty() && matches(patterns, kind_name(kind))) kinds.push_back(kind);
  }
  for (const auto& [kind, reason] : not_offered(directories)) {
    printf("left out: %s, %s\n", kind_name(kind), reason.c_str());
    kinds.push_back(kind);
  }
  return kinds;
}

// Absolute, for the sides change their working directory. "" where there is none.
std::string make_workplace(const std::string& directory) {
  char* real = realpath(directory.c_str(), nullptr);
  std::string path = (real != nullptr ? real : directory) + std::string("/differential.XXXXXX");
  free(real);
  if (mkdtemp(path.data()) == nullptr || chmod(path.c_str(), 0755) != 0) return {};
  return path;
}

struct Plan {
  uint64_t seed;
  uint32_t count;  // operations of a sequence
  uint64_t rounds;
  std::string without;
  bool shorten;
  bool one_user;
  bool plain_modes;
  bool only_files;
};

int run(const Directories& directories, const Plan& plan, Tally* tally) {
  const std::vector<Kind> kinds = left_out(directories, plan.without);
  for (uint64_t seed = plan.seed; seed < plan.seed + plan.rounds; ++seed) {
    printf("seed %llu, %u operations\n", static_cast<unsigned long long>(seed), plan.count);
    fflush(stdout);
    std::vector<Operation> sequence = random_sequence(seed, plan.count, kinds);
    for (Operation& operation : sequence) {
      operation.as_user &= !plan.one_user;
      if (plan.plain_modes) operation.mode &= 0777;
    }
    if (const std::optional<Difference> difference = play(directories, sequence, tally)) {
      report(directories, sequence, *difference, plan.shorten);
      return 1;
    }
  }
  printf("no difference\n");
  return 0;
}

}  // namespace

int differential_command(Arguments arguments) {
  if (arguments.flag("--help")) {
    printf("%s", kHelp);
    return 0;
  }
  const std::string beside = arguments.value("--beside");
  const Plan plan = {
      .seed = arguments.number("--seed", random_seed()),
      .count = static_cast<uint32_t>(arguments.number("--ops", 2000)),
      .rounds = arguments.number("--rounds", 1),
      .without = arguments.value("--without"),
      .shorten = !arguments.flag("--no-shrink"),
      .one_user = arguments.flag("--one-user"),
      .plain_modes = arguments.flag("--plain-modes"),
      .only_files = arguments.flag("--only-files"),
  };
  const bool count_kinds = arguments.flag("--tally");
  const std::vector<std::string> rest = arguments.rest();
  std::string problem = arguments.problem();
  if (rest.size() != 1) problem = "name one directory";
  if (beside.empty()) problem = "name a plain directory with --beside";
  if (plan.count == 0) problem = "--ops wants at least 1";
  if (!problem.empty()) {
    fprintf(stderr, "posix_suite: %s; see posix_suite differential --help\n", problem.c_str());
    return 2;
  }
  const std::string tested = make_workplace(rest[0]);
  const std::string plain = make_workplace(beside);
  if (tested.empty() || plain.empty()) {
    fprintf(stderr, "posix_suite: cannot work in both directories: %s\n", strerror(errno));
    return 2;
  }
  if (geteuid() != 0) printf("Not root: everything is done as one user.\n");
  // The helpers' expectations are noted there; a failure ends the run.
  Record notes = {};
  set_record(&notes);
  Tally tally;
  int result = 1;
  try {
    result =
        run({.tested = tested + "/side", .plain = plain + "/side", .regular_only = plan.only_files},
            plan, &tally);
  } catch (const Abandoned&) {
    printf("the tester cannot go on: %s:%d: %s: %s\n", notes.failure[0].file, notes.failure[0].line,
           notes.failure[0].expression, notes.failure[0].got);
  }
  if (count_kinds) tally.print();
  remove_tree(tested);
  remove_tree(plain);
  return result;
}

}  // namespace dpfs::posix
