"""Figures in the text of README and docs are those of the committed records, digit by digit.

Generated blocks are compared elsewhere (tests/test_benchmarks.py). Each sentence with figures is
written here once more with what the records say, and must be on its page.
"""

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from benchmarks import boundary_weight, losses, pyramid_atrous_conv, records
from mmseg_pacbal.apps.study.statistics import holm
from tests.environments import ROOT
from tests.figures import (
    BF1,
    MIOU,
    TRIMAP,
    StudyTable,
    benchmark,
    calibration,
    class_scores,
    errors,
    gather_shares,
    grid,
    named_times,
    network,
    reported,
    saved,
)

SCRATCH = StudyTable('table3/camvid_mini')
PRETRAINED = StudyTable('table3/camvid_lite0')
PRETRAINED_LOSSES = StudyTable('pretrained_losses/camvid_lite0')
NEW_SEEDS = StudyTable('pretrained_confirmation/camvid_lite0')
CLOTHES = StudyTable('table3/folder_lite0')
LOSSES_ON_CLOTHES = StudyTable('folder_losses/folder_lite0')
LONG = StudyTable('pretrained_long/camvid_lite0')
RIVALS = StudyTable('rival_losses/camvid_mini')
TUNING = StudyTable('rival_losses_tuning/camvid_mini')
JOINT = StudyTable('joint_losses/camvid_mini')
ACCUMULATION = StudyTable('accumulation/camvid_mini')
BESIDE = StudyTable('joint_losses_beside_lovasz/camvid_mini')
TABLE_1 = StudyTable('table1/camvid_mini')
TABLE_2 = StudyTable('table2/camvid_mini')
AMP = StudyTable('mixed_precision/camvid_mini')
PRIMARY = (MIOU, TRIMAP, BF1)
THREE = [f'camvid_lite0/seed{seed}' for seed in range(3)]
SIZES = ('parameters', 'flops')
PAPER = reported(3, 'mIoU')


def share(what: str = 'parameters') -> str:
    return saved(what, 'pac_voc', 'deeplabv3_voc')


def millions(config: str) -> str:
    return f'{network(config)["parameters"] / 1e6:.2f}'


def readme() -> Iterator[str]:
    yield f'boundary F1 {SCRATCH.interval("pac_bal", BF1)}, mIoU {SCRATCH.interval("pac_bal")}'
    for record in records.on_cpus('pyramid_atrous_conv'):
        five = next(iter(pyramid_atrous_conv.summary(record).values()))
        yield five.partition(';')[0].replace('forward and backward', 'with backward')
    yield next(iter(boundary_weight.summary(records.load('boundary_weight')).values()))
    yield f'boundary F1 {RIVALS.interval("lovasz", BF1)}, mIoU {RIVALS.interval("lovasz")}'
    assert not NEW_SEEDS.decided('lovasz_bal', BF1)
    yield f'CamVid: boundary F1 not decided, mIoU {NEW_SEEDS.interval("lovasz_bal")}, six seeds'
    assert not PRETRAINED.decided('bal', BF1) and not PRETRAINED.decided('bal', MIOU)
    yield f'CamVid: neither decided, trimap mIoU {PRETRAINED.interval("bal", TRIMAP)}, ten seeds'
    for study, row, word in ((LOSSES_ON_CLOTHES, 'lovasz_bal', ''), (CLOTHES, 'bal', ' narrowly')):
        assert (adjusted_together(BF1)[row] < 0.05) == (not word)
        f1, miou = study.interval(row, BF1), study.interval(row)
        yield f'clothes: boundary F1{word} {f1}, mIoU {miou}, three seeds'
    both, plain = seconds_on_clothes()
    yield f'a whole step with BAL + Lovász took {both / plain:.1f} times as long'
    # "Five times as many gained more on CamVid than any loss".
    gains = [NEW_SEEDS.gain('lovasz_bal'), PRETRAINED_LOSSES.gain('lovasz_bal')]
    assert LONG.score('deeplabv3') - PRETRAINED.score('deeplabv3') > max(gains)
    lovasz, ours = costs_of_losses()
    yield f'{ours:.2f} times the cost of cross entropy'
    yield f'a loss of {lovasz:.0f} times the cost'
    yield f'{PAPER["pac_bal"]} mIoU on VOC 2012 val against {PAPER["deeplabv3"]} for its DeepLab V3'


