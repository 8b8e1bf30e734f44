// SPDX-License-Identifier: Apache-2.0
// Where ids are in requests and answers.
#include "layer/id_map_layer.h"

#include <utility>

#include "layer/id_translate.h"

namespace dpfs {
namespace {

constexpr uint32_t kNobody = 65534;  // what Linux calls an id that has no counterpart

Result<uint32_t> delivered_now(const IdMaps& maps, const Result<uint32_t>& bytes, Scratch& scratch,
                               IoView into,
                               void (*translate)(const IdMaps&, std::span<char>) noexcept) {
  if (!bytes) return bytes.error();
  const std::span<char> ours = scratch.bytes(*bytes);
  translate(maps, ours);
  return static_cast<uint32_t>(into.copy_in(ours.data(), ours.size()));
}

}  // namespace

// Runs before every operation but FORGET, which is nobody's.
Op<Unit> IdMapLayer::admit(Request& request, const Operation& operation) {
  const Result<uint32_t> uid = maps_.uids.to_host(request.header.uid);
  const Result<uint32_t> gid = maps_.gids.to_host(request.header.gid);
  const bool creates = operation.creates();
  if (creates && !uid) return uid.error();
  if (creates && !gid) return gid.error();
  request.header.uid = uid ? *uid : kNobody;
  request.header.gid = gid ? *gid : kNobody;
  if (creates && request.creation.group != Creation::kNoGroup) {
    const Result<uint32_t> group = maps_.gids.to_host(request.creation.group);
    request.creation.group = group ? *group : Creation::kNoGroup;
  }
  return Unit{};
}

template <class Out>
Op<Out> IdMapLayer::answered(Op<Out> op) const {
  if (!op.ready()) return answered_later(maps_, std::move(op));
  const Result<Out> result = op.take();
  if (!result) return result;
  Out out = *result;
  to_guest(maps_, out);
  return out;
}

template <class Out>
Op<Out> IdMapLayer::answered_later(const IdMaps& maps, Op<Out> op) {
  const Result<Out> result = co_await op;
  if (!result) co_return result.error();
  Out out = *result;
  to_guest(maps, out);
  co_return out;
}

template Op<fuse::EntryOut> IdMapLayer::answered(Op<fuse::EntryOut>) const;
template Op<fuse::AttrOut> IdMapLayer::answered(Op<fuse::AttrOut>) const;
template Op<fuse::StatxOut> IdMapLayer::answered(Op<fuse::StatxOut>) const;
template Op<CreateOut> IdMapLayer::answered(Op<CreateOut>) const;

Op<fuse::AttrOut> IdMapLayer::setattr(Request& request, const SetattrArgs& args) {
  SetattrArgs ours = args;
  if ((args.in.valid & fuse::attr_valid::kUid) != 0) {
    const Result<uint32_t> uid = maps_.uids.to_host(args.in.uid);
    if (!uid) return uid.error();
    ours.in.uid = *uid;
  }
  if ((args.in.valid & fuse::attr_valid::kGid) != 0) {
    const Result<uint32_t> gid = maps_.gids.to_host(args.in.gid);
    if (!gid) return gid.error();
    ours.in.gid = *gid;
  }
  return answered(Layer::setattr(request, ours));
}

// What lies in the tenant's memory could change while it is walked, so the back end writes to ours.
Op<uint32_t> IdMapLayer::readdirplus(Request& request, const ReaddirArgs& args) {
  ScratchLease scratch = spares_.take();
  if (!scratch) return Errno::nomem;
  ReaddirArgs ours = args;
  ours.into = (*scratch).view(args.into.size());
  Op<uint32_t> op = Layer::readdirplus(request, ours);
  return delivered(std::move(op), std::move(scratch), args.into, listing_to_guest);
}

Op<uint32_t> IdMapLayer::getxattr(Request& request, const GetxattrArgs& args) {
  if (args.into.empty() || !is_acl(args.name.view())) return Layer::getxattr(request, args);
  ScratchLease scratch = spares_.take();
  if (!scratch) return Errno::nomem;
  GetxattrArgs ours = args;
  ours.into = (*scratch).view(args.into.size());
  Op<uint32_t> op = Layer::getxattr(request, ours);
  return delivered(std::move(op), std::move(scratch), args.into, acl_to_guest);
}

Op<uint32_t> IdMapLayer::delivered(Op<uint32_t> op, ScratchLease scratch, IoView into,
                                   Translate translate) {
  if (!op.ready()) return delivered_later(std::move(op), std::move(scratch), into, translate);
  return delivered_now(maps_, op.take(), *scratch, into, translate);
}

Op<uint32_t> IdMapLayer::delivered_later(Op<uint32_t> op, ScratchLease scratch, IoView into,
                                         Translate translate) {
  const Result<uint32_t> bytes = co_await op;
  co_return delivered_now(maps_, bytes, *scratch, into, translate);
}

Op<Unit> IdMapLayer::setxattr(Request& request, const SetxattrArgs& args) {
  if (!is_acl(args.name.view())) return Layer::setxattr(request, args);
  if (args.value.size() > Scratch::kBytes) return Errno::toobig;
  ScratchLease scratch = spares_.take();
  if (!scratch) return Errno::nomem;
  const std::span<char> acl = (*scratch).bytes(args.value.size());
  IoView from = args.value;
  from.copy_out(acl.data(), acl.size());
  if (const Result<Unit> ok = acl_to_host(maps_, acl); !ok) return ok.error();
  SetxattrArgs ours = args;
  ours.value = (*scratch).view(acl.size());
  Op<Unit> op = Layer::setxattr(request, ours);
  if (!op.ready()) return done_later(std::move(op), std::move(scratch));
  return op;
}

Op<Unit> IdMapLayer::done_later(Op<Unit> op, ScratchLease) {
  const Result<Unit> result = co_await op;
  co_return result;
}

}  // namespace dpfs
