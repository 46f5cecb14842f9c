"The lab in a real page: what it shows is what the run's folder says, and what is done with it by hand changes no bit"
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pages
import pytest
from conftest import COMMAND, TOP, need

from colt.cli import colt_prune
from colt.plans import plan
from colt.records import RunFolder
from colt.runs import execute, create_run
from colt.recipe import Recipe

SHOTS, PLOTLY = TOP/'_shots', 'application/vnd.plotly.v1+json'
FIELDS = 'images', 'network', 'method', 'partitions', 'prune ratio', 'pruning', 'epochs', 'learning rate', 'seed', 'target'
CLICKED = '''name => {
    const lab = document.querySelector('.colt-lab'), button = [...lab.querySelectorAll('button')].find(b => b.textContent.includes(name))
    button.addEventListener('click', () => window.clicked = performance.now(), {capture: true, once: true})
    const seen = new MutationObserver(() => window.changed ??= performance.now() - window.clicked)
    seen.observe(lab.querySelector('.colt-status'), {childList: true, subtree: true, characterData: true})}'''
WRONG = {'target': (.999999, .9, 'out of reach'),
         'partitions': (11, 2, 'there are 10 classes; choose 1 to 10'),
         'learning rate': (-1, .004, 'it must be a number above 0')}
FOCUS = 'what => (e => e.matches(".colt-lab *") && (e.className + e.textContent).includes(what))(document.activeElement)'
WAIT = '''() => { const notebook = jupyterapp.shell.currentWidget.content, run = name => jupyterapp.commands.execute('notebook:' + name)
    run('insert-cell-below').then(() => { notebook.activeCell.model.sharedModel.setSource('lab.play(); lab.wait()'); run('run-cell') }) }'''


def small(**kw): return Recipe.default('fc1', **dict(linear_prune_ratio=.4, end_iter=2, sparsity=.9) | kw)
def long(**kw): return small(**dict(end_iter=60, patience=10_000, sparsity=.3, evaluate='no') | kw) # so that a hand is quicker
def cell(recipe, out, lab='lab'): return f'from colt.panel import Lab\nfrom colt.recipe import Recipe\n{lab} = Lab({recipe!r}, out={out!r})\n{lab}'
def folder(server, recipe, out): return RunFolder(server.root/out/recipe.name)


REST = "any(t.name == 'colt' for t in __import__('threading').enumerate()) or __import__('ipywidgets').Widget.close_all()" # True: something is at work


@pytest.fixture
def tab(chromium, jupyter):
    "A page that asks for nothing elsewhere, in which nothing goes wrong, and that sends no more to its kernel than a figure may weigh"
    sent = [0]
    with pages.fresh(chromium) as page:
        page.on('websocket', lambda w: w.on('framesent', lambda data: sent.append(len(data))))
        try:
            yield page
            wrong = [*page.errors]
            pages.until(page, lambda: asked(page, REST) != 'True')
        except BaseException:
            jupyter.rest()                                                # the next page has a kernel of its own; else it has this one, which is warm
            raise
    assert (page.elsewhere, wrong) == ([], [])
    assert max(sent) < 10e6, f'{max(sent)/1e6:.0f} MB in one message'


def lab(page, n=0): return page.locator('.colt-lab').nth(n)
def button(page, name, n=0): return lab(page, n).locator('button', has_text=re.compile(rf'^\s*{name}\s*$'))
def field(page, name, n=0): return lab(page, n).locator('.colt-form > .widget-hbox').nth(FIELDS.index(name))
def settings(page, n=0): return lab(page, n).locator('.colt-settings button')
def words(page, what='status', n=0): return lab(page, n).locator(f'.colt-{what}').inner_text().strip()
def comes(page, text, what='status', n=0, seconds=30):
    try: pages.until(page, lambda: text in words(page, what, n), seconds)
    except TimeoutError as e: raise TimeoutError(f'{text!r} {e}: the lab says {words(page, "status", n)!r} and {words(page, "notice", n)!r}') from None
def ends(page, n=0, seconds=60): return comes(page, 'Target sparsity reached.', 'notice', n, seconds)


