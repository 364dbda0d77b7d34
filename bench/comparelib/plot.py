"""Results as a picture: bars of ratios on a logarithmic axis, from the baseline up or down.

On such an axis twice and half are equally far from the line, as they are in a geometric mean.
"""

import math

from .allocators import OURS
from .results import CPU_TIME, FAULTS, MEMORY, THROUGHPUT, TIME

# Okabe and Ito's palette: told apart by people with any kind of colour vision.
OUR_COLOUR = "#D55E00"
COLOURS = {
    "glibc": "#999999",
    "jemalloc": "#000000",
    "mimalloc": "#56B4E9",
    "tcmalloc": "#009E73",
    "tbbmalloc": "#CC79A7",
}
SPARE_COLOURS = ["#0072B2", "#E69F00", "#F0E442", "#44546A"]
INK, PALE = "#333333", "#DDDDDD"
MEAN = "geometric\nmean"
LIMIT_MAX = 4.0
GROUP_WIDTH, BAR_WIDTH_MAX, MEAN_SCALE = 0.82, 0.26, 1.5
# Title, what is above the line, what is below it.
PANELS = {
    TIME: ("Time", "slower", "faster"),
    CPU_TIME: ("CPU time", "more", "less"),
    THROUGHPUT: ("Throughput", "faster", "slower"),
    MEMORY: ("Peak memory", "more", "less"),
    FAULTS: ("Page faults", "more", "less"),
}


class NoPlot(Exception):
    """The text is one line for a person."""


def colours(allocators):
    """Ours stands out; a known one looks the same in every picture."""
    spare = list(SPARE_COLOURS)
    chosen = {}
    for name in allocators:
        chosen[name] = OUR_COLOUR if name == OURS else COLOURS.get(name)
        if chosen[name] is None:
            chosen[name] = spare.pop(0) if spare else PALE
    return chosen


def caption(header):
    """Where and when, from what describes the invocation."""
    machine = header.get("machine") or {}
    merged = header.get("merged") or []
    parts = f" of {len(merged)} invocations" if len(merged) > 1 else ""
    return (
        f'medians of {"up to " if parts else ""}{header["rounds"]} interleaved runs{parts} · '
        f'{machine.get("cpu", "?")}, {machine.get("cpus", "?")} CPUs · '
        f'Linux {machine.get("kernel", "?")} · {str(header["date"])[:10]}'
    )


def write_all(results, kinds, text, folder):
    """compare: bars of each row; overview: a point for each allocator. Both as PNG and SVG."""
    from . import overview

    pyplot = prepare(results)
    for name, draw in (("compare", _draw_bars), ("overview", overview.draw)):
        figure = draw(pyplot, results, kinds, text)
        for path in (folder / f"{name}.png", folder / f"{name}.svg"):
            no_date = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=150, metadata=no_date)
        pyplot.close(figure)


