// SPDX-License-Identifier: Apache-2.0
// Reading kv+...: URLs.
#include "daemon/kv_url.h"

#include <fmt/core.h>

#include <filesystem>
#include <stdexcept>

namespace dpfs {
namespace {

bool given(Url& url, const std::string& name) {
  const std::optional<std::string> text = url.text_option(name);
  if (text && !text->empty()) {
    throw std::invalid_argument(
        fmt::format("'{}': {} has no value: expected just {}", url.text(), name, name));
  }
  return text.has_value();
}

}  // namespace

KvRocksdbUrl kv_rocksdb_url(Url& url) {
  KvRocksdbUrl out;
  if (url.path().empty()) {
    throw std::invalid_argument(
        fmt::format("'{}': expected a folder, like kv+rocksdb:/srv/files", url.text()));
  }
  out.engine.path = std::filesystem::absolute(url.path()).lexically_normal();
  out.engine.partition = url.text_option("fs").value_or(out.engine.partition);
  if (!kv::is_rocksdb_partition_name(out.engine.partition)) {
    throw std::invalid_argument(fmt::format(
        "'{}': fs={}: expected a name of 1 to 64 letters, digits and signs, without spaces",
        url.text(), out.engine.partition));
  }
  out.engine.memory.cache_bytes = url.size_option("cache", out.engine.memory.cache_bytes);
  out.engine.memory.writes_bytes = url.size_option("write_buffer", out.engine.memory.writes_bytes);
  out.volume.create = given(url, "create");
  out.volume.name = url.text();
  return out;
}

std::string kv_place(const kv::RocksdbOptions& options) {
  return "rocksdb:" + options.path + "?" + options.partition;
}

}  // namespace dpfs
