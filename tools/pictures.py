"""Make the pictures of the README: a run that moves, the live page that moves, and the lab after a run

    python tools/pictures.py [NAMES]          (all of first.gif, live.gif, lab.png; two minutes; needs Chromium)
"""
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

top = Path(__file__).resolve().parents[1]
sys.path += [str(top/'tests'), str(top/'tools/site')]
import live_page
import pages
from colt.plot import cycle_figure, save_page
from colt.plans import plan
from colt.runs import execute, create_run
from colt.recipe import Recipe


def film(page, here):
    "Each cycle of the first run as one picture"
    folder = create_run(p := plan(Recipe.default(evaluate='each')), here/'first')
    records = list(execute(p, folder, keep=True))
    for n in range(len(records)):
        save_page(here/'page.html', 'a run', cycle_figure(records, n, folder.cycle(n), 'body.4.weight').update_layout(width=1000))
        page.set_content((here/'page.html').read_text())
        yield Image.open(io.BytesIO(page.locator('.js-plotly-plot').screenshot()))


def live_film(page, here):
    "The live page's stage after each phase of five cycles"
    (here/'live.html').write_text(live_page.alone(), encoding='utf-8')
    page.goto((here/'live.html').as_uri())
    page.add_style_tag(content='.live-stage {padding: 1rem}')
    def shown():
        page.wait_for_function("!['step', 'preparing'].includes(document.querySelector('.live')?.dataset.state)")
        page.wait_for_timeout(500)
        return Image.open(io.BytesIO(page.locator('.live-stage').screenshot()))
    yield shown()
    tests = page.locator('#live-accuracy circle')      # two for each tested ticket, one for the full network
    while tests.count() < 11:
        page.click('#live-step')
        yield shown()


def moving(pictures, to, palette=-1, durations=None):
    "A film in one palette, that stays on its last picture"
    palette = pictures[palette].convert('RGB').quantize(64, dither=Image.Dither.NONE)
    first, *others = (p.convert('RGB').quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures)
    first.save(to, save_all=True, append_images=others, duration=durations or [700]*len(others) + [3000], loop=0, optimize=True)


def lab(browser, here, to):
    with pages.serve(here/'jupyter') as server, pages.fresh(browser, 1280) as page:
        server.open(page, ["from colt.panel import Lab\nlab = Lab()\nlab.play()\nlab.wait()\nlab"], seconds=200)
        pages.plot(page)
        page.set_viewport_size({'width': 1280, 'height': 2200})
        page.wait_for_timeout(1000)
        page.locator('.colt-lab').screenshot(path=to)


def first(browser, here, to):
    with pages.fresh(browser, 1040, 1300) as page: moving(list(film(page, here)), to)


def live(browser, here, to):
    "The first cycle is told slowly; of the others, only the test is shown"
    with pages.fresh(browser, 748) as page: slow, fast = (shots := list(live_film(page, here)))[:6], shots[6:]
    fast = [shot for k, shot in enumerate(fast) if k % 5 == 4]
    moving(slow + fast, to, palette=3, durations=[1700]*len(slow) + [900]*(len(fast) - 1) + [4000])


PICTURES = {'first.gif': first, 'live.gif': live, 'lab.png': lab}


if __name__ == '__main__':
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None) or sys.exit('there is no Chromium; install it')
    with tempfile.TemporaryDirectory() as here, sync_playwright() as p, p.chromium.launch(executable_path=chromium, args=pages.FLAGS) as browser:
        for name in sys.argv[1:] or PICTURES: PICTURES[name](browser, Path(here), top/'nbs/images'/name)
