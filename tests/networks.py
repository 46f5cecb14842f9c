"""Networks of every kind that people bring, and what is to happen with each: it trains to the end, or is refused in one line

    python tests/networks.py [NAME ...]          (what is too large for `make test`: some minutes)

`CASES` is the table: networks of torchvision, networks made by hand for one kind each, and networks that are drawn (`drawn`). `happens` finds
out what happens, through `colt.plan`, `create_run` and `execute`. tools/networks.py writes the page of the site from it.
"""
import json
import random
import re
import sys
import tempfile
import threading
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune as torch_prune

from colt.data import Dataset, from_arrays
from colt.data.seeds import seeded
from colt.plans import plan
from colt.recipe import Recipe
from colt.records import RunFolder
from colt.runs import create_run, execute, resume_run
from colt.threads import step_work

RECIPE = Recipe(arch='own', dataset='spots', conv_prune_ratio=.3, linear_prune_ratio=.3, max_cycles=1, sparsity=None, end_iter=1, batch_size=16,
                warmup=0, lr=2e-3)


@dataclass
class Case:
    "A network and what is to happen with it"
    make: Callable # makes the network; called anew for each training, with the global generators seeded
    head: str = 'head'
    shape: tuple = (1, 8, 8) # of the images
    refused: str = '' # part of the sentence that refuses it; empty if it trains
    warned: str = '' # part of the warning with which it trains
    recipe: dict = field(default_factory=dict) # settings that differ from `RECIPE`
    around: Callable = nullcontext # in which it is tried


