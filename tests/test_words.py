"The words that people read are the field's: in notebooks, documents, docstrings, messages, help and the lab"
import ast
import json
import re
import tokenize

import pytest
from conftest import TOP

AVOIDED = { # what is not said, and what is
    r'\b(?:alive|living|dead)\b': 'kept, unpruned; pruned',
    r'\b(?:give|gives|giving|given|gave) up\b': 'prune',
    r'\bprunings\b': 'pruning rounds, cycles',
    r'\brivals?\b': 'matched baseline',
    r'\bvotes agree\b|\bbeside chance\b|\bagreement of (?:the )?votes\b': 'mask overlap, and its value by chance',
    r'\btall(?:y|ies)\b': 'vote counts',
    r'\bplanted\b': 'loaded into a network',
    r"(?<!')\bmomenta\b(?!')": 'optimizer state',
    r'\bmoments of\b|`moments`': 'mean and standard deviation',
    r'\btellers?\b|\bis told of\b|\bare told of\b|\btold of\b': 'report, callback',
    r'\bnats\b': 'cross-entropy loss',
    r'\bnot told apart\b': 'no significant difference',
    r'\bcarry_out\b|\bcarry_over\b|\bjudged?\b': 'execute, execute_transfer, evaluate the ticket',
    r"\bparts? (?:\d|'|{)|\b(?:each|every|one|two|both|its|the largest) parts?\b(?! of)": 'partition',
    r'\bdeck\b|\bhold(?:s|ing)? against\b|\bheld against\b': 'plain words',
}
ALLOWED = { # where, and why
    'decisions': 'a record is not changed once it stands',
    'CHANGELOG': 'it names what was there',
}
DOCUMENTS = [p for p in [*TOP.glob('*.md'), *(TOP/'nbs').rglob('*.md')] if not any(a in p.as_posix() for a in ALLOWED)]
NOTEBOOKS = [p for p in (TOP/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts]
MODULES = [p for p in (TOP/'colt').rglob('*.py') if p.stem != '_modidx']


def found(text):
    "Each word of the text that is not the field's, with what to say"
    return [f"'{m[0]}' in '...{text[max(0, m.start() - 40):m.end() + 30]}...': say {instead}"
            for avoided, instead in AVOIDED.items() for m in re.finditer(avoided, text)]


def said(module):
    "Docstrings, comments and messages of a module"
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != 'momenta': yield node.value # a key of files
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.arg): yield getattr(node, 'name', None) or node.arg
    with module.open('rb') as f: yield from (t.string for t in tokenize.tokenize(f.readline) if t.type == tokenize.COMMENT)


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda p: p.name)
def test_documents(path): assert found(path.read_text()) == []


@pytest.mark.parametrize('path', MODULES, ids=lambda p: p.relative_to(TOP).as_posix())
def test_modules(path): assert [w for text in said(path) for w in found(text)] == []


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.relative_to(TOP/'nbs').as_posix())
def test_notebooks(path):
    cells = json.loads(path.read_text())['cells']
    texts = [''.join(c['source']) for c in cells]
    shown = [''.join(o.get('text', o.get('data', {}).get('text/plain', ''))) for c in cells for o in c.get('outputs', ())]
    assert [w for text in texts + shown for w in found(text)] == []
