"""Whole COLT runs to 98 % on Fashion-MNIST, sparse against dense: time, compilation from an empty cache included, and accuracy

    python benchmarks/whole_runs.py ARCH IMAGES EPOCHS SEED ... >> runs.jsonl     (two runs for each seed, in runs/whole-...)
    python benchmarks/whole_runs.py --table runs.jsonl                            (Markdown, for benchmarks/results.md)
    python benchmarks/whole_runs.py --one ARCH IMAGES EPOCHS SEED ENGINE SPARSITY [STRATEGY]   (a single run, untimed, for its masks)

Each run is a process of its own, timed from its start to its end, with the environment of the commands; the two engines take
turns. It validates on a ninth as many images as it trains on, and is tested on 2,000, so that most of the time is training.
Networks for images of CIFAR's shape are trained on CIFAR-10, which is looked for in data/, as the commands do.
The masks of these runs are what `benchmarks/sparse.py --run` measures steps with.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch

from colt.compare.intervals import interval
from colt.data import load
from colt.plans import plan
from colt.recipe import Recipe
from colt.records import RunFolder
from colt.runs import create_run, execute

FOLDER = Path('runs')
SMALL = 'fc1', 'lenet5', 'alexnet', 'conv3'


def some(images, n, seed): return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n]]


def run(arch, images, epochs, seed, engine, sparsity=.98, strategy='global'):
    "One run, in this process"
    ratios = dict(conv_prune_ratio=.3, linear_prune_ratio=.3)
    name = 'fashionmnist' if arch in SMALL else 'cifar10'
    recipe = Recipe(arch=arch, dataset=name, sparsity=sparsity, seed=seed, end_iter=epochs, batch_size=256, lr=2e-3,
                    engine=engine, prune_strategy=strategy, augmentations=False, **ratios)
    dataset = load(name, seed=seed)
    dataset = replace(dataset, train=some(dataset.train, images, seed), valid=some(dataset.valid, images//9, seed),
                      test=some(dataset.test, 2000, 0))
    planned = plan(recipe, dataset)
    for _ in execute(planned, create_run(planned, FOLDER/f'whole-{arch}-{seed}-{engine}')): pass


def timed(*arguments):
    "Seconds of a run in a new process, whose kernels are compiled anew"
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, __file__, '--one', *map(str, arguments)]
        began = time.perf_counter()
        subprocess.run(command, env=os.environ | {'NUMBA_CACHE_DIR': empty, 'GOMP_SPINCOUNT': '1000'}, check=True)
        return time.perf_counter() - began


def measured(arch, images, epochs, seed):
    "A row for each engine"
    engines = ('dense', 'sparse') if seed % 2 == 0 else ('sparse', 'dense')
    for engine in engines:
        seconds = timed(arch, images, epochs, seed, engine)
        records = RunFolder(FOLDER/f'whole-{arch}-{seed}-{engine}').records()
        last = records[-1]
        yield dict(arch=arch, images=images, epochs=epochs, seed=seed, engine=engine, seconds=seconds, cycles=len(records),
                   sparsity=last.sparsity, accuracy=last.ticket.test_accuracy)


def shown(shares):
    middle, half = interval(shares)
    return f'{100*middle:.1f} %' if half is None else f'{100*middle:.1f} ± {100*half:.1f} %'


def table(rows):
    "Markdown: a row for each network"
    yield '| network | images, epochs | cycles | dense, s | sparse, s | x | accuracy, dense | accuracy, sparse | difference |'
    yield '|---|---|---|---|---|---|---|---|---|'
    for (arch, images, epochs), found in groupby(rows, lambda row: (row['arch'], row['images'], row['epochs'])):
        found = sorted(found, key=lambda row: row['seed'])
        dense, sparse = ([row for row in found if row['engine'] == engine] for engine in ('dense', 'sparse'))
        seconds = [sum(row['seconds'] for row in rows)/len(rows) for rows in (dense, sparse)]
        accuracies = [[row['accuracy'] for row in rows] for rows in (dense, sparse)]
        apart = [s - d for d, s in zip(*accuracies, strict=True)]
        cycles = '/'.join(sorted({str(row['cycles']) for row in found}))
        yield (f"| {arch} | {images:,}, {epochs} | {cycles} | {seconds[0]:.0f} | {seconds[1]:.0f} | {seconds[0]/seconds[1]:.2f} | "
               f"{' | '.join(map(shown, accuracies))} | {shown(apart)} |")


if __name__ == '__main__':
    if sys.argv[1] == '--table': print('\n'.join(table([json.loads(line) for line in Path(sys.argv[2]).read_text().splitlines()])))
    elif sys.argv[1] == '--one': run(sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6], *map(float, sys.argv[7:8]), *sys.argv[8:])
    else:
        for seed in sys.argv[4:]:
            for row in measured(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(seed)): print(json.dumps(row), flush=True)
