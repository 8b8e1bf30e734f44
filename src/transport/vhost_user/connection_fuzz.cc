// SPDX-License-Identifier: Apache-2.0
// A hostile VMM and its tenant: vhost-user messages with and without descriptors, rings and FUSE
// messages out of any bytes, against a real server on a running reactor. The server must outlive
// each run, serve the next VMM, and keep no descriptor.
#include <fcntl.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "fuse/fake_filesystem.h"
#include "fuse/fake_message.h"
#include "fuse/fuzz_input.h"
#include "transport/vhost_user/fake_vmm.h"

namespace dpfs::vhost_user {
namespace {

constexpr size_t kStepsMax = 64;

// One server for all runs, as in life.
struct House {
  const Fd null{open("/dev/null", O_RDWR | O_CLOEXEC)};
  FakeFileSystem fs;
  RunningServer server{fs, {.tag = "fuzz", .request_queues = 2, .queue_size_max = 64}};
};
House& house() {
  static auto* const the_house = new House;  // its threads live as long as the process
  return *the_house;
}

std::unique_ptr<FakeVmm> next_vmm() {
  auto vmm = std::make_unique<FakeVmm>(house().server);
  vmm->send(Request::get_features);
  const auto reply = vmm->receive();
  DPFS_ASSERT(reply && reply->u64() == FakeVmm::kFeatures);
  return vmm;
}

class Run {
 public:
  Run(FakeVmm& vmm, FuzzInput input) : vmm_(vmm), input_(input) {}

  void go() {
    const uint8_t begin = input_.byte();
    if ((begin & 1) == 0) {
      vmm_.bring_up(begin % 3);
      if ((begin & 2) == 0) fuse_message(bytes_of(dpfs::linux_init()), fuse::Opcode::init);
    }
    for (size_t steps = 0; !input_.empty() && steps < kStepsMax; ++steps) {
      step();
      drain();
    }
  }

 private:
  void step() {
    switch (input_.byte() % 12) {
      case 0:
        return vmm_.send_raw(input_.bytes(input_.byte()));
      case 1:
        return send(static_cast<Request>(input_.byte() % (kRequestMax + 3)),
                    input_.bytes(input_.byte()));
      case 2:
        return table();
      case 3:
        return region();
      case 4:
        return vring_state();
      case 5:
        return vring_addr();
      case 6:
        return vring_fd();
      case 7:
        return fuse_message(input_.bytes(input_.byte()),
                            static_cast<fuse::Opcode>(input_.byte() % 56));
      case 8:
        return scribble();
      case 9:
        return vmm_.kick_it();
      case 10:
        return file_system();
      case 11:
        return truncate_memory();
    }
  }

  // As the protocol wants it, or with a length, flags or descriptors that lie.
  void send(Request request, std::string payload, int fds = 0) {
    const uint8_t how = input_.byte();
    if ((how & 1) != 0) fds = input_.byte() % 12;
    std::vector<int> numbers;
    for (int i = 0; i < fds; ++i) numbers.push_back(descriptor());
    std::string message =
        FakeVmm::message(request, payload, (how & 2) != 0 ? header_flag::kNeedReply : 0);
    if ((how & 12) == 12) message.resize(message.size() - std::min<size_t>(message.size(), 3));
    if ((how & 240) == 240) {
      const auto size = input_.take<uint32_t>();
      std::memcpy(message.data() + offsetof(Header, size), &size, sizeof size);
    }
    vmm_.send_raw(message, numbers);
  }
  int descriptor() {
    switch (input_.byte() % 8) {
      case 0:
        return vmm_.kick.get();
      case 1:
        return vmm_.call.get();
      case 2:
        // Not the connection's own end: a server that holds that never sees it hang up.
        return house().null.get();
      default:
        return vmm_.memory_fd();
    }
  }

  MemoryRegion memory_region() {
    MemoryRegion region = FakeVmm::ring_region();
    const uint8_t how = input_.byte();
    if ((how & 1) != 0) region.guest_phys_addr += input_.take<uint16_t>() * 4096ull;
    if ((how & 2) != 0) region.user_addr += input_.take<uint16_t>() * 64ull;
    if ((how & 4) != 0) region.memory_size = input_.take<uint32_t>();
    if ((how & 8) != 0) region.mmap_offset = input_.take<uint16_t>();
    if ((how & 16) != 0) region.memory_size = input_.take<uint64_t>();
    if ((how & 32) != 0) region.mmap_offset = input_.take<uint64_t>();
    if ((how & 64) != 0) region.guest_phys_addr = input_.take<uint64_t>();
    return region;
  }
  void table() {
    const uint32_t count = input_.byte() % 4;
    std::string payload = FakeVmm::bytes_of(count) + FakeVmm::bytes_of(uint32_t{0});
    for (uint32_t i = 0; i < count; ++i) payload += FakeVmm::bytes_of(memory_region());
    send(Request::set_mem_table, payload, static_cast<int>(count));
  }
  void region() {
    const bool add = input_.byte() % 2 == 0;
    send(add ? Request::add_mem_reg : Request::rem_mem_reg,
         FakeVmm::bytes_of(SingleMemoryRegion{0, memory_region()}), add ? 1 : 0);
  }

