// SPDX-License-Identifier: Apache-2.0
// OPENDIR, READDIR and READDIRPLUS.
//
// An entry's offset is its cookie, which it keeps as long as it has its name, so a listing can go
// on anywhere, whatever came and went.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>

#include "backend/kv/access_time.h"
#include "backend/kv/found.h"
#include "backend/kv/kv_fs.h"
#include "fuse/dirent_writer.h"

namespace dpfs {

using kv::Collection;
using kv::Listed;
using kv::Listing;
using kv::NodeRef;

namespace {

constexpr uint64_t kDots[] = {1, 2};  // the offsets of "." and ".."

// Where to go on behind `offset`, among the entries that are stored.
uint64_t first_cookie(uint64_t offset) noexcept { return std::max(offset + 1, kv::kFirstCookie); }

}  // namespace

Op<fuse::OpenOut> KvFs::opendir(Request&, const OpenArgs& args) {
  return open_directory(static_cast<uint64_t>(args.node));
}

Op<fuse::OpenOut> KvFs::open_directory(uint64_t ino) {
  NodeRef node = volume_->node(ino);
  if (!node) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume_->load(*node);
  if (!ok) co_return ok.error();
  if (!S_ISDIR(node->inode.mode)) co_return Errno::notdir;
  co_return hand_out(std::move(node));
}

Op<uint32_t> KvFs::readdir(Request&, const ReaddirArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return list(node_of(args.node), args);
}

Op<uint32_t> KvFs::readdirplus(Request&, const ReaddirArgs& args) {
  if (files_.find(args.handle, args.node) == nullptr) return Errno::badf;
  return list_plus(node_of(args.node), args);
}

namespace {

// "." and "..", where they are still to come. False: there is no room for more.
bool add_dots(DirentWriter& writer, const kv::Node& directory, uint64_t offset,
              bool plus) noexcept {
  // What lies above the file system is nobody's business.
  const uint64_t inos[] = {directory.ino, directory.inode.parent};
  const std::string_view names[] = {".", ".."};
  for (size_t i = 0; i < std::size(kDots); ++i) {
    if (offset >= kDots[i]) continue;
    const DirentWriter::Entry entry{
        .ino = inos[i], .next_offset = kDots[i], .type = DT_DIR, .name = names[i]};
    // They have no node id: the tenant does not count them as looked up.
    if (!(plus ? writer.add_plus(entry, fuse::EntryOut{}) : writer.add(entry))) return false;
  }
  return true;
}

// Straight into the answer.
class Lister final : public kv::ScanReader {
 public:
  explicit Lister(DirentWriter& writer) noexcept : writer_(writer) {}
  bool found(const kv::Key& key, std::string_view value) noexcept override {
    Listing listing;
    damaged = !decode(value, listing);
    if (damaged) return false;
    return writer_.add({.ino = listing.ino,
                        .next_offset = key.number,
                        .type = listing.type,
                        .name = listing.name});
  }
  bool damaged = false;

 private:
  DirentWriter& writer_;
};

// The shortest entry takes so many bytes.
constexpr uint32_t kEntryBytesMin = 32;

}  // namespace

Op<uint32_t> KvFs::list(NodeRef directory, ReaddirArgs args) {
  if (!directory) co_return Errno::nomem;
  const Result<Unit> ok = co_await volume_->load(*directory);
  if (!ok || directory->inode.nlink == 0) co_return 0u;  // removed while it is open
  kv::note_access(*directory);
  DirentWriter writer(args.into);
  if (!add_dots(writer, *directory, args.offset, false)) co_return writer.bytes();
  Lister lister(writer);
  const kv::Scan scan{.collection = Collection::listing,
                      .object = directory->ino,
                      .from_number = first_cookie(args.offset),
                      .records_max = static_cast<uint32_t>(args.into.size()) / kEntryBytesMin + 1};
  const Result<bool> scanned = co_await volume_->store().scan(scan, lister);
  if (!scanned && writer.bytes() == 0) co_return scanned.error();
  if (lister.damaged && writer.bytes() == 0) co_return Errno::io;
  co_return writer.bytes();
}

// The inodes of the rows, as many of them as are not in memory at once.
Op<Unit> KvFs::load_listed(Listed& listed) {
  size_t count = 0;
  for (size_t i = 0; i < listed.count; ++i) {
    Listed::Row& row = listed.rows[i];
    row.node = volume_->node(row.ino);
    if (!row.node) co_return Errno::nomem;
    if (row.node->state != Node::State::unknown) continue;
    row.changes = row.node->changes;
    listed.gets[count++] = {.key = {.collection = Collection::inode, .object = row.ino},
                            .reader = &row.inode};
  }
  if (count == 0) co_return Unit{};
  const Result<Unit> got = co_await volume_->store().get({listed.gets.data(), count});
  if (!got) co_return got;
  size_t next = 0;
  for (size_t i = 0; i < listed.count && next < count; ++i) {
    Listed::Row& row = listed.rows[i];
    const kv::Get& get = listed.gets[next];
    if (get.key.object != row.ino || get.reader != &row.inode) continue;
    ++next;
    // What was read is older than what somebody has done meanwhile.
    if (row.node->changes != row.changes || row.node->state != Node::State::unknown) continue;
    if (row.inode.why(get) != Errno::none) continue;
    row.node->inode = row.inode.value;
    row.node->state = Node::State::there;
  }
  co_return Unit{};
}

Op<uint32_t> KvFs::list_plus(NodeRef directory, ReaddirArgs args) {
  if (!directory) co_return Errno::nomem;
  Result<Unit> ok = co_await volume_->load(*directory);
  if (!ok || directory->inode.nlink == 0) co_return 0u;
  kv::note_access(*directory);
  const Spares<Listed>::Lease room = listed_.take();
  if (!room) co_return Errno::nomem;
  Listed& listed = *room;
  DirentWriter writer(args.into);
  bool full = !add_dots(writer, *directory, args.offset, true);
  uint64_t next = first_cookie(args.offset);
  while (!full) {
    listed.clear();
    const kv::Scan scan{.collection = Collection::listing,
                        .object = directory->ino,
                        .from_number = next,
                        .records_max = Listed::kMax};
    const Result<bool> scanned = co_await volume_->store().scan(scan, listed);
    ok = scanned ? Result<Unit>(Unit{}) : scanned.error();
    if (ok && listed.damaged) ok = Errno::io;
    if (ok) ok = co_await load_listed(listed);
    if (!ok) break;
    for (size_t i = 0; i < listed.count && !full; ++i) {
      const Listed::Row& row = listed.rows[i];
      const DirentWriter::Entry entry{.ino = row.ino,
                                      .next_offset = row.cookie,
                                      .type = row.type,
                                      .name = {row.name.data(), row.name_bytes}};
      // Without attributes the tenant looks it up itself, and finds out.
      const bool there = row.node->is_there();
      full = !writer.add_plus(entry, there ? entry_out(*row.node) : fuse::EntryOut{});
    }
    if (listed.count == 0 || *scanned) break;
    next = listed.rows[listed.count - 1].cookie + 1;
  }
  listed.clear();
  if (!ok && writer.bytes() == 0) co_return ok.error();
  co_return writer.bytes();
}

}  // namespace dpfs
