// SPDX-License-Identifier: Apache-2.0
// Our operands for RocksDB.
#include "backend/kv/rocksdb/merge_operator.h"

#include <rocksdb/merge_operator.h>

#include <algorithm>

#include "backend/kv/rocksdb/operand.h"

namespace dpfs::kv::rocks {
namespace {

std::string_view view(const rocksdb::Slice& slice) noexcept { return {slice.data(), slice.size()}; }

class RecordMerge final : public rocksdb::MergeOperator {
 public:
  // Part of the format: RocksDB does not open a database with an operator of another name.
  const char* Name() const override { return "dpfs.record.1"; }

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    std::string& value = out->new_value;
    value.clear();
    // Once, and as much as most need: growing would copy the chunk again.
    size_t bytes = in.existing_value != nullptr ? in.existing_value->size() : 0;
    for (const rocksdb::Slice& stored : in.operand_list) {
      const std::optional<Operand> operand = decode_operand(view(stored));
      if (!operand) return false;
      bytes =
          std::max(bytes, operand->bytes.size() + (operand->bytes.empty() ? 8 : operand->number));
    }
    if (bytes > kValueBytesMax) return false;
    value.reserve(bytes);
    bool present = in.existing_value != nullptr;
    if (present) value.append(in.existing_value->data(), in.existing_value->size());
    for (const rocksdb::Slice& stored : in.operand_list) {
      const std::optional<Operand> operand = decode_operand(view(stored));
      if (!operand) return false;
      if (!present && operand->kind == Operand::Kind::add) value.assign(sizeof(uint64_t), '\0');
      present = true;
      if (!apply_operand(*operand, value)) return false;
    }
    return true;
  }

  bool PartialMerge(const rocksdb::Slice&, const rocksdb::Slice& left, const rocksdb::Slice& right,
                    std::string* combined, rocksdb::Logger*) const override {
    const std::optional<Operand> first = decode_operand(view(left));
    const std::optional<Operand> second = decode_operand(view(right));
    return first && second && combine_operands(*first, *second, *combined);
  }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> make_merge_operator() {
  static const auto kOne = std::make_shared<RecordMerge>();
  return kOne;
}

}  // namespace dpfs::kv::rocks
