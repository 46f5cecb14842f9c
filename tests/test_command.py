"`colt-prune`: what it writes, what it refuses, and the same bits whatever happens to it; as a process where that is what is asked"
import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from glob import glob

import pytest
import torch
from conftest import COMMAND
from safetensors.torch import load_file

from colt.cli import colt_prune, colt_transfer
from colt.panel.session import Session
from colt.recording import drop_last
from colt.records import RunFolder
from colt.ticket import Ticket

SMALL = '--arch_type fc1 --end_iter 3 --linear_prune_ratio 0.35 --sparsity 0.85'
BITS = ('tickets', 'votes')


def same_bits(a, b):
    names = sorted(p.name for p in (a/'tickets').iterdir())
    assert names == sorted(p.name for p in (b/'tickets').iterdir())
    return all(filecmp.cmp(a/kind/n, b/kind/n, shallow=False) for kind in BITS for n in names)


def without_seconds(path):
    return [json.loads(line, object_hook=lambda d: {k: v for k, v in d.items() if k not in ('seconds', 'digest')})
            for line in (path/'cycles.jsonl').read_text().splitlines()]


def test_the_folder_has_the_promised_format(process, tmp_path):
    done = process(f'{SMALL} --name run --evaluate each')
    assert done.returncode == 0, done.stderr
    folder = tmp_path/'runs/run'
    about, lines = json.loads((folder/'recipe.json').read_text()), without_seconds(folder)
    assert {'recipe', 'data', 'versions'} <= about.keys() and about['recipe']['seed'] == 0 and about['data']['fingerprint']
    assert sorted(p.name for p in folder.iterdir()) == ['correct', 'cycles.jsonl', 'init.safetensors', 'models', 'recipe.json', 'report.html',
                                                        'tickets', 'votes']
    assert [r['cycle'] for r in lines] == list(range(len(lines)))
    assert [p.name for p in sorted((folder/'tickets').iterdir())] == [f'cycle-{n:03}.safetensors' for n in range(len(lines))]
    init = load_file(folder/'init.safetensors')
    for r in lines:
        ticket = Ticket.load(folder/f'tickets/cycle-{r["cycle"]:03}.safetensors')
        dead = {n: int((~m).sum()) for n, m in ticket.mask.items()}
        assert r['sparsity'] == pytest.approx(sum(dead.values())/sum(m.numel() for m in ticket.mask.values()))
        assert r['prune_rate'] == pytest.approx(100*sum(dead.values())/sum(w.numel() for n, w in init.items() if n.endswith('weight')))
        assert r['layers'] == pytest.approx({n: d/ticket.mask[n].numel() for n, d in dead.items()})
        assert all(torch.equal(ticket.init[n], torch.where(ticket.mask[n], v, 0) if n in ticket.mask else v) for n, v in init.items())
        assert set(r) == {'cycle', 'sparsity', 'prune_rate', 'layers', 'votes', 'kept', 'agreement', 'parts',
                          'samples_seen', 'ticket', 'recipe', 'files'}
        assert set(r['files']) == {'tickets', 'votes', 'models', 'correct'} and r['recipe'] == RunFolder(folder).recipe.id
        assert set(r['agreement']) == {'all', 'layers', 'chance', 'chances'} and set(r['ticket']) == {'valid_accuracy', 'test_accuracy'}
        assert [p['name'] for p in r['parts']] == ['0-4', '5-9'] and r['parts'][1]['classes'] == list('56789')
        assert set(r['parts'][0]) == {'name', 'classes', 'valid_accuracy', 'test_accuracy', 'best_epoch', 'epochs', 'samples', 'history'}
    for r, after in zip(lines, lines[1:], strict=False):
        mask = Ticket.load(folder/f'tickets/cycle-{after["cycle"]:03}.safetensors').mask
        assert r['kept'] == {n: int(m.sum()) for n, m in mask.items()}
    assert lines[-1]['samples_seen'] == sum(p['samples'] for r in lines for p in r['parts'])
    assert lines[-2]['sparsity'] < .85 <= lines[-1]['sparsity']
    assert ticket.meta['arch'] == 'fc1' and ticket.meta['classes'] == list('0123456789') and ticket.meta['recipe']['linear_prune_ratio'] == .35
    for word in ('cycle-', 'sparsity', 'accuracy', 'report.html', 'colt-prune --resume --name run'): assert word in done.stdout
    assert '\x1b' not in done.stdout and done.stderr == ''


