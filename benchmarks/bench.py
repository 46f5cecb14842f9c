"""How fast colt is beside the original's way of working, in one process, in turns

    python benchmarks/bench.py PART [NETWORK ...]        (a part takes less than 150 seconds; `make bench` does all of them)

    peak         GFLOP/s of this machine: matrix product, convolution in fp32 and bf16
    steps        a training step of each network on Fashion-MNIST, everything that a batch needs included: original, fp32, bf16
    evaluation   of the 10,000 test images
    pruning      two resnet18: vote, overlap, rewind
    cycle        of two lenet5: train for two epochs, vote, overlap, rewind
    start        from nothing to the first step, beyond `import torch`
    memory       peak of a process that trains a few steps, beyond `import torch`
    seeds        `colt-prune --seeds 0-4` of lenet5, one run after the other and two at the same time

`original.py` is the original's way, written anew. Each part writes its rows into `results.md`, medians with the least and the most.
Run it on an idle machine; a ratio holds for the run in which both were measured.
"""
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from copy import deepcopy
from functools import partial
from pathlib import Path
from timeit import timeit

os.environ.setdefault('GOMP_SPINCOUNT', '1000') # as the commands do: threads that wait take no time from others
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP), str(TOP/'benchmarks')]
import original

from colt.data import load
from colt.engines.dense import evaluate
from colt.mask import full_mask, prune
from colt.models import create
from colt.overlap import overlap
from colt.partition import by_class
from colt.recipe import Recipe
from colt.rewind import rewind_, snapshot
from colt.train import _set_up, _train_epoch, fit

RESULTS, BATCH = TOP/'benchmarks/results.md', 256
LARGE = 'resnet18', 'densenet121', 'mobilenetv2', 'shufflenetv2', 'alexnet'


def seconds_of(function): return Timer('function()', globals={'function': function}, num_threads=torch.get_num_threads()).timeit(1).mean


def in_turns(ways, rounds):
    "Seconds of each way in each round; one round before is not counted"
    for way in ways.values(): way()
    turns = [{name: seconds_of(way) for name, way in ways.items()} for _ in range(rounds)]
    return {name: [turn[name] for turn in turns] for name in ways}


def shown(values, factor=1.):
    "The median, and the least and the most"
    middle, least, most = (factor*f(values) for f in (statistics.median, min, max))
    return f'{middle:.3g} ({least:.3g} to {most:.3g})'


def ratio(times, of='original', to='fp32'): return f'{statistics.median(times[of])/statistics.median(times[to]):.1f}'


def write(part, columns, rows, what='medians, with the least and the most'):
    "Put rows into the section of this part; rows of other networks, and other sections, stay"
    title = f'## {part}\n'
    text = RESULTS.read_text() if RESULTS.exists() else '# Results of `make bench`\n'
    head, *sections = re.split(r'^(?=## )', text, flags=re.M)
    found = {s.splitlines()[0]: s for s in sections}
    old = [line for line in found.get(title.strip(), '').splitlines() if line.startswith('| ')][1:]
    lines = {line.split(' | ')[0]: line for line in old} | {f'| {row[0]}': '| ' + ' | '.join(row) + ' |' for row in rows}
    table = ['| ' + ' | '.join(columns) + ' |', '|---'*len(columns) + '|', *lines.values()]
    about = f'{machine()}; {what}.'
    found[title.strip()] = '\n'.join([title, about, '', *table, '', ''])
    RESULTS.write_text('\n\n'.join(text.strip() for text in (head, *found.values())) + '\n')
    print('\n'.join(table))


def machine():
    n = torch.get_num_threads()
    threads = '1 thread' if n == 1 else f'{n} threads'
    cpu = re.search(r'model name\s*: (.*)', Path('/proc/cpuinfo').read_text()) if Path('/proc/cpuinfo').exists() else None
    return f'{cpu[1] if cpu else platform.processor()}, {threads}, torch {torch.__version__}, Python {platform.python_version()}'


def peaks():
    "GFLOP/s by name"
    a, x, w = torch.randn(2048, 2048), torch.randn(32, 128, 28, 28).to(memory_format=torch.channels_last), torch.randn(128, 128, 3, 3)
    conv = 2*32*28*28*128*128*9
    ways = {'matrix product': (lambda: a @ a, 2*2048**3), 'convolution': (lambda: F.conv2d(x, w, padding=1), conv),
            'convolution, bf16': (lambda: F.conv2d(x.bfloat16(), w.bfloat16(), padding=1), conv)}
    x16, w16 = x.bfloat16(), w.bfloat16().to(memory_format=torch.channels_last)
    ways['convolution, bf16'] = (lambda: F.conv2d(x16, w16, padding=1), conv)
    with torch.no_grad(): return {name: flop/min(in_turns({'': way}, 10)[''])/1e9 for name, (way, flop) in ways.items()}


