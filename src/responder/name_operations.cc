// SPDX-License-Identifier: Apache-2.0
// Handles, names and directories.
#include <algorithm>
#include <vector>

#include "responder/compound.h"

namespace dpfs::responder {

using nfs::FileType;
using nfs::Status;

namespace {

constexpr size_t kTargetBytesMax = 4096;
constexpr uint32_t kRead = 4;
constexpr uint32_t kWrite = 2;
constexpr uint32_t kSearch = 1;

}  // namespace

Status Compound::putrootfh(Writer&) {
  current_ = world_.tree.root();
  current_state_ = {};
  return Status::ok;
}

Status Compound::putfh(Writer&) {
  const nfs::Bytes handle = args_.opaque(nfs::FileHandle::kBytesMax);
  if (args_.failed()) return Status::badxdr;
  current_state_ = {};
  return world_.find(handle, current_);
}

Status Compound::getfh(Writer& out) {
  if (current_ == nullptr) return Status::nofilehandle;
  const nfs::FileHandle handle = world_.handle_of(*current_);
  out.opaque({handle.bytes.data(), handle.size});
  return Status::ok;
}

Status Compound::savefh(Writer&) {
  if (current_ == nullptr) return Status::nofilehandle;
  saved_ = current_;
  saved_state_ = current_state_;
  return Status::ok;
}

Status Compound::restorefh(Writer&) {
  if (saved_ == nullptr) return Status::nofilehandle;
  current_ = saved_;
  current_state_ = saved_state_;
  return Status::ok;
}

Status Compound::lookup(Writer&) {
  std::string_view name;
  const Status named = take_name(name);
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (named != Status::ok) return named;
  if (!permitted(*current_, kSearch)) return Status::access;
  const auto entry = current_->entries.find(name);
  if (entry == current_->entries.end()) return Status::noent;
  current_ = entry->second.node;
  current_state_ = {};
  return Status::ok;
}

Status Compound::lookupp(Writer&) {
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (current_ == world_.tree.root()) return Status::noent;
  current_ = world_.tree.find(current_->parent);
  return current_ == nullptr ? Status::stale : Status::ok;
}

Status Compound::create(Writer& out) {
  const auto type = FileType{args_.u32()};
  std::string_view target;
  uint32_t device[2] = {0, 0};
  if (type == FileType::link) target = args_.text(kTargetBytesMax);
  if (type == FileType::block || type == FileType::character) {
    device[0] = args_.u32();
    device[1] = args_.u32();
  }
  std::string_view name;
  const Status named = take_name(name);
  SetAttributes attributes;
  const Status set = take_attributes(args_, attributes);
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (type == FileType::none || type == FileType::regular || type > FileType::fifo) {
    return Status::badtype;
  }
  if (named != Status::ok) return named;
  if (set != Status::ok) return set;
  if (current_->entries.contains(name)) return Status::exist;
  if (!permitted(*current_, kWrite | kSearch)) return Status::access;

  const uint64_t before = current_->change;
  Node& directory = *current_;
  const NodePointer node = world_.tree.create(directory, name, type);
  node->uid = request_.call.credential.uid;
  node->gid = request_.call.credential.gid;
  node->target = target;
  node->device_major = device[0];
  node->device_minor = device[1];
  apply(attributes, *node);
  put_change(out, before, directory.change);
  attributes.named.put(out);
  current_ = node;
  return Status::ok;
}

Status Compound::remove(Writer& out) {
  std::string_view name;
  const Status named = take_name(name);
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (named != Status::ok) return named;
  const auto entry = current_->entries.find(name);
  if (entry == current_->entries.end()) return Status::noent;
  if (!permitted(*current_, kWrite | kSearch)) return Status::access;
  const NodePointer node = entry->second.node;
  if (node->is_directory() && !node->entries.empty()) return Status::notempty;
  const uint64_t before = current_->change;
  world_.tree.unlink(*current_, name);
  if (node->links == 0 && world_.options.preserve_unlinked && world_.state.is_open(*node)) {
    world_.tree.keep(node);
  }
  put_change(out, before, current_->change);
  return Status::ok;
}

Status Compound::may_replace(const Node& source, const Node& target) const {
  if (&source == &target) return Status::ok;
  if (source.is_directory() != target.is_directory()) return Status::exist;
  return target.entries.empty() ? Status::ok : Status::notempty;
}

Status Compound::rename(Writer& out) {
  std::string_view name;
  std::string_view new_name;
  const Status named = take_name(name);
  const Status new_named = take_name(new_name);
  if (saved_ == nullptr) return Status::nofilehandle;
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (!saved_->is_directory()) return Status::notdir;
  if (named != Status::ok) return named;
  if (new_named != Status::ok) return new_named;
  const auto entry = saved_->entries.find(name);
  if (entry == saved_->entries.end()) return Status::noent;
  constexpr uint32_t kChange = kWrite | kSearch;
  if (!permitted(*saved_, kChange) || !permitted(*current_, kChange)) return Status::access;
  const NodePointer node = entry->second.node;
  if (node->is_directory() && world_.tree.is_below(*current_, *node)) return Status::inval;
  NodePointer replaced;
  const auto target = current_->entries.find(new_name);
  if (target != current_->entries.end()) {
    replaced = target->second.node;
    if (const Status may = may_replace(*node, *replaced); may != Status::ok) return may;
  }
  const uint64_t from_before = saved_->change;
  const uint64_t to_before = current_->change;
  world_.tree.rename(*saved_, name, *current_, new_name);
  if (replaced && replaced->links == 0 && world_.options.preserve_unlinked &&
      world_.state.is_open(*replaced)) {
    world_.tree.keep(replaced);
  }
  put_change(out, from_before, saved_->change);
  put_change(out, to_before, current_->change);
  return Status::ok;
}

Status Compound::link(Writer& out) {
  std::string_view name;
  const Status named = take_name(name);
  if (saved_ == nullptr) return Status::nofilehandle;
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (named != Status::ok) return named;
  if (saved_->is_directory()) return Status::isdir;
  if (current_->entries.contains(name)) return Status::exist;
  if (!permitted(*current_, kWrite | kSearch)) return Status::access;
  if (saved_->links == 0) return Status::stale;
  const uint64_t before = current_->change;
  world_.tree.link(*current_, name, saved_);
  put_change(out, before, current_->change);
  return Status::ok;
}

Status Compound::readdir(Writer& out) {
  constexpr size_t kEntryBytesMax = 8192;
  constexpr size_t kEndBytes = 2 * sizeof(uint32_t);  // no more entries, and whether that is all
  const uint64_t cookie = args_.u64();
  nfs::Verifier verifier;
  args_.fixed(verifier.bytes);
  args_.u32();  // dircount: a hint
  const uint32_t bytes_max = args_.u32();
  const Bitmap wanted = Bitmap::take(args_);
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_directory(); is != Status::ok) return is;
  if (cookie == 1 || cookie == 2) return Status::bad_cookie;
  if (!permitted(*current_, kRead)) return Status::access;
  nfs::Verifier own;
  own.bytes.fill(static_cast<uint8_t>(current_->fileid | 1));
  if (cookie != 0 && !(verifier == own)) return Status::not_same;

  out.fixed(own.bytes);
  const size_t room = std::min<size_t>(bytes_max, room_.size() - size_ - 2 * kEndBytes);
  std::vector<uint8_t> encoded(kEntryBytesMax);
  const FileSystemAttributes shared = file_system();
  auto name = current_->names_by_cookie.upper_bound(cookie);
  const auto first = name;
  for (; name != current_->names_by_cookie.end(); ++name) {
    const Node& node = *current_->entries.find(name->second)->second.node;
    Writer entry(encoded);
    entry.boolean(true);
    entry.u64(name->first);
    entry.text(name->second);
    put_attributes(entry, wanted, node, world_.handle_of(node), shared);
    if (out.size() + entry.size() + kEndBytes > room) break;
    out.fixed(entry.bytes());
  }
  const bool all = name == current_->names_by_cookie.end();
  if (!all && name == first) return Status::toosmall;
  out.boolean(false);
  out.boolean(all);
  return Status::ok;
}

Status Compound::readlink(Writer& out) {
  if (current_ == nullptr) return Status::nofilehandle;
  if (current_->type != FileType::link) {
    return current_->is_directory() ? Status::isdir : Status::wrong_type;
  }
  out.text(current_->target);
  return Status::ok;
}

}  // namespace dpfs::responder
