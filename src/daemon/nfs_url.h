// SPDX-License-Identifier: Apache-2.0
// nfs://server[:port]/export/path?option&option=value, as NfsOptions.
#pragma once

#include <string>
#include <vector>

#include "backend/nfs/options.h"
#include "daemon/url.h"
#include "io/address.h"

namespace dpfs {

// Options are named as those of mount(8) for NFS. Throws std::invalid_argument, with what was
// expected.
NfsOptions nfs_options(Url& url);

// Where the server is. Throws std::runtime_error when its name is nobody's.
std::vector<Address> nfs_addresses(const NfsOptions& options);

// The same URL with the server's addresses in place of its name, for who will not be able to look
// it up: nfs://[192.0.2.1,2001:db8::1]:port/export/path?... Throws std::runtime_error when the name
// is nobody's.
std::string nfs_url_by_address(Url& url);

}  // namespace dpfs
