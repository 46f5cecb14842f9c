"The site, as a reader has it: built from these notebooks, in a real browser that gets nothing from outside this machine"
import json
import re
import subprocess
import sys
import threading
from dataclasses import fields, is_dataclass
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FunctionType, ModuleType
from urllib.parse import unquote, urldefrag, urljoin

import pages
import pytest
from conftest import TOP
from test_house import room
from test_words import ALLOWED, found

SHOTS, PLOTLY = TOP/'_shots', 'application/vnd.plotly.v1+json'
MAIN = ('index', 'tutorials/01_five_lines', 'tutorials/03_two_heads', 'tutorials/04_lab', 'api/04_overlap', 'api/17_cycle', 'api/24_plot', 'api/25_panel',
        'tutorials/09_playground', 'explanations/promises')
FIGURES = '''async () => {
    const all = [...document.querySelectorAll('.colt-figure')], drawn = e => e.classList.contains('drawn')
    for (const e of all.filter(e => !e.hidden)) {
        e.scrollIntoView({behavior: 'instant'})
        for (let i = 0; i < 200 && !drawn(e); i++) await new Promise(r => setTimeout(r, 25))
    }
    return all.map(e => e.hidden || drawn(e) && e.querySelector('.main-svg').getBoundingClientRect().width > 200)}'''
SEEN = '''() => {
    const all = what => [...document.querySelectorAll(what)], visible = e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().height
    return {source: all('.cell_input').map(e => e.textContent).join(''), buttons: all('.modebar-btn').map(e => e.dataset.title),
        controls: all('.slider-container, .updatemenu-button').length, paragraphs: all('article p').map(e => e.textContent),
        pieces: all('.output.stream + .output.stream').length, codes: all('.cell_input').filter(visible).map(e => e.innerText)}}'''
FITTED = '''async () => { // plotly draws again a moment after the page has another width
    const plots = [...document.querySelectorAll('.colt-figure:not([hidden]) .js-plotly-plot')]
    const fits = e => Math.abs(e.querySelector('.main-svg').getBoundingClientRect().width - e.getBoundingClientRect().width) < 2
    for (let i = 0; i < 200 && !plots.every(fits); i++) await new Promise(r => setTimeout(r, 25))
    return plots.every(fits)}'''
CONTRAST = '''() => {
    const linear = x => (x /= 255) <= .04045 ? x/12.92 : ((x + .055)/1.055)**2.4
    const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(linear); return .2126*r + .7152*g + .0722*b }
    const ratio = (a, b) => (Math.max(a, b) + .05)/(Math.min(a, b) + .05)
    const page = e => { const c = getComputedStyle(e).backgroundColor; return c != 'rgba(0, 0, 0, 0)' ? light(c) : page(e.parentElement) }
    const texts = ['article p', '.sidebar-tree a', '.xtick text', '.annotation-text', '.bartext-outside', '.barlayer .errorbar path',
        '.colt-bar button', '.colt-bar label']
    const color = e => getComputedStyle(e)[!e.closest('svg') ? 'color' : e.tagName == 'path' ? 'stroke' : 'fill']
    return texts.flatMap(s => [...document.querySelectorAll(s)].slice(0, 9)).map(e => ratio(page(e), light(color(e))))}'''
STYLED = '''([what, ...styles]) => [...new Set([...document.querySelectorAll(what)].flatMap(e => styles.map(s => getComputedStyle(e)[s])))]'''
CUT = '''what => [...document.querySelectorAll(what)].filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent.slice(0, 80))'''
COLLISIONS = '''() => [...document.querySelectorAll('.colt-figure')].flatMap(figure => {
    const all = [...figure.querySelectorAll('.annotation-text, .gtitle')].map(e => [e.textContent, e.getBoundingClientRect()])
    const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1
    return all.flatMap(([text, box], i) => all.slice(i + 1).filter(other => meet(box, other[1])).map(other => [text, other[0]]))})'''
BARS = "e => e.querySelector('.js-plotly-plot')._fullData.map(t => t.type == 'bar' ? Array.from(t.customdata) : null)"


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


APPEND = '''async pages => {
    for (const page of pages) {
        const shown = new DOMParser().parseFromString(await (await fetch(page)).text(), 'text/html')
        document.querySelector('article').append(...shown.querySelector('article').childNodes)
    }}'''


