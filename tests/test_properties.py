"For any weights, masks and rates: against torch, against sets, against closed forms"
import math

import numpy as np
import torch
import torch.nn.utils.prune as torch_prune
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from colt.data import Dataset, Images
from colt.files import pack_mask, unpack_mask
from colt.mask import Prunable, count_kept, apply_, layer_kept, prune, min_kept, sparsity
from colt.overlap import agreement, overlap, expected_removal
from colt.partition import at_random, by_class
from colt.rewind import rewind_, snapshot
from colt.ticket import Ticket

settings.register_profile('colt', deadline=None, derandomize=True, max_examples=150)
settings.load_profile('colt')

finite = st.floats(-1e6, 1e6, width=32)
shapes = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 5)), min_size=1, max_size=4)
rates = st.floats(0, 1)
scopes = st.sampled_from(['global', 'local'])


@st.composite
def networks(draw, values=finite, distinct=False):
    "Weights and a mask of the same names and shapes"
    sizes = draw(shapes)
    if distinct:
        order = draw(st.permutations(range(1, 1 + sum(math.prod(s) for s in sizes))))
        signs = draw(st.lists(st.sampled_from([-1., 1.]), min_size=len(order), max_size=len(order)))
        flat = iter([s*o/7 for s, o in zip(signs, order, strict=True)])
        weights = {f'layer{i}.weight': torch.tensor([[next(flat) for _ in range(s[1])] for _ in range(s[0])]) for i, s in enumerate(sizes)}
    else: weights = {f'layer{i}.weight': torch.from_numpy(draw(arrays(np.float32, s, elements=values))) for i, s in enumerate(sizes)}
    mask = {n: torch.from_numpy(draw(arrays(bool, tuple(w.shape)))) for n, w in weights.items()}
    return weights, mask


@st.composite
def votes(draw):
    "One to five masks of the same names and shapes"
    sizes = draw(shapes)
    return [{f'layer{i}.weight': torch.from_numpy(draw(arrays(bool, s))) for i, s in enumerate(sizes)}
            for _ in range(draw(st.integers(1, 5)))]


def as_set(mask): return {(n, i) for n, m in mask.items() for i in m.flatten().nonzero().flatten().tolist()}
def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


@given(networks(), rates, scopes)
def test_prune_removes_exactly_the_smallest(network, rate, scope):
    weights, mask = network
    after = prune(weights, mask, rate, scope)
    lines = [[n] for n in mask] if scope == 'local' else [list(mask)]
    assert list(after) == list(mask)
    for names in lines:
        before = sum(int(mask[n].sum()) for n in names)
        assert before - sum(int(after[n].sum()) for n in names) == round(rate*before)
        gone = torch.cat([weights[n][mask[n] & ~after[n]].abs() for n in names])
        kept = torch.cat([weights[n][after[n]].abs() for n in names])
        assert not len(gone) or not len(kept) or gone.max() <= kept.min()
    assert as_set(after) <= as_set(mask)


@given(networks(values=st.sampled_from([-1., 0., .5, 1.])), rates)
def test_ties_are_broken_by_position(network, rate):
    weights, mask = network
    expected, living = set(as_set(mask)), [(abs(float(weights[n].flatten()[i])), k, n, i) for k, n in enumerate(mask)
                                           for i in mask[n].flatten().nonzero().flatten().tolist()]
    expected -= {(n, i) for _, _, n, i in sorted(living, key=lambda v: (v[0], v[1], v[3]))[:round(rate*len(living))]}
    assert as_set(prune(weights, mask, rate)) == expected


@given(networks(distinct=True), rates, scopes)
def test_prune_is_torchs_where_there_are_no_ties(network, rate, scope):
    weights, mask = network
    layers = {}
    for n, w in weights.items():
        layers[n] = nn.Linear(w.shape[1], w.shape[0], bias=False)
        with torch.no_grad(): layers[n].weight.copy_(w)
        torch_prune.custom_from_mask(layers[n], 'weight', mask[n])
    if scope == 'global': torch_prune.global_unstructured([(m, 'weight') for m in layers.values()], torch_prune.L1Unstructured,
                                                          amount=round(rate*count_kept(mask)))
    else:
        for n, m in layers.items(): torch_prune.l1_unstructured(m, 'weight', round(rate*int(mask[n].sum())))
    assert same(prune(weights, mask, rate, scope), {n: m.weight_mask.bool() for n, m in layers.items()})


