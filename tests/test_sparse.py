"Sparse layers against dense ones in double precision: values and gradients, whatever the shape, the mask and the batch"
import copy
import math
import os
import pickle
import subprocess
import sys
from functools import partial
from itertools import product

import plain_layers
import pytest
import torch
import torch.nn.functional as F
from conftest import TOP
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

pytest.importorskip('numba', reason='the extra `sparse` is not installed')

from colt.copies import copied
from colt.engines import layers, taps
from colt.engines.blocks import clear_padding_, from_blocks, to_blocks
from colt.engines.folded import FoldedLayer, folded
from colt.engines.graph import trace
from colt.engines.inference import sparse_network
from colt.engines.layers import SparseLayer
from colt.engines.sparse_net import OnBlocks, SparseNet
from colt.mask import full_mask
from colt.models import create

TOLERANCE = 1e-5 # relative to the largest number, or to 1: with BatchNorm, the gradient of a filter's only weight cancels to 0


@pytest.fixture
def small_tiles(monkeypatch):
    "Tiles of one pixel: one compilation for images of every size"
    monkeypatch.setattr(layers, 'tile_pixels', lambda: 1)


def leaf(tensor, dtype): return tensor.detach().clone().to(dtype).requires_grad_()


def dense(layer, norm, activation, pool, inputs):
    "The truth: each step by torch, one after the other, in double precision"
    layer, norm = copy.deepcopy((layer, norm))
    layer.double()
    x, residual = inputs
    y = layer(x)
    if norm: y = norm.double()(y)
    if residual is not None: y = y + residual
    y = {'': nn.Identity(), 'relu': F.relu, 'relu6': F.relu6}[activation](y)
    return (pool(y) if pool else y), layer, norm


def compare(layer, kept, n, in_shape, norm=None, activation='', pool=None, adds=False):
    "Every output and gradient of a sparse layer, beside that of the dense one"
    layer.weight.data = kept*(.5 + torch.rand(kept.shape))*torch.randn(kept.shape).sign() # none so small that BatchNorm magnifies it
    sparse_norm = copy.deepcopy(norm)
    sparse = SparseLayer(copy.deepcopy(layer), kept, in_shape, sparse_norm, activation, pool, adds)
    x = torch.randn(n, *in_shape)
    residual = torch.randn(n, *sparse._geometry(in_shape).out) if adds else None
    leaves = [[leaf(v, dtype) if v is not None else None for v in (x, residual)] for dtype in (torch.float, torch.double)]
    ours = from_blocks(sparse(to_blocks(leaves[0][0]), n, to_blocks(leaves[0][1]) if adds else None), n)
    truth, dense_layer, dense_norm = dense(layer, norm, activation, pool, leaves[1])
    ours = ours.reshape(truth.shape)
    g = torch.randn(truth.shape)
    ours.backward(g)
    truth.backward(g.double())
    pairs = {'output': (ours, truth), 'input': (leaves[0][0].grad, leaves[1][0].grad),
             'values': (sparse.values.grad, dense_layer.weight.grad[kept]), 'bias': (sparse.bias.grad, dense_layer.bias.grad)}
    if adds: pairs['residual'] = leaves[0][1].grad, leaves[1][1].grad
    if norm:
        pairs.pop('bias') # of a bias before BatchNorm, dense code gives rounding errors
        assert sparse.bias.grad.eq(0).all()
        pairs |= {name: (p.grad, dense_norm.get_parameter(name).grad) for name, p in sparse_norm.named_parameters()}
        pairs |= {name: (b, dense_norm.get_buffer(name)) for name, b in sparse_norm.named_buffers()}
    for name, (a, b) in pairs.items():
        if not b.numel(): continue
        error, largest = (a - b).abs().max().item(), b.abs().max().item()
        assert error <= TOLERANCE*max(largest, 1), f'{name}: {error:.1e} of {largest:.1e}'


