// The units that memory is counted in, and the types that keep indices apart.
//
// Who may use  every layer; nothing here has state.
// Invariant    block <= granule * 16 <= frame <= zone: each unit is a power of two and divides the
//              next one.
// Names        sizes are `size_t` with their unit as the last word of the name (`_bytes`,
//              `_granules`); what could be confused with a size (class, CPU, node) has its own
//              type.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kGiB = 1024 * kMiB;

// Every block that malloc returns starts at a multiple of this.
inline constexpr size_t kMinAlignBytes = 16;
// What the buddy layer hands out and extents are rounded to.
inline constexpr size_t kGranuleBytes = 64 * kKiB;
// An aligned 2 MiB, the size of a huge page.
inline constexpr size_t kFrameBytes = 2 * kMiB;
inline constexpr size_t kGranulesPerFrame = kFrameBytes / kGranuleBytes;
inline constexpr size_t kCacheLineBytes = 64;

// Where each tier ends: slabs, buddy blocks, then extents.
inline constexpr size_t kSlabBytesMax = 32 * kKiB;
inline constexpr size_t kBuddyBytesMax = 1 * kMiB;
// Objects over this are refused, as in glibc: differences of pointers must fit ptrdiff_t.
inline constexpr size_t kRequestBytesMax = PTRDIFF_MAX;

static_assert(kFrameBytes % kGranuleBytes == 0 && kGranulesPerFrame == 32);
static_assert(kSlabBytesMax <= kGranuleBytes && kBuddyBytesMax <= kFrameBytes);

enum class ClassId : uint8_t {};
enum class CpuId : uint32_t {};
enum class NodeId : uint8_t {};

constexpr size_t index_of(ClassId id) { return static_cast<size_t>(id); }
constexpr size_t index_of(CpuId id) { return static_cast<size_t>(id); }
constexpr size_t index_of(NodeId id) { return static_cast<size_t>(id); }

// NUMA nodes that are told apart; those of a larger machine share (node modulo this).
inline constexpr size_t kNodesMax = 8;

}  // namespace elasticpool
