// Prints a man page: `manpage 3` is elasticpool(3), whose section ENVIRONMENT is the table of
// options, `manpage 1` is elasticpool(1). In mdoc; the fixed sections stand below as they are.
#include <cstdio>
#include <string_view>

#include "base/text_writer.h"
#include "tune/option_text.h"
#include "tune/options.h"

namespace {

using namespace elasticpool;

constexpr const char* kLibraryHead = R"(.Dd November 21, 2026
.Dt ELASTICPOOL 3
.Os elasticpool )" EP_VERSION_STRING R"(
.Sh NAME
.Nm elasticpool
.Nd a drop-in memory allocator
.Sh SYNOPSIS
.Nm env
.Ev LD_PRELOAD Ns = Ns Pa libelasticpool.so.0
.Ar command
.Pp
.In elasticpool/elasticpool.h
.Ft "const char *"
.Fn ep_version void
.Ft size_t
.Fn malloc_size "const void *block"
.Ft size_t
.Fn malloc_good_size "size_t size"
.Ft size_t
.Fn nallocx "size_t size" "int flags"
.Ft void
.Fn sdallocx "void *block" "size_t size" "int flags"
.Ft void
.Fn free_sized "void *block" "size_t size"
.Ft void
.Fn free_aligned_sized "void *block" "size_t alignment" "size_t size"
.Pp
.In elasticpool/pressure.h
.Ft int
.Fn ep_pressure_get "struct ep_pressure *pressure" "size_t size"
.Ft int
.Fn ep_on_pressure "ep_pressure_callback callback" "void *argument"
.Ft int
.Fn ep_off_pressure "ep_pressure_callback callback" "void *argument"
.Sh DESCRIPTION
.Nm
takes the place of the allocator of the C library: of
.Xr malloc 3
and all of its family, of
.Xr malloc_trim 3 ,
.Xr mallinfo 3 ,
.Xr malloc_info 3
and
.Xr malloc_stats 3 ,
which then tell of this allocator, and of
.Sy operator new
and
.Sy operator delete
of C++.
A program need not be compiled again: the library is preloaded, with
.Xr elasticpool 1
or by hand, or linked.
.Pp
Nothing of the allocator's lies in the memory that it hands out.
Requests of up to 32 KiB are served from slabs of equal blocks, through a cache of each thread and
one of each CPU; those of up to 1 MiB from frames of 2 MiB; larger ones from mappings of their own,
which are kept for a while, and which grow without being copied.
.Pp
The functions beyond those of the C library:
.Bl -tag -width Ds
.It Fn ep_version
is the version of the loaded library.
.It Fn malloc_size
is the number of bytes that may be used of a live block, 0 for
.Dv NULL .
.It Fn malloc_good_size
is the size that a block for
.Fa size
bytes would have, and the one to ask for so that nothing is wasted.
.It Fn nallocx
is the same for a block with an alignment, whose binary logarithm is in the low six bits of
.Fa flags .
It is 0 for a size that is always refused.
.It Fn sdallocx , Fn free_sized , Fn free_aligned_sized
are
.Xr free 3
for callers that know the size.
.El
.Pp
All of them may be called from any thread at any time, and leave
.Va errno
alone.
.Sh MEMORY PRESSURE
The nearest limit that the process will meet is known: that of its control group and of those above
it, what the machine has left,
.Dv RLIMIT_AS ,
.Dv RLIMIT_DATA
and
.Ev MEMPOOL_LIMIT .
It is compared with what is used whenever the heap has grown by a share of the room that is left,
and once a second in a process that has threads and a large heap.
From the level high on (80 % of the limit) free memory goes back to the system, then pages inside
slabs on which only free blocks lie; then the program is asked.
Such a process also hears the service manager
.Pq Lk https://systemd.io/MEMORY_PRESSURE/ ,
and stalls that the kernel tells of.
.Bl -tag -width Ds
.It Fn ep_on_pressure
registers a function that is called when memory is scarce or will be, with the number of bytes that
should be freed.
It may run on the thread whose request made the heap grow; it may allocate and free.
.It Fn ep_off_pressure
ends that; when it returns the function is not running.
.It Fn ep_pressure_get
tells the level, the limit, what is used of it, forecasts for 30, 60 and 120 seconds, and how likely
it is that 90 % are passed within two minutes.
.El
.Pp
The header says what each may do and what it costs.
.Sh ENVIRONMENT
These are read once, when the process starts.
A name that is not known, or a value that is bad, is one line on standard error, and the default
holds.
A variable that is set to nothing counts as not set.
Sizes are bytes, or have one of the suffixes K, M, G and T for powers of 1024.
.Bl -tag -width Ds
)";

