// SPDX-License-Identifier: Apache-2.0
// Starting the program, reading /proc, ending it.
#include "tests/integration/daemon.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace dpfs::test {

std::string program_path() {
  const char* from_environment = std::getenv("DPFS_BINARY");
  if (from_environment != nullptr) return from_environment;
  return std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() / "dpfs";
}

namespace {

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void forbid(uint32_t call) {
  sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog filter{std::size(program), program};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

[[noreturn]] void run_program(const Daemon::Options& options, const std::string& log_path) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves no daemon behind
  const int log = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(log, STDERR_FILENO);
  dup2(log, STDOUT_FILENO);
  if (options.pass_fd == 3) fcntl(3, F_SETFD, 0);
  if (options.pass_fd >= 0) dup2(options.pass_fd, 3);
  closefrom(options.pass_fd >= 0 ? 4 : 3);
  if (options.descriptors_max > 0) {
    const rlimit limit{options.descriptors_max, options.descriptors_max};
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  for (const int capability : options.lacks) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  if (options.forbidden_call >= 0) forbid(static_cast<uint32_t>(options.forbidden_call));
  if (options.obeys_modes) {
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
  }
  if (options.user >= 0) {
    const auto id = static_cast<uid_t>(options.user);
    if (setgroups(0, nullptr) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0) {
      _exit(126);
    }
  }
  const std::string name = program_path();
  std::vector<char*> arguments{const_cast<char*>(name.c_str())};
  for (const std::string& argument : options.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  execv(name.c_str(), arguments.data());
  _exit(127);
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  char path[] = "/tmp/dpfs_test_XXXXXX";
  if (mkdtemp(path) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
  path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

Daemon::Daemon(Options options) : log_path_(folder_ / "log") {
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) run_program(options, log_path_);
}

Daemon::~Daemon() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Daemon::running() {
  if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
  return !ended_;
}

bool Daemon::wait_until_ready() {
  return eventually([this] { return has_logged("ready: ") || !running(); }) && running();
}

void Daemon::signal(int number) const { kill(pid_, number); }

int Daemon::wait() {
  if (!eventually([this] { return !running(); })) return -1;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

int Daemon::end() {
  if (running()) signal(SIGTERM);
  return wait();
}

std::string Daemon::log() const { return read_all(log_path_); }

bool Daemon::has_logged(const std::string& text) const {
  return log().find(text) != std::string::npos;
}

pid_t Daemon::serving_pid() const {
  const std::string pid = std::to_string(pid_);
  pid_t child = pid_;
  std::ifstream("/proc/" + pid + "/task/" + pid + "/children") >> child;
  return child > 0 ? child : pid_;
}

size_t Daemon::descriptors() const {
  size_t count = 0;
  const std::string folder = "/proc/" + std::to_string(serving_pid()) + "/fd";
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

size_t Daemon::threads() const {
  const std::filesystem::directory_iterator tasks("/proc/" + std::to_string(pid_) + "/task");
  return static_cast<size_t>(std::distance(tasks, std::filesystem::directory_iterator()));
}

uint64_t Daemon::cpu_ns() const {
  uint64_t sum = 0;
  const std::string folder = "/proc/" + std::to_string(serving_pid()) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(folder)) {
    uint64_t on_cpu = 0;
    std::ifstream(task.path() / "schedstat") >> on_cpu;
    sum += on_cpu;
  }
  return sum;
}

uint64_t Daemon::rss_bytes() const {
  uint64_t total = 0;
  uint64_t resident = 0;
  std::ifstream("/proc/" + std::to_string(serving_pid()) + "/statm") >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace dpfs::test
