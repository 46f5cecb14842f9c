"Whatever network somebody brings, it trains to the end with the same bits after an interruption, or is refused in one line before anything is written"
import warnings
from copy import deepcopy
from functools import partial

import pytest
import torch
from conftest import TOP
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import CASES, DRAWN, JOINS, Head, Rows, as_promised, conv
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from colt.engines.dense import Dense, to_input
from colt.mask import find_prunable, full_mask, groups, is_bias
from colt.recipe import Recipe
from colt.rewind import load_state_, rewind_, snapshot, whole_state
from colt.trial import check_network, check_state

settings.register_profile('networks', deadline=None, derandomize=True, max_examples=25)
few = settings.get_profile('networks')


@pytest.mark.parametrize('name', CASES)
def test_a_network_trains_or_is_refused(name, tmp_path): as_promised(CASES[name], tmp_path)


def test_the_table_is_large_and_at_least_half_of_it_is_drawn(): assert 2*len(DRAWN) >= len(CASES) > 120


def test_the_page_has_the_whole_table():
    page = (TOP/'nbs/explanations/your_networks.md').read_text()
    rows = [line.split(' | ')[0].removeprefix('| ') for line in page.splitlines() if line.startswith('| ')]
    assert rows[1:] == list(CASES), 'run python tools/networks.py'


# ---- properties of each kind

LAYERS = {'convolution': conv, 'transposed': partial(nn.ConvTranspose2d, 1, 4, 3), 'linear': partial(nn.Linear, 8, 4), 'norm': partial(nn.BatchNorm2d, 4),
          'LSTM': partial(Rows, nn.LSTM), 'attention': partial(nn.MultiheadAttention, 4, 2), 'own sizes': partial(nn.MultiheadAttention, 4, 2, kdim=3, vdim=5),
          'embedding': partial(nn.Embedding, 5, 4), 'layer norm': partial(nn.LayerNorm, 4), 'bilinear': partial(nn.Bilinear, 2, 3, 4)}
KINDS = ('conv', 'linear', 'output', 'batchnorm', 'bias')


@st.composite
def trees(draw):
    "A network of up to six layers, nested at random; some of them are in it twice, or share a weight"
    net = nn.Sequential()
    for kind in draw(st.lists(st.sampled_from(list(LAYERS)), min_size=1, max_size=6)):
        layer = LAYERS[kind]()
        for _ in range(draw(st.integers(0, 2))): layer = nn.Sequential(layer)
        net.append(layer)
        how = draw(st.sampled_from(['once', 'once', 'twice', 'tied']))
        if how == 'twice': net.append(layer)
        if how == 'tied':
            copy = deepcopy(layer)
            for (place, own), theirs in zip(list(copy.named_parameters()), layer.parameters(), strict=True):
                path, _, name = place.rpartition('.')
                if own.ndim > 1: setattr(copy.get_submodule(path), name, theirs)
            net.append(copy)
    for i in range(draw(st.integers(0, 3))):
        value = torch.rand(draw(st.sampled_from([(), (3,), (2, 2)])))
        if draw(st.booleans()): value = value.expand(4, *value.shape)
        draw(st.sampled_from(list(net.children()))).register_buffer(f'own{i}', value, persistent=draw(st.booleans()))
    return net


@settings(few)
@given(trees(), st.sets(st.sampled_from(KINDS), min_size=1))
def test_every_weight_is_counted_once(net, kinds):
    found = find_prunable(net, tuple(kinds), head='0')
    weights = {id(p): p.numel() for n, p in net.named_parameters() if not is_bias(n)}
    prunable = {n: size for n, size in found.sizes.items() if not is_bias(n)}
    assert not found.unpruned.keys() & found.sizes.keys()
    assert sum(prunable.values()) + sum(found.unpruned.values()) == sum(weights.values()) == found.weights
    everything = {n: torch.zeros_like(m) for n, m in full_mask(net, tuple(kinds), '0').items()}
    assert found.prune_rate(everything) == pytest.approx(100*sum(prunable.values())/max(1, found.weights))


@settings(few)
@given(trees())
def test_a_pattern_can_name_everything(net):
    found = find_prunable(net, KINDS, also={'*': 'linear'})
    assert found.unpruned == {}
    assert found.sizes.keys() == dict(net.named_parameters()).keys()


