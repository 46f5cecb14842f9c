"What the tests share: the real Fashion-MNIST, a browser, and the command, called or as a process"
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault('OMP_NUM_THREADS', '1') # before torch: two workers with two threads each wait for one another
ABSENT = str(Path(__file__).with_name('absent'))
if ABSENT not in sys.path:                            # here, and in every process that is started
    sys.path.insert(0, ABSENT)
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, [ABSENT, os.environ.get('PYTHONPATH')]))
os.fsync = lambda file: None                          # a folder that a test deletes need not outlive a power cut; the commands as processes sync

import pages
import pytest
import sets

TOP = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name('colt-prune')


# What takes long begins first, so that no worker waits for it in the end; `make quick` leaves it out, but for the types
LONG = (r'test_types\.py', r'test_panel\.py', r'test_site\.py', r'test_(engine|sparse)\.py', r'test_torture\.py', r'test_live\.py', 'each_command_does_its_work', r'runs\[tutorials/',
        r'test_fashion\.py',
        r'cycles\[(fc1-imagenet|densenet121|resnet18)', r'runs\[guides/(compare|many)', r'runs\[api/(11[d-i]_|12_|12[bd]_|16a?_|2[01]_|23a|24[fghk]|25a|25i)', 'a_killed_run', r'test_lab_command\.py',
        r'runs\[(index|api/(01_|17_|18_|23_|24[jo]_|25[bc]?_|26_|26[cd]|27_))', 'progress_is_quiet', 'one_process_at_a_time', 'twice_the_same_command', 'promised_format', 'an_interrupt_says', 'wheel_alone',
        r'test_(pairs|elsewhere|workers|threads|parallel|properties)\.py',
        r'test_networks\.py.*\[(\d+:|mnasnet|shuffle|mobile|dense|conv|squeeze|vision|swin)', r'test_models\.py.*(every_image|large_images|torchvision)',
        r'test_data\.py.*(files_that_grow|never_all_in_memory|number_of_workers)', r'test_one_answer\.py')

COMPILED = r'test_(engine|sparse)\.py|runs\[(api/(11[c-i]|12b)_|tutorials/10_)'
TOGETHER = [re.compile(p) for p in (r'test_panel\.py', r'test_site\.py', r'test_live\.py', r'test_workers\.py', r'test_one_answer\.py', r'test_dist\.py',
                                        COMPILED)]


def pytest_collection_modifyitems(items):
    "Long ones first, and marked but for the types"
    place = {item: next((i for i, name in enumerate(LONG) if re.search(name, item.nodeid)), len(LONG)) for item in items}
    items.sort(key=place.get)
    for item in items:
        if 0 < place[item] < len(LONG) or 'browser' in item.fixturenames: item.add_marker('slow')


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    "Tests go to whichever worker is free, but for those that share a server, a site or runs that are made once, a page, a pool, or what Numba compiles"
    from xdist.scheduler import LoadScopeScheduling
    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid): return next((shared.pattern for shared in TOGETHER if shared.search(nodeid)), nodeid)
    return Together(config, log)


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
def some_fashion(fashion, tmp_path_factory):
    "A folder with 3,000 of its images to learn from, and 1,000 to test on"
    root = tmp_path_factory.mktemp('some')
    for split, images in ('train', fashion.train[:3000]), ('t10k', fashion.test[:1000]):
        for kind, array in ('images-idx3', images.x[:, 0]), ('labels-idx1', images.y.byte()):
            sets.write_idx(root/f'FashionMNIST/raw/{split}-{kind}-ubyte.gz', array.numpy())
    return root


@pytest.fixture(scope='session')
def small(tmp_path_factory):
    "A folder with a small set of each of the original's six, in the true file format"
    root = tmp_path_factory.mktemp('small')
    for name in sets.SETS: sets.make(root, name)
    return root


@pytest.fixture(scope='session')
def few(tmp_path_factory):
    "The same with as few images as will do"
    root = tmp_path_factory.mktemp('few')
    for name in sets.SETS: sets.make(root, name, few=True)
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
def process(tmp_path):
    "Run `colt-prune` as a process in a folder of its own"
    def run(line): return subprocess.run([COMMAND, *line.split()], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    return run


@pytest.fixture
def prune(tmp_path, monkeypatch, capfd):
    "The same in this process, which has imported everything already"
    from colt.cli import colt_prune
    monkeypatch.chdir(tmp_path)
    def run(line):
        capfd.readouterr()
        try: code = colt_prune(line.split())
        except SystemExit as e: code = e.code
        said = capfd.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)
    return run


@pytest.fixture
def interruptible():
    "What is started hears SIGINT, also where these tests run in the background, and were told to ignore it"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
