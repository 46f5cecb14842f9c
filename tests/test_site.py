"The site, as a reader has it: built from these notebooks, in a real browser that gets nothing from outside this machine"
import json
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FunctionType
from urllib.parse import unquote, urldefrag, urljoin

import pages
import pytest
from conftest import TOP

pytestmark = pytest.mark.xdist_group('browser')
SHOTS, PLOTLY = TOP/'_shots', 'application/vnd.plotly.v1+json'
MAIN = ('index', 'tutorials/01_five_lines', 'tutorials/03_two_heads', 'tutorials/04_lab', 'api/04_overlap', 'api/08_cycle', 'api/12_plot', 'api/15_panel',
        'tutorials/09_playground', 'explanations/promises')
FIGURES = '''async () => {
    const all = [...document.querySelectorAll('.colt-figure')], drawn = e => e.classList.contains('drawn')
    for (const e of all.filter(e => !e.hidden)) {
        e.scrollIntoView()
        for (let i = 0; i < 200 && !drawn(e); i++) await new Promise(r => setTimeout(r, 25))
    }
    return all.map(e => e.hidden || drawn(e) && e.querySelector('.main-svg').getBoundingClientRect().width > 200)}'''
CONTRAST = '''() => {
    const linear = x => (x /= 255) <= .04045 ? x/12.92 : ((x + .055)/1.055)**2.4
    const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(linear); return .2126*r + .7152*g + .0722*b }
    const ratio = (a, b) => (Math.max(a, b) + .05)/(Math.min(a, b) + .05)
    const page = light(getComputedStyle(document.body).backgroundColor)
    const texts = ['article p', '.sidebar-tree a', '.colt-figure .xtick text', '.colt-figure .annotation-text']
    const color = e => getComputedStyle(e)[e.closest('.colt-figure') ? 'fill' : 'color']
    return texts.flatMap(s => [...document.querySelectorAll(s)].slice(0, 3)).map(e => ratio(page, light(color(e))))}'''


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


def built(*args): return subprocess.run([sys.executable, TOP/'tools/site/build.py', *map(str, args)], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    "The folder of the site, and its address"
    out = tmp_path_factory.mktemp('site')/'html'
    done = built(out)
    assert (done.returncode, done.stderr) == (0, '')
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=out)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield out, f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()


def every(out): return sorted(p.relative_to(out).as_posix() for p in out.rglob('*.html'))


