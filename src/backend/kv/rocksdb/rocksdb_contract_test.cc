// SPDX-License-Identifier: Apache-2.0
// RocksDB passes the tests that every engine passes.
#include <filesystem>

#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/store_contract_tests.h"

namespace dpfs::kv {
namespace {

class Folder final : public ContractPlace {
 public:
  explicit Folder(const std::string& address) : path_(address), is_own_(address.empty()) {
    if (!is_own_) return;
    std::string name = (std::filesystem::temp_directory_path() / "dpfs-kv-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Folder() override {
    std::error_code ignored;
    if (is_own_) std::filesystem::remove_all(path_, ignored);
  }
  std::unique_ptr<Store> make_store(Reactor& reactor, const std::string& partition) override {
    return make_rocksdb_store(
        reactor, {.path = path_ + "/database", .partition = partition, .create = true});
  }
  std::string address() const override { return path_; }

 private:
  std::string path_;
  const bool is_own_;
};

INSTANTIATE_TEST_SUITE_P(RocksDb, StoreContract,
                         testing::Values(ContractSubject{
                             .name = "folder",
                             .make_place =
                                 [](const std::string& address) -> std::unique_ptr<ContractPlace> {
                               return std::make_unique<Folder>(address);
                             }}),
                         contract_subject_name);

}  // namespace
}  // namespace dpfs::kv
