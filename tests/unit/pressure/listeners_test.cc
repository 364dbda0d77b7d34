// pressure/listeners.h: who is told, in which order, and that nobody runs whom remove() has taken
// out.
#include "pressure/listeners.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "os/fake_files.h"

namespace elasticpool {
namespace {

// Two addresses; neither is ever called, that is the caller's part.
void one() { ADD_FAILURE(); }
void other() { abort(); }

struct Listener {
  char name = '?';
  std::function<void()> act = [] {};
};

std::string g_told;

void call(PressureListeners::Function function, void* argument, const void* context) {
  EXPECT_EQ(function, &one);
  EXPECT_STREQ(static_cast<const char*>(context), "context");
  const auto* const listener = static_cast<const Listener*>(argument);
  g_told += listener->name;
  listener->act();
}

class ListenersTest : public testing::Test {
 protected:
  void SetUp() override {
    for (size_t i = 0; i < kListenersMax + 1; ++i) all_[i].name = static_cast<char>('a' + i);
  }

  int add(char name) { return listeners_.add(one, &named(name)); }
  int remove(char name) { return listeners_.remove(one, &named(name)); }
  Listener& named(char name) { return all_[name - 'a']; }
  // Whose functions were called.
  std::string tell() {
    g_told.clear();
    const size_t count = listeners_.tell(call, "context");
    EXPECT_EQ(count, g_told.size());
    return g_told;
  }

