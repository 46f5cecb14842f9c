"Networks and images of one's own: one call finds a ticket, the trained network is kept, and it takes images as they are"
import builtins
import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import colt
from colt.cli import colt_prune, colt_transfer
from colt.cycle import Collapse
from colt.data import from_arrays, load, split
from colt.data.seeds import seeded
from colt.engines.dense import evaluate
from colt.files import seal
from colt.find import find_ticket
from colt.models import create
from colt.plans import plan
from colt.progress import bytes_written, opening
from colt.recipe import Recipe, SettingError
from colt.records import RunFolder, correct_images
from colt.runs import create_run, evaluate_ticket, execute
from colt.sensitivity import sensitivity
from colt.transfers import plan_transfer

SHORT = dict(end_iter=1, max_cycles=1, device='cpu')
RECIPE = Recipe.default('lenet5', conv_prune_ratio=.4, linear_prune_ratio=.4, **SHORT)


@pytest.fixture(scope='module')
def digits(): return load('digits')


def lenet(outputs): return create('lenet5', outputs, (1, 8, 8), RECIPE.seed)
def quiet(progress): "A report that shows nothing"


class Tiny(nn.Module):
    "A convolution and two linear layers; it flattens with `view`, so images must be contiguous"
    def __init__(self, outputs):
        super().__init__()
        self.last = nn.Linear(12, outputs)                          # drawn first: the body depends on the number of outputs
        self.conv, self.middle, self.norm = nn.Conv2d(1, 4, 3), nn.Linear(4*6*6, 12), nn.BatchNorm1d(12)
    def forward(self, x): return self.last(self.norm(self.middle(self.conv(x).relu().view(len(x), -1))).relu())


def accuracy(model, images): return (model(images.x).argmax(1) == images.y).double().mean().item()


def by_hand(model, images):
    "The accuracy of the network alone, in numpy's arithmetic of standardised images"
    mean, std = (v.double().numpy()[None, :, None, None] for v in (model.mean, model.std))
    x = torch.from_numpy(((images.x.numpy() - mean)/std).astype(np.float32))
    with torch.no_grad(): return (model.net(x).argmax(1) == images.y).double().mean().item()


