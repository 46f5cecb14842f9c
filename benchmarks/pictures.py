"""How fast pictures in files are read, and how much memory that takes.

    python benchmarks/pictures.py

2,000 pictures of Tiny ImageNet's size are loaded into memory, and 2,000 of ImageNet's usual size (500 x 375) go by in batches of 100, once cut to the
middle and once zoomed. They are photographs (partitions of the two that come with scikit-learn) in a temporary folder, which the system has in its cache.
Each line is a process of its own: images a second, MB before, the most MB while at work, and the most MB of any of its workers.
"""
import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from colt.data import from_folder

N, CLASSES = 2000, 10
WAYS = {'tiny': ('64 x 64, into memory', 64), 'middle': ('500 x 375, the middle, in batches', 224), 'zoomed': ('500 x 375, zoomed, in batches', 224)}


def write(folder, width, height):
    "Parts of photographs, mirrored and scaled, one folder for each class"
    rng, photos = np.random.default_rng(0), [Image.fromarray(p) for p in load_sample_images().images]
    for i in range(N):
        w = int(rng.integers(430, 560))
        h = w*height//width
        left, top = int(rng.integers(0, 641 - w)), int(rng.integers(0, 428 - min(h, 427)))
        (place := folder/f'n{i % CLASSES:08}').mkdir(parents=True, exist_ok=True)
        photos[i % 2].crop((left, top, left + w, min(427, top + h))).resize((width, height)).save(place/f'{i}.JPEG', quality=90)


def most():
    "The most memory that this process had so far, in MB; Linux's getrusage counts what was before `exec`, too"
    status = Path('/proc/self/status')
    if status.exists(): return int(re.search(r'VmHWM:\s*(\d+)', status.read_text())[1])/1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024


def measure(way, folder):
    "Read them all in this process, and print a line"
    (what, side), before, began = WAYS[way], most(), time.perf_counter()
    images = from_folder(folder, side, memory=way == 'tiny')
    if way != 'tiny':
        order = torch.randperm(N, generator=torch.Generator().manual_seed(0)).split(100)
        for x, _ in images.batches(order, (torch.rand(len(i), 4) for i in order) if way == 'zoomed' else None): x.numpy().max() # look at every pixel
    seconds = time.perf_counter() - began
    print(f'{what:<36}{N/seconds:>10,.0f}{before:>10,.0f}{most():>10,.0f}{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024:>10,.0f}', flush=True)


p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument('--measure', nargs=2, metavar=('WAY', 'FOLDER'), help='one line of the table, from pictures that are there')
args = p.parse_args()
if args.measure: measure(*args.measure)
else:
    about = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').exists() else []
    cpu = next((line.split(':')[1].strip() for line in about if line.startswith('model name')), platform.processor())
    print(f'{cpu}, {os.cpu_count()} processors, Python {platform.python_version()}, torch {torch.__version__}')
    with tempfile.TemporaryDirectory() as top:
        write(Path(top)/'tiny', 64, 64)
        write(Path(top)/'photos', 500, 375)
        print(f'{"":<36}{"images/s":>10}{"before":>10}{"most":>10}{"a worker":>10}')
        for way in WAYS: subprocess.run([sys.executable, __file__, '--measure', way, Path(top)/('tiny' if way == 'tiny' else 'photos')], check=True)