def peak(*_):
    write('Peak of this machine', ['what', 'GFLOP/s'], [[name, f'{found:.0f}'] for name, found in peaks().items()])


def fashion(n=None):
    dataset = load('fashionmnist')
    whole, = by_class(dataset, 1)
    return whole.train[torch.arange(n)] if n else whole


def flops_of(net, x):
    """Of a step: forward, and twice that backward, less the gradient of the images, which nobody computes

    (`FlopCounterMode` counts the backward pass of a convolution in groups as if it had one group.)"""
    with torch.no_grad(), FlopCounterMode(display=False) as counter: net(x)
    first = next(name for name, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear)))
    whole, images = (sum(counter.get_flop_counts()[name].values()) for name in ('Global', f'{type(net).__name__}.{first}'))
    return 3*whole - images


def masked(arch):
    net = create(arch, 10, (1, 28, 28))
    return net, prune(net.state_dict(), full_mask(net, ('conv', 'linear')), .5)


def ways_of(arch, batches, size):
    "Functions that train on `batches` batches of `size` images"
    whole, ways = fashion(), {}
    part = type(whole)(whole.name, whole.train[torch.arange(batches*size)], whole.valid, whole.test, whole.classes)
    for precision in 'fp32', 'bf16':
        net, mask = masked(arch)
        training = _set_up(net, part, Recipe.default(arch, 'fashionmnist', batch_size=size, precision=precision), mask, None, 0)
        ways[precision] = partial(_train_epoch, training, 0)
    net, mask = masked(arch)
    for name, m in mask.items(): net.get_parameter(name).data[~m] = 0.
    optimizer, batches_of = original.optimizer_of(net, Recipe.default(arch, 'fashionmnist')), original.loader(part.train, size)
    def by_original():
        net.train()
        for x, y in batches_of: original.step(net, optimizer, x, y)
    return {'original': by_original} | ways


def steps(*networks):
    found, rows = peaks(), []
    for arch in networks:
        size = 32 if arch in LARGE else BATCH
        batches, rounds = (1, 7) if arch in LARGE else (4, 3) if arch == 'conv3' else (20, 7)
        times = in_turns(ways_of(arch, batches, size), rounds)
        work = flops_of(create(arch, 10, (1, 28, 28)), torch.randn(32, 1, 28, 28))*size/32/1e9
        reached = {p: work*batches/statistics.median(times[p]) for p in ('fp32', 'bf16')}
        limit = {'fp32': found['matrix product' if arch == 'fc1' else 'convolution'], 'bf16': found['convolution, bf16']}
        rows.append([arch, str(size), *(shown(times[name], 1000/batches) for name in ('original', 'fp32', 'bf16')), ratio(times), ratio(times, to='bf16'),
                     *(f'{size*batches/statistics.median(times[p]):,.0f}' for p in ('original', 'fp32', 'bf16')),
                     f'{work:.3g}', *(f'{reached[p]/limit[p]:.0%}' for p in ('fp32', 'bf16'))])
    write('A training step', ['network', 'batch', 'original, ms', 'fp32, ms', 'bf16, ms', 'fp32 is faster', 'bf16 is faster', 'images/s, original', 'fp32', 'bf16',
                              'GFLOP a step', 'of the peak, fp32', 'bf16'], rows)


def evaluation(*networks):
    whole, rows = fashion(), []
    batches = original.loader(whole.test, BATCH)
    for arch in networks or ('fc1', 'lenet5', 'conv3'):
        net = create(arch, 10, (1, 28, 28))
        ours = {p: partial(evaluate, net, whole.test, whole.train.mean_std, p) for p in ('fp32', 'bf16')}
        times = in_turns({'original': partial(original.evaluate, net, batches)} | ours, 2)
        rows.append([arch, *(shown(times[name]) for name in times), ratio(times), ratio(times, to='bf16')])
    write('Evaluation of 10,000 images', ['network', 'original, s', 'fp32, s', 'bf16, s', 'fp32 is faster', 'bf16 is faster'], rows)


def prune_and_rewind(nets, init, mask, rate):
    kept = overlap([prune(net.state_dict(), mask, rate) for net in nets])
    for net in nets: rewind_(net, init, kept)
    return kept


def pruning(*_):
    trained = [create('resnet18', 10, (3, 32, 32), seed) for seed in (0, 1)]
    init, mask = snapshot(trained[0]), full_mask(trained[0])
    ways = {'original': partial(original.prune_step, init=init, rate=.15), 'ours': partial(prune_and_rewind, init=init, mask=mask, rate=.15)}
    times = {name: [] for name in ways}
    for _ in range(6):
        for name, way in ways.items():
            nets = deepcopy(trained) # a step changes them: `Timer`, which warms up, would prune them thrice
            times[name].append(timeit(partial(way, nets), number=1))
    times = {name: seconds[1:] for name, seconds in times.items()}
    write('The pruning step', ['networks', 'original, s', 'ours, s', 'ours is faster'], [['two resnet18', *map(shown, times.values()), ratio(times, to='ours')]])


