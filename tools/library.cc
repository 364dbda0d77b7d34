// Where libelasticpool.so is.
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "commands.h"

namespace elasticpool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "libelasticpool.so.0";

// What is beside this program comes first: a tree that was installed may have been moved.
std::vector<fs::path> candidates() {
  std::vector<fs::path> paths;
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path above = self.parent_path().parent_path();
    paths.push_back(above / EP_LIBDIR / kName);
    paths.push_back(above / "preload" / kName);
  }
  paths.push_back(fs::path(EP_PREFIX) / EP_LIBDIR / kName);
  return paths;
}

std::string usable(const fs::path& path) {
  std::string text = fs::absolute(path).lexically_normal();
  // The loader takes both for the end of a name.
  if (text.find_first_of(": ") != std::string::npos) {
    throw CommandError(text + ": a library to preload may have no space and no colon in its name");
  }
  return text;
}

}  // namespace

std::string find_library(const std::string& wanted) {
  std::error_code error;
  if (!wanted.empty()) {
    if (fs::is_regular_file(wanted, error)) return usable(wanted);
    throw CommandError(wanted + ": no such library");
  }
  for (const fs::path& path : candidates()) {
    if (fs::is_regular_file(path, error)) return usable(path);
  }
  throw CommandError(std::string("no ") + kName + " beside this program; name it with --library");
}

}  // namespace elasticpool
