"Runs side by side: only what was measured is drawn, nothing is claimed of too few seeds, nothing older is overwritten"
import csv
import json
import math
import os
import re
import shutil
from dataclasses import replace

import pytest
from torch import nn

import colt.cli.compare
from colt.cli import colt_compare, colt_prune, compare_parser, lab_parser, parser, transfer_parser
from colt.compare import group_replicates, missing
from colt.data import load
from colt.files import seal
from colt.plot import accuracy_traces, compare_figure, run_figure
from colt.plot.charts import accuracy_chart, comparison_charts
from colt.plot.report import comparison_page
from colt.plot.style import split_at_gaps
from colt.plot.svg import TOP, as_text
from colt.plans import plan
from colt.records import Accuracy, RunFolder
from colt.resume import runs_in
from colt.runs import execute, create_run

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


@pytest.fixture
def compare(capsys):
    "The command: exit code, what was said, what was complained of"
    def run(line):
        capsys.readouterr()
        try: code = colt_compare(line.split())
        except SystemExit as e: code = e.code
        return code, *capsys.readouterr()
    return run


@pytest.fixture
def trained(monkeypatch):
    "The tickets that the command trains"
    found, evaluate_ticket = [], colt.cli.compare.evaluate_ticket
    def watched(plan, folder, n, report=None):
        found.append((folder.path.name, n))
        return evaluate_ticket(plan, folder, n, report)
    monkeypatch.setattr(colt.cli.compare, 'evaluate_ticket', watched)
    return found


def write_records(folder, records): (folder/'cycles.jsonl').write_text(''.join(json.dumps(r.line()) + '\n' for r in records))


def alike(runs, name, like, seed=0, change=lambda r: r, **settings):
    "A run like another one, as if it had been made with these settings; `change` says what was measured"
    folder = runs/name
    shutil.copytree(runs/like, folder)
    about = json.loads((folder/'recipe.json').read_text())
    about['recipe'] |= dict(seed=seed, **settings)
    records = RunFolder(folder).records()
    (folder/'recipe.json').write_text(json.dumps(seal(about)))
    made = RunFolder(folder).recipe.id
    write_records(folder, [replace(change(r), recipe=made) for r in records])
    return RunFolder(folder)


def ticket(accuracy): return Accuracy(accuracy, accuracy)
def always(accuracy): return lambda r: replace(r, ticket=ticket(accuracy))
def bytes_of(folder): return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}
def accuracies_of(records): return [(r.ticket, r.controls) for r in records]


def table_of(text):
    "The cells of each line of the table that the command printed"
    return [re.split(r'\s{2,}', line.strip()) for line in text.splitlines() if re.match(r' *[\d.]+ %  ', line)]


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
    write_records(first.path, [replace(first.records()[-1], **measured(n)) for n in range(5)])
    three = [first, *(alike(runs, f'first-{s}', 'first', seed=s) for s in (1, 2))]
    expected = {(n, n + 1) for n in evaluated if n + 1 in evaluated}, evaluated
    for traces in accuracy_traces(first.records()), run_figure(first).data:
        shown = [t for t in traces if t.name == 'ticket, whole task']
        assert joined(shown, {n: n for n in range(5)}) == expected
    place_of = {n: -math.log10(.6**n) for n in range(5)}
    for group in [first], three:
        panel = [t for t in compare_figure(group_replicates(group)).data if t.yaxis == 'y' and not t.name and t.fill is None]
        assert joined(panel, place_of) == expected
        stretches = split_at_gaps((n,) for n in sorted(evaluated))
        alone = sum(len(stretch) == 1 for stretch in stretches)
        if not evaluated: continue
        drawn = as_text(comparison_charts(group_replicates(group))[0].drawing)
        intervals = [drawn.count(f'opacity="{opacity}"') for opacity in (.15, .45)] # bands, and bars of single means
        assert intervals == ([len(stretches) - alone, alone] if group is three else [0, 0])


