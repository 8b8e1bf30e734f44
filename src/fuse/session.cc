// SPDX-License-Identifier: Apache-2.0
// Dispatch of FUSE messages to a file system.
#include "fuse/session.h"

#include <fcntl.h>

#include <algorithm>
#include <concepts>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace dpfs {
namespace {

using fuse::Opcode;

constexpr uint32_t kMinorMin = 31;  // Linux 5.4, the first with virtio-fs
constexpr uint32_t kPageBytes = 4096;
constexpr uint64_t kOfferedFlags =
    fuse::init_flag::kAsyncRead | fuse::init_flag::kAtomicOTrunc | fuse::init_flag::kBigWrites |
    fuse::init_flag::kAutoInvalData | fuse::init_flag::kDoReaddirplus |
    fuse::init_flag::kReaddirplusAuto | fuse::init_flag::kAsyncDio |
    fuse::init_flag::kParallelDirops | fuse::init_flag::kMaxPages | fuse::init_flag::kSetxattrExt |
    fuse::init_flag::kHandleKillprivV2 | fuse::init_flag::kInitExt | fuse::init_flag::kPosixLocks |
    fuse::init_flag::kFlockLocks | fuse::init_flag::kExportSupport | fuse::init_flag::kDontMask |
    fuse::init_flag::kHasIoctlDir | fuse::init_flag::kPosixAcl | fuse::init_flag::kSubmounts |
    fuse::init_flag::kSecurityCtx | fuse::init_flag::kCreateSuppGroup |
    fuse::init_flag::kHasExpireOnly | fuse::init_flag::kDirectIoAllowMmap |
    fuse::init_flag::kNoExportSupport | fuse::init_flag::kAllowIdmap;

template <class Args>
concept SaysSizeWhenEmpty = std::same_as<Args, GetxattrArgs> || std::same_as<Args, ListxattrArgs>;
template <class Args>
concept Opens = std::same_as<Args, OpenArgs> || std::same_as<Args, CreateArgs> ||
                std::same_as<Args, TmpfileArgs>;

uint64_t offered_flags(const Session::Options& options) noexcept {
  uint64_t flags = kOfferedFlags | options.transport_flags;
  if (options.writeback) flags |= fuse::init_flag::kWritebackCache;
  return flags;
}

void add_direct(fuse::OpenOut& open) noexcept { open.open_flags |= fuse::open_flag::kDirectIo; }
void add_direct(CreateOut& created) noexcept { add_direct(created.open); }

template <class Out>
constexpr size_t reply_bytes() noexcept {
  if constexpr (std::same_as<Out, Unit> || std::same_as<Out, uint32_t>) {
    return 0;
  } else if constexpr (std::same_as<Out, IoctlDone>) {
    return sizeof(fuse::IoctlOut);
  } else {
    return sizeof(Out);
  }
}

template <class Out>
uint64_t payload_bytes(const Out& out) noexcept {
  if constexpr (std::same_as<Out, uint32_t>) return out;
  if constexpr (std::same_as<Out, fuse::WriteOut>) return out.size;
  if constexpr (std::same_as<Out, fuse::CopyFileRangeOut>) return out.bytes_copied;
  return 0;
}

}  // namespace

const char* opcode_name(uint32_t opcode) noexcept {
  switch (static_cast<Opcode>(opcode)) {
#define DPFS_OP(name, Args, Out, effect) \
  case Opcode::name:                     \
    return #name;
#include "fuse/ops.def"
    case Opcode::init:
      return "init";
    case Opcode::destroy:
      return "destroy";
    case Opcode::interrupt:
      return "interrupt";
    case Opcode::batch_forget:
      return "batch_forget";
    case Opcode::rename:
      return "rename";
    case Opcode::copy_file_range_64:
      return "copy_file_range_64";
    default:
      return nullptr;
  }
}

Session::~Session() {
  DPFS_ASSERT(in_flight_ == 0);
  if (state_ == State::begun) fs_.end();
}