@pytest.mark.parametrize('more', ['', '--prune_type lth', '--evaluate each --rewind 5'])
def test_one_call_gives_what_the_command_gives(tmp_path, digits, more, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = f'--arch_type lenet5 --conv_prune_ratio .4 --linear_prune_ratio .4 --end_iter 1 --max_cycles 1 --device cpu {more}'
    with redirect_stdout(StringIO()): assert colt_prune([*line.split(), '--name', 'command']) == 0
    command = RunFolder('runs/command')
    run = find_ticket(lenet, 'digits', command.recipe, report=quiet)
    assert run.path.name.startswith(f'{command.recipe.prune_type}-Net-digits-') and run.recipe.arch == 'Net'
    assert replace(run.recipe, arch='lenet5') == command.recipe
    for mine, theirs in zip(run.records(), command.records(), strict=True):
        assert (mine.ticket, mine.sparsity, mine.votes) == (theirs.ticket, theirs.sparsity, theirs.votes)
        a, b = run.ticket(mine.cycle), command.ticket(mine.cycle)
        assert all(torch.equal(a.mask[n], b.mask[n]) and torch.equal(a.init[n], b.init[n]) for n in a.mask)
    ours, theirs = (r.model(normalise=False).state_dict() for r in (run, command))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.mark.parametrize('settings', [
    dict(), dict(prune_type='lth', partition=1), dict(evaluate='each', bias=True), dict(rewind='3'), dict(partition_by='random'),
    dict(output_prune_ratio=.2), dict(precision='bf16')], ids=str)
@pytest.mark.filterwarnings('ignore:output_prune_ratio')
def test_the_kept_network_is_the_one_that_was_tested(tmp_path, digits, settings):
    run = find_ticket(Tiny, digits, replace(RECIPE, **settings), tmp_path/'run', report=quiet)
    records = run.records()
    for n in range(len(records)) if settings.get('evaluate') else [-1]:
        model = run.model(n)
        assert accuracy(model, digits.test) == records[n].ticket.test_accuracy
        right = model(digits.test.x).argmax(1) == digits.test.y
        assert correct_images(run, records[n]) == {'ticket': right.tolist()}
        if 'precision' not in settings: assert by_hand(model, digits.test) == records[n].ticket.test_accuracy
        mask = run.ticket(n).mask
        kept = {name: m for name, m in mask.items() if model.net.get_parameter(name).shape == m.shape}
        assert kept and not any(model.net.get_parameter(name)[~m].any() for name, m in kept.items())
    assert 'models' in records[-1].files and model.classes == digits.classes
    if not settings: assert 'models' not in records[0].files


def test_theta0_follows_from_the_seed_and_the_body_goes_from_the_narrow_to_the_wide(tmp_path, digits):
    first, second = (plan(replace(RECIPE, seed=0), digits, net=Tiny) for _ in range(2))
    torch.manual_seed(99)
    third, other = plan(RECIPE, digits, net=Tiny), plan(replace(RECIPE, seed=1), digits, net=Tiny)
    for p in second, third: assert all(torch.equal(p.init[n], v) for n, v in first.init.items())
    assert not torch.equal(other.init['conv.weight'], first.init['conv.weight'])
    assert first.head == 'last' and first.own.fresh == ('last',)
    run = create_run(replace(first, recipe=replace(first.recipe, evaluate='each', end_iter=1, lr=1e-12, weight_decay=0.)), tmp_path/'run')
    list(execute(replace(first, recipe=run.recipe), run))
    wide = run.model(0, normalise=False)                              # hardly trained: the body is θ0, the head is new
    assert torch.allclose(wide.conv.weight, first.init['conv.weight'], atol=1e-6) and wide.last.out_features == 10


def test_the_reinit_control_has_other_weights_and_the_others_are_trained_too(tmp_path, digits):
    run = find_ticket(Tiny, digits, replace(RECIPE, controls='reinit,shuffle,random', max_cycles=0), tmp_path/'run', report=quiet)
    record, = run.records()
    assert set(record.controls) == {'reinit', 'shuffle', 'random'}
    assert record.controls['shuffle'] == record.ticket == record.controls['random']     # nothing is pruned, so they are the same
    assert record.controls['reinit'] != record.ticket
    for net, reason in (Tiny(10), 'a network has no other'), (lenet, 'do not follow from the global generators'):
        with pytest.raises(SettingError, match=reason): find_ticket(net, digits, run.recipe, tmp_path/'none', report=quiet)
    assert not (tmp_path/'none').exists()


def test_a_network_stays_as_it_is_and_too_narrow_a_one_is_said(tmp_path, digits):
    net = Tiny(10)
    before = {n: v.clone() for n, v in net.state_dict().items()}
    run = find_ticket(net, digits, RECIPE, tmp_path/'wide', report=quiet)
    assert all(torch.equal(v, before[n]) for n, v in net.state_dict().items()) and not net.conv.weight.grad
    assert all(torch.equal(v, before[n]) for n, v in run.init().items())
    about = {n: v for n, v in run.about()['network'].items() if n != 'behaviour'}
    assert about == {'class': 'Tiny', 'head': 'last', 'width': 10}                    # defined first, and passed last
    assert accuracy(run.model(), digits.test) == run.records()[-1].ticket.test_accuracy
    with pytest.warns(UserWarning, match='Tiny has 5 outputs, and there are 10 classes'):
        narrow = find_ticket(Tiny(5), digits, RECIPE, tmp_path/'narrow', report=quiet)
    assert narrow.records()[-1].ticket is None
    with pytest.raises(ValueError, match='keeps its network'): narrow.model()


def test_a_cell_that_is_run_again_trains_nothing(tmp_path, digits):
    asked = tmp_path/'run'
    find_ticket(Tiny, digits, RECIPE, asked, report=quiet)
    before, events = {p: p.read_bytes() for p in asked.rglob('*.*')}, []
    assert find_ticket(Tiny, digits, RECIPE, asked, report=events.append).records()
    assert events == [] and before == {p: p.read_bytes() for p in asked.rglob('*.*')}
    with pytest.raises(ValueError, match='another run: lr is'): find_ticket(Tiny, digits, replace(RECIPE, lr=.5), asked)
    class Tiny2(Tiny): pass
    with pytest.raises(ValueError, match="another run: arch is 'Tiny2'"): find_ticket(Tiny2, digits, RECIPE, asked)
    with pytest.raises(ValueError, match='other data'): find_ticket(Tiny, replace(digits, train=digits.valid), RECIPE, asked)
    assert before == {p: p.read_bytes() for p in asked.rglob('*.*')}


def layers(act=nn.ReLU, dropout=.1, norm=nn.Identity):
    def make(outputs): return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), norm(), act(), nn.Dropout(dropout), nn.Linear(12, outputs))
    return make


