"One's own networks and images, tickets that travel, controls, and runs side by side: as a user has them"
import csv
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from colt.cli import colt_compare, colt_prune, colt_transfer
from colt.cycle import cycles
from colt.schedule import preview
from colt.data import from_arrays, load, split
from colt.partition import by_class
from colt.records import RunFolder
from colt.ticket import Ticket
from colt.recipe import Recipe

FAST = '--arch_type fc1 --end_iter 2 --linear_prune_ratio 0.5'


@pytest.fixture
def colt(tmp_path, monkeypatch, capsys):
    "The commands, called in a folder of their own; exit code, what was said, what was complained of"
    monkeypatch.chdir(tmp_path)
    def run(line):
        name, *words = line.split()
        command = {'prune': colt_prune, 'transfer': colt_transfer, 'compare': colt_compare}[name]
        try: code = command(words)
        except SystemExit as e: code = e.code
        return code, *capsys.readouterr()
    return run


def fine(result):
    assert result[0] == 0, result[2]
    return result[1]


def test_torchvisions_network_on_arrays():
    rng = np.random.default_rng(0)
    y = np.arange(240) % 4
    x = (60*np.eye(4)[y][:, :, None, None].repeat(16, 2).repeat(16, 3)[:, :3] + rng.integers(0, 60, (240, 3, 16, 16))).astype(np.uint8)
    data = split(from_arrays(x, y, ('red', 'green', 'blue', 'none')))
    recipe = Recipe(arch='resnet18 of torchvision', dataset='mine', conv_prune_ratio=.4, optimizer='sgd', lr=.02, end_iter=2, batch_size=32, sparsity=None,
                    max_cycles=1)
    net = resnet18(num_classes=2)
    assert 'layer4.1.conv2.weight' in preview(net, recipe, head='fc')
    with pytest.raises(ValueError, match="is it head='fc'"): preview(net, recipe)
    dense, pruned = cycles(net, by_class(data, 2), recipe, head='fc')
    assert dense.sparsity == 0 and .4 <= pruned.sparsity < .64 + 1e-3
    assert all((run.weights[n][~m] == 0).all() for run in pruned.runs for n, m in pruned.mask.items())
    fresh = resnet18(num_classes=4)
    head = fresh.fc.weight.clone()
    mask = pruned.ticket().plant(fresh, fresh=('fc',))
    assert torch.equal(fresh.fc.weight, head) and torch.equal(fresh.conv1.weight, dense.init['conv1.weight']*mask['conv1.weight'])


def test_a_transformer_is_pruned_and_rewound():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut, self.fc = nn.Conv2d(1, 16, 2, 2), nn.Linear(16, 5)
            self.mix = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, dropout=.1, batch_first=True), 2)
        def forward(self, x): return self.fc(self.mix(self.cut(x).flatten(2).mT).mean(1))
    torch.manual_seed(0)
    net, partitions = Small(), by_class(load('digits'), 2)
    recipe = Recipe(arch='transformer', conv_prune_ratio=.3, linear_prune_ratio=.3, end_iter=2, sparsity=None, max_cycles=2)
    start = {n: v.clone() for n, v in net.state_dict().items()}
    found = list(cycles(net, partitions, recipe, head='fc'))
    assert 'mix.layers.1.self_attn.in_proj_weight' in found[-1].mask and 'fc.weight' not in found[-1].mask
    assert .51 <= found[-1].sparsity <= .76 and all(torch.equal(found[-1].init[n], v) for n, v in start.items())
    net.load_state_dict(start)
    again = list(cycles(net, partitions, recipe, head='fc'))
    assert all(torch.equal(a, b) for a, b in zip(found[-1].mask.values(), again[-1].mask.values(), strict=True))


