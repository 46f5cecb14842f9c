"""Attack runs and their files, and count what happens

    python tests/torture.py                         (everything: most of an hour on two cores)
    python tests/torture.py kills=20 mutations=200  (some of it)

Each part returns rows of (what, trials, as promised). A trial that breaks a promise is an AssertionError that says which.
`make test` runs a short form of each part (test_torture.py).
"""
import errno
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

FAST = '--arch_type fc1 --end_iter 2 --linear_prune_ratio 0.5 --batch_size 256'
RUNS = {
    'colt': f'prune {FAST} --max_cycles 2 --evaluate each',
    'controls': f'prune {FAST} --max_cycles 1 --evaluate each --controls reinit,shuffle,random',
    'imp': f'prune {FAST} --prune_type lth --max_cycles 2',
    'rewound': f'prune {FAST} --max_cycles 1 --rewind 1ep',
    'transfer': 'transfer --from source --part2 5-9 --end_iter 2 --controls shuffle',
}
BITS = 'tickets', 'votes'


def loaded():
    """Import everything that a command needs, and train nothing: a process that has started threads can't be forked

    Plotly imports what a figure needs when it is drawn: half of the time of a short run.
    """
    import sklearn.datasets
    import torch
    import torch._dynamo

    import colt.cli.prune
    import colt.cli.transfer
    import colt.plot
    torch.set_num_threads(1)
    colt.load('digits')
    older = Path(__file__).with_name('older')/'run-0.1.0'
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as top:
        warnings.simplefilter('ignore')
        colt.plot.save_report(colt.RunFolder(older), f'{top}/report.html')
    return colt, sklearn


@contextmanager
def child(work, cwd, log):
    "A process of its own group that does `work` in a folder; what it prints goes to a file"
    pid = os.fork()
    if not pid:
        try:
            os.chdir(cwd)
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
            os.dup2(out, 1)
            os.dup2(out, 2)
            code = work()
        except SystemExit as e: code = e.code if isinstance(e.code, int) else 1
        except BaseException:
            traceback.print_exc()
            code = 70
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code or 0)
    yield pid


def finished(pid, seconds=120):
    "Its exit status and the most memory that it had, in MB; an AssertionError if it hangs"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done: return os.waitstatus_to_exitcode(status), used.ru_maxrss/1024
        time.sleep(.002)
    os.kill(pid, signal.SIGKILL)
    os.wait4(pid, 0)
    raise AssertionError('it hangs')


def command(line):
    "What the command line does, in this process"
    def work():
        from colt.cli.prune import colt_prune
        from colt.cli.transfer import colt_transfer
        name, *words = line.split()
        return {'prune': colt_prune, 'transfer': colt_transfer}[name](words)
    return work


def run(line, cwd, before=lambda: None):
    "A whole command in a process of its own"
    log = cwd/'log.txt'
    def work():
        before()
        return command(line)()
    with child(work, cwd, log) as pid: code, mb = finished(pid)
    text = log.read_text(errors='replace')
    assert 'Traceback' not in text, f'{line}\n{text}'
    return SimpleNamespace(code=code, text=text, mb=mb)


def content(folder):
    "What has to be the same bits: the tensors of a run, and its lines without the seconds"
    from colt.files import read_tensors
    files = {}
    for f in sorted(p for kind in BITS for p in (folder/kind).glob('*.safetensors')):
        files[f.relative_to(folder).as_posix()] = {n: v.numpy().tobytes() for n, v in read_tensors(f)[0].items() if n != 'layout'}
    return files, [without_time(json.loads(line)) for line in (folder/'cycles.jsonl').read_text().splitlines()]


def without_time(value):
    "A line without what depends on the clock"
    if isinstance(value, dict): return {k: without_time(v) for k, v in value.items() if k not in ('seconds', 'digest', 'files', 'date')}
    if isinstance(value, list): return [without_time(v) for v in value]
    return value


