"Runs of version 0.1.0: `older/run-0.1.0` is one, made by `colt-prune --arch_type lenet5 --rewind 3 --overlap any ...` of that version"
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from colt.cli import colt_compare, colt_prune, colt_transfer
from colt.cycle import cycles
from colt.data import load
from colt.files import pack_tensors
from colt.models import create
from colt.partition import by_class
from colt.plans import plan
from colt.recipe import Recipe
from colt.records import RunFolder, ending_of
from colt.resume import transfer_recipe
from colt.runs import create_run, resume_run
from colt.ticket import Ticket
from colt.train import fit
from colt.transfers import plan_transfer

OLDER = Path(__file__).with_name('older')/'run-0.1.0'
NAMES = {
    'colt-conv3-digits-5c24f6a0': dict(),
    'colt-fc1-digits-544c4b9d': dict(arch='fc1', linear_prune_ratio=.35, conv_prune_ratio=0.),
    'colt-resnet18-cifar10-fd10e0b9': dict(arch='resnet18', dataset='cifar10'),
    'lth-conv3-digits-f4d5a9fe': dict(prune_type='lth'),
    'colt-conv3-digits-3bdeeddd': dict(seed=7, partition=5, overlap='2'),
    'colt-densenet121-imagenet-f4a50c09': dict(arch='densenet121', dataset='imagenet'),
    'colt-conv3-digits-d94adc1b': dict(optimizer='sgd', lr=.1),
    'colt-conv3-digits-1acf5450': dict(rewind='500', controls='reinit,shuffle'),
    'lth-conv3-digits-6a2c1189': dict(prune_type='lth', sparsity=None, match='first', partition=1),
    'colt-conv3-digits-aaf31d41': dict(precision='bf16', bias=True, partition_by='random', max_cycles=3)}


@pytest.fixture
def old(tmp_path, monkeypatch):
    "A copy of the run, in the folder where the commands look for runs"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLDER, 'runs/old')
    return RunFolder('runs/old')


NEW = 'kept', 'recipe', 'files', 'digest' # keys that 0.1.0 did not write


def bytes_of(folder): return {p.name: p.read_bytes() for p in folder.rglob('cycle-*')}


@pytest.mark.parametrize('name', NAMES)
def test_a_recipe_keeps_its_name_and_id(name):
    assert Recipe.default(**NAMES[name]).name == name and name.endswith(Recipe.default(**NAMES[name]).id)


def test_the_paper_keeps_its_name_too(): assert Recipe.paper('conv3', 'cifar100').name == 'colt-conv3-cifar100-41427333'


def test_its_lines_and_tensors_are_read():
    run, lines = RunFolder(OLDER), [json.loads(line) for line in (OLDER/'cycles.jsonl').read_text().splitlines()]
    for record, line in zip(run.records(), lines, strict=True):
        assert 'kept' not in line and record.kept == {n: all_ + some for n, (all_, some, _) in line['votes'].items()} # any
        assert {k: v for k, v in json.loads(json.dumps(record.line())).items() if k not in NEW} == line
        cycle = run.cycle(record.cycle)
        assert cycle.sparsity == record.sparsity and cycle.agreement == record.agreement and cycle.kept == record.kept
        assert cycle.ticket().mask.keys() == run.ticket(record.cycle).mask.keys()
    assert ending_of(run.records(), run.recipe).why == 'max_cycles' and run.recipe.overlap == 'any'


def test_its_ticket_is_planted():
    ticket = Ticket.load(OLDER/'tickets'/'cycle-002.safetensors')
    net = create('lenet5', 10, (1, 8, 8), seed=5)
    mask = ticket.plant(net, ('head',))
    assert ticket.meta['versions']['colt'] == '0.1.0' and 0 < ticket.sparsity < .3
    for n, m in mask.items(): assert torch.equal(net.get_parameter(n).detach(), ticket.init[n]) and not ticket.init[n][~m].any()


def test_it_goes_on(old, capsys):
    before, records = bytes_of(old.path), old.records()
    assert colt_prune('--resume --name old --max_cycles 3'.split()) == 0
    assert 'was made with' in capsys.readouterr().err                                   # and the last bits may differ
    assert bytes_of(old.path).items() >= before.items()
    further = RunFolder(old.path)
    assert further.records()[:3] == records and [r.cycle for r in further.records()] == [0, 1, 2, 3]
    assert further.records()[3].kept and further.recipe == replace(old.recipe, max_cycles=3)
    assert colt_prune('--resume --name old --max_cycles 3 --lr 0.5'.split()) == 2       # another run
    assert 'lr is 0.5 and was 0.02' in capsys.readouterr().err


def test_it_is_compared_and_matched_and_its_tickets_are_transferred(old, capsys):
    assert colt_prune('--match old --name matched --end_iter 1 --evaluate no'.split()) == 0
    assert [r.sparsity for r in RunFolder('runs/matched').records()] == [r.sparsity for r in old.records()]
    capsys.readouterr()
    assert colt_compare('old matched --at 0,0.1'.split()) == 0
    said = capsys.readouterr().out
    assert '84.68 %' in said and 'IMP matched' in said and 'match' in said                # what 0.1.0 measured
    assert colt_transfer('--from old --cycle 2 --part2 A --end_iter 1 --name moved'.split()) == 0
    moved, = RunFolder('runs/moved').records()
    assert moved.cycle == 2 and moved.sparsity == old.records()[2].sparsity


