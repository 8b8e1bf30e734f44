// SPDX-License-Identifier: Apache-2.0
// A doubly linked list whose links lie in its elements, so that joining and leaving cost no memory.
#pragma once

#include <cstddef>

#include "base/assert.h"

namespace dpfs {

// To be a base of an element type. An element is in at most one list of the same Tag, and must have
// left it before it dies.
template <class Tag = void>
class ListLink {
 public:
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { DPFS_ASSERT(!linked()); }

  bool linked() const noexcept { return next_ != nullptr; }
  void unlink() noexcept {
    DPFS_ASSERT(previous_ != nullptr);
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <class T, class U>
  friend class List;
  ListLink* next_ = nullptr;
  ListLink* previous_ = nullptr;
};

template <class T, class Tag = void>
class List {
  using Link = ListLink<Tag>;

 public:
  List() noexcept { end_.next_ = end_.previous_ = &end_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    DPFS_ASSERT(empty());
    end_.next_ = end_.previous_ = nullptr;
  }

  bool empty() const noexcept { return end_.next_ == &end_; }
  T* front() noexcept { return empty() ? nullptr : static_cast<T*>(end_.next_); }
  void push_back(T& element) noexcept { insert(static_cast<Link&>(element), end_); }
  void push_front(T& element) noexcept { insert(static_cast<Link&>(element), *end_.next_); }
  void insert_before(T& element, T& behind) noexcept {
    insert(static_cast<Link&>(element), static_cast<Link&>(behind));
  }
  T* pop_front() noexcept {
    T* element = front();
    if (element != nullptr) static_cast<Link*>(element)->unlink();
    return element;
  }
  // The element behind `element`, or nullptr at the end.
  T* after(T& element) noexcept {
    Link* next = static_cast<Link&>(element).next_;
    return next == &end_ ? nullptr : static_cast<T*>(next);
  }

 private:
  static void insert(Link& link, Link& before) noexcept {
    DPFS_ASSERT(!link.linked());
    link.next_ = &before;
    link.previous_ = before.previous_;
    before.previous_->next_ = &link;
    before.previous_ = &link;
  }
  Link end_;
};

}  // namespace dpfs
