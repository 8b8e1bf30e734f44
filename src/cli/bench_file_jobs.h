// SPDX-License-Identifier: Apache-2.0
// The jobs of `dpfs bench` that are about whole small files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/bench_jobs.h"

namespace dpfs::cli {

std::vector<std::string> file_job_names();

// Nothing where there is no such job.
std::unique_ptr<BenchJob> make_file_job(const std::string& name, driver::Tenant& tenant,
                                        const BenchOptions& options,
                                        const std::shared_ptr<BenchFiles>& files);

}  // namespace dpfs::cli
