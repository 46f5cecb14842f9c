"Nothing in a training step waits for the device: what reads a tensor's value happens once in an epoch, not once in a batch"
import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from colt.data import Dataset, Images
from colt.mask import full_mask, prune
from colt.models import create
from colt.partition import by_class
from colt.recipe import Recipe
from colt.train import _is_listening, _set_up, _train_epoch, _evaluate, fit

READS = 'aten._local_scalar_dense', 'aten.item', 'aten.nonzero', 'aten.masked_select', 'aten.equal', 'aten.is_nonzero', 'aten.unique'


class Reads(TorchDispatchMode):
    "Counts the operations that give the program a tensor's value, or a shape that depends on it"
    def __enter__(self):
        self.found = []
        return super().__enter__()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if is_read(str(function), args): self.found.append(str(function))
        return function(*args, **(kwargs or {}))


def is_read(name, args):
    if name.startswith('aten.index.') or name.startswith('aten.index_put'): # a mask as index has to be counted
        return any(i is not None and i.dtype == torch.bool for i in args[1])
    return name.startswith(READS)


def partition_of(n):
    "A partition of `n` training images"
    numbers = torch.Generator().manual_seed(0)
    images = Images(torch.randint(256, (n, 1, 16, 16), generator=numbers, dtype=torch.uint8), torch.arange(n) % 2, ('a', 'b'))
    partition, = by_class(Dataset(images, images, images), 1)
    return partition


def training_of(n, report=None, **settings):
    net = create('lenet5', 2, (1, 16, 16))
    mask = prune(net.state_dict(), full_mask(net), .5)
    return _set_up(net, partition_of(n), Recipe('lenet5', batch_size=10, **settings), mask, report, 0)


def reads_of(function, *args):
    with Reads() as reads: function(*args)
    return reads.found


def test_reads_are_seen():
    x = torch.ones(3)
    for read in (lambda: x.sum().item(), lambda: float(x[0]), lambda: x[x > 0], lambda: x.nonzero(), lambda: bool(x.any())):
        assert len(reads_of(read)) == 1
    assert reads_of(lambda: x[torch.tensor([0, 2])]) == []


@pytest.mark.parametrize('settings', [{}, dict(crop=1, flip=True, rotate=5.), dict(precision='bf16'), dict(precision='fp16', optimizer='sgd', lr=.01)], ids=str)
def test_no_step_of_an_epoch_waits(settings):
    few, many = (reads_of(_train_epoch, training_of(n, **settings), 0) for n in (40, 200))
    assert len(few) == len(many) < 5


def test_no_batch_of_an_evaluation_waits():
    training = training_of(40)
    few, many = (reads_of(_evaluate, training, partition_of(n).train, 1, 'validation') for n in (400, 4000)) # 1 and 6 batches
    assert len(few) == len(many) < 5


@pytest.mark.parametrize('device, read_at, listens', [('cpu', math.inf, False), ('cpu', -math.inf, True), ('cuda', -math.inf, True), ('cuda', math.inf, False)])
def test_a_callback_is_not_called_all_the_time(device, read_at, listens):
    training = training_of(40, report=print)
    training.engine, training.read_at = SimpleNamespace(device=torch.device(device)), read_at
    assert _is_listening(training) == listens


def test_a_late_reading_reports_every_batch_once_and_gives_the_same_bits(monkeypatch):
    def reported(is_listening):
        events = []
        with monkeypatch.context() as m:
            if is_listening: m.setattr('colt.train._is_listening', is_listening)
            result = fit(create('lenet5', 2, (1, 16, 16)), partition_of(95), Recipe('lenet5', batch_size=10, end_iter=2), report=events.append)
        return events, result
    at_once, plain = reported(None)
    late, same = reported(lambda training: len(training.unread) == 3)
    assert late == at_once and plain.history == same.history
    assert [e.step for e in late if e.doing == 'training'] == [*range(1, 11)]*2
    assert all(torch.equal(w, same.weights[n]) for n, w in plain.weights.items())


def test_without_a_callback_the_batch_is_named_as_well():
    recipe = Recipe('lenet5', batch_size=10, optimizer='sgd', lr=1e30, warmup=0)
    seen = []
    with pytest.raises(FloatingPointError) as named: fit(create('lenet5', 2, (1, 16, 16)), partition_of(95), recipe, report=seen.append)
    with pytest.raises(FloatingPointError) as late: fit(create('lenet5', 2, (1, 16, 16)), partition_of(95), recipe)
    assert str(late.value) == str(named.value) and f'epoch 1, batch {len(seen) + 1};' in str(late.value)


def test_an_autocast_around_a_training_changes_nothing():
    def trained():
        return fit(create('lenet5', 2, (1, 16, 16)), partition_of(95), Recipe('lenet5', batch_size=10, end_iter=2, precision='bf16', lr=.01)).weights
    alone = trained()
    with torch.autocast('cpu'): around = trained()
    assert all(torch.equal(w, around[n]) for n, w in alone.items())


@pytest.mark.parametrize('around', [nullcontext, lambda: torch.autocast('cpu', torch.float16), lambda: torch.autocast('cpu', enabled=False)])
def test_an_autocast_in_a_network_sees_the_weights_of_each_step(around):
    class Halved(torch.nn.Sequential):
        def forward(self, x):
            with torch.autocast('cpu', **self.how): return super().forward(x)
    def trained(**how):
        torch.manual_seed(0)
        net = Halved(torch.nn.Flatten(), torch.nn.Linear(256, 2))
        net.how = how
        return fit(net, partition_of(95), Recipe('lenet5', batch_size=10, end_iter=2, lr=.01)).weights
    with around(): kept = trained()
    anew = trained(dtype=torch.bfloat16, cache_enabled=False)
    assert all(torch.equal(w, anew[n]) for n, w in kept.items())
