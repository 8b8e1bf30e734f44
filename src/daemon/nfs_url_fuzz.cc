// SPDX-License-Identifier: Apache-2.0
// nfs:// URLs as an operator may write them: refused with a message, or options within their
// bounds.
#include "daemon/nfs_url.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/assert.h"

namespace dpfs {
namespace {

void check(const NfsOptions& options) {
  constexpr uint32_t kTransferBytesMin = 4096;
  constexpr uint32_t kTransferBytesMax = 1u << 20;
  DPFS_ASSERT(!options.server.empty() && options.server.find('\0') == std::string::npos);
  DPFS_ASSERT(options.port != 0);
  DPFS_ASSERT(options.path.starts_with('/') && options.path.find('\0') == std::string::npos);
  DPFS_ASSERT(options.nconnect >= 1 && options.nconnect <= 16);
  DPFS_ASSERT(options.slots >= 1 && options.slots <= 1024);
  for (const uint32_t bytes : {options.read_bytes_max, options.write_bytes_max}) {
    DPFS_ASSERT(bytes >= kTransferBytesMin && bytes <= kTransferBytesMax);
  }
  DPFS_ASSERT(options.timeo_ds >= 1);
  DPFS_ASSERT(options.minor_version == 1 || options.minor_version == 2);
  DPFS_ASSERT(options.client_name.size() <= 255);
}

}  // namespace
}  // namespace dpfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    dpfs::Url url = dpfs::Url::parse(std::string_view(reinterpret_cast<const char*>(data), size));
    dpfs::check(dpfs::nfs_options(url));
    url.check_all_options_known();
  } catch (const std::invalid_argument&) {
    return 0;  // refused, with a message
  }
  return 0;
}
