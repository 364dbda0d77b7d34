// Arithmetic on powers of two, and what else C++ lacks.
//
// Who may use  every layer.
// Threads      pure functions.
// Cost         one to three instructions each.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace elasticpool {

constexpr bool is_power_of_two(size_t x) { return x != 0 && (x & (x - 1)) == 0; }

// `align` is a power of two in both; round_up wraps to 0 above SIZE_MAX - align + 1.
constexpr size_t round_down(size_t x, size_t align) { return x & ~(align - 1); }
constexpr size_t round_up(size_t x, size_t align) { return (x + align - 1) & ~(align - 1); }
constexpr size_t divide_up(size_t x, size_t by) { return (x + by - 1) / by; }

// x > 0 in both.
constexpr unsigned floor_log2(size_t x) { return 63U - static_cast<unsigned>(std::countl_zero(x)); }
constexpr unsigned ceil_log2(size_t x) { return x <= 1 ? 0 : floor_log2(x - 1) + 1; }

// a - b, and 0 where that would wrap: for figures that were read at different moments.
constexpr uint64_t saturating_subtract(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

inline uintptr_t address_of(const void* p) { return reinterpret_cast<uintptr_t>(p); }

}  // namespace elasticpool
