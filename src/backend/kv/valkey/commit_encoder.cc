// SPDX-License-Identifier: Apache-2.0
// Keys and arguments of the script.
#include "backend/kv/valkey/commit_encoder.h"

#include <array>

#include "backend/kv/valkey/command.h"

namespace dpfs::kv::valkey {
namespace {

constexpr std::string_view kNoSha = "0000000000000000000000000000000000000000";
constexpr std::string_view kNoNumber = "0000000000000000";
static_assert(kNoSha.size() == kShaDigits && kNoNumber.size() == EncodedCommit::kDigits);
constexpr size_t kFixedWords = 7;  // of ARGV

bool is_hash(const Key& key) noexcept { return valkey::is_hash(key.collection); }

// What stands for a write, of a string and of a hash.
char letter(const Write& write) noexcept {
  const bool hash = is_hash(write.key);
  switch (write.kind) {
    case Write::Kind::put:
      return hash ? 'H' : 'S';
    case Write::Kind::erase:
      return hash ? 'X' : 'D';
    case Write::Kind::add:
      return hash ? 'J' : 'I';
    case Write::Kind::patch:
      return 'R';
    case Write::Kind::cut:
      return 'T';
  }
  return 0;
}

char letter(const Compare& compare) noexcept {
  if (is_hash(compare.key)) return compare.present ? 'p' : 'a';
  return compare.present ? 'P' : 'A';
}

size_t arguments(const Write& write) noexcept {
  size_t words = is_hash(write.key) ? 1 : 0;
  if (write.kind == Write::Kind::patch) return words + 2;
  return words + (write.kind == Write::Kind::erase ? 0 : 1);
}

class Encoder {
 public:
  Encoder(const Keys& keys, EncodedCommit& into) : keys_(keys), into_(into), writer_(into.bytes) {}

  void encode(std::string_view incarnation, std::span<const Compare> compares,
              std::span<const Write> writes) {
    count(compares, writes);
    into_.bytes.clear();
    into_.bytes.reserve(bytes_);
    writer_.begin(3 + keys_count_ + kFixedWords + arguments_count_);
    writer_.word("EVALSHA");
    into_.sha_at = digits(kNoSha);
    writer_.number(keys_count_);
    add_keys(compares, writes);
    writer_.word(incarnation);
    into_.previous_at = digits(kNoNumber);
    into_.number_at = digits(kNoNumber);
    into_.heard_at = digits(kNoNumber);
    writer_.word(checks_);
    writer_.word(letters_);
    writer_.word(frees_ ? "1" : "0");
    for (const Compare& compare : compares) {
      if (is_hash(compare.key)) add_item(compare.key);
      if (compare.present) writer_.word(compare.prefix);
    }
    for (const Write& write : writes) {
      if (write.kind == Write::Kind::add && is_hash(write.key)) add_item(write.key);
    }
    for (const Write& write : writes) {
      if (!is_spread(write)) add_arguments(write);
    }
  }

 private:
  void count(std::span<const Compare> compares, std::span<const Write> writes) {
    constexpr size_t kKeyBytes = kPartitionBytesMax + 32;
    for (const Compare& compare : compares) {
      checks_.push_back(letter(compare));
      ++keys_count_;
      arguments_count_ += (is_hash(compare.key) ? 1 : 0) + (compare.present ? 1 : 0);
      bytes_ += compare.prefix.size() + kNameBytesMax;
    }
    for (const Write& write : writes) {
      if (is_spread(write)) continue;
      if (write.kind == Write::Kind::add) {
        checks_.push_back(is_hash(write.key) ? 'n' : 'N');
        ++keys_count_;
        arguments_count_ += is_hash(write.key) ? 1 : 0;
      }
      letters_.push_back(letter(write));
      keys_count_ += is_hash(write.key) ? 2 : 1;
      arguments_count_ += arguments(write);
      bytes_ += write.value.size() + write.payload.size() + kNameBytesMax;
      frees_ = frees_ || write.kind == Write::Kind::erase || write.kind == Write::Kind::cut;
    }
    bytes_ += keys_count_ * (kKeyBytes + CommandWriter::kWordBytes) +
              (arguments_count_ + kFixedWords + 4) * CommandWriter::kWordBytes + checks_.size() +
              letters_.size() + 256;
  }

  void add_keys(std::span<const Compare> compares, std::span<const Write> writes) {
    writer_.word(keys_.progress().view());
    for (const Compare& compare : compares) writer_.word(keys_.record(compare.key).view());
    for (const Write& write : writes) {
      if (write.kind == Write::Kind::add && !is_spread(write)) {
        writer_.word(keys_.record(write.key).view());
      }
    }
    for (const Write& write : writes) {
      if (is_spread(write)) continue;
      writer_.word(keys_.record(write.key).view());
      if (is_hash(write.key)) {
        writer_.word(keys_.index(write.key.collection, write.key.object).view());
      }
    }
  }

  void add_item(const Key& key) {
    if (shape_of(key.collection) == Shape::named) return writer_.word(key.name);
    writer_.word(item(key.number).view());
  }

  void add_arguments(const Write& write) {
    if (is_hash(write.key)) add_item(write.key);
    switch (write.kind) {
      case Write::Kind::erase:
        return;
      case Write::Kind::add:
        return writer_.word(item(static_cast<uint64_t>(write.number)).view());
      case Write::Kind::cut:
        return writer_.number(static_cast<uint64_t>(write.number));
      case Write::Kind::patch:
        writer_.number(static_cast<uint64_t>(write.number));
        return writer_.word(write.value, write.payload);
      case Write::Kind::put:
        return writer_.word(write.value, write.payload);
    }
  }

  // Where the word begins.
  size_t digits(std::string_view nothing) {
    writer_.word(nothing);
    return into_.bytes.size() - 2 - nothing.size();
  }

  const Keys& keys_;
  EncodedCommit& into_;
  CommandWriter writer_;
  // Some letters each: no memory of their own in most commits.
  std::string checks_;
  std::string letters_;
  size_t keys_count_ = 1;
  size_t arguments_count_ = 0;
  size_t bytes_ = 0;
  bool frees_ = false;
};

}  // namespace

void encode_commit(const Keys& keys, std::string_view incarnation,
                   std::span<const Compare> compares, std::span<const Write> writes,
                   EncodedCommit& into) {
  Encoder(keys, into).encode(incarnation, compares, writes);
}

void set_digits(EncodedCommit& commit, size_t at, uint64_t number) noexcept {
  for (size_t i = EncodedCommit::kDigits; i-- > 0; number /= 10) {
    commit.bytes[at + i] = static_cast<char>('0' + number % 10);
  }
}

}  // namespace dpfs::kv::valkey