@cache
def spots(shape):
    "Images of four classes, each with a bright spot in its own corner; 9 to learn from, 3 to validate and 3 to test on"
    channels, h, w = shape
    def images(n, seed):
        rng, y = np.random.default_rng(seed), np.arange(4*n) % 4
        x = rng.integers(0, 120, (4*n, channels, h, w), np.uint8)
        for i, label in enumerate(y): x[i, :, label//2*h//2:(label//2 + 1)*h//2, label % 2*w//2:(label % 2 + 1)*w//2] += 120
        return from_arrays(x, y)
    return Dataset(images(9, 0), images(3, 1), images(3, 2))


# ---- layers

class Head(nn.Module):
    "A body, what joins its features, and a head"
    def __init__(self, body, features, join=lambda x: x.flatten(1), outputs=4):
        super().__init__()
        self.body, self.head, self.join = body, nn.Linear(features, outputs), join
    def forward(self, x): return self.head(self.join(self.body(x)))


def viewed(x): return x.view(x.size(0), -1)
def averaged(x): return x.mean((2, 3))
def conv(i=1, o=4, side=3): return nn.Conv2d(i, o, side, padding=side//2)
def small(*layers, features=4, join=averaged): return Head(nn.Sequential(conv(), *layers, nn.ReLU()), features, join)


class Lambda(nn.Module):
    def __init__(self, function, **state):
        super().__init__()
        self.function = function
        for name, value in state.items():
            if isinstance(value, nn.Module | nn.Parameter): setattr(self, name, value)
            elif isinstance(value, torch.Tensor): self.register_buffer(name, value)
            else: setattr(self, name, value)
    def forward(self, x): return self.function(self, x)


class Rows(nn.Module):
    "Reads the rows of an image one after the other"
    def __init__(self, kind, **settings):
        super().__init__()
        self.read = kind(8, 6, batch_first=True, **settings)
    def forward(self, x): return self.read(x[:, 0])[0][:, -1]


class Attention(nn.Module):
    def __init__(self, **sizes):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True, **sizes)
        self.sizes = sizes
    def forward(self, x):
        rows = x[:, 0]
        key, value = (rows[..., :self.sizes.get(name, 8)] for name in ('kdim', 'vdim'))
        return self.attend(rows, key, value)[0].mean(1)


class Words(nn.Module):
    "Looks grey levels up in a table, as a network looks up words"
    def __init__(self, tied=False):
        super().__init__()
        self.embed, self.decode = nn.Embedding(6, 8), nn.Linear(8, 6)
        if tied: self.decode.weight = self.embed.weight
    def forward(self, x):
        levels = (x[:, 0].clamp(-1, 1)*2.49 + 2.5).long()
        return self.decode(self.embed(levels)).mean((1, 2))


class Buffered(nn.Module):
    "Keeps a running mean in a buffer, which the state has or has not"
    def __init__(self, persistent=False, value=None, name='seen'):
        super().__init__()
        self.name = name
        self.register_buffer(name, torch.zeros(1) if value is None else value, persistent)
    def forward(self, x):
        seen = getattr(self, self.name)
        if self.training and seen.is_floating_point(): seen.mul_(.9).add_(.1*x.detach().mean())
        return x + getattr(self, self.name).real.float().mean()


class Table(nn.Module):
    "Makes a table in its first forward pass: as an attribute, or as a buffer"
    def __init__(self, buffer=False, drawn=False):
        super().__init__()
        self.buffer, self.drawn, self.made = buffer, drawn, None
    def forward(self, x):
        if self.made is None:
            made = torch.rand(x.shape[1:]) if self.drawn else torch.linspace(.5, 1, x[0].numel()).view(x.shape[1:])
            self.made = made
            if self.buffer:
                del self.made
                self.register_buffer('made', made)
        return x*self.made


class Noise(nn.Module):
    "Draws from one of the generators, in training or always"
    def __init__(self, draw, always=False):
        super().__init__()
        self.draw, self.always = draw, always
    def forward(self, x): return x + .1*float(self.draw()) if self.training or self.always else x


class Counter(nn.Module):
    "Counts its batches in Python"
    def __init__(self): super().__init__(); self.batches = 0
    def forward(self, x):
        self.batches += 1
        return x/self.batches


class Late(nn.Module):
    "Counts its batches in an attribute of some kind, and acts by it after the first twenty"
    def __init__(self, start, add, number): super().__init__(); self.seen, self.add, self.number = start, add, number
    def forward(self, x):
        if self.training: self.seen = self.add(self.seen)
        return x if self.number(self.seen) < 20 else x.flip(0)


class LateGenerator(nn.Module):
    "Draws from a generator of its own, and adds that after the first twenty batches; it counts them in a buffer"
    def __init__(self): super().__init__(); self.generator = torch.Generator().manual_seed(3); self.register_buffer('seen', torch.zeros(1))
    def forward(self, x):
        if self.training: self.seen += 1
        return x + torch.rand(1, generator=self.generator)*(self.seen > 20)


class OwnGenerator(nn.Module):
    def __init__(self): super().__init__(); self.generator = torch.Generator().manual_seed(3)
    def forward(self, x): return x + torch.rand(1, generator=self.generator)


class Extra(nn.Module):
    "A state of its own"
    def __init__(self, state): super().__init__(); self.state = state
    def get_extra_state(self): return self.state
    def set_extra_state(self, state): self.state = state
    def forward(self, x):
        if self.training and isinstance(self.state, torch.Tensor): self.state = self.state + 1
        return x + .01*float(self.state if isinstance(self.state, torch.Tensor) else self.state['n'])


class Versioned(nn.Linear):
    "Asks of which version a state is, as torchvision's MNASNet does"
    _version = 2
    def _load_from_state_dict(self, state, prefix, metadata, *rest):
        if metadata.get('version') != 2: raise ValueError(f"version should be 2 instead of {metadata.get('version')}")
        super()._load_from_state_dict(state, prefix, metadata, *rest)


class Outputs(nn.Module):
    "Gives its logits in the company of others while it trains"
    def __init__(self, how, always=False):
        super().__init__()
        self.body, self.head, self.aux = conv(), nn.Linear(4, 4), nn.Linear(4, 4)
        self.how, self.always = how, always
    def forward(self, x):
        features = self.body(x).mean((2, 3))
        if not (self.training or self.always): return self.head(features)
        return self.how(self.head(features), self.aux(features))


Pair = namedtuple('Pair', 'logits aux_logits')


class Masked(nn.Module):
    "The layer under a name that the state must not have"
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 4)
        self.register_parameter('__metadata__', nn.Parameter(torch.ones(1)))
    def forward(self, x): return self.head(x.flatten(1)*self._parameters['__metadata__'])


class NoSelf(Head):
    "An `eval` that returns nothing"
    def train(self, mode=True): super().train(mode)


class Renamed(Head):
    "A state_dict with other names"
    def state_dict(self, *args, **kwargs): return OrderedDict((f'module.{n}', v) for n, v in super().state_dict(*args, **kwargs).items())


class Standardised(nn.Conv2d):
    "A convolution that standardises its weights, flattened by `view`"
    def forward(self, x):
        w = self.weight
        flat = w.view(w.shape[0], -1)
        return F.conv2d(x, ((flat - flat.mean(1, keepdim=True))/(flat.std(1, keepdim=True) + 1e-5)).view_as(w), self.bias, padding=self.padding)


class Growing(nn.Module):
    "A buffer that becomes longer"
    def __init__(self): super().__init__(); self.register_buffer('queue', torch.zeros(1))
    def forward(self, x):
        if self.training: self.queue = torch.cat([self.queue, x.detach().mean()[None]])
        return x


class Halved(nn.Conv2d):
    "Computes in 16 bits"
    def __init__(self): super().__init__(4, 4, 3, padding=1)
    def forward(self, x):
        with torch.autocast('cpu'): return super().forward(x).float()


