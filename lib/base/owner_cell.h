// A number that one thread writes and others only look at.
//
// Threads    the owner: plain reads and writes, so that `++` is one instruction on the fast path.
//            Others: peek(), which may lag behind but never tears (aligned, at most 8 bytes).
// Why plain  a relaxed atomic store of load + 1 is three instructions with today's compilers, and
//            the fast path of malloc has room for one.
#pragma once

#include <cstddef>
#include <type_traits>

#include "base/annotations.h"

namespace elasticpool {

template <typename T>
class OwnerCell {
  static_assert(sizeof(T) <= sizeof(void*));

 public:
  constexpr OwnerCell() = default;
  constexpr explicit OwnerCell(T value) : value_(value) {}

  constexpr T get() const { return value_; }
  constexpr void set(T value) {
    if (EP_THREAD_SANITIZER && !std::is_constant_evaluated()) {
      __atomic_store_n(&value_, value, __ATOMIC_RELAXED);
    } else {
      value_ = value;
    }
  }
  // For pointers, elements.
  void add(std::ptrdiff_t delta) {
    if constexpr (EP_THREAD_SANITIZER) {
      set(sum(delta));
    } else {
      value_ = sum(delta);
    }
  }
  T peek() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }

 private:
  constexpr T sum(std::ptrdiff_t delta) const {
    if constexpr (std::is_pointer_v<T>) {
      return value_ + delta;
    } else {
      return static_cast<T>(value_ + static_cast<T>(delta));
    }
  }

  T value_{};
};

}  // namespace elasticpool
