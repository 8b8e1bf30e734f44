// SPDX-License-Identifier: Apache-2.0
// How fast the responder answers READ from prepared bytes: the floor under what any client can do.
// The argument is the depth; the client's side is as cheap as can be, and does not look at payload.
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "responder/raw_client_harness.h"
#include "responder/responder.h"

namespace dpfs::responder {

namespace {

constexpr size_t kReceiveBytes = 4 << 20;

double cpu_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Of the responder's thread: what the process uses, and this thread does not.
double responder_cpu_ns() {
  return cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

// The same READ in each slot, again and again.
class Load {
 public:
  Load(RawClient& client, const RawClient::Opened& file, uint32_t bytes, uint32_t depth)
      : fd_(client.fd()), received_(kReceiveBytes) {
    for (uint32_t slot = 0; slot < depth; ++slot) {
      RawClient::Compound request = client.compound_at(1, slot, client.sequences[slot], false);
      request.fh(file.handle).op(Operation::read).stateid(file.state).u64(slot * 4096).u32(bytes);
      messages_.push_back(client.message(request));
      push(slot);
    }
  }
  // Sends what is to be sent, and takes what has come.
  bool turn() {
    if (!to_send_.empty()) {
      if (::send(fd_, to_send_.data(), to_send_.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(to_send_.size())) {
        return false;
      }
      to_send_.clear();
    }
    const ssize_t got = ::recv(fd_, received_.data() + end_, received_.size() - end_, 0);
    if (got <= 0) return false;
    end_ += static_cast<size_t>(got);
    size_t at = 0;
    while (end_ - at >= kSlotAt + 4) {
      const uint32_t size = word(at) & 0x7fffffff;
      if (end_ - at < size + 4) break;
      if (word(at + kStatusAt) != 0) return false;
      push(word(at + kSlotAt));
      ++answered;
      at += size + 4;
    }
    std::memmove(received_.data(), received_.data() + at, end_ - at);
    end_ -= at;
    return true;
  }
  uint64_t answered = 0;

 private:
  // In a reply: mark, RPC's header, status, the tag "tag", the number of results, SEQUENCE's
  // operation, status, session and sequence.
  static constexpr size_t kStatusAt = 4 + 24;
  static constexpr size_t kSlotAt = kStatusAt + 4 + 8 + 4 + 8 + 16 + 4;
  // In a request, from its end: a READ with its PUTFH, the flags behind the sequence.
  void push(uint32_t slot) {
    std::vector<uint8_t>& message = messages_[slot];
    uint32_t sequence = 0;
    const size_t at = kSequenceAt;
    std::memcpy(&sequence, message.data() + at, sizeof sequence);
    sequence = htonl(ntohl(sequence) + 1);
    std::memcpy(message.data() + at, &sequence, sizeof sequence);
    to_send_.insert(to_send_.end(), message.begin(), message.end());
  }
  // Mark, RPC's header with AUTH_SYS, the tag, version and number, SEQUENCE and its session.
  static constexpr size_t kSequenceAt = 4 + 6 * 4 + (8 + 24) + 8 + 8 + 8 + 4 + 16;

  uint32_t word(size_t at) const {
    uint32_t big = 0;
    std::memcpy(&big, received_.data() + at, sizeof big);
    return ntohl(big);
  }

  const int fd_;
  std::vector<std::vector<uint8_t>> messages_;
  std::vector<uint8_t> to_send_;
  std::vector<uint8_t> received_;
  size_t end_ = 0;
};

void read_prepared(benchmark::State& state, uint32_t bytes) {
  Options options;
  options.record = false;
  Responder responder(options);
  responder.put_prepared_file("data", uint64_t{1} << 34);
  RawClient client(responder.port());
  client.slots = 64;
  client.begin();
  Load load(client, client.open("data"), bytes, static_cast<uint32_t>(state.range(0)));
  const double begin_ns = responder_cpu_ns();
  for (auto _ : state) {
    if (!load.turn()) return state.SkipWithError("no answer");
  }
  state.counters["responder_cpu_ns_per_read"] =
      (responder_cpu_ns() - begin_ns) / static_cast<double>(load.answered);
  state.SetItemsProcessed(static_cast<int64_t>(load.answered));
  state.SetBytesProcessed(static_cast<int64_t>(load.answered * bytes));
}

void read_4_kib(benchmark::State& state) { read_prepared(state, 4096); }
void read_1_mib(benchmark::State& state) { read_prepared(state, 1 << 20); }

BENCHMARK(read_4_kib)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(read_1_mib)->Arg(1)->Arg(8)->UseRealTime();

}  // namespace

}  // namespace dpfs::responder
