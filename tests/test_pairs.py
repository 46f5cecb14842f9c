"Every architecture on every data set of the original, as commands, on small sets in the true file format"
import pytest

from colt.cli import colt_prune
from colt.models import ARCHITECTURES
from colt.records import RunFolder

DATASETS = 'mnist', 'fashionmnist', 'cifar10', 'cifar100', 'tinyimagenet', 'imagenet'
CLASSES = dict(zip(DATASETS, (10, 10, 10, 100, 4, 4), strict=True))


@pytest.mark.parametrize('dataset', DATASETS)
@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_two_cycles(arch, dataset, few, tmp_path, capsys):
    line = f'--arch_type {arch} --dataset {dataset} --data {few} --out {tmp_path} --name run --valid 0.25 --end_iter 1 --max_cycles 1 --evaluate no'
    assert colt_prune(line.split()) == 0, capsys.readouterr().err
    dense, pruned = RunFolder(tmp_path/'run').records()
    assert dense.sparsity == 0 and .14 < pruned.sparsity < .2775 + .05
    assert sum(len(p.classes) for p in pruned.partitions) == CLASSES[dataset]
    assert pruned.agreement.all > .5
    (tmp_path/'run/init.safetensors').unlink() # up to 200 MB each