def results() -> Iterator[str]:
    bal, bf1 = SCRATCH.gain('bal'), SCRATCH.gain('bal', BF1)
    yield f'ten seeds, {bal:+.1f} mIoU and {bf1:+.1f} boundary F1'
    yield f'{PRETRAINED.interval("bal").replace(" ", " mIoU ", 1)} on CamVid, ten seeds'
    yield f'{CLOTHES.interval("bal")} on clothes**, three'
    yield f'together gain mIoU there on both**: {NEW_SEEDS.interval("lovasz_bal")} on new seeds'
    yield f'{LOSSES_ON_CLOTHES.interval("lovasz_bal")} on clothes'
    yield f"the paper's network is {share()} smaller with it"
    fewer = [saved(what, 'pac_camvid_mini', 'deeplabv3_camvid_mini') for what in SIZES]
    yield f'has {fewer[0]} fewer parameters and {fewer[1]} fewer GFLOPs than ASPP in this network'
    yield f'deciding its mIoU would take {SCRATCH.seeds("pac")} seeds'
    decided = {(r, m): PRETRAINED.decided(r, m) for r in PRETRAINED.rows[1:] for m in PRIMARY}
    assert [cell for cell, word in decided.items() if word] == [('bal', TRIMAP)]
    yield f'one of the {len(PRETRAINED.records())} runs is a CPU'
    yield f'deciding its mIoU would take about {PRETRAINED.seeds("bal")}'
    yield f'boundary F1 from {bf1:+.1f} to {PRETRAINED.gain("bal", BF1):+.1f}'
    assert all(CLOTHES.decided('bal', m) == 'better' for m in PRIMARY)
    clothes = [CLOTHES.gain('bal', measure) for measure in PRIMARY]
    yield 'mIoU {:+.1f}, trimap mIoU {:+.1f}, boundary F1 {:+.1f}. Longer'.format(*clothes)
    lovasz, ours = costs_of_losses()
    yield f'{lovasz:.0f} times as long as cross entropy'
    yield f'BAL {ours:.2f} times'
    p = ' and '.join(f'{RIVALS.figure("bal", m, "p_holm"):.2f}' for m in (TRIMAP, BF1))
    yield f'adjusted p at boundaries is {p}'
    devices = Counter(record['environment']['device'] for record in RIVALS.records())
    yield f'{devices.total()} runs, {devices["cuda:0"]} on an H200, {devices["cpu"]} on CPUs'
    failed = ' and '.join(
        f'{TUNING.mean(row):.1f}' for row in ('bal_literal_0.2', 'cross_entropy_x37_0.2')
    )
    yield f'(mIoU {failed}, one seed)'
    literal, plain, normalised = (
        [TUNING.mean(row, measure) for measure in (MIOU, BF1)]
        for row in ('bal_literal_0.0054', 'cross_entropy_x37_0.0054', 'bal_0.2')
    )
    yield (
        f'{literal[0]:.1f} mIoU and {literal[1]:.1f} boundary F1 against {plain[0]:.1f} and '
        f'{plain[1]:.1f}; normalised weights reach {normalised[0]:.1f} and {normalised[1]:.1f}'
    )
    small_objects = errors('camvid_lite0_long/seed0')[MIOU, 'small objects']
    yield f'in the long pair small objects gain {small_objects[2]:.1f} mIoU'
    sum_of_both = (
        BESIDE.figure('lovasz_bal', MIOU, 'low'),
        BESIDE.figure('lovasz_bal', MIOU, 'high'),
    )
    yield (
        f'costs {-BESIDE.gain("lovasz_bal"):.1f} mIoU** '
        f'({-sum_of_both[1]:.1f} to {-sum_of_both[0]:.1f}, five seeds)'
    )
    yield f'its boundary F1, {BESIDE.interval("lovasz_bal", BF1)}, is not decided'


