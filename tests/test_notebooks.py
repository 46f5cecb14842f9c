"Every notebook runs from its top to its end: nbdev's own test of each, in a process of its own, which leaves no files behind"
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import context, forkserver, get_context

import nbdev.test
import pytest
from conftest import TOP
from nbdev.config import get_config

NOTEBOOKS = sorted(p for p in (TOP/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
FRESH = get_context('forkserver')
FRESH.set_forkserver_preload(['tests.warm'])


def prepare(folder, server):
    "Write below a folder; and let the workers that a notebook starts be forked by the same server, since each would import everything anew"
    os.environ['TMPDIR'] = tempfile.tempdir = folder
    forkserver._forkserver._forkserver_address, forkserver._forkserver.ensure_running = server, lambda: None
    context._concrete_contexts['spawn'] = FRESH                           # the command in tests/test_workers.py starts true ones


def server():
    "The address of the process that forks"
    forkserver.ensure_running()
    return forkserver._forkserver._forkserver_address


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.relative_to(TOP/'nbs').with_suffix('').as_posix())
def test_a_notebook_runs(path):
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, FRESH, prepare, [folder, server()]) as process: # not tmp_path: sockets need a short one
        passed, _ = process.submit(nbdev.test.test_nb, path, get_config().tst_flags.split(), basepath=TOP).result()
    assert passed