void Session::serve(Request& request) noexcept {
  Reply reply(request);
  const Result<Unit> header = decode_header(request);
  OpCounters& counter = counters_.of(request.header.opcode);
  ++counter.requests;
  // Of an INIT in the other byte order not even the length can be read.
  if (static_cast<Opcode>(request.header.opcode) == Opcode::init_bswap_reserved) {
    return refuse_byte_order(request, std::move(reply));
  }
  if (!header) return refuse(request, std::move(reply), header.error());
  dispatch(request, std::move(reply));
}

void Session::dispatch(Request& request, Reply reply) noexcept {
  const auto opcode = static_cast<Opcode>(request.header.opcode);
  if (opcode == Opcode::init) return init(request, std::move(reply));
  if (state_ != State::begun) return refuse(request, std::move(reply), Errno::io);
  switch (opcode) {
#define DPFS_OP(name, Args, Out, effect)                                          \
  case Opcode::name: {                                                            \
    const Result<Args> args = decode(request, limits_, ArgsOf<Args>{});           \
    if (!args) return refuse(request, std::move(reply), args.error());            \
    if (request.out.size() < sizeof(fuse::OutHeader) + reply_bytes<Out>() &&      \
        opcode != Opcode::forget) {                                               \
      return refuse(request, std::move(reply), Errno::inval);                     \
    }                                                                             \
    ++in_flight_;                                                                 \
    const Asked how = asked(*args);                                               \
    return answer<Out>(request, std::move(reply), fs_.name(request, *args), how); \
  }
#include "fuse/ops.def"
    case Opcode::rename: {
      const Result<RenameArgs> args = decode(request, limits_, ArgsOf<RenameArgs>{});
      if (!args) return refuse(request, std::move(reply), args.error());
      if (request.out.size() < sizeof(fuse::OutHeader)) {
        return refuse(request, std::move(reply), Errno::inval);
      }
      ++in_flight_;
      return answer<Unit>(request, std::move(reply), fs_.rename2(request, *args), {});
    }
    case Opcode::copy_file_range_64: {
      const Result<CopyFileRangeArgs> args = decode(request, limits_, ArgsOf<CopyFileRangeArgs>{});
      if (!args) return refuse(request, std::move(reply), args.error());
      if (request.out.size() < sizeof(fuse::OutHeader) + sizeof(fuse::CopyFileRangeOut)) {
        return refuse(request, std::move(reply), Errno::inval);
      }
      ++in_flight_;
      return answer<fuse::CopyFileRangeOut>(request, std::move(reply),
                                            fs_.copy_file_range(request, *args), {});
    }
    case Opcode::batch_forget:
      return batch_forget(request, std::move(reply));
    case Opcode::interrupt:
      return interrupt(request, std::move(reply));
    case Opcode::destroy:
      return destroy(std::move(reply));
    default:
      return refuse(request, std::move(reply), Errno::nosys);
  }
}

template <class Args>
Session::Asked Session::asked(const Args& args) const noexcept {
  Asked asked;
  if constexpr (SaysSizeWhenEmpty<Args>) asked.size = args.into.empty();
  if constexpr (Opens<Args>) {
    // With O_DIRECT, Linux goes around its page cache. Told to do so for good, it also sends what
    // is waited for without a detour by a queue and a worker of its own. Not where it would then
    // refuse shared mappings.
    asked.direct = (args.flags & O_DIRECT) != 0 &&
                   (negotiated_.flags & fuse::init_flag::kDirectIoAllowMmap) != 0;
  }
  return asked;
}

template <class Out>
void Session::answer(Request& request, Reply reply, Op<Out> op, Asked asked) noexcept {
  if (!op.ready()) {
    answer_later(request, std::move(reply), std::move(op), asked);
    return;
  }
  const Result<Out> result = op.take();
  op.drop();
  finish(request, reply, result, asked);
}

