// SPDX-License-Identifier: Apache-2.0
// Backends: which URL schemes there are, and who makes the file system for each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/share_config.h"
#include "daemon/url.h"
#include "fuse/filesystem.h"
#include "io/reactor.h"

namespace dpfs {

class Backends {
 public:
  // `url` is what this back end alone understands; of `share` it follows what it can: the rest is
  // the layers' and the session's. Throws std::exception, with a message for the operator, when it
  // cannot be served.
  using Make = std::function<std::unique_ptr<FileSystem>(Reactor& reactor, Url& url,
                                                         const ShareConfig& share)>;

  // What of this machine a back end needs; all else is taken from the process
  // (daemon/confinement.h).
  enum class Reach : uint8_t {
    nothing,
    folder,          // that of the URL's path, opened before anything is served
    working_folder,  // the same, and files in it are opened and made by their paths all the time
    network,
  };

  // Devices whose URLs have the same place share what lies there, and so one reactor. Empty: any
  // will do.
  using Place = std::function<std::string(Url& url)>;

  // The same URL with the server's addresses instead of its name. Throws std::runtime_error when
  // the name is nobody's.
  using ByAddress = std::function<std::string(Url& url)>;

  // Those that come with DPFS: local, nfs, null and the key-value ones.
  static Backends built_in();

  // To add one of your own: examples/ shows how.
  void add(const std::string& scheme, const std::string& usage, Make make,
           Reach reach = Reach::nothing);

  // For one whose devices may share something.
  void set_place(const std::string& scheme, Place place);
  // For one that can make what is not there (ShareConfig::create).
  void set_creates(const std::string& scheme);
  // For one that reaches a server by its name.
  void set_by_address(const std::string& scheme, ByAddress by_address);

  // The back end alone; make_share() gives all that `share` asks for.
  std::unique_ptr<FileSystem> make(Reactor& reactor, const ShareConfig& share) const;
  // Throws std::invalid_argument when no back end has the URL's scheme. Before anything is started.
  void check(const std::string& url) const;
  Reach reach_of(const Url& url) const { return entry_of(url).reach; }
  std::string place_of(const Url& url) const;
  // The URL as it is, where its back end knows no names.
  std::string by_address(const Url& url) const;
  // For --help: a line for each scheme.
  std::string usage() const;

 private:
  struct Entry {
    std::string usage;
    Make make;
    Reach reach = Reach::nothing;
    ByAddress by_address;
    Place place;
    bool creates = false;
  };
  const Entry& entry_of(const Url& url) const;
  std::map<std::string, Entry> entries_;
};

}  // namespace dpfs
