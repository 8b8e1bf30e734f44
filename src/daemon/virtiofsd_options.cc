// SPDX-License-Identifier: Apache-2.0
// Each option of virtiofsd: taken over, noted as not needed, or refused with a reason.
#include "daemon/virtiofsd_options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "daemon/share_options.h"
#include "daemon/url.h"

namespace dpfs {
namespace {

constexpr const char* kVersion = "virtiofsd 1.13.2 (dpfs " DPFS_VERSION " in its place)\n";

constexpr const char* kFooter = R"(
It ends when its VMM disconnects, as virtiofsd does. 'dpfs serve' has more: several devices, other
back ends, a configuration file.

Examples:
  dpfs virtiofsd --socket-path=/run/vfsd.sock --shared-dir /mnt --announce-submounts
  dpfs virtiofsd --fd=3 -o source=/mnt,cache=always)";

[[noreturn]] void fail(const std::string& text) { throw std::invalid_argument(text); }

// What the command line says, as virtiofsd has it.
struct Words {
  std::string shared_dir;
  std::string tag;
  std::string log_level = "info";
  std::vector<std::string> compatible;  // of each -o
  std::vector<std::string> uid_map;
  std::vector<std::string> gid_map;
  std::string thread_pool_size;
  std::string migration;
  bool debug = false;
  bool version = false;
};

// ":0:100000:65536:"; the first character parts the numbers.
sandbox::IdRange range_of(const std::string& option, const std::string& text) {
  const auto wrong = [&] {
    fail(fmt::format(
        "{} '{}': expected :namespace_id:host_id:count:, like :0:100000:65536:", option, text));
  };
  if (text.size() < 2 || text.back() != text.front()) wrong();
  uint32_t numbers[3];
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  for (uint32_t& number : numbers) {
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{} || next == end || *next != text.front()) wrong();
    at = next + 1;
  }
  if (at != end || numbers[2] == 0) wrong();
  return {numbers[0], numbers[1], numbers[2]};
}

std::vector<sandbox::IdRange> ranges_of(const std::string& option,
                                        const std::vector<std::string>& texts) {
  std::vector<sandbox::IdRange> ranges;
  ranges.reserve(texts.size());
  for (const std::string& text : texts) ranges.push_back(range_of(option, text));
  return ranges;
}

void set_cache(ShareConfig& share, const std::string& value) {
  static const std::map<std::string, CacheMode> kModes{{"auto", CacheMode::automatic},
                                                       {"always", CacheMode::always},
                                                       {"metadata", CacheMode::metadata},
                                                       {"none", CacheMode::never}};
  const auto mode = kModes.find(value);
  if (mode == kModes.end()) {
    fail(fmt::format("-o cache={}: expected auto, always, metadata or none", value));
  }
  share.cache = mode->second;
}