template <class Out>
Detached Session::answer_later(Request& request, Reply reply, Op<Out> op, Asked asked) noexcept {
  const Result<Out> result = co_await op;
  op.drop();
  finish(request, reply, result, asked);
}

// The operation's frame, with what it holds of the file system, is gone by now: this may end the
// session. Everything about the request is noted before it is answered: then its slot is somebody
// else's.
template <class Out>
void Session::finish(Request& request, Reply& reply, Result<Out> result, Asked asked) noexcept {
  const auto opcode = static_cast<Opcode>(request.header.opcode);
  OpCounters& counter = counters_.of(request.header.opcode);
  if (!result) {
    if (opcode != Opcode::forget) ++counter.errors;  // which nobody could be told
  } else {
    counter.bytes += payload_bytes(*result);
  }
  if (opcode == Opcode::forget) {
    reply.none();
  } else if (!result) {
    reply.error(result.error());
  } else if constexpr (std::same_as<Out, Unit>) {
    reply.bytes(0);
  } else if constexpr (std::same_as<Out, uint32_t>) {
    if (asked.size) {
      reply.value(fuse::GetxattrOut{.size = *result});
    } else {
      reply.bytes(*result);
    }
  } else if constexpr (std::same_as<Out, IoctlDone>) {
    IoView payload = request.out.rest(sizeof(fuse::OutHeader));
    payload.store(fuse::IoctlOut{.result = result->result});
    reply.bytes(static_cast<uint32_t>(sizeof(fuse::IoctlOut)) + result->bytes);
  } else if constexpr (std::same_as<Out, fuse::CopyFileRangeOut>) {
    if (opcode == Opcode::copy_file_range) {
      reply.value(fuse::WriteOut{.size = static_cast<uint32_t>(result->bytes_copied)});
    } else {
      reply.value(*result);
    }
  } else if constexpr (std::same_as<Out, fuse::OpenOut> || std::same_as<Out, CreateOut>) {
    Out out = *result;
    if (asked.direct) add_direct(out);
    reply.value(out);
  } else {
    reply.value(*result);
  }
  request_done();
}

void Session::refuse(Request& request, Reply reply, Errno why) noexcept {
  ++counters_.of(request.header.opcode).errors;
  reply.error(why);
}

void Session::refuse_byte_order(Request& request, Reply reply) noexcept {
  if (init_log_.admit() >= 0) log::warn("{}: the tenant's byte order is not ours: refused", name_);
  refuse(request, std::move(reply), Errno::proto);
}

void Session::request_done() noexcept {
  --in_flight_;
  if (in_flight_ == 0 && state_ == State::ending) end();
}

void Session::end() noexcept {
  fs_.end();
  state_ = State::fresh;
  may_begin_again_ = true;
  if (destroy_reply_) {
    Reply reply = std::move(*destroy_reply_);
    destroy_reply_.reset();
    reply.bytes(0);
  }
}

// ---- The session's own messages -----------------------------------------------------------------

void Session::init(Request& request, Reply reply) noexcept {
  // A tenant that was only paused goes on with requests; an INIT among those is a mistake.
  const bool reboots = may_begin_again_ && in_flight_ == 0;
  if (state_ == State::ending || (state_ == State::begun && !reboots)) {
    return refuse(request, std::move(reply), Errno::inval);
  }
  fuse::InitIn in{};
  if (request.in.copy_out(&in, sizeof in) < fuse::kInitInCompatSize) {
    return refuse(request, std::move(reply), Errno::inval);
  }
  if (request.out.size() < sizeof(fuse::OutHeader) + sizeof(fuse::InitOut)) {
    return refuse(request, std::move(reply), Errno::inval);
  }
  if (in.major > fuse::kMajorVersion) {
    // The tenant's kernel will try again with a version that both have.
    return reply.value(fuse::InitOut{.major = fuse::kMajorVersion, .minor = fuse::kMinorVersion});
  }
  if (state_ == State::begun) {  // a reboot without DESTROY
    state_ = State::ending;      // other requests may come before end() returns
    fs_.end();
    state_ = State::fresh;
  }
  if (const Errno why = negotiate(in); why != Errno::none) {
    return refuse(request, std::move(reply), why);
  }
  if (init_log_.admit() >= 0) {
    log::info("{}: a tenant mounts with FUSE {}.{}, flags {:#x}", name_, fuse::kMajorVersion,
              negotiated_.minor, negotiated_.flags);
  }
  reply.value(init_out(in));
}

