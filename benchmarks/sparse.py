"""Whole training steps and inference, dense beside sparse, interleaved in one process

    python benchmarks/sparse.py ARCH SPARSITY ... >> sparse.jsonl      (a line for each sparsity; about 20 to 60 s each)
    python benchmarks/sparse.py --run FOLDER SPARSITY ... >> sparse.jsonl  (with the masks of a run's cycles)
    python benchmarks/sparse.py --auto ARCH SPARSITY ...               (training steps of `--engine auto` alone, where it is sparse)
    python benchmarks/sparse.py --layers > layers.jsonl                (single layers: what the rule of `auto` is made from)
    python benchmarks/sparse.py --profile FOLDER SPARSITY ...          (a run's masks: where a step's time goes, and the machine's peaks)
    python benchmarks/sparse.py --table sparse.jsonl                   (Markdown, for benchmarks/results.md)

Without a run, masks prune the initial weights globally by magnitude. Images are random, of Fashion-MNIST's shape for fc1, lenet5,
alexnet and conv3 (256 in a batch), of CIFAR's for the others (128). Compilation is not counted.
"""
import json
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch

import colt.engines.layers as sparse_layers

from colt.engines.dense import Dense
from colt.engines.blocks import to_blocks
from colt.engines.engine_rule import all_sparse, choose
from colt.engines.graph import trace
from colt.engines.sparse_net import ungrouped
from colt.engines.inference import sparse_network
from colt.engines.layers import SparseLayer
from colt.engines.sparse import Sparse
from colt.mask import full_mask, prune
from colt.mask import sparsity as sparsity_of
from colt.models import ARCHITECTURES, create
from colt.recipe import Recipe
from colt.records import RunFolder
from colt.rewind import snapshot

SMALL = 'fc1', 'lenet5', 'alexnet', 'conv3'
SECONDS = 3. # for a pair of engines, and again for inference at each batch


def network(arch, sparsity, run=None):
    "A new network, a mask (that of the run's cycle whose sparsity is the nearest), and the shape of an image"
    shape = (1, 28, 28) if arch in SMALL else (3, 32, 32)
    net = create(arch, 10, shape)
    if run is None: return net, prune(snapshot(net), full_mask(net, ('conv', 'linear')), sparsity), shape
    nearest = min(run.records(), key=lambda record: abs(record.sparsity - sparsity))
    return net, run.ticket(nearest.cycle).mask, shape


def interleaved(*functions, budget=SECONDS):
    "Milliseconds of each function: median and minimum"
    for f in functions: f()
    times, began = [[] for _ in functions], time.perf_counter()
    while len(times[0]) < 3 or time.perf_counter() - began < budget:
        for f, found in zip(functions, times, strict=True):
            start = time.perf_counter()
            f()
            found.append(time.perf_counter() - start)
    return [[1e3*median(found), 1e3*min(found)] for found in times]


def peak():
    "GFLOP/s of a dense convolution, fp32"
    x = torch.randn(64, 128, 16, 16).to(memory_format=torch.channels_last)
    conv = torch.nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
    with torch.no_grad(): (_, least), = interleaved(lambda: conv(x), budget=.5)
    return 2*64*128*128*9*256/least/1e6


def measure(arch, sparsity, run=None):
    batch = 256 if arch in SMALL else 128
    net, mask, shape = network(arch, sparsity, run)
    traced, recipe = trace(net, mask, shape), Recipe(arch=arch)
    choice = all_sparse(traced.layers)
    sparse, dense = Sparse(net, recipe, mask, traced, choice), Dense(network(arch, sparsity, run)[0], recipe, mask)
    x, y = torch.randn(batch, *shape), torch.randint(10, (batch,))
    began = time.perf_counter()
    sparse.step(x, y, 1e-3)
    row = dict(arch=arch, sparsity=sparsity_of(mask), batch=batch, threads=torch.get_num_threads(), compiled=time.perf_counter() - began,
               share=choice.share, auto=str(choose(traced.layers, 10**7)).split(';')[0], peak=peak())
    row['train'] = interleaved(*(lambda e=e: float(e.step(x, y, 1e-3)) for e in (dense, sparse)))
    row['kept'] = sum(layer.macs*layer.density for layer in traced.layers)
    net, mask, _ = network(arch, sparsity, run)
    both = net.eval(), sparse_network(net, mask, shape)
    with torch.no_grad():
        for n in (1, 256):
            x = torch.randn(n, *shape).to(memory_format=torch.channels_last)
            row[f'batch {n}'] = interleaved(*(lambda m=m, x=x: m(x) for m in both), budget=SECONDS/2)
    return row


