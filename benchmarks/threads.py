"""Milliseconds a training step, alone and beside a program that keeps the processors busy, for several numbers of threads

    python benchmarks/threads.py [SECONDS]          (3 for each measurement by default; about ten minutes in all)

Every measurement is a process of its own, since OpenMP reads the environment once. `patient` threads sleep after a thousand turns
(GOMP_SPINCOUNT=1000), as those of the commands do. Fashion-MNIST comes from Debian's `dataset-fashion-mnist`. Run it on an idle machine.
"""
import os
import subprocess
import sys
import time
from itertools import pairwise
from statistics import median

import torch

NETWORKS = ('fc1', 'digits'), ('lenet5', 'digits'), ('fc1', 'fashionmnist'), ('lenet5', 'fashionmnist'), ('conv3', 'digits'), ('conv3', 'fashionmnist')
WAYS = {'all threads': {'GOMP_SPINCOUNT': ''}, 'one thread': {'GOMP_SPINCOUNT': '', 'OMP_NUM_THREADS': '1'}, 'patient': {'GOMP_SPINCOUNT': '1000'}}


class Enough(Exception): pass


def steps(arch, dataset, seconds):
    "Print the median time of a step, in ms"
    import colt
    data = colt.load(dataset)
    whole, = colt.by_class(data, 1)
    net, recipe, ends = colt.create(arch, len(data.classes), data.shape), colt.Recipe.default(arch, dataset, end_iter=10**6), []
    def report(event):
        if event.doing == 'training': ends.append(time.perf_counter())
        if ends[-1] - ends[0] > seconds: raise Enough
    try: colt.fit(net, whole, recipe, report=report)
    except Enough: pass
    print(1000*median(b - a for a, b in pairwise(ends)))


def busy():
    "Multiply matrices with all threads, until it is ended"
    a = torch.randn(1500, 1500)
    end = time.monotonic() + 600
    while time.monotonic() < end: a @ a


def measure(arch, dataset, way, seconds):
    env = {k: v for k, v in (os.environ | WAYS[way]).items() if v}
    return float(subprocess.run([sys.executable, __file__, 'steps', arch, dataset, seconds], env=env, capture_output=True, text=True, check=True).stdout)


def main(seconds='3'):
    print(f'{torch.get_num_threads()} threads, torch {torch.__version__}; ms a step\n')
    print(f"{'':<22}" + ''.join(f'{f"{way}, {where}":>22}' for where in ('alone', 'beside') for way in WAYS))
    for arch, dataset in NETWORKS:
        alone = [measure(arch, dataset, way, seconds) for way in WAYS]
        with subprocess.Popen([sys.executable, __file__, 'busy']) as other:
            try: baselines = [measure(arch, dataset, way, seconds) for way in WAYS]
            finally: other.kill()
        print(f"{f'{arch}, {dataset}':<22}" + ''.join(f'{ms:>22.2f}' for ms in alone + baselines), flush=True)


if __name__ == '__main__':
    what, *given = sys.argv[1:] or ['']
    if what == 'steps': steps(*given[:2], float(given[2]))
    elif what == 'busy': busy()
    else: main(*filter(None, [what]))