def mask_like(weight, density): return torch.rand_like(weight) < density


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_convolution(data):
    draw = lambda low, high: data.draw(st.integers(low, high))
    torch.manual_seed(draw(0, 2**31))
    kernel, stride, padding = ((draw(low, high), draw(low, high)) for low, high in ((1, 5), (1, 3), (0, 2)))
    if data.draw(st.booleans()): stride = 1, 1
    n, c, o, h, w = draw(1, 40), draw(1, 5), draw(1, 5), draw(5, 9), draw(5, 9)
    padding = data.draw(st.sampled_from([padding, 'valid', *(['same'] if stride == (1, 1) else [])]))
    conv = nn.Conv2d(c, o, kernel, stride, padding)
    out = conv(torch.zeros(1, c, h, w)).shape[2:]
    norm = nn.BatchNorm2d(o) if data.draw(st.booleans()) else None
    assume(norm is None or n*math.prod(out) >= 16)
    if norm: nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    pool = data.draw(st.sampled_from([None, nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((1, 3))]))
    if pool and min(out) < 3: pool = None
    kept = mask_like(conv.weight, data.draw(st.sampled_from([0, .05, .3, 1])))
    activation, adds = data.draw(st.sampled_from(['', 'relu', 'relu6'])), data.draw(st.booleans())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, 'tile_pixels', lambda: 1)
        compare(conv, kept, n, (c, h, w), norm, activation, pool, adds)


POOLS = None, nn.MaxPool2d(2), nn.MaxPool2d(3), nn.MaxPool2d((3, 1))


@pytest.mark.parametrize('channels, side, stride', [(3, 4, 1), (40, 4, 1), (3, 8, 1), (3, 8, 2)]) # 40 channels are read in several bands
def test_tiles_of_several_pixels(channels, side, stride):
    "Forward 4 × 4 pixels in one tile, 8 × 8 in tiles of 2 × 8; smaller ones backward, and where a processor has fewer registers"
    torch.manual_seed(side)
    for norm, pool, adds in product((None, nn.BatchNorm2d(4)), POOLS, (False, True)):
        conv = nn.Conv2d(channels, 4, 3, stride, padding=1)
        if norm: norm.weight.data = torch.tensor([1., 0, -1, 2])
        compare(conv, mask_like(conv.weight, .3), 100, (channels, side, side), norm, 'relu', pool, adds)


@pytest.mark.parametrize('weight', [1., -1.])
def test_a_window_with_a_nan_gives_nan(weight, small_tiles):
    conv = nn.Conv2d(1, 2, 1)
    conv.weight.data.fill_(weight)
    layer = SparseLayer(conv, conv.weight != 0, (1, 4, 4), activation='relu', pool=nn.MaxPool2d(2)).eval()
    for place in product((2, 3), (0, 1)):
        x = torch.randn(20, 1, 4, 4)
        x[7, 0, *place] = math.nan
        z = from_blocks(layer(to_blocks(x), 20), 20)
        assert torch.allclose(z, F.max_pool2d(conv(x), 2).relu(), equal_nan=True)
        few = FoldedLayer(layer)(x[7:8, ..., None], 1)
        assert torch.allclose(few[..., 0], z[7:8], equal_nan=True) and z.isnan().sum() == 2


@pytest.mark.parametrize('running, images', [(1000., 0.), (0., 50.), (math.nan, 0.)])
def test_statistics_far_from_the_running_ones(running, images, small_tiles):
    torch.manual_seed(0)
    conv, norm, x = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), images + torch.randn(20, 1, 6, 6)
    norm.running_mean.fill_(running)
    z = SparseLayer(copy.deepcopy(conv), conv.weight != 0, (1, 6, 6), copy.deepcopy(norm), pool=nn.MaxPool2d(2))(to_blocks(x), 20)
    truth = F.max_pool2d(norm.double()(conv.double()(x.double())), 2)
    assert (from_blocks(z, 20) - truth).abs().max() < TOLERANCE*truth.abs().max()


