// SPDX-License-Identifier: Apache-2.0
// hiredis' reader, with results of our own: no malloc for each of them.
#include "backend/kv/valkey/reply.h"

#include <hiredis/hiredis.h>

#include <new>

namespace dpfs::kv::valkey {

struct ReplyReader::Calls {
  static ReplyReader& of(const redisReadTask* task) noexcept {
    return *static_cast<ReplyReader*>(task->privdata);
  }
  static void* result(bool good) noexcept {
    static char something;
    return good ? &something : nullptr;
  }
  static Reply::Type type(const redisReadTask* task) noexcept {
    switch (task->type) {
      case REDIS_REPLY_STATUS:
        return Reply::Type::status;
      case REDIS_REPLY_ERROR:
        return Reply::Type::error;
      default:
        return Reply::Type::string;
    }
  }
  static void* string(const redisReadTask* task, char* bytes, size_t count) noexcept {
    return result(of(task).add({.type = type(task)}, {bytes, count}, task->parent == nullptr));
  }
  static void* integer(const redisReadTask* task, long long value) noexcept {
    return result(of(task).add({.type = Reply::Type::integer, .integer = value}, {}, false));
  }
  static void* nil(const redisReadTask* task) noexcept {
    return result(of(task).add({.type = Reply::Type::nil}, {}, false));
  }
};

ReplyReader::ReplyReader(ValueTaker& taker) : taker_(taker) { reset(); }
ReplyReader::~ReplyReader() = default;

void ReplyReader::FreeReader::operator()(redisReader* reader) const noexcept {
  redisReaderFree(reader);
}

void ReplyReader::reset() {
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions calls{};
    calls.createString = Calls::string;
    // An int or a size_t, as the version has it.
    calls.createArray = [](const redisReadTask* task, auto elements) -> void* {
      if (static_cast<size_t>(elements) > kItemsMax) return nullptr;
      const Reply::Item item{.type = Reply::Type::array,
                             .elements = static_cast<uint32_t>(elements)};
      return Calls::result(Calls::of(task).add(item, {}, false));
    };
    calls.createInteger = Calls::integer;
    calls.createNil = Calls::nil;
    calls.freeObject = [](void*) {};
    return calls;
  }();
  reader_.reset(redisReaderCreateWithFunctions(&functions));
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = this;
  // Its buffer stays: a chunk is longer than what it would keep.
  reader_->maxbuf = 1 << 20;
  begun_ = false;
  fed_ = 0;
}

bool ReplyReader::feed(const char* bytes, size_t count) noexcept {
  fed_ += count;
  return redisReaderFeed(reader_.get(), bytes, count) == REDIS_OK;
}

ReplyReader::Next ReplyReader::next() noexcept {
  void* complete = nullptr;
  if (redisReaderGetReply(reader_.get(), &complete) != REDIS_OK) return Next::broken;
  if (complete == nullptr) {
    // Many replies may have come since; but one that is this long is none.
    return fed_ > kBytesMax ? Next::broken : Next::incomplete;
  }
  begun_ = false;
  fed_ = 0;
  return Next::reply;
}

bool ReplyReader::add(const Reply::Item& item, std::string_view text, bool is_top) noexcept {
  if (!begun_) {
    begun_ = true;
    reply_.items_.clear();
    reply_.text_.clear();
  }
  if (reply_.items_.size() >= kItemsMax) return false;
  try {
    reply_.items_.push_back(item);
    Reply::Item& added = reply_.items_.back();
    if (is_top && item.type == Reply::Type::string && taker_.take_value(text)) return true;
    added.at = reply_.text_.size();
    added.bytes = text.size();
    reply_.text_.append(text);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

const Reply::Item* Reply::Walk::take(Type type) noexcept {
  if (at_end() || reply_.items_[next_].type != type) return nullptr;
  return &reply_.items_[next_++];
}

bool Reply::Walk::array(uint32_t& elements) noexcept {
  const Item* item = take(Type::array);
  if (item == nullptr) return false;
  elements = item->elements;
  return true;
}

bool Reply::Walk::integer(int64_t& value) noexcept {
  const Item* item = take(Type::integer);
  if (item == nullptr) return false;
  value = item->integer;
  return true;
}

bool Reply::Walk::string(std::string_view& value) noexcept {
  const Item* item = take(Type::string);
  if (item == nullptr) return false;
  value = reply_.text_of(*item);
  return true;
}

bool Reply::Walk::skip() noexcept {
  uint64_t left = 1;
  while (left > 0) {
    if (at_end()) return false;
    left += reply_.items_[next_++].elements;
    --left;
  }
  return true;
}

Trouble trouble(const Reply& reply) noexcept {
  if (!reply.is_error()) return Trouble::none;
  const std::string_view text = reply.text();
  const std::string_view code = text.substr(0, text.find(' '));
  // UNBLOCKED: it waited for its replicas, and is no primary any more.
  if (code == "MOVED" || code == "READONLY" || code == "UNBLOCKED") return Trouble::moved;
  if (code == "ASK") return Trouble::ask;
  for (const std::string_view word :
       {"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "BUSY", "NOREPLICAS"}) {
    if (code == word) return Trouble::later;
  }
  if (code == "NOSCRIPT") return Trouble::no_script;
  if (code == "OOM") return Trouble::out_of_memory;
  for (const std::string_view word : {"NOAUTH", "WRONGPASS", "NOPERM"}) {
    if (code == word) return Trouble::denied;
  }
  return Trouble::other;
}

}  // namespace dpfs::kv::valkey
