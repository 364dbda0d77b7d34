// A name of up to 31 bytes in shared memory.
//
// Threads   set(): its owner; get(): any, who may see half of an old and half of a new name while
//           it is stored: names are for people and for finding a place, whose state word decides.
// Cost      four words.
#pragma once

#include <cstddef>
#include <cstring>

#include "ring/shared.h"

namespace elasticpool {

inline constexpr size_t kNameBytes = 32;

struct NameText {
  char text[kNameBytes] = {};
  bool operator==(const NameText& other) const { return memcmp(text, other.text, kNameBytes) == 0; }
};
// Longer names are refused before they come here.
inline NameText name_text(const char* name) {
  NameText result;
  if (name != nullptr) strncpy(result.text, name, kNameBytes - 1);
  return result;
}

class SharedName {
 public:
  void set(const NameText& name) {
    uint64_t words[kWords];
    memcpy(words, name.text, kNameBytes);
    for (size_t i = 0; i < kWords; ++i) words_[i].store_relaxed(words[i]);
  }
  NameText get() const {
    uint64_t words[kWords];
    for (size_t i = 0; i < kWords; ++i) words[i] = words_[i].load_relaxed();
    NameText name;
    memcpy(name.text, words, kNameBytes);
    name.text[kNameBytes - 1] = '\0';
    return name;
  }

 private:
  static constexpr size_t kWords = kNameBytes / sizeof(uint64_t);
  SharedU64 words_[kWords];
};

}  // namespace elasticpool