class Reference:
    "A run of each kind that nothing disturbed"
    def __init__(self, names=tuple(RUNS)):
        self.top = Path(tempfile.mkdtemp(prefix='torture-'))
        self.names = names
        assert run(f'prune {FAST} --max_cycles 1 --name source', self.top).code == 0
        self.seconds, self.content = {}, {}
        for name in names:
            began = time.monotonic()
            done = run(f'{RUNS[name]} --name {name}', self.top)
            assert done.code == 0, done.text
            self.seconds[name] = time.monotonic() - began
            self.content[name] = content(self.top/'runs'/name)

    @contextmanager
    def place(self):
        "A folder with the source of transfers, and nothing else"
        new = Path(tempfile.mkdtemp(dir=self.top))
        shutil.copytree(self.top/'runs/source', new/'runs/source')
        yield new
        shutil.rmtree(new)

    def line(self, name, cwd):
        "The command that begins a run, or goes on with it"
        if not (cwd/'runs'/name/'recipe.json').is_file(): return f'{RUNS[name]} --name {name}'
        return f'{RUNS[name].split()[0]} --resume --name {name}'

    def complete(self, name, cwd, before=''):
        "Finish the run, and compare it with the reference"
        for _ in range(3):
            done = run(self.line(name, cwd), cwd)
            if done.code == 0: break
        folder = cwd/'runs'/name
        assert done.code == 0, f'{name}: {before}\n{done.text}'
        assert content(folder) == self.content[name], f'{name} came to other bits after: {before}'
        assert (folder/'report.html').stat().st_mtime_ns >= (folder/'cycles.jsonl').stat().st_mtime_ns, 'the report is older than the run'
        left = [p.name for p in folder.iterdir() if p.name.endswith('.part') or p.name == 'partial']
        assert not left, f'{name}: {left} are left after: {before}'


def kills(n, seed=0, reference=None):
    "SIGKILL at random moments, one to three in each run"
    reference, g, rows = reference or Reference(), random.Random(seed), []
    for name in reference.names:
        trials = 0
        while trials < n/len(reference.names):
            with reference.place() as cwd:
                for _ in range(g.randint(1, 3)):
                    with child(command(reference.line(name, cwd)), cwd, cwd/'log.txt') as pid:
                        time.sleep(g.uniform(0, reference.seconds[name]))
                        os.killpg(pid, signal.SIGKILL) if os.getpgid(pid) == pid else os.kill(pid, signal.SIGKILL)
                        os.wait4(pid, 0)
                    trials += 1
                reference.complete(name, cwd, f'{trials} kills')
        rows.append((f'killed at random, {name}', trials, trials))
    return rows


WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
AUDITED = 'open', 'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.truncate', 'os.link', 'os.symlink'


def watched(top, at):
    "Call `at(number, what)` before each operation that changes something below a folder"
    count, top = [0], str(top)
    def inside(path): return str(path).startswith(top) or not os.path.isabs(str(path))
    def op(what):
        count[0] += 1
        at(count[0], what)
    def hook(event, args):
        if event not in AUDITED or not isinstance(args[0], str | bytes | os.PathLike) or not inside(os.fsdecode(args[0])): return
        if event == 'open' and not (isinstance(args[2], int) and args[2] & WRITES): return
        if os.path.basename(os.fsdecode(args[0])) == 'log.txt': return
        op(f'{event} {os.path.basename(os.fsdecode(args[0]))}')
    sys.addaudithook(hook)
    for name in ('write', 'fsync'):
        setattr(os, name, counted(name, getattr(os, name), inside, op))
    return count


def counted(name, plain, inside, op):
    "The function of `os`, with `op` called before it works on a file below the folder"
    def patched(fd, *rest):
        path = os.readlink(f'/proc/self/fd/{fd}')
        if inside(path): op(f'{name} {os.path.basename(path)}')
        return plain(fd, *rest)
    return patched


def count(reference, name):
    "How many operations an undisturbed run has"
    with reference.place() as cwd:
        tally = cwd/'count.txt'
        def begin():
            (cwd/'runs').mkdir(exist_ok=True)
            fd = os.open(tally, os.O_CREAT | os.O_WRONLY)
            plain = os.write
            watched(cwd/'runs'/name, lambda i, what: plain(fd, b'.'))
        assert run(reference.line(name, cwd), cwd, begin).code == 0
        return tally.stat().st_size


def shared(top, work, items):
    "Do the work on each item, in as many processes as there are cores; an AssertionError with what one of them said if it failed"
    shares = min(len(os.sched_getaffinity(0)), len(items))
    def share(i):
        for item in items[i::shares]: work(item)
    logs = [top/f'share-{i}.txt' for i in range(shares)]
    pids = []
    for i, log in enumerate(logs):
        with child(lambda i=i: share(i), top, log) as pid: pids.append(pid)
    codes = [finished(pid, 3600)[0] for pid in pids]
    assert not any(codes), next(log.read_text() for code, log in zip(codes, logs) if code)