constexpr const char* kLibraryTail = R"(.It Ev MEMORY_PRESSURE_WATCH , MEMORY_PRESSURE_WRITE
Set by a service manager: a file, FIFO or socket on which it says that memory is short, and what is
to be written to it first, in Base64.
Not used in a program that runs with more rights than its caller.
.El
.Sh STATISTICS
The report of
.Ev MEMPOOL_STATS
is written when the process exits, before the destructors of other libraries run: what these free
counts as live.
A process that leaves by
.Xr _exit 2
writes none.
.Pp
Requests and live blocks are counted exactly; live bytes are those of whole blocks.
A report that is asked for while threads allocate is of no single moment.
What the names of some figures do not say:
.Bl -tag -width Ds
.It returned so far , Li returned_bytes
.It free and kept , Li free_resident_bytes
At most: a page that was never touched counts too.
.It lost in fork , Li lost_in_fork , Li lost No of a class
In the child of a
.Xr fork 2
of a process with threads: what the other threads had in their caches, which nobody can use any
more.
Where one of them was at work during the fork, these figures, live blocks and requests are
estimates.
.It Li mapped_bytes
Of the tier
.Li slab
the space of the slabs, which lie in the frames, and of
.Li buddy
all frames.
.It at their peak , Li peak No of Li slab
When slabs took the most memory, up to a 64th or 256 KiB of it: what they took, what of it was live,
and what was in the threads' caches; and the most that was live in slabs at an earlier such moment.
Zero where slabs never took 256 KiB.
.It Li live_bytes No and Li free_resident_bytes of Li large
Those of extents.
Besides,
.Li peak_live_bytes
is the most that were live at once,
.Li free_clean_bytes
what is free, mapped and without pages,
.Li hole_bytes
addresses without memory, and
.Li lost_bytes
addresses given up because something else is mapped there.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa libelasticpool.so.0
is what is preloaded, or linked by
.Fl lelasticpool .
.It Pa libelasticpool.a
is the same to be linked statically.
.It Pa elasticpool.pc , Pa elasticpool-config.cmake
tell
.Xr pkg-config 1
and CMake of both.
.El
.Sh EXAMPLES
A program under the allocator, and what the allocator did:
.Pp
.Dl $ LD_PRELOAD=libelasticpool.so.0 MEMPOOL_STATS=1 ./app
.Pp
The same as JSON, in one file for each process:
.Pp
.Dl $ LD_PRELOAD=libelasticpool.so.0 MEMPOOL_STATS=json MEMPOOL_STATS_FILE=app\-%p ./app
.Pp
A program that is linked with it:
.Pp
.Dl $ cc app.c $(pkg\-config \-\-cflags \-\-libs elasticpool)
.Sh DIAGNOSTICS
Misuse ends the process with one line on standard error and
.Xr abort 3 :
.Bl -diag
.It elasticpool: double free of 0x...
A block was given back that is not live: it was freed before.
.It elasticpool: free of interior pointer 0x...
An address was given back that lies in memory of the allocator, where no block starts.
.It elasticpool: realloc of a pointer that is not live 0x...
.Xr realloc 3
was called with a block that was freed before, or with an address where no block starts.
.It elasticpool: malloc_usable_size of a pointer that is not live 0x...
So was
.Xr malloc_usable_size 3
or
.Fn malloc_size .
.It elasticpool: free of foreign pointer 0x...
An address was given back that lies in none of the memory of the allocator, and
.Ev MEMPOOL_FOREIGN
is
.Cm abort .
Otherwise it is given to the C library.
.It elasticpool: realloc of foreign pointer 0x...
.It elasticpool: malloc_usable_size of foreign pointer 0x...
The same, with such an address given to
.Xr realloc 3 ,
or to
.Xr malloc_usable_size 3
or
.Fn malloc_size .
.It elasticpool: broken invariant: ...
This is no misuse but a fault of the allocator.
Please report it.
.El
.Pp
A variable that is not understood is one line, too, and the program runs on:
.Bl -diag
.It elasticpool: MEMPOOL_...: unknown option, did you mean MEMPOOL_...?
No option has this name; the one that is nearest to it follows.
.It elasticpool: MEMPOOL_...=...: not one of ...; using ...
.It elasticpool: MEMPOOL_...=...: not a size (... to ...); using ...
.It elasticpool: MEMPOOL_...=...: out of range (... to ...); using ...
The value is bad; what it may be, and the default that holds, follow.
.It elasticpool: MEMPOOL_STATS_FILE=...: longer than ... bytes; not used
.It elasticpool: MEMPOOL_STATS_FILE=...: not used in a program that runs with more rights ...
A program with the set\-user\-ID bit would write a file that its caller may not write.
.El
.Sh SEE ALSO
.Xr elasticpool 1 ,
.Xr mallinfo 3 ,
.Xr malloc 3 ,
.Xr malloc_info 3 ,
.Xr malloc_trim 3 ,
.Xr malloc_usable_size 3 ,
.Xr ld.so 8
)";