def losses_record() -> list[dict]:
    return benchmark('losses-amd-epyc-x1')


def costs_of_losses() -> tuple[float, float]:
    """Time of Lovász and of BAL in cross entropies, 21 classes."""
    cells = {(row['loss'], row['classes']): row['p50'] for row in losses_record()}
    return tuple(cells[name, 21] / cells['cross entropy', 21] for name in ('Lovász', 'BAL'))


def decisions() -> Iterator[str]:
    pair = f'{millions("deeplabv3_voc")} -> {millions("pac_voc")} million'
    small = saved('parameters', 'pac_camvid', 'deeplabv3_camvid')
    yield f"{share()} fewer parameters on the paper's network ({pair}), {small} with a ResNet-18"
    yield f'on new seeds of CamVid, mIoU {NEW_SEEDS.interval("lovasz_bal")}'
    yield f'on clothes, {LOSSES_ON_CLOTHES.interval("lovasz_bal")}'


def model_zoo() -> Iterator[str]:
    for name, difference in reported(1, 'delta_mIoU').items():
        kernel, down, size, sigma, beta = re.fullmatch(
            r'bal_(\w+)_d(\d)_k(\d+)(?:_s(\d))?_b0(\d)', name
        ).groups()
        settings = f'{kernel} | {down} | {size} | {f"{sigma}.0" if sigma else ""} | 0.{beta}'
        yield f'| `{name}` | {settings} | {difference:+.2f} | – |'
    yield f'Differences are to DeepLab V3, {PAPER["deeplabv3"]} in Table 3'


def model_card() -> Iterator[str]:
    for seed in range(3):
        scores = (PRETRAINED.score('pac_bal', seed, m) for m in (BF1, MIOU, TRIMAP, 'mAcc'))
        yield f'| {" | ".join(f"{score:.2f}" for score in scores)} |'
    assert not any(PRETRAINED.decided('pac_bal', measure) for measure in PRIMARY)
    classes = class_scores('camvid_lite0/seed0')
    yield f'| {" | ".join(list(classes.values())[:11])} |'
    inside, at = (calibration('camvid_lite0/seed0', region) for region in ('interior', 'boundary'))
    yield f'{inside[1]:.3f} on average'
    yield f'{inside[0]:.3f}'
    yield f'{at[1]:.3f} against {at[0]:.3f}'
    long = [LONG.mean('pac_bal', measure) for measure in (MIOU, 'mAcc', TRIMAP, BF1)]
    yield (
        f'mIoU {long[0]:.2f}, mean accuracy {long[1]:.2f}, trimap mIoU {long[2]:.2f}, '
        f'boundary F1 {long[3]:.2f}'
    )
    after = {
        name: float(iou) for name, iou in class_scores('camvid_lite0_long/seed0').items() if iou
    }
    yield (
        f'Signs reach an IoU of {after["sign_symbol"]:.1f}, pedestrians {after["pedestrian"]:.1f}, '
        f'poles {after["pole"]:.1f}'
    )


def benchmarks() -> Iterator[str]:
    runs = [benchmark(f'training_step-{m}') for m in ('intel-xeon-processor-x2', 'nvidia-h200')]
    speeds = [[run['batch'] / times['p50'] for times in run['times'].values()] for run in runs]
    held = [[size / 1e9 for size in run['memory'].values()] for run in runs]
    yield '{:.2f} / {:.2f} / {:.2f} images/s, '.format(*speeds[0]) + (
        '{:.2f} / {:.2f} / {:.2f} GB'.format(*held[0])
    )
    yield (
        'at {:.1f} images/s with `pac_bal_voc`, {:.1f} with `deeplabv3_voc` and {:.1f} with '
        "MMSegmentation's"
    ).format(*speeds[1])
    yield 'in {:.2f}, {:.2f} and {:.2f} GB'.format(*held[1])
    calls = named_times('boundary_weight-nvidia-h200')
    ours = [time for name, time in calls.items() if name.startswith('map')]
    yield f'takes {min(ours):.1f} to {max(ours):.1f} ms there'
    yield f'with 21 classes {calls["reference, 21 classes"]:.1f} ms'
    shares = gather_shares()
    yield f'{min(shares):.0f} to {max(shares):.0f} % of the bytes per second'
    assert max(rate_shares()) <= 0.05
    yield 'from two rates on it stays within 5 %'


