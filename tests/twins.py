"What each of two processes does in the test of data parallel training: `python twins.py RANK FOLDER`"
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from colt.data import load
from colt.files import save_tensors
from colt.mask import full_mask, prune
from colt.models import create
from colt.overlap import overlap
from colt.own_network import make_network
from colt.parallel import broadcast_mask, share_
from colt.partition import by_class
from colt.recipe import Recipe
from colt.rewind import rewind_, snapshot
from colt.train import fit

def normalised(outputs):
    "A network with batch normalisation"
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(13), nn.Flatten(), nn.Linear(16, outputs))


NETWORKS = {'lenet5': lambda outputs: create('lenet5', outputs, (1, 28, 28)), 'normalised': normalised}


def two_cycles(name, root, shared=lambda net: net, agreed=lambda mask: mask):
    "Votes of the second cycle, its mask and weights, by the name of their tensors"
    recipe = Recipe(arch=name, dataset='fashionmnist', end_iter=1, batch_size=9, optimizer='sgd', momentum=.9, weight_decay=5e-4, lr=.02)
    net = shared(make_network(NETWORKS[name], 5))
    theta0, mask, found = snapshot(net), full_mask(net, ('conv', 'linear')), {}
    for cycle in range(2):
        votes = []
        for partition in by_class(load('fashionmnist', root), 2):
            rewind_(net, theta0, mask)
            result = fit(net, partition, recipe, mask, cycle=cycle)
            votes.append(prune(result.weights, mask, .3))
            found |= {f'{cycle}/{partition.name}/{n}': v for n, v in result.weights.items()}
            assert all((result.weights[n][~m] == 0).all() for n, m in mask.items()), 'a pruned weight has moved'
        mask = agreed(overlap(votes))
        found |= {f'{cycle}/mask/{n}': m for n, m in mask.items()}
    return found


@torch.no_grad()
def from_other_weights(net):
    "A network that is shared, and whose weights were others in each process"
    for p in net.parameters(): p.add_(dist.get_rank())
    return share_(net)


def main(rank, folder):
    dist.init_process_group('gloo', init_method=f'file://{folder}/group', rank=rank, world_size=2, timeout=timedelta(seconds=100))
    for name in NETWORKS: save_tensors(Path(folder)/f'{name}-{rank}.safetensors', two_cycles(name, folder, from_other_weights, broadcast_mask))
    mine = {'m': torch.arange(20) % (rank + 2) == 0}
    save_tensors(Path(folder)/f'mask-{rank}.safetensors', broadcast_mask(mine))
    dist.destroy_process_group()


if __name__ == '__main__':
    torch.set_num_threads(1)
    main(int(sys.argv[1]), sys.argv[2])