def test_a_fashion_ticket_on_digits(some_fashion, colt, tmp_path):
    line = f'prune --data {some_fashion} --dataset fashionmnist --arch_type lenet5 --end_iter 1 --max_cycles 2'
    fine(colt(f'{line} --conv_prune_ratio 0.3 --linear_prune_ratio 0.3 --evaluate no --name fashion'))
    for adapt in 'images', 'stem':
        fine(colt(f'transfer --from fashion --dataset2 digits --adapt {adapt} --name {adapt} --end_iter 3 --batch_size 32'))
        moved, source = RunFolder(tmp_path/'runs'/adapt), RunFolder(tmp_path/'runs/fashion')
        assert [r.cycle for r in moved.records()] == [0, 1, 2]
        assert [r.sparsity for r in moved.records()] == [r.sparsity for r in source.records()]
        assert moved.records()[0].ticket.test_accuracy > .5 # ten classes; a guess has 0.1
        heads = [moved.ticket(n).init['head.weight'] for n in range(3)]
        assert all(torch.equal(h, heads[0]) for h in heads) and heads[0].shape == (10, 84)
        assert torch.equal(moved.ticket(2).init['body.3.weight'], source.ticket(2).init['body.3.weight'])
        assert moved.ticket(0).meta['shape'] == ([1, 28, 28] if adapt == 'images' else [1, 8, 8])


def test_a_grey_ticket_on_colour_and_one_class_range(small, colt, tmp_path):
    fine(colt(f'prune --dataset mnist --data {small} --arch_type conv3 --end_iter 1 --max_cycles 1 --evaluate no --name grey'))
    for adapt in 'images', 'stem':
        fine(colt(f'transfer --from grey --cycle 1 --dataset2 cifar10 --part2 2-4 --adapt {adapt} --optimizer sgd --end_iter 1 --data {small} --name {adapt}'))
        t = Ticket.load(tmp_path/f'runs/{adapt}/tickets/cycle-001.safetensors')
        assert t.init['head.weight'].shape == (3, 256) and t.meta['recipe']['optimizer'] == 'sgd'
        assert t.init['body.0.weight'].shape[1] == (1 if adapt == 'images' else 3) and ('body.0.weight' in t.mask) == (adapt == 'images')


def test_a_transfer_to_the_same_task_measures_what_the_run_measured(colt, tmp_path):
    fine(colt(f'prune {FAST} --sparsity 0.85 --evaluate each --controls reinit,shuffle,random --name run'))
    fine(colt('transfer --from run --controls reinit,shuffle,random --name again'))
    run, again = (RunFolder(tmp_path/'runs'/n).records() for n in ('run', 'again'))
    assert [(r.ticket, r.controls) for r in run] == [(r.ticket, r.controls) for r in again]
    fine(colt('transfer --from run --sparsity 0.7 --name near'))
    nearest = min(run, key=lambda r: abs(r.sparsity - .7))
    near, = RunFolder(tmp_path/'runs/near').records()
    assert (near.cycle, near.ticket) == (nearest.cycle, nearest.ticket)
    assert colt('transfer --from run --sparsity 0.7 --name near')[0] == 2 and colt('transfer --resume --name near')[0] == 0
    fine(colt('transfer --from run --part1 A --part2 B --cycle 1 --name half'))
    half, = RunFolder(tmp_path/'runs/half').records()
    assert half.partitions[0].classes == tuple('56789') and half.sparsity > run[1].sparsity


def test_the_other_ways_to_prune(colt, tmp_path):
    lines = {'any': '--overlap any --max_cycles 1', 'all': '--max_cycles 1', 'two': '--partition 3 --overlap 2 --max_cycles 1',
             'random': '--partition_by random --max_cycles 1', 'late': '--rewind 5 --max_cycles 1', 'shot': '--one_shot --sparsity 0.9',
             'lthshot': '--prune_type lth --one_shot --sparsity 0.9', 'half': '--precision bf16 --max_cycles 1'}
    for name, line in lines.items(): fine(colt(f'prune {FAST} {line} --name {name}'))
    at = {name: RunFolder(tmp_path/'runs'/name).records()[-1] for name in lines}
    assert at['any'].sparsity < .5 < at['all'].sparsity and at['any'].sparsity < at['two'].sparsity < at['all'].sparsity + .2
    assert [len(p.classes) for p in at['random'].partitions] == [10, 10] and at['shot'].cycle == 1 and at['shot'].sparsity > .9
    assert at['lthshot'].sparsity == pytest.approx(.9, abs=1e-4)
    init = {n: RunFolder(tmp_path/'runs'/n).init() for n in ('all', 'late')}
    assert torch.equal(init['all']['head.weight'], init['late']['head.weight'])
    assert not torch.equal(init['all']['body.1.weight'], init['late']['body.1.weight'])
    assert RunFolder(tmp_path/'runs/half').records()[0].partitions[0].valid_accuracy > .7
    fine(colt('prune --resume --name late --max_cycles 2'))


