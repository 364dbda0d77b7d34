// MEMPOOL_* variables with garbage in them: the program runs on, and exactly one line on stderr
// names each; never more than one line, whatever the value holds.
//
// A broken allocator dies, is silent, or lets the value forge its messages.
#include "dropin.h"

static const struct {
  const char* setting;
  const char* named;  // must stand in the line
} bad[] = {
    {"MEMPOOL_STAST=1", "MEMPOOL_STAST: unknown option, did you mean MEMPOOL_STATS?"},
    {"MEMPOOL_DEEPBINT=keep", "did you mean MEMPOOL_DEEPBIND?"},
    {"MEMPOOL_=1", "MEMPOOL_"},
    {"MEMPOOL_mempool_\xff\xfe=1", "MEMPOOL_"},
    {"MEMPOOL_STATS=perhaps", "MEMPOOL_STATS=perhaps"},
    {"MEMPOOL_STATS=2", "MEMPOOL_STATS=2"},
    {"MEMPOOL_STATS=jsonjson", "MEMPOOL_STATS="},
    {"MEMPOOL_STATS=\xf0\x28\x8c\x28", "MEMPOOL_STATS="},
    {"MEMPOOL_DEEPBIND=maybe", "MEMPOOL_DEEPBIND=maybe"},
    {"MEMPOOL_FOREIGN=\033[31mred", "MEMPOOL_FOREIGN="},
    {"MEMPOOL_LARGE_FIT=best\nelasticpool: forged", "MEMPOOL_LARGE_FIT="},
    {"MEMPOOL_LARGE_FIT=BEST OF ALL", "MEMPOOL_LARGE_FIT="},
    {"MEMPOOL_NUMA=%s%n%s%n", "MEMPOOL_NUMA="},
    {"MEMPOOL_MAGAZINE_BYTES=banana", "MEMPOOL_MAGAZINE_BYTES=banana: not a size (64K to 64M)"},
    {"MEMPOOL_MAGAZINE_BYTES=0", "MEMPOOL_MAGAZINE_BYTES=0"},
    {"MEMPOOL_MAGAZINE_BYTES=-1", "MEMPOOL_MAGAZINE_BYTES=-1"},
    {"MEMPOOL_MAGAZINE_BYTES=1M1M", "MEMPOOL_MAGAZINE_BYTES=1M1M"},
    {"MEMPOOL_MAGAZINE_BYTES=18446744073709617152", "MEMPOOL_MAGAZINE_BYTES="},  // 2^64 + 64K
    {"MEMPOOL_MAGAZINE_BYTES=18014398509481985K", "MEMPOOL_MAGAZINE_BYTES="},    // 2^64 + 1K
    {"MEMPOOL_MAGAZINE_BYTES=0x100000G", "MEMPOOL_MAGAZINE_BYTES="},
    {"MEMPOOL_RETAIN=much", "MEMPOOL_RETAIN=much"},
    {"MEMPOOL_RETAIN=1e9", "MEMPOOL_RETAIN=1e9"},
    {"MEMPOOL_RETAIN=M", "MEMPOOL_RETAIN=M"},
};

static int count_lines(const char* text) {
  int lines = 0;
  for (; *text != '\0'; ++text) {
    EXPECT(*text != '\033');  // a terminal would obey it
    lines += *text == '\n';
  }
  return lines;
}

static Child run_with(const char* first, const char* second, const char* third) {
  const char* const env[] = {first, second, third, NULL};
  return run_self((const char* const[]){"inside", NULL}, env);
}

static void expect_one_line(const char* setting, const char* named) {
  const Child child = run_with(setting, NULL, NULL);
  const bool good = exited_with(child.status, 0) && count_lines(child.err) == 1 &&
                    strncmp(child.err, "elasticpool: ", 13) == 0 && strstr(child.err, named);
  if (!good) fprintf(stderr, "%s: status 0x%x\n%s", setting, (unsigned)child.status, child.err);
  EXPECT(good);
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "inside") == 0) {
    expect_same_allocator();
    use_heap(1, 1000);
    return 0;
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
    expect_one_line(bad[i].setting, bad[i].named);
  }
  char endless[20000] = "MEMPOOL_RETAIN=";
  memset(endless + strlen(endless), '9', sizeof endless - 1 - strlen(endless));
  expect_one_line(endless, "MEMPOOL_RETAIN=");

  const Child three = run_with("MEMPOOL_STAST=1", "MEMPOOL_NUMA=both", "MEMPOOL_RETAIN=much");
  EXPECT(exited_with(three.status, 0) && count_lines(three.err) == 3);
  const Child good = run_with("MEMPOOL_NUMA=off", "MEMPOOL_RETAIN=1M", "MEMPOOL=not ours");
  EXPECT(exited_with(good.status, 0) && good.err[0] == '\0');
  const Child lost = run_with("MEMPOOL_STATS=1", "MEMPOOL_STATS_FILE=/no/such/%n%s%p", NULL);
  EXPECT(exited_with(lost.status, 0));
  return 0;
}