def cycle(*_):
    "Both train two networks of five classes for two epochs and evaluate each epoch, then vote, overlap and rewind"
    parts, recipe = by_class(load('fashionmnist'), 2), Recipe.default('lenet5', 'fashionmnist', batch_size=BATCH, end_iter=2)
    new = create('lenet5', 5, (1, 28, 28))
    init = snapshot(new)
    def ours():
        nets = [deepcopy(new) for _ in parts]
        for net, part in zip(nets, parts, strict=True): fit(net, part, recipe)
        prune_and_rewind(nets, init, full_mask(new), .15)
    def theirs():
        nets = [deepcopy(new) for _ in parts]
        for net, part in zip(nets, parts, strict=True):
            optimizer, best = original.optimizer_of(net, recipe), None
            for _ in range(2):
                for x, y in original.loader(part.train, BATCH): original.step(net, optimizer, x, y)
                original.evaluate(net, original.loader(part.test, BATCH))
                best = deepcopy(net.state_dict())
            net.load_state_dict(best)
        original.prune_step(nets, init, .15)
    times = {'original': [seconds_of(theirs)], 'fp32': [seconds_of(ours), seconds_of(ours)]}
    write('A cycle of two partitions', ['network', 'original, s', 'ours, s', 'ours is faster'], [['lenet5', *map(shown, times.values()), ratio(times)]])


FIRST = '''
import time, torch
began = time.perf_counter()
import colt
data = colt.load('fashionmnist')
whole, = colt.by_class(data, 1)
class First(Exception): pass
def stop(event): raise First
try: colt.fit(colt.create('conv3', 10, data.shape), whole, colt.Recipe(batch_size=256), report=stop)
except First: print(time.perf_counter() - began)
'''
USED = '''
import resource, sys, torch
sys.path[:0] = {path!r}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import bench
bench.ways_for_memory({way!r}, {arch!r})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)/1024)
'''


def printed(program):
    "What a program of its own prints, as a number"
    return float(subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True, cwd=TOP).stdout)


def start(*_):
    write('From nothing to the first step', ['network, batches of 256', 'seconds beyond `import torch`'], [['conv3', shown([printed(FIRST) for _ in range(5)])]])


def ways_for_memory(way, arch):
    "Train four batches in one way"
    whole = fashion()
    small = type(whole)(whole.name, whole.train[torch.arange(4*BATCH)], whole.valid, whole.test, whole.classes)
    net, mask = masked(arch)
    if way != 'original': return _train_epoch(_set_up(net, small, Recipe.default(arch, 'fashionmnist', batch_size=BATCH, precision=way), mask, None, 0), 0)
    optimizer = original.optimizer_of(net, Recipe.default(arch, 'fashionmnist'))
    for x, y in original.loader(small.train, BATCH): original.step(net, optimizer, x, y)


def memory(*networks):
    path, rows = [str(TOP), str(TOP/'benchmarks')], []
    for arch in networks or ('fc1', 'lenet5', 'conv3'):
        rows.append([arch, *(f'{printed(USED.format(path=path, way=way, arch=arch)):,.0f}' for way in ('original', 'fp32', 'bf16'))])
    write('Peak memory of a process', ['network, batches of 256', 'original, MB', 'fp32, MB', 'bf16, MB'], rows)


FIVE = '--arch_type lenet5 --dataset fashionmnist --batch_size 256 --end_iter 1 --max_cycles 1 --evaluate no --seeds 0-4 --name five'


def seeds(*_):
    "The time of a command, from its start to its end, and whether its tickets have the bits of the first way"
    ways = {'in turn, 1 thread': '--threads 1', 'in turn, 2 threads': '--threads 2', 'two workers, 1 thread each': '--threads 1 --workers 2'}
    rows, first = [], None
    for name, flags in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [Path(sys.executable).with_name('colt-prune'), *FIVE.split(), *flags.split()]
            took = timeit(partial(subprocess.run, command, cwd=folder, check=True, stdout=subprocess.DEVNULL), number=1) # `Timer` would do it thrice
            tickets = [path.read_bytes() for path in sorted(Path(folder).rglob('tickets/*'))]
        first = first or tickets
        rows.append([name, f'{took:.1f}', str(len(tickets)), 'yes' if tickets == first else 'no'])
    write('Five seeds of lenet5', ['way', 'seconds', 'tickets', 'the bits of the first'], rows, 'two cycles of one epoch on 54,000 images; one command each')


PARTS = {f.__name__: f for f in (peak, steps, evaluation, pruning, cycle, start, memory, seeds)}

if __name__ == '__main__':
    if sys.argv[1:2] == [] or sys.argv[1] not in PARTS: sys.exit(__doc__)
    PARTS[sys.argv[1]](*sys.argv[2:])
