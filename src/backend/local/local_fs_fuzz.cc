// SPDX-License-Identifier: Apache-2.0
// A session over the local back end, on a directory of its own. Besides what must hold for every
// session: nothing outside of the directory changes.
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>

#include "backend/local/local_fs.h"
#include "fuse/session_fuzz.h"

namespace dpfs {
namespace {

// One for all runs; a run begins with a fresh share.
class World {
 public:
  World() {
    ::umask(0);
    // What a tenant may ask for must not fill this machine, or stay on it for ever.
    const rlimit files{.rlim_cur = 4 << 20, .rlim_max = 4 << 20};
    ::setrlimit(RLIMIT_FSIZE, &files);
    std::signal(SIGXFSZ, SIG_IGN);
    drop_immutable();
    std::string pattern = std::filesystem::temp_directory_path() / "dpfs_fuzz_XXXXXX";
    DPFS_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    share_ = root_ / "share";
    std::ofstream(root_ / "outside") << "outside";
    thread_ = std::thread([this] { reactor_.run(); });
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    reactor_.stop();
    thread_.join();
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  template <class F>
  void on_reactor(F task) {
    std::promise<void> done;
    reactor_.post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  void run(const uint8_t* data, size_t size) {
    std::filesystem::remove_all(share_);
    std::filesystem::create_directory(share_);
    std::ofstream(share_ / "file") << "content";
    std::filesystem::create_directory(share_ / "directory");
    std::filesystem::create_symlink("../outside", share_ / "leaves");
    LocalFs fs(reactor_, {.path = share_});
    const auto on_session = [this](auto task) { on_reactor(task); };
    // What waits for a lock would wait for ever.
    const auto later = [this, &fs](uint8_t how) {
      if (how == 0xff) on_reactor([&fs] { fs.end_waits(); });
    };
    SessionFuzzer(fs, "file", later, FuzzInput(data, size), on_session).go();
    check_outside();
  }

 private:
  void check_outside() const {
    std::string text;
    std::ifstream(root_ / "outside") >> text;
    DPFS_ASSERT(text == "outside");
    size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(root_)) ++entries;
    DPFS_ASSERT(entries == 2);
  }
  static void drop_immutable() {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct capabilities[_LINUX_CAPABILITY_U32S_3] = {};
    ::syscall(SYS_capget, &header, capabilities);
    capabilities[0].effective &= ~(1u << CAP_LINUX_IMMUTABLE);
    capabilities[0].permitted &= ~(1u << CAP_LINUX_IMMUTABLE);
    ::syscall(SYS_capset, &header, capabilities);
  }

  std::filesystem::path root_;
  std::filesystem::path share_;
  Reactor reactor_{Reactor::Options{}};
  std::thread thread_;
};

}  // namespace
}  // namespace dpfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static dpfs::World world;
  world.run(data, size);
  return 0;
}
