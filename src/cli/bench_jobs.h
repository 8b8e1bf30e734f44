// SPDX-License-Identifier: Apache-2.0
// What `dpfs bench` can measure: each job fills the requests of its load and looks at the replies.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "cli/bench_options.h"
#include "driver/tenant.h"

namespace dpfs::cli {

// A sentence for the user: what failed, and what to do.
struct BenchError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One of the requests in flight, and what its job needs to remember of it.
struct BenchSlot {
  driver::Call* call = nullptr;
  uint32_t index = 0;
  uint64_t begun_ns = 0;  // when the operation began, its first request if it has several
  uint64_t offset = 0;
  uint32_t step = 0;
  driver::File file;
  bool has_contents = false;  // the call's data are what a file may have
};

enum class BenchStep {
  next,    // the operation goes on with another request
  done,    // it is complete
  failed,  // it is complete, with BenchJob::failure()
};

// set_up() and tear_down() may block and throw BenchError; fill() and completed() run inside the
// load and do neither.
class BenchJob {
 public:
  virtual ~BenchJob() = default;
  virtual void set_up(uint32_t slots) = 0;
  virtual void fill(BenchSlot& slot) noexcept = 0;
  virtual BenchStep completed(BenchSlot& slot) noexcept = 0;
  // Between batches: work that needs the queues, such as forgetting nodes.
  virtual void between() noexcept {}
  // After the load: the checks that --verify leaves for the end, and the job's files go.
  virtual void tear_down() {}
  // Sends nothing at all: what the daemon does then is all that is measured.
  virtual bool idle() const noexcept { return false; }
  // Payload of one operation.
  virtual uint64_t bytes() const noexcept { return 0; }
  // What went wrong first; empty where nothing did.
  const std::string& failure() const noexcept { return failure_; }

 protected:
  // Remembers the first failure. Allocates, but only once.
  BenchStep fail(std::string_view what, Errno why) noexcept;
  std::string failure_;
};

std::vector<std::string> bench_job_names();

// The jobs of one run share their data file and their directory.
class BenchFiles;
std::shared_ptr<BenchFiles> make_bench_files(driver::Tenant& tenant, const BenchOptions& options);
std::unique_ptr<BenchJob> make_bench_job(const std::string& name, driver::Tenant& tenant,
                                         const BenchOptions& options,
                                         const std::shared_ptr<BenchFiles>& files);

}  // namespace dpfs::cli