def opened(out):
    "Every page; with the first decision come the others, which are text alone on the same template, to be read on one page"
    first, *others = (name for name in every(out) if name.startswith('explanations/decisions/0'))
    assert not any('colt-figure' in (out/name).read_text() for name in others) and len(others) > 20
    for name in every(out):
        if name not in others: yield name, [Path(other).name for other in others]*(name == first)


def test_every_page_opens_with_its_figures_and_asks_for_nothing_elsewhere(site, chromium):
    "On a wide page in the light, and then on a phone in the dark"
    out, url = site
    with pages.fresh(chromium) as page:
        missing, figures = [], 0
        page.on('response', lambda r: missing.append(r.url) if r.status >= 400 else None)
        for name, others in opened(out):
            page.goto(url + name, wait_until='commit')                    # before it is wide, or the page before would draw its figures anew
            page.set_viewport_size(dict(width=1280, height=800))
            page.emulate_media(color_scheme='light')
            page.wait_for_load_state()
            page.evaluate(APPEND, others)
            figures += is_whole(page, name)
            picture(page, name, 'light-1280')
            page.set_viewport_size(dict(width=390, height=800))
            page.emulate_media(color_scheme='dark')
            is_readable_on_a_phone(page, name)
            picture(page, name, 'dark-390')
        assert (page.errors, missing, page.elsewhere) == ([], [], [])
        assert figures == sum(len(saved(nb)) for nb in (TOP/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in nb.parts) > 30


def is_whole(page, name):
    "Nothing of a page is missing or cut off; how many figures it has"
    drawn = page.evaluate(FIGURES)
    seen = page.evaluate(SEEN)
    assert '#|' not in seen['source'], f'{name} shows a directive'
    assert all(drawn), f'{name}: {drawn.count(False)} of {len(drawn)} figures are not drawn'
    assert len(drawn) == 0 or 'Zoom in' in seen['buttons'], name
    assert not any('Share' in b for b in seen['buttons']), f'{name} offers an upload'
    assert seen['controls'] == 0, f'{name} has a control that no key reaches'
    assert not [p for p in seen['paragraphs'] if p.lstrip().startswith('|')], f'{name} shows a table as raw text'
    assert page.evaluate(CUT, '.cell_output pre, .table-wrapper') == [], f'{name}: outputs are cut off'
    assert seen['pieces'] == 0, f'{name} shows one output in pieces'
    assert not [c for c in seen['codes'] if all(line.startswith(('import ', 'from ')) for line in c.split('\n') if line)], f'{name} shows bare imports'
    return len(drawn)


def is_readable_on_a_phone(page, name):
    "It does not scroll sideways, and nothing is dark on dark or lies over something else"
    assert page.evaluate(FITTED), f'{name}: a figure does not follow the width of the page'
    assert page.evaluate('document.documentElement.scrollWidth') <= 390, name
    weak = [c for c in page.evaluate(CONTRAST) if c < 4.5]
    assert not weak, (name, weak)
    inks = page.evaluate(STYLED, ['.main-svg :is(path, text)', 'stroke', 'fill'])
    assert 'rgb(42, 63, 95)' not in inks, f"{name}: something is drawn in the template's ink"
    assert set(page.evaluate(STYLED, ['.highlight .nn', 'textDecorationLine'])) <= {'none'}, f'{name}: names of modules look like links'
    assert page.evaluate(COLLISIONS) == [], name


def picture(page, name, how):
    "Of a main page, from its top"
    if (name := name.removesuffix('.html')) not in MAIN: return
    SHOTS.mkdir(exist_ok=True)
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    page.screenshot(path=SHOTS/f'site-{Path(name).name}-{how}.png')


def saved(notebook):
    "The plotly figures that a notebook shows"
    shown = [c for c in json.loads(notebook.read_text())['cells'] if not re.match(r'#\|\s*(hide|eval)\b', ''.join(c['source']))]
    return [o['data'][PLOTLY] for c in shown for o in c.get('outputs', ()) if PLOTLY in o.get('data', {})]


def drawn(figure, frame):
    "Whether the bars of a figure have the numbers of a frame"
    bars = {i: t['customdata'] for i, t in zip(frame['traces'], frame['data'], strict=True) if t['type'] == 'bar'}
    now = figure.evaluate(BARS)
    return len(bars) > 1 and all(now[i] == numbers for i, numbers in bars.items())


def test_a_slider_moves_its_figure_and_follows_what_plays(site, chromium):
    _, url = site
    with pages.fresh(chromium) as page:
        page.goto(f'{url}tutorials/04_lab.html')
        page.evaluate(FIGURES)
        figure = page.locator('.colt-figure:has(input)').first
        slider, play, pause = figure.locator('input'), figure.get_by_role('button', name='play'), figure.get_by_role('button', name='pause')
        frames = next(f['frames'] for f in saved(TOP/'nbs/tutorials/04_lab.ipynb') if 'frames' in f)
        def at(): return int(slider.input_value())
        def shows(n): return at() == n and figure.locator('output').inner_text() == str(n) and drawn(figure, frames[n])
        assert shows(len(frames) - 1) and not drawn(figure, frames[0])
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        page.mouse.click(box['x'] + 4, box['y'] + box['height']/2)
        pages.until(page, lambda: shows(0))
        play.click()
        pages.until(page, lambda: at() > 1)
        slider.press('End')                                               # while it plays
        pages.until(page, lambda: shows(len(frames) - 1))
        page.wait_for_timeout(1000)                                       # longer than a frame is shown
        assert shows(len(frames) - 1)
        play.click()
        pages.until(page, lambda: 0 < at() < 5)
        pause.click()
        page.wait_for_timeout(100)
        stopped = at()
        page.wait_for_timeout(1000)
        assert shows(stopped) and page.errors == []


def reach(page, true, key='Tab', most=60):
    "Press a key until what has the focus is what was asked for"
    for _ in range(most):
        if page.evaluate(f'(e => {true})(document.activeElement)'): return
        page.keyboard.press(key)
    raise AssertionError(f'{key} does not reach {true}')


def test_the_buttons_of_a_figure_are_pressed_by_keyboard(site, chromium):
    _, url = site
    menus = ((nb.stem, f['layout']['updatemenus'][0]) for nb in (TOP/'nbs/tutorials').glob('*.ipynb') for f in saved(nb) if f['layout'].get('updatemenus'))
    name, menu = next((name, menu) for name, menu in menus if menu['buttons'][1]['method'] == 'restyle')
    with pages.fresh(chromium) as page:
        page.goto(f'{url}tutorials/{name}.html')
        page.evaluate(FIGURES)
        figure = page.locator('.colt-figure:has([aria-pressed])').first
        pressed = "e => [...e.querySelector('.colt-bar div').children].map(b => b.getAttribute('aria-pressed'))"
        visible = "e => e.querySelector('.js-plotly-plot')._fullData.map(t => t.visible)"
        figure.locator('button').first.evaluate('e => e.focus()')
        for n in 1, 0:
            reach(page, f'e.textContent == {json.dumps(menu["buttons"][n]["label"])}', 'Tab' if n else 'Shift+Tab')
            page.keyboard.press('Enter')
            pages.until(page, lambda n=n: figure.evaluate(visible) == menu['buttons'][n]['args'][0]['visible'])
            assert figure.evaluate(pressed) == ['true' if i == n else 'false' for i in range(len(menu['buttons']))]


def test_the_live_page_trains_within_the_site(site, chromium):
    "From a lesson's link to a question, in the site's theme; all else about it is in tests/test_live.py"
    _, url = site
    with pages.fresh(chromium) as page:
        page.goto(f'{url}tutorials/02_what_is_a_ticket.html')
        page.click('a[href$="live/index.html#question-controls"]')
        page.wait_for_function("document.querySelector('.live')?.dataset.state == 'waiting'", timeout=60_000)
        assert page.locator('#live-question').is_visible() and page.locator('[name=partitions]').input_value() == '1'
        ink = page.evaluate(STYLED, ['#live-said', 'color'])
        page.emulate_media(color_scheme='dark')
        page.click('#live-step')
        page.wait_for_function("document.querySelector('#live-phases [aria-current]')?.textContent == 'Train'")
        assert page.evaluate(STYLED, ['#live-said', 'color']) != ink
        assert (page.errors, page.elsewhere) == ([], [])


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
        assert shown.evaluate_all("all => all.map(e => getComputedStyle(e, '::before').content)") == [f'"{names[3]}"', f'"{names[2]}"']
        assert all(page.evaluate(FIGURES))
        second.focus()
        reach(page, "e.type == 'range'")                                  # by the keyboard: on to the figure, and back through its cycles
        frames = next(f['frames'] for f in saved(TOP/'nbs/tutorials/09_playground.ipynb') if f['layout']['meta']['name'] == names[3])
        for key, n in ('ArrowLeft', len(frames) - 2), ('ArrowRight', len(frames) - 1):
            page.keyboard.press(key)
            pages.until(page, lambda n=n: drawn(shown.first, frames[n]))
            assert int(shown.first.locator('input').input_value()) == n > 0
        top = "e => scrollTo({top: scrollY + e.getBoundingClientRect().top + 100, behavior: 'instant'})"
        def open_to_the_top(): # what is drawn above may still move it
            shown.last.locator('.colt-view').evaluate(top)
            return page.evaluate("document.elementFromPoint(700, 5)?.closest('.colt-view') != null")
        pages.until(page, open_to_the_top)                                # nothing lies over the figure
        page.evaluate('document.activeElement.blur()')
        page.keyboard.press('ArrowRight')                                 # no key turns the page
        page.wait_for_timeout(300)
        assert page.url.endswith('09_playground.html') and page.errors == []


def exercises():
    "The name of a lesson, and an exercise in it as HTML, with the number that is right"
    for path in sorted((TOP/'nbs/tutorials').glob('*.ipynb')):
        for cell in json.loads(path.read_text())['cells']:
            for output in cell.get('outputs', ()):
                html = ''.join(output.get('data', {}).get('text/html', ''))
                if truth := re.search(r'valueAsNumber - (\S+)\)', html): yield path.stem, html, float(truth[1])


def test_an_exercise_is_checked_where_no_python_runs(chromium):
    found = list(exercises())
    assert {'01_five_lines', '02_what_is_a_ticket', '03_two_heads', '09_playground'} <= {name for name, *_ in found}
    with pages.fresh(chromium) as page:
        for _, html, truth in found:
            page.set_content(html)
            field, says, solution = page.get_by_label('your answer'), page.locator('output'), page.locator('details p')
            for answer, word in (truth, 'Right'), (truth + 1, 'Not quite'), ('', 'Not quite'):
                field.fill(str(answer))
                field.blur()
                assert says.inner_text() == word
            assert not solution.is_visible()
            page.get_by_text('solution').first.click()
            assert solution.is_visible()
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


def test_its_words_are_the_field_s(site):
    out, _ = site
    read = [name for name in every(out) if not any(a.lower() in name.lower() for a in (*ALLOWED, 'genindex', '_modules', 'search'))]
    said = {name: found(unescape(re.sub('<script.*?</script>|<style.*?</style>|<[^>]+>', ' ', (out/name).read_text(), flags=re.S))) for name in read}
    assert {name: words for name, words in said.items() if words} == {} and len(read) > 60


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
    notebooks = {f"{room(p).replace('.', '/')}.py": p.name for p in (TOP/'nbs/api').glob('*.ipynb')}
    for f in sorted((TOP/'colt').rglob('*.py')):
        if f.parent == TOP/'colt' and f.stem in ('__init__', '_modidx'): continue
        name = '.'.join(f.relative_to(TOP).with_suffix('').parts).removesuffix('.__init__')
        module = import_module(name)
        if f.relative_to(TOP/'colt').as_posix() not in notebooks: continue               # a package without a door of its own
        page = (out/'api'/notebooks[f.relative_to(TOP/'colt').as_posix()]).with_suffix('.html').read_text()
        named = {n: thing for n in module.__all__ if not isinstance(thing := getattr(module, n), ModuleType)}
        public = [n for n, thing in named.items() if getattr(thing, '__module__', name) == name] # a door's other names have their own page
        classes = {n: c for n in public if isinstance(c := getattr(module, n), type)}
        methods = [f'{n}.{m}' for n, c in classes.items() for m, thing in vars(c).items() if m[0] != '_' and isinstance(thing, FunctionType | property)]
        assert [n for n in [*public, *methods] if f'id="{module.__name__}.{n}"' not in page] == [], f.stem
        said = re.findall(r'<dd><p>([^\n]*)</p>\n<dl class="myst field-list simple">\n<dt[^>]*>Returns<span.*?<dd[^>]*><p>([^\n]*)</p>', page)
        assert [a for a, b in said if a == b] == [], f'{f.stem} says it twice'
        text = unescape(re.sub('<[^>]+>', '', page))
        columns = [c for n in classes.values() if is_dataclass(n) for c in fields(n)]
        assert [c.name for c in columns if f'{c.name}: ' not in text or (isinstance(c.default, int | str) and f' = {c.default!r}' not in text)] == [], f.stem