def test_twice_the_same_command_gives_the_same_bits_and_overwrites_nothing(prune, process, tmp_path):
    assert process(SMALL).returncode == 0
    (first,) = (tmp_path/'runs').iterdir()
    assert first.name.startswith('colt-fc1-digits-') and len(first.name) == len('colt-fc1-digits-') + 8
    before = {p: p.read_bytes() for p in first.rglob('*') if p.is_file()}
    again = prune(SMALL)
    assert again.returncode == 2 and '--resume' in again.stderr and '--name' in again.stderr and 'finished' in again.stderr
    assert before == {p: p.read_bytes() for p in first.rglob('*') if p.is_file()}
    assert prune(f'{SMALL} --name other').returncode == 0
    assert same_bits(first, tmp_path/'runs/other')
    assert prune(f'{SMALL} --name seeded --seed 1').returncode == 0
    assert not same_bits(first, tmp_path/'runs/seeded')


def test_colt_of_one_partition_is_lth(prune, tmp_path):
    assert prune(f'{SMALL} --prune_type colt --partition 1 --name colt').returncode == 0
    assert prune(f'{SMALL} --prune_type lth --name lth').returncode == 0
    colt, lth = (RunFolder(tmp_path/'runs'/n) for n in ('colt', 'lth'))
    def measured(run): return [line | dict(recipe=None, files=None) for line in without_seconds(run.path)]
    assert measured(colt) == measured(lth) and colt.records()[0].agreement is None
    for n in range(len(colt.records())):
        a, b = colt.ticket(n), lth.ticket(n)
        assert all(torch.equal(a.init[k], b.init[k]) for k in a.init) and all(torch.equal(a.mask[k], b.mask[k]) for k in a.mask)