def prepare(results):
    """Matplotlib's pyplot, where it is there and something can be drawn."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        reason = "no plot: matplotlib is not installed (Debian package python3-matplotlib)"
        raise NoPlot(reason) from None
    others = [name for name in results.allocators if name != results.baseline]
    if not any(results.ratios(name, TIME) for name in others):
        raise NoPlot(f"no plot: nothing to hold against {results.baseline}")
    # Text stays text in SVG, and equal results give equal files.
    matplotlib.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "text.color": INK,
            "svg.fonttype": "none",
            "svg.hashsalt": "compare",
        }
    )
    return pyplot


def _draw_bars(pyplot, results, kinds, text):
    """A panel per figure."""
    shown = [name for name in results.allocators if name != results.baseline]
    width = 1.5 + (len(results.workloads) + 2) * max(0.9, 0.24 * len(shown))
    size = (max(width, 7), 3.8 * len(kinds))
    figure, grid = pyplot.subplots(len(kinds), 1, figsize=size, squeeze=False)
    panels = [row[0] for row in grid]
    for axes, kind in zip(panels, kinds):
        title, above, below = PANELS[kind]
        limit = _limit(results, shown, kind)
        _draw_panel(axes, results, shown, kind, limit)
        axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=16)
        axes.set_ylabel(f"{below} ←  than {results.baseline}  → {above}", fontsize=9, color=INK)
        _style_axis(axes, limit)
    _draw_legend(figure, panels[0], results.baseline)
    figure.text(0.99, 0.01, text, ha="right", va="bottom", fontsize=8, color="#777777")
    figure.tight_layout(rect=(0, 0.03, 1, 1), h_pad=2.5)
    return figure


def _limit(results, shown, kind):
    """The ends of the axis, a power of two up and down: all in view, but one far-off bar must not
    flatten the others."""
    ratios = [value for name in shown for value in results.ratios(name, kind)]
    farthest = max((abs(math.log2(value)) for value in ratios if value > 0), default=0)
    return min(max(2.0, 2.0 ** math.ceil(farthest)), LIMIT_MAX)


def _draw_panel(axes, results, shown, kind, limit):
    width = min(GROUP_WIDTH / len(shown), BAR_WIDTH_MAX)
    palette = colours(results.allocators)
    # The mean stands apart, wider, on a ground of its own, each bar with its value.
    mean_place = len(results.workloads) + 0.5
    axes.axvspan(mean_place - 0.75, mean_place + 0.75, color="#F3F3F3", linewidth=0, zorder=0)
    for index, name in enumerate(shown):
        shift = (index - (len(shown) - 1) / 2) * width
        for place, workload in enumerate(results.workloads):
            value = results.ratio(workload, name, kind)
            _draw_bar(axes, (place + shift, width), value, palette[name], limit)
        mean_bar = mean_place + shift * MEAN_SCALE, width * MEAN_SCALE
        mean = results.mean(name, kind)
        _draw_bar(axes, mean_bar, mean, palette[name], limit, say_value=True)
        axes.bar(0, 0, color=palette[name], label=name)
    axes.set_xticks([*range(len(results.workloads)), mean_place], [*results.workloads, MEAN])
    axes.set_xlim(-0.6, mean_place + 0.75)


def _draw_bar(axes, bar, value, colour, limit, say_value=False):
    place, width = bar
    if value is None:
        axes.plot(place, 1, marker="x", color=colour, markersize=6, zorder=6)
        return
    height = min(max(value, 1 / limit), limit)
    axes.bar(place, height - 1, width * 0.9, bottom=1, color=colour, zorder=3)
    # A bar that leaves the picture says how far it goes.
    if say_value or value != height:
        up = value >= 1
        axes.annotate(
            f"{value:.2f}" if value < 10 else f"{value:.0f}",
            (place, height),
            xytext=(0, 2 if up else -2),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=7.5,
            color=INK,
            zorder=7,
            annotation_clip=False,
        )


def _style_axis(axes, limit):
    from matplotlib.ticker import NullLocator

    top = int(math.log2(limit))
    marks = [2.0**power for power in range(-top, top + 1)]
    axes.set_yscale("log", base=2)
    axes.set_ylim(1 / limit, limit)
    axes.set_yticks(marks, [f"{mark:g}×" for mark in marks])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.axhline(1, color=INK, linewidth=1.2, zorder=5)
    axes.grid(axis="y", color=PALE, linewidth=0.8, zorder=1)
    axes.tick_params(length=0, colors=INK)
    # Room for the value of a bar that leaves the picture downwards.
    axes.tick_params(axis="x", pad=11)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_legend(figure, axes, baseline):
    from matplotlib.lines import Line2D

    handles, names = axes.get_legend_handles_labels()
    handles.append(Line2D([], [], color=INK, linewidth=1.2))
    names.append(f"{baseline} = 1×")
    figure.legend(
        handles,
        names,
        loc="upper right",
        ncol=len(names),
        frameon=False,
        fontsize=10,
        bbox_to_anchor=(0.995, 0.995),
        handlelength=1.1,
        handleheight=1,
        handletextpad=0.5,
        columnspacing=1.4,
    )
