"Whether a run goes on, and if not why: `cycles` decides, and lab, figures and command say the same of every cycle"
import json
import re
import shlex
import shutil
import socket
from functools import cache

import ipywidgets
import numpy as np
import pytest

from colt.cli import colt_prune, colt_transfer, parser
from colt.cycle import Collapse, cycles
from colt.data import load, to_download
from colt.files import seal
from colt.panel import Lab
from colt.panel.session import Session
from colt.plot import budget, cycle_figure, in_danger, run_figure
from colt.plot.again import notices_of
from colt.plans import plan
from colt.records import RunFolder, ending_of
from colt.runs import execute, create_run
from colt.recipe import Recipe

# The convolutions of lenet5 on digits, one epoch a network: 2,550 weights in two layers, five cycles in half a second.
# At a high learning rate the networks disagree; four in five weights are pruned, so that a layer is soon at its last.
SHARED = '--arch_type lenet5 --end_iter 1 --lr 0.1 --evaluate no --linear_prune_ratio 0 --device cpu'
RUNS = {'target': '--conv_prune_ratio 0.8 --sparsity 0.95',
        'rate': '--conv_prune_ratio 0.8 --final_prune_rate 14',
        'rounds': '--conv_prune_ratio 0.8 --overlap any --max_cycles 2',
        'all': '--conv_prune_ratio 0.8 --seed 1 --sparsity 0.998',
        'any': '--conv_prune_ratio 0.8 --seed 1 --sparsity 0.998 --overlap any',
        'two': '--conv_prune_ratio 0.8 --seed 1 --sparsity 0.998 --partition 3 --overlap 2',
        'random': '--conv_prune_ratio 0.8 --seed 1 --sparsity 0.998 --partition 3 --overlap 2 --partition_by random',
        'same': '--conv_prune_ratio 0.001 --sparsity 0.2 --partition 3 --overlap any',
        'same two': '--conv_prune_ratio 0.0005 --sparsity 0.2 --partition 3 --overlap 2',
        'matched': '--match target', 'matched any': '--match any', 'lost': '--match leader'}
FINISHED = {'sparsity', 'final_prune_rate', 'max_cycles', 'match'}


def flags(name): return (RUNS[name] if '--match' in RUNS[name] else f'{SHARED} {RUNS[name]}').split()


@pytest.fixture(scope='module')
def digits(): return load('digits')


