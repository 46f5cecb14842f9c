"""What the lab costs and how fast it answers, in a real JupyterLab with a real browser on the same machine

    python benchmarks/panel.py          (about fifteen minutes; needs Chromium)

Prints: the time of a run that is played in the lab beside that of the same run without it, in turns; from a click to the first
change in the page; from a key on the slider to the words and the figure of that cycle, for a run of 40 cycles and 20 layers; from a
click on Pause, at random moments of a run, until the page says that it holds; and what an hour of play leaves in memory, as the growth
over as many drawings.
"""
import json
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]/'tests'))
import pages
from playwright.sync_api import sync_playwright

COST = '''
import json, tempfile, time
from dataclasses import replace
from pathlib import Path
from colt.panel import Lab
from colt.panel.events import show_settings
from colt.plans import plan
from colt.runs import create_run, execute
from colt.recipe import Recipe
here = Path(tempfile.mkdtemp())
recipes = {'conv3, 4 cycles': Recipe.default('conv3', max_cycles=3, evaluate='no'), 'fc1, 11 short cycles': Recipe.default('fc1', evaluate='no'),
           'fc1, 48 short cycles': Recipe.default('fc1', linear_prune_ratio=.04, evaluate='no', max_cycles=47)}
labs = {name: Lab(r, out=here/'warm') for name, r in recipes.items()}
found = {name: [] for name in recipes}
'''
PLAY = '''
def plain(r, name, turn):
    folder = create_run(p := plan(r), here/f'plain-{name}-{turn}')
    began = time.perf_counter(); list(execute(p, folder, keep=True))
    return time.perf_counter() - began
def seen(r, name, turn):
    lab = labs[name]
    lab.session.out = here/f'lab-{turn}'
    show_settings(lab); lab.session.plan()
    began = time.perf_counter(); lab.play(); lab.wait()
    return time.perf_counter() - began
for turn in range(6):
    for name, r in recipes.items():
        ways = (plain, seen) if turn % 2 else (seen, plain) # whichever is first finds another machine than the second
        times = {way: way(r, name, turn) for way in ways}
        found[name].append((times[plain], times[seen]))
Path('cost.json').write_text(json.dumps(found))
'''
DEEP = '''
from torch import nn, manual_seed
from colt.data import load
from colt.panel import Lab
from colt.recipe import Recipe
manual_seed(0)
middle = [m for _ in range(19) for m in (nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())]
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), *middle, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(8, 5))
recipe = Recipe(arch='twenty', dataset='digits', conv_prune_ratio=.05, end_iter=1, batch_size=256, sparsity=None, max_cycles=39)
lab = Lab(recipe, out='deep', net=net, data=load('digits'), head='61')
lab
'''
MEMORY = '''
import gc, psutil
from colt.panel.live_figure import Curve
from colt.results import Progress
curves = {p: Curve() for p in ('0-4', '5-9')}
for curve in curves.values():
    for i in range(1000): curve.add(Progress('A', 0, 1, 1, i + 1, 1000, 1/(i + 1)))
def look():
    for n in [*range(40), *range(39, -1, -1)]:
        lab.back(n)
        lab.live.loss_count = 4 # as if it trained: in an hour of play the losses move 7,200 times, and the words 18,000 times
        for i in range(9): lab.live.update_losses(curves)
        for i in range(22): lab.console.status.value = f'{n} {i}'
    gc.collect()
    return psutil.Process().memory_info().rss/1e6
'''
CHANGE = '''(selector) => { window.changed = null; const began = performance.now()
    new MutationObserver((_, o) => { window.changed ??= performance.now() - began; o.disconnect() })
        .observe(document.querySelector(selector), {childList: true, subtree: true, characterData: true}) }'''
HELD = '''() => { window.held = null; const lab = document.querySelector('.colt-lab'), began = performance.now()
    const held = () => lab.querySelector('.colt-notice').textContent.includes('Paused.')
    const look = new MutationObserver(() => { if (held()) { window.held = performance.now() - began; look.disconnect() } })
    look.observe(lab, {childList: true, subtree: true, characterData: true})
    for (const b of lab.querySelectorAll('button')) if (b.textContent.trim() == 'Pause') b.click() }'''
