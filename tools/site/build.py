"""Make the site from the notebooks

    python tools/site/build.py [FOLDER [NOTEBOOKS]]          (_docs and nbs by default; nothing is fetched)

Every notebook becomes a page that shows what is saved in it: nbdev's directives are followed, an exported cell becomes the reference
of what it defines (with its source folded below), plotly's figures are drawn by one local plotly.js, and names in backticks are links.
A dead link, an unknown name or a missing picture fails the build.
"""
import ast
import gc
import json
import os
import re
import shutil
import sys
from dataclasses import is_dataclass
from functools import reduce
from html import escape
from importlib import import_module
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from fastcore.docments import docments
from nbdev.process import NBProcessor
from nbdev.processors import clean_magics, filter_stream_, hide_line, rm_header_dash, strip_ansi
from plotly.offline import get_plotlyjs
from sphinx.cmd.build import main as sphinx

from colt.plot import CONFIG
from live_page import assembled

top = Path(__file__).resolve().parents[2]
FILES = sorted(f.relative_to(top/'colt').with_suffix('') for f in (top/'colt').rglob('*.py') if f.stem != '_modidx')
MODULES = {'.'.join(f.parts): import_module('.'.join(['colt', *f.parts]).removesuffix('.__init__')) for f in FILES}
DOOR = {f'{door.__name__}.{name}': f'{home}.{thing.__name__}' # where a name of the front door, or of a chapter's, lives
        for door in MODULES.values() if hasattr(door, '__path__') for name, thing in ((n, getattr(door, n)) for n in dir(door))
        if (home := getattr(thing, '__module__', None) or '') != door.__name__ and home.startswith('colt.')}
ROOMS = (('Live', 'live/*'), ('Lessons', 'tutorials/*'), ('Guides', 'guides/*'), ('Reference', 'api/*'),
         ('Explanations', 'explanations/*\nexplanations/decisions/README'), ('The project', 'project/*'))
TREE = '```{{toctree}}\n:caption: {}\n:hidden:\n:glob:\n:titlesonly:\n\n{}\n```\n' # a part of the table of contents
FOLDERS = {'](api)': '](api/00_data.ipynb)', '](explanations/decisions)': '](explanations/decisions/README.md)'} # a link to a folder, on a page
HIDDEN, FOLDED = {'hide', 'default_exp', 'eval'}, {'code-fold:', 'export', 'exporti', 'exports'}


def names(book, module):
    "What a notebook calls by its name alone: what its module defines, and what its cells import"
    own = {name: f'{module.__name__}.{name}' for name in module.__all__} if module else {}
    found = {}
    for node in (n for c in book.cells if c.cell_type == 'code' for part in c.parsed_() or () for n in ast.walk(part)):
        if isinstance(node, ast.Import) and 'colt' in [a.name for a in node.names]: found |= {n.removeprefix('colt.'): n for n in DOOR}
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('colt.'): found |= {a.name: f'{node.module}.{a.name}' for a in node.names}
    return found | own


def linked(text, known):
    "Names in backticks as references, outside of headings, links and blocks of code"
    def link(m):
        name = m[1].removesuffix('()')
        full = known.get(name, name)
        full = DOOR.get(full, full)
        return f'{{py:obj}}`{m[1]} <{full}>`' if re.fullmatch(r'colt\.[a-z]+(\.\w+)*', full) else m[0]
    def line(text): return text if text.startswith('#') else re.sub(r'(?<![`\[{}])`([A-Za-z_][\w.]*(?:\(\))?)`(?![`\]])', link, text)
    blocks = re.split(r'(?ms)(^```.*?^```$)', text)
    return ''.join(b if i % 2 else '\n'.join(map(line, b.split('\n'))) for i, b in enumerate(blocks))


def signature(node):
    "A function's parameters as they are written, without comments"
    args = ast.unparse(node.args)
    return re.sub(r'^(self|cls)(: \w+)?(, )?', '', args), f' -> {ast.unparse(node.returns)}' if node.returns else ''


def remark(node, source):
    "The docstring of a definition, or the comment on its first line"
    if said := ast.get_docstring(node): return said
    end = re.search(r'#\s*(.+)$', source.splitlines()[node.lineno - 1])
    return end[1] if end else ''