def test_no_axis_of_accuracies_goes_beyond_100(runs):
    def perfect(r): return replace(r, ticket=ticket(1.), partitions=tuple(replace(p, test_accuracy=1.) for p in r.partitions))
    best = alike(runs, 'best', 'each', change=perfect)
    wide = [alike(runs, f'wide-{s}', 'each', seed=s, lr=.5, change=always(1. if s else .2)) for s in range(3)]
    for figure in run_figure(best), compare_figure(group_replicates([best])), compare_figure(group_replicates(wide)):
        low, high = figure.layout.yaxis.range
        assert 0 <= low < high <= 100
        lines = [t for t in figure.data if t.type == 'scatter' and t.yaxis == 'y']
        points = [t for t in lines if t.fill is None and t.x != (None,)]
        assert points and all(t.cliponaxis is False for t in points)   # a mark at 100 is seen whole
    for chart in accuracy_chart(best.records()), *(comparison_charts(group_replicates(runs))[0] for runs in ([best], wide)):
        drawn = as_text(chart.drawing)
        highest = re.search(r'y="([\d.]+)" text-anchor="end"[^>]*>100 %<', drawn)[1]
        ends = re.findall(r'[ML][\d.]+,([\d.]+)', ' '.join(re.findall(r' d="(M\d+\.\d,[^"]*L[^"]*)"', drawn))) # of lines and bands
        assert float(highest) == TOP + 4 and min(map(float, ends)) >= TOP


def test_a_page_names_the_seeds_whose_last_ticket_was_evaluated(runs):
    for seed in range(3): alike(runs, f'seed-{seed}', 'each', seed=seed)
    def page(): return comparison_page(group_replicates([RunFolder(runs/f'seed-{seed}') for seed in range(3)])).decode()
    assert '3 seeds, each with its last ticket' in page()
    lacking = RunFolder(runs/'seed-2')
    write_records(lacking.path, [*lacking.records()[:-1], replace(lacking.records()[-1], ticket=None, controls={})])
    assert '2 seeds, each with its last ticket' in page() and 'Too few seeds for an interval' in page()
    assert 'compared with anything' not in page()


def test_groups_are_named_by_their_method_and_by_what_tells_them_apart(runs):
    settings = {
        'a': {}, 'b': dict(partition=3), 'c': dict(lr=.5), 'd': IMP, 'e': IMP | dict(match='a'),
        'f': IMP | dict(match='c'), 'g': dict(partition_by='random'), 'h': dict(overlap='any')}
    made = {name: alike(runs, name, 'each', **changes) for name, changes in settings.items()}
    def names(chosen): return [k.name for k in group_replicates([made[n] for n in chosen])]
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


@pytest.mark.parametrize('n', [1, 2, 5])
def test_fewer_than_three_seeds_have_points_and_no_interval(runs, compare, n):
    accuracies = [.97, .93, .95, .96, .94][:n]
    for s, accuracy in enumerate(accuracies):
        alike(runs, f'colt-{s}', 'each', seed=s, change=always(accuracy))
        alike(runs, f'imp-{s}', 'each', seed=s, change=always(accuracy), **IMP)
    names = [f'{method}-{s}' for method in ('colt', 'imp') for s in range(n)]
    code, out, err = compare(' '.join(names) + ' --at 0')
    mine, other = table_of(out)
    assert (code, err, mine[1:3], other[1:3]) == (0, '', ['COLT', str(n)], ['IMP', str(n)])
    page = next(runs.glob('compare-colt-0*/compare.html')).read_text()
    figure = compare_figure(group_replicates([RunFolder(runs/name) for name in names]))
    panel = [t for t in figure.data if t.yaxis == 'y' and t.legendgroup == 'COLT' and not t.name]
    points = sorted({round(t.y[0], 6) for t in panel if t.fill is None})
    if n < 3:
        assert 'too few seeds' in mine[5] and '±' not in out and other[-1] == 'too few seeds'
        assert points == sorted(100*a for a in accuracies) and not any(t.fill for t in panel)
        assert all('too few seeds' in text for t in panel for text in t.hovertext)
        assert ('COLT (1 seed: too few seeds)' if n == 1 else 'COLT (2 seeds: too few seeds)') in page
    else:
        half = 2.7764451*.0158113883/5**.5                             # t for 4 degrees of freedom, and their deviation
        assert mine[5] == f'95.00 % ± {100*half:.2f}' and other[-1] == 'no significant difference'
        assert points == [95.] and any(t.fill for t in panel) and 'COLT (5 seeds)' in page