  PressureListeners listeners_;
  Listener all_[kListenersMax + 1];
};

TEST_F(ListenersTest, AreToldInTheOrderInWhichTheyCame) {
  EXPECT_FALSE(listeners_.any());
  EXPECT_EQ(tell(), "");
  for (const char name : {'c', 'a', 'b'}) EXPECT_EQ(add(name), 0);
  EXPECT_TRUE(listeners_.any());
  EXPECT_EQ(tell(), "cab");
  EXPECT_EQ(remove('a'), 0);
  EXPECT_EQ(tell(), "cb");
  EXPECT_EQ(add('a'), 0);
  EXPECT_EQ(tell(), "cba");
  for (const char name : {'a', 'b', 'c'}) EXPECT_EQ(remove(name), 0);
  EXPECT_FALSE(listeners_.any());
  EXPECT_EQ(tell(), "");
}

TEST_F(ListenersTest, AreAFunctionAndAnArgument) {
  EXPECT_EQ(listeners_.add(nullptr, this), EINVAL);
  EXPECT_EQ(listeners_.remove(nullptr, nullptr), ENOENT) << "an empty place is no listener";
  EXPECT_EQ(listeners_.remove(one, nullptr), ENOENT);
  EXPECT_EQ(listeners_.add(one, nullptr), 0);
  EXPECT_EQ(listeners_.add(one, nullptr), EEXIST);
  EXPECT_EQ(listeners_.add(one, this), 0);
  EXPECT_EQ(listeners_.add(other, nullptr), 0);
  EXPECT_EQ(listeners_.remove(other, this), ENOENT);
  EXPECT_EQ(listeners_.remove(other, nullptr), 0);
  EXPECT_EQ(listeners_.remove(other, nullptr), ENOENT);
  EXPECT_EQ(listeners_.remove(one, nullptr), 0);
  EXPECT_EQ(listeners_.remove(one, this), 0);
}

TEST_F(ListenersTest, AreSixteenAndNoMore) {
  std::string names;
  for (char name = 'a'; name < 'a' + 16; ++name) {
    EXPECT_EQ(add(name), 0);
    names += name;
  }
  EXPECT_EQ(add('q'), ENOSPC);
  EXPECT_EQ(add('p'), EEXIST) << "that it is there already comes first";
  EXPECT_EQ(tell(), names);
  EXPECT_EQ(remove('h'), 0);
  EXPECT_EQ(add('q'), 0);
  EXPECT_EQ(tell(), "abcdefgijklmnopq");
  EXPECT_EQ(add('h'), ENOSPC);
}

// Each of the five takes out each, itself too: all others are told once, and in order.
TEST_F(ListenersTest, TakeEachOtherOut) {
  const std::string names = "abcde";
  for (const char remover : names) {
    for (const char removed : names) {
      for (const char name : names) {
        named(name).act = [] {};
        EXPECT_EQ(add(name), 0);
      }
      named(remover).act = [&] { EXPECT_EQ(remove(removed), 0); };
      std::string rest = names;
      rest.erase(rest.find(removed), 1);
      const bool was_told = removed <= remover;
      EXPECT_EQ(tell(), was_told ? names : rest) << remover << " removes " << removed;
      named(remover).act = [] {};
      EXPECT_EQ(tell(), rest);
      for (const char name : rest) EXPECT_EQ(remove(name), 0);
    }
  }
}

TEST_F(ListenersTest, TakeAllOut) {
  for (const char name : {'a', 'b', 'c'}) add(name);
  named('b').act = [&] {
    for (const char name : {'c', 'b', 'a'}) EXPECT_EQ(remove(name), 0);
    EXPECT_EQ(remove('b'), ENOENT);
  };
  EXPECT_EQ(tell(), "ab");
  EXPECT_EQ(tell(), "");
}

TEST_F(ListenersTest, BringOthersThatAreToldTheNextTime) {
  for (const char name : {'a', 'b'}) add(name);
  named('a').act = [&] { add('c'); };
  EXPECT_EQ(tell(), "ab");
  // Who goes and comes back each time is told once for all that, and is the last from then on.
  named('a').act = [&] {
    EXPECT_EQ(remove('a'), 0);
    EXPECT_EQ(add('a'), 0);
  };
  EXPECT_EQ(tell(), "abc");
  EXPECT_EQ(tell(), "bca");
}

void rest_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

TEST_F(ListenersTest, WhoRemovesARunningOneWaits) {
  for (int round = 0; round < 5; ++round) {
    std::atomic<bool> is_running{false};
    std::atomic<bool> is_removing{false};
    std::atomic<bool> has_ended{false};
    named('a').act = [&] {
      is_running = true;
      while (!is_removing) rest_ms(1);
      rest_ms(20);
      has_ended = true;
    };
    for (const char name : {'a', 'b'}) add(name);
    std::thread remover([&] {
      while (!is_running) rest_ms(1);
      EXPECT_EQ(remove('b'), 0);
      EXPECT_FALSE(has_ended) << "only who runs is waited for";
      is_removing = true;
      EXPECT_EQ(remove('a'), 0);
      EXPECT_TRUE(has_ended);
    });
    EXPECT_EQ(tell(), "a");
    remover.join();
    EXPECT_FALSE(listeners_.any());
  }
}

// A thread that comes and goes while another tells: nobody runs when he is not in.
TEST_F(ListenersTest, ComeAndGoWhileTheyAreTold) {
  std::atomic<bool> is_in{false};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> calls{0};
  named('b').act = [&] {
    EXPECT_TRUE(is_in);
    std::this_thread::yield();
    EXPECT_TRUE(is_in) << "remove() has returned meanwhile";
    ++calls;
  };
  for (const char name : {'a', 'c'}) add(name);
  std::thread teller([&] {
    while (!stop) EXPECT_GE(tell().size(), 2U);
  });
  for (int i = 0; i < 2000 || calls < 10; ++i) {
    is_in = true;
    EXPECT_EQ(add('b'), 0);
    if (i % 2 == 0) std::this_thread::yield();
    EXPECT_EQ(remove('b'), 0);
    is_in = false;
  }
  stop = true;
  teller.join();
}

TEST_F(ListenersTest, TheChildOfAForkDoesNotWaitForItsParentsTeller) {
  std::atomic<bool> is_running{false};
  std::atomic<bool> may_end{false};
  named('a').act = [&] {
    is_running = true;
    while (!may_end) rest_ms(1);
  };
  add('a');
  std::thread teller([&] { tell(); });
  while (!is_running) rest_ms(1);
  listeners_.lock_for_fork();
  const int status = test::in_child([&] {
    alarm(60);  // in place of waiting for good
    listeners_.unlock_after_fork(true);
    listeners_.forget_teller();
    EXPECT_EQ(remove('a'), 0);
    EXPECT_EQ(add('b'), 0);
    EXPECT_EQ(tell(), "b");
  });
  listeners_.unlock_after_fork(false);
  EXPECT_EQ(status, 0);
  may_end = true;
  teller.join();
}

}  // namespace
}  // namespace elasticpool
