// SPDX-License-Identifier: Apache-2.0
// posix_suite fsx DIR: one file (or several at once) under random operations.
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tests/posix/fsx/exerciser.h"
#include "tests/posix/suite/commands.h"
#include "tests/posix/suite/expect.h"
#include "tests/posix/suite/files.h"
#include "tests/posix/suite/record.h"

namespace dpfs::posix {
namespace {

constexpr const char* kHelp = R"(usage: posix_suite fsx DIR [OPTIONS]

Reads, writes, truncates, punches, zeroes, copies, maps and reopens one file in DIR at random, and checks
every byte against a model in memory.

  --seed N        replays (default: at random; it is printed)
  --ops N         operations (default 5000)
  --size N        the file's largest size (default 400000)
  --processes N   so many at once, each with a file of its own and the next seed (default 1)
  --also DIR2     another path to DIR: contents are compared there, too, after fsync
  --no-direct     no O_DIRECT
  --no-maps       no mmap

Exit status: 0 all right, 1 something differs (the last operations are printed, the file is left),
2 wrong usage.

  posix_suite fsx /mnt --processes 2
  posix_suite fsx /mnt --seed 42 --ops 1000
)";

int run_one(const ExerciserSettings& settings) {
  Record notes = {};
  set_record(&notes);
  Exerciser exerciser(settings);
  std::string problem;
  try {
    problem = exerciser.run();
  } catch (const Abandoned&) {
    problem = std::string(notes.failure[0].expression) + ": " + notes.failure[0].got;
  }
  const auto seed = static_cast<unsigned long long>(settings.seed);
  if (problem.empty()) {
    printf("seed %llu: %llu operations, all right\n", seed,
           static_cast<unsigned long long>(settings.operations));
    return 0;
  }
  printf("seed %llu, %s: %s\nthe last operations:\n", seed, settings.path.c_str(), problem.c_str());
  for (const std::string& line : exerciser.history()) printf("  %s\n", line.c_str());
  return 1;
}

int run_all(ExerciserSettings settings, const std::string& directory, const std::string& also,
            uint64_t processes) {
  std::vector<pid_t> children;
  for (uint64_t i = 0; i < processes; ++i) {
    const std::string name = "/fsx." + std::to_string(getpid()) + "." + std::to_string(i);
    settings.path = directory + name;
    if (!also.empty()) settings.also = also + name;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
      const int result = run_one(settings);
      fflush(stdout);
      _exit(result);
    }
    children.push_back(pid);
    ++settings.seed;
  }
  int result = 0;
  for (const pid_t pid : children) {
    int ended = 0;
    if (waitpid(pid, &ended, 0) != pid || !WIFEXITED(ended) || WEXITSTATUS(ended) != 0) result = 1;
    if (WIFSIGNALED(ended)) printf("a process ended by SIG%s\n", sigabbrev_np(WTERMSIG(ended)));
  }
  return result;
}

}  // namespace

int fsx_command(Arguments arguments) {
  if (arguments.flag("--help")) {
    printf("%s", kHelp);
    return 0;
  }
  uint32_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) random = 1;
  ExerciserSettings settings = {};
  settings.seed = arguments.number("--seed", random);
  settings.operations = arguments.number("--ops", 5000);
  settings.size_max = static_cast<int64_t>(arguments.number("--size", 400'000));
  settings.direct = !arguments.flag("--no-direct");
  settings.maps = !arguments.flag("--no-maps");
  const uint64_t processes = arguments.number("--processes", 1);
  const std::string also = arguments.value("--also");
  const std::vector<std::string> rest = arguments.rest();
  std::string problem = arguments.problem();
  if (rest.size() != 1) problem = "name one directory";
  if (settings.size_max < 10'000) problem = "--size wants at least 10000";
  if (!problem.empty()) {
    fprintf(stderr, "posix_suite: %s; see posix_suite fsx --help\n", problem.c_str());
    return 2;
  }
  return run_all(settings, rest[0], also, processes);
}

}  // namespace dpfs::posix
