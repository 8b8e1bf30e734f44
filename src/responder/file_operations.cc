// SPDX-License-Identifier: Apache-2.0
// Attributes and contents of files; the 4.2 operations on ranges: RFC 7862, section 15.
#include <algorithm>

#include "responder/compound.h"

namespace dpfs::responder {

using nfs::Status;

namespace {

namespace access_bit {
constexpr uint32_t kRead = 0x1;
constexpr uint32_t kLookup = 0x2;
constexpr uint32_t kModify = 0x4;
constexpr uint32_t kExtend = 0x8;
constexpr uint32_t kDelete = 0x10;
constexpr uint32_t kExecute = 0x20;
constexpr uint32_t kXattrRead = 0x40;
constexpr uint32_t kXattrWrite = 0x80;
constexpr uint32_t kXattrList = 0x100;
constexpr uint32_t kOfReading = kRead | kXattrRead | kXattrList;
constexpr uint32_t kOfWriting = kModify | kExtend | kXattrWrite;
}  // namespace access_bit

// Where nobody would notice that a range is too long for memory, it is refused.
constexpr uint64_t kAllocateBytesMax = uint64_t{1} << 30;

}  // namespace

Status Compound::getattr(Writer& out) {
  const Bitmap wanted = Bitmap::take(args_);
  if (args_.failed()) return Status::badxdr;
  if (current_ == nullptr) return Status::nofilehandle;
  FileSystemAttributes shared = file_system();
  if (wanted.has(nfs::attribute::kSpaceFree) || wanted.has(nfs::attribute::kSpaceAvail)) {
    shared.space_used_bytes = std::min(world_.tree.allocated_bytes(), shared.space_bytes);
  }
  put_attributes(out, wanted, *current_, world_.handle_of(*current_), shared);
  return Status::ok;
}

Status Compound::set_size(uint64_t size) {
  if (const Status is = need_regular(); is != Status::ok) return is;
  if (size > INT64_MAX) return Status::fbig;
  if (current_->prepared) {
    current_->contents.resize(size);
  } else {
    current_->change_contents([&](Contents& contents) { contents.resize(size); });
  }
  current_->touch_contents();
  return Status::ok;
}

Status Compound::setattr(Writer& out) {
  const StateArgument state = take_stateid();
  SetAttributes attributes;
  Status status = take_attributes(args_, attributes);
  if (args_.failed()) status = Status::badxdr;
  if (status == Status::ok) status = need_current();
  if (status == Status::ok && (attributes.mode || attributes.uid || attributes.gid) &&
      !owns(*current_)) {
    status = Status::perm;
  }
  if (status == Status::ok && attributes.size) {
    status = check_io(*current_, state, nfs::share::kWrite);
    if (status == Status::ok) status = set_size(*attributes.size);
  }
  if (status != Status::ok) {
    Bitmap{}.put(out);
    return status;
  }
  apply(attributes, *current_);
  attributes.named.put(out);
  return Status::ok;
}

Status Compound::access(Writer& out) {
  const uint32_t wanted = args_.u32();
  if (args_.failed()) return Status::badxdr;
  if (current_ == nullptr) return Status::nofilehandle;
  uint32_t supported = access_bit::kOfReading | access_bit::kOfWriting;
  supported |=
      current_->is_directory() ? access_bit::kLookup | access_bit::kDelete : access_bit::kExecute;
  uint32_t granted = 0;
  if (permitted(*current_, 4)) granted |= access_bit::kOfReading;
  if (permitted(*current_, 2)) granted |= access_bit::kOfWriting | access_bit::kDelete;
  const bool executable = current_->is_directory() || (current_->mode & 0111) != 0;
  if (executable && permitted(*current_, 1)) {
    granted |= access_bit::kLookup | access_bit::kExecute;
  }
  out.u32(wanted & supported);
  out.u32(wanted & supported & granted);
  return Status::ok;
}

Status Compound::read(Writer& out) {
  const StateArgument state = take_stateid();
  const uint64_t offset = args_.u64();
  uint32_t count = std::min(args_.u32(), world_.options.read_bytes_max);
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  const Status checked = check_io(*current_, state, nfs::share::kRead);
  if (checked != Status::ok) return checked;
  if (!world_.script.empty()) {
    const auto rule = world_.script.take(Script::Action::shorten, nfs::Operation::read);
    if (rule) count = static_cast<uint32_t>(std::min<uint64_t>(count, rule->number));
  }
  const Contents& contents = current_->contents;
  const uint64_t left = offset < contents.size() ? contents.size() - offset : 0;
  count = static_cast<uint32_t>(std::min<uint64_t>(count, left));
  out.boolean(count == left);
  if (!current_->prepared) {
    static thread_local std::vector<uint8_t> buffer;
    buffer.resize(world_.options.read_bytes_max);
    count = static_cast<uint32_t>(contents.read(offset, std::span(buffer).first(count)));
    out.opaque(nfs::Bytes(buffer).first(count));
    return Status::ok;
  }
  const nfs::Bytes bytes = world_.prepared_bytes(offset, count);
  if (count % 4 != 0 || seen_.cache_this) {
    out.opaque(bytes);
    return Status::ok;
  }
  out.u32(count);
  payload_at_ = size_ + 2 * sizeof(uint32_t) + out.size();
  payload_ = bytes;
  return Status::ok;
}

Status Compound::write(Writer& out) {
  const StateArgument state = take_stateid();
  const uint64_t offset = args_.u64();
  const auto how = nfs::Stable{args_.u32()};
  nfs::Bytes bytes = args_.opaque(request_.bytes);
  if (args_.failed() || how > nfs::Stable::file_sync) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  const Status checked = check_io(*current_, state, nfs::share::kWrite);
  if (checked != Status::ok) return checked;
  if (offset > INT64_MAX - bytes.size()) return Status::fbig;
  if (!world_.script.empty()) {
    const auto rule = world_.script.take(Script::Action::shorten, nfs::Operation::write);
    if (rule) bytes = bytes.first(std::min<size_t>(bytes.size(), rule->number));
  }
  current_->write(offset, bytes, how);
  out.u32(static_cast<uint32_t>(bytes.size()));
  out.enumerator(how);
  out.fixed(world_.write_verifier.bytes);
  return Status::ok;
}

Status Compound::commit(Writer& out) {
  args_.u64();  // offset and count: all of the file becomes stable
  args_.u32();
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  current_->commit();
  out.fixed(world_.write_verifier.bytes);
  return Status::ok;
}

Status Compound::change_range(bool allocate) {
  const StateArgument state = take_stateid();
  const uint64_t offset = args_.u64();
  const uint64_t length = args_.u64();
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  const Status checked = check_io(*current_, state, nfs::share::kWrite);
  if (checked != Status::ok) return checked;
  if (length == 0 || offset > INT64_MAX) return Status::inval;
  if (allocate && (length > kAllocateBytesMax || length > world_.options.space_bytes)) {
    return Status::nospc;
  }
  current_->change_contents([&](Contents& contents) {
    if (allocate) {
      contents.allocate(offset, length);
    } else {
      contents.deallocate(offset, length);
    }
  });
  current_->touch_contents();
  return Status::ok;
}

Status Compound::allocate(Writer&) { return change_range(true); }
Status Compound::deallocate(Writer&) { return change_range(false); }

Status Compound::seek(Writer& out) {
  const StateArgument state = take_stateid();
  const uint64_t offset = args_.u64();
  const auto what = nfs::Content{args_.u32()};
  if (args_.failed()) return Status::badxdr;
  if (const Status is = need_regular(); is != Status::ok) return is;
  const Status checked = check_io(*current_, state, nfs::share::kRead);
  if (checked != Status::ok) return checked;
  if (what > nfs::Content::hole) return Status::inval;
  const Contents& contents = current_->contents;
  if (offset >= contents.size()) return Status::nxio;
  const std::optional<uint64_t> found = contents.seek(offset, what);
  out.boolean(!found || *found == contents.size());
  out.u64(found.value_or(contents.size()));
  return Status::ok;
}

// COPY's and CLONE's first arguments: from the saved file to the current one.
Status Compound::take_copy(CopyRange& range) {
  const StateArgument source = take_stateid();
  const StateArgument target = take_stateid();
  range.from = args_.u64();
  range.to = args_.u64();
  range.count = args_.u64();
  if (args_.failed()) return Status::badxdr;
  if (saved_ == nullptr) return Status::nofilehandle;
  if (const Status is = need_regular(); is != Status::ok) return is;
  if (!saved_->is_regular()) return Status::wrong_type;
  Status checked = check_io(*saved_, source, nfs::share::kRead);
  if (checked == Status::ok) checked = check_io(*current_, target, nfs::share::kWrite);
  if (checked != Status::ok) return checked;
  const uint64_t size = saved_->contents.size();
  if (range.from > size || (range.count != 0 && range.count > size - range.from)) {
    return Status::inval;
  }
  if (range.count == 0) range.count = size - range.from;
  if (range.to > INT64_MAX - range.count) return Status::fbig;
  const bool overlaps = range.from < range.to + range.count && range.to < range.from + range.count;
  return saved_ == current_ && range.count > 0 && overlaps ? Status::inval : Status::ok;
}

Status Compound::copy(Writer& out) {
  CopyRange range;
  const Status taken = take_copy(range);
  args_.boolean();  // consecutive
  args_.boolean();  // synchronous: always
  const uint32_t servers = args_.u32();
  if (args_.failed()) return Status::badxdr;
  if (servers != 0) return Status::notsupp;
  if (taken != Status::ok) return taken;
  if (!world_.script.empty()) {
    const auto rule = world_.script.take(Script::Action::shorten, nfs::Operation::copy);
    if (rule) range.count = std::min(range.count, rule->number);
  }
  const Contents source = saved_->contents;
  if (!current_->stable) current_->stable = current_->contents;
  current_->contents.copy(source, range.from, range.to, range.count);
  current_->touch_contents();
  out.u32(0);  // no callback: it is done
  out.u64(range.count);
  out.enumerator(nfs::Stable::unstable);
  out.fixed(world_.write_verifier.bytes);
  out.boolean(true);
  out.boolean(true);
  return Status::ok;
}

Status Compound::clone(Writer&) {
  CopyRange range;
  const Status taken = take_copy(range);
  if (taken != Status::ok) return taken;
  const Contents source = saved_->contents;
  current_->change_contents(
      [&](Contents& to) { to.copy(source, range.from, range.to, range.count); });
  current_->touch_contents();
  return Status::ok;
}

}  // namespace dpfs::responder
