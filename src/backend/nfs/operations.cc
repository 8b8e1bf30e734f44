// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of what goes by names and attributes.
#include "backend/nfs/operations.h"

#include <algorithm>

namespace dpfs::nfs {
namespace {

constexpr size_t kPathBytesMax = 4096;
constexpr size_t kNameBytesMax = 4096;
constexpr uint32_t kXattrBytesMax = 64 * 1024;
constexpr size_t kUserPrefixBytes = 5;

void encode_getattr(CompoundWriter& to, const AttributeSet& wanted) noexcept {
  wanted.encode(to.operation(Operation::getattr));
}

void decode_getattr(CompoundReader& from, Attributes& to) noexcept {
  if (from.operation(Operation::getattr)) Attributes::decode(from.xdr(), to);
}

// GETFH and GETATTR, as they stand behind what finds or makes something.
void encode_found(CompoundWriter& to, const AttributeSet& wanted) noexcept {
  to.operation(Operation::getfh);
  encode_getattr(to, wanted);
}

void decode_found(CompoundReader& from, FileHandle& handle, Attributes& attributes) noexcept {
  if (!from.operation(Operation::getfh)) return;
  handle = from.filehandle();
  decode_getattr(from, attributes);
}

}  // namespace

void Lookup::encode(CompoundWriter& to) noexcept {
  to.putfh(parent);
  to.operation(Operation::lookup).text(name);
  encode_found(to, kObjectAttributes);
}

void Lookup::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::lookup)) return;
  decode_found(from, handle, attributes);
}

void LookupParent::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  to.operation(Operation::lookupp);
  encode_found(to, kObjectAttributes);
}

void LookupParent::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::lookupp)) return;
  decode_found(from, handle, attributes);
}

void LookupPath::encode(CompoundWriter& to) noexcept {
  if (from_root) {
    to.operation(Operation::putrootfh);
  } else {
    to.putfh(from);
  }
  for (size_t i = 0; i < count; ++i) to.operation(Operation::lookup).text(names[i]);
  encode_found(to, wanted);
}

void LookupPath::decode(CompoundReader& from_server) noexcept {
  if (!from_server.operation(from_root ? Operation::putrootfh : Operation::putfh)) return;
  for (size_t i = 0; i < count; ++i) {
    if (!from_server.operation(Operation::lookup)) return;
  }
  decode_found(from_server, handle, attributes);
}

void Create::encode(CompoundWriter& to) noexcept {
  to.putfh(parent);
  XdrWriter& xdr = to.operation(Operation::create);
  xdr.enumerator(type);
  if (type == FileType::link) xdr.text(target);
  if (type == FileType::block || type == FileType::character) {
    xdr.u32(major);
    xdr.u32(minor);
  }
  xdr.text(name);
  initial.encode(xdr);
  encode_found(to, kObjectAttributes);
}

void Create::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::create)) return;
  from.change_info();
  from.bitmap();
  decode_found(from, handle, attributes);
}

void Remove::encode(CompoundWriter& to) noexcept {
  to.putfh(parent);
  to.operation(Operation::remove).text(name);
}

void Remove::decode(CompoundReader& from) noexcept {
  if (from.operation(Operation::putfh) && from.operation(Operation::remove)) from.change_info();
}

void Rename::encode(CompoundWriter& to) noexcept {
  to.putfh(parent);
  to.operation(Operation::savefh);
  to.putfh(new_parent);
  XdrWriter& xdr = to.operation(Operation::rename);
  xdr.text(name);
  xdr.text(new_name);
}

void Rename::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::savefh) ||
      !from.operation(Operation::putfh) || !from.operation(Operation::rename)) {
    return;
  }
  from.change_info();
  from.change_info();
}

void Link::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  to.operation(Operation::savefh);
  to.putfh(new_parent);
  to.operation(Operation::link).text(new_name);
  to.operation(Operation::restorefh);
  encode_getattr(to, kObjectAttributes);
}

void Link::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::savefh) ||
      !from.operation(Operation::putfh) || !from.operation(Operation::link)) {
    return;
  }
  from.change_info();
  if (from.operation(Operation::restorefh)) decode_getattr(from, attributes);
}