@pytest.mark.parametrize('norm', [None, nn.BatchNorm2d(4)])
def test_a_second_derivative_is_refused(norm, small_tiles):
    conv = nn.Conv2d(3, 4, 3)
    x = to_blocks(torch.randn(16, 3, 5, 5)).requires_grad_()
    z = SparseLayer(conv, conv.weight != 0, (3, 5, 5), norm)(x, 16)
    g, = torch.autograd.grad(z.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'): g.sum().backward()


@pytest.mark.parametrize('n', [1, 16, 100])
def test_linear_layers(n, small_tiles):
    torch.manual_seed(n)
    for in_shape in (12,), (3, 2, 2):
        linear = nn.Linear(12, 5)
        kept = mask_like(linear.weight, .4)
        layer = nn.Sequential(nn.Flatten(), linear)
        layer.weight, layer.bias = linear.weight, linear.bias
        sparse = SparseLayer(linear, kept, in_shape, activation='relu')
        linear.weight.data.mul_(kept)
        x = torch.randn(n, *in_shape)
        ours, truth = (leaf(x, dtype) for dtype in (torch.float, torch.double))
        z = from_blocks(sparse(to_blocks(ours), n), n)
        y = copy.deepcopy(layer).double()(truth).relu()
        assert sparse.out_shape == (5, 1, 1) and torch.allclose(z.flatten(1).double(), y, atol=1e-5)
        z.square().sum().backward()
        y.square().sum().backward()
        assert torch.allclose(ours.grad.double(), truth.grad, atol=1e-4)


def test_an_empty_filter_a_single_kept_weight_and_an_empty_layer(small_tiles):
    torch.manual_seed(0)
    for keep in ([], [(1, 2, 0, 2)]):
        conv = nn.Conv2d(3, 4, 3, padding=1)
        kept = torch.zeros_like(conv.weight, dtype=torch.bool)
        for index in keep: kept[index] = True
        norm = nn.BatchNorm2d(4)
        nn.init.normal_(norm.bias) # an empty filter gives it; at 0, ReLU has no gradient that torch and we must share
        for after in None, norm: compare(conv, kept, 20, (3, 6, 6), after, 'relu', nn.MaxPool2d(2))
        assert SparseLayer(conv, kept, (3, 6, 6)).values.shape == (len(keep),)


def a_layer(norm=True):
    conv = nn.Conv2d(3, 4, 3, padding=1)
    return SparseLayer(conv, mask_like(conv.weight, .5), (3, 6, 6), nn.BatchNorm2d(4) if norm else None, 'relu', nn.MaxPool2d(2))


@pytest.mark.parametrize('arch', ['lenet5', 'conv3', 'resnet18', 'shufflenetv2'])
def test_padded_lanes_stay_zero(arch, small_tiles):
    "After each layer, and in each gradient, whatever a bias or BatchNorm would make of them"
    torch.manual_seed(1)
    net, shape, clean = create(arch, 10, (1, 28, 28)), (1, 28, 28), []
    for module in net.modules():
        if getattr(module, 'bias', None) is not None: nn.init.normal_(module.bias)
    mask = {n: torch.rand(m.shape) < .3 for n, m in full_mask(net, ('conv', 'linear')).items()}
    model = SparseNet(net, mask, trace(net, mask, shape))
    def look(blocks): clean.append(bool(blocks[-1, ..., 4:].eq(0).all()))
    def follow(module, _, out):
        look(out)
        if out.requires_grad: out.register_hook(look)
    for module in model.modules():
        if isinstance(module, SparseLayer | OnBlocks): module.register_forward_hook(follow)
    x, y = torch.randn(20, *shape), torch.randint(10, (20,))
    F.cross_entropy(model(x), y).backward()
    model.eval()(x)
    assert len(clean) > 10 and all(clean)


@pytest.mark.parametrize('kind', ['plain', 'norm', 'linear'])
def test_gradients_of_padded_lanes_count_for_nothing(kind, small_tiles):
    "As those of a loss over whole blocks"
    torch.manual_seed(6)
    base, n = nn.Linear(12, 4) if kind == 'linear' else nn.Conv2d(3, 4, 3), 120
    norm, in_shape = nn.BatchNorm2d(4) if kind == 'norm' else None, (12,) if kind == 'linear' else (3, 6, 6)
    layer = SparseLayer(base, mask_like(base.weight, .5), in_shape, norm, adds=kind != 'linear')
    inputs = [to_blocks(torch.randn(n, *shape)) for shape in (in_shape, layer.out_shape)]
    if kind == 'linear': del inputs[1]
    def gradients(g):
        ours, leaves = copy.deepcopy(layer), [x.clone().requires_grad_() for x in inputs]
        z = ours(leaves[0], n, *leaves[1:])
        return torch.autograd.grad(z, [*leaves, *ours.parameters()], g)
    everywhere = torch.randn(8, *layer.out_shape, 16)
    of_images = clear_padding_(everywhere.clone(), n)
    for a, b in zip(gradients(everywhere), gradients(of_images), strict=True): assert torch.equal(a, b)
    assert not torch.equal(everywhere, of_images), 'the gradient that was given is changed in place'


class WithMap(nn.Module):
    "A convolution, a learned map of one row, and what is made of both"
    def __init__(self, after):
        super().__init__()
        self.conv, self.map, self.after = nn.Conv2d(3, 4, 3, padding=1), nn.Parameter(torch.randn(1, 4, 6, 6)), after
    def forward(self, x): return self.after(self.conv(x), self.map)


NOT_FOR_EACH_IMAGE = {
    'map, as a residual': lambda y, m: F.relu(y + m),
    'map, added alone': lambda y, m: F.max_pool2d(F.relu(y) + m, 2),
    'mean of the batch': lambda y, m: F.relu(y) + m*y.mean(0, keepdim=True),
    'one long row': lambda y, m: torch.flatten(F.relu(y)).view(y.size(0), -1)*m.sum()}


@pytest.mark.parametrize('name', NOT_FOR_EACH_IMAGE)
def test_a_value_that_has_no_row_for_each_image_stays_out_of_blocks(name, small_tiles):
    torch.manual_seed(7)
    net, x = WithMap(NOT_FOR_EACH_IMAGE[name]), torch.randn(20, 3, 6, 6)
    mask = {'conv.weight': mask_like(net.conv.weight, .5)}
    net.conv.weight.data.mul_(mask['conv.weight'])
    model = SparseNet(net, mask, trace(net, mask, (3, 6, 6)))
    assert [*model.sparse] == ['conv.weight']
    ours, truth = ((out, *torch.autograd.grad(out.square().sum(), [net.map, net.conv.bias])) for out in (model(x), net(x)))
    for a, b in zip(ours, truth, strict=True): assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


class Does(nn.Module):
    "A convolution and a head, and what a function does with both"
    def __init__(self, function):
        super().__init__()
        self.conv, self.norm, self.relu, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Linear(4*36, 3)
        self.function, self.passes = function, 0
        self.register_buffer('count', torch.ones(()))
    def forward(self, x): return self.head(self.function(self, x).flatten(1))


class Frozen(Does):
    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self


def usual(net, x): return net.relu(net.norm(net.conv(x)))
def adds_in_place(net, x):
    x = before = net.conv(x)
    x += 1
    return x*before
def changes_in_place(net, x): return F.leaky_relu_(net.norm(net.conv(x)))
def sets_a_mode(net, x):
    net.norm.eval()
    return usual(net, x)
def uses_again(net, x): return F.relu(y := net.conv(x), inplace=True) + y
def replaces_a_buffer(net, x):
    net.count = net.count + 1
    return net.conv(x)*net.count
def changes_a_buffer(net, x):
    net.count.add_(1)
    return net.conv(x)*net.count
def reads_a_buffer(net, x): return net.conv(x) if net.count > 0 else -net.conv(x)
def counts(net, x):
    net.passes += 1
    return net.conv(x)*net.passes
def draws(net, x): return net.conv(x)*torch.rand(1).item()
def without_gradients(net, x):
    with torch.no_grad(): return net.conv(x)
def reads_weights(net, x): return net.conv(x)*net.conv.weight.sum()
def calls_a_module_before_and_after(net, x): return net.relu(usual(net, net.relu(x)))
def takes_a_slice(net, x): return torch.cat(net.conv(x).chunk(4, 1)[:2]*2, 1)

def changes_a_number(net, x):
    height = half = x.shape[2]
    half //= 2
    return net.conv(x)*half/height

def hooked(path, register):
    net = Does(usual)
    hooks = {'forward': lambda module, x, y: 2*y, 'forward_pre': lambda module, x: (3*x[0],), 'full_backward': lambda module, given, taken: (2*given[0],),
             'full_backward_pre': lambda module, taken: (2*taken[0],)}
    getattr(net.get_submodule(path), f'register_{register}_hook')(hooks[register])
    return net


def hooked_weight():
    net = Does(usual)
    net.conv.weight.register_hook(lambda gradient: 2*gradient)
    return net


def normed_head():
    net = Does(usual)
    nn.utils.spectral_norm(net.head)
    return net


DO_MORE = {f'{register} of {path or "all"}': partial(hooked, path, register)
           for path, register in (('', 'forward_pre'), ('', 'forward'), ('norm', 'forward'), ('relu', 'forward_pre'), ('norm', 'full_backward'), ('conv', 'full_backward_pre'))}
DO_MORE |= {f.__name__: partial(Does, f) for f in (adds_in_place, changes_in_place, sets_a_mode, uses_again, replaces_a_buffer, changes_a_buffer, reads_a_buffer, counts, draws, without_gradients, reads_weights,
                                                     changes_a_number, calls_a_module_before_and_after, takes_a_slice)}
DO_MORE |= {'a weight with a hook': hooked_weight, 'frozen statistics': lambda: Frozen(usual), 'a norm of the head': normed_head}


@pytest.mark.parametrize('name', DO_MORE)
def test_a_network_that_does_more_than_its_layers_does_all_of_it(name, small_tiles):
    "Hooks, states, switches, changes in place: the same outputs, gradients, buffers and attributes, and a reason for each layer that is dense"
    torch.manual_seed(8)
    net, x = DO_MORE[name](), torch.randn(20, 1, 8, 8)
    mask = {'conv.weight': mask_like(net.conv.weight, .5)}
    net.conv.weight.data.mul_(mask['conv.weight'])
    found = []
    for engine in 'dense', 'sparse':
        ours = copied(net).train()
        traced = trace(ours, mask, (1, 8, 8))
        model = SparseNet(ours, mask, traced) if engine == 'sparse' else ours
        torch.manual_seed(9)
        for _ in range(2): model(x).square().sum().backward()
        gradients = {n: p.grad for n, p in ours.named_parameters() if p.grad is not None}
        if engine == 'sparse':
            assert [*model.sparse] == [layer.name for layer in traced.layers if layer.name in mask and not layer.reason]
            for n, layer in model.sparse.items(): gradients[n] = plain_layers.scattered(layer.values.grad, mask[n])
        if 'conv.weight' in gradients: gradients['conv.weight'] = gradients['conv.weight']*mask['conv.weight']
        found.append(gradients | dict(ours.named_buffers()) | {'passes': torch.tensor(ours.passes), 'output': model.eval()(x).detach()})
    for each in found: each.pop('conv.bias', None) # before BatchNorm, dense code gives rounding errors
    assert found[0].keys() == found[1].keys()
    for n, v in found[0].items(): assert torch.allclose(v, found[1][n], rtol=1e-3, atol=1e-3*max(1, float(v.abs().max()))), n


def test_two_forward_passes_before_two_backward_passes(small_tiles):
    torch.manual_seed(2)
    layer, xs = a_layer(norm=False), [to_blocks(torch.randn(20, 3, 6, 6)).requires_grad_() for _ in range(2)]
    alone = [torch.autograd.grad(layer(x, 20).square().sum(), [x, layer.values]) for x in xs]
    outputs = [layer(x, 20) for x in xs]
    together = [torch.autograd.grad(y.square().sum(), [x, layer.values]) for y, x in zip(outputs, xs, strict=True)]
    for a, b in zip(alone, together, strict=True): assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def test_the_same_bits_every_time(small_tiles):
    torch.manual_seed(3)
    layer, x, g = a_layer(), to_blocks(torch.randn(100, 3, 6, 6)).requires_grad_(), torch.randn(7, 4, 3, 3, 16)
    once, *others = ([*torch.autograd.grad(copy.deepcopy(layer)(x, 100), x, g)] for _ in range(5))
    assert all(torch.equal(once[0], other[0]) for other in others)


def test_evaluation_and_the_folded_layer(small_tiles):
    torch.manual_seed(4)
    layer, x = a_layer(), to_blocks(torch.randn(20, 3, 6, 6))
    layer.norm.running_mean.normal_(), layer.norm.running_var.uniform_(.5, 2)
    layer.eval()
    conv = nn.Conv2d(3, 4, 3, padding=1)
    to, channel, dy, dx, _ = layer.reads
    conv.weight.data.zero_()[to, channel, dy + 1, dx + 1], conv.bias = layer.values.data, layer.bias
    expected = F.max_pool2d(layer.norm(conv(from_blocks(x, 20))), 2).relu()
    for form in layer, folded(layer): assert torch.allclose(from_blocks(form(x, 20), 20), expected, atol=1e-5)
    assert folded(layer).norm is None and layer.norm is not None


def test_momentum_and_a_count_as_torch_has_them(small_tiles):
    torch.manual_seed(5)
    for options in dict(momentum=None), dict(affine=False), dict(track_running_stats=False):
        conv, norm, x = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, **options), torch.randn(20, 2, 5, 5)
        layer, truth = SparseLayer(conv, torch.ones_like(conv.weight, dtype=torch.bool), (2, 5, 5), copy.deepcopy(norm)), norm
        for _ in range(3): assert torch.allclose(from_blocks(layer(to_blocks(x), 20), 20), truth(conv(x)), atol=1e-5)
        for ours, theirs in zip(layer.norm.buffers(), norm.buffers(), strict=True): assert torch.allclose(ours, theirs, atol=1e-5)
    with pytest.raises(ValueError, match='more than one value per channel'):
        layer = SparseLayer(nn.Conv2d(2, 3, 5), torch.ones(3, 2, 5, 5, dtype=torch.bool), (2, 5, 5), nn.BatchNorm2d(3))
        layer(to_blocks(x[:1]), 1)


