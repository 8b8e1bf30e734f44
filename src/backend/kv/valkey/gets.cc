// SPDX-License-Identifier: Apache-2.0
// GET, HGET and GETRANGE.
#include "backend/kv/valkey/gets.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "backend/kv/valkey/command.h"
#include "backend/kv/valkey/script.h"

namespace dpfs::kv::valkey {
namespace {

// A key, a name, a script's, two numbers, and what is around them.
constexpr size_t kCommandBytesMax = 640;
static_assert(kPartitionBytesMax + 64 + kNameBytesMax + 40 + 2 * 20 +
                  8 * CommandWriter::kWordBytes <
              kCommandBytesMax);

}  // namespace

// One of them. Its memory stays.
class Gets::Question final : public Routed {
 public:
  explicit Question(Gets& gets) : Routed(gets.cluster_), gets_(gets) {
    text_.reserve(kCommandBytesMax);
  }

  void begin(Get& get, Group& group) noexcept {
    get_ = &get;
    group_ = &group;
    is_script_ = false;
    deadline_ns = gets_.cluster_.deadline_ns();
    const bool is_spread = shape_of(get.key.collection) == Shape::spread;
    const Word key = gets_.keys_.record(get.key);
    slot = is_spread ? slot_of(key.view()) : gets_.metadata_slot_;
    encode(key.view());
    group.add();
    gets_.cluster_.send(*this);
  }

  bool value(std::string_view found) noexcept override {
    if (is_part() && !is_script_) {
      // There is nothing at that place, or no record: the script knows.
      if (found.empty()) return false;
    } else if (!is_script_) {
      found = found.substr(std::min<size_t>(get_->offset, found.size()), get_->bytes);
    }
    get_->found = true;
    if (get_->reader != nullptr) get_->reader->found(found);
    return true;
  }
  void replied(const Reply& reply) noexcept override {
    const bool is_unknown = is_part() && !is_script_ && !get_->found && !reply.is_error();
    if (!is_unknown) return end(to_errno(reply));
    is_script_ = true;
    encode(gets_.keys_.record(get_->key).view());
    gets_.cluster_.send(*this);
  }
  void failed(Errno why) noexcept override { end(why); }

 private:
  bool is_part() const noexcept {
    return !is_hash(get_->key.collection) && (get_->offset != 0 || get_->bytes != UINT32_MAX);
  }

  void encode(std::string_view key) noexcept {
    text_.clear();
    CommandWriter writer(text_);
    if (!is_part()) {
      const bool of_hash = is_hash(get_->key.collection);
      writer.begin(of_hash ? 3 : 2);
      writer.word(of_hash ? "HGET" : "GET");
      writer.word(key);
      if (shape_of(get_->key.collection) == Shape::named) writer.word(get_->key.name);
      if (shape_of(get_->key.collection) == Shape::numbered) {
        writer.word(item(get_->key.number).view());
      }
    } else {
      writer.begin(is_script_ ? 6 : 4);
      writer.word(is_script_ ? "EVALSHA" : "GETRANGE");
      if (is_script_) {
        writer.word(gets_.cluster_.scripts().range);
        writer.number(1);
      }
      writer.word(key);
      // The end is part of it; of nothing, the end is before the beginning.
      writer.number(get_->bytes == 0 ? 1 : get_->offset);
      writer.number(get_->bytes == 0 ? 0 : uint64_t{get_->offset} + get_->bytes - 1);
    }
    bytes = text_;
  }

  void end(Errno why) noexcept {
    gets_.spare_.push_back(this);  // there is a place for it
    group_->done(why);
  }

  Gets& gets_;
  std::string text_;
  Get* get_ = nullptr;
  Group* group_ = nullptr;
  bool is_script_ = false;
};

Gets::Gets(Cluster& cluster, const Keys& keys, uint16_t metadata_slot)
    : cluster_(cluster), keys_(keys), metadata_slot_(metadata_slot) {}

Gets::~Gets() = default;

Gets::Question& Gets::take() {
  if (!spare_.empty()) {
    Question* question = spare_.back();
    spare_.pop_back();
    return *question;
  }
  spare_.reserve(all_.size() + 1);
  all_.push_back(std::make_unique<Question>(*this));
  return *all_.back();
}

Op<Unit> Gets::get(std::span<Get> gets) {
  Group group(cluster_.reactor());
  Errno result = Errno::none;
  for (Get& get : gets) {
    get.found = false;
    try {
      take().begin(get, group);
    } catch (const std::bad_alloc&) {
      result = Errno::nomem;
    }
  }
  const Errno why = co_await group;
  if (why != Errno::none) result = why;
  if (result != Errno::none) co_return result;
  co_return Unit{};
}

}  // namespace dpfs::kv::valkey