@pytest.mark.parametrize('settings', [dict(), dict(rewind='3')], ids=str)
@pytest.mark.parametrize('other', [dict(act=nn.Sigmoid), dict(dropout=.9), dict(dropout=0.), dict(norm=lambda: nn.LayerNorm(12, elementwise_affine=False)),
                                   dict(act=lambda: nn.LeakyReLU(.05))], ids=lambda other: ' '.join(other))
def test_an_edited_network_of_the_same_shapes_is_refused(tmp_path, digits, settings, other):
    "As torch says: other outputs come from the same weights"
    path, recipe = tmp_path/'run', replace(RECIPE, conv_prune_ratio=0., **settings)
    run = find_ticket(layers(), digits, recipe, path, report=quiet)
    before = {p: p.read_bytes() for p in path.rglob('*.*')}
    for ask in recipe, replace(recipe, max_cycles=2):
        with pytest.raises(ValueError, match=r'another network: .* other outputs in (training|evaluation); choose another path, or') as e:
            find_ticket(layers(**other), digits, ask, path, report=quiet)
        assert '\n' not in str(e.value)
    with pytest.raises(ValueError, match='another network'): RunFolder(path, net=layers(**other)).model()
    assert before == {p: p.read_bytes() for p in path.rglob('*.*')}
    assert find_ticket(layers(), digits, recipe, path, report=quiet).model()
    assert torch.equal(RunFolder(path, net=layers()).model()(digits.test.x), run.model()(digits.test.x))
    assert len(find_ticket(layers(), digits, replace(recipe, max_cycles=2), path, report=quiet).records()) == 3


def test_an_edited_network_that_was_handed_over_is_refused(tmp_path, digits):
    run = find_ticket(layers()(10), digits, replace(RECIPE, conv_prune_ratio=0.), tmp_path/'run', report=quiet)
    edited = layers(nn.Sigmoid)(10)
    edited.load_state_dict(run.net.state_dict())
    with pytest.raises(ValueError, match='another network'): RunFolder(run.path, net=edited).model()
    with pytest.raises(ValueError, match='another network'): find_ticket(edited, digits, run.recipe, run.path, report=quiet)
    assert RunFolder(run.path, net=layers()(10)).model()                              # of other weights, which are not used


def test_a_run_without_a_behaviour_is_read_as_before(tmp_path, digits):
    recipe = replace(RECIPE, conv_prune_ratio=0.)
    run = find_ticket(layers(), digits, recipe, tmp_path/'run', report=quiet)
    about = json.loads((run.path/'recipe.json').read_text())
    assert about['network'].pop('behaviour').keys() == {'training', 'evaluation'}
    (run.path/'recipe.json').write_text(text := json.dumps(seal(about), indent=1))
    assert find_ticket(layers(nn.Sigmoid), digits, recipe, run.path, report=quiet).model()
    assert (run.path/'recipe.json').read_text() == text


