// SPDX-License-Identifier: Apache-2.0
// A VMM whose vhost-user messages lie: it is refused or sent away, and the next one is served.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <vector>

#include "tests/integration/attacked_daemon.h"

namespace dpfs::test {
namespace {

using driver::VhostUserConnection;
using vhost_user::Header;
using vhost_user::MemoryRegion;
using vhost_user::Request;
namespace header_flag = vhost_user::header_flag;

class BadVmm : public AttackedDaemon {
 protected:
  VhostUserConnection acknowledged() {
    VhostUserConnection vmm = connect();
    EXPECT_TRUE(vmm.set(Request::set_protocol_features, vhost_user::protocol_feature::kReplyAck));
    vmm.acknowledge = true;
    return vmm;
  }
  static bool hung_up(const VhostUserConnection& vmm) {
    return eventually([&] { return vmm.peer_has_closed(); });
  }
  static std::string message(uint32_t request, uint32_t size, std::string_view payload = {},
                             uint32_t flags = header_flag::kVersion) {
    const Header header{request, flags, size};
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
           std::string(payload);
  }
  static std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
  }
  static Fd memory(size_t size) {
    Fd fd(memfd_create("dpfs-test", MFD_CLOEXEC));
    EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
    return fd;
  }
  Errno add_region(VhostUserConnection& vmm, const MemoryRegion& region, const Fd& fd) {
    const vhost_user::SingleMemoryRegion single{0, region};
    const int number = fd.get();
    return vmm.request(Request::add_mem_reg, VhostUserConnection::bytes_of(single), {&number, 1})
        .error();
  }
};

TEST_F(BadVmm, TruncatedMessageAndHangUpIsForgotten) {
  VhostUserConnection vmm = connect();
  ASSERT_TRUE(vmm.send_raw(bytes_of(message(2, 8, "abc"))));
}

TEST_F(BadVmm, TruncatedHeaderAndHangUpIsForgotten) {
  VhostUserConnection vmm = connect();
  ASSERT_TRUE(vmm.send_raw(bytes_of(std::string("\x01\0\0", 3))));
}

TEST_F(BadVmm, SizeThatOverflowsIsSentAway) {
  for (const uint32_t size : {4096u, 0x80000000u, UINT32_MAX}) {
    VhostUserConnection vmm = connect();
    ASSERT_TRUE(vmm.send_raw(bytes_of(message(5, size))));
    EXPECT_TRUE(hung_up(vmm)) << size;
  }
  EXPECT_TRUE(logged_eventually("no vhost-user message"));
}

TEST_F(BadVmm, WrongVersionIsSentAway) {
  VhostUserConnection vmm = connect();
  ASSERT_TRUE(vmm.send_raw(bytes_of(message(1, 0, {}, 2))));
  EXPECT_TRUE(hung_up(vmm));
}

TEST_F(BadVmm, HttpIsSentAway) {
  VhostUserConnection vmm = connect();
  ASSERT_TRUE(vmm.send_raw(bytes_of("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")));
  EXPECT_TRUE(hung_up(vmm));
}

TEST_F(BadVmm, TooManyDescriptorsAreSentAwayAndClosed) {
  const Fd fd = memory(4096);
  for (const size_t count : {9u, 32u, 60u}) {
    VhostUserConnection vmm = connect();
    const std::vector<int> fds(count, fd.get());
    ASSERT_TRUE(vmm.send_raw(bytes_of(message(1, 0)), fds));
    EXPECT_TRUE(hung_up(vmm)) << count;
  }
}

TEST_F(BadVmm, DescriptorsOfATruncatedMessageAreClosed) {
  const Fd fd = memory(4096);
  const std::array<int, 8> fds{fd.get(), fd.get(), fd.get(), fd.get(),
                               fd.get(), fd.get(), fd.get(), fd.get()};
  VhostUserConnection vmm = connect();
  ASSERT_TRUE(vmm.send_raw(bytes_of(message(5, 40, "abc")), fds));
}

TEST_F(BadVmm, MissingDescriptorIsRefused) {
  VhostUserConnection vmm = acknowledged();
  EXPECT_EQ(vmm.set(Request::set_vring_kick, 1).error(), Errno::inval);
  EXPECT_EQ(vmm.set(Request::set_vring_call, 1).error(), Errno::inval);
  EXPECT_EQ(vmm.command(Request::set_backend_req_fd).error(), Errno::inval);
  vhost_user::MemoryTable table{.num_regions = 1, .padding = 0, .regions = {}};
  table.regions[0] = {0x1000, 0x1000, 0x1000, 0};
  EXPECT_EQ(
      vmm.request(Request::set_mem_table, VhostUserConnection::bytes_of(table).first(40)).error(),
      Errno::inval);
}

TEST_F(BadVmm, DescriptorThatIsNoMemoryIsRefused) {
  VhostUserConnection vmm = acknowledged();
  const Fd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(add_region(vmm, {0x1000, 0x1000, 0x1000, 0}, event), Errno::inval);
}

TEST_F(BadVmm, MemoryLongerThanItsFileIsRefused) {
  VhostUserConnection vmm = acknowledged();
  const Fd fd = memory(4096);
  EXPECT_EQ(add_region(vmm, {0x1000, 8192, 0x1000, 0}, fd), Errno::inval);
  EXPECT_EQ(add_region(vmm, {0x1000, 4096, 0x1000, 1}, fd), Errno::inval);
}

TEST_F(BadVmm, MemoryThatOverflowsIsRefused) {
  VhostUserConnection vmm = acknowledged();
  const Fd fd = memory(4096);
  EXPECT_EQ(add_region(vmm, {UINT64_MAX - 100, 4096, 0x1000, 0}, fd), Errno::inval);
  EXPECT_EQ(add_region(vmm, {0x1000, 4096, UINT64_MAX - 100, 0}, fd), Errno::inval);
  EXPECT_EQ(add_region(vmm, {0x1000, 4096, 0x1000, UINT64_MAX - 100}, fd), Errno::inval);
  EXPECT_EQ(add_region(vmm, {0x1000, UINT64_MAX, 0x1000, 0}, fd), Errno::inval);
}

TEST_F(BadVmm, MemoryThatOverlapsIsRefused) {
  VhostUserConnection vmm = acknowledged();
  const Fd fd = memory(8192);
  EXPECT_EQ(add_region(vmm, {0x1000, 8192, 0x1000, 0}, fd), Errno::none);
  EXPECT_EQ(add_region(vmm, {0x2000, 4096, 0x90000, 0}, fd), Errno::inval);
}

// The ring's memory ends while it is used: a fault of that tenant alone.
TEST_F(BadVmm, MemoryThatIsTruncatedLaterHarmsNobodyElse) {
  driver::Tenant& tenant = attacker();
  const driver::Memory::Region& region = tenant.device.memory().regions()[0];
  // Both sides have it mapped; after this neither may look at it, so only the kick is left.
  ASSERT_EQ(ftruncate(region.fd.get(), 0), 0);
  tenant.device.queue(1).kick();
  EXPECT_TRUE(healthy_->mount.getattr(1));
  ASSERT_EQ(ftruncate(region.fd.get(), static_cast<off_t>(region.size)), 0);
}

TEST_F(BadVmm, RingBeforeMemoryIsRefused) {
  VhostUserConnection vmm = acknowledged();
  const Fd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(vmm.set(Request::set_vring_kick, 1, event.get()).error(), Errno::inval);
}

TEST_F(BadVmm, RingThatDoesNotExistIsRefused) {
  VhostUserConnection vmm = acknowledged();
  EXPECT_EQ(vmm.set_vring(Request::set_vring_num, 65, 128).error(), Errno::inval);
  EXPECT_EQ(vmm.set_vring(Request::set_vring_num, UINT32_MAX, 128).error(), Errno::inval);
  EXPECT_EQ(vmm.set_vring(Request::set_vring_enable, 1000, 1).error(), Errno::inval);
}

TEST_F(BadVmm, RingOfAnImpossibleSizeIsRefused) {
  VhostUserConnection vmm = acknowledged();
  for (const uint32_t size : {0u, 2048u, 65536u, UINT32_MAX}) {
    EXPECT_EQ(vmm.set_vring(Request::set_vring_num, 1, size).error(), Errno::inval) << size;
  }
}

TEST_F(BadVmm, BaseOfARingThatDoesNotExistIsSentAway) {
  VhostUserConnection vmm = connect();
  EXPECT_EQ(vmm.get_vring_base(1000).error(), Errno::notconn);
}

TEST_F(BadVmm, UnknownMessageIsRefused) {
  VhostUserConnection vmm = acknowledged();
  EXPECT_EQ(vmm.request(static_cast<Request>(200), {}).error(), Errno::inval);
  EXPECT_TRUE(vmm.get(Request::get_features));
}

TEST_F(BadVmm, RefusalIsAHangUpWhereNobodyAsksForAnswers) {
  VhostUserConnection vmm = connect();
  ASSERT_TRUE(vmm.set(Request::set_features, UINT64_MAX));
  EXPECT_TRUE(hung_up(vmm));
  EXPECT_TRUE(logged_eventually("refused"));
}

TEST_F(BadVmm, ThousandRefusalsAreNoThousandLinesOfLog) {
  VhostUserConnection vmm = acknowledged();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(vmm.request(static_cast<Request>(200), {}).error(), Errno::inval);
  }
  EXPECT_LT(daemon_->log().size(), 20'000u);
}

TEST_F(BadVmm, ConfigurationBeyondItsEndIsRefused) {
  VhostUserConnection vmm = connect();
  std::array<std::byte, 64> bytes;
  EXPECT_EQ(vmm.get_config(0, bytes).error(), Errno::inval);
  EXPECT_EQ(vmm.get_config(UINT32_MAX, std::span(bytes).first(4)).error(), Errno::inval);
}

TEST_F(BadVmm, VmmThatReadsNoAnswersIsSentAway) {
  VhostUserConnection vmm = connect();
  const std::string question = message(1, 0);
  for (int i = 0; i < 100'000 && !vmm.peer_has_closed(); ++i) {
    // It must not wait either: what cannot be sent is not sent.
    send(vmm.fd(), question.data(), question.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  EXPECT_TRUE(hung_up(vmm));
}

TEST_F(BadVmm, FullPipeAsDescriptorHoldsUpNobody) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  const std::string page(4096, 'x');
  while (write(write_end.get(), page.data(), page.size()) > 0) {
  }
  while (write(write_end.get(), page.data(), 1) > 0) {
  }
  fcntl(write_end.get(), F_SETFL, 0);
  driver::Tenant& tenant = attacker();
  VhostUserConnection& vmm = tenant.device.connection();
  ASSERT_TRUE(vmm.set(Request::set_vring_err, 1, write_end.get()));
  ASSERT_TRUE(vmm.set(Request::set_vring_call, 1, write_end.get()));
  tenant.device.queue(1).force(tenant.device.queue(1).size());
  EXPECT_TRUE(healthy_->mount.getattr(1));
}

TEST_F(BadVmm, SecondVmmWaitsForTheFirst) {
  attacker();
  VhostUserConnection second = connect();
  ASSERT_TRUE(second.send_raw(bytes_of(message(1, 0))));
  EXPECT_TRUE(attacker().mount.getattr(1));
  attacker_.reset();
  uint64_t features = 0;
  EXPECT_TRUE(second.receive(std::as_writable_bytes(std::span(&features, 1))));
  EXPECT_NE(features & virtio::feature::kVersion1, 0u);
}

}  // namespace
}  // namespace dpfs::test
