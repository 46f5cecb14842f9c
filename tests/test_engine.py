"The sparse engine: the same results as the dense one, for every network, however a training is interrupted"
import copy
import json
import re
import time
from dataclasses import replace

import numba
import plain_layers
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import colt.engines.engine_rule
import colt.engines.layers
import colt.engines.sparse
from colt.checkpoint import Checkpoint
from colt.cycle import cycles
from colt.data import load
from colt.engines.dense import Dense, to_input
from colt.engines.engine_rule import all_sparse, choose, costs, numba_obstacle, other_layers
from colt.engines.graph import Layer, trace
from colt.engines.inference import sparse_network
from colt.engines.sparse import Sparse, check_engine, engine_of, settled
from colt.engines.sparse_net import SparseNet, ungrouped
from colt.executors import FitJob, fit_job
from colt.mask import apply_, full_mask
from colt.mask import prune as pruned
from colt.models import ARCHITECTURES, create
from colt.partition import by_class
from colt.recipe import Recipe, SettingError
from colt.rewind import snapshot
from colt.plans import plan
from colt.train import fit
from colt.trial import try_training

SHAPE = 1, 8, 8
RECIPE = Recipe(arch='lenet5', end_iter=1, engine='sparse', linear_prune_ratio=.2, conv_prune_ratio=.2)


@pytest.fixture(autouse=True)
def one_tile(monkeypatch):
    "Numba compiles the kernels for each shape of a tile; here all tiles are single pixels, and `test_sparse.py` tests the others"
    monkeypatch.setattr(colt.engines.layers, 'tile_pixels', lambda: 1)
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before, 'Numba has changed the number of threads of torch'


@pytest.fixture(scope='module')
def digits(): return load('digits')


@pytest.fixture(scope='module')
def whole(digits): return by_class(digits, 1)[0]


def network(arch='lenet5', sparsity=.9, shape=SHAPE):
    net = create(arch, 10, shape)
    mask = pruned(snapshot(net), full_mask(net, ('conv', 'linear')), sparsity)
    apply_(net, mask)
    return net, mask


def gradients(net, model, x, y):
    "Outputs in training, all gradients in the shapes of the network, and outputs in evaluation"
    model.train()
    out = model(x)
    F.cross_entropy(out, y).backward()
    sparse = getattr(model, 'sparse', {})
    found = {n: plain_layers.scattered(sparse[n].values.grad, model.kept[n]) if n in sparse else p.grad for n, p in net.named_parameters()}
    model.eval()
    with torch.no_grad(): return out.detach(), found, model(x), {n: b.clone() for n, b in net.named_buffers()}


def distance(a, b): return float((a.detach().double() - b.detach().double()).norm()/b.detach().double().norm().clamp(min=1e-6))


@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_a_network_of_plain_sparse_layers_is_the_dense_network_in_fp64(arch, monkeypatch):
    "The graph is rewritten without a mistake: scattered values and torch's own functions give the same 15 digits"
    monkeypatch.setattr(colt.engines.layers, 'SparseLayer', plain_layers.SparseLayer)
    net, mask = network(arch)
    traced = trace(net, mask, SHAPE)
    net.double()
    dense, sparse = copy.deepcopy(net), SparseNet(net, mask, traced)
    assert {*sparse.sparse} == {*mask}
    x, y = torch.randn(19, *SHAPE).double(), torch.randint(10, (19,))
    ours, truth = gradients(net, sparse, x, y), gradients(dense, dense, x, y)
    for a, b in ((ours[0], truth[0]), (ours[2], truth[2])): assert distance(a, b) < 1e-12
    for n, g in ours[1].items():
        expected = torch.where(mask[n], truth[1][n], 0) if n in mask else truth[1][n]
        assert (g - expected).abs().max() < 1e-12, n
    for n, b in ours[3].items(): assert (b - truth[3][n]).abs().max() < 1e-12, n


