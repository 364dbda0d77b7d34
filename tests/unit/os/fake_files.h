// A /proc and a /sys/fs/cgroup of a test's own, and the descriptors of this process.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace elasticpool::test {

class FakeFiles : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ep_files_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string path(const std::string& file) const { return root_ + "/" + file; }
  // In place: whoever has it open sees the new text.
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path(file)).parent_path());
    std::ofstream(path(file)) << text;
  }
  void remove(const std::string& file) const { std::filesystem::remove_all(path(file)); }

 private:
  std::string root_;
};

// All that are open now, but for the one that reads them.
inline std::set<int> open_descriptors() {
  std::set<int> descriptors;
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return descriptors;
  while (const dirent* entry = readdir(folder)) {
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(folder)) descriptors.insert(fd);
  }
  closedir(folder);
  return descriptors;
}

// Those at high numbers: what is kept.
inline std::set<int> kept_descriptors() {
  const std::set<int> all = open_descriptors();
  return {all.lower_bound(900), all.end()};
}

// Runs what changes the process (limits, root, groups) in a child. 0: all went well.
template <typename F>
int in_child(F run) {
  const pid_t pid = fork();
  if (pid == 0) {
    run();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  return status;
}

}  // namespace elasticpool::test