def test_a_network_whose_outputs_do_not_repeat_has_no_behaviour(tmp_path, digits):
    noise = np.random.default_rng(0)
    class Unsteady(Tiny):
        def forward(self, x): return super().forward(x) + float(noise.random())*self.training*torch.arange(self.last.out_features)
    with pytest.warns(UserWarning, match='same numbers twice'): run = find_ticket(Unsteady, digits, RECIPE, tmp_path/'run', report=quiet)
    assert 'behaviour' not in run.about()['network']
    with pytest.warns(UserWarning, match='same numbers twice'): assert find_ticket(Unsteady, digits, RECIPE, run.path, report=quiet).model()


@pytest.mark.parametrize('device', ['cuda:77', 'mps', 'cuda'])
def test_a_device_that_is_not_here_is_said_before_anything_is_made(tmp_path, digits, monkeypatch, device, capsys):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=f'device {device}: ') as e: find_ticket(Tiny, digits, replace(RECIPE, device=device), report=quiet)
    assert e.value.setting == 'device' and '\n' not in str(e.value)
    assert colt_prune(['--device', device, '--end_iter', '1']) == 2
    assert device in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_a_cycle_that_is_not_there_is_said_with_those_that_are(tmp_path, digits):
    run = find_ticket(Tiny, digits, RECIPE, tmp_path/'run', report=quiet)
    for n in 99, -3, 'last', 1.5, None:
        for read in run.ticket, run.model, run.cycle:
            with pytest.raises(ValueError, match=r'has no finished cycle .*; it has 0 to 1') as e: read(n)
            assert repr(n) in str(e.value) and '\n' not in str(e.value)
    assert run.ticket(np.int64(1)).meta == run.ticket(-1).meta


def test_one_picture_is_classified_in_any_form(tmp_path, digits):
    model = find_ticket(Tiny, digits, RECIPE, tmp_path/'run', report=quiet).model()
    for x in digits.test.x[:5]:
        expected, grey = model.classify(x[None]), x[0].numpy()
        for picture in x, x/255, x.numpy(), grey, grey/255, x.permute(1, 2, 0).numpy(), Image.fromarray(grey), [Image.fromarray(grey)], x[None].numpy():
            assert model.classify(picture) == expected


def test_a_run_that_ends_early_has_its_last_ticket_evaluated(tmp_path, digits):
    steep = replace(RECIPE, partition=5, conv_prune_ratio=.9, linear_prune_ratio=.9, sparsity=.996, max_cycles=None, lr=.1)
    with pytest.warns(UserWarning, match='pruning cannot continue'):
        run = find_ticket(Tiny, digits, steep, tmp_path/'run', report=quiet)
    assert accuracy(run.model(), digits.test) == run.records()[-1].ticket.test_accuracy
    p = plan(run.recipe, digits, net=Tiny)
    bare = create_run(p, tmp_path/'bare')
    with pytest.raises(Collapse): list(execute(p, bare))
    last = bare.records()[-1].cycle
    with pytest.raises(ValueError, match=rf'evaluate_ticket\(plan, run, {last}\)'): bare.model()
    evaluate_ticket(p, bare, last)
    assert torch.equal(bare.model()(digits.test.x), run.model()(digits.test.x))


def test_a_changed_network_file_is_noticed(tmp_path, digits):
    run, other = (find_ticket(Tiny, digits, replace(RECIPE, lr=lr), tmp_path/str(lr), report=quiet) for lr in (.01, .02))
    run.file('models', 1).write_bytes(other.file('models', 1).read_bytes())
    with pytest.raises(ValueError, match='it is not the file that the record of its cycle is about'): run.model()
    run.file('models', 1).unlink()
    with pytest.raises(ValueError, match='is missing; put back a copy, or make it again by evaluate_ticket'): run.model()


