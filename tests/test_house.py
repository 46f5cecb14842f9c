"The plan of the house: what imports what, and whether what is made from the notebooks is current"
import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOP

import colt

NOTEBOOKS = sorted((TOP/'nbs').rglob('*.ipynb'))
LINES, WIDTH, STRETCH = 300, 120, 60                  # of a module; of a line; exported in a row without a cell that runs


def cells(path, kind='code'): return [''.join(c['source']) for c in json.loads(path.read_text())['cells'] if c['cell_type'] == kind]
def directive(source, name): return re.search(rf'^#\|\s*{name}\b\s*(\S*)', source, re.M)


def room(path):
    "The module that a notebook exports"
    return next(found[1] for source in cells(path) if (found := directive(source, 'default_exp')))


def place(path):
    "Where a notebook stands: the door of a chapter, `00_data`, after its rooms, `00a_seeds` and so on"
    number, letter, name = re.match(r'(\d+)([a-z]?)_(.*)', path.stem).groups()
    return number, letter or 'z', name


API = {room(p): p for p in sorted((TOP/'nbs/api').glob('*.ipynb'), key=place)}
ROOMS = {name: i for i, name in enumerate(API)}       # the front door, `__init__`, is the last


def file(room): return f"colt/{room.replace('.', '/')}.py"
def read(room): return (TOP/file(room)).read_text()


