// SPDX-License-Identifier: Apache-2.0
// COMPOUND requests and replies: an RPC message (RFC 5531) with a list of operations in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"
#include "guest/io_view.h"

namespace dpfs::nfs {

// Who asks: AUTH_SYS (RFC 5531, appendix A).
struct Credential {
  static constexpr size_t kGroupsMax = 16;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t group_count = 0;
  std::array<uint32_t, kGroupsMax> groups;  // besides gid

  bool operator==(const Credential& other) const noexcept {
    return uid == other.uid && gid == other.gid && group_count == other.group_count &&
           std::memcmp(groups.data(), other.groups.data(), group_count * sizeof(uint32_t)) == 0;
  }
};

// What SEQUENCE says: which request of which slot of which session this is.
struct SequenceArgs {
  SessionId session;
  uint32_t sequence = 0;
  uint32_t slot = 0;
  uint32_t highest_slot = 0;
  bool cache_this = false;
};

// Writes one request: the record's mark, the RPC header, and the operations as they are added.
class CompoundWriter {
 public:
  // `room` holds the whole request but for data(). `machine` is our name, up to 255 bytes.
  explicit CompoundWriter(std::span<uint8_t> room) noexcept : xdr_(room) {}

  void begin(uint32_t xid, const Credential& who, std::string_view machine,
             uint32_t minor_version) noexcept;
  // The same where the room's first `header_bytes` bytes (begun_bytes() of a request before) are
  // still there, and all but the xid is as it was.
  void begin_as_before(uint32_t xid, size_t header_bytes) noexcept;
  size_t begun_bytes() const noexcept { return count_at_ + sizeof(uint32_t); }
  void sequence(const SequenceArgs& args) noexcept;

  // Begins an operation; its arguments follow by xdr().
  XdrWriter& operation(Operation number) noexcept {
    ++count_;
    xdr_.enumerator(number);
    return xdr_;
  }
  XdrWriter& xdr() noexcept { return xdr_; }

  void putfh(const FileHandle& handle) noexcept {
    operation(Operation::putfh).opaque({handle.bytes.data(), handle.size});
  }
  void stateid(const StateId& stateid) noexcept {
    xdr_.u32(0);
    xdr_.fixed(stateid.other);
  }
  // The last thing in the message: data that is sent from where it lies, not copied here.
  void data(Bytes data) noexcept {
    xdr_.u32(static_cast<uint32_t>(data.size()));
    data_ = data;
  }

  // Fills in what is known only now. False when the request did not fit.
  bool end() noexcept;
  Bytes head() const noexcept { return xdr_.bytes(); }
  Bytes tail() const noexcept { return data_; }  // behind it come zeros up to a multiple of four

 private:
  XdrWriter xdr_;
  size_t count_at_ = 0;
  uint32_t count_ = 0;
  Bytes data_;
};

// A whole reply, or all of it but for data that has been received into its place already.
struct Record {
  Bytes bytes;
  size_t placed = 0;          // bytes of the data at the end that are not in `bytes`
  bool place_failed = false;  // they were to be placed in memory that has gone
};

// Reads one reply. A status that is not OK is the last thing in it.
class CompoundReader {
 public:
  explicit CompoundReader(const Record& record) noexcept
      : xdr_(record.bytes), placed_(record.placed) {}

  // The RPC header behind the xid, and the head of the COMPOUND. Not OK, and failed(), when the
  // server did not understand or accept the request at all.
  void begin() noexcept;

  // Goes to the next result. False when it is not there, is another operation's, or is not OK.
  bool operation(Operation number) noexcept;
  // Like it, but a result follows also when the status is `other` (LOCK's DENIED).
  bool operation_or(Operation number, Status other) noexcept;
  XdrReader& xdr() noexcept { return xdr_; }

  StateId stateid() noexcept {
    StateId stateid;
    xdr_.u32();
    xdr_.fixed(stateid.other);
    return stateid;
  }
  FileHandle filehandle() noexcept;
  void change_info() noexcept { xdr_.skip(20); }  // change_info4
  void bitmap() noexcept;
  // Data into its place, if it has not been received into it. How many bytes.
  uint32_t data_into(IoView into) noexcept;

  // A name was made or taken away, whatever became of the operations behind it.
  bool changed_names() const noexcept { return changed_names_; }
  // Of the last operation that there was.
  Status status() const noexcept { return status_; }
  // The reply is none, whatever it says.
  bool failed() const noexcept { return failed_ || xdr_.failed(); }
  // Why the server did not accept the call, for the log; nullptr when it did.
  const char* refusal() const noexcept { return refusal_; }

 private:
  bool next(Operation number) noexcept;

  XdrReader xdr_;
  size_t placed_;
  uint32_t left_ = 0;  // operations
  Status status_ = Status::ok;
  bool failed_ = false;
  bool changed_names_ = false;
  const char* refusal_ = nullptr;
};

// Where the data of a READ lies in its reply.
struct DataPlace {
  size_t offset;  // into the record
  uint32_t bytes;
};
// Of a reply to SEQUENCE, PUTFH, READ, from its first kReadHeadBytes bytes (or all of it). Nothing
// when it is something else or there was an error.
inline constexpr size_t kReadHeadBytes = 256;
std::optional<DataPlace> find_read_data(Bytes head) noexcept;

}  // namespace dpfs::nfs
