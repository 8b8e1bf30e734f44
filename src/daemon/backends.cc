// SPDX-License-Identifier: Apache-2.0
// The back ends that come with DPFS.
#include "daemon/backends.h"

#include <fmt/core.h>

#include <stdexcept>

#include "backend/local/local_fs.h"
#include "backend/nfs/nfs_fs.h"
#include "backend/null/null_fs.h"
#include "daemon/kv_backends.h"
#include "daemon/nfs_probe.h"
#include "daemon/nfs_url.h"

namespace dpfs {
namespace {

std::unique_ptr<FileSystem> make_local(Reactor& reactor, Url& url, const ShareConfig& share) {
  LocalOptions options;
  options.path = url.path();
  options.xattrs = share.xattr;
  options.posix_acls = share.xattr && share.posix_acl;
  options.security_labels = share.xattr && share.security_label;
  options.project_ids = share.project_ids;
  options.announce_submounts = share.announce_submounts;
  options.file_handles = share.inode_file_handles != FileHandles::never;
  auto fs = std::make_unique<LocalFs>(reactor, options);
  if (share.inode_file_handles == FileHandles::mandatory && !fs->uses_handles()) {
    throw std::runtime_error(fmt::format(
        "'{}': inode-file-handles is mandatory, and there are none: its file system has "
        "none, or CAP_DAC_READ_SEARCH is missing; expected never or prefer",
        url.path()));
  }
  return fs;
}

constexpr uint64_t kNullFilesMax = 1'000'000'000;  // their numbers have 32 bits

std::unique_ptr<FileSystem> make_null(Reactor&, Url& url, const ShareConfig&) {
  NullFs::Options options;
  const uint64_t files = url.size_option("files", options.files);
  if (files > kNullFilesMax) {
    throw std::invalid_argument(fmt::format("'{}': files={} is too many: expected at most {}",
                                            url.text(), files, kNullFilesMax));
  }
  options.files = static_cast<uint32_t>(files);
  options.file_bytes = url.size_option("size", options.file_bytes);
  return std::make_unique<NullFs>(options);
}

std::unique_ptr<FileSystem> make_nfs(Reactor& reactor, Url& url, const ShareConfig& share) {
  NfsOptions options = nfs_options(url);
  options.claims_groups = options.claims_groups && share.ids.empty();
  url.check_all_options_known();
  probe_nfs(options);
  return std::make_unique<NfsFs>(reactor, options);
}

}  // namespace

Backends Backends::built_in() {
  Backends backends;
  backends.add("local", "local:/path                  a directory of this machine", make_local,
               Reach::folder);
  backends.add("nfs", "nfs://server[:port]/path     a directory that an NFSv4.1 server exports",
               make_nfs, Reach::network);
  backends.set_by_address("nfs", nfs_url_by_address);
  add_kv_backends(backends);
  backends.add("null", "null:[?files=16&size=1G]     answers at once; for measuring", make_null);
  return backends;
}

void Backends::add(const std::string& scheme, const std::string& usage, Make make, Reach reach) {
  Entry& entry = entries_[scheme];
  entry = {};
  entry.usage = usage;
  entry.make = std::move(make);
  entry.reach = reach;
}

void Backends::set_place(const std::string& scheme, Place place) {
  entries_.at(scheme).place = std::move(place);
}

void Backends::set_creates(const std::string& scheme) { entries_.at(scheme).creates = true; }

void Backends::set_by_address(const std::string& scheme, ByAddress by_address) {
  entries_.at(scheme).by_address = std::move(by_address);
}

std::string Backends::place_of(const Url& url) const {
  const Entry& entry = entry_of(url);
  if (!entry.place) return {};
  Url copy = url;
  return entry.place(copy);
}

std::string Backends::by_address(const Url& url) const {
  const Entry& entry = entry_of(url);
  if (!entry.by_address) return url.raw();
  Url copy = url;
  return entry.by_address(copy);
}

const Backends::Entry& Backends::entry_of(const Url& url) const {
  const auto entry = entries_.find(url.scheme());
  if (entry != entries_.end()) return entry->second;
  throw std::invalid_argument(
      fmt::format("'{}': nothing here serves {}: URLs. Those that can be served:\n{}", url.text(),
                  url.scheme(), usage()));
}

void Backends::check(const std::string& url) const { entry_of(Url::parse(url)); }

std::unique_ptr<FileSystem> Backends::make(Reactor& reactor, const ShareConfig& share) const {
  Url url = Url::parse(share.url);
  const Entry& entry = entry_of(url);
  if (share.create && !entry.creates) {
    throw std::invalid_argument(
        fmt::format("'{}': --create is for kv+... URLs; this must be there already", url.text()));
  }
  std::unique_ptr<FileSystem> fs = entry.make(reactor, url, share);
  url.check_all_options_known();
  return fs;
}

std::string Backends::usage() const {
  std::string lines;
  for (const auto& [scheme, entry] : entries_) lines += "  " + entry.usage + "\n";
  return lines;
}

}  // namespace dpfs
