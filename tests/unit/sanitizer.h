// Which sanitizer the tests are built with.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EP_BUILT_FOR_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define EP_BUILT_FOR_THREAD_SANITIZER
#endif

namespace elasticpool::test {

#if defined(EP_BUILT_FOR_THREAD_SANITIZER)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace elasticpool::test
