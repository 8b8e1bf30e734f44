// SPDX-License-Identifier: Apache-2.0
// The COMPOUNDs that refer to an open file or a lock. Sections are those of RFC 8881 unless said
// otherwise.
#pragma once

#include <string_view>

#include "backend/nfs/attributes.h"
#include "backend/nfs/call.h"
#include "backend/nfs/opens.h"

namespace dpfs::nfs {

class Client;

// A call whose stateid is that of an open, as it is at the moment.
struct StatefulCall : Call {
  Client& client;
  Open* open = nullptr;  // nullptr: the stateid that is nobody's

  explicit StatefulCall(Client& of) noexcept : client(of) {}
  bool state_is_bad() noexcept override;
  bool is_lost() const noexcept override;

 protected:
  void put_stateid(CompoundWriter& to) noexcept;
  // For who puts another stateid that comes and goes with the open.
  void note_epoch() noexcept;

 private:
  uint32_t epoch_ = 0;
};

// OPEN (18.16), with GETFH and GETATTR.
struct OpenCall final : Call {
  enum class Claim : uint8_t {
    name,      // CLAIM_NULL
    handle,    // CLAIM_FH
    previous,  // CLAIM_PREVIOUS
  };
  enum class Create : uint8_t { no, unchecked, guarded, exclusive };

  FileHandle node;  // the directory, for `name`
  std::string_view name;
  Claim claim = Claim::handle;
  Create create = Create::no;
  Verifier verifier;  // for `exclusive`
  NewAttributes initial;
  uint32_t access = share::kRead;
  uint32_t deny = 0;
  uint64_t owner = 0;
  StateId stateid;
  FileHandle handle;
  Attributes attributes;
  explicit OpenCall(const Client& client) noexcept : client_(client) { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;

 private:
  const Client& client_;  // whose id may change between attempts
};

// CLOSE (18.2)
struct Close final : StatefulCall {
  explicit Close(Client& of) noexcept : StatefulCall(of) { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
  bool state_is_bad() noexcept override { return false; }  // then it is closed
};

// READ (18.22)
struct Read final : StatefulCall {
  FileHandle node;
  uint64_t offset = 0;
  bool at_end = false;
  uint32_t bytes = 0;
  using StatefulCall::StatefulCall;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// WRITE (18.32)
struct Write final : StatefulCall {
  FileHandle node;
  uint64_t offset = 0;
  Stable stable = Stable::unstable;
  Bytes data;
  uint32_t bytes = 0;
  Stable committed = Stable::unstable;
  Verifier verifier;
  explicit Write(Client& of) noexcept : StatefulCall(of) { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// COMMIT (18.3), of the whole file.
struct Commit final : Call {
  FileHandle node;
  Verifier verifier;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// SETATTR (18.30), with GETATTR.
struct SetAttributes final : StatefulCall {
  FileHandle node;
  NewAttributes changed;
  Attributes attributes;
  explicit SetAttributes(Client& of) noexcept : StatefulCall(of) { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// ALLOCATE and DEALLOCATE (RFC 7862, sections 15.1 and 15.4)
struct Allocate final : StatefulCall {
  Operation operation = Operation::allocate;
  FileHandle node;
  uint64_t offset = 0;
  uint64_t length = 0;
  explicit Allocate(Client& of) noexcept : StatefulCall(of) { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// SEEK (RFC 7862, section 15.11)
struct Seek final : StatefulCall {
  FileHandle node;
  uint64_t offset = 0;
  Content what = Content::data;
  bool at_end = false;
  uint64_t found = 0;
  using StatefulCall::StatefulCall;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// COPY within the server, and answered when it is done (RFC 7862, section 15.2)
struct Copy final : StatefulCall {
  FileHandle from_node;
  Open* from_open = nullptr;
  uint64_t from_offset = 0;
  FileHandle node;
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t bytes = 0;
  Stable committed = Stable::unstable;
  explicit Copy(Client& of) noexcept : StatefulCall(of) { changes = true; }
  bool state_is_bad() noexcept override;  // of either
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// ---- Locks ----

struct Holder {  // of a lock that is in the way
  LockRange range{};
  uint64_t client_id = 0;
  LockOwner owner;
  bool known = false;  // `owner` is one of our names
};

// LOCK (18.10)
struct LockCall final : StatefulCall {
  FileHandle node;
  Lock* lock = nullptr;  // its owner, and its stateid where it has one
  LockRange range{};
  bool reclaim = false;
  StateId stateid;
  uint64_t change = 0;  // of the file, behind it
  Holder holder;        // who is in the way
  explicit LockCall(Client& of) noexcept : StatefulCall(of) { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// LOCKT (18.11)
struct TestLock final : Call {
  FileHandle node;
  LockOwner owner;
  LockRange range{};
  Holder holder;
  explicit TestLock(const Client& client) noexcept : client_(client) {}
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;

 private:
  const Client& client_;
};

// LOCKU (18.12)
struct Unlock final : StatefulCall {
  FileHandle node;
  Lock* lock = nullptr;
  uint64_t begin = 0;
  uint64_t end = kToTheEnd;
  explicit Unlock(Client& of) noexcept : StatefulCall(of) { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// FREE_STATEID (18.38)
struct FreeState final : Call {
  StateId stateid;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

}  // namespace dpfs::nfs
