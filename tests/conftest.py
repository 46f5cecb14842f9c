"What the tests share: the real Fashion-MNIST, a browser, and the command as a process"
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sets

TOP = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name('colt-prune')


def need(found, what):
    "`found`, or skip the test; where CI runs, a test that can't run has failed"
    if not found: (pytest.fail if os.environ.get('CI') else pytest.skip)(f'{what} is not here')
    return found


@pytest.fixture(scope='session')
def fashion():
    need(Path('/usr/share/datasets/fashion-mnist').is_dir(), "Fashion-MNIST (Debian's dataset-fashion-mnist)")
    from colt.data import load
    return load('fashionmnist')


@pytest.fixture(scope='session')
def small(tmp_path_factory):
    "A folder with a small set of each of the original's six, in the true file format"
    root = tmp_path_factory.mktemp('small')
    for name in sets.SETS: sets.make(root, name)
    return root


@pytest.fixture(scope='session')
def browser():
    return need(next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None), 'a Chromium browser')


@pytest.fixture
def prune(tmp_path):
    "Run `colt-prune` as a process in a folder of its own"
    def run(line, **kw):
        kw = dict(cwd=tmp_path, capture_output=True, text=True, timeout=300) | kw
        return subprocess.run([COMMAND, *(line.split() if isinstance(line, str) else line)], check=False, **kw)
    return run