@pytest.mark.parametrize('arch', ('fc1', 'lenet5', 'shufflenetv2'))
def test_a_network_of_sparse_layers_is_as_close_to_fp64_as_the_dense_network(arch):
    net, mask = network(arch)
    dense, exact = copy.deepcopy(net), copy.deepcopy(net).double()
    sparse = SparseNet(net, mask, trace(net, mask, SHAPE))
    x, y = torch.randn(19, *SHAPE), torch.randint(10, (19,))
    ours, theirs, truth = gradients(net, sparse, x, y), gradients(dense, dense, x, y), gradients(exact, exact, x.double(), y)
    for i in (0, 2): assert distance(ours[i], truth[i]) < 1e-5
    worst = {name: max(distance(torch.where(mask[n], g[n], 0) if n in mask else g[n], torch.where(mask[n], truth[1][n], 0) if n in mask else truth[1][n])
                       for n in g if truth[1][n].norm() > 1e-6) for name, g in (('sparse', ours[1]), ('dense', theirs[1]))}
    assert worst['sparse'] < max(20*worst['dense'], 1e-5), worst


def test_compilation_is_said_and_is_no_part_of_the_seconds(whole, monkeypatch):
    "A kernel is compiled in every step"
    net, mask = network()
    def step(self, *batch, usual=Sparse.step):
        numba.njit(lambda x: x + 1)(1)
        return usual(self, *batch)
    monkeypatch.setattr(Sparse, 'step', step)
    heard, began = [], time.perf_counter()
    result = fit(net, whole, RECIPE, mask, heard.append)
    wall = time.perf_counter() - began
    compiling = [event for event in heard if event.doing == 'compiling']
    assert len(compiling) >= 2*sum(event.doing == 'training' for event in heard) # before each compilation and after it
    assert 'compiling kernels' in compiling[0].compile_text
    assert 0 < heard[-1].compiled and result.seconds + heard[-1].compiled < wall


def test_another_engine_goes_on_from_a_state_with_the_same_bits(whole):
    net, mask = network()
    x, y = to_input(whole.train.x[:50], whole.train.mean_std), whole.train.y[:50]
    def engine(net): return Sparse(net, RECIPE, mask, trace(net, mask, SHAPE))
    first = engine(net)
    for _ in range(3): first.step(x, y, .01)
    weights, optimizer_state = copy.deepcopy(first.state())
    assert all(weights[n].shape == m.shape and (weights[n][~m] == 0).all() and (weights[n][m] != 0).any() for n, m in mask.items())
    assert first.optimizer.state_dict()['state'][0]['exp_avg'].ndim == 1
    other, dense = engine(network()[0]), Dense(network()[0], RECIPE, mask)
    for each in (other, dense): each.load_state(weights, optimizer_state)
    losses = [[float(each.step(x, y, .01)) for _ in range(3)] for each in (first, other, dense)]
    assert losses[0] == losses[1] and losses[0] == pytest.approx(losses[2], rel=1e-4)
    for n, v in first.state()[0].items(): assert torch.equal(v, other.state()[0][n]), n


@pytest.mark.parametrize('stop', (5, 22))
def test_an_interrupted_sparse_training_goes_on_to_the_same_bits(whole, tmp_path, stop):
    recipe = replace(RECIPE, end_iter=2)
    def train(report=None, checkpoint=None):
        net, mask = network()
        return fit(net, whole, recipe, mask, report, checkpoint=checkpoint)
    seen = []
    def interrupt(progress):
        seen.append(progress)
        if len(seen) == stop: raise KeyboardInterrupt
    file = tmp_path/'partial'/'state.safetensors'
    with pytest.raises(KeyboardInterrupt): train(interrupt, Checkpoint(file))
    resumed, straight = train(checkpoint=Checkpoint(file)), train()
    assert resumed.engine == straight.engine and straight.engine.startswith('sparse: 4 of 5 layers')
    assert resumed.history == straight.history and resumed.test_accuracy == straight.test_accuracy
    for n, v in straight.weights.items(): assert torch.equal(v, resumed.weights[n]), n


