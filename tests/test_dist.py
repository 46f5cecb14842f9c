"The package as a stranger gets it: a wheel in an environment of its own, and no text that leads to somebody else's package"
import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import TOP

SETTINGS = configparser.ConfigParser()
SETTINGS.read(TOP/'settings.ini')
NAME, VERSION = (SETTINGS['DEFAULT'][key] for key in ('lib_name', 'version'))
TEXTS = {'.md', '.html', '.js', '.svg', '.ipynb', '.py', '.pyi', '.ini', '.toml', '.yml', '.yaml', '.cff', '.txt', '.json', '.cfg', '.in'}
TOOL, VERB = r'(?:pip3?|micropip|uv|pipx|poetry|pdm|hatch|conda|mamba|micromamba)', r'(?:install|add|run|require|download)'
INSTALLER = re.compile(rf'\b(?:uvx|{TOOL}(?:\s+[-\w/.=]+)*?[\s.]+{VERB})\b([^\n`]*)')


def strangers(text):
    "The requirements in `text` that an installer would look up on PyPI under a name that is not ours"
    found = []
    text = re.sub(r'\\\s*\n', ' ', text.replace('\\n', '\n').replace('\\"', '"')) # a line goes on after its backslash
    for line in text.splitlines():
        for m in INSTALLER.finditer(re.sub(r'''</?\w[^<>]*>|['",]''', ' ', line)):
            for word, after in pairwise([*re.findall(r'[^\s;()]+', m[1]), '']):
                name = re.match(r'[A-Za-z0-9._-]+', word)
                if not name or '/' in word or word.endswith('.whl'): continue
                if re.sub(r'[-_.]+', '-', name[0]).lower() in ('colt', 'colt-tickets') and not after.startswith('@') and '@' not in word:
                    found.append(line.strip())
    return found


THEIRS = ('pip install colt', "pip install 'colt[lab]'", 'pip3 install -U colt==0.1.0', 'python -m pip install numpy "colt>=0.1"', 'uv add colt',
          'uv pip install colt-tickets', 'pipx install colt_tickets[lab]', 'conda install -c conda-forge colt', '%pip install -q colt', '<code>pip install colt</code>',
          'uvx colt', 'pip download colt', 'pip --python env/bin/python install colt', "['pip', 'install', 'colt']", "micropip.install('colt')")
OURS = ('pip install', 'uvx', 'pip install .', "pip install '.[lab]'", 'pip install dist/colt_tickets-0.2.0-py3-none-any.whl', 'pip install jupyterlab',
        "pip install 'colt-tickets[lab] @ git+https://github.com/colt-project/colt'", '`pip install voila` brings it; colt-lab serves it')


@pytest.mark.parametrize('line', THEIRS)
def test_a_text_that_installs_somebody_elses_package_is_found(line): assert strangers(line) == [line]


def test_a_command_of_two_lines_is_read_as_one(): assert strangers('pip install \\\n    colt') == ['pip install      colt']


@pytest.mark.parametrize('line', OURS)
def test_a_text_that_installs_ours_is_not(line): assert strangers(line) == []


def texts():
    "Every text of the project, hidden folders but for those of continuous integration left out"
    hidden = {'build', 'dist', '_docs', '_shots', 'runs', 'data', 'lab', '__pycache__'}
    for path in TOP.rglob('*'):
        *folders, name = path.relative_to(TOP).parts
        known = path.suffix in TEXTS or name in ('Makefile', 'LICENSE', 'run')
        if folders[:2] == ['colt', 'data']: folders = ['colt'] # the rooms of the data, not the folder of data sets
        seen = all(f in ('.ci', '.github') or not (f in hidden or f[0] == '.' or f.endswith('.egg-info')) for f in folders)
        if known and seen and path.is_file(): yield path


def test_no_text_installs_somebody_elses_package():
    read = [p for p in texts() if p != Path(__file__).resolve()]
    assert {'README.md', 'settings.ini', '26_cli.ipynb', 'prune.py', 'run', 'Makefile'} <= {p.name for p in read}
    assert [(str(p.relative_to(TOP)), line) for p in read for line in strangers(p.read_text(encoding='utf-8'))] == []


def test_the_citation_is_of_this_version():
    assert f'\nversion: {VERSION}\n' in (TOP/'CITATION.cff').read_text()
    assert f'version = {{{VERSION}}}' in (TOP/'nbs/explanations/cite.md').read_text()
    assert f'## {VERSION}\n' in (TOP/'CHANGELOG.md').read_text()


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A folder with a wheel and an sdist, the wheel built from the sdist alone"
    source, out = tmp_path_factory.mktemp('source')/'colt', tmp_path_factory.mktemp('dist')
    anywhere, here = shutil.ignore_patterns('__pycache__', '*.egg-info'), {'.git', '.venv', 'build', 'dist', '_docs', 'nbs', 'runs', 'data'}
    shutil.copytree(TOP, source, ignore=lambda folder, names: anywhere(folder, names) | (here if Path(folder) == TOP else set())) # colt/data is ours
    subprocess.run([sys.executable, '-m', 'build', '--no-isolation', '--outdir', out, source], check=True, capture_output=True, text=True)
    return out


def test_make_dist_builds_a_wheel_and_an_sdist_with_the_settings(made):
    stem = f'{NAME.replace("-", "_")}-{VERSION}'
    assert sorted(p.name for p in made.iterdir()) == [f'{stem}-py3-none-any.whl', f'{stem}.tar.gz']
    with tarfile.open(made/f'{stem}.tar.gz') as sdist: inside = {n.partition('/')[2] for n in sdist.getnames()}
    assert {'settings.ini', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'CITATION.cff', 'SECURITY.md'} <= inside
    assert {'colt/tour.ipynb', 'colt/voila.json', 'colt/py.typed', 'colt/__init__.pyi'} <= inside
    assert {'colt/panel/live_figure.js', 'colt/panel/panel.css', 'colt/plot/report.css'} <= inside
    assert not [name for name in inside if name.startswith('tests')] # without conftest.py and its like they would not run
    assert '\trm -rf dist\n\t$(BIN)/python -m build' in (TOP/'Makefile').read_text() # so that dist/*.whl is one wheel


def test_the_wheel_alone_finds_a_ticket(made, tmp_path):
    "In a new environment that has this one's packages, but not its colt"
    env, wheel = tmp_path/'env', next(made.glob('*.whl'))
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', env], check=True)
    pip = [sys.executable, '-m', 'pip', '--python', env/'bin/python', 'install', '--quiet', '--no-deps', '--no-index']
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    packages = next((env/'lib').glob('python*'))/'site-packages'
    (packages/'others.pth').write_text(sysconfig.get_path('purelib') + '\n')
    alone = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    def run(line): return subprocess.run(shlex.split(line), cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=300, check=False)
    told = f"import colt; from importlib.metadata import version; print(colt.__file__, version('{NAME}'), colt.__version__)"
    where = run(f'{env}/bin/python -c "{told}"')
    assert where.stdout.split() == [str(packages/'colt/__init__.py'), VERSION, VERSION], where.stderr
    done = run(f'{env}/bin/colt-prune --arch_type fc1 --end_iter 1 --linear_prune_ratio 0.5 --max_cycles 1 --evaluate no --name first')
    assert done.returncode == 0, done.stderr
    assert (tmp_path/'runs/first/tickets/cycle-001.safetensors').is_file() and f'{env}/bin/colt-prune' in done.stdout