@pytest.mark.parametrize('moment', ['right after the first cycle', 'in the middle of a cycle', 'in the middle of the controls'])
def test_a_killed_run_resumes_to_the_same_bits(prune, tmp_path, moment):
    slow = '--arch_type lenet5 --end_iter 6 --conv_prune_ratio 0.5 --linear_prune_ratio 0.5 --max_cycles 2 --evaluate each'
    if 'controls' in moment: slow = slow.replace('cycles 2', 'cycles 1') + ' --controls shuffle,random --rewind 3 --precision bf16'
    assert prune(f'{slow} --name whole').returncode == 0
    process = subprocess.Popen([COMMAND, *slow.split(), '--name', 'killed'], cwd=tmp_path, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    folder = tmp_path/'runs/killed'
    waited_for = {'right after the first cycle': lambda: RunFolder(folder).records(),
                  'in the middle of a cycle': lambda: glob(f'{folder}/partial/1-*'),
                  'in the middle of the controls': lambda: glob(f'{folder}/partial/1-shuffle-*')}[moment]
    while not waited_for() and process.poll() is None: time.sleep(.002)
    assert process.poll() is None, 'the run was over before it could be killed'
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(RunFolder(folder).records()) < len(RunFolder(tmp_path/'runs/whole').records())
    assert prune(f'{slow} --name killed').returncode == 2
    assert prune('--resume --name killed').returncode == 0
    assert same_bits(tmp_path/'runs/whole', folder) and without_seconds(tmp_path/'runs/whole') == without_seconds(folder)
    assert not (folder/'partial').exists()


def test_an_interrupt_says_how_to_go_on(interruptible, tmp_path):
    process = subprocess.Popen([COMMAND, '--name', 'stopped'], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path/'runs/stopped/recipe.json').exists() and process.poll() is None: time.sleep(.01)
    time.sleep(.5)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1 and complaint.count('\n') == 1
    assert complaint.startswith('colt-prune: interrupted; resume with: ') and complaint.endswith('colt-prune --resume --name stopped\n')


def test_an_interrupt_before_there_is_a_run_says_that_the_same_command_begins_again(tmp_path, monkeypatch, capsys):
    def interrupted(*_): raise KeyboardInterrupt
    monkeypatch.setattr('colt.cli.training.create_run', interrupted)
    assert colt_prune(['--out', str(tmp_path)]) == 1
    assert capsys.readouterr().err == 'colt-prune: interrupted; the same command begins again\n'


IN_A_TERMINAL = """
import os, sys, time
from colt.cli.command import command_parser, run_command
from colt.progress import progress_bar
def work(terminal, args):
    with progress_bar(terminal.console, None):
        print('ready', flush=True)
        for _ in range(600): time.sleep(.05)
sys.exit(run_command(command_parser('colt-toy', '', ''), [], work))
"""


@pytest.mark.skipif(os.name != 'posix', reason='Windows has no SIGHUP')
def test_a_closed_terminal_is_a_sighup():
    import pty
    process, terminal = pty.fork()
    if not process:
        signal.signal(signal.SIGHUP, signal.SIG_DFL) # the tests may run under `nohup`
        os.execv(sys.executable, [sys.executable, '-c', IN_A_TERMINAL])
    said = b''
    while b'ready' not in said: said += os.read(terminal, 1000)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 128 + signal.SIGHUP


def test_lth_follows_the_sparsities_of_another_run(prune, tmp_path):
    assert prune(f'{SMALL} --name leader').returncode == 0
    assert prune('--match leader --name follower').returncode == 0
    leader, follower = (RunFolder(tmp_path/'runs'/n).records() for n in ('leader', 'follower'))
    assert [r.sparsity for r in leader] == [r.sparsity for r in follower]
    assert [len(r.partitions) for r in follower] == [1]*len(leader)
    assert prune('--match runs/leader --name other --prune_type lth').returncode == 0
    assert same_bits(tmp_path/'runs/follower', tmp_path/'runs/other')


def test_a_matched_run_stays_on_the_path_or_says_so(prune):
    assert prune(f'{SMALL} --name leader').returncode == 0
    assert prune('--match leader --name follower').returncode == 0
    assert prune('--resume --name leader --sparsity 0.95').returncode == 0
    for line in ('--resume --name follower', '--match leader --name pair --prune_type colt --partition 2', '--resume --name leader --match follower'):
        done = prune(line)
        assert done.returncode in (1, 2) and done.stderr.count('\n') == 1 and 'match' in done.stderr, line


def test_one_process_at_a_time_works_in_a_folder(prune, tmp_path):
    first = subprocess.Popen([COMMAND, '--name', 'one'], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path/'runs/one/cycles.jsonl').exists() and first.poll() is None: time.sleep(.01)
    second = prune('--resume --name one')
    assert first.poll() is None and second.returncode == 1
    assert second.stderr == "colt-prune: another process or lab is at work in 'runs/one'; wait for it, or choose another name or seed\n"
    first.kill()
    first.wait()


def test_a_run_goes_on_past_its_target_to_the_same_bits(prune, tmp_path):
    assert prune(f'{SMALL} --name short --max_cycles 1').returncode == 0
    assert prune('--resume --name short --sparsity 0.85').returncode == 0
    assert prune(f'{SMALL} --name long').returncode == 0
    assert same_bits(tmp_path/'runs/short', tmp_path/'runs/long')


def test_every_way_to_go_on_does_a_damaged_last_cycle_again(prune, tmp_path):
    line = '--arch_type fc1 --end_iter 1 --linear_prune_ratio .5 --max_cycles 1 --threads 1'
    assert prune(f'{line} --name run-0').returncode == 0
    run, whole = RunFolder(tmp_path/'runs/run-0'), without_seconds(tmp_path/'runs/run-0')
    assert colt_transfer('--from run-0 --cycle 0 --name moved --threads 1'.split()) == 0
    moved, trained = RunFolder(tmp_path/'runs/moved'), without_seconds(tmp_path/'runs/moved')

    def damaged(folder):
        lines = folder.path/'cycles.jsonl'
        lines.write_bytes(lines.read_bytes()[:-9] + b'0'*6 + b'"}\n')                  # its last line has another digest
        return folder
    damaged(run)
    assert 'would resume runs/run-0 at cycle 1' in prune('--resume --name run-0 --dry_run').stdout
    for way in '--resume --name run-0', f'{line} --seeds 0 --name run':
        done = prune(way)
        assert done.returncode == 0 and 'the last cycle is done again' in done.stderr and without_seconds(run.path) == whole, way
        damaged(run)
    with pytest.warns(UserWarning, match='the last cycle is done again'):
        session = Session(run.recipe, run)
        assert [record.cycle for record in session.work(lambda progress: None)] == [1]
    assert without_seconds(run.path) == [whole[0], whole[1] | {'files': session.records[1].files}] and session.cycle(1).runs[0].weights
    damaged(moved)
    assert colt_transfer('--resume --name moved'.split()) == 0 and without_seconds(moved.path) == trained


def test_what_has_moved_or_has_another_name_goes_on(prune, tmp_path):
    line = '--arch_type fc1 --end_iter 1 --linear_prune_ratio .5 --max_cycles 1 --threads 1'
    assert prune(f'{line} --name colt-0').returncode == prune('--match colt-0 --name imp-0').returncode == 0
    assert colt_transfer('--from colt-0 --cycle 0 --name there --threads 1'.split()) == 0
    (tmp_path/'runs').rename(tmp_path/'moved')
    assert colt_transfer('--resume --name there --out moved'.split()) == 0
    (tmp_path/'moved/colt-0').rename(tmp_path/'moved/leader-0')
    assert "'colt-0' is no run" in prune('--resume --name imp-0 --out moved').stderr
    leader, imp = (RunFolder(tmp_path/'moved'/name) for name in ('leader-0', 'imp-0'))
    for line in '--resume --name imp-0 --match leader-0', '--seeds 0 --name imp --match leader':
        drop_last(imp.path/'cycles.jsonl')                                              # it is not finished
        done = prune(f'{line} --out moved')
        assert done.returncode == 0, done.stderr
        assert [r.sparsity for r in imp.records()] == [r.sparsity for r in leader.records()] and RunFolder(imp.path).recipe.match == 'colt-0'
    shutil.copytree(leader.path, tmp_path/'moved/colt-0')                               # what it follows is back
    for line in '--resume --name imp-0 --match leader-0', '--seeds 0 --name imp --match leader':
        done = prune(f'{line} --out moved')
        assert done.returncode in (1, 2) and "match is 'leader-0' and was 'colt-0'" in done.stderr, done.stderr


def test_a_collapse_names_the_layer_and_the_last_good_ticket(prune, tmp_path):
    done = prune('--arch_type lenet5 --end_iter 1 --conv_prune_ratio 0.9 --linear_prune_ratio 0 --sparsity 0.998 --name gone')
    assert done.returncode == 1 and done.stderr.count('\n') == 1
    assert 'body.' in done.stderr and f"last good ticket is that of cycle {len(RunFolder(tmp_path/'runs/gone').records()) - 1}" in done.stderr


def test_a_loss_that_is_not_finite_ends_the_run_with_one_line(prune):
    done = prune('--arch_type fc1 --optimizer sgd --lr 1e9 --warmup 0 --name wild')
    assert done.returncode == 1 and done.stderr.count('\n') == 1 and 'lower' in done.stderr.replace('below', 'lower')


MISTAKES = {'--dataset cifar11': 'fashionmnist', '--arch_type conv4': 'resnet18', '--device tpu': 'cpu', '--gpu 99': 'no cuda:99',
            '--partition 11': '1 to 10', '--partition 0': '1 or more', '--conv_prune_ratio 1.5': '0 to 1',
            '--conv_prune_ratio -0.1': '0 to 1', '--linear_prune_ratio x': 'linear_prune_ratio', '--final_prune_rate 99.9': '99.53',
            '--sparsity 0.9999999': 'out of reach', '--sparsity 1.5': 'between 0 and 1', '--output_class 7': '5 outputs',
            '--data nowhere': 'not a folder', '--data file': 'not a folder', '--match nothing': 'no run', '--resume': 'no run',
            '--resume --name nothing': 'no run', '--name a/b': "'a/b'", '--name ..': "'..'", '--lr 0': 'above 0',
            '--lr nan': 'above 0', '--batch_size 0': '1 or more', '--end_iter 0': '1 or more', '--warmup -1': '0 or more',
            '--patience 0': '1 or more', '--seed x': 'seed', '--start_iter 8': 'above start_iter', '--valid 1': 'between 0 and 1',
            '--prune_type imp': 'colt or lth', '--prune_strategy both': 'global or local', '--evaluate always': 'each',
            '--augmentations maybe': 'yes or no', '--bias 2': 'yes or no', '--prune_type lth --partition 2': 'one partition',
            '--arch_type fc1 --linear_prune_ratio 0': 'nothing to prune', '--out file': 'is a file; name another',
            '--out file/x': 'is a file; name another', '--max_cycles -1': '0 or more', '--milestones 2': 'from 0 to 1',
            '--frobnicate': 'frobnicate',
            '--valid 0.0001': 'no validation images', '--valid 0.9999': 'no train images', '--crop 99999': '0 to 1000', '--name=-x': "'-x'",
            '--match nothing --prune_type colt': 'no run', '--match nothing --paper': '--paper', '--resume --name nothing --paper': '--paper',
            '--seeds 0,1 --seed 2': 'give one of them'}


@pytest.mark.parametrize('line', MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(line, tmp_path, monkeypatch, capsys):
    from colt.cli import colt_prune
    monkeypatch.chdir(tmp_path)
    (tmp_path/'file').write_text('')
    try: code = colt_prune(line.split())
    except SystemExit as e: code = e.code
    shown = capsys.readouterr()
    said = [text for text in shown.err.splitlines() if not text.startswith('colt-prune: warning: ')] # of classes without images
    assert code == 2 and shown.out == '' and len(said) == 1 and said[0].startswith('colt-prune: ')
    assert MISTAKES[line] in said[0]
    assert [p.name for p in tmp_path.iterdir()] == ['file']


def test_a_mistake_in_a_process_shows_no_traceback(process):
    done = process('--dataset cifar11')
    assert done.returncode == 2 and done.stderr.count('\n') == 1 and done.stdout == ''


def test_help_has_every_flag_of_the_original(prune):
    text = prune('--help').stdout
    for flag in ('lr warmup batch_size start_iter end_iter prune_type augmentations prune_strategy bias dataset arch_type output_class '
                 'linear_prune_ratio output_prune_ratio conv_prune_ratio batchnorm_prune_ratio final_prune_rate patience gpu resume partition '
                 'seed device data out name evaluate match max_cycles sparsity').split():
        assert f'--{flag} ' in text


def test_the_originals_spelling_is_understood(prune, tmp_path):
    flags = '--resume 0 --lr 0.01 --warmup 0 --batch_size 128 --start_iter 1 --end_iter 3 --prune_type colt --augmentations no ' \
            '--prune_strategy local --bias 1 --dataset digits --arch_type lenet5 --output_class 5 ' \
            '--linear_prune_ratio 0.2 --output_prune_ratio 0 --conv_prune_ratio 0.3 --batchnorm_prune_ratio 0 --final_prune_rate 20 --patience 5'
    done = prune(f'{flags} --name old')
    assert done.returncode == 0, done.stderr
    last = RunFolder(tmp_path/'runs/old').records()[-1]
    assert last.prune_rate >= 20 and 'body.0.bias' in last.layers and last.partitions[0].epochs == 2
    warned = prune('--arch_type fc1 --end_iter 1 --output_prune_ratio 0.1 --max_cycles 0 --name head')
    assert warned.returncode == 0 and warned.stderr.count('\n') == 1 and 'warning: output_prune_ratio' in warned.stderr


def test_the_report_opens_offline(prune, tmp_path, browser):
    assert prune(f'{SMALL} --name run').returncode == 0
    page = subprocess.run([browser, '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
                           '--disable-component-update', '--disable-sync', f'--user-data-dir={tmp_path}/browser',
                           '--host-resolver-rules=MAP * ~NOTFOUND', '--virtual-time-budget=10000', '--dump-dom',
                           f'file://{tmp_path}/runs/run/report.html'], capture_output=True, text=True, timeout=120, check=True).stdout
    for text in ('Test accuracy', 'partition 0-4', 'partition 5-9', 'mask overlap', 'by chance', 'body.1',
                 'body.3'): assert text in page
    assert page.count('role="img"') == 3 and 'plotly' not in page
