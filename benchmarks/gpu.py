"""What a training step costs on a GPU, and whether its numbers are those of the CPU

    python benchmarks/gpu.py [--tiny] [--device cuda] [NETWORK ...]          (under four minutes; all eight networks by default)

For each network, interleaved in one process: milliseconds of a step with 90 % of the convolutions pruned, without a mask, in bf16, and in the
original's way (`original.py`); also with cuDNN's faster algorithms (`free`), whose bits differ from time to time, and without recorded steps
(`plain`); images/s of whole epochs with crop, flip and rotation; peak memory; how much the losses of the first step, and of three, differ from
those on the CPU; pruned weights that are not zero (there must be none); whether the bits are the same twice, resumed, and without recorded
steps; and how often an epoch waits for the GPU in a step. Images are random, in the shape of CIFAR. Prints a table; where the environment has
OUT, `gpu.json` is written there. `--tiny` tries all of it on small batches, on the CPU as well. The exit code is 1 if a network fails, or one
of its numbers is wrong.
"""
import argparse
import json
import os
import platform
import statistics
import sys
import time
import traceback
import warnings
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import torch
from torch.utils.benchmark import Timer

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP), str(TOP/'benchmarks')]
try: import lazy_loader # noqa: F401
except ImportError: sys.modules['lazy_loader'] = SimpleNamespace(attach=lambda *_, **__: (None, None, None)) # only `import colt` needs it
import original

from colt.data import Dataset, Images
from colt.engines import dense
from colt.engines.dense import Dense, to_input
from colt.mask import full_mask, prune
from colt.models import ARCHITECTURES, create, torch_defaults
from colt.partition import by_class
from colt.recipe import Recipe
from colt.train import _set_up, _train_epoch, epochs, fit

TOLERANCES = 1e-4, 1e-2 # of the first loss, and of the first three (weights that differ in the last bits part further with each step)
SECONDS = 210 # when no further network is begun
SHAPE, CLASSES = (3, 32, 32), 10


def images_of(n):
    numbers = torch.Generator().manual_seed(0)
    return Images(torch.randint(256, (n, *SHAPE), generator=numbers, dtype=torch.uint8), torch.arange(n) % CLASSES, tuple('0123456789'))


def partition_of(n):
    partition, = by_class(Dataset(images_of(n), images_of(40), images_of(40)), 1)
    return partition


def mask_of(net): return prune(net.state_dict(), full_mask(net, ('conv', 'linear')), .9)


def engine_of(arch, recipe, masked=True):
    net = create(arch, CLASSES, SHAPE)
    return Dense(net, recipe, mask_of(net) if masked else None)


def batch_on(device, n):
    images = images_of(n)
    return to_input(images.x.to(device), images.mean_std), images.y.to(device)


def settings_of(arch, device, **changes):
    kind = 'adam' if arch in ('fc1', 'lenet5', 'conv3') else 'sgd'
    return Recipe(arch, optimizer=kind, lr=1e-3, device=device, **changes)


def way_of(name, arch, device, n):
    "A function that takes one step in this way"
    x, y = batch_on(device, n)
    recipe = settings_of(arch, device, precision='bf16' if name == 'bf16' else 'fp32')
    if name != 'original':
        engine = engine_of(arch, recipe, name != 'unmasked')
        engine.net.train()
        if name == 'plain': engine.recorder = None
        def step(): return engine.step(x, y, 1e-4)
        def free():
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False): return step()
        return free if name == 'free' else step
    net, x = create(arch, CLASSES, SHAPE), x.contiguous()
    for name, m in mask_of(net).items(): net.get_parameter(name).data[~m] = 0.
    net.to(device)
    optimizer = original.optimizer_of(net, recipe)
    return lambda: original.step(net, optimizer, x, y)


def ways_of(arch, device, n): return {name: way_of(name, arch, device, n) for name in WAYS}


WAYS = 'masked', 'unmasked', 'bf16', 'original', 'plain', 'free'


