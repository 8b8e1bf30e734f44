// SPDX-License-Identifier: Apache-2.0
// Completion: something that a reactor will run, once, on a turn to come.
#pragma once

#include <cstdint>
#include <utility>

namespace dpfs {

// Owned by whoever waits for it (usually it lies in a coroutine's frame) and untouched until it
// runs.
struct Completion {
  void (*run)(Completion&) noexcept = nullptr;
  Completion* next = nullptr;
  int32_t result = 0;  // as system calls in the kernel have it: bytes, or a negative errno
};

// First in, first out; the links lie in the elements.
class CompletionQueue {
 public:
  bool empty() const noexcept { return head_ == nullptr; }
  void push(Completion& completion) noexcept {
    completion.next = nullptr;
    *tail_ = &completion;
    tail_ = &completion.next;
    ++size_;
  }
  Completion* pop() noexcept {
    Completion* completion = head_;
    if (completion == nullptr) return nullptr;
    head_ = completion->next;
    if (head_ == nullptr) tail_ = &head_;
    --size_;
    return completion;
  }
  uint32_t size() const noexcept { return size_; }

 private:
  Completion* head_ = nullptr;
  Completion** tail_ = &head_;
  uint32_t size_ = 0;
};

}  // namespace dpfs
