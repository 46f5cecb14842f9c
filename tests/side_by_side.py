"""One digest for all ways to train: in turn, with a worker killed, on a cluster with one killed, and killed as a whole and resumed

    python tests/side_by_side.py                    (some minutes on two cores; `make torture` runs it)

Fully connected and convolutional, on 3,000 images of Debian's Fashion-MNIST. `make test` does the same on 100 images (test_workers.py).
"""
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import sets
from falling import digest, fall_once, trained, workers_of

from colt.data import load
from colt.executors import cluster, processes
from colt.plans import Origin
from colt.recipe import Recipe

COMMAND = Path(sys.executable).with_name('colt-prune')
RECIPES = {
    'fc1': dict(linear_prune_ratio=.4, end_iter=4, sparsity=.99, max_cycles=4, controls='shuffle'),
    'conv3': dict(end_iter=1, sparsity=.99, max_cycles=1)}


def some_fashion(root):
    images = load('fashionmnist')
    for split, some in ('train', images.train[:3000]), ('t10k', images.test[:1000]):
        for kind, array in ('images-idx3', some.x[:, 0]), ('labels-idx1', some.y.byte()):
            sets.write_idx(root/f'FashionMNIST/raw/{split}-{kind}-ubyte.gz', array.numpy())
    return Origin(str(root))


def killed_and_resumed(recipe, settings, origin, folder, train):
    "`colt-prune --workers 2`, killed after its first cycle; then resumed in two other processes"
    flags = [word for name, value in settings.items() for word in (f'--{name}', str(value))]
    command = subprocess.Popen([COMMAND, '--arch_type', recipe.arch, '--dataset', 'fashionmnist', *flags, '--data', origin.root, '--threads', '1',
                                '--workers', '2', '--out', folder.parent, '--name', folder.name], stdout=subprocess.DEVNULL)
    while command.poll() is None and not (folder/'cycles.jsonl').exists(): time.sleep(.02)
    workers = workers_of(command.pid)
    command.send_signal(signal.SIGKILL)
    command.wait()
    psutil.wait_procs(workers, timeout=120)
    assert workers and not any(worker.is_running() for worker in workers)
    return trained(recipe, folder, origin, train)


def without_a_guard(top):
    "A script whose workers would start workers ends with one sentence"
    (top/'script.py').write_text('from colt.workers import Workers\nlist(Workers(1).run(print, [1]))\n')
    done = subprocess.run([sys.executable, 'script.py'], cwd=top, capture_output=True, text=True, timeout=120, check=False)
    *_, last = done.stderr.strip().splitlines()
    assert done.returncode == 1 and last.startswith('ChildProcessError: a worker process ended') and "`if __name__ == '__main__':`" in last
    assert done.stderr.count('Traceback') == 1


def main(top):
    without_a_guard(top)
    origin = some_fashion(top/'data')
    with processes(2, fall_once) as pool, cluster('local', 2, fall_once) as dask:
        for arch, settings in RECIPES.items():
            recipe, began = Recipe.default(arch, 'fashionmnist', **settings), time.perf_counter()
            ways = {
                'in turn': trained(recipe, top/f'{arch}-turn', origin),
                'two workers': trained(recipe, top/f'{arch}-two', origin, pool),
                'a worker killed': trained(recipe, top/f'{arch}-killed', origin, pool, falls=True),
                'cluster, a worker killed': trained(recipe, top/f'{arch}-dask', origin, dask, falls=True),
                'killed and resumed': killed_and_resumed(recipe, settings, origin, top/f'{arch}-resumed', pool)}
            digests = {way: digest(run) for way, run in ways.items()}
            for way, found in digests.items(): print(f'{arch:<8}{way:<28}{found[:16]}', flush=True)
            assert len({*digests.values()}) == 1, f'{arch}: the ways differ'
            print(f'{arch:<8}{time.perf_counter() - began:.0f} s')


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as top: main(Path(top))