Errno Session::negotiate(const fuse::InitIn& in) noexcept {
  if (in.major < fuse::kMajorVersion || in.minor < kMinorMin) {
    if (init_log_.admit() >= 0) {
      log::warn("{}: the tenant speaks FUSE {}.{}; 7.{} or later is needed", name_, in.major,
                in.minor, kMinorMin);
    }
    return Errno::proto;
  }
  uint64_t theirs = in.flags;
  if ((theirs & fuse::init_flag::kInitExt) != 0) theirs |= uint64_t{in.flags2} << 32;
  negotiated_ = {
      .minor = std::min(in.minor, fuse::kMinorVersion),
      .flags = theirs & offered_flags(options_),
      .write_bytes_max = options_.io_bytes_max,
      .readahead_bytes_max = in.max_readahead,
      .cache = options_.cache,
      .direct_io = options_.direct_io,
  };
  fs_.begin(negotiated_);
  limits_ = {
      .io_bytes_max = options_.io_bytes_max,
      .flags = negotiated_.flags,
  };
  state_ = State::begun;
  may_begin_again_ = false;
  return Errno::none;
}

fuse::InitOut Session::init_out(const fuse::InitIn& in) const noexcept {
  fuse::InitOut out{};
  out.major = fuse::kMajorVersion;
  out.minor = fuse::kMinorVersion;
  out.max_readahead = std::min(in.max_readahead, negotiated_.readahead_bytes_max);
  out.flags = static_cast<uint32_t>(negotiated_.flags);
  out.flags2 = static_cast<uint32_t>(negotiated_.flags >> 32);
  out.max_background = options_.background_max;
  out.congestion_threshold = static_cast<uint16_t>(options_.background_max * 3 / 4);
  out.max_write = negotiated_.write_bytes_max;
  out.time_gran = 1;
  out.max_pages = static_cast<uint16_t>(negotiated_.write_bytes_max / kPageBytes);
  return out;
}

// Waits for what is in flight; new requests are refused meanwhile.
void Session::destroy(Reply reply) noexcept {
  state_ = State::ending;
  destroy_reply_.emplace(std::move(reply));
  fs_.end_waits();
  if (in_flight_ == 0) end();
}

// Has no answer. (Linux would take EAGAIN as "tell me again later".)
void Session::interrupt(Request& request, Reply reply) noexcept {
  const Result<fuse::InterruptIn> in = request.in.load<fuse::InterruptIn>();
  if (!in) return refuse(request, std::move(reply), in.error());
  fs_.interrupt(in->unique);
  reply.none();
}

void Session::batch_forget(Request& request, Reply reply) noexcept {
  ++in_flight_;  // forget() may let the reactor go on meanwhile
  const Result<fuse::BatchForgetIn> in = request.in.load<fuse::BatchForgetIn>();
  // What is there is forgotten, also when the count promises more: the tenant has nobody to tell an
  // error to.
  for (uint32_t i = 0; in && i < in->count; ++i) {
    const Result<fuse::ForgetOne> one = request.in.load<fuse::ForgetOne>();
    if (!one) break;
    const Op<Unit> op = fs_.forget(request, ForgetArgs{NodeId{one->nodeid}, one->nlookup});
    DPFS_ASSERT(op.ready());
  }
  reply.none();
  request_done();
}

}  // namespace dpfs