def test_a_run_that_is_opened_later_needs_the_network_and_says_so_and_its_layers_are_scanned(tmp_path, digits):
    run = find_ticket(Tiny, digits, RECIPE, tmp_path/'run', report=quiet)
    with pytest.raises(ValueError, match=r'network of your own \(Tiny\); open it with RunFolder'): RunFolder(run.path).model()
    for net in Tiny, Tiny(10): assert torch.equal(RunFolder(run.path, net=net).model()(digits.test.x), run.model()(digits.test.x))
    with pytest.raises(ValueError, match='same network'): RunFolder(run.path, net=lenet).model()
    net, mask, mean_std = run.model(normalise=False), run.ticket().mask, digits.train.mean_std
    found = sensitivity(net, digits.valid, mean_std, mask, [.5])
    assert found.accuracy == run.records()[-1].ticket.valid_accuracy and [*found.layers] == ['conv.weight', 'middle.weight']
    by_torch = run.model(normalise=False)
    kept = by_torch.middle.weight[mask['middle.weight']]
    by_torch.middle.weight.data[by_torch.middle.weight.abs() <= kept.abs().sort().values[round(.5*len(kept)) - 1]] = 0
    assert found.layers['middle.weight'] == [evaluate(by_torch, digits.valid, mean_std)[1]]
    with pytest.raises(ValueError, match=r"the network has no 'conv.weight'"): sensitivity(lenet(10), digits.valid, mean_std, mask)


def test_rows_are_tidy_and_the_frame_says_what_to_install(tmp_path, digits, monkeypatch):
    run = find_ticket(Tiny, digits, RECIPE, tmp_path/'run', report=quiet)
    rows = run.to_rows()
    assert len({tuple(row) for row in rows}) == 1 and [row['what'] for row in rows] == ['0-4', '5-9', 'ticket']*2
    assert rows[-1]['test_accuracy'] == run.records()[-1].ticket.test_accuracy
    made = []
    pandas = type(sys)('pandas')
    pandas.DataFrame = lambda rows: made.append(rows) or 'a frame'
    monkeypatch.setitem(sys.modules, 'pandas', pandas)
    assert run.to_frame() == 'a frame' and made == [rows]
    monkeypatch.delitem(sys.modules, 'pandas')
    real = builtins.__import__
    def without(name, *rest):
        if name == 'pandas': raise ImportError
        return real(name, *rest)
    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ImportError, match=r'pip install pandas; to_rows\(\) gives the same'): run.to_frame()


@pytest.mark.parametrize('settings', [dict(max_cycles=4), dict(max_cycles=3, evaluate='each'), dict(sparsity=.9, max_cycles=None),
                                      dict(max_cycles=3, partition=5), dict(prune_type='lth', partition=1, max_cycles=3)], ids=str)
def test_what_a_run_says_that_it_writes_is_near_to_what_it_writes(tmp_path, digits, settings):
    p = plan(replace(Recipe.default('fc1', linear_prune_ratio=.3, **SHORT), **settings), digits)
    run = create_run(p, tmp_path/'run')
    list(execute(p, run))
    written = sum(f.stat().st_size for f in run.path.rglob('*') if f.is_file())
    assert .6 < bytes_written(p)/written < 1.6


