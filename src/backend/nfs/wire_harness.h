// SPDX-License-Identifier: Apache-2.0
// For tests: XDR word by word, as the RFCs write it down, to compare requests with and to answer
// with.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <string_view>
#include <vector>

#include "backend/nfs/call.h"
#include "backend/nfs/compound.h"
#include "backend/nfs/slots.h"

namespace dpfs::nfs {

class Wire {
 public:
  Wire& u32(uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<uint8_t>(value >> shift));
    }
    return *this;
  }
  Wire& u64(uint64_t value) {
    return u32(static_cast<uint32_t>(value >> 32)).u32(static_cast<uint32_t>(value));
  }
  Wire& fixed(std::string_view text) {
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.resize((bytes.size() + 3) / 4 * 4);
    return *this;
  }
  Wire& opaque(std::string_view text) {
    return u32(static_cast<uint32_t>(text.size())).fixed(text);
  }
  Wire& add(const Wire& other) {
    bytes.insert(bytes.end(), other.bytes.begin(), other.bytes.end());
    return *this;
  }
  // An operation of a request.
  Wire& op(uint32_t number) { return u32(number); }
  // A result of a reply.
  Wire& result(uint32_t number, Status status = Status::ok) {
    return u32(number).u32(static_cast<uint32_t>(status));
  }
  bool operator==(const Wire&) const = default;

  std::vector<uint8_t> bytes;
};

inline void PrintTo(const Wire& wire, std::ostream* out) {
  for (size_t i = 0; i < wire.bytes.size(); ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    *out << (i % 4 == 0 ? " " : "") << kDigits[wire.bytes[i] / 16] << kDigits[wire.bytes[i] % 16];
  }
}

inline FileHandle handle_of(std::string_view text) {
  FileHandle handle;
  handle.size = static_cast<uint8_t>(text.size());
  std::memcpy(handle.bytes.data(), text.data(), text.size());
  return handle;
}

inline std::string_view text_of(const FileHandle& handle) {
  return {reinterpret_cast<const char*>(handle.bytes.data()), handle.size};
}

// What a call puts behind the head of the COMPOUND, data included.
inline Wire operations_of(Call& call) {
  std::array<uint8_t, Slot::kRequestBytesMax> room;
  CompoundWriter writer(room);
  writer.begin(7, Credential{}, "me", 2);
  const size_t head = writer.head().size();
  call.encode(writer);
  EXPECT_TRUE(writer.end());
  Wire wire;
  wire.bytes.assign(writer.head().begin() + static_cast<ptrdiff_t>(head), writer.head().end());
  wire.bytes.insert(wire.bytes.end(), writer.tail().begin(), writer.tail().end());
  return wire;
}

// The reply of an RPC that was accepted, up to its results.
inline Wire accepted(uint32_t results, Status status = Status::ok) {
  Wire wire;
  wire.u32(7).u32(1).u32(0);  // xid, REPLY, MSG_ACCEPTED
  wire.u32(0).u32(0);         // verifier
  wire.u32(0);                // SUCCESS
  return wire.u32(static_cast<uint32_t>(status)).u32(0).u32(results);
}

// What came of a call that is answered with `results`.
struct Outcome {
  Status status = Status::ok;
  bool failed = false;
};
inline Outcome answer(Call& call, uint32_t count, const Wire& results, size_t placed = 0) {
  const Wire reply = accepted(count).add(results);
  CompoundReader reader(Record{.bytes = reply.bytes, .placed = placed});
  reader.xdr().u32();
  reader.begin();
  call.decode(reader);
  return {reader.status(), reader.failed()};
}

}  // namespace dpfs::nfs