constexpr const char* kToolPage = R"(.Dd November 21, 2026
.Dt ELASTICPOOL 1
.Os elasticpool )" EP_VERSION_STRING R"(
.Sh NAME
.Nm elasticpool
.Nd run programs under the elasticpool allocator, look into rings
.Sh SYNOPSIS
.Nm
.Cm run
.Op Fl -stats | Fl -json Ar file
.Op Fl o Ar name Ns = Ns Ar value
.Op Fl -library Ar library
.Op Fl -
.Ar command
.Op Ar argument ...
.Nm
.Cm options
.Op Fl -json
.Nm
.Cm stats
.Ar file
.Nm
.Cm ring ls
.Op Fl -json
.Nm
.Cm ring stat
.Op Fl -json
.Op Fl -interval Ar seconds
.Ar name
.Nm
.Cm ring tail
.Op Fl -count Ar n
.Op Fl -from Ar sequence
.Op Fl -no-follow
.Ar name
.Nm
.Cm ring check
.Op Fl -json
.Ar name
.Nm
.Cm ring rm
.Op Fl -force
.Ar name
.Nm
.Cm ring rm
.Fl -stale
.Nm
.Cm version
.Sh DESCRIPTION
.Bl -tag -width Ds
.It Cm run
replaces itself by
.Ar command ,
which runs under
.Pa libelasticpool.so.0 .
The command's children run under it, too.
Libraries that
.Ev LD_PRELOAD
names already come behind it.
.Bl -tag -width Ds
.It Fl -stats
The process, and each of its children, prints what the allocator did to standard error when it
exits.
.It Fl -json Ar file
They write it to
.Ar file
as JSON.
In its name
.Ql %p
becomes the number of the process; without it the last process to exit keeps the file.
.It Fl o Ar name Ns = Ns Ar value
Sets an option, with or without
.Ql MEMPOOL_
before its name; it may be given more than once.
A bad one ends
.Nm
before the command is run.
.It Fl -library Ar library
Preloads this file, and not the one that belongs to
.Nm .
.El
.It Cm options
lists the options of the library, with their ranges and defaults, and those that the environment
sets.
.It Cm stats
shows a report of
.Fl -json
as tables; a
.Ar file
of
.Ql -
is standard input.
.It Cm version
prints the version.
.El
.Ss Rings
.Cm ring
looks into the regions of
.Pa libelasticpool\-ring.so.0 ,
by which processes hand each other messages.
A
.Ar name
without a slash is one in shared memory,
.Pa /dev/shm/ Ns Ar name Ns Pa .ring ;
with one it is a path.
Whoever looks takes no message and cannot write to one; he does give back what dead processes held,
as everybody does who attaches.
.Bl -tag -width Ds
.It Cm ls
lists the rings in shared memory: the memory that they take, how much of their pool is used, the
messages held, producers and consumers, and whether a process is attached (alive) or none (stale).
.It Cm stat
shows one: its pool, its messages from the oldest (head) to the next to come (tail); of each group
how far it lags and what it dropped; of each producer and consumer its process, its messages and its
checkpoint; deaths, redeliveries and corruptions.
With
.Fl -interval
it looks twice, and adds what happened per second between the looks.
.It Cm tail
prints the last ten messages, or those from
.Ar sequence
on, and then what comes, one a line, until it is interrupted or
.Ar n
are printed; with
.Fl -no-follow
it ends with what is there.
The bytes that a message begins with are shown as text where all of them can be printed, else in
hex.
.It Cm check
checks every word and prints one line for each fault.
Of a ring that is used it reports only what looks wrong several times.
.It Cm rm
removes a ring that no process is attached to, with what it holds; with
.Fl -stale
all such rings in shared memory.
.Fl -force
removes the name of one that is used, too: who is attached goes on, and nobody finds it any more.
.El
.Sh EXIT STATUS
.Cm run
has that of the command; 127 when there is no such command, 126 when it cannot be run.
.Cm ring check
has 1 when there are faults.
Otherwise 0, or 2 for arguments, a ring or a file that
.Nm
cannot make sense of; then one line on standard error says why.
.Sh EXAMPLES
.Dl $ elasticpool run \-\-stats \-\- redis\-server \-\-port 7000
.Dl $ elasticpool run \-\-json report.json \-o RETAIN=0 \-\- sort big.txt
.Dl $ elasticpool stats report.json
.Dl $ elasticpool ring stat \-\-interval 1 orders
.Sh SEE ALSO
.Xr elasticpool 3 ,
.Xr ld.so 8
)";

