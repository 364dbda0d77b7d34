// C++ thread_local objects whose destructors allocate, of dying threads and of the main thread
// after main; one of them is first constructed by another's destructor.
//
// A broken allocator has taken the thread's state down before these run, and crashes or leaks.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dropin.h"

namespace {

constexpr int kThreads = 2000;
std::atomic<int> destroyed{0};

struct Late {
  std::unique_ptr<std::string> text = std::make_unique<std::string>(3000, 'l');
  ~Late() {
    EXPECT(*text == std::string(3000, 'l'));
    use_heap(2, 50);
    ++destroyed;
  }
};
thread_local Late late;

struct Early {
  std::map<int, std::string> words;
  Early() {
    for (int i = 0; i < 50; ++i) words[i] = std::string(static_cast<size_t>(i) * 20, 'e');
  }
  ~Early() {
    for (const auto& [length, word] : words) EXPECT(word == std::string(size_t(length) * 20, 'e'));
    words[1000] = *late.text;  // first use of `late` in this thread
    use_heap(1, 50);
    ++destroyed;
  }
};
thread_local Early early;

void live_and_die() { EXPECT(early.words.size() == 50); }

// Runs after the main thread's thread_local objects are gone.
struct AtTheEnd {
  std::vector<std::string> kept{100, std::string(100, 'k')};
  ~AtTheEnd() {
    for (const std::string& word : kept) EXPECT(word == std::string(100, 'k'));
    EXPECT(destroyed == 2 * (kThreads + 1));
  }
};
AtTheEnd at_the_end;

}  // namespace

int main() {
  live_and_die();
  for (int i = 0; i < kThreads; i += 4) {
    std::vector<std::thread> threads;
    for (int j = 0; j < 4; ++j) threads.emplace_back(live_and_die);
    for (std::thread& thread : threads) thread.join();
  }
  return 0;
}