def test_comparison(colt, tmp_path):
    for s in range(3):
        fine(colt(f'prune {FAST} --evaluate each --sparsity 0.8 --seed {s} --name colt-{s}'))
        fine(colt(f'prune {FAST} --prune_type lth --sparsity 0.8 --seed {s} --name lth-{s}'))
        fine(colt(f'prune --match colt-{s} --name matched-{s}'))
    names = ' '.join(f'{kind}-{s}' for s in range(3) for kind in ('colt', 'lth', 'matched'))
    text = fine(colt(f'compare {names} --at 0.8'))
    rows = [re.split(r'\s{2,}', line.strip()) for line in text.splitlines() if line.startswith('80 %')]
    assert [row[1:3] for row in rows] == [['COLT', '3'], ['IMP', '3'], ['IMP matched', '3']]
    assert all('±' in row[5] for row in rows)
    assert rows[2][-1] in ('no significant difference', 'higher', 'lower') # the sparsities are the same
    assert 'prune_type' in text and 'lth-0, lth-1, lth-2' in text and re.search(r'match +\|  \| COLT\n', text)
    folder, = tmp_path.glob('runs/compare-colt-0-lth-0-*-more')
    rows = list(csv.DictReader((folder/'compare.csv').open()))
    for s in range(3):
        records = RunFolder(tmp_path/f'runs/matched-{s}').records()
        mine = [r for r in rows if r['run'].endswith(f'matched-{s}')]
        assert [float(r['test_accuracy']) for r in mine] == [r.ticket.test_accuracy for r in records]
    page = (folder/'compare.html').read_text()
    assert 'COLT (3 seeds)' in page and '<script src=' not in page


def test_a_rewound_lottery_ticket_and_its_controls_begin_with_the_same_head(colt, tmp_path):
    fine(colt(f'prune {FAST} --prune_type lth --rewind 5 --max_cycles 1 --evaluate each --controls shuffle --name late'))
    fine(colt('transfer --from late --controls shuffle --name again'))
    late, again = (RunFolder(tmp_path/'runs'/n).records() for n in ('late', 'again'))
    assert late[0].ticket == late[0].controls['shuffle'] # all alive: there is nothing to shuffle
    assert [(r.ticket, r.controls) for r in late] == [(r.ticket, r.controls) for r in again]


def test_a_pruned_head_stays_pruned(colt, tmp_path):
    fine(colt(f'prune {FAST} --prune_type lth --output_prune_ratio 0.4 --max_cycles 2 --name run'))
    fine(colt('transfer --from run --name again'))
    run, again = (RunFolder(tmp_path/'runs'/n).records() for n in ('run', 'again'))
    assert [(r.sparsity, r.layers, r.ticket) for r in run] == [(r.sparsity, r.layers, r.ticket) for r in again]
    t = RunFolder(tmp_path/'runs/again').ticket(2)
    assert 0 < (~t.mask['head.weight']).sum() == (t.init['head.weight'] == 0).sum()


def test_transfers_are_replicates_by_the_seed_that_found_their_tickets(colt):
    for s in 0, 1: fine(colt(f'prune {FAST} --max_cycles 1 --seed {s} --name run-{s}'))
    for s in 0, 1: fine(colt(f'transfer --from run-{s} --seed 5 --name five-{s}'))
    fine(colt('transfer --from run-0 --seed 6 --name six'))
    fine(colt('transfer --from run-0 --cycle 1 --name one'))
    def rows(line):
        table = [row for row in fine(colt(line)).splitlines() if re.match(r' ?\d+ %', row)]
        return [re.split(r'\s{2,}', row.strip())[1:3] for row in table]
    assert rows('compare five-0 five-1 --at 0') == [['COLT to digits', '2']]
    assert rows('compare five-0 six one --at 0.5') == [
        ['COLT to digits, trained with seed 5', '1'], ['COLT to digits, trained with seed 6', '1'],
        ['COLT to digits, only cycle 1', '1']]