def faults(n, seed=0, reference=None, how=('kill', errno.ENOSPC, errno.EACCES, errno.EIO)):
    "A kill, or an OSError, at each single operation on the files of a run (or at `n` of them, drawn; if they are few, every kind of run has half of the faults)"
    reference, g, rows = reference or Reference(), random.Random(seed), []
    for i, name in enumerate(reference.names):
        total = count(reference, name)
        for fault in how[i % 2::2] if n < len(how)*len(reference.names) else how:
            word = fault if fault == 'kill' else errno.errorcode[fault]
            points = range(1, total + 1)
            if n < total*len(how)*len(reference.names): points = sorted(g.sample(points, max(1, n//len(how)//len(reference.names))))
            shared(reference.top, lambda point, name=name, fault=fault: fault_at(point, fault, name, reference), points)
            rows.append((f'{word} at each operation, {name}', len(points), len(points)))
    return rows


def fault_at(point, fault, name, reference):
    "Begin a run in which an operation on a file fails, or which is killed there, and complete it"
    with reference.place() as cwd:
        def at(i, what):
            if i < point or (i > point and fault != errno.ENOSPC): return       # a full disk stays full
            if fault == 'kill': os._exit(137)
            raise OSError(fault, os.strerror(fault), what)
        done = run(reference.line(name, cwd), cwd, lambda: watched(cwd/'runs'/name, at))
        where = f'{name}, {fault} at operation {point}: {done.text}'
        if fault == 'kill': assert done.code == 137, where
        else:
            said = [line for line in done.text.splitlines() if line.startswith('colt-') and 'warning' not in line]
            assert len(said) == (1 if done.code else 0), where
        reference.complete(name, cwd, where[-400:])


def races(n, seed=0, reference=None):
    "Two commands with one name and different seeds, started together: one run of one seed, the other refused"
    reference, g = reference or Reference(['colt']), random.Random(seed)
    for _ in range(n):
        with reference.place() as cwd:
            pids = []
            for i in 0, 1:
                wait = g.uniform(0, .02)
                def work(i=i, wait=wait):
                    time.sleep(wait)
                    return command(f'prune {FAST} --max_cycles 1 --seed {i} --name both')()
                with child(work, cwd, cwd/f'log{i}.txt') as pid: pids.append(pid)
            codes = [finished(pid)[0] for pid in pids]
            logs = [(cwd/f'log{i}.txt').read_text() for i in (0, 1)]
            assert min(codes) == 0 < max(codes) < 3 and not any('Traceback' in log for log in logs), (codes, logs)
            from colt.runs import RunFolder
            folder = RunFolder(cwd/'runs/both')
            seeds = {folder.recipe.seed, *(folder.ticket(r.cycle).meta['recipe']['seed'] for r in folder.records())}
            assert seeds == {codes.index(0)}, (seeds, codes)
    return [('two commands, one name', n, n)]


def mutated(data, g):
    "Some bytes with one change: a bit, a byte, two bits, a cut, a repeat, or rubbish"
    data, how, at = bytearray(data), g.randrange(6), g.randrange(len(data))
    if how == 0: data[at] ^= 1 << g.randrange(8)
    elif how == 1: data[at] = (data[at] + g.randrange(1, 256)) % 256
    elif how == 2:
        data[at] ^= 1 << g.randrange(8)
        data[g.randrange(len(data))] ^= 1 << g.randrange(8)
    elif how == 3: del data[at:]
    elif how == 4: data[at:at] = data[at:at + g.randrange(1, 64)]
    else: data[at:at + 8] = g.randbytes(8)
    return bytes(data)


def region(path, data, changed):
    "Where the first change lies: header, digest, key or data"
    at = next((i for i, (a, b) in enumerate(zip(data, changed)) if a != b), min(len(data), len(changed)))
    if path.suffix != '.safetensors':
        text = data[max(0, at - 60):at]
        return 'digest' if b'"digest"' in text[-20:] else 'text'
    size = int.from_bytes(data[:8], 'little')
    if at < 8: return 'size of the header'
    if at >= 8 + size: return 'data'
    start = data.find(b'"digest":"')
    if 0 <= start <= at < start + 80: return 'digest'
    return 'header'


def looked_at(folder):
    "Everything that a run folder says, as plain values"
    from colt.records import correct_images
    found = [folder.about(), [r.line() for r in folder.records()], folder.init()]
    for record in folder.records():
        ticket, cycle = folder.ticket(record.cycle), folder.cycle(record.cycle, record)
        found.append([ticket.meta, ticket.init, ticket.mask, cycle.votes, [run.weights for run in cycle.runs], correct_images(folder, record)])
        if 'models' in record.files: found.append(dict(folder.model(record.cycle, normalise=False).state_dict()))
    return found


def same(a, b):
    "Whether two values are equal, tensors bit for bit"
    import torch
    if isinstance(a, torch.Tensor): return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict): return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple): return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def mutations(n, seed=0, reference=None):
    "Mutated tickets and mutated files of a run: each is noticed, or changes nothing"
    from colt.records import RunFolder
    from colt.ticket import Ticket
    reference, g = reference or Reference(['colt']), random.Random(seed)
    source = reference.top/'runs'/reference.names[0]
    ticket_file = source/'tickets/cycle-001.safetensors'
    honest, truth, rows = ticket_file.read_bytes(), Ticket.load(ticket_file), {}
    was = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    def judge(key, notice):
        made, noticed, unnoticed = rows.setdefault(key, [0, 0, 0])
        rows[key] = [made + 1, noticed + (notice == 'noticed'), unnoticed + (notice == 'changed')]
        assert notice != 'changed', f'{key}: a changed value was not noticed'
    with tempfile.TemporaryDirectory() as top:
        path = Path(top)/'ticket.safetensors'
        for _ in range(n):
            data = mutated(honest, g)
            if data == honest: continue
            path.write_bytes(data)
            try:
                found = Ticket.load(path)
                notice = 'same' if same([found.init, found.mask, found.meta], [truth.init, truth.mask, truth.meta]) else 'changed'
            except (ValueError, FileNotFoundError): notice = 'noticed'
            judge(f'a ticket, {region(path, honest, data)}', notice)
        folder = Path(top)/'run'
        shutil.copytree(source, folder)
        files = files_of(folder)
        expected = looked_at(RunFolder(folder))
        for i in range(n):
            f = files[i % len(files)]
            honest = f.read_bytes()
            data = mutated(honest, g)
            if data == honest: continue
            f.write_bytes(data)
            try: notice = 'same' if same(looked_at(RunFolder(folder)), expected) else 'changed'
            except (ValueError, FileNotFoundError): notice = 'noticed'
            kind = f.parent.name if f.suffix == '.safetensors' and f.parent != folder else f.name
            if notice == 'changed' and f.name == 'cycles.jsonl' and cut_at_a_line(honest, data): notice = 'same'
            judge(f'{kind}, {region(f, honest, data)}', notice)
            f.write_bytes(honest)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - was)/1024
    assert more < 100, f'{more:.0f} MB more than the honest files'
    return [(key, made, noticed) for key, (made, noticed, _) in sorted(rows.items())]


