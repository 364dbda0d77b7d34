"""Ours against the best of the others, row by row and in the mean. Pure, as results are.

A ratio to one fixed baseline does not say who is ahead: every row has another best peer.
"""

from dataclasses import asdict, dataclass

from .allocators import OURS
from .results import MEMORY, THROUGHPUT, TIME, ratio

# How far behind the best peer a row may be before it is called behind.
BEHIND = {TIME: 1.05, MEMORY: 1.15}


@dataclass(frozen=True)
class Standing:
    """The best peer, and our figure divided by its."""

    peer: str
    ratio: float


def ours_among(allocators, listed):
    """Other builds of ours are given as elasticpool-NAME=library.so, or listed by --ours."""
    return [name for name in allocators if name.startswith(OURS) or name in listed]


def standing(results, ours, kind, workload):
    """None where we or all peers have no figure."""
    return _against_best(
        results, ours, kind, lambda allocator: results.figure(workload, allocator, kind)
    )


def mean_standing(results, ours, kind):
    """Against the peer with the best geometric mean, over the same rows for all."""
    return _against_best(
        results, ours, kind, lambda allocator: results.shared_mean(allocator, kind)
    )


def _against_best(results, ours, kind, figure_of):
    figures = {name: figure_of(name) for name in results.allocators if name not in results.ours}
    figures = {name: figure for name, figure in figures.items() if figure is not None}
    if not figures:
        return None
    best = (max if kind == THROUGHPUT else min)(figures, key=figures.get)
    value = ratio(figure_of(ours), figures[best])
    return None if value is None else Standing(best, value)


def is_behind(place, kind):
    return place is not None and kind in BEHIND and place.ratio > BEHIND[kind]


def rows_behind(results, ours, kind):
    """-> [(workload, Standing)]"""
    places = [(name, standing(results, ours, kind, name)) for name in results.workloads]
    return [(name, place) for name, place in places if is_behind(place, kind)]


def has_peers(results):
    return len(results.ours) < len(results.allocators)


def as_json(results, kinds):
    """kinds: {name in the file: field of a cell}"""
    document = {}
    for ours in results.ours if has_peers(results) else []:
        document[ours] = {
            name: {
                "rows": {
                    workload: _as_dict(standing(results, ours, kind, workload))
                    for workload in results.workloads
                },
                "mean": _as_dict(mean_standing(results, ours, kind)),
                "behind": [workload for workload, _ in rows_behind(results, ours, kind)],
            }
            for name, kind in kinds.items()
        }
    return {"ours_to_best_peer": document}


def _as_dict(place):
    return None if place is None else asdict(place)