def put(page, name, value, n=0):
    "Type into a field and leave it; while the fields are folded, open them"
    if not field(page, name, n).is_visible(): settings(page, n).click()
    typed = field(page, name, n).locator('input')
    typed.fill(str(value))
    typed.press('Tab')


def counted(page, n=0): return int(next(iter(lab(page, n).locator('.colt-costs td').all_inner_texts()), 0)) # no table: no cycle yet


def stepped(page, n=0):
    "Press Step and wait for its cycle"
    before = counted(page, n)
    button(page, 'Step', n).click()
    pages.until(page, lambda: counted(page, n) == before + 1 and button(page, 'Pause', n).is_disabled(), 30)


def held(page, n=0):
    button(page, 'Pause', n).click()
    comes(page, 'Paused.', 'notice', n)


def asked(page, code):
    "What an expression is in the kernel. Beside an error, a kernel drops what it was asked: then it is asked again"
    ask = "{code: '', store_history: false, user_expressions: {x: code}}"
    told = f"code => {pages.KERNEL}.session.kernel.requestExecute({ask}).done.then(m => m.content.user_expressions?.x.data['text/plain'])"
    return pages.until(page, lambda: page.evaluate(told, code))


def shows(page, run, at=-1, n=0, layer=None, seconds=10):
    "The n-th figure of the page has the numbers of the folder, and looks at this cycle"
    def settled():
        try: _compare(pages.plot(page, n)['data'], run, at, layer)
        except (AssertionError, IndexError, KeyError, ValueError) as e: return (wrong.append(e), False)[1]
        return True
    wrong = []
    try: pages.until(page, settled, seconds)
    except TimeoutError: raise wrong[-1] from None


def near(a, b): assert a is not None and len(a) == len(b) and np.allclose(a, b, rtol=1e-6), (a, b)


def _compare(data, run, at, layer=None):
    rows, named = run.records(), {}
    row, layers = rows[at], list(rows[0].layers)
    for t in data: named.setdefault(t.get('name', t['type']), []).append(t)
    tiles, survival = named['heatmap']
    assert survival['x'] == [r.cycle for r in rows] and survival['y'] == [k.removesuffix('.weight') for k in layers]
    near(survival['customdata'], [[100*(1 - r.layers[k]) for r in rows] for k in layers])
    for i, partition in enumerate(row.partitions):
        told, learned = named[f'partition {partition.name}'][-1], named[partition.name][0]
        near(told['y'], [100*r.partitions[i].test_accuracy for r in rows])
        near(told['x'], [-math.log10(1 - r.sparsity) for r in rows])
        near(learned['y'], partition.history['train_loss'])
        near(named[f'{partition.name}, validation'][0]['y'], partition.history['valid_loss'])
    tickets = [100*r.ticket.test_accuracy for r in rows if r.ticket]
    if tickets: near([y for y in named['ticket, whole task'][0]['y'] if y is not None], tickets) # None is a gap
    for i, who in enumerate(('all kept', 'some kept', 'none kept')):
        by_layer, by_cycle = named[who]
        assert by_layer['customdata'] == [row.votes[k][i] for k in layers]
        near(by_layer['x'], [100*row.votes[k][i]/sum(row.votes[k]) for k in layers])
        assert by_cycle['customdata'] == [sum(v[i] for v in r.votes.values()) for r in rows]
    near(named['mask overlap'][0]['x'], [100*row.agreement.layers[k] for k in layers])
    near(named['by chance'][0]['x'], [100*row.agreement.chances[k] for k in layers])
    near(named['mask overlap'][1]['y'], [100*r.agreement.all for r in rows])
    near(named['by chance'][1]['y'], [100*r.agreement.chance for r in rows])
    _filters(tiles, run.cycle(row.cycle), layer or layers[0], [p.name for p in row.partitions])


def _filters(tiles, cycle, layer, partitions):
    "Each cell tells a weight's θ0, and what became of it"
    init, living, a, b = (x[layer].numpy().ravel() for x in (cycle.init, cycle.mask, *cycle.votes))
    kept = np.select([~living, a & b, a, b], ['pruned before', 'all kept', *(f'only {p}' for p in partitions)], 'none kept')
    truth = {}
    for w, who in zip(init.astype(float).tolist(), kept.tolist(), strict=True): truth.setdefault(w, set()).add(who)
    grid = zip(tiles['z'], tiles['customdata'], tiles['text'], strict=True)
    cells = [(z, truth[data[0]], text) for row in grid for z, data, text in zip(*row, strict=True) if z is not None and z == z]
    assert len(cells) > 3000 and all(text in who for _, who, text in cells)
    assert sum(len(who) == 1 for _, who, _ in cells) > 1000 and len({z for z, *_ in cells}) == len({text for *_, text in cells})