def times_of(ways, rounds, seconds):
    "Milliseconds of each way, once a round, in turns"
    number = {}
    for name, way in ways.items():
        for _ in range(25): way() # chooses algorithms, settles the layout, and records steps
        once = Timer('way()', globals={'way': way}).timeit(3).mean
        number[name] = max(2, round(seconds/once))
    turns = [{name: 1000*Timer('way()', globals={'way': way}).timeit(number[name]).mean for name, way in ways.items()} for _ in range(rounds)]
    return {name: [turn[name] for turn in turns] for name in ways}


def peaks_of(arch, device, n):
    "Peak memory of three steps in MB: ours, and the original's way"
    if device == 'cpu': return {}
    found = {}
    for name in 'masked', 'original':
        torch.cuda.empty_cache()
        way = way_of(name, arch, device, n)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3): way()
        torch.cuda.synchronize()
        found[name] = torch.cuda.max_memory_allocated()/2**20
    return found


def difference(arch, device, n):
    "How much the first loss and the first three differ from those on the CPU, and how many pruned weights are not zero then"
    losses = {}
    for where in 'cpu', device:
        engine = engine_of(arch, Recipe(arch, optimizer='sgd', device=where))
        engine.net.train()
        x, y = batch_on(where, n)
        losses[where] = [engine.step(x, y, 1e-2).item() for _ in range(3)]
    differences = [abs(a - b)/abs(b) for a, b in zip(losses[device], losses['cpu'], strict=True)]
    weights, mask = engine.net.state_dict(), mask_of(create(arch, CLASSES, SHAPE))
    return (differences[0], max(differences)), sum(int(weights[name].cpu()[~m].count_nonzero()) for name, m in mask.items())


def same(a, b): return all(torch.equal(a[name], b[name]) for name in b)


def repeats_of(arch, device, n):
    "Whether a training gives the same bits twice, when it is resumed after its first epoch, and without recorded steps"
    partition = partition_of(23*n - 3) # batches of two sizes, one of them often enough to be recorded
    recipe = settings_of(arch, device, batch_size=n, end_iter=3, crop=4, flip=True)
    def train(start=None, recorder=dense._recorder_of):
        net = create(arch, CLASSES, SHAPE)
        with patch.object(dense, '_recorder_of', recorder):
            return [deepcopy(state) for state in epochs(net, partition, recipe, mask_of(net), start=start)]
    first, *_, last = train()
    others = dict(twice=train(), resumed=train(deepcopy(first)), plain=train(recorder=lambda engine: None))
    return {name: same(states[-1].weights, last.weights) for name, states in others.items()}


def waits_of(arch, device, n):
    "How often an epoch waits for the GPU in a step, by CUDA's own debug mode: the difference between an epoch of 8 and one of 3 batches"
    if device == 'cpu': return None
    def waits(batches):
        net = create(arch, CLASSES, SHAPE)
        training = _set_up(net, partition_of(batches*n), settings_of(arch, device, batch_size=n, crop=4, flip=True, rotate=15.), mask_of(net), None, 0)
        _train_epoch(training, 0)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter('always')
            torch.cuda.set_sync_debug_mode('warn')
            try: _train_epoch(training, 1)
            finally: torch.cuda.set_sync_debug_mode('default')
        return len(found)
    few, many = waits(3), waits(8)
    return {'an epoch': few, 'a step': (many - few)/5}


def images_per_second(arch, device, n, batches, precision):
    "Of an epoch with augmentation, its validation included"
    recipe = settings_of(arch, device, batch_size=n, end_iter=1, crop=4, flip=True, rotate=15., precision=precision)
    partition, net = partition_of(batches*n), create(arch, CLASSES, SHAPE)
    fit(net, partition, recipe, mask_of(net))
    return batches*n/fit(net, partition, recipe, mask_of(net)).seconds


