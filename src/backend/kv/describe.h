// SPDX-License-Identifier: Apache-2.0
// What a record says, for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backend/kv/store.h"

namespace dpfs::kv {

// "inode", "entry": as backend/kv/collections.def has them.
const char* name_of(Collection collection) noexcept;
std::optional<Collection> collection_named(std::string_view name) noexcept;

// "mode 040755, uid 0, ..."; of contents their length and the first bytes. What cannot be decoded
// is
// "? " and its bytes in hexadecimal, at most 64 of them.
std::string describe_value(Collection collection, std::string_view value);
// Bytes that harm no terminal: what is not printable ASCII is \ooo.
std::string escaped(std::string_view bytes);

}  // namespace dpfs::kv
