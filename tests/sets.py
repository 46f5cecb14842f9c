"""Small data sets in the true file formats: pictures that can be told apart, and learned in seconds.

    make(root, 'cifar10')        writes what `colt.data.load('cifar10', root)` reads

Ten images a class to learn from and four to test on; cifar100 has three and one, the sets of pictures in files (four classes) six and two.
With `few=True` there are as few as two partitions can be trained, validated and tested on, if a quarter is for validation.
"""
import gzip
from pathlib import Path

import numpy as np
from PIL import Image

WNIDS = ('n02124075', 'n01443537', 'n07873807', 'n03444034')
WORDS = ('Egyptian cat', 'goldfish, Carassius auratus', 'pizza, pizza pie', 'go-kart')
SETS = ('mnist', 'fashionmnist', 'cifar10', 'cifar100', 'tinyimagenet', 'imagenet')


def blob(rng, label, classes, height, width, channels=3):
    "A picture of class `label`: a spot whose place and colour say which, in noise; uint8 (height, width, channels)"
    turn, far = 2*np.pi*label/classes, .3 if label % 2 else .15
    y, x = np.arange(height)[:, None]/height, np.arange(width)/width
    spot = np.exp(-((y - .5 - far*np.sin(turn))**2 + (x - .5 - far*np.cos(turn))**2)/.03)[..., None]
    colour = np.ones(1) if channels == 1 else .5 + .5*np.cos(turn - 2*np.pi*np.arange(3)/3)
    return (255*np.clip(.15 + .8*spot*colour + .08*rng.standard_normal((height, width, channels)), 0, 1)).astype(np.uint8)


def some(rng, classes, each, size, channels):
    "`each` images of every class in turn, and their labels: uint8 (n, channels, size, size) and (n,)"
    y = np.tile(np.arange(classes, dtype=np.uint8), each)
    return np.stack([blob(rng, c, classes, size, size, channels) for c in y]).transpose(0, 3, 1, 2), y


def write_idx(path, array):
    "An idx file of bytes, gzipped if `path` ends in `.gz`"
    raw = bytes([0, 0, 8, array.ndim]) + b''.join(n.to_bytes(4, 'big') for n in array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == '.gz' else raw)


# Python 2's dialect of pickle, in which CIFAR is distributed: strings are SHORT_BINSTRING and BINSTRING
def short(s): return b'U' + bytes([len(s)]) + s
def int1(i): return b'K' + bytes([i])
def int2(i): return b'M' + i.to_bytes(2, 'little')


def pickled(keys, pixels):
    "A batch of CIFAR: `keys` maps a name to labels, `pixels` are the bytes of an array (n, 3072)"
    array = (b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n' + int1(0) + b'\x85' + short(b'b') + b'\x87R(K\x01'
             + int2(len(next(iter(keys.values())))) + int2(3072) + b'\x86cnumpy\ndtype\n' + short(b'u1') + b'K\x00K\x01\x87R(K\x03' + short(b'|')
             + b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T' + len(pixels).to_bytes(4, 'little') + pixels + b'tb')
    labels = b''.join(short(k) + b'](' + b''.join(map(int1, map(int, v))) + b'e' for k, v in keys.items())
    return (b'\x80\x02}(' + short(b'batch_label') + short(b'testing batch 1 of 1') + labels + short(b'data') + array
            + short(b'filenames') + b'](' + short(b'cat.png') + b'eu.')


def pickled_names(key, names):
    "CIFAR's names of the classes"
    return (b'\x80\x02}(' + short(b'num_cases_per_batch') + b'M\x10\x27' + short(key) + b'](' + b''.join(map(short, names)) + b'e'
            + short(b'num_vis') + int2(3072) + b'u.')


def idx_set(folder, rng, few=False):
    for split, each in ('train', 1 if few else 10), ('t10k', 1 if few else 4):
        x, y = some(rng, 10, each, 28, 1)
        write_idx(folder/f'{split}-images-idx3-ubyte.gz', x[:, 0])
        write_idx(folder/f'{split}-labels-idx1-ubyte.gz', y)


def cifar10(folder, rng, few=False):
    folder.mkdir(parents=True)
    x, y = some(rng, 10, 1 if few else 10, 32, 3)
    for i in range(5): (folder/f'data_batch_{i + 1}').write_bytes(pickled({b'labels': y[i::5]}, x[i::5].tobytes()))
    x, y = some(rng, 10, 1 if few else 4, 32, 3)
    (folder/'test_batch').write_bytes(pickled({b'labels': y}, x.tobytes()))
    (folder/'batches.meta').write_bytes(pickled_names(b'label_names', [b'kind %d' % i for i in range(10)]))


def cifar100(folder, rng, few=False):
    folder.mkdir(parents=True)
    for name, each in ('train', 3), ('test', 1):
        x, y = some(rng, 100, each, 32, 3)
        if few: x, y = x[:100:5], y[:100:5]                               # of every fifth class
        (folder/name).write_bytes(pickled({b'coarse_labels': y//5, b'fine_labels': y}, x.tobytes()))
    (folder/'meta').write_bytes(pickled_names(b'fine_label_names', [b'kind %d' % i for i in range(100)]))


def jpeg(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.squeeze()).save(path, 'JPEG', quality=92)


def tinyimagenet(folder, rng, layout='annotations', few=False):
    "`layout` of val: 'annotations' (as distributed), 'images' (val/<wnid>/images) or 'folders' (val/<wnid>)"
    lines, n = [], 0
    for c in np.argsort(WNIDS):
        for i in range(2 if few else 6): # one of them is grey
            jpeg(folder/f'train/{WNIDS[c]}/images/{WNIDS[c]}_{i}.JPEG', blob(rng, c, 4, 64, 64, 1 if (c, i) == (2, 1) else 3))
        for _ in range(1 if few else 2):
            place = {'annotations': 'val/images', 'images': f'val/{WNIDS[c]}/images', 'folders': f'val/{WNIDS[c]}'}[layout]
            jpeg(folder/f'{place}/val_{n}.JPEG', blob(rng, c, 4, 64, 64))
            lines.append(f'val_{n}.JPEG\t{WNIDS[c]}\t0\t32\t44\t62\n')
            n += 1
    if layout == 'annotations': (folder/'val/val_annotations.txt').write_text(''.join(lines))
    (folder/'wnids.txt').write_text(''.join(w + '\n' for w in WNIDS))
    (folder/'words.txt').write_text('n00001740\tentity\n' + ''.join(f'{a}\t{b}\n' for a, b in zip(WNIDS, WORDS, strict=True)))


def imagenet(folder, rng, few=False):
    for split, each in ('train', 2 if few else 6), ('val', 1 if few else 2):
        for c in range(4):
            for i in range(each):
                jpeg(folder/f'{split}/{WNIDS[c]}/{WNIDS[c]}_{i}.JPEG', blob(rng, c, 4, *rng.integers(80, 301, 2)))


def make(root, name, seed=0, **kw):
    "Write the data set `name` under `root`, always the same for a seed; the folder that it is in"
    rng, root = np.random.default_rng([seed, SETS.index(name)]), Path(root)
    folder, write = {'mnist': ('MNIST/raw', idx_set), 'fashionmnist': ('FashionMNIST/raw', idx_set), 'cifar10': ('cifar-10-batches-py', cifar10),
                     'cifar100': ('cifar-100-python', cifar100), 'tinyimagenet': ('tiny-imagenet-200', tinyimagenet),
                     'imagenet': ('imagenet', imagenet)}[name]
    write(root/folder, rng, **kw)
    return root/folder
