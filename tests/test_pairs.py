"Every architecture on every data set of the original, as commands, on small sets in the true file format"
import pytest
import sets

from colt.cli import colt_prune
from colt.models import ARCHITECTURES
from colt.runs import RunFolder

DATASETS = 'mnist', 'fashionmnist', 'cifar10', 'cifar100', 'tinyimagenet', 'imagenet'
CLASSES = dict(zip(DATASETS, (10, 10, 10, 100, 4, 4), strict=True))


@pytest.fixture(scope='session')
def small(tmp_path_factory):
    "A folder with a small set of each kind"
    root = tmp_path_factory.mktemp('small')
    for name in DATASETS: sets.make(root/name, name)
    return root


@pytest.mark.parametrize('dataset', DATASETS)
@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_two_cycles(arch, dataset, small, tmp_path, capsys):
    line = f'--arch_type {arch} --dataset {dataset} --data {small/dataset} --out {tmp_path} --name run --end_iter 1 --max_cycles 1 --evaluate no'
    assert colt_prune(line.split()) == 0, capsys.readouterr().err
    dense, pruned = RunFolder(tmp_path/'run').records()
    assert dense['sparsity'] == 0 and .14 < pruned['sparsity'] < .2775 + .05
    assert sum(len(p['classes']) for p in pruned['parts']) == CLASSES[dataset]
    assert pruned['agreement']['all'] > .5
    (tmp_path/'run/init.safetensors').unlink() # up to 200 MB each
