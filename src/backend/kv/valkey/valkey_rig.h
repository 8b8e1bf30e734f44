// SPDX-License-Identifier: Apache-2.0
// ValkeyRig: real servers for a test, started by tools/rig/valkey.py and ended with the test.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "io/address.h"

extern char** environ;  // NOLINT: POSIX has it declared by the program

namespace dpfs::kv {

// "host:port,host:port", as URLs have it.
inline std::vector<Address> valkey_addresses(const std::string& text) {
  std::vector<Address> addresses;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string one = text.substr(at, end - at);
    const size_t colon = one.rfind(':');
    for (const Address& address :
         look_up(one.substr(0, colon), static_cast<uint16_t>(std::stoi(one.substr(colon + 1))))) {
      addresses.push_back(address);
    }
    at = end + 1;
  }
  return addresses;
}

class ValkeyRig {
 public:
  explicit ValkeyRig(const std::vector<std::string>& options) {
    const char* const source = getenv("DPFS_SOURCE_DIR");
    if (source == nullptr) {
      missing_ = "DPFS_SOURCE_DIR does not say where tools/rig/valkey.py is";
      return;
    }
    start(std::string(source) + "/tools/rig/valkey.py", options);
    const std::string url = line();
    const size_t begin = url.find("//");
    if (begin == std::string::npos) {
      missing_ = why_not();
      return;
    }
    address_ = url.substr(begin + 2, url.rfind('/') - begin - 2);
  }
  ValkeyRig(const ValkeyRig&) = delete;
  ValkeyRig& operator=(const ValkeyRig&) = delete;
  ~ValkeyRig() { end(); }

  // Why there are no servers, or nothing.
  const std::string& missing() const noexcept { return missing_; }
  // "host:port,host:port"
  const std::string& address() const noexcept { return address_; }
  // What the rig answers to a command of its own ("kill 0"): "ok ..." or "error ...".
  std::string tell(const std::string& command) {
    const std::string text = command + '\n';
    if (write(to_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return {};
    return line();
  }

 private:
  void start(std::string script, const std::vector<std::string>& options) {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) return;
    const Fd in_read(in[0]);
    to_ = Fd(in[1]);
    const Fd out_write(out[1]);
    from_ = Fd(out[0]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in_read.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out_write.get(), STDOUT_FILENO);
    std::vector<std::string> words{"python3", std::move(script), "--no-fetch"};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (posix_spawnp(&child_, "python3", &actions, nullptr, arguments.data(), environ) != 0) {
      child_ = -1;
    }
    posix_spawn_file_actions_destroy(&actions);
  }

  std::string line() {
    std::string text;
    char c = 0;
    while (from_ && read(from_.get(), &c, 1) == 1 && c != '\n') text.push_back(c);
    return text;
  }

  std::string why_not() {
    constexpr int kNothingHere = 3;
    const int status = end();
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNothingHere) {
      return "no Valkey server here: neither tools/rig/fetch.py has been run, nor is valkey-server "
             "or redis-server installed";
    }
    return "tools/rig/valkey.py has failed; its words are above";
  }

  int end() {
    to_.reset();
    from_.reset();
    int status = 0;
    if (child_ > 0) waitpid(child_, &status, 0);
    child_ = -1;
    return status;
  }

  pid_t child_ = -1;
  Fd to_;
  Fd from_;
  std::string address_;
  std::string missing_;
};

}  // namespace dpfs::kv