class Slowed(nn.Conv2d):
    "Counts its gradients in a buffer, by a hook that is a method, and divides them by the number"
    def __init__(self):
        super().__init__(4, 4, 3, padding=1)
        self.register_buffer('seen', torch.zeros(1))
        self.weight.register_hook(self.slow_down)
    def slow_down(self, gradient):
        self.seen += 1
        return gradient/self.seen


class Straight(torch.autograd.Function):
    "Works on its gradient with `view`"
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, grad): return grad.view(-1).view(grad.shape)


def shared_module():
    layer = conv(4, 4)
    return Head(nn.Sequential(OrderedDict(first=conv(), one=layer, act=nn.ReLU(), two=layer)), 4, averaged)


def tied_weights():
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    body[3].weight = body[1].weight
    return Head(body, 64)


def tied_to_head():
    net = Head(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 4), Lambda(lambda self, x: F.pad(x, (0, 4)))), 8)
    net.head.weight = net.body[3].weight
    return net


def one_memory():
    net = Head(nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Linear(64, 64)), 64)
    net.body[2].weight = nn.Parameter(net.body[1].weight.data)
    return net


def shared_buffers():
    memory = torch.ones(4)
    return small(Lambda(lambda self, x: x*self.a.mean() + self.b[0], a=memory, b=memory[:2]))


def buffer_of_weight():
    net = small()
    net.register_buffer('seen', net.body[0].weight.data)
    return net


def expanded_weight():
    net = small(conv(4, 4))
    net.body[1].weight = nn.Parameter(torch.ones(1).expand(4, 4, 3, 3))
    return net


def frozen(net, which):
    for n, p in net.named_parameters(): p.requires_grad = which not in n
    return net


def with_nan():
    net = small(nn.BatchNorm2d(4))
    net.body[1].running_mean[2] = torch.nan
    return net


def in_inference_mode():
    with torch.inference_mode(): return small()


def on_the_cpu():
    with torch.device('cpu'): return small()


def pruned_by_torch():
    net = small(conv(4, 4))
    torch_prune.l1_unstructured(net.body[1], 'weight', .3)
    return net


def old_style(function):
    net = small(conv(4, 4))
    with warnings.catch_warnings(action='ignore'): function(net.body[1])
    return net


def whole_numbers():
    net = small()
    net.order = nn.Parameter(torch.arange(4), requires_grad=False)
    return net


def inside_itself():
    net = small(nn.Sequential(nn.ReLU()))
    net.body[1].add_module('up', net.body)
    return net


def names_itself():
    net = small()
    net.forward = lambda x: Head.forward(net, x)
    return net


def retyped(self, x):
    self.seen = self.seen + .5*self.training
    return x


def in_closure(act):
    "A hook that counts in a variable around it, and acts by the number"
    seen = [0]
    def count(module, inputs, out):
        if not module.training: return out
        seen[0] += 1
        return act(out, seen[0])
    net = small()
    net.body[0].register_forward_hook(count)
    return net


def squeezing(x): return x.mean((2, 3)).squeeze()


@contextmanager
def float64():
    torch.set_default_dtype(torch.float64)
    try: yield
    finally: torch.set_default_dtype(torch.float32)


@contextmanager
def no_gradients():
    torch.set_grad_enabled(False)
    try: yield
    finally: torch.set_grad_enabled(True)


def vision(name, *args, **kwargs):
    import torchvision.models
    return getattr(torchvision.models, name)(*args, num_classes=4, **kwargs)


def mnasnet():
    "One block of each kind"
    net = vision('MNASNet', .1)
    for blocks in net.layers[8:14]: del blocks[1:]
    return net
def squeezenet():
    "Half of the blocks: those that change the number of channels"
    net = vision('squeezenet1_1', weights=None)
    for i in (12, 10, 7, 4): del net.features[i]
    return net
def shufflenet(): return vision('ShuffleNetV2', [1, 1, 1], [8, 16, 32, 64, 64])
def mobilenet(): return vision('MobileNetV2', width_mult=.1, inverted_residual_setting=[[1, 8, 1, 1], [2, 8, 1, 2]])
def densenet(): return vision('DenseNet', 4, (2, 2), 8)
def vit(): return vision('VisionTransformer', image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32)
def swin(): return vision('SwinTransformer', patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[2, 2])


def resnet():
    from torchvision.models.resnet import Bottleneck
    return vision('ResNet', Bottleneck, [1, 1, 1, 1], width_per_group=2)


def convnext():
    from torchvision.models.convnext import CNBlockConfig
    return vision('ConvNeXt', [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)])