DRAWN = '''() => { window.drawn = null; const began = performance.now()
    document.querySelector('.js-plotly-plot').once('plotly_afterplot', () => window.drawn = performance.now() - began) }'''


def middle(x): return f'{statistics.median(x):.3f} ({min(x):.3f} to {max(x):.3f})'


def cost(server, page):
    server.open(page, [COST, 'from IPython.display import display\nfor lab in labs.values(): display(lab)', PLAY], name='cost', seconds=900)
    for name, pairs in json.loads((server.root/'cost.json').read_text()).items():
        plain, seen = zip(*pairs, strict=True)
        print(f'{name}: without the lab {middle(plain)} s, in the lab {middle(seen)} s; ratios of pairs {middle([b/a for a, b in pairs])}', flush=True)


def hand(server, page):
    server.open(page, [DEEP], name='deep')
    pages.plot(page) # the first figure of a page waits for plotly's program
    page.wait_for_timeout(1000)
    lab = page.locator('.colt-lab')
    page.evaluate(CHANGE, '.colt-status')
    lab.get_by_role('button', name='Play').click()
    print(f"from a click on Play to the first change: {pages.until(page, lambda: page.evaluate('window.changed')):.0f} ms", flush=True)
    pages.until(page, lambda: 'Finished: ' in page.locator('.colt-notice').inner_text(), 300)
    words, figures, knob = [], [], lab.locator('.widget-slider').get_by_role('slider')
    for _ in range(25):
        page.evaluate(CHANGE, '.colt-status')
        page.evaluate(DRAWN)
        knob.press('ArrowLeft')
        words.append(pages.until(page, lambda: page.evaluate('window.changed')))
        figures.append(pages.until(page, lambda: page.evaluate('window.drawn')))
    print(f'40 cycles, 20 layers, from a key on the slider: to the words of that cycle {middle(words)} ms, to its figure {middle(figures)} ms', flush=True)


def pause(server, page):
    server.open(page, ['from colt.panel import Lab\nfrom colt.recipe import Recipe\nLab(Recipe.default())'], name='pause')
    pages.plot(page)
    play, hold = (page.locator('.colt-lab').get_by_role('button', name=name) for name in ('Play', 'Pause'))
    chance, waits = random.Random(0), []
    for _ in range(40):
        play.click()
        pages.until(page, lambda: hold.is_enabled() and page.locator('.colt-status progress').count(), 30) # the first batch was seen
        page.wait_for_timeout(1000*chance.uniform(.05, .6))
        page.evaluate(HELD)
        waits.append(pages.until(page, lambda: page.evaluate('window.held')))
    print(f'conv3, from a click on Pause until it holds, 40 times: {middle(waits)} ms', flush=True)


def memory(server, page):
    server.open(page, [DEEP, 'lab.play(); lab.wait()', MEMORY], name='memory', seconds=300)
    page.wait_for_timeout(5000)
    heap = page.context.new_cdp_session(page)
    def look():
        ask = "{code: '', store_history: false, user_expressions: {x: 'look()'}}"
        kernel = page.evaluate(f"{pages.KERNEL}.session.kernel.requestExecute({ask}).done.then(m => m.content.user_expressions.x.data['text/plain'])")
        page.wait_for_timeout(2000)
        heap.send('HeapProfiler.collectGarbage')
        return float(kernel), heap.send('Runtime.getHeapUsage')['usedSize']/1e6
    kernel, tab = zip(*(look() for _ in range(10)), strict=True)
    print('40 cycles, 20 layers, after each 80 looks, 720 moves of the losses and 1,760 of the words (MB):')
    print('the kernel', [round(x, 1) for x in kernel], 'the page', [round(x, 1) for x in tab], flush=True)


if __name__ == '__main__':
    folder = Path(tempfile.mkdtemp())
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))))
    with sync_playwright() as p, p.chromium.launch(executable_path=chromium, args=pages.FLAGS) as browser, pages.serve(folder) as server:
        for work in cost, hand, pause, memory:
            with pages.fresh(browser) as page: work(server, page)
            server.rest()
    shutil.rmtree(folder)