// One word behind -o: the C program that came before virtiofsd had its options there.
void apply_compatible(const std::string& word, VirtiofsdRequest& request, Words& words) {
  DeviceConfig& device = request.config.devices.front();
  ShareConfig& share = device.share;
  using Switch = std::pair<bool ShareConfig::*, bool>;
  static const std::map<std::string, Switch> kSwitches{
      {"xattr", {&ShareConfig::xattr, true}},
      {"no_xattr", {&ShareConfig::xattr, false}},
      {"posix_acl", {&ShareConfig::posix_acl, true}},
      {"no_posix_acl", {&ShareConfig::posix_acl, false}},
      {"security_label", {&ShareConfig::security_label, true}},
      {"no_security_label", {&ShareConfig::security_label, false}},
      {"writeback", {&ShareConfig::writeback, true}},
      {"no_writeback", {&ShareConfig::writeback, false}},
      {"allow_direct_io", {&ShareConfig::allow_direct_io, true}},
      {"no_allow_direct_io", {&ShareConfig::allow_direct_io, false}},
      {"announce_submounts", {&ShareConfig::announce_submounts, true}},
  };
  static const std::map<std::string, std::string> kLogLevels{
      {"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"err", "error"}};
  static const std::set<std::string> kUnneeded{"readdirplus",    "no_readdirplus", "killpriv_v2",
                                               "no_killpriv_v2", "no_posix_lock",  "no_flock"};

  if (const auto found = kSwitches.find(word); found != kSwitches.end()) {
    share.*found->second.first = found->second.second;
    return;
  }
  if (kUnneeded.contains(word)) {
    request.notes.push_back(fmt::format("-o {} changes nothing here", word));
    return;
  }
  const size_t equals = word.find('=');
  const std::string key = word.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
  if (key == "source") {
    words.shared_dir = value;
  } else if (key == "cache") {
    set_cache(share, value);
  } else if (key == "sandbox" && (value == "namespace" || value == "chroot")) {
    request.config.sandbox.mode = value;
  } else if (key == "modcaps") {
    request.config.sandbox.modcaps = value;
  } else if (key == "xattrmap") {
    share.xattrmap = XattrMap::parse(value);
  } else if (key == "loglevel" && kLogLevels.contains(value)) {
    words.log_level = kLogLevels.at(value);
  } else {
    fail(fmt::format("-o {}: no such option of virtiofsd", word));
  }
}

void apply_all_compatible(VirtiofsdRequest& request, Words& words) {
  for (const std::string& list : words.compatible) {
    std::string_view rest = list;
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
      if (!word.empty()) apply_compatible(std::string(word), request, words);
    }
  }
}

// An option that changes nothing here, because what it asks for is so anyway.
void add_unneeded(CLI::App& app, VirtiofsdRequest& request, const std::string& word,
                  const std::string& why) {
  app.add_flag_callback(
         word,
         [&request, word, why] {
           request.notes.push_back(fmt::format("{} changes nothing here: {}", word, why));
         },
         "Changes nothing here: " + why)
      ->group("Not needed");
}

void add_options(CLI::App& app, VirtiofsdRequest& request, Words& words) {
  ServeConfig& config = request.config;
  DeviceConfig& device = config.devices.front();
  app.add_option("--shared-dir", words.shared_dir, "Shared directory path")->type_name("PATH");
  app.add_option("--tag", words.tag, "The tag that the device tells; optional")->type_name("TAG");
  app.add_option("--socket-path,--socket", device.socket, "Where to listen for the VMM")
      ->type_name("PATH");
  app.add_option("--socket-group", device.socket_group, "Group whose members may connect, too")
      ->type_name("GROUP");
  app.add_option("--fd", device.listen_fd, "A listening socket that was passed in")
      ->type_name("FD");
  add_share_options(app, device.share);
  app.add_option("--sandbox", config.sandbox.mode,
                 "namespace, chroot or none (default: namespace where the kernel lets us)")
      ->type_name("HOW");
  app.add_option("--seccomp", config.sandbox.seccomp,
                 "At a system call that serving does not need: none, kill, log or trap (default: "
                 "kill)")
      ->type_name("ACTION");
  app.add_option("--modcaps", config.sandbox.modcaps,
                 "Capabilities to keep or give up, like +sys_admin:-chown")
      ->type_name("LIST");
  app.add_option("--rlimit-nofile", config.sandbox.rlimit_nofile,
                 "Descriptors that may be open (default: what is allowed, at most 1000000; 0: as "
                 "it is)")
      ->type_name("N");
  app.add_option("--uid-map", words.uid_map,
                 "Users of a user namespace, as :namespace_uid:host_uid:count:; several times")
      ->type_name("MAP")
      ->allow_extra_args(false);
  app.add_option("--gid-map", words.gid_map, "The same for groups")
      ->type_name("MAP")
      ->allow_extra_args(false);
  app.add_option("--log-level", words.log_level,
                 "error, warn, info, debug, trace or off (which is error here)")
      ->check(CLI::IsMember({"error", "warn", "info", "debug", "trace", "off"}))
      ->type_name("LEVEL");
  app.add_flag("--syslog", request.syslog, "Log to the journal");
  app.add_flag("--print-capabilities", request.print_capabilities,
               "Print what libvirt asks for, and end");
  app.add_option("-o", words.compatible, "Options as the C program had them: source=PATH,cache=...")
      ->type_name("OPTIONS")
      ->allow_extra_args(false);
  app.add_flag("-d", words.debug, "Log level debug");
  app.add_flag("-V,--version", words.version, "Print the version");

  app.add_option("--thread-pool-size", words.thread_pool_size,
                 "Changes nothing here: threads are made when calls take long")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->group("Not needed");
  add_unneeded(app, request, "-f", "it always stays in the foreground");
  add_unneeded(app, request, "--no-readdirplus", "the tenant's kernel chooses");
  add_unneeded(app, request, "--killpriv-v2", "it is offered, and done in any case");
  add_unneeded(app, request, "--no-killpriv-v2", "set-id bits go as POSIX has it in any case");
  add_unneeded(app, request, "--allow-mmap", "shared maps of files work with every cache policy");
  add_unneeded(app, request, "--preserve-noatime", "O_NOATIME is kept where we may");
  for (const char* word : {"--migration-mode", "--migration-on-error"}) {
    app.add_option(word, words.migration, "Refused: migration is not supported")->group("");
  }
  for (const char* word : {"--migration-verify-handles", "--migration-confirm-paths"}) {
    app.add_flag_callback(word, [&words] { words.migration = "asked"; })->group("");
  }
  // Who starts virtiofsd adds an operator's options behind its own, and the last one counts.
  for (CLI::Option* option : app.get_options()) {
    if (option->get_expected_max() == 1) option->take_last();
  }
}

void finish(VirtiofsdRequest& request, Words& words) {
  ServeConfig& config = request.config;
  DeviceConfig& device = config.devices.front();
  ShareConfig& share = device.share;
  if (!words.migration.empty()) {
    fail(
        "live migration of the device's state is not supported: leave out the --migration options "
        "(the VM can be migrated without the device: unplug it first)");
  }
  if (!words.thread_pool_size.empty() && words.thread_pool_size != "0") {
    request.notes.emplace_back(
        "--thread-pool-size changes nothing here: threads are made when calls take long");
  }
  if (words.shared_dir.empty()) fail("--shared-dir is missing: which directory shall be shared?");
  if (device.socket.empty() == (device.listen_fd < 0)) {
    fail("give either --socket-path or --fd: where does the VMM connect?");
  }
  // As virtiofsd has it.
  share.xattr = share.xattr || share.posix_acl || share.security_label || share.xattrmap;
  if (share.posix_acl && (!share.ids.uids.empty() || !share.ids.gids.empty())) {
    fail(
        "--posix-acl does not go together with --translate-uid and --translate-gid: lists would "
        "name other users than are meant");
  }
  config.sandbox.maps.users = ranges_of("--uid-map", words.uid_map);
  config.sandbox.maps.groups = ranges_of("--gid-map", words.gid_map);
  if (config.sandbox.maps.given()) {
    if (config.sandbox.mode.empty()) config.sandbox.mode = "namespace";
    if (config.sandbox.mode != "namespace") {
      fail("--uid-map and --gid-map need --sandbox namespace");
    }
  }
  device.share.url = Url::text_of("local", words.shared_dir);
  device.tells_tag = !words.tag.empty();
  device.tag = device.tells_tag ? words.tag : "virtiofsd";
  config.log_level = words.log_level == "off" ? "error" : words.log_level;
  if (words.debug) config.log_level = "debug";
  config.check();
}

}  // namespace

VirtiofsdRequest read_virtiofsd_arguments(const std::vector<std::string>& arguments) {
  VirtiofsdRequest request;
  DeviceConfig& device = request.config.devices.emplace_back();
  // virtiofsd's defaults, but for file handles: without them virtiofsd keeps a descriptor for each
  // file that the tenant knows, and follows it through renames on the host. Here handles do that.
  device.share.xattr = false;
  device.share.posix_acl = false;
  device.one_vmm = true;
  Words words;
  CLI::App app("Serves one directory to one VMM, in place of virtiofsd 1.13.", "dpfs virtiofsd");
  app.footer(kFooter);
  add_options(app, request, words);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    request.answer = app.help();
    return request;
  } catch (const CLI::ParseError& error) {
    fail(error.what());
  }
  if (words.version) request.answer = kVersion;
  apply_all_compatible(request, words);
  if (words.version || request.print_capabilities) return request;
  finish(request, words);
  return request;
}

}  // namespace dpfs