def test_every_page_opens_with_its_figures_and_asks_for_nothing_elsewhere(site, chromium):
    out, url = site
    with pages.fresh(chromium) as page:
        missing, figures = [], 0
        page.on('response', lambda r: missing.append(r.url) if r.status >= 400 else None)
        for name in every(out):
            page.goto(url + name)
            drawn = page.evaluate(FIGURES)
            assert '#|' not in ''.join(page.locator('.cell_input').all_text_contents()), f'{name} shows a directive'
            assert all(drawn), f'{name}: {drawn.count(False)} of {len(drawn)} figures are not drawn'
            figures += len(drawn)
            picture(page, name, 'light-1280')
        assert (page.errors, missing, page.elsewhere) == ([], [], [])
        assert figures == sum(len(saved(nb)) for nb in (TOP/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in nb.parts) > 30


def picture(page, name, how):
    "Of a main page, from its top"
    if (name := name.removesuffix('.html')) not in MAIN: return
    SHOTS.mkdir(exist_ok=True)
    page.evaluate('scrollTo(0, 0)')
    page.screenshot(path=SHOTS/f'site-{Path(name).name}-{how}.png')


def saved(notebook):
    "The plotly figures that a notebook shows"
    shown = [c for c in json.loads(notebook.read_text())['cells'] if not re.match(r'#\|\s*(hide|eval)\b', ''.join(c['source']))]
    return [o['data'][PLOTLY] for c in shown for o in c.get('outputs', ()) if PLOTLY in o.get('data', {})]


def test_no_page_scrolls_sideways_on_a_phone_and_all_are_readable_in_the_dark(site, chromium):
    out, url = site
    with pages.fresh(chromium, 390, 800) as page:
        page.emulate_media(color_scheme='dark')
        for name in every(out):
            page.goto(url + name)
            page.evaluate(FIGURES)
            assert page.evaluate('document.documentElement.scrollWidth') <= 390, name
            weak = [c for c in page.evaluate(CONTRAST) if c < 4.5]
            assert not weak, (name, weak)
            picture(page, name, 'dark-390')


def test_a_slider_moves_its_figure(site, chromium):
    _, url = site
    with pages.fresh(chromium) as page:
        page.goto(f'{url}tutorials/04_lab.html')
        page.evaluate(FIGURES)
        slider = page.locator('.slider-container').first
        figure = page.locator('.js-plotly-plot', has=page.locator('.slider-container')).first
        bars = "e => [e._fullData.filter(t => t.type == 'bar').slice(0, 3).map(t => Array.from(t.customdata)), e._fullLayout.sliders[0].active]"
        before, last = figure.evaluate(bars)
        slider.scroll_into_view_if_needed()
        box = slider.locator('.slider-rail-touch-rect').bounding_box()
        page.mouse.click(box['x'] + 4, box['y'] + box['height']/2)
        pages.until(page, lambda: figure.evaluate(bars)[1] == 0)
        pages.until(page, lambda: figure.evaluate(bars)[0] != before)
        frames = next(f['frames'] for f in saved(TOP/'nbs/tutorials/04_lab.ipynb') if 'frames' in f)
        truth = [t['customdata'] for t in frames[0]['data'] if t['type'] == 'bar'][:3]
        assert last > 0 and figure.evaluate(bars)[0] == truth


def test_the_playground_holds_two_runs_against_each_other(site, chromium):
    out, url = site
    assert (out/'tutorials/09_playground.html').stat().st_size < 2e6
    with pages.fresh(chromium) as page:
        page.goto(f'{url}tutorials/09_playground.html')
        shown = page.locator('.colt-figure:visible')
        assert shown.count() == 1
        run, second = (page.get_by_label(label, exact=True).first for label in ('run', 'beneath it'))
        names = run.locator('option').all_inner_texts()
        assert len(names) == 6
        run.select_option(names[3])
        second.select_option(names[2])
        assert shown.evaluate_all('all => all.map(e => e.dataset.name)') == [names[3], names[2]]
        assert all(page.evaluate(FIGURES))
        second.focus()
        for _ in range(20):                                               # by the keyboard: on to the figure, and back through its cycles
            if page.evaluate("document.activeElement.classList.contains('colt-figure')"): break
            page.keyboard.press('Tab')
        at = "document.activeElement.querySelector('.js-plotly-plot')._fullLayout.sliders[0].active"
        last = page.evaluate(at)
        page.keyboard.press('ArrowLeft')
        pages.until(page, lambda: page.evaluate(at) == last - 1 > 0)
        page.keyboard.press('ArrowRight')
        pages.until(page, lambda: page.evaluate(at) == last)
        assert page.errors == []


def test_search_finds_the_overlap(site, chromium):
    _, url = site
    with pages.fresh(chromium) as page:
        page.goto(url)
        page.locator('.sidebar-search').fill('overlap')
        page.keyboard.press('Enter')
        page.locator('#search-results a', has_text='Overlap').first.wait_for()
        found = page.locator('#search-results a').evaluate_all('all => all.map(a => a.href)')
        assert any('api/04_overlap.html' in f for f in found) and page.errors == []


def test_every_link_within_the_site_leads_somewhere(site):
    out, _ = site
    ids = {name: set(re.findall(r'\bid="([^"]+)"', (out/name).read_text())) for name in every(out)}
    dead = []
    for name in ids:
        for link in re.findall(r'(?:href|src)="([^"]+)"', (out/name).read_text()):
            if re.match(r'[a-z]+:|//', link): continue
            to, at = urldefrag(urljoin(f'/{name}', link))
            to = unquote(to).lstrip('/').split('?')[0] or 'index.html'
            if not (out/to).is_file() or (at and to in ids and unquote(at) not in ids[to]): dead.append((name, link))
    assert not dead


def test_what_is_wrong_fails_the_build(tmp_path):
    "A dead link, an unknown name and a picture that is not there are all told, and no site is made"
    text = '# Title\n\n[gone](api/99_gone.ipynb)\n\n`colt.overlap.underlap`\n\n![no picture](images/none.png)'
    book = dict(cells=[dict(cell_type='markdown', id='a', metadata={}, source=text)], metadata={}, nbformat=4, nbformat_minor=5)
    (tmp_path/'nbs').mkdir()
    (tmp_path/'nbs/index.ipynb').write_text(json.dumps(book))
    done = built(tmp_path/'out', tmp_path/'nbs')
    assert done.returncode and not (tmp_path/'out').exists()
    for told in '99_gone.ipynb', 'colt.overlap.underlap', 'none.png': assert told in done.stderr, done.stderr


def test_the_reference_has_every_public_name(site):
    out, _ = site
    sys.path.insert(0, str(TOP))
    from importlib import import_module
    for f in sorted((TOP/'colt').glob('[a-z]*.py')):
        module = import_module(f'colt.{f.stem}')
        page = next((out/'api').glob(f'[0-9][0-9]_{f.stem}.html')).read_text()
        classes = {n: c for n in module.__all__ if isinstance(c := getattr(module, n), type)}
        methods = [f'{n}.{m}' for n, c in classes.items() for m, thing in vars(c).items() if m[0] != '_' and isinstance(thing, FunctionType | property)]
        assert [n for n in [*module.__all__, *methods] if f'id="{module.__name__}.{n}"' not in page] == [], f.stem