def same(one, other):
    "Two runs with the same bytes in every ticket and every vote"
    files = [sorted(p.relative_to(f.path) for sub in ('tickets', 'votes') for p in (f.path/sub).iterdir()) for f in (one, other)]
    assert files[0] == files[1] and len(files[0]) == 2*len(one.records()) > 0
    assert [p for p in files[0] if (one.path/p).read_bytes() != (other.path/p).read_bytes()] == []


def carried_out(recipe, path):
    "The same run without a lab"
    run = plan(recipe)
    made = create_run(run, path)
    for _ in execute(run, made): pass
    return made


def _saved(path):
    "The traces of a figure in a page that was saved"
    text = path.read_text()
    return json.JSONDecoder().raw_decode(text, text.index('[', text.rindex('Plotly.newPlot(')))[0]


def _losses(page, partition): return next((t['x'] for t in pages.plot(page)['data'] if t.get('name') == partition), None) or []


def pictures(page, when):
    SHOTS.mkdir(exist_ok=True)
    for width, dark in (1280, False), (800, True):
        page.set_viewport_size({'width': width, 'height': 900})
        pages.theme(page, dark)
        page.wait_for_timeout(200)
        pages.shot(page, SHOTS/f'lab-{when}-{"dark" if dark else "light"}-{width}.png')
    page.set_viewport_size({'width': 1280, 'height': 900})
    pages.theme(page, False)


def test_wrong_input_is_told_beside_the_field_and_nothing_is_written(tab, jupyter):
    recipe = small(seed=1, patience=10_000)
    jupyter.open(tab, [cell(recipe, 'wrong')])
    pictures(tab, '0-before')
    wrong = lab(tab).locator('.colt-form .colt-error')
    for name, (value, right, says) in WRONG.items():
        put(tab, name, value)
        field(tab, name).locator('.colt-error', has_text=says).wait_for()
        pages.until(tab, lambda: button(tab, 'Step').is_disabled() and button(tab, 'Play').is_disabled())
        assert wrong.count() == 1
        put(tab, name, right)
        pages.until(tab, lambda: not wrong.count() and not button(tab, 'Step').is_disabled())
    assert not (jupyter.root/'wrong').exists()
    stepped(tab)
    shows(tab, run := folder(jupyter, recipe, 'wrong'))
    assert len(run.records()) == 1
    put(tab, 'epochs', 2000)                                              # another run, which takes as long as its pictures need
    comes(tab, 'Nothing is trained yet')
    pages.until(tab, lambda: not pages.plot(tab)['layout'].get('shapes'), 5) # no frame of the run before
    button(tab, 'Play').click()
    comes(tab, 'epoch 4')
    pages.until(tab, lambda: 'lines' in [t['mode'] for t in pages.plot(tab)['data'] if t.get('name') == '0-4'])
    pictures(tab, '1-in-play')
    assert 'epoch' in words(tab)
    button(tab, 'Stop').click()
    comes(tab, 'Nothing is trained yet')