@given(networks(), st.floats(.01, .99), scopes)
@settings(max_examples=50)
def test_what_stays_for_ever_is_known_before(network, rate, scope):
    "Pruning goes on until nothing more would go, or until there would be fewer weights than layers"
    (weights, mask), left = network, 0
    for line in [[*mask]] if scope == 'global' else [[n] for n in mask]:
        now = {n: mask[n] for n in line}
        while len(line) <= count_kept(then := prune({n: weights[n] for n in line}, now, rate, scope)) < count_kept(now): now = then
        left += count_kept(now)
    sizes, group = layer_kept(mask), dict.fromkeys(mask, 'all')
    assert left == min_kept(Prunable(sizes, group, scope, sum(sizes.values())), {'all': rate})


@given(votes())
def test_overlap_is_the_intersection(masks):
    found = overlap(masks)
    assert as_set(found) == set.intersection(*map(as_set, masks))
    assert same(found, overlap(masks[::-1])) and same(found, overlap([*masks, found]))


@given(votes())
def test_agreement_is_jaccards(masks):
    found, sets = agreement(masks), list(map(as_set, masks))
    assert found.all == (len(set.intersection(*sets))/len(set.union(*sets)) if set.union(*sets) else 1.)
    assert 0 <= found.chance <= 1 and all(0 <= a <= 1 for a in found.layers.values())


@given(networks(), rates, st.integers(1, 4), st.data())
def test_a_cycle_removes_between_n_and_n_times_the_votes(network, rate, n, data):
    weights, mask = network
    others = [{k: torch.from_numpy(data.draw(arrays(np.float32, tuple(w.shape), elements=finite))) for k, w in weights.items()}
              for _ in range(n)]
    one = round(rate*count_kept(mask))
    gone = count_kept(mask) - count_kept(overlap([prune(w, mask, rate) for w in others]))
    assert one <= gone <= min(count_kept(mask), n*one)
    low, high = expected_removal(rate, n)
    assert low == rate and low <= high + 1e-12 <= min(1, n*rate) + 1e-9


@given(networks())
def test_a_ticket_comes_back_bit_for_bit(network):
    import tempfile
    weights, mask = network
    rest = {'head.bias': torch.tensor([-0., float('inf'), 1.]), 'bn.num_batches_tracked': torch.tensor(3)}
    ticket = Ticket(weights | rest, mask, {'cycle': 3})
    with tempfile.TemporaryDirectory() as folder:
        ticket.save(f'{folder}/t')
        found = Ticket.load(f'{folder}/t')
    assert same(found.mask, mask) and list(found.init) == list(ticket.init) and found.meta['cycle'] == 3
    assert all(found.init[n].numpy().tobytes() == v.numpy().tobytes() and found.init[n].shape == v.shape for n, v in ticket.init.items())
    assert all((found.init[n][~m] == 0).all() for n, m in mask.items()) and found.sparsity == sparsity(mask)


@given(votes())
def test_votes_are_packed_within_what_was_alive(masks):
    within = {n: torch.stack([m[n] for m in masks]).any(0) for n in masks[0]}
    sizes = {n: tuple(m.shape) for n, m in within.items()}
    for vote in masks: assert same(unpack_mask(pack_mask(vote, within), sizes, within), vote)


@given(networks())
def test_a_rewind_leaves_nothing_of_the_training(network):
    _, mask = network
    net = nn.Sequential(*(layer for m in mask.values() for layer in (nn.Linear(m.shape[1], m.shape[0]), nn.BatchNorm1d(m.shape[0]))))
    init, named = snapshot(net), {f'{2*i}.weight': m for i, m in enumerate(mask.values())}
    with torch.no_grad():
        for v in net.state_dict().values(): v.add_(1)
    rewind_(net, init, named)
    for n, v in net.state_dict().items():
        expected = torch.where(named[n], init[n], torch.zeros(())) if n in named else init[n]
        assert v.numpy().tobytes() == expected.numpy().tobytes()
    apply_(net, named)
    assert all((net.state_dict()[n][~m] == 0).all() for n, m in named.items())


@given(st.integers(2, 30), st.integers(1, 30), st.integers(0, 2**32), st.data())
@settings(max_examples=60)
def test_every_class_and_every_image_is_in_one_part(classes, n, seed, data):
    names = tuple(map(str, range(classes)))
    def images():
        y = torch.tensor([c for c in range(classes) for _ in range(data.draw(st.integers(2, 5)))])
        return Images(torch.arange(len(y)).to(torch.uint8).view(-1, 1, 1, 1), y, names)
    whole = Dataset(images(), images(), images())
    if n <= classes:
        partitions = by_class(whole, n)
        assert [c for p in partitions for c in p.classes] == list(names)
        assert max(len(p.classes) for p in partitions) - min(len(p.classes) for p in partitions) <= 1
        assert sum(len(p.train) for p in partitions) == len(whole.train) and len({p.name for p in partitions}) == n
    if n <= 2:
        partitions = at_random(whole, n, seed)
        assert sorted(torch.cat([p.train.x for p in partitions]).flatten().tolist()) == sorted(whole.train.x.flatten().tolist())