COLOUR = (3, 32, 32)
VISION = {
    'mnasnet': Case(mnasnet, 'classifier.1', COLOUR),
    'shufflenet_v2': Case(shufflenet, 'fc', COLOUR),
    'mobilenet_v2': Case(mobilenet, 'classifier.1', COLOUR),
    'densenet': Case(densenet, 'classifier', COLOUR),
    'convnext': Case(convnext, 'classifier.2', COLOUR),
    'squeezenet': Case(squeezenet, 'classifier.1', COLOUR),
    'vision transformer': Case(vit, 'heads.head', COLOUR),
    'vision transformer, class token pruned': Case(vit, 'heads.head', COLOUR, recipe=dict(prune_also='*embedding=linear,class_token=linear', prune_strategy='local')),
    'swin transformer': Case(swin, 'head', COLOUR),
    'mobilenet_v2, wrong head': Case(mobilenet, 'fc', COLOUR, refused="is it head='classifier.1'?"),
}
HEAVY = { # what `python tests/networks.py` tries
    **{name: Case(partial(vision, name, weights=None), head, COLOUR) for name, head in (
        ('resnet18', 'fc'), ('efficientnet_b0', 'classifier.1'), ('densenet121', 'classifier'), ('mobilenet_v3_small', 'classifier.3'),
        ('regnet_y_400mf', 'fc'))},
    'resnet, grouped': Case(resnet, 'fc', COLOUR),
    'googlenet': Case(partial(vision, 'googlenet', weights=None, init_weights=True), 'fc', COLOUR, warned='get no gradient'),
    'inception_v3': Case(partial(vision, 'inception_v3', weights=None, init_weights=True), 'fc', COLOUR,
                         refused="'Mixed_6a.branch3x3.conv' (Conv2d)"),
}
WITHOUT = 'remove_parametrizations'
DRAWS = 'other outputs each time that it evaluates'
MADE = {
    # the layout of images in memory
    'flattens with view': Case(lambda: small(features=256, join=viewed)),
    'flattens with view after BatchNorm': Case(lambda: small(nn.BatchNorm2d(4), nn.Dropout(), features=256, join=viewed)),
    'flattens with reshape': Case(lambda: small(features=256, join=lambda x: x.reshape(len(x), -1))),
    'standardises weights with view': Case(lambda: Head(Standardised(1, 4, 3, padding=1), 4, averaged)),
    'view in a backward pass': Case(lambda: small(Lambda(lambda self, x: Straight.apply(x)))),
    'is channels last already': Case(lambda: small(conv(4, 4)).to(memory_format=torch.channels_last)),
    'changes its images in place, and flattens with view': Case(lambda: Head(nn.Sequential(Lambda(lambda self, x: x.mul_(.5)), conv()), 256, viewed)),
    'three dimensions': Case(lambda: Head(nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Conv3d(1, 4, (1, 3, 3))), 4, lambda x: x.mean((2, 3, 4)))),
    'one dimension': Case(lambda: Head(nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 4, 3)), 4, lambda x: x.mean(2))),
    # kinds of layers
    'transposed convolutions': Case(lambda: small(nn.ConvTranspose2d(4, 4, 2, 2))),
    'LSTM': Case(lambda: Head(Rows(nn.LSTM), 6)),
    'LSTM, two layers and ways': Case(lambda: Head(Rows(nn.LSTM, num_layers=2, bidirectional=True, proj_size=3), 6)),
    'GRU with biases': Case(lambda: Head(Rows(nn.GRU), 6), recipe=dict(bias=True)),
    'attention': Case(lambda: Head(Attention(), 8)),
    'attention with own sizes': Case(lambda: Head(Attention(kdim=4, vdim=6, add_bias_kv=True), 8), recipe=dict(bias=True)),
    'embedding': Case(lambda: Head(Words(), 6), recipe=dict(prune_also='*.embed.*=linear')),
    'embedding, pattern of nothing': Case(lambda: Head(Words(), 6), recipe=dict(prune_also='embed*=linear'), refused='matches no parameter'),
    'embedding that shares its weights': Case(lambda: Head(Words(tied=True), 6)),
    'head is a convolution': Case(lambda: nn.Sequential(conv(), nn.ReLU(), conv(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), '2'),
    'no layer that can be the head': Case(lambda: nn.Sequential(nn.Flatten(), nn.Bilinear(64, 64, 4)), refused='has no linear layer'),
    'nothing to prune': Case(lambda: small(), recipe=dict(conv_prune_ratio=0.), refused='nothing to prune'),
    # outputs
    'auxiliary outputs, named': Case(lambda: Outputs(Pair), warned="'aux.weight' first, get no gradient"),
    'auxiliary outputs, a tuple': Case(lambda: Outputs(lambda *logits: logits, always=True), warned='get no gradient'),
    'auxiliary outputs, a dictionary': Case(lambda: Outputs(lambda a, b: {'aux': b, 'out': a}), warned='get no gradient'),
    'outputs in a dictionary of its own': Case(lambda: Outputs(lambda a, b: {'a': a}), refused='the network can not be trained'),
    'outputs that are no numbers': Case(lambda: Outputs(lambda a, b: 'cat', always=True), refused='the network returns a str'),
    'a map as output': Case(lambda: nn.Sequential(conv(), nn.Conv2d(4, 4, 1)), '1', refused='it must make (1, outputs)'),
    'too few outputs': Case(lambda: Head(nn.Flatten(), 64, outputs=1), recipe=dict(linear_prune_ratio=.3, output_prune_ratio=.3),
                            refused='the largest partition has 2 classes'),
    'squeezes a single image': Case(lambda: small(join=squeezing), refused='it must make (1, outputs)'),
    'no gradient': Case(lambda: small(Lambda(lambda self, x: x.detach())), warned="'body.0.weight' first, get no gradient"),
    'no gradient at all': Case(lambda: nn.Sequential(small(), Lambda(lambda self, x: x.detach())), '0.head', refused='does not require grad'),
    'infinite outputs': Case(lambda: small(Lambda(lambda self, x: x/0)), refused='are not finite'),
    'infinite outputs of several images in evaluation': Case(lambda: small(Lambda(lambda self, x: x if self.training or len(x) < 3 else x/0)),
                                                             refused='are not finite; net.eval()(torch.rand(6, 1, 8, 8)) shows'),
    'fewer outputs in evaluation': Case(lambda: Lambda(lambda self, x: self.net(x) if self.training else self.net(x)[:, :3], net=small()), 'net.head',
                                        refused='the network (Lambda) has 4 outputs in training and 3 in evaluation'),
    'outputs that depend on the batch': Case(lambda: small(Lambda(lambda self, x: x - x.mean(0))), warned='depends on the other images of its batch'),
    'other images': Case(lambda: Head(nn.Sequential(nn.Flatten(), nn.Linear(63, 9)), 9), refused="'body.1' (Linear): mat1 and mat2"),
    'batch of fixed size': Case(lambda: Head(nn.Flatten(), 64, lambda x: x.view(8, -1)), recipe=dict(output_prune_ratio=.3),
                                refused='the network does not take images'),
    # compiled
    'compiled by torch.jit.script': Case(lambda: torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Linear(9, 4))), '2', refused='the network is compiled by torch.jit'),
    'compiled by torch.jit.trace': Case(lambda: torch.jit.trace(small().eval(), torch.zeros(2, 1, 8, 8)), refused='the network is compiled by torch.jit'),
    'a layer that torch.jit compiled': Case(lambda: small(torch.jit.script(conv(4, 4))), refused="'body.1' is compiled by torch.jit"),
    'compiled by torch.compile': Case(lambda: torch.compile(small(), backend='eager'), refused='net._orig_mod'),
    'spectral norm of the head': Case(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 9), parametrizations.spectral_norm(nn.Linear(9, 4))), '2',
                                      refused="'2' computes its weight from other parameters; call torch.nn.utils.parametrize.remove_parametrizations("),
    # state
    'buffer that is not persistent': Case(lambda: small(Buffered())),
    'buffer that is expanded': Case(lambda: small(Lambda(lambda self, x: x*self.ones, ones=torch.ones(1).expand(4, 1, 1)))),
    'buffers in one memory': Case(shared_buffers),
    'buffer in the memory of a weight': Case(buffer_of_weight),
    'buffer of 16 bits': Case(lambda: small(Buffered(True, torch.zeros(3, dtype=torch.bfloat16)))),
    'buffer of complex numbers': Case(lambda: small(Buffered(True, torch.zeros(3, dtype=torch.complex64)))),
    'buffer that is a conjugate view': Case(lambda: small(Buffered(True, torch.ones(3, dtype=torch.complex64).conj())), refused="'body.1.seen' is a conjugate"),
    'buffer that is quantized': Case(lambda: small(Buffered(True, torch.quantize_per_tensor(torch.ones(3), .1, 0, torch.quint8))),
                                     refused="'body.1.seen' is quantized"),
    'buffer that changes its type': Case(lambda: small(Lambda(retyped, seen=torch.tensor(0))), refused="'body.1.seen' changes its type from torch.int64"),
    'a lock': Case(lambda: small(Lambda(lambda self, x: x, lock=threading.Lock())), refused="can not be copied ('body.1.lock' (lock): cannot pickle"),
    'a module inside itself': Case(inside_itself, refused="'body.1.up' is a module that is inside itself"),
    'a function that names the network': Case(names_itself, refused="computes with 'body.0.weight' of the network itself"),
    'buffer with four dimensions': Case(lambda: small(Lambda(lambda self, x: x + self.where, where=torch.rand(1, 4, 8, 8)))),
    'buffer that grows': Case(lambda: small(Growing()), refused="'body.1.queue' changes its shape"),
    'nan in a buffer': Case(with_nan, refused="'body.1.running_mean' has values that are nan"),
    'table of the first pass': Case(lambda: small(Table())),
    'table of the first pass, drawn': Case(lambda: small(Table(drawn=True))),
    'table of the first pass, a buffer': Case(lambda: small(Table(buffer=True)), refused="'body.1.made' is made in the first forward pass"),
    'extra state, a tensor': Case(lambda: small(Extra(torch.zeros(1)))),
    'extra state, a dictionary': Case(lambda: small(Extra({'n': 1})), refused="the state of 'body.1' (get_extra_state) is a dict"),
    'a version': Case(lambda: Head(nn.Sequential(nn.Flatten(), Versioned(64, 9)), 9)),
    'renames its state': Case(lambda: Renamed(nn.Sequential(conv()), 4, averaged), refused='is not in the network\'s state_dict'),
    '__metadata__': Case(Masked, recipe=dict(output_prune_ratio=.3), refused="'__metadata__' is a name"),
    'eval that returns nothing': Case(lambda: NoSelf(nn.Sequential(conv()), 4, averaged)),
    # sharing
    'one module in two places': Case(shared_module),
    'weights tied': Case(tied_weights),
    'weights tied to the head': Case(tied_to_head),
    'two parameters in one memory': Case(one_memory, refused='are two parameters in one memory'),
    'expanded weight': Case(expanded_weight, refused="'body.1.weight' is expanded"),
    # types
    'float64': Case(lambda: small().double(), refused="'body.0.weight' is not float32"),
    'bfloat16': Case(lambda: small().bfloat16(), refused="'body.0.weight' is not float32"),
    'complex': Case(lambda: small(Lambda(lambda self, x: x*self.w.real, w=nn.Parameter(torch.ones(1, dtype=torch.complex64)))),
                    refused="'body.1.w' is complex"),
    'whole numbers': Case(whole_numbers, refused="'order' is no floating point number; keep it in a buffer"),
    'device meta': Case(lambda: small().to('meta'), refused="'body.0.weight' has no values"),
    'lazy': Case(lambda: Head(nn.Sequential(nn.LazyConv2d(4, 3)), 4, averaged), refused="'body.0.weight' has no shape yet"),
    'made in inference mode': Case(in_inference_mode, refused="'body.0.weight' was made in inference mode"),
    'default type float64': Case(lambda: small().float(), around=float64),
    'default device meta': Case(on_the_cpu, around=lambda: torch.device('meta')),
    'gradients switched off': Case(lambda: small(), around=no_gradients),
    'an autocast of its own, and one around it': Case(lambda: small(Halved()), around=lambda: torch.autocast('cpu', torch.float16)),
    # frozen
    'partly frozen': Case(lambda: frozen(small(conv(4, 4), nn.BatchNorm2d(4)), 'body.0')),
    'all frozen': Case(lambda: frozen(small(), ''), refused='are frozen; call net.requires_grad_()'),
    # batches
    'BatchNorm and one image': Case(lambda: Head(nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.BatchNorm1d(9)), 9), recipe=dict(batch_size=1),
                                    refused="'body.2' (BatchNorm1d): Expected more than 1 value"),
    # random numbers, and what is in no state
    "Python's generator": Case(lambda: small(Noise(random.random))),
    "numpy's generator": Case(lambda: small(Noise(lambda: np.random.normal()))), # noqa: NPY002
    'draws in evaluation too': Case(lambda: small(Noise(lambda: torch.randn(1), always=True), nn.Dropout()), warned=DRAWS),
    'a generator of its own': Case(lambda: small(OwnGenerator()), warned='to the same numbers twice'),
    'a counter in Python': Case(lambda: small(Counter()), warned='to the same numbers twice'),
    'a counter that acts later': Case(lambda: small(Late(0, lambda n: n + 1, lambda n: n)), warned="'body.1.seen' changes in each training"),
    'a list that acts later': Case(lambda: small(Late((), lambda n: [*n, 'batch'], len)), warned="'body.1.seen' changes in each training"),
    'a dictionary that acts later': Case(lambda: small(Late({'n': 0}, lambda n: {'n': n['n'] + 1}, lambda n: n['n'])), warned="'body.1.seen' changes"),
    'a tensor, no buffer, that acts later': Case(lambda: small(Late([torch.zeros(1)], lambda n: [n[0] + 1], lambda n: n[0])), warned="'body.1.seen' changes"),
    'a generator of its own that acts later': Case(lambda: small(LateGenerator()), warned="'body.1.generator' changes in each training"),
    'a counter in a closure': Case(partial(in_closure, lambda x, n: x/(1 + n)), warned='to the same numbers twice'),
    'a counter in a closure that acts later': Case(partial(in_closure, lambda x, n: x if n < 20 else x.flip(0)), warned="'seen' (which count of 'body.0' reads) changes in each"),
    'a counter in a buffer that acts later': Case(lambda: small(nn.BatchNorm2d(4), Lambda(lambda self, x: x if self.seen.add_(float(self.training)) < 20 else x*.5, seen=torch.zeros(1)))),
    'a hook on gradients that counts in a buffer': Case(lambda: small(Slowed())),
    # weights that are computed
    'weight_norm': Case(lambda: small(parametrizations.weight_norm(conv(4, 4))), refused=f"{WITHOUT}(net.get_submodule('body.1'), 'weight')"),
    'spectral_norm': Case(lambda: small(parametrizations.spectral_norm(conv(4, 4))), refused=f"{WITHOUT}(net.get_submodule('body.1'), 'weight')"),
    'weight_norm, old': Case(partial(old_style, torch.nn.utils.weight_norm), refused="remove_weight_norm(net.get_submodule('body.1'), 'weight')"),
    'spectral_norm, old': Case(partial(old_style, torch.nn.utils.spectral_norm),
                               refused="remove_spectral_norm(net.get_submodule('body.1'), 'weight')"),
    "torch's pruning": Case(pruned_by_torch, refused="torch.nn.utils.prune.remove(net.get_submodule('body.1'), 'weight')"),
}