@pytest.mark.parametrize('arch', ('lenet5', 'conv3', 'fc1'))
def test_both_engines_vote_alike_after_an_epoch(whole, arch):
    "In 99.9 % of the weights"
    votes, accuracies = [], []
    for engine in ('dense', 'sparse'):
        net, mask = network(arch, .8)
        result = fit(net, whole, replace(Recipe.default(arch), end_iter=1, engine=engine), mask)
        assert result.engine.startswith(engine)
        assert all((result.weights[n][~m] == 0).all() for n, m in mask.items())
        assert all(torch.equal(v, result.weights[n]) for n, v in snapshot(net).items()) # the network has them, too
        votes.append(pruned(result.weights, mask, .2))
        accuracies.append(result.valid_accuracy)
    same = sum(int((votes[0][n] == votes[1][n]).sum()) for n in mask)/sum(m.numel() for m in mask.values())
    assert same >= .999, same
    assert accuracies[0] == pytest.approx(accuracies[1], abs=.02)


def test_a_network_that_cannot_be_traced_is_sparse_where_its_modules_can():
    class Undecided(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.far = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), nn.Conv2d(4, 4, 3, dilation=2)
            self.head, self.stages = nn.Linear(4, 10), [self.body, self.far] # a list, which PyTorch knows nothing of
        def forward(self, x):
            for stage in self.stages: x = stage(x)
            x = x.mean((2, 3))
            return self.head(x if x.sum() > 0 else -x)
    net = Undecided()
    mask = {n: torch.rand(p.shape) < .4 for n, p in net.named_parameters() if p.ndim > 1}
    apply_(net, mask)
    traced = trace(net, mask, SHAPE)
    assert [layer.name for layer in traced.layers if not layer.reason] == ['body.0.weight'] # the head is one call, which has no graph
    assert "its dilation is (2, 2)" in [layer.reason for layer in traced.layers]
    model, x = SparseNet(net, mask, traced).train(), torch.randn(5, *SHAPE)
    assert distance(model(x), net(x)) < 1e-6
    model(x).sum().backward()
    assert model.sparse['body.0.weight'].values.grad is not None and net.body[0].weight.grad is None
    assert net.far.weight.grad is not None and int(net.body[1].num_batches_tracked) == 3


def test_what_a_network_shares_or_calls_twice_stays_dense():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.tied, self.head = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1), nn.Linear(64, 10)
            self.other = nn.Conv2d(1, 1, 3, padding=1)
            self.other.weight = self.tied.weight
        def forward(self, x): return self.head(self.other(self.tied(self.conv(self.conv(x)))).flatten(1))
    net = Twice()
    mask = {n: torch.rand(p.shape) < .5 for n, p in net.named_parameters() if p.ndim > 1}
    reasons = {layer.name: layer.reason for layer in trace(net, mask, SHAPE).layers}
    assert reasons['conv.weight'] == 'it is used 2 times' and reasons['tied.weight'] == 'its weights are shared' and reasons['head.weight'] == ''


def test_the_rule_is_one_of_shapes_and_densities():
    "More kept weights never make a layer sparse, a short training is dense, and what is chosen is recorded"
    net, mask = network('resnet18', shape=(3, 32, 32))
    traced, counts = trace(net, mask, (3, 32, 32)).layers, []
    for sparsity in (0., .3, .6, .9, .99):
        layers = [layer if layer.reason else replace(layer, density=1 - sparsity) for layer in traced]
        choice = choose(layers, 10**7)
        assert choice.dense.keys() | {*choice.names} == {layer.name for layer in layers}
        assert str(choose(layers, 100)).startswith('dense: ')
        counts.append(len(choice.names))
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] >= 19
    assert len(all_sparse(layers).names) == 20
    small, large = (Layer('weight', n*n, .05, (n,), (n,)) for n in (300, 4096))
    assert costs(small)[0] < 2*costs(small)[1] and costs(large)[0] > 2*costs(large)[1], 'a linear layer must be large'


