"The number of threads: kept with a run, followed by every training of it, and never left behind"
import os
import subprocess
import sys

import pytest
import torch

from colt.cli import colt_prune, colt_transfer
from colt.panel.worker import Worker
from colt.plans import plan
from colt.records import RunFolder
from colt.runs import execute, create_run, resume_run
from colt.threads import using_threads
from colt.recipe import Recipe

RECIPE = Recipe.default('fc1', linear_prune_ratio=.5, end_iter=1, sparsity=None, max_cycles=1)
SPY = '''
import os, sys
class Spy:
    def find_spec(self, name, *_):
        if name == 'torch':
            print(os.environ.get('GOMP_SPINCOUNT'), end=' ')
            if 'stop' in sys.argv: sys.exit(print('torch'))
sys.meta_path.insert(0, Spy())
exec(sys.argv[1])
print(os.environ.get('GOMP_SPINCOUNT'))'''


DOORS = 'from colt.cli import colt_prune', 'import colt.cli.training', 'from colt.cli.compare import colt_compare', 'import colt.cli.transfer'


def seen_by(door, given, *stop):
    "What the environment says when torch is loaded, and in the end; `stop` ends it there, which takes no seconds"
    clean = {k: v for k, v in os.environ.items() if k not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    return subprocess.run([sys.executable, '-c', SPY, door, *stop], env=clean | given, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(('given', 'told'), [({}, '1000 1000'), ({'GOMP_SPINCOUNT': '7'}, '7 7'), ({'OMP_WAIT_POLICY': 'active'}, 'None None')])
def test_commands_set_the_environment_before_torch_is_loaded_and_obey_what_is_set(given, told):
    assert seen_by(DOORS[0], given) == told


@pytest.mark.parametrize('door', DOORS[1:])
def test_so_does_every_room_of_the_commands(door): assert seen_by(door, {}, 'stop') == '1000 torch'


@pytest.mark.parametrize('door', ['import colt.cli', 'from colt.cli import lab_parser; lab_parser()'])
def test_the_door_sets_it_without_torch(door): assert seen_by(door, {}) == '1000'


def files(run): return {p.relative_to(run.path): p.read_bytes() for kind in ('tickets', 'votes') for p in (run.path/kind).iterdir()}


def test_every_training_of_a_run_follows_its_number_and_leaves_the_program_as_it_was(tmp_path):
    seen = set()
    def look(event): seen.add(torch.get_num_threads())
    late = Recipe.default('fc1', linear_prune_ratio=.5, end_iter=2, sparsity=None, max_cycles=1, rewind='2', controls='shuffle')
    with using_threads(1):
        run = create_run(plan(late), tmp_path/'run', threads=3)
        for _ in execute(plan(late), run, look): assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert seen == {3} and run.threads == 3
    assert [run.ticket(n).meta['versions']['threads'] for n in (0, 1)] == ['3', '3']


def test_a_resumed_run_has_as_many_threads_as_it_began_with(tmp_path, recwarn):
    with using_threads(2): whole = create_run(plan(RECIPE), tmp_path/'whole', threads=2)
    list(execute(plan(RECIPE), whole))
    broken = create_run(plan(RECIPE), tmp_path/'broken', threads=2)
    next(execute(plan(RECIPE), broken))
    with using_threads(1): list(execute(plan(RECIPE), resume_run(plan(RECIPE), broken.path)))
    assert files(broken) == files(whole) and not recwarn.list
    with pytest.warns(UserWarning, match='may differ in its last bits'): resume_run(plan(RECIPE), broken.path, threads=1)
    assert RunFolder(broken.path).threads == 1
    resume_run(plan(RECIPE), broken.path)                                 # said once


def test_runs_with_other_numbers_can_alternate(tmp_path):
    "Step by step in one thread, and batch by batch in two"
    apart = [create_run(plan(RECIPE), tmp_path/f'apart-{n}', threads=n) for n in (1, 2)]
    for run in apart: list(execute(plan(RECIPE), run))
    steps = [create_run(plan(RECIPE), tmp_path/f'steps-{n}', threads=n) for n in (1, 2)]
    for _ in zip(*(execute(plan(RECIPE), run) for run in steps), strict=False): pass
    for run in steps: list(execute(plan(RECIPE), run))
    played, seen = [create_run(plan(RECIPE), tmp_path/f'played-{n}', threads=n) for n in (1, 2)], [set(), set()]
    def work(i):
        def look(event, report):
            seen[i].add(torch.get_num_threads())
            report(event)
        return lambda report: execute(plan(RECIPE), played[i], lambda event: look(event, report))
    before, workers = torch.get_num_threads(), [Worker(work(i)) for i in (0, 1)]
    for w in workers: w.start()
    for w in workers: w.wait()
    assert seen == [{1}, {2}] and torch.get_num_threads() == before
    assert [files(r) for r in apart] == [files(r) for r in steps] == [files(r) for r in played]


def test_the_flag_says_how_many_and_a_transfer_has_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = '--arch_type fc1 --end_iter 1 --linear_prune_ratio 0.5 --max_cycles 0 --evaluate no --name run'
    assert colt_prune([*line.split(), '--threads', '2']) == 0 and RunFolder('runs/run').threads == 2
    assert 'threads        2' in capsys.readouterr().out
    assert colt_prune('--resume --name run --max_cycles 1'.split()) == 0 and capsys.readouterr().err == ''
    assert colt_transfer('--from run --cycle 0 --end_iter 1 --threads 3 --name there'.split()) == 0 and RunFolder('runs/there').threads == 3
    capsys.readouterr()
    assert colt_prune([*line.split(), '--threads', '0']) == 2 and '--threads 0' in capsys.readouterr().err
    assert colt_prune(['--threads', '1000', '--dry_run']) == 0
    assert capsys.readouterr().err.startswith('colt-prune: warning: --threads 1000: this machine has ')


def test_what_was_given_is_the_most(tmp_path):
    with using_threads(1): assert create_run(plan(RECIPE), tmp_path/'one').threads == 1