def test_a_run_is_stepped_played_and_looked_back_on(tab, jupyter, record_property):
    recipe = small()
    jupyter.open(tab, [cell(recipe, 'hand')])
    run, top = folder(jupyter, recipe, 'hand'), []
    tab.evaluate(CLICKED, 'Step')
    stepped(tab)
    waited = tab.evaluate('window.changed')/1000
    record_property('click to change, s', waited)
    print(f'from the click to the first change: {waited:.3f} s')
    assert waited < 2
    comes(tab, 'cycle 0: 0.00 % sparse')
    assert len(run.records()) == 1
    shows(tab, run)
    top.append(lab(tab).locator('.js-plotly-plot').bounding_box()['y'])
    button(tab, 'Play').click()
    ends(tab)
    shows(tab, run)
    rows = run.records()
    comes(tab, f'{100*rows[-1].sparsity:.2f} % sparse')
    pages.until(tab, lambda: button(tab, 'Step').is_disabled())
    assert rows[-1].sparsity >= .9
    top.append(lab(tab).locator('.js-plotly-plot').bounding_box()['y'])
    assert max(top) - min(top) < 1, f'the figure jumps: {top}'
    pages.slide(tab, 'cycle', 1)
    comes(tab, f'cycle 1: {100*rows[1].sparsity:.2f} % sparse')
    shows(tab, run, 1)
    lab(tab).locator('select').nth(-2).select_option(label='body.3')
    shows(tab, run, 1, layer='body.3.weight')
    button(tab, 'Save figure').click()
    comes(tab, 'Saved', 'notice')
    saved = _saved(run.path/'cycle-001.html')
    assert [t.get('name', t['type']) for t in saved if not ({'x', 'y'} <= t.keys() or 'z' in t)] == [], 'the figure in the kernel has lost numbers'
    tab.evaluate("jupyterapp.commands.execute('docmanager:save')")
    tab.reload()
    pages.ready(tab)
    shows(tab, run, 1, layer='body.3.weight')
    comes(tab, 'cycle 1:')


def test_without_a_kernel_the_run_is_seen_as_a_figure(page, jupyter):
    "The panel is gone, and what it left below itself is the run, though it began after the cell had been run"
    recipe = small(seed=10)
    jupyter.open(page, [cell(recipe, 'frozen')], name='frozen')
    button(page, 'Play').click()
    ends(page)
    run = folder(jupyter, recipe, 'frozen')
    def kept():
        page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        outputs = json.loads((jupyter.root/'frozen.ipynb').read_text())['cells'][0]['outputs']
        return next((o['data'][PLOTLY] for o in outputs if PLOTLY in o['data']), None)
    figure = pages.until(page, kept, 20)
    assert [f['name'] for f in figure['frames']] == [str(r.cycle) for r in run.records()]
    assert page.locator('.js-plotly-plot:visible').count() == 1            # the panel hides it
    jupyter.rest()
    page.reload()
    pages.ready(page)
    page.locator('.js-plotly-plot:visible .slider-container').wait_for()
    assert lab(page).count() == 0
    SHOTS.mkdir(exist_ok=True)
    pages.shot(page, SHOTS/'lab-3-without-a-kernel-light-1280.png')


def test_the_keyboard_alone_steps_and_looks_back(tab, jupyter):
    recipe = small(seed=2)
    jupyter.open(tab, [cell(recipe, 'keys')])
    def reach(what):
        for _ in range(20):
            if tab.evaluate(FOCUS, what): return
            tab.keyboard.press('Tab')
        raise AssertionError(f'no way to {what}')
    button(tab, 'Step').focus()
    tab.keyboard.press('Enter')
    comes(tab, 'cycle 0:')
    pages.until(tab, lambda: not button(tab, 'Step').is_disabled())
    reach('Step')
    tab.keyboard.press('Space')
    comes(tab, 'cycle 1:')
    reach('Settings')                                                     # folded, so that no field is on the way
    reach('noUi-handle')
    tab.keyboard.press('ArrowLeft')
    comes(tab, 'cycle 0:')
    shows(tab, folder(jupyter, recipe, 'keys'), 0)


