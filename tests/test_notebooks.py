"Every notebook runs from its top to its end: nbdev's own test of each, in a process of its own"
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import nbdev.test
import pytest
from conftest import TOP
from nbdev.config import get_config

NOTEBOOKS = sorted(p for p in (TOP/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts)
FRESH = get_context('forkserver')                                         # a process that has imported what takes long, and done nothing else
FRESH.set_forkserver_preload(['nbdev.test', 'torch._dynamo', 'torchvision', 'sklearn.datasets', 'plotly.io._renderers', 'colt.panel', 'colt.cli'])


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.relative_to(TOP/'nbs').with_suffix('').as_posix())
def test_a_notebook_runs(path):
    with ProcessPoolExecutor(1, FRESH) as process:
        passed, _ = process.submit(nbdev.test.test_nb, path, get_config().tst_flags.split(), basepath=TOP).result()
    assert passed
