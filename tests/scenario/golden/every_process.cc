// What a small program does: requests of many sizes, a growing buffer, strings, a thread. With an
// argument nothing.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

size_t use_containers() {
  std::map<std::string, std::vector<int>> numbers;
  for (int i = 0; i < 3000; ++i) numbers["key" + std::to_string(i % 500)].push_back(i);
  std::vector<std::string> texts;
  for (size_t i = 0; i < 2000; ++i) texts.emplace_back(i % 300, 'x');
  return numbers.size() + texts.size();
}

size_t use_buffers() {
  size_t sum = 0;
  char* text = nullptr;
  for (size_t bytes = 100; bytes < 200000; bytes += bytes / 2) {
    char* longer = static_cast<char*>(realloc(text, bytes));
    if (longer == nullptr) break;
    text = longer;
    text[bytes - 1] = 'x';
    sum += bytes;
  }
  free(text);
  for (size_t bytes = 1; bytes < 300000; bytes *= 3) {
    char* zeros = static_cast<char*>(calloc(bytes, 1));
    if (zeros == nullptr) break;
    sum += static_cast<size_t>(zeros[bytes - 1]);
    free(zeros);
  }
  return sum;
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) return 0;
  size_t in_thread = 0;
  const size_t sum = use_containers() + use_buffers();
  std::thread thread([&] { in_thread = use_containers(); });
  thread.join();
  printf("%zu\n", sum + in_thread);
}
