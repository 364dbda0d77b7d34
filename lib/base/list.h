// An intrusive doubly linked list: the links lie in the element, so nothing is allocated.
//
// Threads    none of its own; the owner's lock guards it.
// Invariant  an element is on at most one list through one Link member; a Link that is on no list
//            has next == nullptr.
// Cost       constant for everything but iteration.
#pragma once

#include "base/check.h"

namespace elasticpool {

template <typename T>
struct Link {
  T* next = nullptr;
  T* previous = nullptr;
};

template <typename T, Link<T> T::*kLink>
class List {
 public:
  bool empty() const { return head_ == nullptr; }
  T* front() const { return head_; }
  static T* next(const T* element) {
    T* following = (element->*kLink).next;
    return following == element ? nullptr : following;
  }

  void push_front(T* element) {
    Link<T>& link = element->*kLink;
    EP_ASSERT(link.next == nullptr);
    link.previous = nullptr;
    // A last element points to itself, so that "is on a list" is one test.
    link.next = head_ == nullptr ? element : head_;
    if (head_ != nullptr) (head_->*kLink).previous = element;
    head_ = element;
  }

  void remove(T* element) {
    Link<T>& link = element->*kLink;
    T* following = next(element);
    if (link.previous == nullptr) {
      EP_ASSERT(head_ == element);
      head_ = following;
    } else {
      (link.previous->*kLink).next = following == nullptr ? link.previous : following;
    }
    if (following != nullptr) (following->*kLink).previous = link.previous;
    link = {};
  }

  T* pop_front() {
    T* element = head_;
    if (element != nullptr) remove(element);
    return element;
  }

  static bool is_linked(const T* element) { return (element->*kLink).next != nullptr; }

 private:
  T* head_ = nullptr;
};

}  // namespace elasticpool
