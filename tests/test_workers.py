"Trainings side by side: the same bits as in turn, whichever process dies"
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import context

import numpy as np
import psutil
import pytest
import sets
from conftest import COMMAND, TOP, need
from falling import digest, fall_once, trained, workers, workers_of
from PIL import Image
from test_notebooks import FRESH, server

from colt.executors import cluster, processes
from colt.models import create
from colt.plans import Origin, plan
from colt.recipe import Recipe
from colt.records import RunFolder
from colt.runs import create_run, execute

FLAGS = '--arch_type fc1 --dataset fashionmnist --linear_prune_ratio .3 --sparsity .99 --end_iter 3 --batch_size 5 --max_cycles 3 --controls shuffle --threads 1'
RECIPE = Recipe.default('fc1', 'fashionmnist', linear_prune_ratio=.3, sparsity=.99, end_iter=3, batch_size=5, max_cycles=3, controls='shuffle')


@pytest.fixture(scope='module')
def few_images(tmp_path_factory):
    "A data set of 100 images: scikit-learn, which has the digits, takes each process a second"
    root = tmp_path_factory.mktemp('data')
    sets.make(root, 'fashionmnist')
    return Origin(str(root))


@pytest.fixture(scope='module')
def in_turn(few_images, tmp_path_factory): return digest(trained(RECIPE, tmp_path_factory.mktemp('in')/'turn', few_images))


@pytest.fixture(scope='module', autouse=True)
def forked():
    "Workers are forked from a process that has imported everything, since each would take seconds for that; those of the command are spawned"
    server()                                                              # now: while workers are started, SIGINT is blocked, and it would stay so
    spawning = context._concrete_contexts['spawn']
    context._concrete_contexts['spawn'] = FRESH
    yield
    context._concrete_contexts['spawn'] = spawning


@pytest.fixture(scope='module')
def side_by_side():
    with processes(2, fall_once) as train: yield train
    assert workers() == []


def test_two_workers_give_the_bits_of_one_after_the_other(in_turn, few_images, side_by_side, tmp_path, recwarn):
    seen = []
    assert digest(trained(RECIPE, tmp_path/'run', few_images, side_by_side, seen.append)) == in_turn
    assert len(workers()) == 2 and not recwarn.list
    assert {event.partition for event in seen} == {'0-4', '5-9', 'ticket', 'control: shuffle'}
    ends = [(event.cycle, event.partition) for event in seen if event.doing == 'test' and event.step == event.steps]
    assert len(ends) == len({*ends}) == 2*(RECIPE.max_cycles + 1) + 2*2


def test_a_training_whose_worker_is_killed_is_done_again(in_turn, few_images, side_by_side, tmp_path):
    with pytest.warns(UserWarning, match=r'cycle 0, .*: its process ended with code -9; this is done again'):
        run = trained(RECIPE, tmp_path/'run', few_images, side_by_side, falls=True)
    assert digest(run) == in_turn


MY_NET = """from torch import nn

def make_net(outputs): return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(192, 20), nn.Dropout(.2), nn.ReLU(), nn.Linear(20, outputs))
"""


def test_a_network_in_a_file_and_pictures_in_a_folder_travel_by_their_place(side_by_side, tmp_path):
    for i in range(210):                                                 # so many that processes would decode them, which a worker may not start
        folder = tmp_path/'pictures'/'abc'[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sets.blob(np.random.default_rng(i), i % 3, 3, 8, 8)).save(folder/f'{i}.png')
    (tmp_path/'my.py').write_text(MY_NET)
    mine = Origin(str(tmp_path/'pictures'), pictures=True, net=f'{tmp_path}/my.py:make_net')
    recipe = replace(RECIPE, arch='Sequential', dataset='pictures', valid=.3, partition_by='random', max_cycles=1, evaluate='each')
    alone, both = (trained(recipe, tmp_path/name, mine, train) for name, train in (('alone', None), ('both', side_by_side)))
    assert digest(alone) == digest(both)
    assert alone.records()[-1].controls and alone.records()[-1].sparsity > .3