def cut_at_a_line(honest, data):
    "Whether only whole cycles at the end are missing: the state of a run that was interrupted before them"
    lines = [line for line in data.split(b'\n')[:-1]]
    return honest.split(b'\n')[:len(lines)] == lines


def strangers(reference=None):
    "A valid file of another cycle, or of the same run with another seed, in the place of each file"
    from colt.records import RunFolder
    reference = reference or Reference(['colt'])
    name, rows = reference.names[0], []
    other = reference.top/'runs/other'
    if not other.exists(): assert run(f'{RUNS[name]} --seed 5 --name other', reference.top).code == 0
    with reference.place() as cwd:
        folder = cwd/'runs/one'
        shutil.copytree(reference.top/'runs'/name, folder)
        for kind in *BITS, 'models', 'correct', '':
            for f in sorted((folder/kind).glob('*.safetensors' if kind else '*.json*')) + ([folder/'init.safetensors'] if not kind else []):
                sources = [other/f.relative_to(folder), *(p for p in (folder/kind).glob(f'*{f.suffix}') if kind and p != f)]
                for source in sources:
                    honest = f.read_bytes()
                    if source.read_bytes() == honest: continue
                    f.write_bytes(source.read_bytes())
                    try:
                        looked_at(RunFolder(folder))
                        raise AssertionError(f'{source.name} in the place of {f.name} was not noticed')
                    except (ValueError, FileNotFoundError): rows.append(f)
                    f.write_bytes(honest)
    return [('a valid file of another run or cycle', len(rows), len(rows))]


