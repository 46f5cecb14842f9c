"""Make the pictures of the README: a run that moves, and the lab after a run

    python tools/pictures.py          (two minutes; needs Chromium)
"""
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

top = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(top/'tests'))
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


def moving(pictures, to):
    "A film in one palette, that stays on its last picture"
    palette = pictures[-1].convert('RGB').quantize(64, dither=Image.Dither.NONE)
    first, *others = (p.convert('RGB').quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures)
    first.save(to, save_all=True, append_images=others, duration=[700]*len(others) + [3000], loop=0, optimize=True)


def lab(browser, here, to):
    with pages.serve(here/'jupyter') as server, pages.fresh(browser, 1280) as page:
        server.open(page, ["from colt.panel import Lab\nlab = Lab()\nlab.play()\nlab.wait()\nlab"], seconds=200)
        pages.plot(page)
        page.set_viewport_size({'width': 1280, 'height': 2200})
        page.wait_for_timeout(1000)
        page.locator('.colt-lab').screenshot(path=to)


if __name__ == '__main__':
    images = top/'nbs/images'
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None) or sys.exit('there is no Chromium; install it')
    with tempfile.TemporaryDirectory() as here, sync_playwright() as p, p.chromium.launch(executable_path=chromium, args=pages.FLAGS) as browser:
        with pages.fresh(browser, 1040, 1300) as page: moving(list(film(page, Path(here))), images/'first.gif')
        lab(browser, Path(here), images/'lab.png')