def test_a_finished_run_is_replayed_taken_further_and_started_again_in_a_panel_that_fits(tab, jupyter):
    recipe = small(seed=12, sparsity=.5, end_iter=1, evaluate='no')
    jupyter.open(tab, [cell(recipe, 'again')])
    here = lambda: lab(tab).bounding_box()
    comes(tab, 'Step trains 2 networks', 'preview')
    assert lab(tab).locator('.colt-preview img').count() == 10            # five classes of each partition
    button(tab, 'Play').click()
    ends(tab)
    said = lab(tab).locator('.colt-images').all_inner_texts()
    assert [re.search(r'network (\S+) says.*\d of 5 right', text, re.S)[1] for text in said] == ['0-4', '5-9']
    run = folder(jupyter, recipe, 'again')
    assert not field(tab, 'seed').is_visible() and 'seed 12 · target 0.5' in words(tab, 'line')
    assert here()['height'] < 740, 'the panel is higher than what a window of 900 pixels leaves for it'
    button(tab, 'Replay').click()
    comes(tab, 'cycle 0:')
    comes(tab, f'cycle {len(run.records()) - 1}:')
    before = len(run.records())
    button(tab, 'Go further').click()
    pages.until(tab, lambda: len(run.records()) > before, 30)
    ends(tab)
    assert run.records()[-1].sparsity >= .75 and 'target 0.' in words(tab, 'line')
    button(tab, 'Start again').click()
    comes(tab, 'seed 13', 'line')
    ends(tab)
    assert asked(tab, 'lab.recipe.seed, lab.worker.state, len(lab.folder.records()) > 1') == "(13, 'finished', True)"
    assert tab.locator('.colt-lab [role=slider]').get_attribute('aria-label') == 'plots of cycle'
    button(tab, 'All plots').click()
    _fits(tab, 560)
    _fits(tab, 216)
    button(tab, 'Keep in sight').click()
    tab.evaluate("""() => { const cell = document.querySelector('.jp-Cell'), more = document.createElement('div')
        more.style.height = '3000px'; cell.parentElement.append(more); document.querySelector('.jp-WindowedPanel-outer').scrollTop = 2000 }""")
    pages.until(tab, lambda: -2 < here()['y'] < 200)


def _fits(page, width):
    "The panel at this width: its plots stand below one another, and no text of it is cut or lies on another plot"
    page.evaluate("width => document.querySelector('.colt-lab').style.width = `${width}px`", width)
    pages.until(page, lambda: page.locator('.colt-lab .js-plotly-plot').bounding_box()['width'] <= width)
    page.wait_for_timeout(300)
    place = page.locator('.colt-lab .js-plotly-plot').bounding_box()
    titles = [t.bounding_box() for t in page.locator('.colt-lab .js-plotly-plot .annotation').all()]
    layout = pages.plot(page)['layout']
    drawn = sorted(v['domain'] for k, v in layout.items() if k.startswith('yaxis'))
    assert len(drawn) == 7 and all(a[1] <= b[0] for a, b in zip(drawn, drawn[1:])), 'two plots lie beside or on one another'
    assert all(t['x'] >= place['x'] - 1 and t['x'] + t['width'] <= place['x'] + place['width'] + 1 for t in titles), (width, titles, place)
    assert page.locator('.colt-lab').evaluate('e => e.scrollWidth <= e.clientWidth + 1'), 'something is wider than the panel'


def test_held_and_stopped_in_the_middle_it_goes_on_to_the_same_bits(tab, jupyter, tmp_path):
    recipe = long(end_iter=120)
    jupyter.open(tab, [cell(recipe, 'held')])
    pages.plot(tab)                                                       # a page that still reads plotly's program is slow
    run = folder(jupyter, recipe, 'held')
    def halfway():
        button(tab, 'Step').click()
        comes(tab, 'epoch')
        held(tab)
    halfway()
    def still(): return words(tab), sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in run.path.rglob('*') if p.is_file())
    was = still()
    tab.wait_for_timeout(700)
    assert still() == was and re.search(r'epoch \d+ of 120 · .*batch \d+ of \d+', was[0]) and run.records() == []
    fields = lab(tab).locator('.colt-form').locator('input, select')
    pages.until(tab, lambda: all(f.is_disabled() for f in fields.all()))
    assert fields.count() == 10
    button(tab, 'Stop').click()
    comes(tab, 'Nothing is trained yet')
    pages.until(tab, lambda: not field(tab, 'seed').locator('input').is_disabled() and button(tab, 'Stop').is_disabled())
    assert run.records() == []
    halfway()
    x = pages.until(tab, lambda: _losses(tab, '0-4'))
    assert x == sorted(set(x)), 'what was discarded is still drawn'
    button(tab, 'Play').click()
    pages.until(tab, lambda: run.records() or max(_losses(tab, '0-4')) > 15)
    assert run.records() or pages.plot(tab)['layout']['xaxis'].get('dtick') != 1, 'a mark for each of 120 epochs'
    ends(tab)
    shows(tab, run)
    pictures(tab, '2-after')
    same(run, carried_out(recipe, tmp_path/'plain'))


