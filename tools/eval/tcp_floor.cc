// SPDX-License-Identifier: Apache-2.0
// tcp_floor: what a request and its answer cost by TCP alone: 150 bytes there, 4200 back, as of an
// NFS READ of 4 KiB. Nobody who has a server behind TCP can be quicker.
//
//   tcp_floor DEPTH SECONDS [SERVER_PROCESSOR CLIENT_PROCESSOR]
//
// Server and client are two threads and one connection on loopback; both poll their sockets and
// never sleep. Answers that are there are taken together, and as many requests are sent in one
// call. Prints {"operations": N, "seconds": S, "latency_us": {"p50": L, "p99": M}}.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kRequestBytes = 150;
constexpr size_t kAnswerBytes = 4200;
constexpr size_t kBufferBytes = 1 << 20;
constexpr size_t kMissesBeforeYield = 64;  // longer than an answer takes that is not late

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

std::atomic<bool> ended{false};  // NOLINT(*-avoid-non-const-global-variables)

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "tcp_floor: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

void pin(int processor) {
  if (processor < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (::pthread_setaffinity_np(::pthread_self(), sizeof set, &set) != 0) fail("pinning");
}

// Counts messages of a fixed size in what comes, and sends as many of another.
class End {
 public:
  explicit End(int socket) : socket_(socket), buffer_(kBufferBytes, 'x') {
    const int on = 1;
    if (::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("TCP_NODELAY");
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  ~End() { ::close(socket_); }

  // How many whole messages have come; 0 when none has, SIZE_MAX at the end.
  size_t receive(size_t message_bytes) {
    const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
      // On a crowded processor, the other end has to run, too.
      if (++misses_ % kMissesBeforeYield == 0) ::sched_yield();
      return 0;
    }
    if (got <= 0) return SIZE_MAX;
    partial_ += static_cast<size_t>(got);
    const size_t whole = partial_ / message_bytes;
    partial_ %= message_bytes;
    return whole;
  }

  void send(size_t count, size_t message_bytes) {
    for (size_t left = count * message_bytes; left > 0;) {
      const ssize_t sent =
          ::send(socket_, buffer_.data(), std::min(left, buffer_.size()), MSG_NOSIGNAL);
      if (sent < 0 && !ended) fail("send");
      if (sent < 0) return;
      left -= static_cast<size_t>(sent);
    }
  }

 private:
  int socket_;
  std::vector<char> buffer_;
  size_t partial_ = 0;
  size_t misses_ = 0;
};

void serve(int socket, int processor) {
  pin(processor);
  End end(socket);
  while (!ended) {
    const size_t requests = end.receive(kRequestBytes);
    if (requests == SIZE_MAX) return;
    end.send(requests, kAnswerBytes);
  }
}

std::vector<double> load(int socket, unsigned depth, double seconds) {
  End end(socket);
  const auto span = [](double some) {
    return std::chrono::duration_cast<Clock::duration>(Seconds(some));
  };
  const Clock::time_point begin = Clock::now() + span(seconds / 4);
  const Clock::time_point stop = begin + span(seconds);
  std::deque<Clock::time_point> started;
  std::vector<double> latencies_us;
  const auto start = [&](size_t count) {
    started.insert(started.end(), count, Clock::now());
    end.send(count, kRequestBytes);
  };
  start(depth);
  while (true) {
    const size_t answers = end.receive(kAnswerBytes);
    if (answers == SIZE_MAX) fail("the server's end");
    if (answers == 0) continue;
    const Clock::time_point now = Clock::now();
    for (size_t index = 0; index < answers; ++index) {
      if (now >= begin) {
        latencies_us.push_back(
            std::chrono::duration<double, std::micro>(now - started.front()).count());
      }
      started.pop_front();
    }
    if (now >= stop) break;
    start(answers);
  }
  ended = true;
  return latencies_us;
}

// Both ends of a connection on loopback.
std::pair<int, int> connection() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* place = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (listener < 0 || ::bind(listener, place, size) != 0 || ::listen(listener, 1) != 0 ||
      ::getsockname(listener, place, &size) != 0) {
    fail("listening");
  }
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client < 0 || ::connect(client, place, size) != 0) fail("connecting");
  const int server = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (server < 0) fail("accepting");
  ::close(listener);
  return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fputs("usage: tcp_floor DEPTH SECONDS [SERVER_PROCESSOR CLIENT_PROCESSOR]\n", stderr);
    return 2;
  }
  const double seconds = std::stod(argv[2]);
  const auto [server, client] = connection();
  std::thread other(serve, server, argc == 5 ? std::atoi(argv[3]) : -1);
  pin(argc == 5 ? std::atoi(argv[4]) : -1);
  std::vector<double> latencies_us =
      load(client, static_cast<unsigned>(std::stoul(argv[1])), seconds);
  other.join();
  if (latencies_us.empty()) fail("nothing was answered");
  std::sort(latencies_us.begin(), latencies_us.end());
  const auto percentile = [&](double part) {
    return latencies_us[static_cast<size_t>(part * static_cast<double>(latencies_us.size() - 1))];
  };
  std::printf(
      "{\"operations\": %zu, \"seconds\": %.6f, \"latency_us\": {\"p50\": %.2f, \"p99\": %.2f}}\n",
      latencies_us.size(), seconds, percentile(0.5), percentile(0.99));
  return 0;
}
