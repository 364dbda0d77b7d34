"""bench/compare: allocators side by side on the same workloads, in the same minutes.

Reading order: allocators, workloads (the list), workload, process (one run); redis_server,
programs, generate (their input; pure), memcached_server; measure (which run when, and was it
disturbed); results (medians, ratios, means; pure); table, plot (what a person sees).
"""