# ---- networks that are drawn

BODIES = {
    'convolution': lambda: (conv(4, 4), 4),
    'depthwise': lambda: (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), conv(4, 4, 1)), 4),
    'transposed': lambda: (nn.ConvTranspose2d(4, 4, 3, padding=1), 4),
    'dilated': lambda: (nn.Conv2d(4, 6, 3, padding=2, dilation=2, bias=False), 6),
    'attention': lambda: (Lambda(lambda self, x: self.attend(*[x.flatten(2).mT]*3)[0].mT.unflatten(2, x.shape[2:]).contiguous(),
                                 attend=nn.MultiheadAttention(4, 2, batch_first=True)), 4),
    'recurrent': lambda: (Lambda(lambda self, x: self.read(x.flatten(2).mT)[0].mT.unflatten(2, x.shape[2:]).contiguous(),
                                 read=nn.GRU(4, 5, batch_first=True)), 5),
    'mixer': lambda: (Lambda(lambda self, x: x + self.mix(x.flatten(2)).unflatten(2, x.shape[2:]), mix=nn.Linear(64, 64)), 4),
}
NORMS = {'BatchNorm': nn.BatchNorm2d, 'GroupNorm': lambda c: nn.GroupNorm(1, c), 'InstanceNorm': nn.InstanceNorm2d, 'no norm': nn.Identity}
JOINS = {'view': (viewed, 64), 'reshape': (lambda x: x.reshape(len(x), -1), 64), 'mean': (averaged, 1)}
EXTRAS = {
    'plain': nn.Identity, 'dropout': nn.Dropout, 'hidden buffer': Buffered, 'table': Table, 'extra state': lambda: Extra(torch.zeros(1)),
    'Python noise': lambda: Noise(random.random), 'noise': lambda: Noise(lambda: torch.randn(1), always=True),
    'expanded buffer': lambda: Lambda(lambda self, x: x*self.ones, ones=torch.ones(1).expand(8, 8))}
