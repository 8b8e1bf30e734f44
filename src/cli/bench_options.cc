// SPDX-License-Identifier: Apache-2.0
// The command line of `dpfs bench`.
#include "cli/bench_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/bench_jobs.h"

namespace dpfs::cli {
namespace {

constexpr const char* kExamples = R"(
Jobs:
  randread randwrite read write   --bs bytes of one file of --file-size bytes
  getattr                         attributes of that file
  lookup                          one of --files names in a directory
  readdirplus                     --bs bytes of that directory's listing
  readfile writefile              find, open, read or write, and close one of --files small files
                                  of --bs bytes each
  readknown                       the same as readfile, without finding it first
  newfile                         create a file of --bs bytes, and close it
  create                          the same, and unlink it
  statfs                          of the root
  idle                            nothing: the daemon's memory and CPU while nobody asks

Examples:
  dpfs bench --socket /run/dpfs/a.sock --job randread --depth 32
  dpfs bench --socket /run/dpfs/a.sock --job randread,getattr --depth 1 --wait sleep --json
  dpfs bench --socket /run/dpfs/a.sock --job randwrite --verify --seconds 10 --queues 4
  dpfs bench --socket /run/dpfs/null.sock --job randread --path data --file-size 1G
  dpfs bench --socket /run/dpfs/a.sock --job readfile,newfile --files 100000 --folders 100

The device serves one client at a time: end the VM that uses it first.)";

}  // namespace

std::optional<BenchOptions> parse_bench_options(int argc, char** argv, int& exit_code) {
  BenchOptions options;
  std::string wait = "poll";
  CLI::App app("Measures a vhost-user-fs device (DPFS, virtiofsd) from a tenant in user space.",
               "dpfs bench");
  app.footer(kExamples);
  app.add_option("--socket,-s", options.socket_path, "the device's vhost-user socket")
      ->required()
      ->type_name("PATH");
  app.add_option("--job,-j", options.jobs, "what to measure, several one after the other")
      ->delimiter(',')
      ->check(CLI::IsMember(bench_job_names()))
      ->type_name("JOB")
      ->default_str("randread");
  app.add_option("--bs,-b", options.block_size, "bytes of one read, write or directory listing")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE")
      ->capture_default_str();
  app.add_option("--depth,-d", options.depth, "requests in flight, over all queues")
      ->check(CLI::Range(1, 32768))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--queues,-q", options.queues, "request queues")
      ->check(CLI::Range(1, 255))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--queue-size", options.queue_size, "descriptors of each queue, a power of two")
      ->type_name("N")
      ->capture_default_str();
  CLI::Option* seconds =
      app.add_option("--seconds,-t", options.seconds, "how long each job is measured")
          ->check(CLI::PositiveNumber)
          ->type_name("S")
          ->capture_default_str();
  app.add_option("--ops,-n", options.operations, "measure this many operations instead")
      ->type_name("N")
      ->excludes(seconds);
  app.add_option("--warmup", options.warmup_seconds, "seconds of the same load before measuring")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S")
      ->capture_default_str();
  app.add_option("--file-size", options.file_size, "bytes of the data file that are used")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE")
      ->default_str("256M");
  app.add_option(
         "--path,-p", options.path,
         "an existing file to use, below the root; by default one is made, filled and removed")
      ->type_name("FILE");
  app.add_option("--files", options.files, "small files, for the jobs that are about such")
      ->check(CLI::Range(1, 10'000'000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--folders", options.folders, "folders that the small files are spread over")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--wait,-w", wait,
                 "how to wait for replies: poll the ring, or sleep on the call eventfd")
      ->check(CLI::IsMember({"poll", "sleep"}))
      ->capture_default_str();
  app.add_flag("--verify", options.verify,
               "fill the file first, and check every byte that comes back");
  app.add_option("--seed", options.seed, "of the random offsets and of the file's content")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--pid", options.pid,
                 "the daemon's process, for its CPU time; by default who listens on the socket")
      ->type_name("PID");
  app.add_option("--connect-wait-ms", options.connect_wait_ms,
                 "how long to wait for the socket to appear")
      ->type_name("MS")
      ->capture_default_str();
  app.add_flag("--json", options.json, "print JSON");
  app.add_flag("--keep", options.keep, "leave the files of the benchmark there");

  try {
    app.parse(argc, argv);
    if (options.jobs.empty()) options.jobs.push_back("randread");
    options.sleep = wait == "sleep";
    if (options.block_size == 0 || options.block_size > (1u << 20)) {
      throw CLI::ValidationError("--bs",
                                 "must be between 1 and 1M: a virtio-fs request carries no more");
    }
    if (options.file_size < options.block_size) {
      throw CLI::ValidationError("--file-size", "must hold at least one block of --bs");
    }
    if (options.folders > options.files) {
      throw CLI::ValidationError("--folders", "must not be more than --files");
    }
    const bool power_of_two =
        options.queue_size != 0 && (options.queue_size & (options.queue_size - 1)) == 0;
    if (!power_of_two || options.queue_size > 32768) {
      throw CLI::ValidationError("--queue-size", "must be a power of two up to 32768");
    }
    const uint32_t per_queue = (options.depth + options.queues - 1) / options.queues;
    if (per_queue > options.queue_size) {
      throw CLI::ValidationError("--depth",
                                 "does not fit into the queues; raise --queue-size or --queues");
    }
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  exit_code = 0;
  return options;
}

}  // namespace dpfs::cli
