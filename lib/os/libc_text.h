// Which code is libc's own, so that nothing is asked of libc while it is in the middle of a call.
//
// Threads  libc_text_boot(): once, before main. is_libc_text(): any.
// Errors   what cannot be told is taken for libc's: before boot, and our own.
// Cost     libc_text_boot() walks the list of loaded libraries; is_libc_text() some comparisons.
#pragma once

namespace elasticpool {

void libc_text_boot();

// Whether it lies in libc, in the loader, or in this library: the caller of a caller that cannot be
// told. In a program that is linked statically there is no telling: true for all of it.
bool is_libc_text(const void* code);
// False in a program that is linked with all of us, or of which nothing is known: there every
// caller is taken for libc's.
bool can_tell_libc_text();

}  // namespace elasticpool
