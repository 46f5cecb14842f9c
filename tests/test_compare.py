"Runs side by side: only what was measured is drawn, and a name says what was compared"
import json
import math
import shutil

import pytest

from colt.cli import colt_prune
from colt.compare import kinds_of, missing
from colt.plot import accuracy_traces, compare_figure, run_figure
from colt.runs import RunFolder

FAST = '--arch_type fc1 --end_iter 2 --linear_prune_ratio 0.4 --sparsity 0.9 --controls shuffle'
IMP = dict(prune_type='lth', partition=1)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "Three runs: a COLT run with every ticket evaluated, the same without, and its matched baseline"
    out = tmp_path_factory.mktemp('made')
    for line in f'{FAST} --evaluate each --name each', f'{FAST} --name last', '--match last --name matched':
        assert colt_prune([*line.split(), '--out', str(out)]) == 0
    return out


@pytest.fixture
def runs(made, tmp_path, monkeypatch):
    "A copy of them in `runs`, in the current folder"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path/'runs')
    return tmp_path/'runs'


def write_records(folder, rows): (folder/'cycles.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))


def alike(runs, name, like, seed=0, change=lambda r: r, **settings):
    "A run like another one, as if it had been made with these settings; `change` says what was measured"
    folder = runs/name
    shutil.copytree(runs/like, folder)
    about = json.loads((folder/'recipe.json').read_text())
    about['recipe'] |= dict(seed=seed, **settings)
    (folder/'recipe.json').write_text(json.dumps(about))
    write_records(folder, [change(r) for r in RunFolder(folder).records()])
    return RunFolder(folder)


def ticket(accuracy): return dict(valid_accuracy=accuracy, test_accuracy=accuracy)
def always(accuracy): return lambda r: r | dict(ticket=ticket(accuracy))


def joined(traces, place_of):
    "Pairs of cycles that lines join, and cycles that have a point; `place_of` says where a cycle is on the axis"
    pairs, points = set(), set()
    for trace in traces:
        where = [None if x is None else min(place_of, key=lambda n: abs(place_of[n] - x)) for x in trace.x]
        points |= {n for n in where if n is not None}
        if 'lines' in trace.mode: pairs |= {pair for pair in zip(where, where[1:]) if None not in pair}
    return pairs, points


@pytest.mark.parametrize('evaluated', [{0, 4}, {0, 1, 3, 4}, {1}, {0, 2, 4}, {0, 1, 2, 3, 4}, set()])
def test_only_tickets_of_consecutive_cycles_are_joined(runs, evaluated):
    "In the picture of a run, and in that of a comparison, for one seed and for the mean of three"
    def measured(n):
        found = ticket(.9 - .01*n) if n in evaluated else None
        return dict(cycle=n, sparsity=1 - .6**n, controls={}, ticket=found)
    first = alike(runs, 'first', 'each')
    write_records(first.path, [first.records()[-1] | measured(n) for n in range(5)])
    three = [first, *(alike(runs, f'first-{s}', 'first', seed=s) for s in (1, 2))]
    expected = {(n, n + 1) for n in evaluated if n + 1 in evaluated}, evaluated
    for traces in accuracy_traces(first.records()), run_figure(first).data:
        shown = [t for t in traces if t.name == 'ticket, whole task']
        assert joined(shown, {n: n for n in range(5)}) == expected
    place_of = {n: -math.log10(.6**n) for n in range(5)}
    for group in [first], three:
        panel = [t for t in compare_figure(kinds_of(group)).data if t.yaxis == 'y' and not t.name and t.fill is None]
        assert joined(panel, place_of) == expected


def test_no_axis_of_accuracies_goes_beyond_100(runs):
    def perfect(r): return r | dict(ticket=ticket(1.), parts=[p | dict(test_accuracy=1.) for p in r['parts']])
    best = alike(runs, 'best', 'each', change=perfect)
    wide = [alike(runs, f'wide-{s}', 'each', seed=s, lr=.5, change=always(1. if s else .2)) for s in range(3)]
    for figure in run_figure(best), compare_figure(kinds_of([best])), compare_figure(kinds_of(wide)):
        low, high = figure.layout.yaxis.range
        assert 0 <= low < high <= 100
        lines = [t for t in figure.data if t.type == 'scatter' and t.yaxis == 'y']
        points = [t for t in lines if t.fill is None and t.x != (None,)]
        assert points and all(t.cliponaxis is False for t in points)   # a mark at 100 is seen whole


def test_groups_are_named_by_their_method_and_by_what_tells_them_apart(runs):
    settings = {
        'a': {}, 'b': dict(partition=3), 'c': dict(lr=.5), 'd': IMP, 'e': IMP | dict(match='a'),
        'f': IMP | dict(match='c'), 'g': dict(partition_by='random'), 'h': dict(overlap='any')}
    made = {name: alike(runs, name, 'each', **changes) for name, changes in settings.items()}
    def names(chosen): return [k.name for k in kinds_of([made[n] for n in chosen])]
    usual = f"lr {made['a'].recipe.lr:g}"
    assert names('ade') == ['COLT', 'IMP', 'IMP matched']
    assert names('abd') == ['COLT, 2 partitions', 'COLT, 3 partitions', 'IMP']
    assert names('ac') == [f'COLT, {usual}', 'COLT, lr 0.5']
    assert names('ag') == ['COLT, partitions by class', 'COLT, random partitions']
    assert names('ah') == ['COLT, overlap all', 'COLT, overlap any']
    assert names('ef') == [f'IMP matched, to a run with {usual}', 'IMP matched, to a run with lr 0.5']
    several = ['COLT', 'COLT, 3 partitions', 'COLT, lr 0.5', 'COLT, random partitions', 'COLT, overlap any']
    assert names('abcgh') == several and len({*names(settings)}) == len(settings)
    made['i'] = alike(runs, 'again', 'each', lr=.5*(1 + 1e-12))        # nothing that can be read tells it from c
    assert names('ci') == ['COLT, c', 'COLT, again']


def test_missing_names_only_tickets_that_are_compared(runs):
    kinds = kinds_of([RunFolder(runs/'last'), RunFolder(runs/'matched')])
    records = kinds[0].runs[0].records()
    for levels in (0,), (.3,), (0, .3, .5), (.999,):
        compared = {next((n for n, r in enumerate(records) if r['sparsity'] >= level), 0) for level in levels}
        wanted = [n for n in sorted(compared) if records[n]['ticket'] is None]
        expected = [('last', wanted)] if wanted else []
        assert [(run.path.name, cycles) for run, cycles in missing(kinds, levels)] == expected
