"Runs whose trainings are side by side, a worker that is killed, and one digest for all ways. Other processes import it"
import hashlib
import json
import os
import signal
from multiprocessing import active_children
from pathlib import Path

import psutil

from colt.executors import fit_job
from colt.plans import plan_at
from colt.runs import create_run, execute, resume_run
from colt.workers import _NAME


def fall_once(job, report=None):
    "Train; if the folder of the run has a file `fall`, take it away and kill this process at the fifth batch"
    fall, batches = Path(job.checkpoint).parent.parent/'fall', []

    def count(progress):
        batches.append(progress)
        if len(batches) == 5 and _taken_away(fall): os.kill(os.getpid(), signal.SIGKILL)
        if report: report(progress)
    return fit_job(job, count)


def _taken_away(path):
    "Remove a file; False if it is not there, or another process was faster"
    try: path.unlink()
    except FileNotFoundError: return False
    return True


def trained(recipe, path, origin, train=None, report=None, falls=False):
    "Begin a run with one thread for each training, or go on with it"
    p = plan_at(recipe, origin)
    run = resume_run(p, path) if (path/'recipe.json').exists() else create_run(p, path, threads=1)
    if falls: (path/'fall').touch()
    list(execute(p, run, report, train=train))
    assert not (path/'fall').exists()
    return run


def digest(run):
    "Of all that a run has found, without the time that it took (which the digest of a line has, too)"
    found = hashlib.sha256()
    for path in sorted(path for kind in ('tickets', 'votes', 'models') for path in (run.path/kind).iterdir()):
        found.update(path.name.encode() + path.read_bytes())
    for line in (run.path/'cycles.jsonl').read_text().splitlines():
        record = json.loads(line, object_hook=lambda d: {k: v for k, v in d.items() if k not in ('seconds', 'digest')})
        found.update(json.dumps(record, sort_keys=True).encode())
    return found.hexdigest()


def workers(): return [psutil.Process(p.pid) for p in active_children() if p.name == _NAME]
def workers_of(pid): return [p for p in psutil.Process(pid).children(recursive=True) if 'spawn_main' in ' '.join(p.cmdline())]
