"""Time x memory as a picture: one point an allocator, so that it shows who pays one with the other.

The means are over the rows that all allocators got through: points over other rows would not belong
into one picture.
"""

from .plot import INK, PALE, NoPlot, colours
from .results import MEMORY, TIME

GUIDE = "lower left is better"
# Room around the points, as a factor of the ratio.
MARGIN = 1.12
# Where a name may stand, from its point: (x, y, horizontal, vertical).
PLACES = [
    (8, 8, "left", "bottom"),
    (9, 0, "left", "center"),
    (-9, 0, "right", "center"),
    (0, 9, "center", "bottom"),
    (0, -9, "center", "top"),
    (8, -8, "left", "top"),
]


def points(results):
    """{allocator: (time, memory)}, relative to the baseline; without those that have no mean."""
    found = {}
    for name in results.allocators:
        point = results.shared_mean(name, TIME), results.shared_mean(name, MEMORY)
        if None not in point:
            found[name] = point
    return found


def limits(values):
    """The ends of an axis: all points, and the baseline at 1."""
    return min(*values, 1) / MARGIN, max(*values, 1) * MARGIN


def draw(pyplot, results, kinds, text):
    del kinds
    found = points(results)
    if not found:
        raise NoPlot("no overview: no row that all allocators got through")
    rows = len(results.shared_workloads(TIME))
    figure, axes = pyplot.subplots(figsize=(8, 6.4))
    times, memories = zip(*found.values())
    _style(axes, limits(times), limits(memories))
    axes.set_title("Time and peak memory", loc="left", fontsize=13, fontweight="bold", pad=12)
    axes.set_xlabel(f"time, {results.baseline} = 1")
    axes.set_ylabel(f"peak memory, {results.baseline} = 1")
    caption = f"geometric means over {rows} workloads · {GUIDE}\n{text}"
    figure.text(0.99, 0.01, caption, ha="right", va="bottom", fontsize=8, color="#777777")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    palette = colours(results.allocators)
    for name, point in found.items():
        axes.plot(*point, "o", color=palette[name], markersize=10, zorder=4)
    _name_points(figure, axes, results, found)
    return figure


def _style(axes, time_limits, memory_limits):
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*time_limits)
    axes.set_ylim(*memory_limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(7))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FormatStrFormatter("%.2f"))
    axes.grid(color=PALE, linewidth=0.8, zorder=1)
    axes.axvline(1, color=INK, linewidth=1.2, zorder=2)
    axes.axhline(1, color=INK, linewidth=1.2, zorder=2)
    axes.tick_params(length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name_points(figure, axes, results, found):
    """Each name beside its point, where it covers no other point and no other name."""
    renderer = figure.canvas.get_renderer()
    taken = [_around(axes.transData.transform(point)) for point in found.values()]
    for name, point in found.items():
        for x, y, horizontal, vertical in PLACES:
            label = axes.annotate(
                f"{name} ({point[0]:.2f}, {point[1]:.2f})",
                point,
                xytext=(x, y),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=10,
                fontweight="bold" if name in results.ours else "normal",
                # The lines at 1 must not strike a name through.
                bbox={"facecolor": "white", "linewidth": 0, "pad": 1},
                zorder=3,
            )
            box = label.get_window_extent(renderer)
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if (inside and box.count_overlaps(taken) == 0) or (x, y) == PLACES[-1][:2]:
                taken.append(box)
                break
            label.remove()


def _around(place):
    from matplotlib.transforms import Bbox

    return Bbox.from_bounds(place[0] - 7, place[1] - 7, 14, 14)