def rate_shares() -> Iterator[float]:
    """By how much any number of rates from two on differs from two, as a share."""
    curves: dict[str, dict[float, float]] = {}
    for row in benchmark('cost_curves-amd-epyc-x1'):
        if row['axis'] == 'rates' and row['form'] == 'ours':
            curves.setdefault(row['subject'], {})[row['at']] = row['p50']
    for times in curves.values():
        yield from (abs(times[n] / times[2] - 1) for n in times if n >= 2)


def study_records() -> Iterator[str]:
    assert len(JOINT.records()) == 30
    yield f'costs mIoU**: {BESIDE.interval("lovasz_bal")}'
    yield f'in boundary F1, {BESIDE.interval("lovasz_bal", BF1)}, is not decided'
    yield f'(p is {BESIDE.figure("lovasz_bal", BF1, "p_holm"):.2f})'
    for part in (accumulation, pretrained_losses, clothes, paper_tables, long_pair):
        yield from part()


def accumulation() -> Iterator[str]:
    low, high = (ACCUMULATION.figure('bal_4x2', BF1, side) for side in ('low', 'high'))
    yield f'{lost_by("bal_4x2")} points of boundary F1 ({-high:.1f} to {-low:.1f})'
    running = lost_by('bal_4x2_running')
    above = ACCUMULATION.mean('bal_4x2_running', BF1) - ACCUMULATION.mean('bal_4x2', BF1)
    yield f"{running} points of boundary F1 below the whole batch and {above:.1f} above `'mean'`"
    plain = [
        ACCUMULATION.mean('deeplabv3', m) - ACCUMULATION.mean('deeplabv3_4x2', m)
        for m in (BF1, MIOU)
    ]
    yield f'loses {plain[0]:.1f} points of boundary F1 and {plain[1]:.1f} of mIoU'


def pretrained_losses() -> Iterator[str]:
    yield f'in mIoU**, by {PRETRAINED_LOSSES.interval("lovasz_bal")}'
    assert len(PRETRAINED_LOSSES.records()) == 12
    yield f'{PRETRAINED_LOSSES.interval("lovasz", BF1)}, so it is not for'.replace(
        ' (', ' boundary F1 (', 1
    )
    for measure, points in {MIOU: 'mIoU', TRIMAP: 'trimap mIoU'}.items():
        assert NEW_SEEDS.decided('lovasz_bal', measure) == 'better'
        yield NEW_SEEDS.interval('lovasz_bal', measure).replace(' ', f' {points} ', 1)
    assert not NEW_SEEDS.decided('lovasz_bal', BF1)
    yield f'boundary F1, {NEW_SEEDS.gain("lovasz_bal", BF1):+.1f}, is not decided'
    for study in (NEW_SEEDS, LOSSES_ON_CLOTHES):
        assert study.decided('lovasz', BF1) == 'worse'
        yield study.interval('lovasz', BF1).replace(' ', ' boundary F1 ', 1)