@torch_defaults()
def measure(arch, device, tiny):
    "All numbers of one network"
    n, rounds = (16, 2) if tiny else (256, 5)
    seconds = .01 if tiny else .25
    differences, revived = difference(arch, device, 16 if tiny else 32)
    peaks = peaks_of(arch, device, n)
    times = times_of(ways_of(arch, device, n), rounds, seconds)
    rates = {p: images_per_second(arch, device, n, 3 if tiny else 20, p) for p in ('fp32', 'bf16')}
    return dict(batch=n, ms=times, images_per_second=rates, peak_mb=peaks, differences=differences, revived=revived,
                same_bits=repeats_of(arch, device, 8 if tiny else 64), waits=waits_of(arch, device, n))


COLUMNS = 'network', 'masked ms', 'unmasked', 'mask costs', 'plain', 'free', 'bf16', 'original', 'ratio', 'bf16 ratio', 'images/s', 'bf16', 'MB', 'original', '1 step', '3 steps', 'revived', 'same bits', 'waits'


def row_of(arch, found):
    middle = {name: statistics.median(ms) for name, ms in found['ms'].items()}
    cost = statistics.median(a/b - 1 for a, b in zip(found['ms']['masked'], found['ms']['unmasked'], strict=True))
    rates, peaks, waits = found['images_per_second'], found['peak_mb'], found['waits']
    return [arch, f'{middle["masked"]:.3g}', f'{middle["unmasked"]:.3g}', f'{cost:+.1%}',
            *(f'{middle[name]:.3g}' for name in ('plain', 'free', 'bf16', 'original')),
            f'{middle["original"]/middle["masked"]:.2f}', f'{middle["original"]/middle["bf16"]:.2f}', f'{rates["fp32"]:,.0f}', f'{rates["bf16"]:,.0f}',
            *(f'{peaks[k]:,.0f}' if peaks else '-' for k in ('masked', 'original')), *(f'{d:.0e}' for d in found['differences']), str(found['revived']),
            ' '.join(name for name, equal in found['same_bits'].items() if equal) or 'none',
            f'{waits["a step"]:g} + {waits["an epoch"]}' if waits else '-']


def wrong(found):
    "What is not as promised, in words"
    for which, difference, limit in zip(('first loss', 'losses of three steps'), found['differences'], TOLERANCES, strict=True):
        if difference > limit: yield f'{which}: {difference:.1e} from the CPU, more than {limit}'
    for name, equal in found['same_bits'].items():
        if not equal: yield f'other bits: {name}'
    if found['revived']: yield f'{found["revived"]} pruned weights are not zero'
    if found['waits'] and found['waits']['a step'] > 0: yield f'a step waits for the GPU {found["waits"]["a step"]:g} times'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('networks', nargs='*', default=[*ARCHITECTURES])
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--tiny', action='store_true')
    args = p.parse_args()
    machine = dict(device=torch.cuda.get_device_name() if args.device != 'cpu' else platform.processor() or platform.machine(),
                   torch=torch.__version__, cuda=torch.version.cuda, python=platform.python_version(), tf32='off')
    print(' · '.join(f'{k} {v}' for k, v in machine.items()), '\n\n| ' + ' | '.join(COLUMNS) + ' |\n' + '|---'*len(COLUMNS) + '|', flush=True)
    began, results, failures = time.monotonic(), {}, {}
    for arch in args.networks:
        if time.monotonic() - began > SECONDS:
            failures[arch] = ['not measured: the time is over']
            continue
        try:
            results[arch] = found = measure(arch, args.device, args.tiny)
            print('| ' + ' | '.join(row_of(arch, found)) + ' |', flush=True)
            if lines := [*wrong(found)]: failures[arch] = lines
        except Exception:
            failures[arch] = [traceback.format_exc()]
        if out := os.environ.get('OUT'):
            report = dict(machine=machine, results=results, failures=failures, seconds=time.monotonic() - began)
            Path(out, 'gpu.json').write_text(json.dumps(report, indent=1))
    for arch, lines in failures.items(): print(f'\n{arch}: ' + '\n'.join(lines))
    print(f'\n{time.monotonic() - began:.0f} s; waits: in a step + in an epoch; ratios: original / ours')
    return bool(failures)


if __name__ == '__main__': sys.exit(main())