void ReadLink::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  to.operation(Operation::readlink);
}

void ReadLink::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::readlink)) return;
  const Bytes target = from.xdr().opaque(kPathBytesMax);
  IoView view = into;
  bytes = static_cast<uint32_t>(view.copy_in(target.data(), target.size()));
}

void ReadDirectory::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::readdir);
  xdr.u64(cookie);
  xdr.fixed(verifier.bytes);
  xdr.u32(bytes_max);  // dircount: names and cookies alone
  xdr.u32(bytes_max);
  wanted.encode(xdr);
}

// Entries are handed on only when the whole answer is one: what has been taken stays taken.
void ReadDirectory::decode(CompoundReader& from) noexcept {
  at_end = false;
  entries = 0;
  if (!from.operation(Operation::putfh) || !from.operation(Operation::readdir)) return;
  XdrReader& xdr = from.xdr();
  xdr.fixed(verifier.bytes);
  XdrReader ahead = xdr;
  while (ahead.boolean()) {
    ahead.u64();
    ahead.opaque(kNameBytesMax);
    AttributeSet::decode(ahead);
    ahead.opaque(ahead.left());
  }
  const bool last = ahead.boolean();
  if (ahead.failed()) return xdr.fail();

  bool takes = true;
  while (takes && xdr.boolean()) {
    const uint64_t next = xdr.u64();
    const std::string_view name = xdr.text(kNameBytesMax);
    Attributes attributes;
    const XdrReader values = xdr;
    Attributes::decode(xdr, attributes);
    if (xdr.failed()) {  // these alone
      xdr = values;
      attributes = Attributes{};
      AttributeSet::decode(xdr);
      xdr.opaque(xdr.left());
    }
    ++entries;
    takes = taker->take(next, name, attributes);
  }
  at_end = last && takes;
}

void GetAttributes::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  encode_getattr(to, wanted);
}

void GetAttributes::decode(CompoundReader& from) noexcept {
  if (from.operation(Operation::putfh)) decode_getattr(from, attributes);
}

void Access::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  to.operation(Operation::access).u32(wanted);
}

void Access::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::access)) return;
  from.xdr().u32();  // what it can tell about
  granted = from.xdr().u32();
}

void GetXattr::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  to.operation(Operation::getxattr).text(name);
}

void GetXattr::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::getxattr)) return;
  const Bytes value = from.xdr().opaque(kXattrBytesMax);
  bytes = value.size();
  IoView view = into;
  if (bytes <= view.size()) view.copy_in(value.data(), value.size());
}

void SetXattr::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::setxattr);
  xdr.u32(how);
  xdr.text(name);
  to.data(value);
}

void SetXattr::decode(CompoundReader& from) noexcept {
  if (from.operation(Operation::putfh) && from.operation(Operation::setxattr)) from.change_info();
}

void ListXattrs::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  XdrWriter& xdr = to.operation(Operation::listxattrs);
  xdr.u64(cookie);
  xdr.u32(kXattrBytesMax);
}

void ListXattrs::decode(CompoundReader& from) noexcept {
  if (!from.operation(Operation::putfh) || !from.operation(Operation::listxattrs)) return;
  IoView view = into;
  XdrReader& xdr = from.xdr();
  cookie = xdr.u64();
  bytes = 0;
  const uint32_t count = xdr.u32();
  for (uint32_t i = 0; i < count && !xdr.failed(); ++i) {
    const std::string_view name = xdr.text(kNameBytesMax);
    const size_t needed = kUserPrefixBytes + name.size() + 1;
    bytes += needed;
    if (view.size() < needed) continue;
    view.copy_in("user.", kUserPrefixBytes);
    view.copy_in(name.data(), name.size());
    view.fill(0, 1);
  }
  at_end = xdr.boolean();
}

void RemoveXattr::encode(CompoundWriter& to) noexcept {
  to.putfh(node);
  to.operation(Operation::removexattr).text(name);
}

void RemoveXattr::decode(CompoundReader& from) noexcept {
  if (from.operation(Operation::putfh) && from.operation(Operation::removexattr)) {
    from.change_info();
  }
}

}  // namespace dpfs::nfs