def of_auto(arch, sparsity):
    "A training step as `--engine auto` computes it in a long training, beside a dense one; None where it is dense"
    batch = 256 if arch in SMALL else 128
    net, mask, shape = network(arch, sparsity)
    traced, recipe = trace(net, mask, shape), Recipe(arch=arch)
    choice = choose(traced.layers, 10**7, batch, torch.get_num_threads())
    if not choice.names: return None
    engines = Dense(network(arch, sparsity)[0], recipe, mask), Sparse(net, recipe, mask, traced, choice)
    x, y = torch.randn(batch, *shape), torch.randint(10, (batch,))
    return interleaved(*(lambda e=e: float(e.step(x, y, 1e-3)) for e in engines))


KERNELS = 'convolve', 'differentiate', 'finish', 'mask_gradient'


def bandwidth():
    "GB/s of copying 256 MB: read once, written once"
    x = torch.zeros(2**26)
    y = torch.empty_like(x)
    (_, least), = interleaved(lambda: y.copy_(x), budget=.5)
    return 2*4*2**26/least/1e6


def bytes_of(arguments):
    "Of the arrays among arguments, each once"
    arrays = [a for each in arguments for a in (each if isinstance(each, tuple) else [each]) if isinstance(a, np.ndarray)]
    return sum(a.nbytes for a in arrays)


def profile(run, sparsity, steps=10):
    "Markdown: each kernel's share of a training step, and what it reads and writes; the rest is PyTorch's and Python's"
    net, mask, shape = network(run.recipe.arch, sparsity, run)
    traced = trace(net, mask, shape)
    batch = 256 if run.recipe.arch in SMALL else 128
    engine = Sparse(net, Recipe(arch=run.recipe.arch), mask, traced, all_sparse(traced.layers))
    x, y = torch.randn(batch, *shape), torch.randint(10, (batch,))
    found = {name: [0., 0] for name in KERNELS}
    def timed(name, kernel, *arguments):
        began = time.perf_counter()
        kernel(*arguments)
        found[name][0] += time.perf_counter() - began
        found[name][1] += bytes_of(arguments)
    engine.step(x, y, 1e-3)
    with ExitStack() as patches:
        for name in KERNELS: patches.enter_context(patch.object(sparse_layers, name, partial(timed, name, getattr(sparse_layers, name))))
        began = time.perf_counter()
        for _ in range(steps): float(engine.step(x, y, 1e-3))
        whole = time.perf_counter() - began
    macs, copied, peaks = sum(layer.macs*layer.density for layer in traced.layers)*batch, bandwidth(), peak()
    yield (f'{run.recipe.arch}, {sparsity_of(mask):.1%}: {1e3*whole/steps:.1f} ms a step; this machine copies {copied:.1f} GB/s, '
           f'and a dense convolution computes {peaks:.0f} GFLOP/s')
    yield '\n| part | ms | share of the step | GB/s | of the copy | GFLOP/s | of the peak |\n|---|---|---|---|---|---|---|'
    for name, (seconds, bytes_) in found.items():
        if not seconds: continue
        rates = f'{bytes_/seconds/1e9:.1f} | {bytes_/seconds/1e9/copied:.0%}'
        flops = {'convolve': 2, 'differentiate': 4}.get(name, 0)*macs*steps/seconds/1e9
        of_peak = f'{flops:.0f} | {flops/peaks:.0%}' if flops else ' | '
        yield f'| {name} | {1e3*seconds/steps:.1f} | {seconds/whole:.0%} | {rates} | {of_peak} |'
    rest = whole - sum(seconds for seconds, _ in found.values())
    yield f'| the rest | {1e3*rest/steps:.1f} | {rest/whole:.0%} | | | | |'


