// The reports against a workload whose figures are known: JSON parses and adds up, the text names
// every class that is used, the XML closes what it opens.
#include "stats/report.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/units.h"
#include "heap/heap.h"
#include "slab/size_classes.h"
#include "tune/options.h"

extern "C" char** environ;

namespace elasticpool {
namespace {

// Numbers by path: "live.blocks", "classes.3.size". Anything that is no JSON is a failure.
class Json {
 public:
  explicit Json(const std::string& text) : text_(text) {
    value("");
    space();
    if (at_ != text_.size()) error("something behind the end");
  }
  bool holds(const std::string& path) const { return numbers_.count(path) != 0; }
  uint64_t operator[](const std::string& path) const {
    const auto found = numbers_.find(path);
    if (found == numbers_.end()) ADD_FAILURE() << "no number " << path;
    return found == numbers_.end() ? 0 : found->second;
  }

 private:
  void value(const std::string& path) {
    space();
    if (take('{')) return object(path);
    if (take('[')) return array(path);
    if (peek() == '"') {
      string();
      return;
    }
    size_t digits = 0;
    uint64_t number = 0;
    for (; peek() >= '0' && peek() <= '9'; ++digits)
      number = number * 10 + static_cast<uint64_t>(text_[at_++] - '0');
    if (digits == 0) return error("no value");
    if (!numbers_.emplace(path, number).second) error("a key stands twice");
  }
  void object(const std::string& path) {
    if (take('}')) return;
    do {
      space();
      const std::string key = string();
      if (!take(':')) return error("no colon");
      value(path.empty() ? key : path + "." + key);
    } while (take(','));
    if (!take('}')) error("an object is not closed");
  }
  void array(const std::string& path) {
    if (take(']')) return;
    size_t index = 0;
    do {
      value(path + "." + std::to_string(index++));
    } while (take(','));
    if (!take(']')) error("an array is not closed");
  }
  std::string string() {
    std::string result;
    if (!take('"')) error("no string");
    while (at_ < text_.size() && peek() != '"') {
      if (peek() == '\\') ++at_;
      if (static_cast<unsigned char>(peek()) < 0x20) error("a control character");
      result += text_[at_++];
    }
    if (!take('"')) error("a string is not closed");
    return result;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (peek() == ' ' || peek() == '\n') ++at_;
  }
  bool take(char wanted) {
    space();
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void error(const char* what) {
    if (failed_) return;
    failed_ = true;
    ADD_FAILURE() << what << " at " << at_ << ": " << text_.substr(at_, 40);
    at_ = text_.size();
  }

  const std::string& text_;
  size_t at_ = 0;
  bool failed_ = false;
  std::map<std::string, uint64_t> numbers_;
};

std::string collect(void (*write)(ReportSink, void*)) {
  std::string text;
  write([](void* context, const char* bytes,
           size_t count) { static_cast<std::string*>(context)->append(bytes, count); },
        &text);
  return text;
}

constexpr size_t kSizes[] = {1, 24, 100, 500, 1024, 1500, 9000, 32768, 50000, 700000, 3000000};
constexpr size_t kCount = 50;

class Report : public testing::Test {
 protected:
  void SetUp() override {
    heap_start(environ);
    for (const size_t bytes : kSizes) {
      for (size_t i = 0; i < kCount; ++i) blocks_.push_back(heap_allocate(bytes));
    }
    // Some come back, so that magazines hold blocks.
    for (size_t i = 0; i < blocks_.size(); i += 3) {
      heap_free(blocks_[i]);
      blocks_[i] = nullptr;
    }
  }
  void TearDown() override {
    for (void* block : blocks_) heap_free(block);
  }