def test_the_rule_knows_that_a_thread_computes_whole_blocks_of_16_images():
    net, mask = network('conv3', .9, (1, 28, 28))
    layers = trace(net, mask, (1, 28, 28)).layers
    def is_sparse(*batch_and_threads): return bool(choose(layers, 10**9, *batch_and_threads).names)
    assert [is_sparse(n, 2) for n in (4, 8, 64, 256)] == [False, False, True, True]
    assert is_sparse(16, 1) and not is_sparse(16, 16)
    assert choose(layers, 10**9, 256, 2) == choose(layers, 10**9)


class Tokens(nn.Module):
    "A linear layer on the pixels of a convolution; a transposed convolution and an LSTM"
    def __init__(self):
        super().__init__()
        self.conv, self.mix, self.up, self.head = nn.Conv2d(1, 8, 3), nn.Linear(8, 8), nn.ConvTranspose2d(8, 8, 3), nn.Linear(8, 10)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
    def forward(self, x): return self.head(self.lstm(self.mix(self.up(self.conv(x)).flatten(2).transpose(1, 2)))[0].mean(1))


def test_every_pruned_layer_is_counted_and_named():
    "A layer on tokens is no obstacle to `auto` or an answer, and no share is said where multiply-adds are not known"
    net = Tokens().eval()
    mask = {n: torch.rand(p.shape) < .4 for n, p in net.named_parameters() if p.ndim > 1 and 'head' not in n}
    apply_(net, mask)
    traced = trace(net, mask, SHAPE).layers
    layers = traced + other_layers(net, mask, traced)
    reasons = {layer.name: layer.reason for layer in layers}
    assert reasons.keys() == {*mask, 'head.weight'} and reasons['conv.weight'] == '' and reasons['mix.weight'] == 'its input has 3 dimensions'
    assert reasons['up.weight'] == 'it is of type ConvTranspose2d' and reasons['lstm.weight_hh_l0'] == 'it is of type LSTM'
    assert str(all_sparse(layers)).startswith('sparse: 1 of 6 layers; dense: ')
    choose(layers, 10**7)
    assert 'up.weight (it is of type ConvTranspose2d), 2 layers (it is of type LSTM)' in engine_of(net, RECIPE, mask, SHAPE, 100).about
    x = torch.randn(3, *SHAPE)
    with torch.no_grad(): assert distance(sparse_network(net, mask, SHAPE)(x), net(x)) < 1e-5


def test_what_is_dense_has_its_reason(whole):
    net, mask = network('conv3')
    for change, why in (dict(engine='auto'), r'the training is too short: sparse pays from [\d,]+ images on, all epochs counted'), (dict(engine='auto', batch_size=1, end_iter=10**9), 'it is faster dense'):
        assert re.fullmatch(rf'dense: 3 layers \({why}\), head.weight \(it is not pruned\)', engine_of(net, replace(RECIPE, **change), mask, SHAPE, 100).about)
    padded = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode='reflect'))
    assert trace(padded, {'0.weight': padded[0].weight > 0}, SHAPE).layers[0].reason == 'its padding is of mode reflect'


@pytest.mark.parametrize('trained', (True, False))
def test_numbers_are_float32_whatever_is_the_default(trained):
    net, mask = network('conv3')
    model = SparseNet(net, mask, trace(net, mask, SHAPE)) if trained else sparse_network(net.eval(), mask, SHAPE)
    x = torch.randn(3, *SHAPE)
    before = model(x).detach()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.allclose(model(x), before, atol=1e-5)
        assert trace(net, mask, SHAPE).layers[0].reason == ''
    finally: torch.set_default_dtype(torch.float32)
    with pytest.raises(ValueError, match='not with torch'): model(x.double())


def test_a_layer_without_groups_is_made_without_random_numbers():
    conv = nn.Conv2d(4, 4, 3, groups=4)
    before = torch.get_rng_state()
    ungrouped(conv, torch.ones_like(conv.weight, dtype=torch.bool))
    assert torch.equal(before, torch.get_rng_state())