def has_new_report(run): return (run.path/'report.html').stat().st_mtime_ns > (run.path/'cycles.jsonl').stat().st_mtime_ns


def test_fill_trains_what_is_missing_to_the_same_numbers(runs, compare, trained):
    "... as `--evaluate each`, controls too; and nothing twice"
    whole, last = RunFolder(runs/'each').records(), RunFolder(runs/'last')
    records, before = last.records(), bytes_of(runs)
    wanted = sorted({next(n for n, r in enumerate(records) if r.sparsity >= level) for level in (.3, .7)})
    assert all(records[n].ticket is None for n in wanted) and {0, *wanted, len(records) - 1} < {*range(len(records))}
    line = 'last matched --at 0,0.3,0.7'

    code, out, err = compare(f'{line} --save seen')
    assert (code, err, trained) == (0, '', []) and '--fill' in out and 'not evaluated' in out

    code, out, err = compare(f'{line} --fill --dry_run')
    assert (code, err, trained) == (0, '', []) and f'{2*len(wanted)} trainings' in out
    assert bytes_of(runs) == before

    code, out, err = compare(f'{line} --fill')
    assert (code, err, trained) == (0, '', [('last', n) for n in wanted]) and 'not evaluated' not in out
    assert out.index(f'{2*len(wanted)} trainings') < out.index(f'last, cycle {wanted[0]}:') < out.index('method')
    expected = [whole[n] if n in wanted else r for n, r in enumerate(records)]
    assert accuracies_of(last.records()) == accuracies_of(expected)
    def rest(records): return [replace(r, ticket=None, controls={}, files={k: v for k, v in r.files.items() if k not in ('models', 'correct')}) for r in records]
    assert rest(last.records()) == rest(records)
    after = bytes_of(runs)
    assert {p for p in before if after[p] != before[p]} == {'last/cycles.jsonl', 'last/report.html'}
    rows = csv.DictReader((runs/'compare-last-matched/compare.csv').open())
    filled = {int(r['cycle']): r['test_accuracy'] for r in rows if r['run'].endswith('last')}
    assert all(float(filled[n]) == whole[n].ticket.test_accuracy for n in wanted)

    trained.clear()
    os.utime(runs/'last/report.html', (0, 0))                          # as if the process was killed before it wrote the report
    code, out, err = compare(f'{line} --fill')
    assert (code, err, trained) == (0, '', []) and 'nothing to train' in out and has_new_report(last)
    assert (runs/'last/cycles.jsonl').read_bytes() == after['last/cycles.jsonl']


def test_fill_looks_for_mistakes_before_it_trains(runs, compare, trained):
    alike(runs, 'other', 'last', seed=3)                               # says so, and has the images and the θ0 of seed 0
    alike(runs, 'gone', 'last', device='cuda:7')
    (runs/'each/compare.csv').write_text('older')
    before = bytes_of(runs)
    mistakes = {
        'last other': 'other data', 'last gone': 'cuda:7, which is not here',
        'last --save runs/each': 'nothing is overwritten', 'last --data nowhere': 'not a folder'}
    for line, told in mistakes.items():
        code, out, err = compare(f'{line} --fill')
        assert code == 2 and err.count('\n') == 1 and told in err and trained == [], (line, out, err)
    assert bytes_of(runs) == before


def test_fill_needs_no_other_run(runs, compare, trained):
    alike(runs, 'imp', 'matched', change=lambda r: replace(r, ticket=None, controls={}, files={}))
    shutil.rmtree(runs/'last')
    code, out, err = compare('imp --at 0 --fill')
    assert (code, err, trained) == (0, '', [('imp', 0)]), (out, err)


def test_an_interrupted_fill_keeps_what_it_has(runs, compare, monkeypatch):
    evaluate_ticket, calls = colt.cli.compare.evaluate_ticket, []
    def interrupted(plan, folder, n, report=None):
        calls.append(n)
        if len(calls) == 2: raise KeyboardInterrupt
        return evaluate_ticket(plan, folder, n, report)
    monkeypatch.setattr(colt.cli.compare, 'evaluate_ticket', interrupted)
    code, _, err = compare('last --at 0.3,0.7 --fill')
    assert code == 1 and err == 'colt-compare: interrupted; what was trained is kept: the same command continues\n'
    first, second = calls
    assert [RunFolder(runs/'last').records()[n].ticket is None for n in calls] == [False, True]
    assert not list(runs.glob('compare-*')) and has_new_report(RunFolder(runs/'last'))
    assert compare('last --at 0.3,0.7 --fill')[::2] == (0, '') and calls == [first, second, second]


