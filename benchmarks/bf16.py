"""Training in bf16 beside fp32: how accurate are the tickets, and are the masks the same?

    python benchmarks/bf16.py FOLDER conv3 SEED     (2,000 images of Fashion-MNIST, two partitions, three cycles, two epochs)
    python benchmarks/bf16.py FOLDER resnet18 SEED  (one vote on 6,000 images, one epoch)
    python benchmarks/bf16.py FOLDER                (writes the table of all runs in the folder into `results.md`)

Three runs of a seed begin from the same θ0: in fp32, in bf16, and in bf16 with the images in another order, which changes
masks, too: the overlap of the two in bf16 is what the overlap of fp32 and bf16 is to be compared with. One thread, 14
minutes for three seeds of conv3 and one of resnet18. A run that is finished is not done again.
"""
import sys
from pathlib import Path

import torch
from bench import write

from colt import RunFolder
from colt.compare.intervals import difference, interval
from colt.data import Dataset, load
from colt.models import create
from colt.overlap import agreement, overlap
from colt.plans import plan
from colt.recipe import Recipe
from colt.runs import create_run, execute, resume_run

ALL = dict(conv_prune_ratio=.4, sparsity=None, batch_size=32, warmup=0, gamma=1.)
SETTINGS = {
    'conv3': dict(partition=2, max_cycles=2, end_iter=2),
    'resnet18': dict(prune_type='lth', partition=1, max_cycles=0, end_iter=1)}
IMAGES = {'conv3': 2000, 'resnet18': 6000}
WAYS = { # name -> settings, and what is added to the seed that orders the images
    'fp32': (dict(evaluate='each'), 0),
    'bf16': (dict(evaluate='each', precision='bf16'), 0),
    'other order': (dict(evaluate='no', precision='bf16'), 1000)}


def some(images, n):
    "As many of each class, the first ones in the file"
    each = n//len(images.classes)
    found = [(images.y == label).nonzero().flatten()[:each] for label in range(len(images.classes))]
    return images[torch.cat(found)]


def images_of(arch):
    whole = load('fashionmnist')
    return Dataset(some(whole.train, IMAGES[arch]), some(whole.valid, 500), some(whole.test, 2000))


def execute_way(folder, arch, seed, way):
    "Begin or continue the run"
    settings, shift = WAYS[way]
    recipe = Recipe.default(arch, 'fashionmnist', seed=seed + shift, **ALL | SETTINGS[arch] | settings)
    def network(outputs): return create(arch, outputs, (1, 28, 28), seed)
    p, path = plan(recipe, images_of(arch), net=network), folder/f'{arch}-{seed}-{way}'
    run = resume_run(p, path) if RunFolder(path).exists() else create_run(p, path, threads=1)
    for record in execute(p, run): print(f'{path.name}: cycle {record.cycle}, {record.spent[1]:.0f} s', flush=True)


def next_mask(folder, arch, seed, way, n):
    "What the votes of cycle `n` keep"
    return overlap(RunFolder(folder/f'{arch}-{seed}-{way}').cycle(n).votes)


def show(values, factor=1., digits=2):
    mean, half = interval(values) if isinstance(values, list) else values
    return f'{factor*mean:.{digits}f}' + ('' if half is None else f' ± {factor*half:.{digits}f}')


def row_of(folder, arch, seeds, n):
    records = {way: [RunFolder(folder/f'{arch}-{seed}-{way}').record(n) for seed in seeds] for way in ('fp32', 'bf16')}
    accuracy = {way: {seed: record.ticket.test_accuracy for seed, record in zip(seeds, found)} for way, found in records.items()}
    beside = {way: [agreement([next_mask(folder, arch, s, w, n) for w in ('bf16', way)]) for s in seeds] for way in ('fp32', 'other order')}
    sparsity = sum(record.sparsity for record in records['fp32'])/len(seeds)
    return [f'{arch}, cycle {n}', ', '.join(map(str, seeds)), f'{sparsity:.0%}', *(show([*found.values()], 100) for found in accuracy.values()),
            show(difference(accuracy['bf16'], accuracy['fp32']), 100), *(show([a.all for a in found], digits=3) for found in beside.values()),
            show([a.chance for a in beside['fp32']], digits=3)]


def table(folder):
    rows = []
    for arch, settings in SETTINGS.items():
        seeds = sorted({int(path.name.split('-')[1]) for path in folder.glob(f'{arch}-*')})
        rows += [row_of(folder, arch, seeds, n) for n in range(settings['max_cycles'] + 1) if seeds]
    write('bf16 beside fp32', ['trained', 'seeds', 'sparsity', 'ticket, fp32, %', 'bf16', 'bf16 - fp32', 'overlap, fp32 and bf16',
                               'overlap, two orders in bf16', 'by chance'], rows,
          'conv3: 2,000 images of Fashion-MNIST, two epochs; resnet18: 6,000, one epoch; means with 95 % intervals over seeds; `benchmarks/bf16.py`')


def main(folder, arch='', seed='0'):
    torch.set_num_threads(1)
    if not arch: return table(Path(folder))
    for way in WAYS: execute_way(Path(folder), arch, int(seed), way)


if __name__ == '__main__': main(*sys.argv[1:])