def test_numba_that_cannot_be_imported_is_an_obstacle(monkeypatch):
    def fails(name): raise RuntimeError('cannot cache function\nno locator available')
    monkeypatch.setattr(colt.engines.engine_rule, 'import_module', fails)
    assert numba_obstacle.__wrapped__() == 'needs numba, which fails here: cannot cache function'


def test_without_numba_auto_is_dense_and_sparse_is_an_error(monkeypatch, whole):
    monkeypatch.setattr(colt.engines.engine_rule, 'find_spec', lambda name: None)
    monkeypatch.setattr(colt.engines.sparse, 'numba_obstacle', numba_obstacle.__wrapped__)
    with pytest.warns(UserWarning, match=r'engine auto is dense here: .*pip install numba'): check_engine(replace(RECIPE, engine='auto'))
    assert settled(replace(RECIPE, engine='auto')) == replace(RECIPE, engine='dense')
    net, mask = network()[:2]
    auto = replace(RECIPE, engine='auto')
    with pytest.warns(UserWarning, match='engine auto is dense here'): assert fit(net, whole, auto, mask).engine == 'dense'
    with pytest.warns(UserWarning, match='engine auto is dense here'): assert next(cycles(network()[0], [whole], auto)).n == 0
    with pytest.raises(SettingError, match=r'engine sparse: it needs numba, .*pip install numba'): fit(net, whole, RECIPE, mask)
    job = FitJob(whole.name, auto, snapshot(net), mask, 0, plan(replace(RECIPE, engine='dense')).origin) # planned where Numba is
    with pytest.raises(SettingError, match='engine auto: it needs numba'): fit_job(job)
    with pytest.raises(SettingError, match='pip install numba'): plan(RECIPE)


def test_the_trial_of_a_network_finds_the_gradients_of_its_sparse_layers(whole, recwarn):
    net, mask = network()[:2]
    try_training(net, whole, RECIPE, mask)
    assert not [w for w in recwarn if 'get no gradient' in str(w.message)]


@pytest.mark.parametrize('change, way', ((dict(precision='bf16'), 'use precision fp32'), (dict(device='cuda'), 'use device cpu')))
def test_sparse_needs_the_processor_and_fp32(change, way):
    with pytest.raises(SettingError, match=way): check_engine(replace(RECIPE, **change))


def test_the_setting_leaves_old_ids_and_names_as_they_are():
    assert 'engine' not in Recipe().identity and replace(Recipe(), engine='dense').id == Recipe().id
    assert len({replace(Recipe(), engine=e).id for e in ('dense', 'sparse', 'auto')}) == 3


def test_the_command_trains_sparse_and_says_so(prune, tmp_path):
    flags = '--arch_type lenet5 --end_iter 1 --sparsity .5 --conv_prune_ratio .3 --linear_prune_ratio .3 --partition 1 --name a --evaluate last'
    done = prune(f'{flags} --engine sparse')
    assert done.returncode == 0, done
    assert re.search(r'^engine +sparse: 4 of 5 layers, \d+ % of the multiply-adds; dense: head.weight \(it is not pruned\)$', done.stdout, re.M)
    lines = [json.loads(line) for line in (tmp_path/'runs/a/cycles.jsonl').read_text().splitlines()]
    assert [part.get('engine', 'dense').split(':')[0] for line in lines for part in line['parts']] == ['dense'] + ['sparse']*(len(lines) - 1)
    assert json.loads((tmp_path/'runs/a/recipe.json').read_text())['recipe']['engine'] == 'sparse'
    done = prune(f'{flags} --engine auto'.replace('--name a', '--name b'))
    short = r'dense: \d layers \(the training is too short: sparse pays from [\d,]+ images on, all epochs counted\), .*head.weight \(it is not pruned\)'
    ahead = r'sparse: 2 of 5 layers, .*; dense: .*; in trainings of [\d,]+ images or more, all epochs counted \(here: 1,294 to 1,294\)'
    assert re.search(rf'^engine auto, at a sparsity of about \d\d(\.\d)? %: {ahead}$', done.stdout, re.M), done
    assert re.search(rf'^engine +{short}\. \(--engine sparse computes them sparse all the same\.\)$', done.stdout, re.M), done
    assert re.search(r'^latency .* x.*\n^throughput .* x.*\n^in memory .*\n^on disk ', done.stdout, re.M), done


