// SPDX-License-Identifier: Apache-2.0
// LOOKUP: what lies under a name.
#include <dirent.h>
#include <sys/stat.h>

#include "backend/kv/kv_fs.h"

namespace dpfs {

using kv::Entry;
using kv::NodeRef;

// The common case, without a frame: all of it is in memory.
Op<fuse::EntryOut> KvFs::lookup(Request&, const LookupArgs& args) {
  const auto directory_ino = static_cast<uint64_t>(args.parent);
  const std::string_view name = args.name.view();
  if (name == "." || name == "..") return look_up_dots(directory_ino, name.size() == 2);
  kv::Volume& volume = *volume_;
  Node* directory = volume.find_node(directory_ino);
  if (directory != nullptr && directory->is_there() && volume.is_sure()) {
    const kv::CachedName* entry = volume.known_name(*directory, name);
    if (entry != nullptr && entry->absent()) return Errno::noent;
    Node* node = entry != nullptr ? volume.find_node(entry->inode) : nullptr;
    if (node != nullptr && node->is_there()) return entry_out(*node);
  }
  return look_up(directory_ino, args.name);
}

Op<fuse::EntryOut> KvFs::look_up(uint64_t directory_ino, Name name) {
  kv::Volume& volume = *volume_;
  const NodeRef directory = volume.node(directory_ino);
  if (!directory) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume.load(*directory);
  if (!ok) co_return ok.error();
  if (!S_ISDIR(directory->inode.mode)) co_return Errno::notdir;
  // Between its name and itself a file may go, and its name may be another's: looked at again.
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    const Result<Entry> entry = co_await volume.find_name(*directory, name.view());
    if (!entry) co_return entry.error();
    const NodeRef node = volume.node(entry->ino);
    if (!node) co_return Errno::nomem;
    Op<Unit> load = entry->type == DT_REG ? volume.load_to_read(*node) : volume.load(*node);
    const Result<Unit> there = co_await load;
    if (there) co_return entry_out(*node);
    if (there.error() != Errno::stale) co_return there.error();
  }
  co_return Errno::io;
}

// How a tenant finds a node again by its number alone, and what lies above it.
Op<fuse::EntryOut> KvFs::look_up_dots(uint64_t ino, bool parent) {
  if ((negotiated_.flags & fuse::init_flag::kExportSupport) == 0) co_return Errno::inval;
  kv::Volume& volume = *volume_;
  const NodeRef node = volume.node(ino);
  if (!node) co_return Errno::nomem;
  Result<Unit> ok = co_await volume.load(*node);
  if (!ok) co_return ok.error();
  if (!parent) co_return entry_out(*node);
  if (!S_ISDIR(node->inode.mode)) co_return Errno::notdir;
  const NodeRef above = volume.node(node->inode.parent);
  if (!above) co_return Errno::nomem;
  ok = co_await volume.load(*above);
  if (!ok) co_return ok.error();
  co_return entry_out(*above);
}

}  // namespace dpfs