LAYERS = ((1, 64, 3, 28, 1), (64, 128, 3, 14, 1), (128, 256, 3, 7, 1), (64, 64, 3, 32, 1), (128, 128, 3, 16, 1), (256, 256, 3, 8, 1),
          (512, 512, 3, 4, 1), (64, 256, 1, 16, 1), (256, 64, 1, 16, 1), (192, 192, 3, 16, 192), (784, 300, 1, 1, 1), (300, 100, 1, 1, 1))


def layers():
    "Forward and backward of single layers with BatchNorm and ReLU, in blocks and with channels last"
    for c, o, k, side, groups in LAYERS:
        conv, norm = torch.nn.Conv2d(c, o, k, padding=k//2, groups=groups, bias=False), torch.nn.BatchNorm2d(o)
        dense = torch.nn.Sequential(conv, norm, torch.nn.ReLU()).to(memory_format=torch.channels_last)
        x = torch.randn(128, c, side, side)
        pairs = []
        for density in (.02, .05, .1, .2, .3, .5, .7, 1.):
            kept = torch.rand(conv.weight.shape) < density
            kept[:, 0, 0, 0] = True
            whole, mask = ungrouped(conv, kept)
            sparse = SparseLayer(whole, mask, (c, side, side), torch.nn.BatchNorm2d(o), 'relu')
            pairs.append((float(kept.float().mean()), sparse))
        blocks, x = to_blocks(x).requires_grad_(), x.to(memory_format=torch.channels_last).requires_grad_()
        def both(layer, *args):
            out = layer(*args)
            out.backward(out.detach())
        for density, sparse in pairs:
            (_, d), (_, s) = interleaved(partial(both, dense, x), partial(both, sparse, blocks, 128), budget=.3)
            yield dict(c=c, o=o, k=k, side=side, groups=groups, density=density, dense=d, sparse=s)


def table(rows):
    "Markdown"
    yield '| network | sparsity | training step, ms: dense / sparse | step, x | batch 1, ms | batch 1, x | batch 256, ms | batch 256, x | share sparse | of the peak | `auto` |'
    yield '|---|---|---|---|---|---|---|---|---|---|---|'
    def pair(found): return f'{found[0][0]:.3g} / {found[1][0]:.3g} | {found[0][0]/found[1][0]:.1f} ({found[0][1]/found[1][1]:.1f})'
    for row in rows:
        cells = [pair(row[k]) for k in ('train', 'batch 1', 'batch 256')]
        rate = 6*row['kept']*row['batch']/row['train'][1][0]/1e6
        yield (f"| {row['arch']} | {100*row['sparsity']:.3g} % | {' | '.join(cells)} | {100*row['share']:.0f} % | "
               f"{100*rate/row['peak']:.0f} % | {row['auto'].split(',')[0]} |")


if __name__ == '__main__':
    if sys.argv[1] == '--table': print('\n'.join(table([json.loads(line) for line in Path(sys.argv[2]).read_text().splitlines()])))
    elif sys.argv[1] == '--layers':
        for row in layers(): print(json.dumps(row), flush=True)
    elif sys.argv[1] == '--auto':
        for sparsity in map(float, sys.argv[3:]): print(sys.argv[2], f'{sparsity:.0%}', of_auto(sys.argv[2], sparsity) or 'dense', flush=True)
    elif sys.argv[1] == '--profile':
        for sparsity in map(float, sys.argv[3:]): print('\n'.join(profile(RunFolder(sys.argv[2]), sparsity)), flush=True)
    elif sys.argv[1] == '--run':
        run = RunFolder(sys.argv[2])
        for sparsity in map(float, sys.argv[3:]): print(json.dumps(measure(run.recipe.arch, sparsity, run)), flush=True)
    else:
        assert sys.argv[1] in ARCHITECTURES
        for sparsity in map(float, sys.argv[2:]): print(json.dumps(measure(sys.argv[1], sparsity)), flush=True)
