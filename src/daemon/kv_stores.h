// SPDX-License-Identifier: Apache-2.0
// What a kv+...: URL asks for, whatever its engine: for the back ends and the tools.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/kv/store.h"
#include "backend/kv/volume.h"
#include "daemon/url.h"
#include "io/reactor.h"

namespace dpfs {

struct KvAsked {
  kv::VolumeOptions volume;
  std::string place;       // what two URLs of one file system have in common
  bool is_shared = false;  // other processes, perhaps elsewhere, can have the engine open as well
  // Opens nothing yet.
  std::function<std::unique_ptr<kv::Store>(Reactor& reactor)> make_store;
};

bool is_kv_scheme(const std::string& scheme);

// `create`: as if the URL said so. Throws std::invalid_argument, with what was expected, and
// std::runtime_error when what lies there cannot be used.
KvAsked kv_asked(Url& url, bool create);

// KvAsked::place, with nothing looked at but the URL. Throws std::invalid_argument.
std::string kv_place_of(Url& url);

}  // namespace dpfs
