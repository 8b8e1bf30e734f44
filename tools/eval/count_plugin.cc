// SPDX-License-Identifier: Apache-2.0
// count_plugin: a plugin of QEMU's emulator that counts the instructions a guest executes, the
// kernel's apart from the programs'.
//
//   qemu-system-x86_64 ... -plugin file=count_plugin.so,out=PREFIX
//
// The guest marks what is to be counted by two instructions that do nothing (guest_load.cc). At the
// N-th end mark PREFIX.N is written: a line "KERNEL USER" with the instructions between the marks,
// then a line "ADDRESS INSTRUCTIONS EXECUTIONS" for each block of the kernel that ran, the address
// in hexadecimal. From those and the guest's /proc/kallsyms one gets a profile, and how often a
// function was called: a block begins where a function does.
//
// QEMU's own header is in no package of Debian; what is used of it is declared here, as of its API
// version 4 (docs/devel/tcg-plugins.rst of QEMU 10.0).
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

// ---- QEMU's
// ---------------------------------------------------------------------------------------
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
struct qemu_info_t;
using qemu_plugin_id_t = uint64_t;
struct qemu_plugin_u64 {
  qemu_plugin_scoreboard* score;
  size_t offset;
};

qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(size_t element_size);
void* qemu_plugin_scoreboard_find(qemu_plugin_scoreboard* score, unsigned vcpu);
int qemu_plugin_num_vcpus();
size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* tb);
uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb* tb);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb* tb, size_t index);
size_t qemu_plugin_insn_size(const qemu_plugin_insn* insn);
size_t qemu_plugin_insn_data(const qemu_plugin_insn* insn, void* destination, size_t size);
// `operation` 0 adds `value`; `flags` 0 says that the callback reads no registers.
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(qemu_plugin_insn* insn, int operation,
                                                         qemu_plugin_u64 entry, uint64_t value);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(qemu_plugin_tb* tb, int operation,
                                                       qemu_plugin_u64 entry, uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn* insn,
                                            void (*callback)(unsigned vcpu, void* context),
                                            int flags, void* context);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t id,
                                                            qemu_plugin_tb* tb));

[[gnu::visibility("default")]] int qemu_plugin_version = 4;
[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t id,
                                                       const qemu_info_t* information, int count,
                                                       char** arguments);
}
// NOLINTEND(readability-identifier-naming)

namespace {

constexpr int kAdd = 0;
constexpr int kReadsNoRegisters = 0;
// nopl displacement(%rax,%rax), the displacement's bytes being 'D', 'P', 'F' and which mark it is:
// one that no compiler writes.
constexpr std::array<unsigned char, 4> kMarkOpcode = {0x0f, 0x1f, 0x84, 0x00};
constexpr std::string_view kMarkName = "DPF";
constexpr size_t kMarkBytes = 8;
// Of the kernel's blocks: it has some 30,000 after a boot and these workloads.
constexpr size_t kBlocksMax = 1 << 18;

// For each virtual processor: counted by code that QEMU puts into the guest's blocks.
struct Counts {
  uint64_t kernel;
  uint64_t user;
  std::array<uint64_t, kBlocksMax> executions;  // the last one takes what has no place
};

struct Block {
  uint64_t address;
  size_t instructions;
  auto operator<=>(const Block&) const = default;
};

// Blocks are translated under a lock of QEMU's, but not under the same one for each processor.
std::mutex mutex;                // NOLINT(*-avoid-non-const-global-variables)
std::map<Block, size_t> blocks;  // NOLINT(*-avoid-non-const-global-variables)
qemu_plugin_scoreboard* score;   // NOLINT(*-avoid-non-const-global-variables)
std::string out;                 // NOLINT(*-avoid-non-const-global-variables)
unsigned written;                // NOLINT(*-avoid-non-const-global-variables)

bool is_kernel(uint64_t address) { return address >> 63 != 0; }

qemu_plugin_u64 entry(size_t offset) { return {.score = score, .offset = offset}; }

Counts& counts(int vcpu) {
  return *static_cast<Counts*>(qemu_plugin_scoreboard_find(score, static_cast<unsigned>(vcpu)));
}

template <typename Value>
uint64_t sum(Value value) {
  uint64_t total = 0;
  for (int vcpu = 0; vcpu < qemu_plugin_num_vcpus(); ++vcpu) total += value(counts(vcpu));
  return total;
}

void begin() {
  for (int vcpu = 0; vcpu < qemu_plugin_num_vcpus(); ++vcpu) {
    std::memset(&counts(vcpu), 0, sizeof(Counts));
  }
}

void end() {
  const std::string path = out + "." + std::to_string(written++);
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    std::fprintf(stderr, "count_plugin: %s cannot be written\n", path.c_str());
    return;
  }
  const std::lock_guard lock(mutex);
  const uint64_t kernel = sum([](const Counts& all) { return all.kernel; });
  const uint64_t user = sum([](const Counts& all) { return all.user; });
  std::fprintf(file, "%" PRIu64 " %" PRIu64 "\n", kernel, user);
  for (const auto& [block, place] : blocks) {
    const uint64_t executions =
        sum([where = place](const Counts& all) { return all.executions[where]; });
    if (executions == 0) continue;
    std::fprintf(file, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", block.address,
                 executions * block.instructions, executions);
  }
  std::fclose(file);
}