def clothes() -> Iterator[str]:
    assert all(CLOTHES.decided('bal', m) == 'better' for m in PRIMARY)
    assert not any(CLOTHES.decided(row, m) for row in ('pac', 'pac_bal') for m in PRIMARY)
    assert all(LOSSES_ON_CLOTHES.decided('lovasz_bal', m) == 'better' for m in PRIMARY)
    yield (
        f'mIoU {LOSSES_ON_CLOTHES.interval("lovasz_bal")} and '
        f'boundary F1 {LOSSES_ON_CLOTHES.interval("lovasz_bal", BF1)}'
    )
    trimap = LOSSES_ON_CLOTHES.gain('lovasz', TRIMAP)
    assert not LOSSES_ON_CLOTHES.decided('lovasz', TRIMAP)
    yield f'its trimap mIoU, {trimap:+.1f}, is not decided'
    together = {measure: adjusted_together(measure) for measure in PRIMARY}
    bal, lovasz = (together[BF1][row] for row in ('bal', 'lovasz'))
    yield f'that of BAL (adjusted p {bal:.3f}) and that of Lovász alone ({lovasz:.3f})'
    decided = {(row, m) for m, ps in together.items() for row, p in ps.items() if p < 0.05}
    assert decided == {
        *((row, m) for row in ('bal', 'lovasz_bal') for m in (MIOU, TRIMAP)),
        ('lovasz_bal', BF1),
    }
    records_of_clothes = {
        (record['row'], record['seed']): record['environment']['device']
        for study in (CLOTHES, LOSSES_ON_CLOTHES)
        for record in study.records()
    }
    on_cpu = [run for run, device in records_of_clothes.items() if device == 'cpu']
    assert sorted(on_cpu) == [('bal', 0), ('deeplabv3', 0)]
    yield f'the other {len(records_of_clothes) - 2} runs on an H200'


def paper_tables() -> Iterator[str]:
    best = TABLE_1.gain('bal_linear_d2_k15_b03'), TABLE_1.gain('bal_linear_d2_k15_b03', BF1)
    assert best == tuple(max(TABLE_1.gain(r, m) for r in TABLE_1.rows[1:]) for m in (MIOU, BF1))
    yield f'{best[0]:+.2f} mIoU (linear, shrunk by 2, size 15, beta 0.3) and {best[1]:+.2f}'
    assert sum(TABLE_1.gain(row) > 0 for row in TABLE_1.rows[1:]) == 8
    assert all(TABLE_1.gain(r, m) > 0 for r in TABLE_1.rows[1:] for m in (TRIMAP, BF1))
    yield f'with the reported ones is {TABLE_1.rank_correlation()}'
    yield f'with the reported ones is {TABLE_2.rank_correlation()}'
    assert all(TABLE_2.gain(row) < 0 for row in TABLE_2.rows[1:])
    assert sum(TABLE_2.gain(row, BF1) > 0 for row in TABLE_2.rows[1:]) == 5
    means = [TABLE_2.mean(row) for row in TABLE_2.rows[1:]]
    yield f'which lie within {max(means) - min(means):.1f} points'


def long_pair() -> Iterator[str]:
    before = {m: PRETRAINED.pair('pac_bal', 'deeplabv3', measure=m) for m in PRIMARY}
    after = {m: LONG.gain('pac_bal', m) for m in before}
    pairs = {m: f'{after[m]:+.2f} against {before[m]:+.2f}' for m in before}
    yield f'({pairs[BF1]})'
    yield f'({pairs[TRIMAP]}, {pairs[MIOU]})'
    long = errors('camvid_lite0_long/seed0')
    for (measure, region), sentence in {
        ('errors', 'near boundaries'): '({:.1f} to {:.1f} % of all)',
        ('errors', 'interior'): '({:.1f} to {:.1f} %)',
        (MIOU, 'interior'): '({:.1f} to {:.1f})',
        (MIOU, 'small objects'): '({:.1f} to {:.1f})',
        ('ECE', 'interior'): 'a difference of {2:.3f}',
    }.items():
        yield sentence.format(*long[measure, region])
    yield "is {1:.3f} instead of the baseline's {0:.3f}".format(*long['ECE', 'interior'])
    yield f'iterations {errors(*THREE)["ECE", "interior"][2]:.3f} on average'


def adjusted_together(measure: str) -> dict[str, float]:
    """The p-values of all rows on clothes, adjusted as one family instead of table by table."""
    p = {
        row: study.figure(row, measure, 'p')
        for study in (CLOTHES, LOSSES_ON_CLOTHES)
        for row in study.rows[1:]
    }
    return dict(zip(p, holm([*p.values()]), strict=True))


def lost_by(row: str) -> str:
    return f'{-ACCUMULATION.gain(row, BF1):.1f}'


