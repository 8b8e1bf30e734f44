// SPDX-License-Identifier: Apache-2.0
// Where names of extended attributes are in requests and answers.
#include "layer/xattr_map_layer.h"

#include <utility>

namespace dpfs {
namespace {

constexpr size_t kNameRoom = XattrMap::kNameMax + 1;
// In request.names: an operation on extended attributes has one name only, at the front; a security
// label's name lies at the end (fuse/extensions.cc).
constexpr size_t kMappedName = kNameRoom;
constexpr size_t kMappedLabel = Request::kNamesMax - kNameRoom;

std::span<char, kNameRoom> room(Request& request, size_t at) noexcept {
  return std::span<char, kNameRoom>(request.names + at, kNameRoom);
}

Result<uint32_t> listed(const XattrMap& map, const Result<uint32_t>& bytes, Scratch& scratch,
                        IoView into) noexcept {
  if (!bytes) return bytes.error();
  const std::span<char> names = scratch.bytes(*bytes);
  const auto kept = static_cast<uint32_t>(map.list_to_guest(names));
  if (into.empty()) return kept;  // how long is it?
  if (kept > into.size()) return Errno::range;
  into.copy_in(names.data(), kept);
  return kept;
}

}  // namespace

// The host's kernel keeps access control lists in step with a file's mode, if it knows them by
// their name. A file's capabilities are dropped when it is written to. The host's kernel does so
// for those that it knows by their name; for others the tenant's has to, so it is not told that it
// is done here.
void XattrMapLayer::begin(Negotiated& negotiated) {
  if (map_.renames("security.capability")) {
    negotiated.flags &= ~(fuse::init_flag::kHandleKillpriv | fuse::init_flag::kHandleKillprivV2);
  }
  if (map_.renames("system.posix_acl_access") || map_.renames("system.posix_acl_default")) {
    negotiated.flags &= ~fuse::init_flag::kPosixAcl;
  }
  Layer::begin(negotiated);
}

// The security label of something new has a name, too.
Op<Unit> XattrMapLayer::admit(Request& request, const Operation& operation) {
  if (!operation.creates() || request.creation.context_name.size() == 0) return Unit{};
  const Result<uint16_t> size =
      map_.to_host(request.creation.context_name.view(), room(request, kMappedLabel));
  if (!size) return size.error();
  request.creation.context_name = Name(request.names + kMappedLabel, *size);
  return Unit{};
}

Result<Name> XattrMapLayer::to_host(Request& request, const Name& name) const noexcept {
  const Result<uint16_t> size = map_.to_host(name.view(), room(request, kMappedName));
  if (!size) return size.error();
  return Name(request.names + kMappedName, *size);
}

Op<uint32_t> XattrMapLayer::getxattr(Request& request, const GetxattrArgs& args) {
  const Result<Name> name = to_host(request, args.name);
  if (!name) return name.error();
  GetxattrArgs ours = args;
  ours.name = *name;
  return Layer::getxattr(request, ours);
}

Op<Unit> XattrMapLayer::setxattr(Request& request, const SetxattrArgs& args) {
  const Result<Name> name = to_host(request, args.name);
  if (!name) return name.error();
  SetxattrArgs ours = args;
  ours.name = *name;
  return Layer::setxattr(request, ours);
}

Op<Unit> XattrMapLayer::removexattr(Request& request, const RemovexattrArgs& args) {
  const Result<Name> name = to_host(request, args.name);
  if (!name) return name.error();
  RemovexattrArgs ours = args;
  ours.name = *name;
  return Layer::removexattr(request, ours);
}

// All of the host's names are asked for: how long the tenant's list is, is known only then.
Op<uint32_t> XattrMapLayer::listxattr(Request& request, const ListxattrArgs& args) {
  ScratchLease scratch = spares_.take();
  if (!scratch) return Errno::nomem;
  ListxattrArgs ours = args;
  ours.into = (*scratch).view(Scratch::kBytes);
  Op<uint32_t> op = Layer::listxattr(request, ours);
  if (!op.ready()) return listed_later(std::move(op), std::move(scratch), args.into);
  return listed(map_, op.take(), *scratch, args.into);
}

Op<uint32_t> XattrMapLayer::listed_later(Op<uint32_t> op, ScratchLease scratch, IoView into) {
  const Result<uint32_t> bytes = co_await op;
  co_return listed(map_, bytes, *scratch, into);
}

}  // namespace dpfs
