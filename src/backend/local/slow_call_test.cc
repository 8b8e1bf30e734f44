// SPDX-License-Identifier: Apache-2.0
// A system call that takes long: others are served meanwhile, and what it uses stays.
//
// Calls are made slow by memory that is not there yet: the kernel waits for it in the middle of
// reading or writing, until the test provides it (userfaultfd(2)).
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "backend/local/local_fs_harness.h"

namespace dpfs::local {
namespace {

constexpr size_t kPage = 4096;

class SlowPage {
 public:
  SlowPage() : uffd_(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK))) {
    if (!uffd_) return;
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    page_ = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register range{
        .range = {address(), kPage}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
    if (::ioctl(uffd_.get(), UFFDIO_API, &api) != 0 ||
        ::ioctl(uffd_.get(), UFFDIO_REGISTER, &range) != 0) {
      uffd_.reset();
    }
  }
  ~SlowPage() {
    if (page_ != nullptr) ::munmap(page_, kPage);
  }

  bool usable() const { return static_cast<bool>(uffd_); }
  iovec part() const { return {page_, kPage}; }
  const char* text() const { return static_cast<const char*>(page_); }

  // Until somebody waits for the page.
  void wait_for_fault() {
    pollfd event{.fd = uffd_.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&event, 1, 20'000), 1);
    uffd_msg message;
    ASSERT_EQ(::read(uffd_.get(), &message, sizeof message), static_cast<ssize_t>(sizeof message));
  }
  void provide(char fill) {
    alignas(kPage) static char source[kPage];
    std::memset(source, fill, sizeof source);
    uffdio_copy copy{.dst = address(),
                     .src = reinterpret_cast<uintptr_t>(source),
                     .len = kPage,
                     .mode = 0,
                     .copy = 0};
    ASSERT_EQ(::ioctl(uffd_.get(), UFFDIO_COPY, &copy), 0);
  }

 private:
  uint64_t address() const { return reinterpret_cast<uintptr_t>(page_); }
  Fd uffd_;
  void* page_ = nullptr;
};

class SlowCall : public LocalFsTest {
 protected:
  void SetUp() override {
    if (!page.usable()) GTEST_SKIP() << "no userfaultfd here: " << std::strerror(errno);
  }
  SlowPage page;
};
INSTANTIATE_TEST_SUITE_P(Both, SlowCall, testing::Bool(), mode_name);

TEST_P(SlowCall, WriteOutlivesItsHandleAndItsNode) {
  host_write("slow", "");
  host_write("other", "quick");
  const NodeId slow = node("slow");
  const NodeId other = node("other");
  const Handle handle = open(slow);
  const iovec part = page.part();
  std::promise<Result<fuse::WriteOut>> answer;
  std::thread poster([&] {
    on_reactor([&] {
      answer_later(fs().write(request(), {.node = slow,
                                          .handle = handle,
                                          .offset = 0,
                                          .flags = 0,
                                          .write_flags = 0,
                                          .from = IoView({&part, 1})}),
                   answer);
    });
  });
  page.wait_for_fault();
  // All of this is answered while the write waits.
  EXPECT_EQ(read(other, open(other, O_RDONLY), 0, 100), "quick");
  release(slow, handle);
  forget(slow);
  EXPECT_EQ(call(&LocalFs::getattr, {.node = slow}).error(), Errno::stale);
  ASSERT_TRUE(call(&LocalFs::unlink, {.parent = NodeId::root, .name = name_of("other")}));
  page.provide('w');
  const Result<fuse::WriteOut> put = answer.get_future().get();
  poster.join();
  ASSERT_TRUE(put);
  EXPECT_EQ(put->size, kPage);
  EXPECT_EQ(host_read("slow"), std::string(kPage, 'w'));
}

TEST_P(SlowCall, ReadIntoMemoryThatIsNotThereDelaysNobody) {
  host_write("slow", std::string(kPage, 'r'));
  host_write("other", "quick");
  const NodeId slow = node("slow");
  const NodeId other = node("other");
  const Handle handle = open(slow, O_RDONLY);
  const iovec part = page.part();
  std::promise<Result<uint32_t>> answer;
  std::thread poster([&] {
    on_reactor([&] {
      answer_later(fs().read(request(), {.node = slow,
                                         .handle = handle,
                                         .offset = 0,
                                         .flags = 0,
                                         .into = IoView({&part, 1})}),
                   answer);
    });
  });
  page.wait_for_fault();
  EXPECT_EQ(read(other, open(other, O_RDONLY), 0, 100), "quick");
  release(slow, handle);
  page.provide('-');
  const Result<uint32_t> got = answer.get_future().get();
  poster.join();
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, kPage);
  EXPECT_EQ(std::string(page.text(), kPage), std::string(kPage, 'r'));
}

}  // namespace
}  // namespace dpfs::local