def test_a_folder_is_opened_and_its_run_goes_on_and_the_command_repeats_it(tab, jupyter, tmp_path, monkeypatch):
    recipe = small(sparsity=.5, seed=3)
    line = '--arch_type fc1 --linear_prune_ratio .4 --end_iter 2 --seed 3'.split()
    assert colt_prune([*line, '--sparsity', '.5', '--out', str(jupyter.root/'made'), '--name', 'that']) == 0
    run = RunFolder(jupyter.root/'made/that')
    assert run.recipe == recipe
    shutil.copytree(run.path, tmp_path/'other/that')
    began = len(run.records())
    jupyter.open(tab, ["from colt.panel import Lab\nlab = Lab('made/that')\nlab"])
    ends(tab)
    comes(tab, f'cycle {began - 1}:')
    shows(tab, run)
    put(tab, 'target', .9)
    pages.until(tab, lambda: not button(tab, 'Step').is_disabled())
    stepped(tab)
    comes(tab, f'cycle {began}:')
    assert len(run.records()) == began + 1
    shows(tab, run)
    button(tab, 'Play').click()
    ends(tab)
    assert colt_prune([*line, '--sparsity', '.9', '--out', str(tmp_path/'other'), '--name', 'that', '--resume']) == 0
    same(run, RunFolder(tmp_path/'other/that'))
    lab(tab).get_by_text('as a command').click()
    typed = shlex.split(lab(tab).locator('pre', has_text='colt-prune').inner_text())
    assert typed[0] == 'colt-prune'
    monkeypatch.chdir(tmp_path)
    assert colt_prune([*typed[1:], '--out', str(tmp_path/'typed')]) == 0
    again, = (tmp_path/'typed').iterdir()
    assert len(RunFolder(again).records()) == len(run.records()) > began
    tickets = [sorted(p.name for p in (f/'tickets').iterdir()) for f in (again, run.path)]
    assert tickets[0] == tickets[1] and all((again/'tickets'/p).read_bytes() == (run.path/'tickets'/p).read_bytes() for p in tickets[0])


def test_an_interrupt_ends_no_lab(tab, jupyter, tmp_path):
    recipe, late = long(seed=4), long(seed=5)
    jupyter.open(tab, [cell(recipe, 'int', 'first'), cell(late, 'int')])
    for n in 0, 1: pages.plot(tab, n)
    run = folder(jupyter, recipe, 'int')
    button(tab, 'Play').click()
    comes(tab, 'epoch')
    pages.interrupt(tab)
    was = words(tab)
    pages.until(tab, lambda: words(tab) != was)
    held(tab)
    button(tab, 'Play').click()
    ends(tab)
    same(run, carried_out(recipe, tmp_path/'plain'))
    tab.evaluate(WAIT)
    comes(tab, 'epoch', n=1)
    pages.interrupt(tab)
    comes(tab, 'Paused.', 'notice', 1)
    tab.get_by_text('KeyboardInterrupt').last.wait_for()
    assert asked(tab, 'lab.worker.state') == "'paused'"
    tab.evaluate(WAIT)
    button(tab, 'Pause', 1).click()                                       # heard, though a cell waits
    comes(tab, 'Paused.', 'notice', 1)
    assert asked(tab, 'lab.worker.state') == "'paused'"
    button(tab, 'Play', 1).click()
    ends(tab, 1)
    same(folder(jupyter, late, 'int'), carried_out(late, tmp_path/'late'))


def test_two_labs_at_once_and_one_that_fails(tab, jupyter, tmp_path):
    both, wild = [long(seed=6, sparsity=.5), long(seed=7, sparsity=.5)], small(lr=1e9, optimizer='sgd', seed=8)
    jupyter.open(tab, [cell(both[0], 'two', 'one'), cell(both[1], 'two', 'other'), cell(wild, 'two', 'wild')])
    for n in 0, 1: pages.plot(tab, n)
    for n in 0, 1: button(tab, 'Play', n).click()
    for n in 0, 1: comes(tab, 'epoch', n=n)
    assert asked(tab, 'one.worker.state, other.worker.state') == "('running', 'running')"
    for n in 0, 1: ends(tab, n)
    for n, recipe in enumerate(both):
        shows(tab, run := folder(jupyter, recipe, 'two'), n=n)
        same(run, carried_out(recipe, tmp_path/str(n)))
    button(tab, 'Step', 2).click()
    pages.until(tab, lambda: 'train with a learning rate below' in words(tab, 'notice', 2), 20)
    pages.until(tab, lambda: not button(tab, 'Step', 2).is_disabled())
    pages.until(tab, lambda: lab(tab, 2).locator('.colt-notice.colt-error').count() == 1)
    assert folder(jupyter, wild, 'two').records() == []