def test_without_room_for_states_of_trainings_a_run_goes_on(tmp_path, digits, monkeypatch):
    p = plan(Recipe.default('fc1', linear_prune_ratio=.3, **SHORT), digits)
    whole = create_run(p, tmp_path/'whole', 1)
    list(execute(p, whole))
    needed = re.search(r"writes about .* into '.*', and up to (\S+) MB more while it runs; not pruned", opening(p, 'run')).group(1)
    assert float(needed)*1e6 == pytest.approx(12*(tmp_path/'whole/init.safetensors').stat().st_size, rel=.05)
    monkeypatch.setattr('shutil.disk_usage', lambda path: SimpleNamespace(free=500_000))      # less than two states, more than a ticket
    run = create_run(p, tmp_path/'run', 1)
    with pytest.warns(UserWarning) as said: list(execute(p, run))
    assert [str(w.message).partition(':')[0] for w in said] == [f"too little room for the states of trainings in '{run.path}/partial'"]
    for n in 0, 1: assert run.file('tickets', n).read_bytes() == whole.file('tickets', n).read_bytes()
    assert not (run.path/'partial').exists()


def test_progress_is_quiet_without_a_terminal(tmp_path):
    program = f"""import colt
from torch import nn
if __name__ == '__main__':
    recipe = colt.Recipe(linear_prune_ratio=.3, max_cycles=0, end_iter=1)
    print(colt.find_ticket(lambda n: nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Linear(9, n)), 'digits', recipe, {str(tmp_path/'run')!r}))"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout.count('\n')) == (0, '', 1) and done.stdout.startswith('RunFolder(')


# Mean and deviation

def test_mean_and_deviation_are_in_recipe_ticket_and_network(tmp_path, digits):
    run = find_ticket(Tiny, digits, RECIPE, tmp_path/'run', report=quiet)
    x = digits.train.x.double()
    mean, std = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0).sqrt()
    model = run.model()
    for found in run.about()['data'], run.ticket().meta, {'mean': model.mean.tolist(), 'std': model.std.tolist()}:
        assert np.allclose(found['mean'], mean, rtol=1e-6) and np.allclose(found['std'], std, rtol=1e-6)
    assert model.classify(digits.test.x[:50]) == model.classify(digits.test.x[:50]/255)
    with pytest.raises(ValueError, match=r'standardised already.*model\(normalise=False\)'):
        model((digits.test.x - mean.float()[:, None, None])/std.float()[:, None, None])


def test_a_run_without_them_is_read(tmp_path, digits):
    p = plan(RECIPE, digits)
    run = create_run(p, tmp_path/'run')
    about = json.loads((run.path/'recipe.json').read_text())
    for key in 'mean', 'std': del about['data'][key]
    (run.path/'recipe.json').write_text(json.dumps(seal(about)))
    again = RunFolder(run.path)
    assert len(list(execute(p, again))) == 2 and again.model()


# From the command line

NETWORK = """from torch import nn
import neighbour
def make_net(outputs):
    return nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(4*64, 12), nn.ReLU(), nn.Linear(12, outputs))
