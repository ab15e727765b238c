"""The tables of docs/, of what was measured."""

from benchmarks.figures import (
    MODES,
    crop,
    five,
    median,
    one_on_average,
    quickest,
    results,
    source,
    span,
)
from benchmarks.pyramid_atrous_conv import FIVE, singles
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.ops.backend_choice import choose_by_rule


def pyramid_table() -> str:
    rows = []
    for case in results('pyramid_atrous_conv')['cases']:
        for mode, title in MODES.items():
            times, memory = case[mode]['times'], case[mode]['memory']
            fast, plain = median(times['fast']), five(times)
            one, least = one_on_average(times), quickest(times)
            rows.append(
                [
                    f'{case["batch"]}, {case["size"]}x{case["size"]}',
                    title,
                    *(f'{1e3 * seconds:.0f} ms' for seconds in (fast, plain)),
                    f'{1e3 * least:.0f} to {1e3 * max(singles(times)):.0f} ms',
                    f'{plain / fast:.2f}',
                    f'{fast / one:.2f}',
                    f'{fast / least:.2f}',
                    f'{memory["fast"] / 1e6:.0f} and {memory[FIVE] / 1e6:.0f} MB',
                    f'{100 * case[mode]["gemm_share"]:.0f} %',
                ]
            )
    head = ['batch, size', 'pass', 'fast', 'five', 'one alone', 'five / fast']
    head += ['fast / mean one', 'fast / quickest', 'memory, fast and five', 'in products']
    return to_markdown(head, rows, left=2) + source('pyramid_atrous_conv')


def accuracy_table() -> str:
    rows = []
    for entry in results('pyramid_atrous_conv')['accuracy']:
        for name, errors in entry['errors'].items():
            rows.append([entry['dtype'], name, *(f'{error:.1e}' for error in errors)])
    head = ['dtype', 'form', 'output', 'gradient of x', 'gradient of the filter']
    return to_markdown(head, rows, left=2)


def grid_table() -> str:
    """By channels, over all sizes, rates and batches."""
    groups: dict[tuple, list[dict]] = {}
    for cell in results('pyramid_atrous_conv_grid'):
        key = (cell['dtype'], ' -> '.join(map(str, cell['channels'])), MODES[cell['mode']])
        groups.setdefault(key, []).append(cell)
    rows = []
    for key, cells in groups.items():
        auto = [time_of_auto(cell) for cell in cells]
        rows.append([*key, span([time_of_fast(cell) for cell in cells], 2), span(auto, 2)])
    head = ['dtype', 'channels', 'pass', 'fast / convolutions', '`auto` / convolutions']
    return to_markdown(head, rows, left=3) + source('pyramid_atrous_conv_grid')


def time_of_fast(cell: dict) -> float:
    """Over that of the convolutions, for one cell of the grid."""
    return median(cell['times']['fast']) / median(cell['times'][FIVE])


def time_of_auto(cell: dict) -> float:
    """The same for what 'auto' takes."""
    chosen = choose_by_rule(cell['channels'][0], cell['rates'])
    return 1.0 if chosen == 'reference' else time_of_fast(cell)


def head_table() -> str:
    rows = []
    for sized in results('pac_head'):
        for mode in ('forward', 'training'):
            (pac, aspp), (small, large) = (sized[mode][key].values() for key in ('times', 'memory'))
            rows.append(
                [
                    f'{sized["size"]}x{sized["size"]}',
                    mode,
                    *(f'{1e3 * median(times):.0f} ms' for times in (pac, aspp)),
                    f'{median(aspp) / median(pac):.1f}',
                    f'{small / 1e6:.0f} and {large / 1e6:.0f} MB',
                ]
            )
    head = ['size', 'pass', '`PACHead`', '`ASPPHead`, 512', 'times faster', 'memory of both']
    return to_markdown(head, rows, left=2) + source('pac_head')


def step_table() -> str:
    steps = results('training_step')
    rows = [
        [
            f'`{name}`',
            f'{1e3 * median(times):.0f} ms',
            f'{steps["batch"] / median(times):.2f}',
            f'{steps["memory"][name] / 1e9:.2f} GB',
        ]
        for name, times in steps['times'].items()
    ]
    table = to_markdown(['config', f'step, {crop()}', 'images/s', 'memory'], rows, left=1)
    return table + source('training_step')


def lean_table() -> str:
    rows = []
    for case in results('lean_loss'):
        seconds = [median(case['seconds'][name]) for name in ('plain', 'lean')]
        sizes = [case['bytes'][name] for name in ('plain', 'lean')]
        rows.append(
            [
                str(case['classes']),
                f'{case["logits"]} x {case["logits"]}',
                *(f'{1e3 * value:.0f} ms' for value in seconds),
                *(f'{value / 2**20:.0f} MiB' for value in sizes),
                f'{sizes[1] / sizes[0]:.3f}',
            ]
        )
    head = ['classes', 'logits', 'plain', 'lean', 'plain memory', 'lean memory', 'ratio']
    return to_markdown(head, rows, left=2) + source('lean_loss')


def times_table(name: str) -> str:
    rows = [
        [what, f'{1e3 * median(times):.1f} ms']
        for group in results(name).values()
        if isinstance(group, dict)
        for what, times in group.items()
    ]
    return to_markdown(['what', 'time'], rows, left=1) + source(name)
