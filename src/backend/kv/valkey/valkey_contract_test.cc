// SPDX-License-Identifier: Apache-2.0
// Valkey passes the tests that every engine passes, on one server and on a cluster.
#include "backend/kv/store_contract_tests.h"
#include "backend/kv/valkey/valkey_rig.h"
#include "backend/kv/valkey/valkey_store.h"

namespace dpfs::kv {
namespace {

// Both run until the program ends: starting a cluster takes seconds.
ValkeyRig& server() {
  static ValkeyRig rig({});
  return rig;
}
ValkeyRig& cluster() {
  static ValkeyRig rig({"--cluster"});
  return rig;
}

// All that lies there is thrown away.
class Servers final : public ContractPlace {
 public:
  Servers(ValkeyRig& rig, int primaries) : rig_(&rig), primaries_(primaries) { flush(); }
  // Somebody else's.
  explicit Servers(std::string address) : address_(std::move(address)) {}
  ~Servers() override { flush(); }

  std::unique_ptr<Store> make_store(Reactor& reactor, const std::string& partition) override {
    ValkeyOptions options;
    options.servers = valkey_addresses(address());
    options.partition = partition;
    return make_valkey_store(reactor, options);
  }
  std::string address() const override { return rig_ != nullptr ? rig_->address() : address_; }

 private:
  void flush() {
    if (rig_ == nullptr) return;
    for (int i = 0; i < primaries_; ++i) {
      EXPECT_EQ(rig_->tell("call " + std::to_string(i) + " FLUSHALL SYNC"), "ok OK");
    }
  }

  ValkeyRig* rig_ = nullptr;
  int primaries_ = 0;
  std::string address_;
};

template <ValkeyRig& (*rig)(), int primaries>
ContractSubject subject(const char* name) {
  return {.name = name,
          .make_place = [](const std::string& address) -> std::unique_ptr<ContractPlace> {
            if (!address.empty()) return std::make_unique<Servers>(address);
            return std::make_unique<Servers>(rig(), primaries);
          },
          // A process that a test has started is given an address, and starts no servers.
          .missing = [] { return getenv(kCrashAddress) != nullptr ? "" : rig().missing(); }};
}

INSTANTIATE_TEST_SUITE_P(Valkey, StoreContract,
                         testing::Values(subject<server, 1>("server"),
                                         subject<cluster, 3>("cluster")),
                         contract_subject_name);

}  // namespace
}  // namespace dpfs::kv
