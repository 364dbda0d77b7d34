// Attaching to rings, and reading their figures.
#include "ring_view.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "commands.h"

namespace elasticpool {
namespace {

// What is printed by the handler, made before it is needed.
std::string unreadable;

void end_unreadable(int /*signal*/) {
  // Nothing could be done about a line that cannot be written.
  if (write(STDERR_FILENO, unreadable.data(), unreadable.size()) < 0) _exit(kExitBadUse);
  _exit(kExitBadUse);
}

// Whole characters, and none of the control characters behind U+0080.
bool is_utf8(const std::string& text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char first = byte(i);
    if (first < 0x80) continue;
    if (first < 0xC2 || first > 0xF4) return false;
    const size_t more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    if (more >= text.size() - i) return false;
    if (first == 0xC2 && byte(i + 1) < 0xA0) return false;
    for (size_t end = i + more; i < end;) {
      if ((byte(++i) & 0xC0) != 0x80) return false;
    }
  }
  return true;
}

}  // namespace

std::string printable_name(std::string text) {
  const bool keeps_high = is_utf8(text);
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7F || (byte >= 0x80 && !keeps_high)) c = '?';
  }
  return text;
}

std::string ring_error_text(const std::string& name, int error) {
  const int saved_errno = errno;
  std::string text = "ring " + printable_name(name) + ": " + ep_ring_strerror(error);
  if (error == EP_RING_SYSTEM) text += std::string(": ") + strerror(saved_errno);
  return text;
}

RingView::RingView(const std::string& name) {
  unreadable =
      "elasticpool: ring " + printable_name(name) + ": its memory cannot be read any more\n";
  signal(SIGBUS, end_unreadable);
  const int error = ep_ring_attach(name.c_str(), EP_RING_READ_ONLY_PAYLOADS, &ring_);
  if (error != EP_RING_OK) throw CommandError(ring_error_text(name, error));
}

RingFigures read_figures(ep_ring* ring) {
  RingFigures figures;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  figures.taken_at_s = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
  ep_ring_read_stat(ring, &figures.stat);
  figures.is_used = ep_ring_is_used(ring);
  ep_ring_group_stat group;
  for (uint32_t i = 0; ep_ring_read_group(ring, i, &group); ++i) figures.groups.push_back(group);
  ep_ring_member_stat member;
  for (uint32_t i = 0; ep_ring_read_member(ring, i, &member); ++i) {
    figures.members.push_back(member);
  }
  return figures;
}

// Of hints that may lag or be scribbled over.
uint64_t messages_held(const ep_ring_stat& stat) {
  if (stat.tail_sequence <= stat.head_sequence) return 0;
  return std::min<uint64_t>(stat.tail_sequence - stat.head_sequence, stat.slots);
}

}  // namespace elasticpool
