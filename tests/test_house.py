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

NOTEBOOKS = sorted((TOP/'nbs').rglob('*.ipynb'))
ROOMS = {m[1]: i for i, p in enumerate(sorted((TOP/'nbs/api').glob('*.ipynb'))) if (m := re.match(r'\d\d_(\w+)', p.stem))}


def imports(path):
    "The rooms that a module imports from; an export makes `colt.data` into `.data`"
    lines = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.module]
    return {n.module.removeprefix('colt.') for n in lines if n.level == 1 or n.module.startswith('colt.')}


@pytest.mark.parametrize('room', ROOMS)
def test_a_module_imports_only_from_lower_rooms(room):
    used = imports(TOP/f'colt/{room}.py')
    assert all(ROOMS[other] < ROOMS[room] for other in used), used
    assert used or room in ('data', 'mask'), 'it is made of none of the others'


@pytest.mark.parametrize('module', ['colt', 'colt.cycle', 'colt.runs'])
def test_the_algorithm_needs_no_plots_no_widgets_and_no_torchvision(module):
    program = f'import sys, {module}; print([m for m in ("plotly", "ipywidgets", "torchvision", "sklearn", "rich") if m in sys.modules])'
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


def test_the_lessons_show_what_their_code_gave():
    lessons = sorted((TOP/'nbs/tutorials').glob('*.ipynb'))
    done = subprocess.run([sys.executable, TOP/'tools/lessons.py', '--check', *lessons], capture_output=True, text=True, check=False)
    assert lessons and (done.returncode, done.stderr) == (0, '')


def test_a_lesson_whose_code_has_changed_is_stale(tmp_path):
    book = json.loads((TOP/'nbs/tutorials/01_five_lines.ipynb').read_text())
    next(c for c in book['cells'] if c['cell_type'] == 'code')['source'].append('\n1 + 1')
    (tmp_path/'changed.ipynb').write_text(json.dumps(book))
    done = subprocess.run([sys.executable, TOP/'tools/lessons.py', '--check', tmp_path/'changed.ipynb'], capture_output=True, text=True, check=False)
    assert done.returncode and 'changed.ipynb; run make lessons' in done.stderr


def test_every_promise_names_a_test_that_is_there():
    named = re.findall(r'`(tests/\w+\.py)::(\w+)`', (TOP/'nbs/explanations/promises.md').read_text())
    assert len(named) > 30
    for file, test in named: assert f'def {test}(' in (TOP/file).read_text(), f'{file} has no {test}'


def public(tree): return [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith('_')]


@pytest.mark.parametrize('room', ROOMS)
def test_every_public_name_says_what_it_is_and_takes(room):
    "A docstring for every function and class, and a comment or at least a type for every parameter"
    for node in public(ast.parse((TOP/f'colt/{room}.py').read_text())):
        sentence = isinstance(node, ast.FunctionDef) and len(node.body) == 1 # its one line says it
        assert sentence or ast.get_docstring(node), f'{room}.{node.name} has no docstring'
        if isinstance(node, ast.FunctionDef): assert all(a.annotation for a in node.args.args), f'{room}.{node.name} has a parameter without a type'