def test_a_network_of_ones_own_is_named_and_the_others_are_filled(runs, compare, trained):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.head = nn.Linear(64, 40), nn.Linear(40, 5)
        def forward(self, x): return self.head(self.a(x.flatten(1)).relu())
    short = dict(controls='', end_iter=1, warmup=0, sparsity=None, max_cycles=1)
    p = plan(replace(RunFolder(runs/'last').recipe, arch='mine', **short), load('digits'), net=Own())
    list(execute(p, create_run(p, runs/'mine')))
    code, out, _ = compare('last mine --at 0.3 --fill')
    told, = (line for line in out.splitlines() if "can't be filled" in line)
    assert code == 0 and 'mine, cycle 1' in told and 'last' not in told and {name for name, _ in trained} == {'last'}
    assert RunFolder(runs/'mine').records()[1].ticket is None and 'not evaluated: mine, cycle 1' in out


def test_a_comparison_lands_in_a_new_folder_and_overwrites_nothing(runs, compare, tmp_path):
    (runs/'compare-each').write_text('a file of this name')
    (runs/'compare-each-2').mkdir()                                    # what is left of an older one
    here = sorted(p.name for p in tmp_path.iterdir())
    for name in 'compare-each-3', 'compare-each-4':
        code, out, err = compare('each --at 0,0.5')
        assert (code, err) == (0, '') and f'runs/{name}/compare.html' in out
        assert sorted(p.name for p in (runs/name).iterdir()) == ['compare.csv', 'compare.html']
    assert compare('each --dry_run')[1].strip().endswith('runs/compare-each-5') and not (runs/'compare-each-5').exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == here
    assert (runs/'compare-each').read_text() == 'a file of this name'
    assert [f.path.name for f in runs_in('runs')] == ['each', 'last', 'matched']      # a comparison is no run


def test_save_makes_its_folder_and_refuses_one_that_has_a_comparison(runs, compare, tmp_path):
    folder = tmp_path/'deep/down/here'
    assert compare('each --at 0.5 --save deep/down/here')[0] == 0
    assert sorted(p.name for p in folder.iterdir()) == ['compare.csv', 'compare.html']
    assert not list(runs.glob('compare-*'))
    page = (folder/'compare.html').read_text()
    assert '>50 %</td>' in page and '>90 %</td>' not in page     # the levels that were asked for
    before = bytes_of(tmp_path)
    for place in 'deep/down/here', 'deep/down/here/compare.csv', 'deep/down/here/compare.csv/below':
        code, out, err = compare(f'each --save {place}')
        assert code == 2 and out == '' and err.count('\n') == 1, (place, out, err)
    assert bytes_of(tmp_path) == before
    (folder/'compare.html').unlink()
    assert compare('each --save deep/down/here')[0] == 2               # the older compare.csv is reason enough


def test_missing_names_only_tickets_that_are_compared(runs):
    groups = group_replicates([RunFolder(runs/'last'), RunFolder(runs/'matched')])
    records = groups[0].runs[0].records()
    for levels in (0,), (.3,), (0, .3, .5), (.999,):
        compared = {next((n for n, r in enumerate(records) if r.sparsity >= level), 0) for level in levels}
        wanted = [n for n in sorted(compared) if records[n].ticket is None]
        expected = [('last', wanted)] if wanted else []
        assert [(run.path.name, cycles) for run, cycles in missing(groups, levels)] == expected


def test_help_has_one_per_cent_sign_wherever_one_is_meant(monkeypatch):
    monkeypatch.setenv('COLUMNS', '1000')                              # nothing is wrapped
    for make in parser, transfer_parser, compare_parser, lab_parser:
        shown, actions = make().format_help(), make()._actions
        assert '%%' not in shown and '%(' not in shown
        for action in actions:
            meant = (action.help or '').replace('%(default)s', str(action.default)).replace('%%', '%')
            assert meant in shown, action.option_strings
    assert 'with a 95 % interval' in compare_parser().format_help()