@pytest.mark.parametrize('layer', [nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3, dilation=2), nn.Conv2d(4, 4, 3, padding=1, padding_mode='reflect'),
                                   nn.ConvTranspose2d(4, 4, 3)], ids=str)
def test_what_has_no_sparse_form_says_so(layer):
    with pytest.raises(ValueError, match='has no sparse form'):
        SparseLayer(layer, torch.ones_like(layer.weight, dtype=torch.bool), (4, 8, 8))


def test_everything_else_works_without_numba():
    program = 'import sys; sys.modules["numba"] = None; import colt, colt.cycle, colt.runs, colt.engines.dense, colt.engines.taps; print("fine")'
    done = subprocess.run([sys.executable, '-c', program], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout == 'fine\n'


def test_bands_of_the_backward_pass(small_tiles, monkeypatch):
    "Gradients that come in several bands of channels are those that come at once"
    torch.manual_seed(6)
    monkeypatch.setattr(taps, '_SECOND', 2000)
    conv = nn.Conv2d(3, 20, 3, padding=1)
    kept = mask_like(conv.weight, .8)
    found = SparseLayer(conv, kept, (3, 6, 6))._geometry((3, 6, 6)).backward
    assert len(found.start) - 1 > 2*3 # bands of three channels
    compare(conv, kept, 20, (3, 6, 6), nn.BatchNorm2d(20), 'relu')


def test_images_of_another_number_of_channels_are_refused():
    layer = a_layer().eval()
    for form in layer, FoldedLayer(layer):
        for c in 1, 4:
            with pytest.raises(ValueError, match='of 3 channels'), torch.no_grad(): form(to_blocks(torch.randn(20, c, 6, 6)), 20)
    with pytest.raises(ValueError, match='of 3 channels'): FoldedLayer(layer)(torch.randn(1, 4, 6, 6, 1), 1)
    linear = SparseLayer(nn.Linear(8, 4), torch.ones(4, 8, dtype=torch.bool), (8,))
    with pytest.raises(ValueError, match='of 8 channels'): FoldedLayer(linear)(torch.randn(1, 9, 1, 1, 1), 1)


def test_a_sparse_network_can_be_pickled():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4*16, 5)).eval()
    mask = {'0.weight': mask_like(net[0].weight, .5)}
    x = torch.randn(20, 3, 6, 6)
    for sparse in sparse_network(net, mask, (3, 6, 6)), SparseNet(net, mask, trace(net, mask, (3, 6, 6))):
        again = pickle.loads(pickle.dumps(sparse))
        with torch.no_grad():
            for n in 1, 20: assert torch.equal(again(x[:n]), sparse(x[:n]))