"""


@pytest.fixture
def own(tmp_path, monkeypatch, digits):
    "A file with a network, and a folder of pictures of three classes"
    monkeypatch.chdir(tmp_path)
    (tmp_path/'mine').mkdir()
    (tmp_path/'mine/net.py').write_text(NETWORK)
    (tmp_path/'mine/neighbour.py').write_text('')
    for label, name in enumerate(('zero', 'one', 'two')):
        folder = tmp_path/'some digits'/name
        folder.mkdir(parents=True)
        for i, x in enumerate(digits.train.x[digits.train.y == label][:40]): Image.fromarray(x[0].numpy()).save(folder/f'{i}.png')
    return ['--net', 'mine/net.py:make_net', '--dataset', 'some digits', '--end_iter', '1', '--max_cycles', '1', '--device', 'cpu']


def test_a_network_and_pictures_from_the_command_line(own, capsys):
    assert colt_prune([*own, '--dry_run']) == 0
    said = capsys.readouterr().out
    assert 'this has run mine/net.py, and nothing else' in said and '3.weight' in said and 'would write' in said
    assert not RunFolder('runs').path.exists()
    assert colt_prune([*own, '--name', 'own']) == 0
    said = capsys.readouterr().out
    assert "writes about" in said and '--net mine/net.py:make_net --dataset' in said
    run = RunFolder('runs/own')
    assert (run.recipe.arch, run.recipe.dataset) == ('Sequential', 'some-digits') and run.records()[-1].ticket
    resume = ['--resume', '--name', 'own', '--max_cycles', '2']
    for flags, needed in ([], '--net FILE:NAME again'), (own[:2], '--dataset FOLDER again'), (own[2:4], '--net FILE:NAME again'):
        assert colt_prune([*resume, *flags]) == 2 and needed in capsys.readouterr().err
    assert colt_prune([*resume, *own[:4]]) == 0 and len(run.records()) == 3


def test_a_file_is_run_only_if_the_command_names_it(own, tmp_path, capsys):
    assert colt_prune([*own, '--name', 'own']) == 0
    (tmp_path/'mine/net.py').write_text('open("was run", "w")')
    assert colt_prune(['--resume', '--name', 'own', '--max_cycles', '3']) == 2
    assert colt_transfer(['--from', 'own']) == 2
    assert not (tmp_path/'was run').exists()
    for wrong, why in (['--net', 'none.py:x'], 'no file'), (['--net', 'mine/net.py'], 'as in my.py:make_net'), \
                      (['--net', 'mine/net.py:make_net', '--arch_type', 'fc1'], 'give one of them'):
        capsys.readouterr()
        assert colt_prune([*wrong, '--name', 'none']) == 2
        assert why in capsys.readouterr().err


# Elsewhere

def test_a_transfer_never_takes_other_images_of_the_same_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (200, 1, 8, 8)).astype(np.uint8)
    mine = split(from_arrays(noise, np.arange(200) % 10))
    p = plan(RECIPE, mine)                                                    # its recipe says digits, by default
    list(execute(p, create_run(p, 'runs/mine')))
    assert colt_transfer(['--from', 'mine', '--end_iter', '1']) == 2
    assert "other images that are called 'digits'" in capsys.readouterr().err
    with pytest.raises(ValueError, match='other images that are called'): plan_transfer(RunFolder('runs/mine'), RECIPE)
    assert plan_transfer(RunFolder('runs/mine'), RECIPE, mine).dataset is mine
    monkeypatch.setattr('colt.engines.sparse.numba_obstacle', lambda: 'needs numba')
    with pytest.warns(UserWarning, match='engine auto is dense here'):
        assert plan_transfer(RunFolder('runs/mine'), replace(RECIPE, engine='auto'), mine).recipe.engine == 'auto'
    q = plan(replace(RECIPE, dataset='noise'), mine)
    list(execute(q, create_run(q, 'runs/noise')))
    assert colt_transfer(['--from', 'noise', '--end_iter', '1', '--dry_run']) == 2
    assert 'made with images of your own' in capsys.readouterr().err
    assert colt_transfer(['--from', 'noise', '--dataset2', 'digits', '--end_iter', '1', '--cycle', '1', '--device', 'cpu']) == 0
    assert [p.name for p in (tmp_path/'runs').iterdir() if 'to-digits' in p.name]


def test_the_tickets_of_a_network_of_ones_own_are_not_given_to_another(tmp_path, digits, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    class conv3(Tiny): "A network that is called as one of colt's"
    find_ticket(conv3, digits, RECIPE, 'runs/own', report=quiet)
    for more in [], ['--dry_run'], ['--dataset2', 'digits']:
        assert colt_transfer(['--from', 'own', *more]) == 2
        assert 'are of a network of your own (conv3)' in capsys.readouterr().err


def test_the_front_door_has_the_call(): assert colt.find_ticket is find_ticket


def test_seeding_restores_the_generators():
    before = torch.get_rng_state()
    with seeded(5): torch.rand(1)
    plan(RECIPE, net=Tiny)
    assert torch.equal(torch.get_rng_state(), before)
