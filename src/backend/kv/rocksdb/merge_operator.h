// SPDX-License-Identifier: Apache-2.0
// What RocksDB asks when it reads or compacts a record that operands lie beside.
#pragma once

#include <memory>

namespace rocksdb {
class MergeOperator;
}

namespace dpfs::kv::rocks {

// A record that its operands do not fit fails the read, or the compaction, as corruption.
std::shared_ptr<rocksdb::MergeOperator> make_merge_operator();

}  // namespace dpfs::kv::rocks
