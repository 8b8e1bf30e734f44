// SPDX-License-Identifier: Apache-2.0
// The log never waits for who reads it.
#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/fd.h"

namespace dpfs {
namespace {

// Puts a pipe in place of stderr for as long as it lives.
class StderrPipe {
 public:
  StderrPipe() : before_(dup(STDERR_FILENO)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    reader_.reset(ends[0]);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    fcntl(reader_.get(), F_SETFL, O_NONBLOCK);
  }
  StderrPipe(const StderrPipe&) = delete;
  StderrPipe& operator=(const StderrPipe&) = delete;
  ~StderrPipe() { dup2(before_.get(), STDERR_FILENO); }

  void fill() {
    const std::string page(4096, '.');
    while (write_without_waiting(page)) {
    }
  }
  std::string drain() {
    std::string all;
    std::array<char, 65536> buffer{};
    for (ssize_t n = 0; (n = read(reader_.get(), buffer.data(), buffer.size())) > 0;) {
      all.append(buffer.data(), static_cast<size_t>(n));
    }
    return all;
  }

 private:
  static bool write_without_waiting(const std::string& text) {
    const int flags = fcntl(STDERR_FILENO, F_GETFL);
    fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
    const bool written = write(STDERR_FILENO, text.data(), text.size()) > 0;
    fcntl(STDERR_FILENO, F_SETFL, flags);
    return written;
  }
  Fd before_;
  Fd reader_;
};

TEST(Log, LinesThatNobodyReadsAreDroppedAndCounted) {
  StderrPipe pipe;
  pipe.fill();
  for (int i = 0; i < 3; ++i) log::info("lost {}", i);  // would wait for ever
  pipe.drain();
  log::info("kept");
  const std::string text = pipe.drain();
  EXPECT_NE(text.find("3 lines were dropped"), std::string::npos) << text;
  EXPECT_NE(text.find("kept"), std::string::npos);
  EXPECT_EQ(text.find("lost"), std::string::npos);
}

}  // namespace
}  // namespace dpfs
