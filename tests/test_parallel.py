"One training on two processes: the same weights and masks in both, and those of one process but for rounding"
import os
import subprocess
import sys

import pytest
import sets
import torch
import twins
from conftest import TOP

from colt.files import read_tensors
from colt.threads import using_threads


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "What two processes leave"
    folder = tmp_path_factory.mktemp('twins')
    sets.make(folder, 'fashionmnist')
    env = os.environ | {'OMP_NUM_THREADS': '1'}
    other = subprocess.Popen([sys.executable, TOP/'tests/twins.py', '1', folder], env=env, stderr=subprocess.PIPE, text=True)
    try:
        with using_threads(1): twins.main(0, folder) # this process is the first one
    finally: _, said = other.communicate(timeout=120)
    assert other.returncode == 0, said
    return folder


def left(folder, what): return [read_tensors(folder/f'{what}-{rank}.safetensors')[0] for rank in (0, 1)]


@pytest.mark.parametrize('name', twins.NETWORKS)
def test_two_processes_have_the_same_weights_and_masks(name, folder):
    first, second = left(folder, name)
    assert first.keys() == second.keys() and all(torch.equal(v, second[n]) for n, v in first.items())
    pruned = {n.removeprefix('0/mask/'): ~m for n, m in first.items() if n.startswith('0/mask/')}
    assert all(m.any() for m in pruned.values())
    for partition in '0-4', '5-9':
        assert all((first[f'1/{partition}/{n}'][m] == 0).all() for n, m in pruned.items())


def test_two_processes_train_as_one_does(folder):
    (two, _), one = left(folder, 'lenet5'), twins.two_cycles('lenet5', folder)
    for n, v in one.items():
        if v.dtype == torch.bool: assert (v != two[n]).float().mean() < .01, n
        elif n.startswith('0/'): torch.testing.assert_close(two[n], v, rtol=1e-4, atol=1e-6)


def test_the_mask_is_that_of_the_first_process(folder):
    for found in left(folder, 'mask'): assert torch.equal(found['m'].bool(), torch.arange(20) % 2 == 0)