SPAWNED = """if __name__ == '__main__':
    from colt.workers import _Process
    process = _Process()
    print(process.receive())
    process.pipe.close()
    process.process.join()
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason='an older Python always looks into the current folder')
def test_a_worker_begins_without_the_files_of_the_current_folder(tmp_path):
    (tmp_path/'program').mkdir()
    (tmp_path/'program/script.py').write_text(SPAWNED)
    (tmp_path/'socket.py').write_text("raise SystemExit('a file of the current folder was run')")
    done = subprocess.run([sys.executable, 'program/script.py'], cwd=tmp_path, env=os.environ | {'PYTHONPATH': str(TOP)},
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ('ready\n', '')


def test_a_network_in_memory_is_trained_in_turn(few_images, side_by_side, tmp_path):
    p = plan(RECIPE, few_images.root, net=create('fc1', 5, (1, 28, 28)))
    with pytest.warns(UserWarning, match='trained in turn'):
        record = next(execute(p, create_run(p, tmp_path/'own', threads=1), train=side_by_side))
    assert record.cycle == 0


def test_an_interrupt_saves_the_states_and_leaves_no_process(in_turn, few_images, side_by_side, tmp_path):
    def interrupt(event):
        if event.cycle < 1: return
        for worker in workers(): worker.send_signal(signal.SIGINT)     # as a terminal does; they are deaf to it
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): trained(RECIPE, tmp_path/'run', few_images, side_by_side, interrupt)
    assert workers() == [] and list((tmp_path/'run/partial').glob('1-part-*.safetensors'))
    assert digest(trained(RECIPE, tmp_path/'run', few_images)) == in_turn


def test_a_cluster_that_loses_a_worker_ends_with_the_same_bits(in_turn, few_images, tmp_path):
    need(find_spec('distributed'), "Dask (pip install distributed)")
    with cluster('local', 1, fall_once) as train: run = trained(RECIPE, tmp_path/'run', few_images, train, falls=True)
    assert digest(run) == in_turn


def test_seeds_side_by_side_that_are_killed_leave_no_process_and_go_on_to_the_same_bits(in_turn, few_images, tmp_path, prune):
    line = f'{FLAGS} --data {few_images.root} --out {tmp_path} --name fc1 --seeds 0,2'
    command = subprocess.Popen([COMMAND, *line.split(), '--workers', '2'], stdout=subprocess.DEVNULL)
    while command.poll() is None and not [*tmp_path.glob('fc1-*/cycles.jsonl')]: time.sleep(.005)
    spawned = workers_of(command.pid)
    command.kill()
    command.communicate(timeout=60)
    assert len(spawned) == 2
    _, still_there = psutil.wait_procs(spawned, timeout=60)
    assert still_there == []
    runs = [RunFolder(tmp_path/f'fc1-{seed}') for seed in (0, 2)]
    assert any(len(run.records()) <= RECIPE.max_cycles for run in runs)

    assert prune(line).returncode == 0                                    # with another number of workers
    assert digest(runs[0]) == in_turn != digest(runs[1])
    again = prune(f'{line} --workers 2')
    assert again.stdout.count(f'is finished after {RECIPE.max_cycles + 1} cycles') == 2 and 'test accuracy' in again.stdout
    wrong = prune(f'{line} --lr .5')
    assert wrong.returncode == 2 and 'another run: lr' in wrong.stderr


def test_matched_runs_follow_the_run_of_their_seed_and_a_dry_run_says_what_is_left(tmp_path, prune):
    line = '--arch_type fc1 --linear_prune_ratio .5 --end_iter 1 --max_cycles 1 --threads 1'
    assert prune(f'{line} --seeds 0,2 --name colt').returncode == 0
    assert prune('--match colt --seeds 0,2 --name imp').returncode == 0
    for seed in 0, 2:
        leader, follower = (RunFolder(tmp_path/f'runs/{name}-{seed}') for name in ('colt', 'imp'))
        assert follower.recipe.match == leader.path.name and follower.recipe.seed == seed
        assert [r.sparsity for r in follower.records()] == [r.sparsity for r in leader.records()]
    said = prune(f'{line} --seeds 1-2 --name colt --workers 2 --dry_run').stdout
    assert 'seed 1: would write runs/colt-1' in said and 'seed 2: would train nothing: runs/colt-2 is finished' in said


@pytest.mark.parametrize(('line', 'error'), {
    '--workers 0': "--workers '0'", '--workers many': 'or auto', '--seeds 3-1': 'the smaller number comes first', '--seeds one': 'such as 0-4 or 0,3,7',
    '--seeds=': '--seeds is empty', '--cluster=': '--cluster is empty', '--workers=': '--workers is empty'}.items())
def test_a_mistake_is_one_sentence_and_writes_nothing(line, error, tmp_path, prune):
    done = prune(line)
    assert done.returncode == 2 and error in done.stderr and done.stderr.count('\n') == 1 and not done.stdout and [*tmp_path.iterdir()] == []