def test_what_a_kill_leaves_behind_is_no_obstacle(colt, tmp_path):
    folder = tmp_path/'runs/run'
    for sub in 'tickets', 'votes': (folder/sub).mkdir(parents=True)
    (folder/'.init.safetensors.0123456789abcdef.part').write_bytes(b'half')
    code, _, err = colt('prune --resume --name run')
    assert code == 2 and 'leave out --resume' in err
    fine(colt(f'prune {FAST} --rewind 2 --max_cycles 0 --name run'))
    code, _, err = colt(f'prune {FAST} --rewind 5 --lr 1e30 --warmup 0 --optimizer sgd --name wild')
    assert code == 1 and err.count('\n') == 1 and not (tmp_path/'runs/wild/cycles.jsonl').exists()
    (tmp_path/'runs/notes').mkdir()
    (tmp_path/'runs/notes/init.safetensors').write_bytes(b'mine')
    code, _, err = colt(f'prune {FAST} --name notes')
    assert code == 2 and 'is not empty' in err and (tmp_path/'runs/notes/init.safetensors').read_bytes() == b'mine'


def test_mistakes_are_one_line_and_exit_code_2(small, colt, tmp_path):
    fine(colt(f'prune {FAST} --max_cycles 1 --name run'))
    fine(colt(f'prune {FAST} --dataset mnist --data {small} --max_cycles 1 --name other'))
    mistakes = {
        'transfer --from run --arch_type lenet5': 'with arch_type fc1', 'transfer --from run --part1 Z': "no partition 'Z'",
        'transfer --from run --part2 8-12': "no partition '8-12'", 'transfer --from nothing': 'no run',
        'transfer --from run --dataset2 cifar11': 'choose one of', 'transfer --from run --adapt no': 'images or stem',
        'transfer --from run --cycle 7': 'no cycle 7', 'transfer --from run --bias yes': 'with bias no', 'transfer --from run --controls dice': 'reinit',
        'transfer --from run --lr -1': 'above 0', 'transfer --resume --name run': 'no transfer',
        'transfer --from run --output_class 3': '10 outputs', 'compare run other': 'different data', 'compare run run': 'twice',
        'compare nothing': 'no run', 'compare run --save file/new': 'is a file',
        'compare run --save older': 'nothing is overwritten',
        'compare run --at -1': 'from 0 to below 1', 'compare': 'RUN', 'prune --overlap 3': '2 votes',
        'prune --overlap most': 'all, any', 'prune --rewind soon': '2ep', 'prune --rewind 99ep': 'earlier', 'prune --controls dice': 'reinit',
        'prune --precision fp8': 'bf16', 'prune --stem huge': 'small or large', 'prune --partition_by size': 'class or random',
        'prune --one_shot --max_cycles 1 --sparsity 2': 'between 0 and 1'}
    (tmp_path/'older').mkdir()
    for name in 'file', 'older/compare.csv': (tmp_path/name).write_text('')
    before = sorted(tmp_path.rglob('*'))
    for line, told in mistakes.items():
        code, out, err = colt(line)
        assert code == 2 and out == '' and err.count('\n') == 1 and told in err, (line, code, out, err)
    assert sorted(tmp_path.rglob('*')) == before


def test_a_corrupt_picture_is_named_or_counted(tmp_path, colt):
    import sets
    for name in 'tinyimagenet', 'imagenet':
        folder = sets.make(tmp_path, name)
        victim = sorted(folder.glob('train/*/**/*.JPEG'))[3]
        victim.write_bytes(victim.read_bytes()[:300])
        line = f'prune --dataset {name} --data . --arch_type lenet5 --end_iter 1 --max_cycles 0 --evaluate no --name {name}'
        code, _, err = colt(line)
        assert code == 2 and victim.name in err.splitlines()[-1] and '--skip_corrupt' in err # after a warning of rare classes
        code, _, err = colt(f'{line}-sound --skip_corrupt')
        assert code == 0 and '1 of 32' in err and 'classes have no image for validation' in err and err.count('\n') == 2
        for picture in victim.parent.iterdir(): picture.unlink()
        code, _, err = colt(f'{line}-empty --skip_corrupt')
        assert code == 2 and err.count('\n') == 1 and 'has no pictures' in err


def test_what_a_recipe_says_of_controls_is_no_part_of_its_identity():
    recipe = Recipe()
    assert replace(recipe, controls='reinit').id == recipe.id != replace(recipe, overlap='any').id
