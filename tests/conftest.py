"What the tests share: the real Fashion-MNIST, a browser, and the command as a process"
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1') # before torch: two workers with two threads each wait for one another

import pages
import pytest
import sets

TOP = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name('colt-prune')


LONG = 'test_panel', 'test_site', 'test_fashion', 'test_original', 'densenet121'  # they begin first, so that no worker waits for them in the end


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: next((i for i, name in enumerate(LONG) if name in item.nodeid), len(LONG)))


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


@pytest.fixture(scope='module')                                           # not longer: while it is there, asyncio.run fails in this process
def chromium(browser, tmp_path_factory):
    need(find_spec('playwright'), 'Playwright')
    from playwright.sync_api import sync_playwright
    env = os.environ | {'HOME': str(tmp_path_factory.mktemp('chromium'))} # with no HOME, Chromium writes .cache into the working folder
    with sync_playwright() as p, p.chromium.launch(executable_path=browser, args=pages.FLAGS, env=env) as chromium: yield chromium


@pytest.fixture(scope='session')
def jupyter(tmp_path_factory):
    need(find_spec('jupyterlab'), 'JupyterLab')
    with pages.serve(tmp_path_factory.mktemp('jupyter')) as server: yield server


@pytest.fixture
def page(chromium, jupyter):
    with pages.fresh(chromium) as page: yield page
    jupyter.rest()


@pytest.fixture
def prune(tmp_path):
    "Run `colt-prune` as a process in a folder of its own"
    def run(line, **kw):
        kw = dict(cwd=tmp_path, capture_output=True, text=True, timeout=300) | kw
        return subprocess.run([COMMAND, *(line.split() if isinstance(line, str) else line)], check=False, **kw)
    return run
