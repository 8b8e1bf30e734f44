// SPDX-License-Identifier: Apache-2.0
// Listing directories.
#include <dirent.h>

#include <algorithm>

#include "backend/nfs/nfs_fs.h"
#include "fuse/dirent_writer.h"

namespace dpfs {
namespace {

// A server's cookies are ours. It never uses 0, 1 and 2 (RFC 8881, section 18.23.3): "." and ".."
// stand there, which it does not list.
constexpr uint64_t kDotCookie = 1;
constexpr uint64_t kDotDotCookie = 2;
constexpr uint64_t kMadeUp = 1ull << 63;  // in numbers of ours
constexpr size_t kListBytesMin = 4096;
constexpr size_t kListBytesMax = 64 * 1024;

const nfs::AttributeSet kPlainAttributes{nfs::attribute::kType, nfs::attribute::kFileid,
                                         nfs::attribute::kRdattrError,
                                         nfs::attribute::kMountedOnFileid};

nfs::AttributeSet plus_attributes() noexcept {
  nfs::AttributeSet set = nfs::kObjectAttributes;
  set.add(nfs::attribute::kRdattrError);
  set.add(nfs::attribute::kFilehandle);
  return set;
}

uint32_t entry_type(nfs::FileType type) noexcept { return IFTODT(nfs::type_bits(type)); }

}  // namespace

class NfsFs::Lister final : public nfs::EntryTaker {
 public:
  Lister(NfsFs& fs, IoView into, bool plus) noexcept : fs_(fs), writer_(into), plus_(plus) {}

  bool take(uint64_t cookie, std::string_view name, const nfs::Attributes& attributes) override {
    if (is_hidden(name) || name.empty() || name.size() > 255 ||
        name.find('/') != std::string_view::npos) {
      last_cookie = cookie;
      return true;
    }
    // Of a directory that may be read but not searched, the server tells names alone. Programs skip
    // what has no number.
    const bool told = attributes.error == nfs::Status::ok && attributes.fileid != 0;
    const DirentWriter::Entry entry{
        .ino = told ? attributes.fileid : cookie | kMadeUp,
        .next_offset = cookie,
        .type = told ? entry_type(attributes.type) : uint32_t{DT_UNKNOWN},
        .name = name};
    if (!(plus_ ? take_plus(entry, attributes) : writer_.add(entry))) return false;
    last_cookie = cookie;
    ++taken;
    return true;
  }
  // An entry that the server does not list.
  bool take_dots(const DirentWriter::Entry& entry) {
    const bool added = plus_ ? writer_.add_plus(entry, fuse::EntryOut{}) : writer_.add(entry);
    if (added) ++taken;
    return added;
  }
  uint32_t bytes() const noexcept { return writer_.bytes(); }

  uint64_t last_cookie = 0;
  uint32_t taken = 0;

 private:
  bool take_plus(const DirentWriter::Entry& entry, const nfs::Attributes& attributes) {
    if (!writer_.has_room_plus(entry)) return false;
    fuse::EntryOut out{};  // node 0: nobody has looked it up
    if (attributes.error == nfs::Status::ok && attributes.handle.size > 0) {
      if (const Result<fuse::EntryOut> found = fs_.entry_out(attributes.handle, attributes)) {
        out = *found;
        // Or listing would be of no use to who looks at all files next.
        out.entry_valid = fs_.negotiated_.cache.entry_valid_ms / 1000;
        out.entry_valid_nsec = fs_.negotiated_.cache.entry_valid_ms % 1000 * 1'000'000;
      }
    }
    return writer_.add_plus(entry, out);
  }

  NfsFs& fs_;
  DirentWriter writer_;
  bool plus_;
};

Op<fuse::OpenOut> NfsFs::nfs_opendir(Request&, OpenArgs args) {
  const std::optional<Handle> handle = directories_.insert(args.node);
  if (!handle) co_return Errno::nfile;
  fuse::OpenOut out{};
  out.fh = static_cast<uint64_t>(*handle);
  out.open_flags = negotiated_.cache.directory_flags;
  co_return out;
}

Op<Unit> NfsFs::nfs_releasedir(Request&, ReleaseArgs args) {
  if (!directories_.remove(args.handle, args.node)) co_return Errno::badf;
  co_return Unit{};
}

// A server answers what changes names when it has stored it.
Op<Unit> NfsFs::nfs_fsyncdir(Request&, FsyncArgs args) {
  if (directories_.find(args.handle, args.node) == nullptr) co_return Errno::badf;
  co_return Unit{};
}

Op<uint32_t> NfsFs::nfs_readdir(Request& request, ReaddirArgs args) {
  return list(request, args, false);
}

Op<uint32_t> NfsFs::nfs_readdirplus(Request& request, ReaddirArgs args) {
  return list(request, args, true);
}

Op<uint32_t> NfsFs::list(const Request& request, ReaddirArgs args, bool plus) {
  const Directory* directory = directories_.find(args.handle, args.node);
  if (directory == nullptr) co_return Errno::badf;
  Op<nfs::FileHandle> asking = handle_of(args.node);
  const Result<nfs::FileHandle> node = co_await asking;
  if (!node) co_return node.error();
  const nfs::NodeRow* row = nodes_.find(args.node);
  if (row != nullptr && row->removed) co_return 0u;

  Lister lister(*this, args.into, plus);
  const uint64_t own = row == nullptr ? 0 : row->fileid;
  if (args.offset < kDotCookie &&
      !lister.take_dots({.ino = own, .next_offset = kDotCookie, .type = DT_DIR, .name = "."})) {
    co_return lister.bytes();
  }
  if (args.offset < kDotDotCookie &&
      !lister.take_dots({.ino = own, .next_offset = kDotDotCookie, .type = DT_DIR, .name = ".."})) {
    co_return lister.bytes();
  }
  nfs::ReadDirectory call;
  call.who = credential(request);
  call.node = *node;
  call.cookie = args.offset <= kDotDotCookie ? 0 : args.offset;
  call.taker = &lister;
  call.wanted = plus ? plus_attributes() : kPlainAttributes;
  // About as much as will fit: a server's entry is larger than ours without attributes, and about
  // as large with them.
  call.bytes_max = static_cast<uint32_t>(
      std::clamp(args.into.size() * (plus ? 1 : 2), kListBytesMin, kListBytesMax));
  directory = directories_.find(args.handle, args.node);
  if (directory == nullptr) co_return Errno::badf;
  if (call.cookie != 0) call.verifier = directory->verifier;
  // Only hidden ones: there may be more behind them.
  const uint32_t dots = lister.taken;
  while (true) {
    Op<Unit> asking_server = ask(call, *node);
    const Result<Unit> done = co_await asking_server;
    if (!done) {
      if (lister.taken > 0) break;
      co_return done.error();
    }
    if (Directory* still = directories_.find(args.handle, args.node)) {
      still->verifier = call.verifier;
    }
    if (lister.taken > dots || call.at_end || call.entries == 0 || lister.last_cookie == 0) break;
    call.cookie = lister.last_cookie;
  }
  co_return lister.bytes();
}

}  // namespace dpfs
