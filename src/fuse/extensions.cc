// SPDX-License-Identifier: Apache-2.0
// Linux's layout: fs/fuse/dir.c, get_create_ext(). Each extension begins with an ExtHeader and is a
// multiple of 8 bytes long.
#include "fuse/extensions.h"

#include "fuse/take_text.h"

namespace dpfs {
namespace {

using namespace fuse;  // NOLINT(google-build-using-namespace): the wire structs, in this file alone

constexpr uint32_t kMaxNrSecctx = static_cast<uint32_t>(ExtType::max_nr_secctx);
constexpr size_t kContextNameMax = 255;       // XATTR_NAME_MAX
constexpr uint32_t kContextBytesMax = 65536;  // XATTR_SIZE_MAX
constexpr size_t kContextName = 256 + 4096;   // where it begins in Request::names
static_assert(kContextName + kContextNameMax + 1 <= Request::kNamesMax);

// `body` is what lies behind the header, whose type says how many labels there are.
Result<Unit> take_context(Request& request, IoView body, uint32_t count) noexcept {
  if (count == 0) return Unit{};
  if (count > 1) return Errno::inval;
  const Result<Secctx> head = body.load<Secctx>();
  if (!head) return head.error();
  char* text = request.names + kContextName;
  const Result<uint16_t> size = take_text(body, text, kContextNameMax);
  if (!size) return Errno::inval;
  if (head->size > kContextBytesMax || head->size > body.size()) return Errno::inval;
  request.creation.context_name = Name(text, *size);
  request.creation.context = body.first(head->size);
  return Unit{};
}

Result<Unit> take_group(Request& request, IoView body) noexcept {
  const Result<SuppGroups> head = body.load<SuppGroups>();
  if (!head) return head.error();
  if (head->nr_groups == 0) return Unit{};
  const Result<uint32_t> group = body.load<uint32_t>();
  if (!group || head->nr_groups > 1) return Errno::inval;
  request.creation.group = *group;
  return Unit{};
}

}  // namespace

Result<Unit> decode_extensions(Request& request, uint64_t flags) noexcept {
  request.creation = {};
  IoView rest = request.extensions;
  while (!rest.empty()) {
    IoView body = rest;
    const Result<ExtHeader> header = body.load<ExtHeader>();
    if (!header) return header.error();
    if (header->size < sizeof *header || header->size > rest.size()) return Errno::inval;
    body = body.first(header->size - sizeof *header);
    rest.skip(record_align(header->size));
    Result<Unit> taken = Unit{};
    if (header->type <= kMaxNrSecctx) {
      if ((flags & init_flag::kSecurityCtx) != 0) taken = take_context(request, body, header->type);
    } else if (header->type == static_cast<uint32_t>(ExtType::groups)) {
      if ((flags & init_flag::kCreateSuppGroup) != 0) taken = take_group(request, body);
    }
    if (!taken) return taken;
  }
  return Unit{};
}

}  // namespace dpfs