def outlook_in(done):
    assert done.returncode == 0, done
    return re.search(r'^engine (?:sparse|auto), at a sparsity of about ([\d.]+) %: (.*)$', done.stdout, re.M).groups()


def test_a_dry_run_says_what_will_be_sparse(prune):
    conv3 = '--dataset fashionmnist --dry_run --data .'
    whole = 'sparse: 3 of 4 layers, 99 % of the multiply-adds; dense: head.weight (it is not pruned)'
    assert outlook_in(prune(f'{conv3} --engine sparse'))[1] == whole
    sparsity, text = outlook_in(prune(f'{conv3} --engine auto'))
    assert 95 <= float(sparsity) < 98 and re.fullmatch(rf'{re.escape(whole)}; in trainings of [\d,]+ images or more, all epochs counted', text)
    assert 'engine' not in prune(conv3).stdout
    assert float(outlook_in(prune(f'{conv3} --engine sparse --final_prune_rate 30'))[0]) < 60
    assert float(outlook_in(prune(f'{conv3} --engine sparse --max_cycles 1'))[0]) < 30
    assert prune('--arch_type lenet5 --end_iter 1 --max_cycles 1 --name a').returncode == 0
    followed = prune('--match a --name b --engine sparse --dry_run')
    assert float(outlook_in(followed)[0]) == pytest.approx(100*float(re.search(r'to a sparsity of ([\d.]+)', followed.stdout)[1]), abs=.06)
    one, many = (outlook_in(prune(f'{conv3} --engine auto --batch_size 16 --threads {n}'))[1] for n in (1, 64)) # one block for 64 threads
    assert one.startswith('sparse: ') and many.startswith('dense: ')


@pytest.mark.parametrize('flags, why', (
    ('--engine dense', r'after a dense run, only above 80 % sparsity; .*'), ('--engine auto --evaluate no', 'no trained ticket is kept'),
    ('--engine auto --arch_type fc1 --partition 1 --linear_prune_ratio .1', 'no pruned layer has a sparse form that is faster')))
def test_a_speed_that_is_not_measured_has_its_reason(prune, flags, why):
    done = prune(f'--arch_type lenet5 --end_iter 1 --max_cycles 1 --name a {flags}')
    assert done.returncode == 0 and re.search(rf'^speed +not measured: {why}$', done.stdout, re.M), done


def bytes_in(folder): return {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}


@pytest.fixture
def no_numba(monkeypatch):
    def take():
        for place in 'engines.sparse', 'engines.engine_rule', 'cli.prune': monkeypatch.setattr(f'colt.{place}.numba_obstacle', lambda: NEEDS)
    return take


NEEDS = 'needs numba: pip install numba'
RUN = '--arch_type lenet5 --end_iter 1 --max_cycles 1 --partition 1'


