// base/list.h against std::list, with elements that are on two lists at once.
#include "base/list.h"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <vector>

namespace elasticpool {
namespace {

struct Element {
  Link<Element> by_age;
  Link<Element> by_size;
};

template <Link<Element> Element::*kLink>
class ModelledList {
 public:
  void toggle(Element* element) {
    if (List<Element, kLink>::is_linked(element)) {
      list_.remove(element);
      model_.remove(element);
    } else {
      list_.push_front(element);
      model_.push_front(element);
    }
  }

  void pop() {
    Element* expected = model_.empty() ? nullptr : model_.front();
    if (expected != nullptr) model_.pop_front();
    EXPECT_EQ(list_.pop_front(), expected);
    if (expected != nullptr) {
      EXPECT_FALSE((List<Element, kLink>::is_linked(expected)));
    }
  }

  void check() const {
    ASSERT_EQ(list_.empty(), model_.empty());
    Element* at = list_.front();
    for (Element* expected : model_) {
      ASSERT_EQ(at, expected);
      ASSERT_TRUE((List<Element, kLink>::is_linked(at)));
      at = List<Element, kLink>::next(at);
    }
    ASSERT_EQ(at, nullptr);
  }

 private:
  List<Element, kLink> list_;
  std::list<Element*> model_;
};

TEST(List, AgainstStdList) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    std::vector<Element> elements(1 + random() % 24);
    ModelledList<&Element::by_age> by_age;
    ModelledList<&Element::by_size> by_size;
    for (int step = 0; step < 2000; ++step) {
      Element* element = &elements[random() % elements.size()];
      const auto action = random() % 10;
      if (action == 0) {
        by_age.pop();
      } else if (action == 1) {
        by_size.pop();
      } else if (action < 6) {
        by_age.toggle(element);
      } else {
        by_size.toggle(element);
      }
      by_age.check();
      by_size.check();
      if (HasFatalFailure()) return;
    }
  }
}

TEST(List, NewElementIsOnNone) {
  Element element;
  EXPECT_FALSE((List<Element, &Element::by_age>::is_linked(&element)));
  List<Element, &Element::by_age> list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
}

#if defined(EP_CHECKS_FULL)
TEST(ListDeathTest, TwiceOnOne) {
  Element element;
  List<Element, &Element::by_age> list;
  list.push_front(&element);
  EXPECT_EXIT(list.push_front(&element), testing::KilledBySignal(SIGABRT), "");
}
#endif

}  // namespace
}  // namespace elasticpool