@pytest.fixture(scope='module')
def out(tmp_path_factory):
    "A folder with all of these runs, each as far as it gets"
    out = tmp_path_factory.mktemp('one')
    def prune(*words): return colt_prune([*words, '--out', str(out)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('colt.plot.save_report', lambda *_: None)              # nobody reads them here; see figures_say
        patch.setattr('colt.cli.prune.parser', cache(parser))                     # a tenth of a second, a hundred times
        assert prune(*f'{SHARED} --conv_prune_ratio 0.4 --max_cycles 1 --name leader'.split()) == 0
        for name in RUNS: assert prune(*flags(name), '--name', name.replace(' ', '-')) in (0, 1)
        assert prune(*'--resume --name leader --max_cycles 2'.split()) == 0 # whoever follows it loses its way
        yield out
    ipywidgets.Widget.close_all()


class WouldTrain(Exception): pass
def would_train(*_): raise WouldTrain


def truth(run, n, match, digits):
    "What `cycles` does after cycle `n`: `goes on`, `finished`, `collapse` or `off path`"
    recipe, start = run.recipe, run.cycle(n)
    p = plan(recipe, digits, match)
    try: list(cycles(p.net, p.partitions, recipe, start, would_train, match))
    except WouldTrain: return 'goes on'
    except Collapse: return 'collapse'
    except ValueError as e:
        assert 'match' in str(e)
        return 'off path'
    return 'finished'


def by_numpy(run, n):
    "What enough votes keep; which layers that leaves empty; whether it is all there was, though votes prune some"
    cycle, overlap = run.cycle(n), run.recipe.overlap
    need = {'all': len(cycle.votes), 'any': 1}.get(overlap) or int(overlap)
    now = {k: m.numpy() for k, m in cycle.mask.items()}
    counts = {k: np.sum([v[k].numpy() for v in cycle.votes], 0) for k in now}
    kept = {k: int((c >= need).sum()) for k, c in counts.items()}
    empty = [k.removesuffix('.weight') for k in now if now[k].any() and not kept[k]]
    same = all(np.array_equal(c >= need, now[k]) for k, c in counts.items())
    return kept, empty, same and any((v[k].numpy() != now[k]).any() for v in cycle.votes for k in now)


def cut(run, n, strip=()):
    "A copy of a run that has come as far as cycle `n`"
    copy = run.path.with_name(f'{run.path.name}-{n}')
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run.path, copy)
    lines = [json.loads(line) for line in (run.path/'cycles.jsonl').read_text().splitlines()[:n + 1]]
    kept = [json.dumps(seal({k: v for k, v in line.items() if k not in strip})) + '\n' for line in lines]
    (copy/'cycles.jsonl').write_text(''.join(kept))
    return RunFolder(copy)


def titles(figure): return ' '.join(a.text for a in figure.layout.annotations)
def files(run): return {p: p.read_bytes() for p in run.path.rglob('*') if p.is_file()}


def to_come(lab): return re.findall('<td>([^<]*)</td>', lab.console.costs.value.split('still to come')[1])[0]


def lab_says(run, what, layers):
    "The buttons and words of the lab, and its figure"
    lab = Lab(run.path)
    notice, on = lab.console.notice.value, what == 'goes on'
    assert [lab.console.step.disabled, lab.console.play.disabled] == [not on]*2
    assert any(word in notice for word in ('Finished: ', 'Target sparsity reached.')) == (what == 'finished')
    assert ('The run can not continue: ' in notice) == (what in ('collapse', 'off path'))
    assert all(n in notice for n in layers)
    assert ('keep no weight of' in titles(lab.live.figure)) == bool(layers)
    assert (to_come(lab) == '0') == (not on)


def session_says(run, what, layers):
    ending = Session(run.recipe, run, run.path.parent).ending
    assert (ending is None, ending is not None and ending.finished) == (what == 'goes on', what == 'finished')
    empty = [n.removesuffix('.weight') for n in ending.layers] if ending else []
    assert empty == (layers if what == 'collapse' else [])
    return ending


def figures_say(run, match, what, kept, layers):
    "The alarm, the report and the budget"
    records = run.records()
    now = {k: sum(counts) for k, counts in records[-1].votes.items()}
    assert records[-1].kept == kept
    at_its_last = {k for k in kept if kept[k] < 2 and kept[k] < now[k]}
    assert {k for k, lasts in in_danger(records[-1]).items() if not lasts} == at_its_last
    for figure in cycle_figure(records), run_figure(records):
        said = titles(figure)
        assert ('keep no weight of' in said) == bool(layers) and all(n in said for n in layers)
        if what == 'goes on': assert 'would' not in said
        if what == 'collapse': assert '⚠ the next mask would' in said or '⚠ no weight was pruned' in said
    left = budget(records, run.recipe, match)['cycles'][1]
    assert (left == 0) == (what != 'goes on')
    if match and what == 'goes on' and run.recipe.sparsity is None: assert left == len(match) - len(records)
    texts = [notice.text for notice in notices_of(run, records)]
    assert any(text.startswith('Not finished') for text in texts) == (what == 'goes on')
    assert any('Pruning could not go on' in text for text in texts) == (what in ('collapse', 'off path'))


def command_says(run, words, n, what, layers, capsys):
    "The command again, and what it would do; neither changes a file"
    before, named = files(run), ['--name', run.path.name, '--out', str(run.path.parent)]
    def said(*more):
        code = colt_prune([*more, *named])
        shown = capsys.readouterr()
        return code, ' '.join((shown.out + shown.err).split())
    state = {'goes on': f'has {n + 1} cycle', 'finished': 'is finished after'}.get(what, 'has ended after')
    for dry in [], ['--dry_run']:
        code, text = said(*words, *dry)
        assert code == (0 if dry else 2) and f'{run.path} {state}' in text.replace("'", '')
        assert ('--resume continues it' in text) == (what == 'goes on') and '--name NAME' in text
        assert all(n in text for n in layers) or what == 'finished'
    code, text = said('--resume', '--dry_run')
    assert code == 0 and (f'would resume {run.path} at cycle {n + 1}' in text) == (what == 'goes on')
    assert (f'would train nothing: {run.path} {state}' in text) == (what != 'goes on')
    assert files(run) == before


@pytest.mark.parametrize('name', RUNS)
def test_all_say_the_same_of_every_cycle(name, out, digits, capsys):
    run = RunFolder(out/name.replace(' ', '-'))
    match = RunFolder(out/run.recipe.match).layers() if run.recipe.match else []
    for n in range(len(run.records())):
        copy = cut(run, n)
        what, (kept, layers, same) = truth(copy, n, match, digits), by_numpy(copy, n)
        if n + 1 < len(run.records()): assert what == 'goes on'             # it did
        if what in ('goes on', 'collapse'): assert (what == 'collapse') == (same or bool(layers))
        ending = session_says(copy, what, layers)
        assert ending == ending_of(copy.records(), copy.recipe, match)
        if ending: assert (ending.why in FINISHED) == (what == 'finished')
        figures_say(copy, match, what, kept, layers)
        lab_says(copy, what, layers)
        command_says(copy, flags(name), n, what, layers, capsys)
    assert what != 'goes on', 'the run was not played to its end'


def test_the_runs_end_in_every_way_and_spare_what_not_all_votes_keep(out):
    runs = {name: RunFolder(out/name.replace(' ', '-')) for name in RUNS}
    layers = {name: RunFolder(out/r.recipe.match).layers() if r.recipe.match else [] for name, r in runs.items()}
    ends = {name: ending_of(r.records(), r.recipe, layers[name]).why for name, r in runs.items()}
    assert {*ends.values()} == FINISHED | {'empty', 'unchanged', 'path'}, ends
    went_on = [row for r in runs.values() for row in r.records()[:-1]]
    spared = [n for row in went_on for n, (all_, _, _) in row.votes.items() if not all_]
    assert len(spared) > 1                                                  # nothing in common, and yet not empty


@pytest.mark.parametrize('name', ['all', 'any', 'two', 'matched'])
def test_lines_of_the_first_version_give_the_same_answer_or_none(name, out):
    run = RunFolder(out/name)
    match = RunFolder(out/run.recipe.match).layers() if run.recipe.match else []
    for n in range(len(run.records())):
        known = ending_of(run.records()[:n + 1], run.recipe, match)
        old = cut(run, n, strip=['kept'])
        session = Session(run.recipe, old, out)
        if name == 'two':                                                   # these lines do not tell what 2 of 3 keep
            assert session.ending is None and old.records()[-1].kept is None and in_danger(old.records()[-1]) == {}
            assert '⚠' not in titles(cycle_figure(old)) and budget(old.records(), run.recipe)['cycles'][1] is None
        else:
            assert session.ending == known and old.records() == run.records()[:n + 1]


@pytest.fixture
def nothing_fetched(monkeypatch, tmp_path):
    "An empty folder of data sets, and no way out"
    def refuse(*_): raise AssertionError('a dry run asked for something elsewhere')
    monkeypatch.setattr(socket.socket, 'connect', refuse)
    monkeypatch.setattr('colt.plans.load', refuse)
    (tmp_path/'data').mkdir()
    yield tmp_path/'data'
    assert not [*(tmp_path/'data').iterdir()]


@pytest.mark.parametrize('dataset', ['digits', 'mnist', 'cifar10', 'cifar100', 'imagenet'])
def test_a_dry_run_loads_nothing(dataset, nothing_fetched, out, capsys):
    size = to_download(dataset, nothing_fetched)
    transfer = f'--from target --dataset2 {dataset} --adapt stem'
    for command, line in (colt_prune, f'--dataset {dataset}'), (colt_transfer, transfer):
        assert command([*line.split(), '--data', str(nothing_fetched), '--out', str(out), '--dry_run']) == 0
        text = capsys.readouterr().out
        assert f'would write {out}' in text
        assert (f'would download {dataset}, {size} MB' in text) == bool(size)


def test_a_dry_run_tells_where_a_transfer_stands(out, capsys):
    place = ['--out', str(out), '--name', 'moved']
    line = ['--from', 'target', '--part2', 'B', '--end_iter', '1', *place]
    def dry(*more, line=line):
        code = colt_transfer([*line, *more, '--dry_run'])
        return code, ' '.join(capsys.readouterr().out.split())
    assert dry()[1].endswith(f'would write {out}/moved')
    assert colt_transfer(line) == 0
    capsys.readouterr()
    moved = RunFolder(out/'moved')
    lines = (moved.path/'cycles.jsonl').read_text().splitlines(keepends=True)
    assert f'would write nothing: {out}/moved is finished: {len(lines)} of {len(lines)} tickets are trained' in dry()[1]
    def lab_says_left(n):
        lab = Lab(moved.path)
        return to_come(lab) == str(n) and ('colt-transfer --resume' in lab.console.notice.value) == (n > 0)
    assert lab_says_left(0)
    (moved.path/'cycles.jsonl').write_text(lines[0])
    assert lab_says_left(len(lines) - 1)
    before = files(moved)
    assert f'would write nothing: {out}/moved has 1 of {len(lines)} tickets trained' in dry()[1]
    assert f'would resume {out}/moved at the ticket of cycle 1' in dry('--resume', line=place)[1]
    assert [dry('--part2', 'A')[0], dry('--part2', 'Z')[0], dry('--resume', '--part2', 'A', line=place)[0]] == [0, 2, 2]
    assert files(moved) == before


@pytest.mark.parametrize('name', ['target', 'rate', 'rounds', 'matched', 'shot'])
def test_a_second_call_and_the_lab_offer_the_way_further_that_the_first_call_offered(name, out, tmp_path, monkeypatch, capsys):
    def said(words):
        assert colt_prune([*words, '--out', str(tmp_path)]) == 0
        return ' '.join(capsys.readouterr().out.split())
    def offered(text): return re.search(r'continue with (colt-prune .* --sparsity [\d.]+)', text)
    place, asked = ['--name', name], {'target': '--sparsity 0.6', 'shot': '--sparsity 0.6 --one_shot', 'rounds': '--sparsity 0.95 --max_cycles 1'}
    if name == 'matched': shutil.copytree(out/'target', tmp_path/'target')
    line = RUNS['matched'] if name == 'matched' else f'{SHARED} --conv_prune_ratio 0.4 {asked.get(name) or RUNS[name]}'
    first, again = offered(said([*line.split(), *place])), offered(said(['--resume', *place]))
    lab = Lab(tmp_path/name)
    monkeypatch.setattr(lab, 'play', lambda: None)
    assert (first is None, again is None, lab.console.go_further.disabled) == (name == 'matched',)*3
    if name == 'matched': return
    words = shlex.split(again[1])
    sparsity = float(words[-1])
    assert f'--resume --sparsity {sparsity} continues it' in said(['--resume', *place, '--dry_run'])
    assert f'would resume {tmp_path}/{name}' in said(['--resume', *place, '--sparsity', words[-1], '--dry_run'])
    assert sparsity >= (lab.recipe.sparsity or 0) and 'Go further continues' in lab.console.notice.value
    lab.go_further()
    ends = lab.recipe.sparsity, lab.recipe.final_prune_rate, lab.recipe.max_cycles
    assert ends == (sparsity, None, None) and not lab.console.step.disabled


def test_a_dry_run_says_how_far_a_run_with_an_end_of_its_own_follows_another(out, capsys):
    cycles = RunFolder(out/'target').records()
    for end in f'--sparsity {cycles[1].sparsity - .01}', '--max_cycles 1':
        assert colt_prune([*f'--match target --name short --dry_run {end}'.split(), '--out', str(out)]) == 0
        said = capsys.readouterr().out
        assert f'to a sparsity of {cycles[1].sparsity:.5f}\n' in said and f'pruning rounds: 1 (that run has {len(cycles) - 1})' in said


def test_who_follows_a_run_learns_where_it_ends_before_anything_is_trained(out, capsys):
    def said(*words): return colt_prune([*words, '--name', 'short', '--dry_run', '--out', str(out)]), capsys.readouterr().err
    cut(RunFolder(out/'target'), 1)
    assert said('--match', 'target') == said('--match', 'target', '--sparsity', '0.95') == (0, '')     # its own target
    assert said('--match', 'target-1') == (0, "colt-prune: warning: 'target-1' is not finished: a run that follows it now ends with its cycle 1\n")
    code, error = said('--match', 'target', '--sparsity', '0.9999')
    reach = RunFolder(out/'target').records()[-1].sparsity
    assert code == 2 and error.endswith(f"out of reach; 'target', which is followed, leads to at most {int(reach*1e5)/1e5}\n")


def test_a_dry_run_of_several_seeds_names_another_run_and_a_folder_that_is_taken(out, tmp_path, capsys):
    shutil.copytree(out/'target', tmp_path/'many-0')
    line = f'{SHARED} {RUNS["target"]} --seeds 0-1 --name many --lr 0.5 --out {tmp_path}'.split()
    assert colt_prune([*line, '--dry_run']) == 0
    text = ' '.join(capsys.readouterr().out.split())
    assert f'seed 0: would train nothing: {tmp_path}/many-0 is another run: lr is 0.5 and was 0.1' in text
    assert f'seed 1: would write {tmp_path}/many-1' in text
    assert colt_prune(line) == 2 and not (tmp_path/'many-1').exists()
    assert 'is another run' in capsys.readouterr().err
    (tmp_path/'many-1').mkdir()
    (tmp_path/'many-1/mine.txt').write_text('mine')
    for one in line, [*flags('target'), '--name', 'many-1', '--out', str(tmp_path)]:
        assert colt_prune([*one, '--dry_run']) == 2
        assert 'is not empty' in capsys.readouterr().err


MISTAKES = ('--sparsity 0.9999999', '--partition 11', '--output_class 7', '--lr 0', '--match nothing', '--out file',
            '--resume --name target --lr 0.3', '--resume --name nothing', '--arch_type fc1 --linear_prune_ratio 0')


@pytest.mark.parametrize('line', MISTAKES)
def test_a_mistake_is_a_mistake_in_a_dry_run_too(line, out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'file').write_text('')
    assert colt_prune([*([] if '--out' in line else ['--out', str(out)]), *line.split(), '--dry_run']) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_a_run_with_one_network_and_any_vote_ends_as_with_all(tmp_path, digits):
    short = dict(end_iter=1, evaluate='no', linear_prune_ratio=.8, sparsity=.95)
    recipe = Recipe.default('fc1', prune_type='lth', overlap='any', **short)
    p = plan(recipe, digits)
    rows = list(execute(p, create_run(p, tmp_path/'one')))
    assert [ending_of(rows[:n + 1], recipe) is None for n in range(len(rows))] == [True]*(len(rows) - 1) + [False]
