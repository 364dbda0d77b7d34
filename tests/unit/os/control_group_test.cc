// os/control_group.h: the walk over folders made here. What the CPUs make of it: cpu_count_test.cc.
#include "os/control_group.h"

#include <vector>

#include "os/fake_files.h"

namespace elasticpool {
namespace {

constexpr GroupController kMemory = {"memory", {"/memory", nullptr}};

class ControlGroups : public test::FakeFiles {
 protected:
  // "HIERARCHY PATH" of each that is visited.
  std::vector<std::string> visited(size_t most = SIZE_MAX) {
    most_ = most;
    seen_.clear();
    is_read_ = visit_hierarchies(path("cgroup").c_str(), path("mount").c_str(), kMemory, see, this);
    return seen_;
  }

  ControlGroup group(const char* text) {
    mount_ = path("mount");
    return {mount_.c_str(), "/memory", text, strlen(text), false};
  }

  bool is_read_ = false;

 private:
  static bool see(void* context, ControlGroup group) {
    auto* self = static_cast<ControlGroups*>(context);
    EXPECT_EQ(group.is_v2, strcmp(group.hierarchy, "/memory") != 0);
    self->seen_.push_back(std::string(group.hierarchy) + " " +
                          std::string(group.path, group.path_bytes));
    return self->seen_.size() == self->most_;
  }

  std::vector<std::string> seen_;
  std::string mount_;
  size_t most_ = 0;
};

using Seen = std::vector<std::string>;

TEST_F(ControlGroups, NoFileNoHierarchy) {
  EXPECT_EQ(visited(), Seen{});
  EXPECT_FALSE(is_read_);
  std::filesystem::create_directories(path("cgroup"));
  EXPECT_EQ(visited(), Seen{}) << "a folder";
}

TEST_F(ControlGroups, EachLineOfTheController) {
  write("cgroup", "4:cpu,memory:/a/b\n3:memory_x:/no\n2:xmemory:/no\n1:name=systemd:/s\n0::/c/\n");
  EXPECT_EQ(visited(), (Seen{"/memory /a/b", " /c", "/unified /c"}));
  EXPECT_TRUE(is_read_);
  EXPECT_EQ(visited(1), Seen{"/memory /a/b"});
  EXPECT_EQ(visited(2), (Seen{"/memory /a/b", " /c"}));
}

TEST_F(ControlGroups, LinesOfNoKnownKind) {
  write("cgroup", "\n:\n0\n0:\n12:memory\n:::\nmemory:/x\n5:memory:/last");
  EXPECT_EQ(visited(), (Seen{" :", "/unified :", "/memory /last"}));
  write("cgroup", "");
  EXPECT_EQ(visited(), Seen{});
  EXPECT_TRUE(is_read_) << "empty, but read";
}

// Longer than the buffer in all, each line shorter.
TEST_F(ControlGroups, ManyLines) {
  std::string text;
  for (int i = 99; i > 0; --i) text += std::to_string(i) + ":c" + std::string(150, 'x') + ":/p\n";
  write("cgroup", text + "0::/end\n");
  EXPECT_EQ(visited(), (Seen{" /end", "/unified /end"}));
  Seen all;
  std::string lines;
  for (int i = 0; i < 99; ++i) {
    all.push_back("/memory /" + std::string(static_cast<size_t>(i), 'p'));
    lines += "7:memory:" + all.back().substr(strlen("/memory ")) + "\n";
  }
  all[0] = "/memory ";
  write("cgroup", lines);
  EXPECT_EQ(visited(), all) << "wherever the buffer ends";
  write("cgroup", "7:memory:/begin\n" + text + "5:memory:/end");
  EXPECT_EQ(visited(), (Seen{"/memory /begin", "/memory /end"}));
}

TEST_F(ControlGroups, OfALongLineWholeNames) {
  std::string names;
  for (int i = 0; i < 1000; ++i) names += "/name" + std::to_string(i);
  write("cgroup", "3:memory:" + names + ":memory:/no\n2:memory:/next\n");
  const Seen seen = visited();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1], "/memory /next");
  const std::string part = seen[0].substr(strlen("/memory "));
  EXPECT_GT(part.size(), 1000U);
  EXPECT_EQ(names.substr(0, part.size() + 1), part + "/");
}

TEST_F(ControlGroups, Upwards) {
  ControlGroup at = group("/a/bc//d");
  std::vector<std::string> seen;
  do {
    seen.push_back(std::string(at.path, at.path_bytes));
  } while (at.ascend());
  EXPECT_EQ(seen, (Seen{"/a/bc//d", "/a/bc", "/a", ""}));
  EXPECT_FALSE(at.ascend());
}

TEST_F(ControlGroups, ReadsItsFiles) {
  write("mount/memory/a/limit", "12\n");
  char text[8];
  EXPECT_EQ(group("/a").read("limit", text, sizeof text), 3U);
  EXPECT_STREQ(text, "12\n");
  EXPECT_EQ(group("/a").read("other", text, sizeof text), 0U);
  EXPECT_EQ(group("/b").read("limit", text, sizeof text), 0U);
  char file[64];
  ControlGroup at = {"/m", "/h", "/p", 2, false};
  ASSERT_TRUE(at.file_name("f", file, sizeof "/m/h/p/f"));
  EXPECT_STREQ(file, "/m/h/p/f");
  EXPECT_FALSE(at.file_name("f", file, sizeof "/m/h/p/f" - 1)) << "no room for the NUL";
}

TEST_F(ControlGroups, TheLowerEndThatIsShown) {
  const auto shown = [this](const char* whole) {
    ControlGroup at = group(whole);
    at.show_lower_end();
    return std::string(at.path, at.path_bytes);
  };
  EXPECT_EQ(shown("/docker/id/sub"), "") << "nothing there";
  write("mount/memory/sub/x", "");
  EXPECT_EQ(shown("/docker/id/sub"), "/sub");
  EXPECT_EQ(shown("/docker/id"), "");
  write("mount/memory/docker/other/x", "");
  EXPECT_EQ(shown("/docker/id/sub"), "/sub") << "a folder of the container's own";
  write("mount/memory/docker/id/sub/x", "");
  EXPECT_EQ(shown("/docker/id/sub"), "/docker/id/sub");
  write("mount/memory/file", "");
  EXPECT_EQ(shown("/docker/id/file"), "") << "no folder";
  EXPECT_EQ(shown(""), "");
}

}  // namespace
}  // namespace elasticpool
