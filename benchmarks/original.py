"""The original's way of working, written anew in plain PyTorch: what the benchmarks compare with

Images are transformed one by one, as PIL pictures, in a `DataLoader`. After `backward`, the gradient of each weight that is nearly zero is
set to zero, parameter by parameter. Networks and masks are copied with `deepcopy`, pruned with `torch.nn.utils.prune`, and the masks are
overlapped with NumPy. (`nbs/explanations/paper_vs_code.ipynb` describes that code; none of it is used here.)
"""
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

NEARLY_ZERO = 1e-6


def optimizer_of(net, recipe):
    if recipe.optimizer == 'adam': return torch.optim.Adam(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(net.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def step(net, optimizer, x, y):
    "Train on a batch that is on the device; the loss is read"
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    for name, p in net.named_parameters():
        if 'weight' in name: p.grad.data = torch.where(p.data.abs() < NEARLY_ZERO, 0., p.grad.data)
    optimizer.step()
    return loss.item()


def loader(images, batch_size, augmentations=()):
    "Batches of `images`, which are pictures in memory, each transformed by itself"
    from torchvision import transforms
    mean, std = (m.div(255).tolist() for m in images.mean_std)
    transform = transforms.Compose([*augmentations, transforms.ToTensor(), transforms.Normalize(mean, std)])
    pictures = [(transforms.functional.to_pil_image(x), int(y)) for x, y in zip(images.x, images.y, strict=True)]
    def collated(batch): return torch.stack([transform(x) for x, _ in batch]), torch.tensor([y for _, y in batch])
    return torch.utils.data.DataLoader(pictures, batch_size, shuffle=True, collate_fn=collated)


def evaluate(net, batches):
    "Accuracy, 0 to 1"
    net.eval()
    correct = total = 0
    with torch.no_grad():
        for x, y in batches:
            correct += (net(x).argmax(1) == y).sum().item()
            total += len(y)
    net.train()
    return correct/total


def vote(net, rate):
    "Prune this share of the smallest weights of all convolutions that are not zero; return a mask as NumPy arrays, by module name"
    copy = deepcopy(net)
    layers = [(name, m) for name, m in copy.named_modules() if isinstance(m, nn.Conv2d)]
    for _, m in layers: prune.custom_from_mask(m, 'weight', (m.weight != 0).float())
    prune.global_unstructured([(m, 'weight') for _, m in layers], prune.L1Unstructured, amount=rate)
    return {name: m.weight_mask.numpy() for name, m in layers}


def prune_step(nets, init, rate):
    "Vote with each network, keep what all keep, and give each its initial weights under this mask"
    votes = [vote(net, rate) for net in nets]
    kept = {name: np.logical_and.reduce([v[name] for v in votes]) for name in votes[0]}
    for net in nets:
        net.load_state_dict(deepcopy(init))
        for name, mask in kept.items():
            weight = net.get_submodule(name).weight
            weight.data = torch.from_numpy(np.where(mask, weight.data.numpy(), 0.).astype(np.float32))
    return kept
