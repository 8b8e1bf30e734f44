// SPDX-License-Identifier: Apache-2.0
// The configuration's schema, and reading it from TOML.
#include "daemon/config.h"

#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <bit>
#include <deque>
#include <limits>
#include <set>
#include <stdexcept>
#include <string_view>

#include "sandbox/capabilities.h"

namespace dpfs {
namespace {

constexpr size_t kTagBytesMax = 36;        // VIRTIO 1.3, section 5.11.4
constexpr uint32_t kQueueSizeMax = 32768;  // VIRTIO 1.3, section 2.7
constexpr uint32_t kInterruptDelayUsMax = 10'000;
constexpr uint32_t kRequestQueuesMax = 64;
constexpr uint32_t kReactorsMax = 256;

std::string joined(const std::set<std::string_view>& keys) {
  std::string all;
  for (const std::string_view key : keys) all += (all.empty() ? "" : ", ") + std::string(key);
  return all;
}

// One table of the file: typed reads that remember which keys are known.
class Table {
 public:
  Table(const std::string& file, const toml::table& table) : file_(file), table_(table) {}

  [[noreturn]] void fail(const toml::node& at, std::string_view key,
                         std::string_view expected) const {
    throw std::runtime_error(
        fmt::format("{}:{}: {}: expected {}", file_, at.source().begin.line, key, expected));
  }

  void read(std::string_view key, std::string& into) {
    if (const toml::node* node = find(key)) {
      const auto value = node->value_exact<std::string>();
      if (!value) fail(*node, key, "a string in quotes");
      into = *value;
    }
  }
  void read(std::string_view key, bool& into) {
    if (const toml::node* node = find(key)) {
      const auto value = node->value_exact<bool>();
      if (!value) fail(*node, key, "true or false");
      into = *value;
    }
  }
  template <class Integer>
  void read(std::string_view key, Integer& into, int64_t least, int64_t most) {
    if (const toml::node* node = find(key)) {
      const auto value = node->value_exact<int64_t>();
      if (!value || *value < least || *value > most) {
        fail(*node, key, fmt::format("a whole number from {} to {}", least, most));
      }
      into = static_cast<Integer>(*value);
    }
  }
  void read(const ShareOption& option, ShareConfig& share) {
    // known_ keeps names as views, and a file has them with '_'.
    std::string& key = names_.emplace_back(option.name);
    std::ranges::replace(key, '-', '_');
    if (option.flag != nullptr) return read(key, share.*option.flag);
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::node* at = node;  // what is to blame
    try {
      if (option.set != nullptr) return option.set(share, text_of(*node, key));
      const toml::array* several = node->as_array();
      if (several == nullptr) return option.set_all(share, std::array{text_of(*node, key)});
      std::vector<std::string> values;
      for (const toml::node& each : *several) {
        at = &each;
        values.push_back(text_of(each, key));
        option.set_all(share, values);
      }
    } catch (const std::invalid_argument& error) {
      throw std::runtime_error(
          fmt::format("{}:{}: {}: {}", file_, at->source().begin.line, key, error.what()));
    }
  }
  void read(std::string_view key, std::optional<uint64_t>& into) {
    uint64_t value = 0;
    read(key, value, 0, std::numeric_limits<int64_t>::max());
    if (table_.contains(key)) into = value;
  }
  const toml::node* find(std::string_view key) {
    known_.insert(key);
    return table_.get(key);
  }
  void check_all_keys_known() const {
    for (const auto& [key, node] : table_) {
      if (known_.contains(key.str())) continue;
      throw std::runtime_error(fmt::format("{}:{}: {}: no such key; expected one of: {}", file_,
                                           key.source().begin.line, key.str(), joined(known_)));
    }
  }

 private:
  std::string text_of(const toml::node& node, std::string_view key) const {
    if (const auto value = node.value_exact<std::string>()) return *value;
    if (node.is_number()) return fmt::format("{}", *node.value<double>());
    fail(node, key, "a string in quotes, or a number");
  }

