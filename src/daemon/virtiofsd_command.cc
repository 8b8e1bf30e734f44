// SPDX-License-Identifier: Apache-2.0
// What virtiofsd's command line makes a daemon do.
#include "daemon/virtiofsd_command.h"

#include <fmt/core.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <exception>
#include <string>
#include <vector>

#include "base/log.h"
#include "daemon/process.h"
#include "daemon/serve.h"
#include "daemon/virtiofsd_options.h"

namespace dpfs {
namespace {

// What libvirt and others ask for before they start a device: docs/interop/vhost-user.json of QEMU.
// There is no "migrate-precopy": what a device knows cannot be sent to another host yet.
constexpr const char* kCapabilities = R"({
  "type": "fs",
  "features": [
    "separate-options"
  ]
}
)";

void log_to_journal() {
  const int journal = sd_journal_stream_fd("virtiofsd", 6, 1);  // 6: where a line says nothing else
  if (journal < 0) {
    // Who asks for it would rather have the lines elsewhere than no share.
    return log::warn("--syslog: there is no journal here; lines go to stderr");
  }
  dup2(journal, STDERR_FILENO);
  close(journal);
  log::stderr_has_changed(true);
}

}  // namespace

bool is_virtiofsd(std::string_view program) noexcept {
  const size_t slash = program.rfind('/');
  if (slash != std::string_view::npos) program.remove_prefix(slash + 1);
  return program == "virtiofsd" || program == "dpfs-virtiofsd";
}

int virtiofsd_main(int argc, char** argv, const Backends& backends) {
  VirtiofsdRequest request;
  try {
    request = read_virtiofsd_arguments(std::vector<std::string>(argv + 1, argv + argc));
    if (!request.answer.empty()) {
      fmt::print("{}", request.answer);
      return 0;
    }
    if (request.print_capabilities) {
      fmt::print("{}", kCapabilities);
      return 0;
    }
    if (request.syslog) log_to_journal();
  } catch (const std::exception& error) {
    fmt::print(stderr, "virtiofsd: {}\nTry: dpfs virtiofsd --help\n", error.what());
    return 2;
  }
  log::set_level(level_of(request.config.log_level));
  for (const std::string& note : request.notes) log::info("{}", note);
  return serve(request.config, backends);
}

}  // namespace dpfs
