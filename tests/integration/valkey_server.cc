// SPDX-License-Identifier: Apache-2.0
// Starting tools/rig/valkey.py, and ending it.
#include "tests/integration/valkey_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace dpfs::test {
namespace {

constexpr int kNoServerStatus = 3;  // of valkey.py

[[noreturn]] void run_servers(const std::vector<std::string>& options, const Fd& in,
                              const Fd& out) {
  // It ends its servers when it is told to, and when its input ends; this is for a test that
  // crashes.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(in.get(), STDIN_FILENO);
  dup2(out.get(), STDOUT_FILENO);
  closefrom(STDERR_FILENO + 1);
  const char* sources = std::getenv("DPFS_SOURCE_DIR");
  const std::filesystem::path folder = sources != nullptr ? sources : ".";
  const std::string program = folder / "tools/rig/valkey.py";
  std::vector<char*> arguments{const_cast<char*>("python3"), const_cast<char*>(program.c_str()),
                               const_cast<char*>("--no-fetch")};
  for (const std::string& option : options) arguments.push_back(const_cast<char*>(option.c_str()));
  arguments.push_back(nullptr);
  execvp("python3", arguments.data());
  _exit(127);
}

// Without its end; nothing when the other side ends first.
std::string read_line(const Fd& from) {
  std::string line;
  char byte = 0;
  while (read(from.get(), &byte, 1) == 1 && byte != '\n') line += byte;
  return byte == '\n' ? line : std::string();
}

}  // namespace

ValkeyServer::ValkeyServer(const std::vector<std::string>& options) {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("cannot make a pipe");
  }
  const Fd its_input(to[0]);
  commands_ = Fd(to[1]);
  const Fd answers(from[0]);
  Fd its_output(from[1]);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) run_servers(options, its_input, its_output);
  its_output.reset();
  url_ = read_line(answers);
  if (!url_.empty()) return;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  missing_ = WIFEXITED(status) && WEXITSTATUS(status) == kNoServerStatus
                 ? "no Valkey here: install valkey-server, or run tools/rig/fetch.py"
                 : "tools/rig/valkey.py does not start: see what it says";
}

ValkeyServer::~ValkeyServer() {
  commands_.reset();
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

std::string ValkeyServer::url(const std::string& name) const {
  return url_.substr(0, url_.rfind('/') + 1) + name;
}

}  // namespace dpfs::test