// Words between commas, each as a value that is typed: ".Cm off , on , json".
void write_choices(TextWriter& out, const OptionInfo& info) {
  for (const ChoiceWord* word = info.words; word->word != nullptr; ++word) {
    const bool is_last = word[1].word == nullptr;
    out.text(".Cm ").text(word->word);
    if (*word->alias != '\0') out.text(" No or Cm ").text(word->alias);
    out.text(is_last ? " ;\n" : " ,\n");
  }
}

void write_option(void* context, const OptionState& state) {
  TextWriter& out = *static_cast<TextWriter*>(context);
  out.text(".It Ev MEMPOOL_").text(state.info.name).text("\n").text(state.info.sentence).text("\n");
  switch (state.info.kind) {
    case OptionKind::kChoice:
      out.text("One of\n");
      write_choices(out, state.info);
      out.text("the default is\n.Cm ").text(state.fallback).text(" .\n");
      break;
    case OptionKind::kSize: {
      char range[64];
      describe_range(state.info, range, sizeof range);
      out.text("A size, ").text(range).text("; the default is ").text(state.fallback).text(".\n");
      break;
    }
    case OptionKind::kLimit:
      out.text("A size from 1M on, or one of\n");
      write_choices(out, state.info);
      out.text("the default is\n.Cm ").text(state.fallback).text(" .\n");
      break;
    case OptionKind::kPercents:
      out.text("Four numbers, rising, between commas; the default is ");
      out.text(state.fallback).text(".\n");
      break;
    case OptionKind::kTarget:
      out.text("At first nobody is told.\nA command is written as exec:COMMAND.\n");
      break;
    case OptionKind::kPath:
      out.text("At first it is not set.\n");
      break;
  }
}

void to_stdout(void* /*context*/, const char* bytes, size_t count) {
  fwrite(bytes, 1, count, stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view page = argc == 2 ? argv[1] : "";
  char buffer[1024];
  TextWriter out(buffer, sizeof buffer, to_stdout);
  if (page == "3") {
    out.text(kLibraryHead);
    for_each_option(write_option, &out);
    out.text(kLibraryTail);
  } else if (page == "1") {
    out.text(kToolPage);
  } else {
    fputs("usage: manpage 1|3\n", stderr);
    return 2;
  }
  out.flush();
  return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}
