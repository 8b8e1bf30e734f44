// SPDX-License-Identifier: Apache-2.0
// What a server answers: hiredis' reader takes the bytes apart, and here is what it found.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;  // NOLINT: hiredis calls it so

namespace dpfs::kv::valkey {

// A tree, flat: an array is followed by its elements.
class Reply {
 public:
  enum class Type : uint8_t { string, array, integer, nil, status, error };
  struct Item {
    Type type;
    uint32_t elements = 0;  // of an array
    int64_t integer = 0;
    size_t at = 0;  // of a string, a status or an error
    size_t bytes = 0;
  };

  Type type() const noexcept { return items_.empty() ? Type::nil : items_.front().type; }
  bool is_error() const noexcept { return type() == Type::error; }
  int64_t integer() const noexcept { return items_.empty() ? 0 : items_.front().integer; }
  // Of an error or a status; and of a string where nobody took it as a value.
  std::string_view text() const noexcept {
    return items_.empty() ? std::string_view() : text_of(items_.front());
  }
  std::string_view text_of(const Item& item) const noexcept {
    return std::string_view(text_).substr(item.at, item.bytes);
  }

  // Goes through it. False: what is next is something else, or nothing.
  class Walk {
   public:
    explicit Walk(const Reply& reply) noexcept : reply_(reply) {}
    bool array(uint32_t& elements) noexcept;
    bool integer(int64_t& value) noexcept;
    bool string(std::string_view& value) noexcept;
    // Whatever is next, with all that is in it.
    bool skip() noexcept;
    bool at_end() const noexcept { return next_ == reply_.items_.size(); }

   private:
    const Item* take(Type type) noexcept;
    const Reply& reply_;
    size_t next_ = 0;
  };

 private:
  friend class ReplyReader;
  std::vector<Item> items_;
  std::string text_;
};

// Takes a string that is a reply of its own, as it lies in the reader's memory, just before the
// reply is complete. What is false here is kept in the reply instead.
class ValueTaker {
 public:
  virtual bool take_value(std::string_view value) noexcept = 0;

 protected:
  ~ValueTaker() = default;
};

class ReplyReader {
 public:
  // No reply may have more.
  static constexpr size_t kBytesMax = 256u << 20;
  static constexpr size_t kItemsMax = 1u << 20;

  explicit ReplyReader(ValueTaker& taker);
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;
  ~ReplyReader();

  void reset();
  // False: no memory.
  bool feed(const char* bytes, size_t count) noexcept;
  enum class Next : uint8_t { reply, incomplete, broken };
  // reply() is the next one, or more is needed, or nobody would say this.
  Next next() noexcept;
  const Reply& reply() const noexcept { return reply_; }

 private:
  struct Calls;
  struct FreeReader {
    void operator()(redisReader* reader) const noexcept;
  };
  bool add(const Reply::Item& item, std::string_view text, bool is_top) noexcept;

  ValueTaker& taker_;
  std::unique_ptr<redisReader, FreeReader> reader_;
  Reply reply_;
  bool begun_ = false;  // with reply_
  size_t fed_ = 0;      // since the last reply was complete
};

// What an error says.
enum class Trouble : uint8_t {
  none,   // no error
  moved,  // the slot is another server's, or this server has become a replica
  ask,    // the key may be on another server already
  later,  // the server is busy, loading, or the cluster is not whole
  no_script,
  out_of_memory,
  denied,  // password, or permissions
  other,
};
Trouble trouble(const Reply& reply) noexcept;

}  // namespace dpfs::kv::valkey
