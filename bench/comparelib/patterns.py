"""The patterns of the literature, bench/workloads/patterns/: names, what they are, commands.

Those with threads share a fixed amount of work among them, so that the times of larson, larson2,
larson4 and larson8 can be compared.
"""

THREADS = (1, 2, 4, 8)

# name, about
ALONE = [
    ("barnes", "N-body simulation, a fresh octree each step"),
    ("cfrac", "factoring with tiny, short-lived numbers"),
    ("espresso", "logic minimisation: lists of bit vectors"),
    ("leftover", "phases of other sizes, each leaves some blocks"),
]
# name, about, program and mode
THREADED = [
    ("larson", "a server whose threads pass their blocks on and die", ("larson",)),
    ("xmalloc", "producers and consumers of batches", ("xmalloc",)),
    ("mstress", "random lifetimes, exchanged blocks, new threads", ("mstress",)),
    ("cache-thrash", "writes to small objects of several threads", ("cache", "thrash")),
    ("cache-scratch", "the same, first handed out by one thread", ("cache", "scratch")),
    ("sh6", "small blocks in batches, freed in both orders", ("smartheap", "sh6")),
    ("sh8", "the same, batches freed by any thread", ("smartheap", "sh8")),
    ("thread-pairs", "free and malloc at random places of a table", ("thread_pairs",)),
    ("large-churn", "128 KiB to 8 MiB, random lifetimes", ("large_churn",)),
    ("sawtooth", "a heap that swings between 16 and 256 MiB", ("sawtooth",)),
]


def rows():
    """(name, about, argv) of each."""
    for name, about in ALONE:
        yield name, about, (f"patterns/{name}",)
    for name, about, (program, *mode) in THREADED:
        for threads in THREADS:
            argv = (f"patterns/{program}", *mode, f"--threads={threads}")
            if threads == 1:
                yield name, about, argv
            else:
                separator = "x" if name[-1].isdigit() else ""
                yield f"{name}{separator}{threads}", f"the same on {threads} threads", argv