def test_a_finished_run_is_shown_where_numba_is_missing(prune, tmp_path, no_numba, capfd):
    "As what it is, without a change; and it does not go on"
    from colt.cli import colt_transfer
    def transfer(line): return colt_transfer(line.split()), capfd.readouterr().out
    assert prune(f'{RUN} --engine sparse --name a').returncode == 0
    code, said = transfer('--from a --optimizer sgd --name moved')
    assert code == 0 and re.search(r'^engine    sparse: 4 of 5 layers', said, re.M)
    with_numba = prune('--resume --name a').stdout
    before = bytes_in(tmp_path/'runs')
    no_numba()
    for flags in '', ' --dry_run':
        done = prune(f'--resume --name a{flags}')
        assert done.returncode == 0 and not done.stderr and 'is finished' in done.stdout
    for wrong in '--sparsity .9', '--one_shot', '--paper', '--output_class 7', '--lr .5': assert prune(f'--resume --name a {wrong}').returncode == 2
    done = prune('--resume --name a')
    same = [line for line in with_numba.splitlines() if line.startswith(('  ', 'test accuracy', 'the ticket', 'sparsity', 'report', 'network'))]
    assert len(same) > 6 and {*same} <= {*done.stdout.splitlines()}
    assert f'Here it could not go on: it {NEEDS}' in done.stdout and re.search(rf'^speed +not measured: it {NEEDS}$', done.stdout, re.M)
    code, said = transfer('--resume --name moved')
    assert code == 0 and 'is finished' in said and 'pip install numba' in said
    assert {transfer(f'--resume --name moved {wrong}')[0] for wrong in ('--cycle 0', '--part2 A', '--output_class 7', '--lr .5')} == {2}
    assert bytes_in(tmp_path/'runs') == before


def test_a_lost_file_or_a_collapse_is_no_finished_run(prune, tmp_path, no_numba):
    assert prune(f'{RUN} --engine sparse --name lost').returncode == 0
    assert prune('--arch_type lenet5 --end_iter 1 --conv_prune_ratio .9 --linear_prune_ratio 0 --sparsity .998 --engine sparse --name gone').returncode == 1
    (tmp_path/'runs/lost/tickets/cycle-001.safetensors').unlink()
    no_numba()
    for name in 'lost', 'gone':
        done = prune(f'--resume --name {name}')
        assert done.returncode == 2 and NEEDS in done.stderr, done


def test_a_run_of_auto_goes_on_with_numba_and_without(prune, tmp_path, no_numba, monkeypatch):
    "From sparse to dense and back, with processes; what it is now is said once"
    monkeypatch.setattr('colt.engines.engine_rule._STARTING', 1.)
    flags = '--arch_type conv3 --end_iter 1 --conv_prune_ratio .7 --evaluate each --engine auto --name a'
    def engines(): return [json.loads(line)['parts'][0].get('engine', 'dense')[:6] for line in (tmp_path/'runs/a/cycles.jsonl').read_text().splitlines()]
    assert prune(f'{flags} --max_cycles 1 --threads 1').returncode == 0 and engines()[1] == 'sparse'
    with monkeypatch.context() as patch:
        for place in 'engines.sparse', 'engines.engine_rule', 'cli.prune': patch.setattr(f'colt.{place}.numba_obstacle', lambda: NEEDS)
        done = prune('--resume --name a')
        assert done.returncode == 0 and 'is finished' in done.stdout
        assert f'engine auto, but nothing is sparse here: it {NEEDS}' in prune(f'{flags}b --dry_run').stdout
        done = prune('--resume --name a --max_cycles 2 --workers 2')
        assert done.returncode == 0 and done.stderr.count(f'engine auto is dense here: it {NEEDS}') == 1, done
        assert engines()[2:] == ['dense'] and re.search(r'^engine +dense$', done.stdout, re.M)
        assert re.search(rf'^speed +not measured: it {NEEDS}$', done.stdout, re.M)
    assert json.loads((tmp_path/'runs/a/recipe.json').read_text())['recipe']['engine'] == 'auto'
    assert prune('--resume --name a --max_cycles 3').returncode == 0 and engines()[3] == 'sparse'


def test_a_folded_network_answers_like_the_trained_one(whole):
    for arch in ('conv3', 'mobilenetv2'):
        net, mask = network(arch)
        with torch.no_grad():
            for m in net.modules():
                if isinstance(m, nn.BatchNorm2d):
                    m.running_mean.uniform_(-1, 1)
                    m.running_var.uniform_(.5, 2)
        net.eval()
        fast = sparse_network(net, mask, SHAPE)
        assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
        for n in (1, 16, 33):
            x = torch.randn(n, *SHAPE)
            with torch.no_grad(): assert distance(fast(x), net(x)) < 1e-5
