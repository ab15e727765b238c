"""Tables and the picture of the cost curves, from their record."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.records import ROOT, load, source
from mmseg_pacbal.markdown import to_markdown

OURS, PEER = 'ours', 'peer'
LINK = (
    '![Time and memory against rates, pixels, classes, kernel size and batch]'
    '(images/cost_curves.png)'
)
PICTURE = ROOT / 'docs' / 'images' / 'cost_curves.png'
RATES_PICTURE = ROOT / 'docs' / 'images' / 'cost_of_rates.png'
PEERS = dict(
    PAC='as many convolutions', map='plain definition, float64', metric='independent, SciPy'
)
TITLES = dict(
    rates='rates',
    side='pixels a side',
    classes='classes',
    kernel_size='kernel size',
    batch='images of a batch',
)


def lines(record: dict) -> dict[tuple[str, str], dict[str, list[dict]]]:
    """The rows of every curve, by subject and axis, then by form."""
    found: dict[tuple[str, str], dict[str, list[dict]]] = {}
    for row in record['results']:
        curve = found.setdefault((row['subject'], row['axis']), {OURS: [], PEER: []})
        curve[row['form']].append(row)
    return found


def table(record: dict) -> str:
    rows = []
    for (subject, axis), curve in lines(record).items():
        ours, peer = curve[OURS], curve[PEER]
        last = {row['at']: row for row in ours}[peer[-1]['at']]
        rows.append(
            [
                subject,
                TITLES[axis],
                f'{ours[0]["at"]:.0f} to {ours[-1]["at"]:.0f}',
                ' to '.join(time_of(row) for row in (ours[0], ours[-1])),
                ' to '.join(memory_of(row) for row in (ours[0], ours[-1])),
                f'{peer[-1]["at"]:.0f}',
                ' and '.join(time_of(row) for row in (last, peer[-1])),
                ' and '.join(memory_of(row) for row in (last, peer[-1])),
            ]
        )
    head = ['subject', 'against', 'from, to', 'time, ours', 'memory, ours', 'at']
    return to_markdown([*head, 'ours and peer', 'memory'], rows, left=2) + source(record)


def rates_table(record: dict) -> str:
    """Each number of rates against two: what a further rate costs."""
    modes = {subject: curve for (subject, axis), curve in lines(record).items() if axis == 'rates'}
    of = {
        subject: {int(row['at']): row['p50'] for row in curve[OURS]}
        for subject, curve in modes.items()
    }
    counts = sorted(next(iter(of.values())))
    rows = [
        [subject, *(f'{of[subject][n] / of[subject][2]:.2f}' for n in counts)] for subject in of
    ]
    return to_markdown(['rates', *map(str, counts)], rows, left=1)


def time_of(row: dict) -> str:
    seconds = row['p50']
    return f'{seconds:.1f} s' if seconds >= 10 else f'{1e3 * seconds:.3g} ms'


def memory_of(row: dict) -> str:
    return f'{row["memory"] / 1e6:.3g} MB'


def picture(record: dict) -> Figure:
    """Time above memory, a column for each curve; ours solid, the peer dashed."""
    curves = lines(record)
    half = -(-len(curves) // 2)
    figure = Figure(figsize=(3 * half, 11), layout='constrained')
    axes = figure.subplots(4, half, squeeze=False)
    for index, ((subject, axis), curve) in enumerate(curves.items()):
        column, top = index % half, 2 * (index // half)
        draw(axes[top, column], curve, 'p50', 1e3, f'{subject}: ms', subject)
        draw(axes[top + 1, column], curve, 'memory', 1e-6, f'{subject}: MB', subject)
        axes[top + 1, column].set_xlabel(TITLES[axis])
        for ax in axes[top : top + 2, column]:
            scale_axes(ax, [row['at'] for row in curve[OURS]], axis == 'rates')
    for ax in axes.flat:
        ax.set_visible(ax.has_data())
    return figure


def scale_axes(ax: Axes, at: list[float], linear: bool) -> None:
    if linear:
        ax.set_ylim(bottom=0)
    else:
        ax.loglog()
    ax.set_xticks(at, [f'{value:.0f}' for value in at])
    ax.tick_params(labelsize=7)
    ax.minorticks_off()


def draw(ax: Axes, curve: dict, key: str, scale: float, title: str, subject: str) -> None:
    peer = PEERS[subject.partition(',')[0]]
    for form, style, name in ((OURS, 'o-', OURS), (PEER, 's--', peer)):
        at, value = ([row[k] for row in curve[form]] for k in ('at', key))
        ax.plot(at, [scale * v for v in value], style, markersize=4, label=name)
    ax.set_title(title, fontsize=9)
    ax.legend(fontsize=7)
    ax.grid(alpha=0.3)


def rates_picture(record: dict) -> Figure:
    """Time and memory of PAC and of as many convolutions, forward and backward, against rates."""
    curve = lines(record)['PAC, forward+backward', 'rates']
    figure = Figure(figsize=(8, 2.8), layout='constrained')
    panels = (('p50', 1e3, 'time, ms'), ('memory', 1e-6, 'memory, MB'))
    for ax, (key, scale, title) in zip(figure.subplots(1, 2), panels, strict=True):
        draw(ax, curve, key, scale, title, 'PAC')
        scale_axes(ax, [row['at'] for row in curve[OURS]], linear=True)
        ax.set_xlabel('atrous rates')
    return figure


def draw_pictures() -> None:
    """From the committed record."""
    record = load('cost_curves', 'amd-epyc')
    picture(record).savefig(PICTURE, dpi=80)
    rates_picture(record).savefig(RATES_PICTURE, dpi=110)
