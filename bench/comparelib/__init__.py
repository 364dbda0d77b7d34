"""bench/compare: allocators side by side on the same workloads, in the same minutes.

Reading order: allocators, workloads (the lists), workload, process (one run); patterns,
redis_server, programs, generate (their input; pure), memcached_server; measure (which run when, and
was it disturbed); results, peers (medians, ratios, means; pure); table, plot, overview (what a
person sees); giveback, survival (groups with tables of their own); saved, diff (of earlier
invocations); stats, anatomy (what elasticpool says of itself, for bench/anatomy too).
"""