  const std::string& file_;
  const toml::table& table_;
  std::set<std::string_view> known_;
  std::deque<std::string> names_;  // what known_ looks at, where it is not a literal
};

DeviceConfig read_device(const std::string& file, const toml::table& table) {
  Table in(file, table);
  DeviceConfig device;
  in.read("tag", device.tag);
  in.read("socket", device.socket);
  in.read("fd", device.listen_fd, 0, std::numeric_limits<int>::max());
  in.read("socket_group", device.socket_group);
  in.read("url", device.share.url);
  in.read("queues", device.queues, 1, kRequestQueuesMax);
  in.read("queue_size", device.queue_size, 1, kQueueSizeMax);
  in.read("interrupt_delay_us", device.interrupt_delay_us, 0, kInterruptDelayUsMax);
  for (const ShareOption& option : share_options()) in.read(option, device.share);
  in.check_all_keys_known();
  if (const toml::node* url = table.get("url")) {
    device.url_place = fmt::format("{}:{}: url: ", file, url->source().begin.line);
  }
  return device;
}

[[noreturn]] void fail_at(const std::string& file, const toml::node& at,
                          const ConfigMistake& mistake) {
  throw std::runtime_error(
      fmt::format("{}:{}: {}: {}", file, at.source().begin.line, mistake.key, mistake.what()));
}

}  // namespace

void SandboxConfig::check() const {
  static const std::set<std::string_view> kModes{"", "namespace", "chroot", "none"};
  if (!kModes.contains(mode)) {
    throw ConfigMistake("sandbox",
                        fmt::format("sandbox '{}': expected namespace, chroot or none", mode));
  }
  static const std::set<std::string_view> kActions{"", "none", "kill", "log", "trap"};
  if (!kActions.contains(seccomp)) {
    throw ConfigMistake("seccomp",
                        fmt::format("seccomp '{}': expected none, kill, log or trap", seccomp));
  }
  try {
    sandbox::changed_by({}, modcaps);
  } catch (const std::invalid_argument& error) {
    throw ConfigMistake("modcaps", error.what());
  }
}

void ServeConfig::check() const {
  auto fail = [](const char* key, const std::string& text) { throw ConfigMistake(key, text); };
  if (devices.empty()) {
    fail("device",
         "there is no device to serve: give --socket, --tag and a URL, or [[device]] tables");
  }
  static const std::set<std::string_view> kLevels{"trace", "debug", "info", "warn", "error"};
  if (!kLevels.contains(log_level)) {
    fail("log_level",
         fmt::format("log level '{}': expected trace, debug, info, warn or error", log_level));
  }
  sandbox.check();
  if (reactors < 1 || reactors > kReactorsMax) {
    fail("reactors", fmt::format("{} reactors: expected 1 to {}", reactors, kReactorsMax));
  }
  std::set<std::string_view> sockets;
  for (const DeviceConfig& device : devices) {
    const std::string name =
        device.tag.empty() ? "a device" : fmt::format("device '{}'", device.tag);
    if (device.tag.empty() || device.tag.size() > kTagBytesMax) {
      fail("tag", fmt::format("{}: the tag must have 1 to {} bytes", name, kTagBytesMax));
    }
    if (device.share.url.empty()) {
      fail("url", fmt::format("{}: what shall it serve? Give a URL like local:/srv/share", name));
    }
    device.share.check();
    if (device.socket.empty() == (device.listen_fd < 0)) {
      fail("socket", fmt::format("{}: give either a socket path or a listening descriptor", name));
    }
    if (!device.socket.empty() && !sockets.insert(device.socket).second) {
      fail("socket", fmt::format("{}: socket '{}' is another device's too", name, device.socket));
    }
    if (device.queues < 1 || device.queues > kRequestQueuesMax) {
      fail("queues",
           fmt::format("{}: {} queues: expected 1 to {}", name, device.queues, kRequestQueuesMax));
    }
    if (device.interrupt_delay_us > kInterruptDelayUsMax) {
      fail("interrupt_delay_us", fmt::format("{}: interrupt delay {} us: expected at most {}", name,
                                             device.interrupt_delay_us, kInterruptDelayUsMax));
    }
    if (!std::has_single_bit(device.queue_size) || device.queue_size > kQueueSizeMax) {
      fail("queue_size", fmt::format("{}: queue size {}: expected a power of two up to {}", name,
                                     device.queue_size, kQueueSizeMax));
    }
  }
}

ServeConfig load_config(const std::string& file) {
  toml::table root;
  try {
    root = toml::parse_file(file);
  } catch (const toml::parse_error& error) {
    throw std::runtime_error(
        fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
  }
  Table in(file, root);
  ServeConfig config;
  in.read("log_level", config.log_level);
  in.read("reactors", config.reactors, 1, kReactorsMax);
  in.read("pin", config.pin);
  in.read("poll_us", config.poll_us, 0, 1'000'000);
  in.read("io_uring", config.io_uring);
  in.read("sandbox", config.sandbox.mode);
  in.read("seccomp", config.sandbox.seccomp);
  in.read("modcaps", config.sandbox.modcaps);
  in.read("rlimit_nofile", config.sandbox.rlimit_nofile);
  if (const toml::node* node = in.find("device")) {
    const toml::array* devices = node->as_array();
    if (devices == nullptr) in.fail(*node, "device", "tables that begin with [[device]]");
    for (const toml::node& device : *devices) {
      if (!device.is_table()) in.fail(device, "device", "tables that begin with [[device]]");
      config.devices.push_back(read_device(file, *device.as_table()));
      // With all devices so far, so that one that collides with another is the one that is named.
      try {
        config.check();
      } catch (const ConfigMistake& mistake) {
        const toml::node* in_device = device.as_table()->get(mistake.key);
        const toml::node* in_root = root.get(mistake.key);
        fail_at(file,
                in_device != nullptr ? *in_device
                : in_root != nullptr ? *in_root
                                     : device,
                mistake);
      }
    }
  }
  in.check_all_keys_known();
  try {
    config.check();
  } catch (const ConfigMistake& mistake) {
    fail_at(file, root, mistake);
  }
  return config;
}

}  // namespace dpfs
