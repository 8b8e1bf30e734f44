// SPDX-License-Identifier: Apache-2.0
// Which of the means of sandbox/ are taken, in which order, and saying so.
#include "daemon/confinement.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "base/log.h"
#include "base/sanitized.h"
#include "sandbox/landlock.h"
#include "sandbox/namespaces.h"
#include "sandbox/private_root.h"
#include "sandbox/seccomp.h"

namespace dpfs {
namespace {

using sandbox::Capabilities;
using sandbox::OtherCalls;

// What serving files for other users takes. DAC_READ_SEARCH is for file handles.
constexpr Capabilities kUsed{CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
                             CAP_FOWNER, CAP_FSETID,       CAP_SETGID,
                             CAP_SETUID, CAP_MKNOD,        CAP_SETFCAP};

std::string canonical(const std::string& folder) {
  const std::unique_ptr<char, void (*)(void*)> path(realpath(folder.c_str(), nullptr), std::free);
  if (path != nullptr) return path.get();
  const Errno why = last_errno();
  throw std::runtime_error(
      fmt::format("cannot open directory '{}': {}; {}", folder, describe(why),
                  why == Errno::noent ? "create it, or correct the path" : "check it"));
}

OtherCalls action_of(const std::string& name) {
  static const std::map<std::string, OtherCalls> kActions{{"none", OtherCalls::allow},
                                                          {"kill", OtherCalls::kill},
                                                          {"log", OtherCalls::log},
                                                          {"trap", OtherCalls::trap}};
  if (name.empty()) return kSanitized ? OtherCalls::allow : OtherCalls::kill;
  return kActions.at(name);
}

// Inside of a user namespace that was given ids, the first user is to be root there.
void become_root_inside(const sandbox::NamespaceIds& maps) {
  const auto has_root = [](const std::vector<sandbox::IdRange>& ranges) {
    return std::ranges::any_of(ranges, [](const auto& range) { return range.inside == 0; });
  };
  if ((has_root(maps.groups) && setresgid(0, 0, 0) != 0) ||
      (has_root(maps.users) && setresuid(0, 0, 0) != 0)) {
    throw std::system_error(errno, std::generic_category(), "setresuid");
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // which a change of the user takes away
}

}  // namespace

Confinement::Confinement(ServeConfig& config, const Backends& backends) : config_(config.sandbox) {
  for (DeviceConfig& device : config.devices) {
    const Url url = Url::parse(device.share.url);
    const Backends::Reach reach = backends.reach_of(url);
    switch (reach) {
      case Backends::Reach::nothing:
        break;
      case Backends::Reach::network:
        network_ = true;
        // Inside there is nobody to ask for a name.
        if (config_.mode != "none") device.share.url = backends.by_address(url);
        break;
      case Backends::Reach::working_folder:
        paths_ = true;
        [[fallthrough]];
      case Backends::Reach::folder:
        try {
          const std::string folder = canonical(url.path());
          device.share.url = url.text_with_path(folder);
          folders_.push_back(folder);
          // A database is written to whatever its tenants may.
          if (!device.share.readonly || reach == Backends::Reach::working_folder) {
            writable_.push_back(folder);
          }
          handles_ = handles_ || (reach == Backends::Reach::folder &&
                                  device.share.inode_file_handles != FileHandles::never);
        } catch (const std::runtime_error& error) {
          throw std::runtime_error(
              fmt::format("{}device '{}': {}", device.url_place, device.tag, error.what()));
        }
    }
  }
  // Whoever may open handles may open any inode of the file systems that the folders lie on.
  Capabilities used = handles_ ? kUsed : kUsed - Capabilities{CAP_DAC_READ_SEARCH};
  if (folders_.empty()) used = {};  // a server knows its users by itself
  kept_ = sandbox::changed_by(used, config_.modcaps);
}

void Confinement::prepare() {
  if (config_.mode == "none" || (config_.mode.empty() && kSanitized)) {
    mode_ = Mode::none;
  } else if (config_.mode == "chroot") {
    if (paths_) {
      throw std::runtime_error(
          "--sandbox chroot is not possible with a kv+rocksdb: URL, whose files are opened by "
          "their "
          "paths; take --sandbox namespace or --sandbox none");
    }
    mode_ = Mode::chroot;
    chroots_ = true;
    if (!Capabilities::of_this_thread().contains({CAP_SYS_CHROOT})) {
      throw std::runtime_error(
          "--sandbox chroot needs CAP_SYS_CHROOT: run as root, or with --sandbox namespace");
    }
  } else if (Capabilities::of_this_thread().contains({CAP_SETUID, CAP_CHOWN}) &&
             !Capabilities::of_this_thread().contains({CAP_SYS_ADMIN}) && !config_.maps.given()) {
    // A user namespace would take away all users but our own.
    fall_back("CAP_SYS_ADMIN is missing");
  } else {
    try {
      user_namespace_ = sandbox::enter_outer_namespaces(config_.maps);
    } catch (const std::system_error& error) {
      fall_back(error.what());
    }
  }
}

void Confinement::fall_back(const std::string& why) {
  if (!config_.mode.empty()) {
    throw std::runtime_error(fmt::format(
        "--sandbox namespace is not possible here ({}): it needs CAP_SYS_ADMIN, or user "
        "namespaces for who is not root; take --sandbox chroot or --sandbox none",
        why));
  }
  mode_ = Mode::walls;
  chroot_instead("no namespaces of our own here", why);
}

void Confinement::chroot_instead(const char* what, const std::string& why) {
  chroots_ = Capabilities::of_this_thread().contains({CAP_SYS_CHROOT}) && !paths_;
  if (chroots_) mode_ = mode_ == Mode::walls ? Mode::chroot : mode_;
  log::warn("{} ({}): {}", std::string(what), why,
            chroots_ ? "chroot instead" : "only Landlock keeps us from other files");
}

void Confinement::enter() {
  if (mode_ == Mode::namespaces) enter_namespaces();
  sandbox::keep_only(chroots_ ? kept_ | Capabilities{CAP_SYS_CHROOT} : kept_);
}

void Confinement::enter_namespaces() {
  // First of all: who is nobody there may make no directory.
  if (config_.maps.given()) become_root_inside(config_.maps);
  namespaces_ = user_namespace_ ? "user pid" : "pid";
  try {
    sandbox::enter_inner_namespaces(network_);
    namespaces_ += network_ ? " mount ipc uts" : " mount net ipc uts";
    sandbox::enter_private_root(folders_, writable_);
    files_ = folders_.empty() ? "none" : fmt::format("only {}", fmt::join(folders_, " "));
  } catch (const std::system_error& error) {
    if (!config_.mode.empty()) {
      throw std::runtime_error(fmt::format(
          "--sandbox namespace is not possible here ({}); take --sandbox chroot or --sandbox none",
          error.what()));
    }
    chroot_instead("no root directory of our own here", error.what());
  }
  // With our own id alone, capabilities over the namespace let us do nothing more to files, and
  // would make the back end believe that there are other ids.
  if (user_namespace_ && !config_.maps.given()) kept_ = {};
}

void Confinement::seal() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    throw std::system_error(errno, std::generic_category(), "PR_SET_NO_NEW_PRIVS");
  }
  const std::string walls = raise_walls();
  if (chroots_) leave_other_paths();
  const std::string calls = forbid_calls();
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  log::info(
      "confined: namespaces {}; paths: {}; capabilities: {}; seccomp: {}; Landlock: {}; {} "
      "descriptors",
      namespaces_, files_, Capabilities::of_this_thread().text(), calls, walls, limit.rlim_cur);
}

