// SPDX-License-Identifier: Apache-2.0
// The COMPOUNDs that a file system is made of, one struct each: what goes in, what comes out. All
// begin with PUTFH. Sections are those of RFC 8881 unless said otherwise.
#pragma once

#include <string_view>

#include "backend/nfs/attributes.h"
#include "backend/nfs/call.h"

namespace dpfs::nfs {

// ---- Names ----

// LOOKUP (18.13)
struct Lookup final : Call {
  FileHandle parent;
  std::string_view name;
  FileHandle handle;
  Attributes attributes;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// LOOKUPP (18.14)
struct LookupParent final : Call {
  FileHandle node;
  FileHandle handle;
  Attributes attributes;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// A part of the way to the export: from the server's root, or from where the part before ended.
struct LookupPath final : Call {
  static constexpr size_t kNamesMax = 6;
  bool from_root = true;
  FileHandle from;
  std::array<std::string_view, kNamesMax> names;
  size_t count = 0;
  AttributeSet wanted = kObjectAttributes;
  FileHandle handle;
  Attributes attributes;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from_server) noexcept override;
};

// CREATE (18.4): anything but a regular file.
struct Create final : Call {
  FileHandle parent;
  std::string_view name;
  FileType type = FileType::directory;
  std::string_view target;  // of a symbolic link
  uint32_t major = 0;       // of a device
  uint32_t minor = 0;
  NewAttributes initial;
  FileHandle handle;
  Attributes attributes;
  Create() noexcept { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// REMOVE (18.25)
struct Remove final : Call {
  FileHandle parent;
  std::string_view name;
  Remove() noexcept { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// RENAME (18.26)
struct Rename final : Call {
  FileHandle parent;
  std::string_view name;
  FileHandle new_parent;
  std::string_view new_name;
  Rename() noexcept { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// LINK (18.9)
struct Link final : Call {
  FileHandle node;
  FileHandle new_parent;
  std::string_view new_name;
  Attributes attributes;  // of the node
  Link() noexcept { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// READLINK (18.24)
struct ReadLink final : Call {
  FileHandle node;
  IoView into;
  uint32_t bytes = 0;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// READDIR (18.23). Entries go to whom they are for as they are decoded.
class EntryTaker {
 public:
  // False: no room for it, nor for any behind it.
  virtual bool take(uint64_t cookie, std::string_view name, const Attributes& attributes) = 0;

 protected:
  ~EntryTaker() = default;
};
struct ReadDirectory final : Call {
  FileHandle node;
  uint64_t cookie = 0;
  Verifier verifier;  // in and out
  uint32_t bytes_max = 0;
  AttributeSet wanted;
  EntryTaker* taker = nullptr;
  bool at_end = false;
  uint32_t entries = 0;  // in the answer, taken or not
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// ---- Attributes ----

// GETATTR (18.7)
struct GetAttributes final : Call {
  FileHandle node;
  AttributeSet wanted = kObjectAttributes;
  Attributes attributes;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// ACCESS (18.1)
struct Access final : Call {
  FileHandle node;
  uint32_t wanted = 0;
  uint32_t granted = 0;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

// ---- Extended attributes (RFC 8276). Names are without "user." ----

struct GetXattr final : Call {
  FileHandle node;
  std::string_view name;
  IoView into;
  size_t bytes = 0;  // may be more than `into` has room for; then nothing is there
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};
struct SetXattr final : Call {
  FileHandle node;
  std::string_view name;
  uint32_t how = 0;  // 0: either, 1: create, 2: replace
  Bytes value;
  SetXattr() noexcept { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};
struct ListXattrs final : Call {
  FileHandle node;
  uint64_t cookie = 0;  // in and out
  IoView into;          // takes "user.NAME\0" each
  size_t bytes = 0;     // of those in this answer, also where there was no room
  bool at_end = false;
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};
struct RemoveXattr final : Call {
  FileHandle node;
  std::string_view name;
  RemoveXattr() noexcept { changes = true; }
  void encode(CompoundWriter& to) noexcept override;
  void decode(CompoundReader& from) noexcept override;
};

}  // namespace dpfs::nfs
