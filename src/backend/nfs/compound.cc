// SPDX-License-Identifier: Apache-2.0
// RPC messages: RFC 5531, sections 9 and 11. COMPOUND: RFC 8881, section 16.2.
#include "backend/nfs/compound.h"

namespace dpfs::nfs {
namespace {

constexpr uint32_t kCall = 0;
constexpr uint32_t kReply = 1;
constexpr uint32_t kRpcVersion = 2;
constexpr uint32_t kAuthNone = 0;
constexpr uint32_t kAuthSys = 1;
constexpr uint32_t kAccepted = 0;
constexpr size_t kAuthBytesMax = 400;
constexpr size_t kTagBytesMax = 1024;
constexpr uint32_t kOperationsMax = 64;
constexpr uint32_t kLastFragment = 0x80000000;

const char* accept_problem(uint32_t status) noexcept {
  switch (status) {
    case 1:
      return "it serves no NFS";
    case 2:
      return "it does not serve version 4 of NFS";
    case 3:
      return "it has no COMPOUND";
    case 4:
      return "it could not read our request";
    default:
      return "it had a system error";
  }
}

}  // namespace

void CompoundWriter::begin(uint32_t xid, const Credential& who, std::string_view machine,
                           uint32_t minor_version) noexcept {
  xdr_.u32(0);  // the record's mark
  xdr_.u32(xid);
  xdr_.u32(kCall);
  xdr_.u32(kRpcVersion);
  xdr_.u32(kProgram);
  xdr_.u32(kVersion);
  xdr_.u32(kProcedureCompound);
  xdr_.u32(kAuthSys);
  const size_t length_at = xdr_.reserve_u32();
  const size_t begin = xdr_.size();
  xdr_.u32(0);  // stamp
  xdr_.text(machine);
  xdr_.u32(who.uid);
  xdr_.u32(who.gid);
  xdr_.u32(who.group_count);
  for (uint32_t i = 0; i < who.group_count; ++i) xdr_.u32(who.groups[i]);
  xdr_.patch_u32(length_at, static_cast<uint32_t>(xdr_.size() - begin));
  xdr_.u32(kAuthNone);  // verifier
  xdr_.u32(0);
  xdr_.u32(0);  // tag
  xdr_.u32(minor_version);
  count_at_ = xdr_.reserve_u32();
}

void CompoundWriter::begin_as_before(uint32_t xid, size_t header_bytes) noexcept {
  xdr_.step_over(header_bytes);
  xdr_.patch_u32(sizeof(uint32_t), xid);
  count_at_ = header_bytes - sizeof(uint32_t);
}

void CompoundWriter::sequence(const SequenceArgs& args) noexcept {
  XdrWriter& xdr = operation(Operation::sequence);
  xdr.fixed(args.session.bytes);
  xdr.u32(args.sequence);
  xdr.u32(args.slot);
  xdr.u32(args.highest_slot);
  xdr.boolean(args.cache_this);
}

bool CompoundWriter::end() noexcept {
  xdr_.patch_u32(count_at_, count_);
  const size_t bytes = xdr_.size() - sizeof(uint32_t) + data_.size() + xdr_padding(data_.size());
  xdr_.patch_u32(0, kLastFragment | static_cast<uint32_t>(bytes));
  return !xdr_.overflowed();
}

void CompoundReader::begin() noexcept {
  const uint32_t direction = xdr_.u32();
  const uint32_t state = xdr_.u32();
  if (direction != kReply) {
    failed_ = true;
    return;
  }
  if (state != kAccepted) {
    // MSG_DENIED: RPC_MISMATCH, or AUTH_ERROR and why.
    refusal_ = xdr_.u32() == 1 ? "it does not take AUTH_SYS credentials from us"
                               : "it does not speak this version of RPC";
    failed_ = true;
    return;
  }
  xdr_.u32();  // verifier
  xdr_.opaque(kAuthBytesMax);
  if (const uint32_t accepted = xdr_.u32(); accepted != 0) {
    refusal_ = accept_problem(accepted);
    failed_ = true;
    return;
  }
  status_ = static_cast<Status>(xdr_.u32());
  xdr_.opaque(kTagBytesMax);
  left_ = xdr_.u32();
  if (left_ > kOperationsMax) failed_ = true;
}

bool CompoundReader::next(Operation number) noexcept {
  // With no result at all, the status is that of the whole (a minor version that is not served).
  if (left_ == 0 || failed()) {
    if (status_ == Status::ok) failed_ = true;
    return false;
  }
  --left_;
  const uint32_t got = xdr_.u32();
  status_ = static_cast<Status>(xdr_.u32());
  // An operation that it does not know is answered as OP_ILLEGAL.
  if (got != static_cast<uint32_t>(number) && status_ != Status::op_illegal) failed_ = true;
  return !failed();
}

bool CompoundReader::operation(Operation number) noexcept {
  if (!next(number) || status_ != Status::ok) return false;
  changed_names_ = changed_names_ || number == Operation::create || number == Operation::link ||
                   number == Operation::remove || number == Operation::rename;
  return true;
}

bool CompoundReader::operation_or(Operation number, Status other) noexcept {
  return next(number) && (status_ == Status::ok || status_ == other);
}

FileHandle CompoundReader::filehandle() noexcept {
  FileHandle handle;
  const Bytes bytes = xdr_.opaque(FileHandle::kBytesMax);
  handle.size = static_cast<uint8_t>(bytes.size());
  if (!bytes.empty()) std::memcpy(handle.bytes.data(), bytes.data(), bytes.size());
  return handle;
}

void CompoundReader::bitmap() noexcept {
  const uint32_t words = xdr_.u32();
  if (words > kOperationsMax) failed_ = true;
  if (!failed_) xdr_.skip(words * sizeof(uint32_t));
}

uint32_t CompoundReader::data_into(IoView into) noexcept {
  const uint32_t bytes = xdr_.u32();
  if (bytes > into.size()) {
    failed_ = true;
    return 0;
  }
  if (placed_ > 0) return bytes;
  const Bytes data = xdr_.fixed(bytes);
  into.copy_in(data.data(), data.size());
  return bytes;
}

std::optional<DataPlace> find_read_data(Bytes head) noexcept {
  CompoundReader reader(Record{head});
  reader.xdr().u32();  // xid
  reader.begin();
  if (reader.failed() || reader.status() != Status::ok) return std::nullopt;
  if (!reader.operation(Operation::sequence)) return std::nullopt;
  reader.xdr().skip(36);
  if (!reader.operation(Operation::putfh) || !reader.operation(Operation::read)) {
    return std::nullopt;
  }
  reader.xdr().boolean();
  const uint32_t bytes = reader.xdr().u32();
  if (reader.failed()) return std::nullopt;
  return DataPlace{head.size() - reader.xdr().left(), bytes};
}

}  // namespace dpfs::nfs
