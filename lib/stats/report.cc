// Where reports go. See report.h.
#include "stats/report.h"

#include "base/text_writer.h"
#include "heap/snapshot.h"
#include "os/output.h"
#include "os/process.h"
#include "tune/option_text.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

void to_stderr(void* /*context*/, const char* bytes, size_t count) { write_stderr(bytes, count); }

struct FileReport {
  const OutputFile& file;
  bool complete = true;
};

void to_file(void* context, const char* bytes, size_t count) {
  auto* report = static_cast<FileReport*>(context);
  if (!report->file.write(bytes, count)) report->complete = false;
}

void complain(const char* path, const char* what) {
  char line[512];
  TextWriter out(line, sizeof line);
  out.text("elasticpool: statistics file ").text(path).text(": ").text(what).text("\n");
  write_stderr(line, out.size());
}

void write_report(ReportSink sink, void* context) {
  if (options().stats == StatsMode::kJson) {
    write_json(sink, context);
  } else {
    write_text(sink, context);
  }
}

}  // namespace

void report_at_exit() {
  if (options().stats == StatsMode::kOff) return;
  if (options().stats_file[0] == '\0') {
    write_report(to_stderr, nullptr);
    return;
  }
  char path[1024];
  if (!expand_path(options().stats_file, process_id(), path, sizeof path)) {
    complain(options().stats_file, "the name is too long");
    return;
  }
  const OutputFile file(path);
  if (!file.is_open()) {
    complain(path, "cannot be opened");
    return;
  }
  FileReport report{file};
  write_report(to_file, &report);
  if (!report.complete) complain(path, "could not be written whole");
}

}  // namespace elasticpool