def fields(thing):
    "What docments say of each parameter, and of what is returned"
    told = docments(thing, full=True)
    lines = [f":param {n}: {' '.join(d['docment'].split())}" for n, d in told.items() if n not in ('self', 'return') and d.get('docment')]
    back = told.get('return', {}).get('docment')
    return lines + ([f":returns: {' '.join(back.split())}"] if back else [])


def directive(kind, title, body, colons=3, **options):
    return '\n'.join([f"{':'*colons}{{py:{kind}}} {title}", *(f':{k}: {v}' for k, v in options.items()), '', *body, ':'*colons, ''])


def patched(node):
    "The name of the class that a cell adds a method to, if it does"
    if any(ast.unparse(d).startswith('patch') for d in getattr(node, 'decorator_list', ())): return ast.unparse(node.args.args[0].annotation)


def reference(source, module):
    "The public definitions of an exported cell, as Sphinx knows them"
    for node in ast.parse(source).body:
        if cls := patched(node):
            if not node.name.startswith('_'): yield _function(node, vars(getattr(module, cls))[node.name], source, 'method', f'{cls}.')
            continue
        stored = [getattr(node, 'target', None), *getattr(node, 'targets', ())] # the variable of a comprehension is none of the module
        names = [t.id for place in stored if place for t in ast.walk(place) if isinstance(t, ast.Name)]
        targets = [node.name] if hasattr(node, 'name') else names
        if not set(targets) & set(module.__all__): continue
        if isinstance(node, (ast.Assign, ast.AnnAssign)): yield from (directive('data', t, []) for t in targets)
        else:
            thing = getattr(module, node.name)
            yield _class(node, thing, source) if isinstance(node, ast.ClassDef) else _function(node, thing, source)


def _function(node, thing, source, kind='function', of=''):
    if isinstance(thing, property): return directive('property', of + node.name, [remark(node, source)])
    args, back = signature(node)
    said = remark(node, source)
    return directive(kind, f'{of}{node.name}({args}){back}', [said, '', *(f for f in fields(thing) if f != f':returns: {said}')])


def _column(node):
    "A field of a class; of one that has a rule beside its default (`colt.recipe`), the default"
    if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == '_setting': node.value = node.value.args[0]
    return ast.unparse(node)


def _class(node, thing, source):
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    init, columns = next((n for n in methods if n.name == '__init__'), None), [_column(n) for n in node.body if isinstance(n, ast.AnnAssign)]
    args = signature(init)[0] if init else ', '.join(columns if is_dataclass(thing) else [])
    inner = [_function(m, vars(thing)[m.name], source, 'method') for m in methods if not m.name.startswith('_') and m.name in vars(thing)]
    return directive('class', f'{node.name}({args})', [remark(node, source), '', *fields(thing), '', *inner], 4)


def shown(output):
    "An output as the page takes it: a plotly figure as data for the page's own program; none for a widget, which lives in a kernel only"
    data = output.get('data', {})
    if figure := data.get('application/vnd.plotly.v1+json'):
        drawn = json.dumps({k: figure[k] for k in ('data', 'layout', 'frames') if k in figure} | {'config': CONFIG}).replace('</', '<\\/')
        height, name = figure.get('layout', {}).get('height', 450), _name(figure)
        place = f'<div class="colt-figure" style="min-height: {height}px" role="group" aria-label="{name or "a figure"}" data-name="{name}">'
        return dict(output_type='display_data', metadata={}, data={'text/html': f'{place}<script type="application/json">{drawn}</script></div>'})
    if 'application/vnd.jupyter.widget-view+json' in data: return None
    return dict(output)


def joined(outputs):
    "Lines that were printed one after the other, as one output"
    for name, same in groupby(outputs, lambda o: o.get('name')):
        if not name: yield from same
        elif (text := ''.join(line for o in same for line in o['text'])).strip(): yield dict(output_type='stream', name=name, text=text)


def wraps(outputs):
    "Whether text outputs are to be broken where the page ends: if they stand in no columns, or don't fit on any page"
    text = '\n'.join(''.join(o.get('text') or o.get('data', {}).get('text/plain', '')) for o in outputs)
    return not re.search(r'\S {2,}\S', text) or max(map(len, text.split('\n'))) > 125


