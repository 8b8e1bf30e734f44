// SPDX-License-Identifier: Apache-2.0
// nfs_responder: the scripted NFS server as a program, for benchmarks and for trying a client by
// hand.
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/fd.h"
#include "responder/responder.h"

namespace {

using dpfs::responder::Counters;
using dpfs::responder::Options;
using dpfs::responder::Responder;

constexpr const char* kExamples = R"(
Prints "listening on ADDRESS port PORT" and serves until SIGTERM or SIGINT. SIGHUP restarts the server as a machine would
(sessions, opens, locks and what was not committed are lost), SIGUSR1 prints what was executed.

Examples:
  nfs_responder --port 20490
      an empty file system in memory
  nfs_responder --canned --file data=16G
      for benchmarks: /data is 16 GiB of prepared bytes, answered without copying; writes to it are dropped
  nfs_responder --grace-s 10 --lease-s 5 --delay-ms 50 --reorder 4
      slow answers, out of order, and a grace period after each SIGHUP
  nfs_responder --segment 100 --fragment 1000
      answers in many RPC fragments and tiny TCP segments
)";

struct Arguments {
  Options options;
  bool canned = false;
  std::vector<std::string> files;
  uint32_t lease_s = 60;
  uint32_t grace_s = 0;
  uint32_t delay_ms = 0;
  size_t reorder = 1;
  size_t fragment_bytes = 0;
  size_t segment_bytes = 0;
};

void add_options(CLI::App& app, Arguments& to) {
  app.footer(kExamples);
  app.add_option("--listen", to.options.address, "the address, of IPv4 or IPv6")
      ->capture_default_str();
  app.add_option("--port", to.options.port, "the port; 0: any, which is printed")
      ->capture_default_str();
  app.add_flag("--canned", to.canned,
               "as fast as it can: nothing is recorded, retries not checked");
  app.add_flag("--spin", to.options.spin, "looks for requests without ever sleeping");
  app.add_option("--file", to.files, "NAME=SIZE (K, M, G, T): a file of prepared bytes");
  app.add_option("--slots", to.options.slots, "of a session, at most")->capture_default_str();
  app.add_option("--rsize", to.options.read_bytes_max, "the largest READ")->capture_default_str();
  app.add_option("--wsize", to.options.write_bytes_max, "the largest WRITE")->capture_default_str();
  app.add_option("--lease-s", to.lease_s, "how long a lease is")->capture_default_str();
  app.add_option("--grace-s", to.grace_s, "the grace period after a restart")
      ->capture_default_str();
  app.add_option("--delay-ms", to.delay_ms, "each answer comes so much later");
  app.add_option("--reorder", to.reorder, "answers in groups of so many, the last one first");
  app.add_option("--fragment", to.fragment_bytes, "RPC fragments of so many bytes");
  app.add_option("--segment", to.segment_bytes, "TCP segments of so many bytes");
}

void put_file(Responder& responder, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw CLI::ValidationError("--file", text + " is not NAME=SIZE, as in data=16G");
  }
  uint64_t size = 0;
  std::string number = text.substr(equals + 1);
  CLI::AsSizeValue(false)(number);
  if (!CLI::detail::lexical_cast(number, size)) {
    throw CLI::ValidationError("--file", number + " is no size, as in 16G");
  }
  responder.put_prepared_file(text.substr(0, equals), size);
}

void print(const Counters& counters) {
  std::printf(
      "requests %llu, connections %llu, replays %llu, false retries %llu, misordered %llu\n",
      static_cast<unsigned long long>(counters.requests),
      static_cast<unsigned long long>(counters.connections),
      static_cast<unsigned long long>(counters.replays),
      static_cast<unsigned long long>(counters.false_retries),
      static_cast<unsigned long long>(counters.misordered));
  for (size_t i = 0; i < counters.executed.size(); ++i) {
    if (counters.executed[i] == 0) continue;
    std::printf("operation %zu: %llu\n", i, static_cast<unsigned long long>(counters.executed[i]));
  }
  std::fflush(stdout);
}

// Blocked in all threads, and read here.
dpfs::Fd signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return dpfs::Fd(::signalfd(-1, &set, SFD_CLOEXEC));
}

void serve(Arguments& arguments) {
  const dpfs::Fd from = signals();
  Options& options = arguments.options;
  options.lease_ms = arguments.lease_s * 1000;
  options.grace_ms = arguments.grace_s * 1000;
  options.record = !arguments.canned;
  Responder responder(options);
  if (arguments.canned && arguments.files.empty()) arguments.files = {"data=16G"};
  for (const std::string& file : arguments.files) put_file(responder, file);
  responder.fragment(arguments.fragment_bytes);
  responder.segment(arguments.segment_bytes);
  responder.reorder(arguments.reorder);
  if (arguments.delay_ms != 0) {
    responder.delay({.times = dpfs::responder::kAlways},
                    std::chrono::milliseconds(arguments.delay_ms));
  }
  std::printf("listening on %s port %u\n", options.address.c_str(), responder.port());
  std::fflush(stdout);
  signalfd_siginfo signal{};
  while (::read(from.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGHUP) {
      responder.restart();
    } else if (signal.ssi_signo == SIGUSR1) {
      print(responder.counters());
    } else {
      break;
    }
  }
  print(responder.counters());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A scripted NFSv4.1 and 4.2 server in memory, for tests and benchmarks.");
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
    serve(arguments);
  } catch (const CLI::Error& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nfs_responder: %s\n", error.what());
    return 1;
  }
  return 0;
}