IN_THREADS = """
import numba, torch
from concurrent.futures import ThreadPoolExecutor
from torch import nn
from colt.engines.blocks import to_blocks
from colt.engines.folded import FoldedLayer
from colt.engines.layers import SparseLayer
conv = nn.Conv2d(3, 4, 3, padding=1)
layer = SparseLayer(conv, torch.rand_like(conv.weight) < .5, (3, 5, 5), activation='relu')
image, folded = torch.randn(1, 3, 5, 5, 1), FoldedLayer(layer.eval())
x = to_blocks(torch.randn(40, 3, 5, 5)).requires_grad_()
def compute(_):
    with torch.no_grad(): one = folded(image, 1)
    z = layer(x, 40)
    return one, z.detach(), *torch.autograd.grad(z, x, torch.ones_like(z))
first = compute(0)
with ThreadPoolExecutor(3) as pool:
    for results in pool.map(compute, range(300)): assert all(map(torch.equal, first, results))
print(numba.threading_layer())
"""


def test_threads_may_compute_at_once_without_openmp():
    "Numba's own threads end the process if two callers come at once"
    done = subprocess.run([sys.executable, '-c', IN_THREADS], env=os.environ | {'NUMBA_THREADING_LAYER': 'workqueue'},
                          capture_output=True, text=True)
    assert done.stdout == 'workqueue\n', done.stderr
