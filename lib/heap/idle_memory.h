// Giving back without being asked, where more than one tier has a part in it.
//
// Who may call  watch_idle_memory(): boot, once; what it hands to pressure/caretaker.h runs on the
//               helper thread. note_surplus(): any thread, after a free that emptied a magazine,
//               with no lock of ours held.
// Why           without a helper the program's own frees are all there is. While frames go back
//               because a peak is over, the slabs that remain are looked at as well.
// Cost          note_surplus(): a load and a comparison; a look at all partial slabs for each
//               kSurplusBytes of frames that went back.
#pragma once

namespace elasticpool {

void watch_idle_memory();
void note_surplus();

}  // namespace elasticpool