  uint32_t ring_index() {
    const uint8_t index = input_.byte();
    return index == 255 ? input_.take<uint32_t>() : index % 4;
  }
  void vring_state() {
    static constexpr Request kRequests[] = {Request::set_vring_num, Request::set_vring_base,
                                            Request::get_vring_base, Request::set_vring_enable};
    const Request request = kRequests[input_.byte() % 4];
    const VringState state{ring_index(), input_.take<uint16_t>() % 130u};
    send(request, FakeVmm::bytes_of(state));
  }
  void vring_addr() {
    VringAddr addr = FakeVmm::ring_addr(ring_index());
    const uint8_t how = input_.byte();
    if ((how & 1) != 0) addr.desc_user_addr += input_.take<uint32_t>();
    if ((how & 2) != 0) addr.avail_user_addr += input_.take<uint32_t>();
    if ((how & 4) != 0) addr.used_user_addr += input_.take<uint32_t>();
    send(Request::set_vring_addr, FakeVmm::bytes_of(addr));
  }
  void vring_fd() {
    static constexpr Request kRequests[] = {Request::set_vring_kick, Request::set_vring_call,
                                            Request::set_vring_err};
    const Request request = kRequests[input_.byte() % 3];
    const bool has_fd = input_.byte() % 4 != 0;
    const uint64_t value = ring_index() | (has_fd ? 0 : vring_fd::kNoFd);
    send(request, FakeVmm::bytes_of(value), has_fd ? 1 : 0);
  }

  void fuse_message(const std::string& args, fuse::Opcode opcode) {
    fuse::InHeader header{.len = static_cast<uint32_t>(sizeof header + args.size()),
                          .opcode = static_cast<uint32_t>(opcode),
                          .unique = 2,
                          .nodeid = 1};
    const std::string bytes = FakeVmm::bytes_of(header) + args;
    std::memcpy(vmm_.ring.region->base() + FakeRing::kData, bytes.data(), bytes.size());
    vmm_.ring.desc(0) = {FakeRing::data(0), static_cast<uint32_t>(bytes.size()),
                         virtio::desc_flag::kNext, 1};
    vmm_.ring.desc(1) = {FakeRing::data(0x1000), 4096, virtio::desc_flag::kWrite, 0};
    vmm_.ring.offer(0);
    vmm_.kick_it();
  }
  void scribble() {
    const uint8_t where = input_.byte();
    if (where < 16) {
      vmm_.ring.avail_idx() = input_.take<uint16_t>();
    } else if (where < 64) {
      vmm_.ring.offer(input_.byte() % 10);
    } else {
      virtio::Desc& desc = vmm_.ring.desc(where % 8);
      desc.addr = FakeRing::kGuest + input_.take<uint32_t>();
      desc.len = input_.take<uint16_t>();
      desc.flags = input_.byte() & 7;
      desc.next = input_.byte() % 9;
    }
  }
  void file_system() {
    const uint8_t how = input_.byte();
    house().server.running().call([how] {
      house().fs.hold((how & 1) != 0);
      if ((how & 2) != 0) house().fs.release((how & 4) != 0);
    });
  }
  void truncate_memory() {
    if (input_.byte() % 16 != 0) return;
    [[maybe_unused]] const int status = ftruncate(vmm_.memory_fd(), input_.take<uint16_t>());
  }

  // A VMM that does not read its answers is sent away: read them.
  void drain() {
    char bytes[4096];
    while (recv(vmm_.fd(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
  }

  FakeVmm& vmm_;
  FuzzInput input_;
};

void run(const uint8_t* data, size_t size) {
  static std::unique_ptr<FakeVmm> vmm = [] {
    std::signal(SIGPIPE, SIG_IGN);
    log::set_level(log::Level::error);
    return next_vmm();
  }();
  const size_t before = open_descriptors();
  Run(*vmm, FuzzInput(data, size)).go();
  vmm.reset();
  house().server.running().call([] {
    house().fs.release_all();
    house().fs.hold(false);
  });
  vmm = next_vmm();
  DPFS_ASSERT(open_descriptors() == before);
}

}  // namespace
}  // namespace dpfs::vhost_user

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::vhost_user::run(data, size);
  return 0;
}