def _name(figure): return escape((figure.get('layout', {}).get('meta') or {}).get('name', '')) # a figure that has one is chosen by it


def cells(path):
    "The cells of a page"
    processor = NBProcessor(path, procs=[hide_line, filter_stream_, rm_header_dash, strip_ansi, clean_magics])
    book = processor.nb
    module = next((MODULES[c.directives_['default_exp'][0]] for c in book.cells if 'default_exp' in c.directives_), None)
    known = names(book, module)
    processor.process()
    def text(source): return dict(cell_type='markdown', metadata={}, source=linked(source, known))
    for i, cell in enumerate(book.cells):
        told = cell.directives_.keys()
        if cell.cell_type == 'markdown':
            yield text(reduce(lambda s, swap: s.replace(*swap), FOLDERS.items(), cell.source))
            if i == 0 and module: yield text(f'```{{py:module}} {module.__name__}\n```')
        elif not told & HIDDEN and cell.source.strip() and not ('export' in told and _imports(cell)):
            if 'export' in told and (said := '\n'.join(reference(cell.source, module))): yield text(said)
            outputs, folded = list(joined(filter(None, map(shown, cell.outputs)))), told & FOLDED or _imports(cell)
            tags = ['hide-input']*bool(folded) + ['wrap']*wraps(outputs)
            source = re.sub(r'(?m)^#\|.*\n', '', cell.source) # nbdev leaves directives for others where they are
            yield dict(cell_type='code', metadata={'tags': tags}, source=source, outputs=outputs, execution_count=None)
    if path.name == 'index.ipynb': yield text('\n'.join(TREE.format(*t) for t in ROOMS))


def _imports(cell):
    def plain(node): return isinstance(node, (ast.Import, ast.ImportFrom)) or ast.unparse(node).startswith('pio.templates.default = ')
    return bool(cell.parsed_()) and all(map(plain, cell.parsed_()))


def page(path, to):
    "Write a notebook as a page"
    meta = {'kernelspec': {'name': 'python3', 'display_name': 'Python', 'language': 'python'}, 'language_info': {'name': 'python'}}
    to.write_text(json.dumps(dict(cells=list(cells(path)), metadata=meta, nbformat=4, nbformat_minor=4)))


def write(nbs, pages):
    "Write every page, with the texts and pictures beside the notebooks"
    for path in sorted(f for kind in ('ipynb', 'md', 'png', 'gif') for f in nbs.rglob(f'*.{kind}') if '.ipynb_checkpoints' not in f.parts):
        (to := pages/path.relative_to(nbs)).parent.mkdir(parents=True, exist_ok=True)
        page(path, to) if path.suffix == '.ipynb' else shutil.copy(path, to)
    if (fragment := nbs/'live/page.html').exists(): (pages/'live/page.html').write_text(assembled(fragment), encoding='utf-8')
    if (decisions := pages/'explanations/decisions/README.md').exists():
        with decisions.open('a') as f: f.write(TREE.format('Decisions', '0*'))
    (pages/'project').mkdir(exist_ok=True)
    for name in 'CHANGELOG.md', 'CONTRIBUTING.md': shutil.copy(top/name, pages/'project'/name.lower())


def build(
    out=top/'_docs', # a folder, which is made anew
    nbs=top/'nbs', # the notebooks
):
    "0 if all is well; else there is no site, and what is wrong is told on stderr"
    shutil.rmtree(out, ignore_errors=True)
    with TemporaryDirectory() as temporary:
        pages, made, html = (Path(temporary)/name for name in ('pages', 'static', 'site/html'))
        write(nbs, pages)
        made.mkdir()
        (made/'plotly.min.js').write_text(get_plotlyjs(), encoding='utf-8')
        os.environ['COLT_SITE_STATIC'] = str(made)
        flags = ['-n', '-W', '--keep-going', '-q', '-b', 'html', '-d', f'{temporary}/trees', '-c', str(Path(__file__).parent)]
        wrong = sphinx([*flags, str(pages), str(html)])
        if not wrong: shutil.move(html, out)
        return wrong


if __name__ == '__main__':
    gc.disable() # a fifth of the build would be a search for what is not needed any more
    sys.exit(build(*map(Path, sys.argv[1:])))