def test_notebook_7_shows_the_same_panel(chromium, tmp_path):
    need(find_spec('notebook'), 'Notebook 7')
    recipe = small(seed=11)
    with pages.serve(tmp_path, 'notebook') as server, pages.fresh(chromium) as page:
        server.open(page, [cell(recipe, 'seven')], at=pages.NOTEBOOK)
        stepped(page)
        shows(page, folder(server, recipe, 'seven'))
        SHOTS.mkdir(exist_ok=True)
        pages.shot(page, SHOTS/'notebook-7-light-1280.png')
        assert page.elsewhere == []                                       # its console has an error of its own, whatever is shown


@pytest.fixture
def voila(chromium, tmp_path_factory):
    "A page of what `colt-lab --voila` serves, with a small run"
    need(find_spec('voila'), 'Voila')
    here = tmp_path_factory.mktemp('voila')
    with pages.fresh(chromium) as page: yield page, here


def test_voila_shows_the_panel_alone(voila):
    page, here = voila
    recipe = small(seed=9)
    pages.write(here/'lab.ipynb', [cell(recipe, str(here/'runs'))])
    env = os.environ | {f'JUPYTER_{d}_DIR': str(here/'jupyter'/d) for d in ('CONFIG', 'DATA', 'RUNTIME')}
    command = [COMMAND.with_name('colt-lab'), str(here), '--voila', '--browser', 'no']
    with (here/'log').open('w') as out, subprocess.Popen(command, cwd=here, env=env, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            address = pages.until(None, lambda: re.search(r'http://127\.0\.0\.1:\d+/\?token=\w+', (here/'log').read_text()), 60)[0]
            page.goto(f'{address}&theme=dark', wait_until='commit')
            button(page, 'Step').wait_for(timeout=60000)
            pages.plot(page)
            stepped(page)
            shows(page, run := RunFolder(here/'runs'/recipe.name))
            comes(page, 'cycle 0: 0.00 % sparse')
            assert len(run.records()) == 1
            colors = [page.locator(e).evaluate(f'e => getComputedStyle(e).{what}') for e, what in (('body', 'backgroundColor'), ('.colt-costs', 'color'))]
            light = [sum(map(float, re.findall(r'[\d.]+', c)[:3]))/3 for c in colors]
            assert light[0] < 100 < 150 < light[1], colors
            SHOTS.mkdir(exist_ok=True)
            pages.shot(page, SHOTS/'voila-dark-1280.png')
        finally:
            process.terminate()
            process.wait(30)
    assert page.elsewhere == []


def test_an_interrupted_wait_holds_the_worker(interruptible):
    program = '''
import os, signal, threading, time
from colt.panel.worker import Worker
from colt.results import Progress
def work(report):
    while True:
        time.sleep(.01)
        report(Progress('0-4', 0, 1, 1, 1, 1, .5))
        if False: yield
worker = Worker(work)
worker.start()
threading.Timer(.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try: worker.wait()
except KeyboardInterrupt: print('interrupted')
worker.wait()
print(worker.state)
worker.stop()
worker.join(5)
print(worker.state)'''
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ['interrupted', 'paused', 'ready'], done.stdout + done.stderr


def test_python_ends_after_the_thread_of_a_worker():
    program = '''
import time
from colt.panel.worker import Worker
from colt.results import Progress
def work(report):
    try:
        while True:
            time.sleep(.01)
            report(Progress('0-4', 0, 1, 1, 1, 1, .5))
            if False: yield
    finally: print('unwound')
Worker(work).start()
time.sleep(.3)'''
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ['unwound'], '')
