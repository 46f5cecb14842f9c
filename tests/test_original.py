"Every command of the original's page, as the table of `you_typed` translates it, on small sets in the true file format"
import json
import re
import shlex

from conftest import TOP

from colt.cli import colt_compare, colt_prune, colt_transfer
from colt.records import RunFolder

COMMANDS = {'colt-prune': colt_prune, 'colt-transfer': colt_transfer, 'colt-compare': colt_compare}
QUICKLY = {'colt-prune': '--valid 0.25 --end_iter 1 --max_cycles 1 --evaluate no', 'colt-transfer': '--end_iter 1', 'colt-compare': ''}


def table():
    "What was typed, and what is to be typed now"
    cells = json.loads((TOP/'nbs/explanations/you_typed.ipynb').read_text())['cells']
    text = next(t for t in (''.join(c['source']) for c in cells) if '| you typed |' in t)
    rows = [[c.strip() for c in line.strip('|').split('|')] for line in text.splitlines() if line.startswith('|')][2:]
    return [(typed, re.findall(r'`([^`]+)`', now)[0]) for typed, now, _ in rows]


def test_each_command_does_its_work(few, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = []
    for typed, now in table():
        command, *words = shlex.split(now)
        if command not in COMMANDS: continue
        runs = sorted(p.parent.name for p in tmp_path.glob('runs/*/recipe.json'))
        if command == 'colt-compare': words = [r for r in runs if 'cifar100' in r and '-to-' not in r and 'resnet18' in r]
        else: words += [*QUICKLY[command].split(), '--data', str(few)]
        if '--part1=A' in words: words += ['--arch_type', 'resnet18'] # there are two COLT runs on cifar100 by now
        assert COMMANDS[command](words) == 0, (typed, now, capsys.readouterr().err)
        done.append(command)
    assert done.count('colt-prune') >= 6 and done.count('colt-transfer') >= 4 and 'colt-compare' in done
    found = {p.parent.name: RunFolder(p.parent) for p in tmp_path.glob('runs/*/recipe.json')}
    assert all(len(f.records()) == 2 for f in found.values())
    moved = [f.about()['transfer'] for f in found.values() if f.about()['transfer']]
    assert {(m['part1'], m['part2']) for m in moved} == {('', '0-99'), ('', '0-9'), ('0-49', '50-99')}
    assert sorted(p.name for p in tmp_path.glob('runs/compare-*/*')) == ['compare.csv', 'compare.html']
    assert not (tmp_path/'compare.html').exists()


def test_nothing_of_the_original_is_missing_from_the_table():
    page, text = (TOP/'nbs/explanations/you_typed.ipynb').read_text(), ' '.join(typed for typed, _ in table())
    for script in ('main.py', 'main-full.py', 'transfer.py', 'tinyimagenet.py', 'requirements.txt', 'plot', 'ImageNet', '--resume'): assert script in text
    for flag in ('resume lr warmup batch_size start_iter end_iter prune_type augmentations prune_strategy bias dataset arch_type output_class '
                 'linear_prune_ratio output_prune_ratio conv_prune_ratio batchnorm_prune_ratio final_prune_rate patience gpu dataset1 dataset2 '
                 'part1 part2').split():
        assert f'`--{flag}`' in page, flag
