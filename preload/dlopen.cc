// dlopen without RTLD_DEEPBIND.
//
// Why   a library that is loaded with that flag binds malloc, or free, or both to libc past us.
//       What asprintf allocated for it through us, it gives to free of libc, and dies. Without the
//       flag it shares our malloc like everybody. MEMPOOL_DEEPBIND=keep leaves the flag.
// How   glibc's dlopen looks at its return address: whose $ORIGIN, whose namespace. So the wrapper
//       does not call it but jumps to it, with the caller's return address where it was.
#include <dlfcn.h>

#include <atomic>

#include "base/check.h"
#include "tune/options.h"

namespace {

using DlopenFunction = void* (*)(const char*, int);

std::atomic<DlopenFunction> g_libc_dlopen{nullptr};

}  // namespace

// libc's dlopen; *mode without the flag that is not wanted.
extern "C" __attribute__((visibility("hidden"), used)) void* ep_prepare_dlopen(int* mode) {
  if (elasticpool::options().deepbind == elasticpool::DeepbindPolicy::kClear) {
    *mode &= ~RTLD_DEEPBIND;
  }
  DlopenFunction function = g_libc_dlopen.load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<DlopenFunction>(dlsym(RTLD_NEXT, "dlopen"));
    EP_CHECK(function != nullptr && "a libc without dlopen");
    g_libc_dlopen.store(function, std::memory_order_relaxed);
  }
  return reinterpret_cast<void*>(function);
}

#if defined(__x86_64__)
asm(R"(
  .text
  .globl dlopen
  .type dlopen, @function
dlopen:
  .cfi_startproc
  endbr64
  subq $24, %rsp
  .cfi_adjust_cfa_offset 24
  movq %rdi, 8(%rsp)
  movl %esi, 4(%rsp)
  leaq 4(%rsp), %rdi
  call ep_prepare_dlopen
  movq 8(%rsp), %rdi
  movl 4(%rsp), %esi
  addq $24, %rsp
  .cfi_adjust_cfa_offset -24
  jmp *%rax
  .cfi_endproc
  .size dlopen, . - dlopen
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl dlopen
  .type dlopen, %function
dlopen:
  .cfi_startproc
  stp x29, x30, [sp, #-32]!
  .cfi_adjust_cfa_offset 32
  .cfi_offset x30, -24
  str x0, [sp, #16]
  str w1, [sp, #24]
  add x0, sp, #24
  bl ep_prepare_dlopen
  mov x16, x0
  ldr x0, [sp, #16]
  ldr w1, [sp, #24]
  ldp x29, x30, [sp], #32
  .cfi_adjust_cfa_offset -32
  br x16
  .cfi_endproc
  .size dlopen, . - dlopen
)");
#endif