WRONG = [ # path in recipe.json, or in the first line of cycles.jsonl; and a value that no version writes
    ('recipe.json', ['data'], {}), ('recipe.json', ['data', 'classes'], 5), ('recipe.json', ['data', 'shape'], 5),
    ('recipe.json', ['data', 'shape'], [1, 0, 8]), ('recipe.json', ['data', 'test_images'], 'x'), ('recipe.json', ['start'], {'x': 1}),
    ('recipe.json', ['transfer'], {'cycles': 1}), ('recipe.json', ['network'], {'class': 1}), ('recipe.json', ['recipe', 'dataset'], {}),
    ('recipe.json', ['recipe', 'lr'], 10**400), ('recipe.json', ['recipe', 'weight_decay'], 10**400), ('recipe.json', ['recipe', 'warmup'], 10**400),
    ('recipe.json', ['recipe', 'overlap'], '٢'), ('recipe.json', ['recipe', 'milestones'], '٠'), ('recipe.json', ['data', 'mean'], []),
    ('recipe.json', ['data', 'mean'], [float('nan')]), ('recipe.json', ['data', 'std'], [10**400]), ('cycles.jsonl', ['seconds'], 10**400),
    ('recipe.json', ['recipe', 'arch'], None), ('recipe.json', ['recipe', 'match'], 5), ('cycles.jsonl', ['parts'], []),
    ('cycles.jsonl', ['parts', 0, 'samples'], 0), ('cycles.jsonl', ['agreement', 'layers'], {}),
    ('cycles.jsonl', ['controls'], {'=1+1': {'valid_accuracy': 1, 'test_accuracy': 1}})]


@pytest.mark.parametrize('file, keys, value', WRONG)
def test_a_wrong_value_is_a_damaged_file(old, capsys, file, keys, value):
    text, end, rest = (old.path/file).read_text().partition('\n' if file == 'cycles.jsonl' else '\0')
    found = about = json.loads(text)
    for key in keys[:-1]: found = found[key]
    found[keys[-1]] = value
    (old.path/file).write_text(json.dumps(about) + end + rest)
    assert colt_compare(['old']) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"colt-compare: 'runs/old/{file}' is damaged" in said or f"colt-compare: 'old/{file}' is damaged" in said


def test_the_number_of_threads_has_plain_digits(old):
    about = json.loads((old.path/'recipe.json').read_text())
    about['versions']['threads'] = '٣'
    (old.path/'recipe.json').write_text(json.dumps(about))
    with pytest.raises(ValueError, match='its threads are ٣'): str(old.threads)


@pytest.mark.parametrize('device', ['cuda:99', 'mps'])
def test_a_device_that_is_not_here_is_refused_before_anything_is_written(old, capsys, monkeypatch, device):
    monkeypatch.setattr('torch.backends.mps.is_available', lambda: False)
    about = json.loads((old.path/'recipe.json').read_text())
    about['recipe']['device'] = device
    (old.path/'recipe.json').write_text(json.dumps(about))
    refused = f'device {device}: this machine has none; use cpu'
    for command, line in (colt_prune, '--resume --name old --max_cycles 3'), (colt_transfer, '--from old --part2 A --name moved'):
        assert command(line.split()) == 2
        assert capsys.readouterr().err.splitlines()[-1].endswith(refused)
    assert not RunFolder('runs/moved').path.exists()
    images, recipe = load('digits'), old.recipe
    for work in (lambda: plan_transfer(old, transfer_recipe(recipe, 'digits', {}), images), lambda: plan(recipe, images),
                 lambda: next(cycles(create('lenet5', 5, (1, 8, 8)), by_class(images, 2), recipe)),
                 lambda: fit(create('lenet5', 10, (1, 8, 8)), by_class(images, 1)[0], recipe)):
        with pytest.raises(ValueError, match=refused): work()
    assert colt_transfer('--from old --part2 A --cycle 1 --end_iter 1 --device cpu --name moved'.split()) == 0


def test_a_run_that_follows_itself_is_compared(old, capsys):
    about = json.loads((old.path/'recipe.json').read_text())
    about['recipe'] |= dict(partition=1, overlap='all', match='old')
    (old.path/'recipe.json').write_text(json.dumps(about))
    assert colt_compare(['old']) == 0 and 'IMP matched' in capsys.readouterr().out


@pytest.mark.parametrize('changed', ['recipe', 'init'])
def test_a_transfer_notices_another_run_in_the_place_of_its_source(old, changed):
    which = dict(part2='5-9', data=load('digits'))
    recipe = transfer_recipe(old.recipe, 'digits', {})
    transfer = create_run(plan_transfer(old, recipe, **which), 'runs/moved', 1)
    resume_run(plan_transfer(old, recipe, **which), transfer.path)
    about = json.loads((old.path/'recipe.json').read_text())
    if changed == 'recipe': about['recipe']['conv_prune_ratio'] = .6
    else:
        about['init'] = None
        weights = {name: v + 1 for name, v in old.init().items()}
        (old.path/'init.safetensors').write_bytes(pack_tensors(weights))
    (old.path/'recipe.json').write_text(json.dumps(about))
    (old.path/'cycles.jsonl').touch()
    with pytest.raises(ValueError, match={'recipe': 'a transfer of other tickets', 'init': 'is not the θ0'}[changed]):
        resume_run(plan_transfer(RunFolder(old.path), transfer.recipe, **which), transfer.path)