@settings(few)
@given(trees(), st.randoms(use_true_random=False))
def test_the_whole_state_is_rewound(net, rng):
    init, mask = snapshot(net), {n: torch.rand(m.shape) < .5 for n, m in full_mask(net, KINDS).items()}
    aliases = {n for n, p in net.named_parameters(remove_duplicate=False) for m, q in net.named_parameters() if m in mask and p is q}
    for v in whole_state(net).values():
        if v.is_floating_point() and v.is_contiguous(): v.detach().add_(rng.random())
    rewind_(net, init, mask)
    for n, v in whole_state(net).items():
        if n not in aliases: assert torch.equal(v, init[n]), n
    for n, m in mask.items(): assert torch.equal(net.get_parameter(n), init[n]*m), n
    load_state_(net, init)
    assert all(torch.equal(v, init[n]) for n, v in whole_state(net).items())


COMPUTED = {'weight_norm': parametrizations.weight_norm, 'spectral_norm': parametrizations.spectral_norm, 'orthogonal': parametrizations.orthogonal,
            'old weight_norm': weight_norm, 'old spectral_norm': spectral_norm, 'pruning': partial(prune.l1_unstructured, name='weight', amount=.3)}


@settings(few)
@given(st.sampled_from(list(COMPUTED)), st.sampled_from(['convolution', 'linear', 'transposed']), st.integers(0, 3))
def test_the_call_that_is_named_makes_a_layer_plain(how, kind, depth):
    layer = LAYERS[kind]()
    with warnings.catch_warnings(action='ignore'):
        COMPUTED[how](layer)
        net = layer
        for _ in range(depth): net = nn.Sequential(nn.ReLU(), net)
        with pytest.raises(ValueError) as e: groups(net)
        said = str(e.value)
        assert said.startswith(f"'{'.'.join(['1']*depth)}' ")
        eval(said.partition('call ')[2].removesuffix(' first'), {'torch': torch, 'net': net})
    assert len(groups(net)) == 1


FAULTS = {'not float32': lambda p: p.double(), 'nan': lambda p: p*torch.nan, 'infinite': lambda p: p + torch.inf, 'complex': lambda p: p.to(torch.complex64),
          'no values': lambda p: p.to('meta'), 'expanded': lambda p: p.flatten()[:1].expand(p.numel()).view(p.shape) if p.numel() > 1 else p*torch.nan}


@settings(few)
@given(trees(), st.sampled_from(list(FAULTS)), st.data())
def test_a_tensor_with_a_fault_is_named(net, fault, data):
    names = [n for n, _ in net.named_parameters()]
    name = data.draw(st.sampled_from(names))
    faulty = net.get_parameter(name)
    made = nn.Parameter(FAULTS[fault](faulty.detach()))
    for n, p in list(net.named_parameters(remove_duplicate=False)):
        path, _, leaf = n.rpartition('.')
        if p is faulty: setattr(net.get_submodule(path), leaf, made)
    with pytest.raises(ValueError) as e: check_state(net)
    assert str(e.value).startswith(f"'{name}' ") and '\n' not in str(e.value)


@settings(few)
@given(st.sampled_from(list(JOINS)), st.integers(1, 3), st.sampled_from([1, 3]), st.integers(2, 6))
def test_a_network_trains_in_the_layout_in_which_it_works(join, depth, channels, images):
    function, times = JOINS[join]
    net = Head(nn.Sequential(conv(channels, 4), *(conv(4, 4) for _ in range(depth))), 4*times, function)
    plain, x, y = deepcopy(net), torch.randint(256, (images, channels, 8, 8), dtype=torch.uint8), torch.arange(images) % 2
    inputs = to_input(x, (torch.full((channels,), 128.), torch.full((channels,), 60.)))
    engine = Dense(net, Recipe())
    loss = engine.step(inputs, y, 1e-3)
    assert (engine.layout is torch.contiguous_format) == (join == 'view')
    contiguous = inputs.to(memory_format=torch.contiguous_format)
    assert loss == pytest.approx(nn.functional.cross_entropy(plain(contiguous), y).item(), rel=1e-5)


@settings(few)
@given(st.integers(0, 4), st.integers(1, 30))
def test_the_module_that_fails_is_named(depth, width):
    net = nn.Linear(64 + width, 2)
    for _ in range(depth): net = nn.Sequential(nn.Identity(), net)
    with pytest.raises(ValueError) as e: check_network(nn.Sequential(nn.Flatten(), net), (1, 8, 8), 2)
    assert f"'{'.'.join(['1']*(depth + 1))}' (Linear)" in str(e.value)
