// SPDX-License-Identifier: Apache-2.0
// What tests ask of a responder, from their own threads.
#include <algorithm>

#include "responder/responder.h"

namespace dpfs::responder {

namespace {

// Where a path's last name begins.
size_t last_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? 0 : slash + 1;
}

Node& new_file(Tree& tree, std::string_view path) {
  const size_t name = last_name(path);
  const NodePointer directory = tree.make_directories(path.substr(0, name));
  const std::string_view last = path.substr(name);
  const auto entry = directory->entries.find(last);
  return entry == directory->entries.end() ? *tree.create(*directory, last, nfs::FileType::regular)
                                           : *entry->second.node;
}

std::string text_of(const Contents& contents) {
  std::string text(contents.size(), '\0');
  contents.read(0, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
  return text;
}

}  // namespace

void Responder::add(const Script::Rule& rule) {
  const std::lock_guard lock(mutex_);
  world_.script.add(rule);
}

void Responder::answer(When when, nfs::Status status) {
  add({Script::Action::answer, when, status});
}

void Responder::answer_rpc_error(When when, AcceptStat verdict) {
  Script::Rule rule{Script::Action::rpc_error, when};
  rule.number = static_cast<uint64_t>(verdict);
  add(rule);
}

void Responder::delay(When when, std::chrono::milliseconds by) {
  Script::Rule rule{Script::Action::delay, when};
  rule.number = static_cast<uint64_t>(by.count());
  add(rule);
}

void Responder::damage(When when, Damage how, uint64_t seed) {
  Script::Rule rule{Script::Action::damage, when};
  rule.damage = how;
  rule.number = seed;
  add(rule);
}

void Responder::shorten(When when, uint64_t bytes) {
  Script::Rule rule{Script::Action::shorten, when};
  rule.number = bytes;
  add(rule);
}

void Responder::clear_rules() {
  const std::lock_guard lock(mutex_);
  world_.script.clear();
}

void Responder::release_held(Order order) {
  {
    const std::lock_guard lock(mutex_);
    replies_.release_held(order == Order::last_first);
  }
  wake();
}

size_t Responder::held() {
  const std::lock_guard lock(mutex_);
  return replies_.held();
}

void Responder::reorder(size_t group) {
  const std::lock_guard lock(mutex_);
  replies_.set_group(group);
}

void Responder::fragment(size_t bytes) {
  const std::lock_guard lock(mutex_);
  replies_.set_fragment_bytes(bytes);
}

void Responder::segment(size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    segment_bytes_ = bytes;
  }
  wake();
}

void Responder::restart() {
  const std::lock_guard lock(mutex_);
  world_.restart();
  while (!connections_.empty()) close(connections_.begin()->first);
}

void Responder::end_grace() {
  const std::lock_guard lock(mutex_);
  world_.end_grace();
}

void Responder::expire_clients(Expiry how) {
  const std::lock_guard lock(mutex_);
  while (how == Expiry::forgotten && !world_.state.clients().empty()) {
    world_.state.remove(*world_.state.clients().begin()->second);
  }
  for (const auto& [id, client] : world_.state.clients()) world_.state.revoke(*client);
}

void Responder::advance_clock(std::chrono::milliseconds by) {
  const std::lock_guard lock(mutex_);
  world_.advance_clock(static_cast<uint64_t>(by.count()));
  world_.expire_leases();
}

void Responder::make_handles_stale() {
  const std::lock_guard lock(mutex_);
  world_.make_handles_stale();
}

void Responder::drop_connections() {
  const std::lock_guard lock(mutex_);
  while (!connections_.empty()) close(connections_.begin()->first);
}

void Responder::stop_listening() {
  const std::lock_guard lock(mutex_);
  listener_.reset();
}

void Responder::listen_again() {
  const std::lock_guard lock(mutex_);
  if (!listener_) listen();
}

void Responder::pause() {
  const std::lock_guard lock(mutex_);
  paused_ = true;
}

void Responder::go_on() {
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  changed_.notify_all();
}

void Responder::with(const std::function<void(World&)>& what) {
  const std::lock_guard lock(mutex_);
  what(world_);
}

Counters Responder::counters() {
  const std::lock_guard lock(mutex_);
  return world_.counters;
}

uint64_t Responder::executed(nfs::Operation operation) { return counters().of(operation); }

std::vector<Seen> Responder::seen() {
  const std::lock_guard lock(mutex_);
  return {world_.seen.begin(), world_.seen.end()};
}

bool Responder::wait_until(const std::function<bool(World&)>& what,
                           std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, at_most, [&] { return what(world_); });
}

bool Responder::wait_for_executed(nfs::Operation operation, uint64_t times) {
  return wait_until([&](World& world) { return world.counters.of(operation) >= times; });
}

void Responder::put_file(std::string_view path, std::string_view contents) {
  const std::lock_guard lock(mutex_);
  Node& node = new_file(world_.tree, path);
  node.contents = {};
  node.stable.reset();
  const auto* bytes = reinterpret_cast<const uint8_t*>(contents.data());
  node.write(0, {bytes, contents.size()}, nfs::Stable::file_sync);
}

void Responder::put_prepared_file(std::string_view path, uint64_t size) {
  const std::lock_guard lock(mutex_);
  Node& node = new_file(world_.tree, path);
  node.prepared = true;
  node.contents.resize(size);
  // What is lent to a connection must not move later.
  world_.prepared_bytes(0, world_.options.read_bytes_max);
}

std::string Responder::contents(std::string_view path) {
  const std::lock_guard lock(mutex_);
  const NodePointer node = world_.tree.at(path);
  return node == nullptr ? "" : text_of(node->contents);
}

std::string Responder::stable_contents(std::string_view path) {
  const std::lock_guard lock(mutex_);
  const NodePointer node = world_.tree.at(path);
  return node == nullptr ? "" : text_of(node->stable ? *node->stable : node->contents);
}

bool Responder::exists(std::string_view path) {
  const std::lock_guard lock(mutex_);
  return world_.tree.at(path) != nullptr;
}

void Responder::remove(std::string_view path) {
  const std::lock_guard lock(mutex_);
  const size_t name = last_name(path);
  const NodePointer directory = world_.tree.at(path.substr(0, name));
  if (directory != nullptr) world_.tree.unlink(*directory, path.substr(name));
}

}  // namespace dpfs::responder
