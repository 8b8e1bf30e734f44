// SPDX-License-Identifier: Apache-2.0
// What a hostile server sends, in pieces as a network may cut it: marks, fragments, long answers
// that are received into their place, also when that has gone. Each record comes out as it was
// sent, in order; nonsense ends the connection; nothing is left waiting.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backend/nfs/connection.h"
#include "base/assert.h"
#include "base/op.h"
#include "fuse/fuzz_input.h"
#include "guest/fake_guest.h"
#include "io/reactor_harness.h"

namespace dpfs::nfs {
namespace {

constexpr size_t kRecordMax = 300 * 1024;
constexpr size_t kMemoryBytes = 512 * 1024;
constexpr size_t kStreamMax = 1024 * 1024;
constexpr uint32_t kLastFragment = 0x80000000;

// One reactor and one server for all runs.
struct House : RunningReactor {
  Fd listener{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  Address address;

  House() : RunningReactor({.io_uring = false}) {
    signal(SIGPIPE, SIG_IGN);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    DPFS_ASSERT(bind(listener.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    DPFS_ASSERT(listen(listener.get(), 8) == 0);
    address.size = sizeof address.bytes;
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address.bytes), &address.size);
  }
};
House& house() {
  static auto* const the_house = new House;  // its thread lives as long as the process
  return *the_house;
}

void put_u32(std::string& to, uint32_t value) {
  value = to_big_endian(value);
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// A byte that tells where in the stream it is.
char pattern(size_t at) { return static_cast<char>(at * 7 + at / 256); }

// What is sent, and where it is cut.
class Stream {
 public:
  explicit Stream(FuzzInput& input) {
    for (int steps = 0; steps < 24 && !input.empty() && bytes.size() < kStreamMax; ++steps) {
      switch (input.byte() % 7) {
        case 0:
          bytes += input.bytes(input.byte());
          break;
        case 1:
          record(input.bytes(input.byte()), true);
          break;
        case 2:
          record(input.bytes(input.byte()), false);
          break;
        case 3:
          record(patterned(input.take<uint16_t>() * size_t{4}), (input.byte() & 1) == 0);
          break;
        case 4:
          record(read_answer(input), true);
          break;
        case 5:
          cuts.push_back(bytes.size() - std::min<size_t>(bytes.size(), input.byte()));
          break;
        case 6:
          cuts.push_back(bytes.size() - std::min<size_t>(bytes.size(), input.take<uint32_t>()));
          break;
      }
    }
  }
  std::string bytes;
  std::vector<size_t> cuts;

 private:
  void record(const std::string& payload, bool last) {
    put_u32(bytes, static_cast<uint32_t>(payload.size()) | (last ? kLastFragment : 0));
    bytes += payload;
  }
  std::string patterned(size_t size) const {
    std::string text(size, 0);
    for (size_t i = 0; i < size; ++i) text[i] = pattern(bytes.size() + i);
    return text;
  }
  // To SEQUENCE, PUTFH and READ, some bytes of its head changed, and the length of its data wrong
  // now and then.
  std::string read_answer(FuzzInput& input) const {
    const size_t size = input.take<uint16_t>() * size_t{4} + input.byte() % 4;
    const uint8_t lie = input.byte();
    std::string text;
    for (const uint32_t word : {1u, 1u, 0u, 0u, 0u, 0u, 0u, 0u, 3u, 53u, 0u}) put_u32(text, word);
    text += std::string(36, 's');
    for (const uint32_t word : {22u, 0u, 25u, 0u, 0u}) put_u32(text, word);
    put_u32(text, static_cast<uint32_t>(size) + (lie > 240 ? lie - 248u : 0));
    for (uint8_t changes = lie % 4 == 3 ? input.byte() % 4 : 0; changes > 0; --changes) {
      text[input.byte() % text.size()] ^= static_cast<char>(input.byte());
    }
    text += patterned(size);
    text.resize(text.size() + xdr_padding(size));
    return text;
  }
};

// The records of a stream, read as plainly as can be. `good` is false when nonsense follows.
struct Expected {
  std::vector<std::string> records;
  bool good = true;

  explicit Expected(const std::string& bytes) {
    std::string record;
    for (size_t at = 0; at + sizeof(uint32_t) <= bytes.size();) {
      uint32_t mark;
      std::memcpy(&mark, bytes.data() + at, sizeof mark);
      mark = to_big_endian(mark);
      const size_t size = mark & ~kLastFragment;
      at += sizeof mark;
      if (record.size() + size > kRecordMax) {
        good = false;
        return;
      }
      if (bytes.size() - at < size) return;  // never whole
      record += bytes.substr(at, size);
      at += size;
      if ((mark & kLastFragment) != 0) records.push_back(std::exchange(record, {}));
    }
  }
};

class Owner final : public ConnectionOwner {
 public:
  explicit Owner(FuzzInput& input) : expected_(nullptr) {
    const uint8_t how = input.byte();
    places_ = (how & 1) != 0;
    vanishes_ = (how & 6) == 6;
    refused_ = (how & 8) != 0 ? how >> 4 : SIZE_MAX;
    const size_t piece = 1 + input.take<uint16_t>() * size_t{3};
    file_ = memory_file(kMemoryBytes);
    const Result<GuestRegion*> region =
        GuestRegion::map({GuestAddress{0}, UserAddress{0}, kMemoryBytes, 0}, file_);
    DPFS_ASSERT(region);
    region_.reset(*region);
    for (size_t at = 0; at < kMemoryBytes; at += piece) {
      parts_.push_back({region_->base() + at, std::min(piece, kMemoryBytes - at)});
    }
  }
  void expect(const Expected& expected) { expected_ = &expected; }

  void connected(Connection&) noexcept override { connected_.set_value(); }
  IoView place(Bytes head, DataPlace& place) noexcept override {
    DPFS_ASSERT(head.size() == kReadHeadBytes);
    if (!places_) return {};
    const std::optional<DataPlace> found = find_read_data(head);
    if (!found) return {};
    place = *found;
    if (vanishes_) DPFS_ASSERT(ftruncate(file_.get(), 4096) == 0);
    return IoView(parts_);
  }
  bool received(const Record& record) noexcept override {
    DPFS_ASSERT(received_ < expected_->records.size());
    const std::string& sent = expected_->records[received_];
    DPFS_ASSERT(record.bytes.size() + record.placed <= sent.size());
    DPFS_ASSERT(record.bytes.empty() ||
                std::memcmp(record.bytes.data(), sent.data(), record.bytes.size()) == 0);
    const size_t rest = sent.size() - record.bytes.size();
    DPFS_ASSERT(rest == record.placed + (record.placed > 0 ? xdr_padding(record.placed) : 0));
    if (!vanishes_) {
      DPFS_ASSERT(!record.place_failed);
      std::string data(record.placed, 0);
      IoView(parts_).copy_out(data.data(), data.size());
      DPFS_ASSERT(sent.compare(record.bytes.size(), data.size(), data) == 0);
    }
    return received_++ != refused_;
  }
  void lost(Connection&, Errno why) noexcept override {
    why_ = why;
    lost_.set_value();
  }

  void wait_until_connected() { connected_.get_future().wait(); }
  // How many came until then.
  size_t wait_until_lost() {
    lost_.get_future().wait();
    return received_;
  }
  bool refused() const { return received_ > refused_; }
  Errno why() const { return why_; }

 private:
  bool places_;
  bool vanishes_;
  size_t refused_;
  Fd file_;
  std::unique_ptr<GuestRegion> region_;
  std::vector<iovec> parts_;
  const Expected* expected_;
  size_t received_ = 0;
  Errno why_ = Errno::none;
  std::promise<void> connected_;
  std::promise<void> lost_;
};

void write_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) return;  // it has hung up, as it should
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void run(FuzzInput input) {
  Owner owner(input);
  Stream stream(input);
  const Expected expected(stream.bytes);
  owner.expect(expected);

  std::unique_ptr<Connection> connection;
  house().call([&] {
    connection = std::make_unique<Connection>(house().reactor, owner);
    connection->set_record_max(kRecordMax);
    connection->connect(house().address);
  });
  const Fd server(accept4(house().listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  DPFS_ASSERT(server);
  const int on = 1;
  setsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const linger at_once{.l_onoff = 1, .l_linger = 0};  // nothing stays behind
  setsockopt(server.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  owner.wait_until_connected();

  std::ranges::sort(stream.cuts);
  size_t sent = 0;
  for (const size_t cut : stream.cuts) {
    if (cut == sent) continue;
    write_all(server.get(), std::string_view(stream.bytes).substr(sent, cut - sent));
    sent = cut;
    house().turn();  // a turn, in which it is looked at
  }
  write_all(server.get(), std::string_view(stream.bytes).substr(sent));
  shutdown(server.get(), SHUT_WR);
  const size_t received = owner.wait_until_lost();
  if (!owner.refused()) {
    DPFS_ASSERT(received == expected.records.size());
    if (expected.good) DPFS_ASSERT(owner.why() == Errno::notconn);
  }
  house().call([&] { connection.reset(); });
}

}  // namespace
}  // namespace dpfs::nfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::nfs::run(dpfs::FuzzInput(data, size));
  return 0;
}