void at_begin(unsigned, void*) { begin(); }

void at_end(unsigned, void*) { end(); }

// 'b', 'e', or 0 for any other instruction.
unsigned char mark_of(const qemu_plugin_insn* insn) {
  std::array<unsigned char, kMarkBytes> bytes{};
  if (qemu_plugin_insn_size(insn) != bytes.size()) return 0;
  if (qemu_plugin_insn_data(insn, bytes.data(), bytes.size()) != bytes.size()) return 0;
  const auto* name = bytes.begin() + kMarkOpcode.size();
  if (!std::equal(kMarkOpcode.begin(), kMarkOpcode.end(), bytes.begin())) return 0;
  if (!std::equal(kMarkName.begin(), kMarkName.end(), name)) return 0;
  return bytes.back();
}

size_t place_of(const Block& block) {
  const std::lock_guard lock(mutex);
  const size_t next = std::min(blocks.size(), kBlocksMax - 1);
  return blocks.try_emplace(block, next).first->second;
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* tb) {
  const size_t instructions = qemu_plugin_tb_n_insns(tb);
  const uint64_t address = qemu_plugin_tb_vaddr(tb);
  const bool kernel = is_kernel(address);
  if (kernel) {
    const size_t place = place_of({.address = address, .instructions = instructions});
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
        tb, kAdd, entry(offsetof(Counts, executions) + place * sizeof(uint64_t)), 1);
  }
  // Each instruction counts itself, so that a block which is left early is counted as far as it
  // ran.
  const qemu_plugin_u64 total = entry(kernel ? offsetof(Counts, kernel) : offsetof(Counts, user));
  for (size_t index = 0; index < instructions; ++index) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, index);
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, kAdd, total, 1);
    if (kernel) continue;
    switch (mark_of(insn)) {
      case 'b':
        qemu_plugin_register_vcpu_insn_exec_cb(insn, at_begin, kReadsNoRegisters, nullptr);
        break;
      case 'e':
        qemu_plugin_register_vcpu_insn_exec_cb(insn, at_end, kReadsNoRegisters, nullptr);
        break;
      default:
        break;
    }
  }
}

}  // namespace

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int count, char** arguments) {
  constexpr std::string_view kOut = "out=";
  for (int index = 0; index < count; ++index) {
    const std::string_view argument = arguments[index];
    if (argument.starts_with(kOut)) out = argument.substr(kOut.size());
  }
  if (out.empty()) {
    std::fprintf(stderr, "count_plugin: it needs out=PREFIX\n");
    return 1;
  }
  score = qemu_plugin_scoreboard_new(sizeof(Counts));
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  return 0;
}
