// The report: a snapshot of the heap as text for a person, as JSON, and as glibc's XML.
//
// Threads  any; see heap/snapshot.h for what is exact when.
// Memory   nothing is allocated; about 12 KiB of stack.
// Errors   a file that cannot be opened or written is one line on standard error.
#pragma once

#include <cstddef>

namespace elasticpool {

using ReportSink = void (*)(void* context, const char* bytes, size_t count);

void write_text(ReportSink sink, void* context);
void write_json(ReportSink sink, void* context);
// In the form of malloc_info(3).
void write_xml(ReportSink sink, void* context);

// What MEMPOOL_STATS and MEMPOOL_STATS_FILE ask for, when the process ends.
void report_at_exit();

}  // namespace elasticpool