TYPES = {'float32': torch.float32, 'float64': torch.float64, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
PATTERNS = {'default': {}, 'biases': dict(bias=True), 'layer by layer': dict(prune_strategy='local'),
            'norms': dict(prune_also='body.2*=conv'), 'everything': dict(batchnorm_prune_ratio=.2, output_prune_ratio=.2)}


class Sharing(nn.Module):
    "A layer that is used twice, or its weights under a second name"
    def __init__(self, layer, how):
        super().__init__()
        self.layer = layer
        if how == 'module twice': self.again = layer
        if how == 'weight twice':
            for n, p in list(layer.named_parameters())[:1]: self.register_parameter(f"again_{n.replace('.', '_')}", p)
    def forward(self, x): return self.layer(x)


def drawn(seed):
    "A network of kinds that are drawn: (its name, its case); what is to happen follows from the kinds"
    rng = random.Random(seed)
    body, norm, join, extra = (rng.choice(list(table)) for table in (BODIES, NORMS, JOINS, EXTRAS))
    sharing, layout = rng.choice(['apart', 'apart', 'module twice', 'weight twice']), rng.choice(['contiguous', 'channels last'])
    dtype = rng.choice([*['float32']*7, 'float64', 'bfloat16', 'float16'])
    frozen_part = rng.choice(['none', 'none', 'none', 'first', 'all'] if seed % 5 == 4 else ['none', 'none', 'first'])
    pattern = rng.choice(list(PATTERNS))
    if pattern == 'norms' and norm != 'GroupNorm': pattern = 'default'

    def make():
        layer, channels = BODIES[body]()
        flatten, times = JOINS[join]
        layers = [conv(), Sharing(layer, sharing), NORMS[norm](channels), EXTRAS[extra](), nn.ReLU()]
        net = Head(nn.Sequential(*layers), channels*times, flatten).to(TYPES[dtype])
        if frozen_part != 'none': frozen(net, {'first': 'body.0', 'all': ''}[frozen_part])
        return net.to(memory_format=torch.channels_last) if layout == 'channels last' else net
    refused = ''
    if frozen_part == 'all': refused = 'are frozen'
    if dtype != 'float32': refused = "'body.0.weight' is not float32"
    words = [body, norm, join, extra, *([] if sharing == 'apart' else [sharing]), layout, *([] if dtype == 'float32' else [dtype]),
             *([] if frozen_part == 'none' else [f'{frozen_part} frozen']), pattern]
    warned = DRAWS if extra == 'noise' else ''
    return f"{seed}: {', '.join(words)}", Case(make, refused=refused, warned=warned, recipe=PATTERNS[pattern])


DRAWN = dict(drawn(seed) for seed in range(114))
CASES = VISION | MADE | DRAWN


# ---- what happens

def made(case):
    "The network, always with the same initial weights"
    with seeded(0): return case.make()


def planned(case): return plan(replace(RECIPE, **case.recipe), spots(case.shape), net=made(case), head=case.head)


def files(folder): return {str(p.relative_to(folder)): p.read_bytes() for sub in ('tickets', 'votes') for p in (folder/sub).iterdir()}


def numbers(folder):
    "What the records say, without what depends on the clock"
    lines = [json.loads(line) for line in (folder/'cycles.jsonl').read_text().splitlines()]
    def timeless(value):
        if isinstance(value, dict): return {k: timeless(v) for k, v in value.items() if k not in ('seconds', 'digest')}
        return [timeless(v) for v in value] if isinstance(value, list) else value
    return [timeless(line) for line in lines]


def to_the_end(case, folder):
    "Run it; the network that is kept must have the test accuracy that is recorded, on the bytes of the images"
    run = planned(case)
    assert step_work(run.net, case.shape, 8) > 0                                  # by which a run chooses its number of threads
    records = list(execute(run, create_run(run, folder, threads=1)))
    assert [r.cycle for r in records] == [0, 1]
    test = spots(case.shape).test
    model = RunFolder(folder, net=made(case)).model()
    found, again = (model(test.x).argmax(1) for _ in range(2))
    draws = not torch.equal(found, again)                                         # in evaluation, too
    assert case.warned or not draws
    assert draws or case.warned == DRAWS or float((found == test.y).double().mean()) == records[-1].ticket.test_accuracy


def with_interruption(case, folder, at=5):
    "Run it, press Ctrl-C after the first batch of the second cycle, make the network anew, and resume"
    events = []
    def report(progress):
        if progress.doing != 'training': return
        events.append(progress)
        if len(events) == at: raise KeyboardInterrupt
    run = planned(case)
    try: list(execute(run, create_run(run, folder, threads=1), report))
    except KeyboardInterrupt: pass
    assert len(events) == at
    run = planned(case)
    list(execute(run, resume_run(run, folder)))


def happens(case, folder):
    "(`trains`, '') with the same bits after an interruption; or (`warned` or `refused`, the sentence)"
    with warnings.catch_warnings(record=True) as caught, case.around():
        warnings.simplefilter('always')
        try: to_the_end(case, folder/'straight')
        except ValueError as e: return 'refused', str(e)
        said = [str(w.message) for w in caught if issubclass(w.category, UserWarning) and re.search('same numbers twice|no gradient|in each training|each time that it evaluates|other images of its batch', str(w.message))]
        if said and re.search('same numbers twice|in each training', said[0]): return 'warned', said[0]
        with_interruption(case, folder/'interrupted')
    assert files(folder/'straight') == files(folder/'interrupted'), 'other tickets or votes after an interruption'
    assert numbers(folder/'straight') == numbers(folder/'interrupted'), 'other numbers after an interruption'
    return ('warned', said[0]) if said else ('trains', '')


def as_promised(case, folder):
    "What happens; raise `AssertionError` if it is not what the case says, or if a refused network has left anything"
    outcome, said = happens(case, folder)
    expected = 'refused' if case.refused else 'warned' if case.warned else 'trains'
    assert outcome == expected, said
    assert (case.refused or case.warned) in said, said
    if outcome == 'refused':
        assert '\n' not in said and len(said) < 600, said
        assert not any(folder.iterdir()), 'a folder is there'
    return outcome, said


if __name__ == '__main__':
    for name, case in HEAVY.items():
        if sys.argv[1:] and name not in sys.argv[1:]: continue
        with tempfile.TemporaryDirectory() as folder: print(f'{name:<22}', *as_promised(case, Path(folder)), flush=True)