def weights() -> Iterator[str]:
    mean, running = lost_by('bal_4x2'), lost_by('bal_4x2_running')
    yield f"`'mean'` lost {mean} points of boundary F1 by accumulation"
    yield f"`'running'` {running} (not decided"
    three = errors(*THREE)
    baseline, ours, difference, low, high = three['ECE', 'interior']
    interval = f'({difference:+.3f}, {low:+.3f} to {high:+.3f})'
    yield f'{ours:.3f} with PAC + BAL and {baseline:.3f} without {interval}'
    yield '{1:.3f} against {0:.3f}'.format(*three['ECE', 'all'])
    memory = {(row['loss'], row['classes']): row for row in losses_record()}
    for classes in (21, 150):
        lean, full = (memory[name, classes] for name in (losses.LEAN_BAL, losses.BAL))
        share_of_time = f'{lean["p50"] / full["p50"]:.2f} of the time'
        held = f'{lean["mebibytes"]:.0f} MiB instead of {full["mebibytes"]:,.0f}'
        yield f'{held}, and {share_of_time}'


def seconds_on_clothes() -> tuple[float, float]:
    """Of an iteration with BAL + Lovász and with cross entropy, medians on the GPU."""
    return tuple(
        statistics.median(
            record['seconds_per_iteration']
            for record in LOSSES_ON_CLOTHES.records()
            if record['row'] == row and record['environment']['device'] == 'cuda:0'
        )
        for row in ('lovasz_bal', 'deeplabv3')
    )


def costs() -> Iterator[str]:
    both, plain = seconds_on_clothes()
    yield f'with BAL + Lovász took {both:.2f} s'
    yield f'one with cross entropy {plain:.2f} s'


def metrics() -> Iterator[str]:
    calls = named_times('boundary_metric-amd-epyc-x1')
    all_three = [time for name, time in calls.items() if name.endswith('classes present')]
    yield f'take {min(all_three):.0f} to {max(all_three):.0f} ms'
    yield f'they take {calls["19 classes, 1024 x 2048"]:.0f} ms'


def precision() -> Iterator[str]:
    yield f'({AMP.interval("bfloat16", MIOU, 2).replace(" (", ", ")}'
    _, low_high = AMP.interval('bfloat16', BF1, 2).split(' ', 1)
    yield f'{-AMP.gain("bfloat16", BF1):.2f} points lower {low_high}'


def use_pac() -> Iterator[str]:
    pair = f'{millions("deeplabv3_voc")} -> {millions("pac_voc")} million'
    small = saved('parameters', 'pac_camvid_mini', 'deeplabv3_camvid_mini')
    yield f'{share()} fewer parameters ({pair}) and the small one of our study {small}'
    yield f'({SCRATCH.gain("pac", BF1):+.1f} points of boundary F1, ten seeds)'


def add_the_loss() -> Iterator[str]:
    bf1 = SCRATCH.gain('bal', BF1)
    yield f'costs {-BESIDE.gain("lovasz_bal"):.1f} mIoU against Lovász alone'
    yield f'then Lovász, {-BESIDE.gain("bal_lovasz_late"):.1f}'
    yield f'gained {SCRATCH.gain("bal"):.1f} mIoU and {bf1:.1f} points of boundary F1'
    for study, where in {NEW_SEEDS: 'on CamVid', LOSSES_ON_CLOTHES: 'on clothes'}.items():
        gain, low, high = (
            study.figure('lovasz_bal', MIOU, name) for name in ('difference', 'low', 'high')
        )
        points = ' mIoU' if study is NEW_SEEDS else ''
        yield f'{gain:.1f}{points} {where} ({low:.1f} to {high:.1f}'
    yield f'{PRETRAINED.gain("bal", TRIMAP):.1f} points of trimap mIoU'
    yield f'{CLOTHES.gain("bal"):.1f} mIoU and {CLOTHES.gain("bal", BF1):.1f} points'


def gallery() -> Iterator[str]:
    first, *others = (PRETRAINED.pair('pac_bal', 'deeplabv3', seed) for seed in range(10))
    assert first > max(others)
    yield f'most of ten seeds ({first:+.1f} mIoU; on average {PRETRAINED.gain("pac_bal"):+.1f})'
    assert not PRETRAINED.decided('pac_bal', BF1)