def imports(source, room='room'):
    "The rooms that a module imports from, wherever the import stands and however it is written"
    packages = ['colt', *room.split('.')[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import): full = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = '.'.join([*packages[:len(packages) + 1 - node.level]*bool(node.level), *filter(None, [node.module])])
            full = [start] if start != 'colt' else [f'colt.{a.name}' for a in node.names]
        else: continue
        for name in full:
            if not name.startswith('colt.'): continue
            name = name.removeprefix('colt.')
            yield f'{name}.__init__' if f'{name}.__init__' in API else name


def asked_of_the_door(source):
    "The names that a module reads from `colt` itself"
    return {n.attr for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == 'colt'}


UPWARD_WHEN_CALLED = {'records': {'plot.__init__'}}     # `RunFolder.figure` draws itself: a user has the run in hand, not the plots


@pytest.mark.parametrize('room', ROOMS)
def test_a_module_imports_only_from_lower_rooms(room):
    source = read(room)
    used = set(imports(source, room))
    assert {other for other in used if ROOMS.get(other, len(ROOMS)) >= ROOMS[room]} == UPWARD_WHEN_CALLED.get(room, set())
    assert asked_of_the_door(source) <= {'__version__', '__file__'}
    assert used or room in ('data.seeds', 'mask', 'threads', 'engines.blocks', 'cli.__init__', 'compare.intervals', '__init__'), 'it is made of none of the others'


UPWARD = ('from .runs import plan', 'from colt.runs import plan', 'import colt.runs', 'from . import runs', 'from colt import runs as r',
          'def f():\n    from .runs import plan', 'if TYPE_CHECKING:\n    import colt.runs as r')


@pytest.mark.parametrize('line', UPWARD)
def test_an_upward_import_is_seen(line): assert list(imports(line)) == ['runs']


def test_what_looks_upward_does_so_only_when_it_is_called():
    for room, others in UPWARD_WHEN_CALLED.items():
        top = '\n'.join(ast.unparse(n) for n in ast.parse(read(room)).body if isinstance(n, ast.Import | ast.ImportFrom))
        assert not others & set(imports(top, room))


def test_the_front_door_knows_every_room():
    assert {room.partition('.')[0] for room in ROOMS} == {*colt.PUBLIC, '__init__'}


def test_the_rooms_of_a_chapter_stand_before_its_door():
    assert ROOMS['data.seeds'] < ROOMS['data.images'] < ROOMS['data.__init__']
    for line, found in (('from .images import x', 'data.images'), ('from ..runs import x', 'runs'), ('import colt.data', 'data.__init__')):
        assert list(imports(line, 'data.seeds')) == [found]


def code_lines(source):
    "Lines that are neither blank nor a comment, without nbdev's own `__all__`"
    source = re.sub(r'^__all__ = \[.*?\]$', '', source, flags=re.M | re.S)
    return [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith('#')]


def longest_stretch(sources):
    "The most exported lines in a row without a cell that runs something; imports and directives alone don't count"
    longest = now = 0
    for source in sources:
        lines = code_lines(source)
        if directive(source, 'export[si]?'): now += len(lines)
        elif any(not re.match(r'\s*(import|from|pio\.|%)', line) for line in lines): now = 0
        longest = max(longest, now)
    return longest


def test_a_stretch_is_measured():
    export, example, bare = '#| export\ndef f():\n    return 1', 'f()', 'import math'
    assert longest_stretch([export, bare, export, example, export]) == 4
    assert longest_stretch([export, export.replace('export', 'exporti'), export]) == 6


def name(path): return str(path.relative_to(TOP))
def wide(sources): return sum(len(line) > WIDTH for source in sources for line in source.splitlines())


MEASURED = {
    'lines of a module': (LINES, lambda: {file(r): len(code_lines(read(r))) for r in ROOMS}),
    'lines over 120 characters': (0, lambda: {name(p): wide(cells(p)) for p in NOTEBOOKS} | {file(r): wide(code_lines(read(r))) for r in ROOMS}),
    'exported lines in a row': (STRETCH, lambda: {name(p): longest_stretch(cells(p)) for p in NOTEBOOKS})}


@pytest.mark.parametrize('what', MEASURED)
def test_nothing_is_beyond_the_limits_of_the_house(what):
    limit, measure = MEASURED[what]
    assert {path: n for path, n in measure().items() if n > limit} == {}


def test_the_measures_see_a_long_line_and_every_line_of_code():
    assert wide(['a'*WIDTH, 'a\n' + 'a'*(WIDTH + 1)]) == 1
    assert code_lines('__all__ = [\n    "a"]\n\n# note\na = 1\nif a:\n    b = 2\n') == ['a = 1', 'if a:', '    b = 2']


def test_the_algorithm_needs_no_plots_no_widgets_no_pictures_and_no_torchvision():
    program = ('import sys, colt, colt.data, colt.cycle, colt.runs; '
               'print([m for m in ("plotly", "ipywidgets", "PIL", "torchvision", "sklearn", "rich") if m in sys.modules])')
    heavy = subprocess.run([sys.executable, '-c', program],
                           capture_output=True, text=True, check=True)
    assert heavy.stdout.strip() == '[]'


def test_the_module_and_the_readme_are_what_the_notebooks_say(tmp_path):
    for name in ('settings.ini', 'README.md', 'setup.py', 'pyproject.toml'): shutil.copy(TOP/name, tmp_path)
    for name in ('nbs', 'colt', 'tools'): shutil.copytree(TOP/name, tmp_path/name, ignore=shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints'))
    old = {p.relative_to(tmp_path): p.read_bytes() for sub in ('nbs', 'colt') for p in (tmp_path/sub).rglob('*') if p.is_file()}
    for command in ('nbdev_clean', 'nbdev_export'): subprocess.run([Path(sys.executable).with_name(command)], cwd=tmp_path, check=True,
                                                                   capture_output=True)
    new = {p.relative_to(tmp_path): p.read_bytes() for sub in ('nbs', 'colt')
           for p in (tmp_path/sub).rglob('*') if p.is_file() and '__pycache__' not in p.parts}
    assert sorted(map(str, new)) == sorted(map(str, old))
    assert [str(p) for p in new if new[p] != old[p]] == [], 'run make export'
    subprocess.run([sys.executable, tmp_path/'tools/readme.py', '--check'], check=True)
    assert 'mybinder' not in (tmp_path/'README.md').read_text()                  # no account, no badge
    settings = (tmp_path/'settings.ini').read_text()
    (tmp_path/'settings.ini').write_text(settings.replace('user = colt-project', 'user = me'))
    subprocess.run([sys.executable, tmp_path/'tools/readme.py'], check=True)
    badges = (tmp_path/'README.md').read_text().split('# ')[0]
    assert '(https://mybinder.org/v2/gh/me/colt/main?labpath=nbs%2Ftutorials%2F04_lab.ipynb)' in badges
    assert '(https://colab.research.google.com/github/me/colt/blob/main/nbs/tutorials/04_lab.ipynb)' in badges


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_tells_shows_and_tests(path):
    notebook = json.loads(path.read_text())
    cells = notebook['cells']
    assert 'widgets' not in notebook['metadata'], 'the state of widgets is megabytes, and shows nothing without a kernel'
    source = [''.join(c['source']) for c in cells]
    assert all(c.get('id') for c in cells)
    assert not any('```python' in s for s, c in zip(source, cells, strict=True) if c['cell_type'] == 'markdown'), 'an example that does not run'
    assert not any('widget' in json.dumps(c.get('metadata', {})) for c in cells)
    if path.parent.name != 'api': return
    shown = [k for c in cells for o in c.get('outputs', []) for k in o.get('data', {})]
    assert any(k.startswith(('image/', 'application/vnd.plotly')) for k in shown), 'no picture'
    assert any('assert ' in s or 'test_' in s for s in source)
    prose = [s for s, c in zip(source, cells, strict=True) if c['cell_type'] == 'markdown']
    assert prose[0].startswith('# ') and prose[-1].startswith('## What we left out')


def test_the_notebooks_show_what_their_code_gave():
    notebooks = sorted([*TOP.glob('nbs/*.ipynb'), *TOP.glob('nbs/*/*.ipynb')])
    done = subprocess.run([sys.executable, TOP/'tools/lessons.py', '--check', *notebooks], capture_output=True, text=True, check=False)
    assert notebooks and (done.returncode, done.stderr) == (0, '')


def test_a_notebook_whose_code_has_changed_is_stale(tmp_path):
    book = json.loads((TOP/'nbs/tutorials/01_five_lines.ipynb').read_text())
    next(c for c in book['cells'] if c['cell_type'] == 'code')['source'].append('\n1 + 1')
    (tmp_path/'changed.ipynb').write_text(json.dumps(book))
    done = subprocess.run([sys.executable, TOP/'tools/lessons.py', '--check', tmp_path/'changed.ipynb'], capture_output=True, text=True, check=False)
    assert done.returncode and 'changed.ipynb; run make notebooks' in done.stderr


def test_every_promise_names_a_test_that_is_there():
    named = re.findall(r'`(tests/\w+\.py)::(\w+)`', (TOP/'nbs/explanations/promises.md').read_text())
    assert len(named) > 30
    for file, test in named: assert f'def {test}(' in (TOP/file).read_text(), f'{file} has no {test}'


def public(tree): return [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith('_')]


@pytest.mark.parametrize('room', ROOMS)
def test_every_public_name_says_what_it_is_and_takes(room):
    "A docstring for every function and class, and a comment or at least a type for every parameter"
    for node in public(ast.parse(read(room))):
        sentence = isinstance(node, ast.FunctionDef) and len(node.body) == 1 # its one line says it
        assert sentence or ast.get_docstring(node), f'{room}.{node.name} has no docstring'
        if isinstance(node, ast.FunctionDef): assert all(a.annotation for a in node.args.args), f'{room}.{node.name} has a parameter without a type'
