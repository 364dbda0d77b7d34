// os/libc_text.h: libc, the loader and this program are told from everybody else.
#include "os/libc_text.h"

#include <dlfcn.h>
#include <sys/auxv.h>

#include <memory>

#include "os/fake_files.h"

namespace elasticpool {
namespace {

// As the loader finds it: a function's address in this program may be a stub of its own.
const void* symbol(const char* name) { return dlsym(RTLD_NEXT, name); }

const void* byte_of(unsigned long address) { return reinterpret_cast<const void*>(address); }

// In a child: it is called once in a process.
TEST(LibcText, IsKnownAfterBoot) {
  ASSERT_NE(getauxval(AT_BASE), 0U) << "a program without a loader";
  // std::terminate() is of libstdc++, which nobody replaces.
  const void* const theirs = symbol("_ZSt9terminatev");
  ASSERT_NE(theirs, nullptr);
  const int status = test::in_child([&] {
    EXPECT_TRUE(is_libc_text(theirs)) << "before boot it cannot be told";
    EXPECT_TRUE(is_libc_text(nullptr));
    libc_text_boot();
    EXPECT_FALSE(is_libc_text(theirs));
    EXPECT_FALSE(is_libc_text(nullptr));
    for (const char* name : {"getpid", "fwrite", "sysconf", "abort", "__libc_start_main"}) {
      ASSERT_NE(symbol(name), nullptr) << name;
      EXPECT_TRUE(is_libc_text(symbol(name))) << name;
    }
    EXPECT_TRUE(is_libc_text(symbol("__tls_get_addr"))) << "the loader's";
    EXPECT_TRUE(is_libc_text(byte_of(getauxval(AT_BASE))));
    EXPECT_FALSE(is_libc_text(byte_of(getauxval(AT_BASE) - 1)));
    // This program holds the function that it links: it counts as ours.
    EXPECT_TRUE(is_libc_text(reinterpret_cast<const void*>(&symbol)));
    EXPECT_TRUE(is_libc_text(reinterpret_cast<const void*>(&libc_text_boot)));
    const auto block = std::make_unique<int>();
    EXPECT_FALSE(is_libc_text(block.get()));
    const int local = 0;
    EXPECT_FALSE(is_libc_text(&local));
    EXPECT_FALSE(is_libc_text(byte_of(getauxval(AT_SYSINFO_EHDR)))) << "the vDSO";
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace elasticpool
