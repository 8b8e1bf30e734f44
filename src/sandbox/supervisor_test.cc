// SPDX-License-Identifier: Apache-2.0
// The two processes: signals and words go on, and each ends with the other.
#include "sandbox/supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "sandbox/in_child.h"

namespace dpfs::sandbox {
namespace {

class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~SupervisorTest() override {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    pthread_sigmask(SIG_UNBLOCK, &child, nullptr);
    if (!folder_.empty()) {
      unlink((folder_ + "/notify").c_str());
      rmdir(folder_.c_str());
    }
  }
  int run(const std::function<int(const Notifier&)>& worker) {
    const Notifier up = Notifier::to_service_manager();
    Supervisor supervisor(signals_, worker);
    return supervisor.run(up);
  }
  // What a service manager would hear, whole.
  std::string heard(const std::function<int(const Notifier&)>& worker) {
    char path[] = "/tmp/dpfs_notify_XXXXXX";
    folder_ = mkdtemp(path);
    const Fd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = folder_ + "/notify";
    std::memcpy(address.sun_path, name.data(), name.size());
    EXPECT_EQ(bind(manager.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    run(worker);
    unsetenv("NOTIFY_SOCKET");
    std::string all;
    char text[256];
    for (ssize_t size = 0; (size = recv(manager.get(), text, sizeof text, 0)) > 0;) {
      all += std::string(text, static_cast<size_t>(size)) + ";";
    }
    return all;
  }

  sigset_t signals_;
  sigset_t before_;
  std::string folder_;
};

TEST_F(SupervisorTest, ReturnsWhatTheWorkerReturns) {
  EXPECT_EQ(run([](const Notifier&) { return 0; }), 0);
  EXPECT_EQ(run([](const Notifier&) { return 42; }), 42);
}

TEST_F(SupervisorTest, ReturnsTheSignalThatEndedTheWorker) {
  EXPECT_EQ(run([](const Notifier&) { return kill(getpid(), SIGKILL); }), 128 + SIGKILL);
}

TEST_F(SupervisorTest, PassesSignalsOn) {
  const pid_t supervisor = getpid();
  EXPECT_EQ(run([&](const Notifier&) {
              kill(supervisor, SIGUSR1);
              int number = 0;
              sigwait(&signals_, &number);
              return number;
            }),
            SIGUSR1);
}

TEST_F(SupervisorTest, TellsTheServiceManagerWhatTheWorkerMaySay) {
  EXPECT_EQ(heard([](const Notifier& up) {
              up.say("READY=1");
              return 0;
            }),
            "READY=1;");
}

TEST_F(SupervisorTest, PassesOnNothingElse) {
  EXPECT_EQ(heard([](const Notifier& up) {
              up.say("MAINPID=1\nFDSTORE=1\nSTOPPING=1");
              return 0;
            }),
            "STOPPING=1;");
}

TEST_F(SupervisorTest, WorkerDiesWithIt) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(in_child([&] {
              close(ends[0]);
              Supervisor supervisor(signals_, [](const Notifier&) { return pause(); });
              return 3;
            }),
            3);
  close(ends[1]);
  // The worker had the last descriptor of it.
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0);
  close(ends[0]);
}

}  // namespace
}  // namespace dpfs::sandbox