WAYS = {
    'lost': lambda f, other: f.unlink(),
    'cut': lambda f, other: f.write_bytes(f.read_bytes()[:f.stat().st_size//2]),
    'empty': lambda f, other: f.write_bytes(b''),
    'zeros': lambda f, other: f.write_bytes(bytes(f.stat().st_size)),
    'another file': lambda f, other: f.write_bytes(other.read_bytes()),
    'a folder': lambda f, other: (f.unlink(), f.mkdir()),
}


def losses(n, seed=0, reference=None):
    "Each file of a finished run, all of a kind, and all of two kinds lost or damaged in each way; then the run is resumed, or taken further"
    reference, trials, rows = reference or Reference(['colt']), [], []
    for name in reference.names:
        top = reference.top/'runs'/name
        files = files_of(top)
        kinds = sorted({p.parent for p in files} - {top})
        groups = [[p] for p in files] + [[p for p in files if p.parent in (a, b)] for a in kinds for b in kinds if a <= b]
        trials += [(name, group, way, further) for group in groups for way in WAYS for further in (False, True)]
    if n < len(trials): trials = random.Random(seed).sample(trials, n)
    for name in reference.names:
        of_run = [trial for trial in trials if trial[0] == name]
        if of_run: shared(reference.top, lambda trial: lose(*trial, reference), of_run)
        rows.append((f'files lost or damaged, {name}', len(of_run), len(of_run)))
    return rows


def files_of(run):
    "The files of a run that say something of it"
    return sorted(p for p in run.rglob('*') if p.suffix in ('.safetensors', '.json', '.jsonl'))


def another(f, group):
    "A file of the same run that is not lost: of the same kind if there is one, or else of the same format"
    run = f.parent if f.suffix != '.safetensors' or f.name == 'init.safetensors' else f.parent.parent
    return min((p for p in files_of(run) if p not in group), key=lambda p: (p.suffix != f.suffix, p.parent != f.parent, p))


def lose(name, group, way, further, reference):
    "Damage some files of a finished run and go on with it: what was there is there again, or is named"
    with reference.place() as cwd:
        folder, top = cwd/'runs'/name, reference.top/'runs'/name
        shutil.copytree(top, folder, dirs_exist_ok=True)
        for f in group: WAYS[way](folder/f.relative_to(top), another(f, group))
        text, ended = go_on(folder, further)
        before, after = kept(top), kept(folder)
        changed = sorted({f.partition(',')[0] for f in before if after.get(f) != before[f]}) # of the lines, their file
        damaged = [f.relative_to(top).as_posix() for f in group]
        where = f'{name}, {way}, {further=}, {damaged}: {text}'
        if ended: assert any(f in text for f in damaged), f'an error names no file: {where}'
        else: assert all(f in text for f in changed), f'{changed} changed without a word: {where}'
        assert {*changed} <= {*damaged}, f'other files changed, {changed}: {where}'
        last = max(f.name for f in (top/'tickets').iterdir())
        if not ended and name != 'transfer': assert not any(last in f for f in changed), f'{changed} is not there again: {where}'


def go_on(folder, further):
    "Resume a run in this process, or take it a cycle further: what is said, and whether that is an error"
    from dataclasses import replace
    from colt.plans import plan
    from colt.records import RunFolder
    from colt.resume import resumed_transfer
    from colt.runs import execute, resume_run
    from colt.transfers import execute_transfer, plan_transfer
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        try:
            run = RunFolder(folder)
            if run.transfer:
                source, recipe, which = resumed_transfer(run, {}, folder.parent)
                planned, work = plan_transfer(source, recipe, **which), execute_transfer
            else: planned, work = plan(replace(run.recipe, max_cycles=run.recipe.max_cycles + further)), execute
            list(work(planned, resume_run(planned, folder)))
        except (ValueError, OSError) as e: return str(e), True
    return ' '.join(str(w.message) for w in said), False


def kept(folder):
    "What a run has to keep: its settings but for how far it goes, its tensors, and each of its lines without the seconds"
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*.safetensors') if p.is_file()}
    with suppress(ValueError, OSError): # it may be damaged
        about = without_time(json.loads((folder/'recipe.json').read_text()))
        found['recipe.json'] = about | {'recipe': {k: v for k, v in about['recipe'].items() if k != 'max_cycles'}}
    with suppress(ValueError, OSError):
        lines = (folder/'cycles.jsonl').read_text().splitlines()
        found |= {f'cycles.jsonl, {i}': without_time(json.loads(line)) for i, line in enumerate(lines)}
    return found


PARTS = {'kills': 200, 'faults': 10**9, 'races': 40, 'losses': 10**9, 'mutations': 10_000}


def main(asked):
    loaded()
    parts = dict(a.split('=') for a in asked) or PARTS
    few = {'races', 'losses', 'mutations'} >= parts.keys() # these need one run
    began, reference = time.monotonic(), Reference(['colt'] if few else tuple(RUNS))
    print(f"{'':<48}{'trials':>8}{'as promised':>13}")
    for name, n in parts.items():
        for row in globals()[name](int(n), reference=reference): print('{:<48}{:>8,}{:>13,}'.format(*row), flush=True)
    for row in strangers(reference): print('{:<48}{:>8,}{:>13,}'.format(*row))
    shutil.rmtree(reference.top)
    print(f'{(time.monotonic() - began)/60:.0f} minutes')


if __name__ == '__main__': main(sys.argv[1:])
