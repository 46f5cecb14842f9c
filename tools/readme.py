"""Make README.md from nbs/index.ipynb: prose as it is, code and what it printed as blocks.
Make colt/tour.ipynb from nbs/tutorials/04_lab.ipynb: what a reader runs, without outputs.
Make colt/__init__.pyi from the table of nbs/api/27_front_door.ipynb: what editors and type checkers read.

    python tools/readme.py [--check]      (--check: change nothing, and fail if one is not current)
"""
import ast
import re
import sys
from configparser import ConfigParser
from pathlib import Path

import nbformat

top = Path(__file__).resolve().parents[1]


def printed(cell):
    "The text that a code cell shows"
    texts = [o.text if o.output_type == 'stream' else o.get('data', {}).get('text/plain', '') for o in cell.outputs]
    return ''.join(t if t.endswith('\n') else t + '\n' for t in texts if t)


def block(language, text): return f'```{language}\n{text.rstrip()}\n```'


def badges(settings):
    "Links that open the lab on Binder and Colab; empty until `user` in settings.ini is an account of GitHub"
    if settings['user'] == 'colt-project': return ''
    place, branch, lab = f"{settings['user']}/{settings['repo']}", settings['branch'], 'nbs/tutorials/04_lab.ipynb'
    links = {'Binder': ('mybinder.org/badge_logo.svg', f"mybinder.org/v2/gh/{place}/{branch}?labpath={lab.replace('/', '%2F')}"),
             'Colab': ('colab.research.google.com/assets/colab-badge.svg', f'colab.research.google.com/github/{place}/blob/{branch}/{lab}')}
    return '\n'.join(f'[![{name}](https://{picture})](https://{link})' for name, (picture, link) in links.items())


def readme(path):
    config = ConfigParser()
    config.read(top/'settings.ini')
    parts = list(filter(None, ['<!-- made from nbs/index.ipynb by `make export`: change it there -->', badges(config['DEFAULT'])]))
    for cell in nbformat.read(path, 4).cells:
        if cell.source.startswith('#|'): continue
        parts.append(re.sub(r'\]\((?!https?:)', '](nbs/', cell.source) if cell.cell_type == 'markdown' else block('python', cell.source))
        if cell.cell_type == 'code' and printed(cell): parts.append(block('text', printed(cell)))
    return '\n\n'.join(parts) + '\n'


def tour(path):
    "The notebook without outputs, pictures, hidden cells and directives, as text; every cell keeps its id"
    book = nbformat.read(path, 4)
    for cell in book.cells:
        hidden, cell.metadata = re.match(r'#\|\s*hide\b', cell.source), {}
        cell.source = '' if hidden else re.sub(r'^(#\||!\[).*\n?', '', cell.source, flags=re.M).strip('\n')
        if cell.cell_type == 'code': cell.outputs, cell.execution_count = [], None
    book.cells = [cell for cell in book.cells if cell.source]
    book.metadata = {'kernelspec': {'display_name': 'python3', 'language': 'python', 'name': 'python3'}}
    return nbformat.writes(book) + '\n'


def stub(path):
    "The names of the front door as plain imports"
    table = next(cell.source for cell in nbformat.read(path, 4).cells if 'PUBLIC = {' in cell.source)
    public = next(ast.literal_eval(node.value) for node in ast.parse(table).body if ast.unparse(node).startswith('PUBLIC ='))
    rooms = [f'from . import {room} as {room}' for room in public]
    names = [f'from .{room} import {name} as {name}' for room, inside in public.items() for name in inside]
    return '\n'.join([f'# made from {path.name} by `make export`: change it there', *rooms, *names, '',
                      'PUBLIC: dict[str, list[str]]', '__version__: str', ''])


if __name__ == '__main__':
    for made, file, source in ((readme(top/'nbs/index.ipynb'), top/'README.md', 'nbs/index.ipynb'),
                               (tour(top/'nbs/tutorials/04_lab.ipynb'), top/'colt/tour.ipynb', 'nbs/tutorials/04_lab.ipynb'),
                               (stub(top/'nbs/api/27_front_door.ipynb'), top/'colt/__init__.pyi', 'nbs/api/27_front_door.ipynb')):
        if '--check' not in sys.argv[1:]: file.write_text(made, encoding='utf-8')
        elif not file.exists() or file.read_text(encoding='utf-8') != made: sys.exit(f'{file.relative_to(top)} is not what {source} says; run make export')