// Back ends have opened what they need.
void Confinement::leave_other_paths() {
  const std::string root = folders_.empty() ? "/proc/self/fdinfo" : folders_.front();
  if (chroot(root.c_str()) != 0 || chdir("/") != 0) {
    throw std::system_error(errno, std::generic_category(), "chroot " + root);
  }
  sandbox::keep_only(kept_);
  files_ = "below " + root;
}

std::string Confinement::raise_walls() {
  if (mode_ == Mode::none) return "none";
  sandbox::Walls walls{.folders = {}, .tcp = network_};
  // See sandbox/landlock.h. Handles work with this capability, in the first user namespace.
  const bool handles =
      !user_namespace_ && Capabilities::of_this_thread().contains({CAP_DAC_READ_SEARCH});
  if (!handles) walls.folders = folders_;
  try {
    const std::string in_force = sandbox::raise_walls(walls);
    return in_force.empty() ? "not in this kernel" : in_force;
  } catch (const std::system_error& error) {
    return fmt::format("none ({})", error.what());
  }
}

std::string Confinement::forbid_calls() {
  const OtherCalls action = action_of(config_.seccomp);
  if (action == OtherCalls::allow) return "none";
  try {
    sandbox::forbid_other_calls(
        action, network_ ? sandbox::Network::tcp_clients : sandbox::Network::sockets_only);
  } catch (const std::system_error& error) {
    if (!config_.seccomp.empty()) {
      throw std::runtime_error(
          fmt::format("--seccomp {} is not possible here ({})", config_.seccomp, error.what()));
    }
    return fmt::format("none ({})", error.what());
  }
  return config_.seccomp.empty() ? "kill" : config_.seccomp;
}

}  // namespace dpfs
