// SPDX-License-Identifier: Apache-2.0
// Every answer follows from the question: no tables, no system calls, no waiting.
#include "backend/null/null_fs.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "fuse/dirent_writer.h"

namespace dpfs {
namespace {

constexpr uint64_t kFirstFile = static_cast<uint64_t>(NodeId::root) + 1;
constexpr uint32_t kBlockBytes = 4096;

}  // namespace

bool NullFs::is_file(NodeId node) const noexcept {
  const auto number = static_cast<uint64_t>(node);
  return number >= kFirstFile && number - kFirstFile < options_.files;
}

bool NullFs::is_node(NodeId node) const noexcept { return node == NodeId::root || is_file(node); }

Result<Unit> NullFs::check(NodeId node) const noexcept {
  if (!is_node(node)) return Errno::stale;
  return Unit{};
}

Result<Unit> NullFs::check(NodeId node, Handle handle) const noexcept {
  if (!is_node(node)) return Errno::stale;
  if (static_cast<uint64_t>(handle) != static_cast<uint64_t>(node)) return Errno::badf;
  return Unit{};
}

fuse::Attr NullFs::attr(NodeId node) const noexcept {
  fuse::Attr attr{};
  attr.ino = static_cast<uint64_t>(node);
  attr.blksize = kBlockBytes;
  if (node == NodeId::root) {
    attr.mode = S_IFDIR | 0755;
    attr.nlink = 2;
  } else {
    attr.mode = S_IFREG | 0666;
    attr.nlink = 1;
    attr.size = options_.file_bytes;
  }
  return attr;
}

fuse::AttrOut NullFs::attr_out(NodeId node) const noexcept {
  return {.attr_valid = cache_.attr_valid_ms / 1000,
          .attr_valid_nsec = cache_.attr_valid_ms % 1000 * 1'000'000,
          .attr = attr(node)};
}

fuse::EntryOut NullFs::entry_out(NodeId node) const noexcept {
  return {.nodeid = static_cast<uint64_t>(node),
          .entry_valid = cache_.entry_valid_ms / 1000,
          .attr_valid = cache_.attr_valid_ms / 1000,
          .entry_valid_nsec = cache_.entry_valid_ms % 1000 * 1'000'000,
          .attr_valid_nsec = cache_.attr_valid_ms % 1000 * 1'000'000,
          .attr = attr(node)};
}

Op<fuse::EntryOut> NullFs::lookup(Request&, const LookupArgs& args) {
  if (!is_node(args.parent)) return Errno::stale;
  if (args.parent != NodeId::root) return Errno::notdir;
  const std::string_view name = args.name.view();
  // "f" and a number without leading zeros: each file has one name only.
  if (name.size() < 2 || name[0] != 'f' || (name[1] == '0' && name.size() > 2)) {
    return Errno::noent;
  }
  uint32_t index = 0;
  const char* end = name.data() + name.size();
  const auto [stopped, why] = std::from_chars(name.data() + 1, end, index);
  if (why != std::errc{} || stopped != end || index >= options_.files) return Errno::noent;
  return entry_out(NodeId{kFirstFile + index});
}

Op<Unit> NullFs::forget(Request&, const ForgetArgs&) { return Unit{}; }

Op<fuse::AttrOut> NullFs::getattr(Request&, const GetattrArgs& args) {
  if (Result<Unit> ok = check(args.node); !ok) return ok.error();
  return attr_out(args.node);
}

Op<fuse::AttrOut> NullFs::setattr(Request&, const SetattrArgs& args) {
  if (Result<Unit> ok = check(args.node); !ok) return ok.error();
  return attr_out(args.node);
}

Op<fuse::OpenOut> NullFs::open(Request&, const OpenArgs& args) {
  if (!is_node(args.node)) return Errno::stale;
  if (!is_file(args.node)) return Errno::isdir;
  return fuse::OpenOut{.fh = static_cast<uint64_t>(args.node), .open_flags = cache_.file_flags};
}

Op<uint32_t> NullFs::read(Request&, const ReadArgs& args) {
  if (Result<Unit> ok = check(args.node, args.handle); !ok) return ok.error();
  if (!is_file(args.node)) return Errno::isdir;
  if (args.offset >= options_.file_bytes) return 0u;
  IoView into = args.into;
  const uint64_t bytes = std::min<uint64_t>(into.size(), options_.file_bytes - args.offset);
  return static_cast<uint32_t>(into.fill(0, bytes));
}

Op<fuse::WriteOut> NullFs::write(Request&, const WriteArgs& args) {
  if (Result<Unit> ok = check(args.node, args.handle); !ok) return ok.error();
  if (!is_file(args.node)) return Errno::isdir;
  return fuse::WriteOut{.size = static_cast<uint32_t>(args.from.size())};
}

Op<fuse::StatfsOut> NullFs::statfs(Request&, const NodeArgs& args) {
  if (Result<Unit> ok = check(args.node); !ok) return ok.error();
  fuse::StatfsOut out{};
  out.st.bsize = kBlockBytes;
  out.st.frsize = kBlockBytes;
  out.st.blocks = options_.files * ((options_.file_bytes + kBlockBytes - 1) / kBlockBytes);
  out.st.files = options_.files + 1;
  out.st.namelen = 255;
  return out;
}

Op<Unit> NullFs::release(Request&, const ReleaseArgs& args) {
  return check(args.node, args.handle);
}
Op<Unit> NullFs::flush(Request&, const FlushArgs& args) { return check(args.node, args.handle); }
Op<Unit> NullFs::fsync(Request&, const FsyncArgs& args) { return check(args.node, args.handle); }

Op<fuse::OpenOut> NullFs::opendir(Request&, const OpenArgs& args) {
  if (!is_node(args.node)) return Errno::stale;
  if (args.node != NodeId::root) return Errno::notdir;
  return fuse::OpenOut{.fh = static_cast<uint64_t>(args.node),
                       .open_flags = cache_.directory_flags};
}

Op<uint32_t> NullFs::readdir(Request&, const ReaddirArgs& args) { return list(args, false); }
Op<uint32_t> NullFs::readdirplus(Request&, const ReaddirArgs& args) { return list(args, true); }

// Entry 0 is ".", 1 is "..", and 2 + i is file i; an entry's offset is the number of the next one.
Op<uint32_t> NullFs::list(const ReaddirArgs& args, bool plus) const {
  if (Result<Unit> ok = check(args.node, args.handle); !ok) return ok.error();
  if (args.node != NodeId::root) return Errno::notdir;
  DirentWriter writer(args.into);
  for (uint64_t number = args.offset; number < 2 + uint64_t{options_.files}; ++number) {
    const bool dots = number < 2;
    const NodeId node = dots ? NodeId::root : NodeId{kFirstFile + number - 2};
    char name[16] = "..";
    size_t name_size = number + 1;
    if (!dots) name_size = fmt::format_to_n(name, sizeof name, "f{}", number - 2).size;
    const DirentWriter::Entry entry{.ino = static_cast<uint64_t>(node),
                                    .next_offset = number + 1,
                                    .type = dots ? uint32_t{DT_DIR} : uint32_t{DT_REG},
                                    .name = {name, name_size}};
    // The dots have no node id of their own: the tenant does not count them as looked up.
    const bool fits =
        plus ? writer.add_plus(entry, dots ? fuse::EntryOut{.attr = attr(node)} : entry_out(node))
             : writer.add(entry);
    if (!fits) break;
  }
  return writer.bytes();
}

Op<Unit> NullFs::releasedir(Request&, const ReleaseArgs& args) {
  return check(args.node, args.handle);
}
Op<Unit> NullFs::fsyncdir(Request&, const FsyncArgs& args) { return check(args.node, args.handle); }
Op<Unit> NullFs::access(Request&, const AccessArgs& args) { return check(args.node); }
Op<Unit> NullFs::syncfs(Request&, const NodeArgs& args) { return check(args.node); }

}  // namespace dpfs