  std::vector<void*> blocks_;
};

TEST_F(Report, JsonParsesAndTotalsAreTheSumsOfTheirParts) {
  const std::string text = collect(write_json);
  const Json json(text);
  uint64_t requests = 0;
  uint64_t served = 0;
  uint64_t live = 0;
  uint64_t live_bytes = 0;
  uint64_t cached = 0;
  uint64_t slab_bytes = 0;
  for (size_t i = 0; json.holds("classes." + std::to_string(i) + ".size"); ++i) {
    const std::string row = "classes." + std::to_string(i) + ".";
    requests += json[row + "requests"];
    served += json[row + "served_by_magazine"];
    live += json[row + "live"];
    live_bytes += json[row + "live"] * json[row + "size"];
    cached += json[row + "cached"];
    slab_bytes += json[row + "slab_bytes"];
    EXPECT_LE(json[row + "slabs"], json[row + "slabs_peak"]);
    EXPECT_LE((json[row + "live"] + json[row + "cached"]) * json[row + "size"],
              json[row + "slab_bytes"]);
  }
  EXPECT_EQ(json["tiers.magazine.requests"], requests);
  EXPECT_EQ(json["tiers.magazine.served"], served);
  EXPECT_EQ(json["tiers.magazine.cached_blocks"], cached);
  EXPECT_EQ(json["tiers.slab.live_blocks"], live);
  EXPECT_EQ(json["tiers.slab.live_bytes"], live_bytes);
  EXPECT_EQ(json["tiers.slab.mapped_bytes"], slab_bytes);
  for (const std::string what : {"blocks", "bytes"}) {
    uint64_t sum = 0;
    for (const std::string tier : {"slab", "buddy", "large"}) {
      sum += json["tiers." + tier + ".live_" + what];
    }
    EXPECT_EQ(json["live." + what], sum);
  }
  EXPECT_EQ(json["requested.blocks"],
            requests + json["tiers.buddy.requests"] + json["tiers.large.requests"]);
  EXPECT_GT(cached, 0U);
  EXPECT_EQ(json["tiers.buddy.mapped_bytes"], json["tiers.buddy.frames"] * kFrameBytes);
  EXPECT_LE(json["tiers.slab.mapped_bytes"] + json["tiers.buddy.live_bytes"],
            json["tiers.buddy.mapped_bytes"]);
  EXPECT_EQ(json["mapped_bytes"], json["tiers.buddy.mapped_bytes"] +
                                      json["tiers.large.mapped_bytes"] + json["own_bytes"]);
  EXPECT_LE(json["live.bytes"], json["mapped_bytes"]);
  EXPECT_LE(json["resident_bytes"], json["peak_resident_bytes"]);
}

TEST_F(Report, JsonCountsTheBlocksOfThisTestExactly) {
  const std::string before_text = collect(write_json);
  const Json before(before_text);
  std::vector<void*> more;
  for (int i = 0; i < 777; ++i) more.push_back(heap_allocate(200000));
  const std::string now_text = collect(write_json);
  const Json now(now_text);
  EXPECT_EQ(now["tiers.buddy.live_blocks"], before["tiers.buddy.live_blocks"] + more.size());
  EXPECT_EQ(now["tiers.buddy.requests"], before["tiers.buddy.requests"] + more.size());
  EXPECT_EQ(now["live.blocks"], before["live.blocks"] + more.size());
  for (void* block : more) heap_free(block);
}

TEST_F(Report, ThePeakOfSlabsIsToldAfterTheyWent) {
  std::vector<void*> many;
  for (int i = 0; i < 100'000; ++i) many.push_back(heap_allocate(1000));
  for (void* block : many) heap_free(block);
  heap_trim(0);
  const std::string json_text = collect(write_json);
  const Json json(json_text);
  EXPECT_GT(json["tiers.slab.peak.mapped_bytes"], 100'000'000U);
  EXPECT_GT(json["tiers.slab.peak.mapped_bytes"], json["tiers.slab.mapped_bytes"]);
  EXPECT_GT(json["tiers.slab.peak.live_bytes"], json["tiers.slab.peak.mapped_bytes"] * 9 / 10);
  EXPECT_GT(json["tiers.slab.peak.cached_bytes"], 0U);
  EXPECT_LE(json["tiers.slab.peak.live_bytes"] + json["tiers.slab.peak.cached_bytes"],
            json["tiers.slab.peak.mapped_bytes"]);
  EXPECT_NE(collect(write_text).find("% used; at their peak 9"), std::string::npos);
}

TEST_F(Report, JsonTellsOfLargeBlocksThatWere) {
  constexpr size_t kBytes = 40 * kMiB;
  const std::string before_text = collect(write_json);
  heap_free(heap_allocate(kBytes));
  // The rest of the pages, too.
  heap_trim(0);
  const std::string now_text = collect(write_json);
  const Json before(before_text);
  const Json now(now_text);
  EXPECT_EQ(now["tiers.large.live_bytes"], before["tiers.large.live_bytes"]);
  EXPECT_GE(now["tiers.large.peak_live_bytes"], before["tiers.large.live_bytes"] + kBytes);
  EXPECT_EQ(now["tiers.large.free_resident_bytes"], 0U);
  EXPECT_GE(now["tiers.large.free_clean_bytes"], kBytes);
  EXPECT_LE(now["tiers.large.free_clean_bytes"] + now["tiers.large.live_bytes"],
            now["tiers.large.mapped_bytes"]);
  EXPECT_TRUE(now.holds("tiers.large.hole_bytes"));
  EXPECT_EQ(now["tiers.large.lost_bytes"], 0U);
  const std::string text = collect(write_text);
  EXPECT_NE(text.find("free and kept, "), std::string::npos);
  EXPECT_EQ(text.find("lost"), std::string::npos) << "nothing was lost in\n" << text;
}

TEST_F(Report, TextHasALineForEveryClassInUse) {
  const std::string text = collect(write_text);
  EXPECT_EQ(text.rfind("elasticpool ", 0), 0U);
  for (const size_t bytes : kSizes) {
    if (bytes > kSlabBytesMax) continue;
    const std::string size = std::to_string(block_bytes_of(class_of_size(bytes)));
    std::string row(8 - size.size(), ' ');
    row.front() = '\n';
    row.append(size).append(" ");
    EXPECT_NE(text.find(row), std::string::npos) << size << " in\n" << text;
  }
  EXPECT_NE(text.find("MEMPOOL_MAGAZINE_BYTES"), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
}

// Most of what is live is of one class, and asked for just above the one below.
class Pattern : public testing::Test {
 protected:
  static constexpr size_t kCount = 20000;
  static constexpr size_t kBytes = 3600;
  static constexpr size_t kBlockBytes = 3840;
  static constexpr size_t kBetter = 3712;

  void SetUp() override {
    heap_start(environ);
    allocate(kBytes, kCount);
    allocate(2100, 200);  // a class for these would save little
  }
  void allocate(size_t bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) blocks_.push_back(heap_allocate(bytes));
  }
  void TearDown() override {
    for (void* block : blocks_) heap_free(block);
  }

  std::vector<void*> blocks_;
};

TEST_F(Pattern, TellsWhatANewClassWouldSave) {
  ASSERT_EQ(block_bytes_of(class_of_size(kBytes)), kBlockBytes);
  const std::string json_text = collect(write_json);
  const Json json(json_text);
  const std::string first = "pattern.classes_to_add.0.";
  EXPECT_EQ(json[first + "size"], kBetter);
  EXPECT_EQ(json[first + "splits"], kBlockBytes);
  const uint64_t saved = json[first + "saved_bytes_estimated"];
  EXPECT_GE(saved, kCount * (kBlockBytes - kBetter) * 9 / 10);
  EXPECT_LE(saved, kCount * (kBlockBytes - kBetter));
  EXPECT_FALSE(json.holds("pattern.classes_to_add.1.size")) << "nothing else is worth 1 %";
  const uint64_t unused = json["pattern.unused_bytes_estimated"];
  EXPECT_GE(unused, kCount * (kBlockBytes - kBytes) * 9 / 10);
  EXPECT_LE(unused, kCount * (kBlockBytes - kBytes) * 11 / 10);
  const std::string text = collect(write_text);
  EXPECT_NE(text.find("3712 bytes, beside 3840: would save about "), std::string::npos) << text;
}

TEST_F(Pattern, TellsOfTheBestThree) {
  allocate(4150, 8500);
  allocate(7200, 10000);
  allocate(5200, 9000);
  allocate(6200, 9500);
  const std::string text = collect(write_json);
  const Json json(text);
  EXPECT_EQ(json["pattern.classes_to_add.0.size"], 7296U);
  EXPECT_EQ(json["pattern.classes_to_add.1.size"], 6272U);
  EXPECT_EQ(json["pattern.classes_to_add.2.size"], 5248U);
  EXPECT_FALSE(json.holds("pattern.classes_to_add.3.size"));
}

TEST_F(Pattern, TheBusyClassIsTheOneOfTheBatches) {
  const std::string text = collect(write_json);
  const Json json(text);
  uint64_t events = 0;
  for (size_t i = 0; json.holds("classes." + std::to_string(i) + ".size"); ++i) {
    const std::string row = "classes." + std::to_string(i) + ".";
    events += json[row + "refills"] + json[row + "flushes"];
    EXPECT_LE(json[row + "capacity_min"] * json[row + "magazines"], json[row + "capacity"]);
    EXPECT_GE(json[row + "capacity_max"] * json[row + "magazines"], json[row + "capacity"]);
    EXPECT_LE(json[row + "unused_bytes_estimated"], json[row + "live"] * json[row + "size"]);
    if (json[row + "size"] != kBlockBytes) continue;
    EXPECT_GT(json[row + "capacity"], 0U);
    EXPECT_LE(json[row + "sampled"], json[row + "requests"] + json[row + "capacity"]);
    EXPECT_GE(json[row + "sampled"], kCount / 2);
  }
  EXPECT_EQ(json["tiers.magazine.events"], events);
  EXPECT_LE(json["tiers.magazine.capacity_bytes"], json["tiers.magazine.bound_bytes"]);
  EXPECT_LE(json["tiers.magazine.cached_bytes"], json["tiers.magazine.capacity_bytes"]);
}

// README and terminals: what a person reads is not wider than that, where numbers are of this size.
TEST_F(Pattern, TheTableOfClassesFitsAHundredColumns) {
  const std::string text = collect(write_text);
  size_t start = text.find("  class ");
  ASSERT_NE(start, std::string::npos);
  const size_t end = text.find("\noptions");
  while (start < end) {
    const size_t line_end = text.find('\n', start);
    EXPECT_LE(line_end - start, 100U) << text.substr(start, line_end - start);
    start = line_end + 1;
  }
}

TEST_F(Report, XmlClosesWhatItOpens) {
  const std::string text = collect(write_xml);
  std::vector<std::string> open;
  for (size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at + 1)) {
    const size_t end = text.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = text.substr(at + 1, end - at - 1);
    if (tag.back() == '/') continue;
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty()) << tag;
      EXPECT_EQ(tag.substr(1), open.back());
      open.pop_back();
    } else {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(text.rfind("<malloc version=\"1\">", 0), 0U);
}

}  // namespace
}  // namespace elasticpool