def deploy() -> Iterator[str]:
    runs = [benchmark(f'deployment-amd-epyc-x{threads}') for threads in (1, 2)]
    times = [{n: t['p50'] for n, t in c['times'].items()} for r in runs for c in r['cases']]
    runtimes = ('OpenVINO', 'onnxruntime')
    pac, five = (
        [[case[f'{name} | {form}'] for name in runtimes] for case in times]
        for form in ('PAC, exported', 'five convolutions')
    )
    yield 'takes {:.0f} and {:.0f} ms at 33x33'.format(*(1e3 * t for t in pac[0]))
    factors = [f / p for case in (0, 1) for f, p in zip(five[case], pac[case], strict=True)]
    yield 'five convolutions {:.0f} and {:.0f} ms: '.format(*(1e3 * t for t in five[0])) + (
        f'{min(factors):.1f} to {max(factors):.1f} times as long'
    )
    scores = runs[0]['model']['mIoU']
    eight = scores.pop('onnxruntime, 8 bits')
    (same,) = {f'{value:.2f}' for value in scores.values()}
    yield f'has the same mIoU in both as in PyTorch, {same}'
    yield f'changes that mIoU by {eight - scores["PyTorch"]:.1f} points'
    cut = [
        100 * (1 - c['onnxruntime | PAC, 8 bits'] / c['onnxruntime | PAC, exported']) for c in times
    ]
    yield f'saves {min(cut):.0f} to {max(cut):.0f} % of'


def pyramid() -> Iterator[str]:
    (case,) = benchmark('traceable-amd-epyc-x1')['cases']
    by_hand, autograd = 'factorized', 'products, differentiated by autograd'
    modes = [case['forward'], case['forward+backward']]
    faster = [m['times'][autograd]['p50'] / m['times'][by_hand]['p50'] for m in modes]
    yield f'{faster[0]:.2f} times as fast forward and {faster[1]:.2f} times with the backward pass'
    held = [[m['memory'][form] / 1e6 for m in modes] for form in (by_hand, autograd)]
    yield 'hold {:.0f} and {:.0f} MB instead of {:.0f} and {:.0f}'.format(*held[0], *held[1])
    by_form, auto = zip(*grid(), strict=True)
    yield f'factorized form {min(by_form):.2f} to {max(by_form):.2f}'
    yield f'took {min(auto):.2f} to {max(auto):.2f} of the time of the convolutions'
    shares = [
        100 * case[mode]['gemm_share']
        for record in records.on_cpus('pyramid_atrous_conv')
        for case in record['results']['cases']
        for mode in ('forward', 'forward+backward')
    ]
    yield f'take {min(shares):.0f} to {max(shares):.0f} % of its time'


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    'README.md': readme,
    'configs/README.md': model_zoo,
    'docs/add_the_loss.md': add_the_loss,
    'docs/benchmarks.md': benchmarks,
    'docs/boundary_metrics.md': metrics,
    'docs/boundary_weights.md': weights,
    'docs/cluster.md': precision,
    'docs/decisions.md': decisions,
    'docs/deploy.md': deploy,
    'docs/gallery.md': gallery,
    'docs/model_card.md': model_card,
    'docs/pyramid_atrous_conv.md': pyramid,
    'docs/results.md': results,
    'docs/study_records.md': study_records,
    'docs/training_costs.md': costs,
    'docs/use_pac.md': use_pac,
}


def plain(text: str) -> str:
    """A page's text in one line, each link as its words."""
    return ' '.join(re.sub(r'\]\([^)]*\)', ']', text).replace('[', '').replace(']', '').split())


def page_text(page: str) -> str:
    return plain((ROOT / page).read_text())


@pytest.mark.parametrize('page', PAGES)
def test_sentences_say_what_the_records_say(page):
    text = page_text(page)
    for sentence in PAGES[page]():
        assert plain(sentence) in text, sentence
