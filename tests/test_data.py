"Data sets as files: the true formats in small, what is wrong with them, and pictures that are never all in memory"
import gzip
import hashlib
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sets
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from torchvision import transforms as T
from torchvision.transforms import functional as TF

from colt.data import (
    DATASETS,
    CorruptImage,
    ImageFiles,
    Images,
    folders,
    from_arrays,
    from_dataset,
    from_folder,
    generator,
    hold_out,
    image_files,
    load,
    read_idx,
    read_pickle,
    split,
    unpack,
    zoom_box,
)
from colt.partition import at_random, by_class

COUNTS = {'mnist': (90, 10, 40), 'fashionmnist': (90, 10, 40), 'cifar10': (90, 10, 40), 'cifar100': (270, 30, 100), 'tinyimagenet': (22, 2, 8),
          'imagenet': (22, 2, 8)}
SHAPES = {'mnist': (1, 28, 28), 'fashionmnist': (1, 28, 28), 'cifar10': (3, 32, 32), 'cifar100': (3, 32, 32), 'tinyimagenet': (3, 64, 64),
          'imagenet': (3, 224, 224)}


@pytest.fixture
def at(tmp_path):
    "Make one set, which may be damaged: its folder, and a function that loads it"
    def make(name, **kw): return sets.make(tmp_path, name, **kw), lambda **other: load(name, tmp_path, **other)
    return make


def pixels(images): return torch.cat([x for x, _ in images.batches(torch.arange(len(images)).split(64))])
def everything(dataset): return [(pixels(s), s.y) for s in (dataset.train, dataset.valid, dataset.test)]
def damage(path, keep=700): path.write_bytes(path.read_bytes()[:keep])


# The six sets

@pytest.mark.parametrize('name', sets.SETS)
def test_a_set_in_its_true_format(small, name):
    d = load(name, small)
    assert tuple(len(s) for s in (d.train, d.valid, d.test)) == COUNTS[name] and d.shape == d.test.shape == SHAPES[name]
    assert d.train.y.bincount(minlength=len(d.classes)).min() >= 2 and len(d.classes) == len(d.test.y.unique())
    assert load(name, small).fingerprint() == d.fingerprint() != load(name, small, seed=1).fingerprint()
    halves = load(name, small, valid=.4) # of which every class has some
    for partitions in by_class(halves, 2), at_random(halves, 1): assert sum(len(p.train) for p in partitions) == len(halves.train)
    partition = by_class(d, 2)[1]
    (x, y), = partition.test.batches([torch.arange(len(partition.test))])
    assert x.shape == (len(partition.test), *d.shape) and x.dtype == torch.uint8 and y.min() == 0


@pytest.mark.parametrize('name', sets.SETS)
def test_its_classes_can_be_told_apart(small, name):
    "By the nearest mean picture, an independent and humble judge"
    d = load(name, small, valid=.05)
    x, z = (pixels(s).float().flatten(1) for s in (d.train, d.test))
    means = torch.stack([x[d.train.y == c].mean(0) for c in range(len(d.classes))])
    right = (torch.cdist(z, means).argmin(1) == d.test.y).float().mean()
    assert right > (.5 if name == 'cifar100' else .85)


def test_what_was_loaded_before_is_still_the_same():
    assert [load('digits', seed=s).fingerprint() for s in (0, 1)] == ['d6d447dff46c86d7', '415ba18c35f60503']
    d = load('digits')
    once = hashlib.sha256(b''.join(t.contiguous().numpy().tobytes() for s in (d.train, d.valid, d.test) for t in (s.x, s.y)))
    assert d.fingerprint() == once.hexdigest()[:16] and len(d.train.fingerprint()) == 16 != d.valid.fingerprint()


# idx and CIFAR

def test_idx_files_that_are_wrong(at):
    folder, again = at('fashionmnist')
    labels = folder/'train-labels-idx1-ubyte.gz'
    kept = labels.read_bytes()
    labels.unlink()
    with pytest.raises(ValueError, match=r'has no train-labels-idx1-ubyte\(.gz\)'): again()
    sets.write_idx(labels, np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(ValueError, match='has 3 dimensions, not 1'): again()
    sets.write_idx(labels, np.full(100, 10, np.uint8))
    with pytest.raises(ValueError, match=r'labels go from 10 to 10.*delete it and load'): again()
    labels.write_bytes(kept)
    sets.write_idx(labels, np.zeros(99, np.uint8))
    with pytest.raises(ValueError, match=r'train has images of shape \(100, 28, 28\) and 99 labels'): again()
    labels.write_bytes(kept)
    sets.write_idx(folder/'t10k-images-idx3-ubyte.gz', np.zeros((40, 27, 27), np.uint8))
    with pytest.raises(ValueError, match='they belong to different sets'): again()


def test_what_can_not_be_fetched(tmp_path, monkeypatch):
    def refuse(root, download): raise OSError('no network')
    monkeypatch.setattr('torchvision.datasets.MNIST', refuse)
    with pytest.raises(ConnectionError, match=r'could not be downloaded \(no network\)'): load('mnist', tmp_path)


@pytest.mark.parametrize('name, kind', [('mnist', 'MNIST'), ('cifar10', 'CIFAR10')])
def test_an_interrupted_download_leaves_nothing(tmp_path, small, monkeypatch, name, kind):
    place = DATASETS[name].places[0]
    whole, root, is_interrupted = small/place, tmp_path/'data', True
    def fetch(folder):
        shutil.copytree(whole, Path(folder)/place)
        if not is_interrupted: return
        next((Path(folder)/place).iterdir()).write_bytes(b'half')
        raise KeyboardInterrupt
    monkeypatch.setattr('torchvision.datasets.MNIST', lambda root, download: fetch(root))
    monkeypatch.setattr('torchvision.datasets.utils.download_and_extract_archive', lambda url, archive, folder, *about: fetch(folder))
    with pytest.raises(KeyboardInterrupt): load(name, root)
    assert not [*root.iterdir()]
    is_interrupted = False
    assert load(name, root).fingerprint() == load(name, small).fingerprint() and len([*root.iterdir()]) == 1
    if name == 'mnist': # its folder may be there without the images
        for file in (root/place).glob('t*-images-*'): file.unlink()
        assert load(name, root).fingerprint() == load(name, small).fingerprint()


def test_the_dialect_of_cifar_is_the_true_one(small):
    for name, file, key in ('cifar10', 'cifar-10-batches-py/test_batch', 'labels'), ('cifar100', 'cifar-100-python/test', 'fine_labels'):
        found, test = pickle.loads((small/file).read_bytes(), encoding='latin1'), load(name, small).test # Python itself reads our files
        assert np.array_equal(found['data'].reshape(test.x.shape), test.x.numpy()) and found[key] == test.y.tolist()
        assert test.classes[9] == 'kind 9'


def test_cifar_that_is_wrong(at):
    folder, again = at('cifar10')
    batch = folder/'data_batch_3'
    damage(batch, -4000)
    with pytest.raises(ValueError, match='data_batch_3 is damaged'): again()
    batch.write_bytes(sets.pickled({b'labels': [0, 1, 2, 3]}, bytes(4*3072 - 1)))
    with pytest.raises(ValueError, match='12,287 bytes of pixels for 4 labels'): again()
    batch.unlink()
    with pytest.raises(ValueError, match='has no data_batch_3'): again()
    (folder/'batches.meta').write_bytes(sets.pickled_names(b'label_names', [b'one']))
    batch.write_bytes(sets.pickled({b'labels': [0]}, bytes(3072)))
    with pytest.raises(ValueError, match='names 1 classes'): again()


# Tiny ImageNet

def test_all_layouts_of_val_are_one_set(tmp_path):
    found = []
    for layout in 'annotations', 'images', 'folders':
        sets.make(tmp_path/layout, 'tinyimagenet', layout=layout)
        found.append(load('tinyimagenet', tmp_path/layout))
    assert len({d.fingerprint() for d in found}) == 1
    d = found[0]
    assert d.classes == ('goldfish', 'Egyptian cat', 'go-kart', 'pizza') # the words, in the order of the sorted wnids
    assert isinstance(d.train.x, torch.Tensor)
    x = torch.cat([d.train.x, d.valid.x])
    assert int((x == x[:, :1]).flatten(1).all(1).sum()) == 1 # the grey one, in three equal channels
    folder = tmp_path/'annotations/tiny-imagenet-200'
    lines = [line.split('\t')[:2] for line in (folder/'val/val_annotations.txt').read_text().splitlines()]
    for name, wnid in lines: # each picture has the label that the list gives it, and is as PIL reads it
        truth = torch.from_numpy(np.array(Image.open(folder/'val/images'/name))).permute(2, 0, 1)
        at = (d.test.x == truth).flatten(1).all(1).nonzero().item()
        assert sorted(sets.WNIDS)[d.test.y[at]] == wnid


def test_tinyimagenet_that_is_wrong(at):
    folder, again = at('tinyimagenet')
    notes, wnid = folder/'val/val_annotations.txt', sets.WNIDS[0]
    kept = notes.read_text()
    notes.write_text(kept.replace(wnid, 'n99999999'))
    with pytest.raises(ValueError, match=r"is a 'n99999999', which wnids.txt does not have"): again()
    notes.write_text(kept + f'val_77.JPEG\t{wnid}\t0\t0\t1\t1\n')
    with pytest.raises(ValueError, match=r"names 'val_77.JPEG', which is not in"): again()
    notes.write_text('')
    with pytest.raises(ValueError, match='is empty'): again()
    notes.unlink()
    with pytest.raises(ValueError, match=r"val' has no val_annotations.txt"): again()
    notes.write_text(kept)
    for picture in (folder/f'train/{wnid}/images').iterdir(): picture.unlink()
    with pytest.raises(ValueError, match=f"train/{wnid}/images' has no pictures"): again()
    shutil.rmtree(folder/f'train/{wnid}')
    with pytest.raises(ValueError, match=f"train/{wnid}/images' is missing"): again()
    (folder/'wnids.txt').unlink()
    with pytest.raises(ValueError, match=r'has no wnids.txt'): again()
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=r'get it from http://cs231n.stanford.edu/tiny-imagenet-200.zip, it is not downloaded by itself'): again()


def pack(folder, path):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for p in sorted(folder.rglob('*')): z.write(p, p.relative_to(folder.parent))


def test_the_zip_file_is_unpacked_whole(at, tmp_path):
    folder, again = at('tinyimagenet')
    before = again().fingerprint()
    pack(folder, tmp_path/'tiny-imagenet-200.zip')
    shutil.rmtree(folder)
    assert again().fingerprint() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ['tiny-imagenet-200', 'tiny-imagenet-200.zip']


def link(z):
    entry = zipfile.ZipInfo('set/link')
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    z.writestr(entry, '../../outside')


@pytest.mark.parametrize('name', ['../escaped', 'set/../../escaped', '/tmp/escaped', '\\escaped', 'C:\\escaped', 'set\\..\\..\\escaped', link])
def test_an_entry_that_leads_elsewhere_is_refused_before_anything_is_written(tmp_path, name):
    with zipfile.ZipFile(tmp_path/'set.zip', 'w') as z:
        z.writestr('set/first', 'harmless')
        name(z) if callable(name) else z.writestr(name, 'not harmless')
    with pytest.raises(ValueError, match='leads out of its folder'): unpack(tmp_path/'set.zip', tmp_path/'set')
    assert [p.name for p in tmp_path.iterdir()] == ['set.zip'] and not (tmp_path.parent/'escaped').exists()


def test_a_zip_file_that_is_wrong(at, tmp_path, monkeypatch):
    folder, again = at('tinyimagenet')
    packed = tmp_path/'tiny-imagenet-200.zip'
    pack(folder, packed)
    shutil.rmtree(folder)
    good = packed.read_bytes()
    def nothing_else(): return [p.name for p in tmp_path.iterdir()] == [packed.name]
    for bad in good[:len(good)//2], b'<html>404</html>', good[:1000] + bytes(400) + good[1400:]:
        packed.write_bytes(bad)
        with pytest.raises(ValueError, match=r'tiny-imagenet-200.zip is damaged .*get it again'): again()
        assert nothing_else()
    packed.write_bytes(good)
    def interrupted(self, path): (Path(path)/'half').write_text('half'); raise KeyboardInterrupt
    with monkeypatch.context() as m:
        m.setattr(zipfile.ZipFile, 'extractall', interrupted)
        with pytest.raises(KeyboardInterrupt): again()
    assert nothing_else()
    with zipfile.ZipFile(packed, 'w') as z: z.writestr('other/file', '')
    with pytest.raises(ValueError, match='has no folder tiny-imagenet-200 in it'): again()
    assert nothing_else()


# ImageNet

def test_imagenet_where_people_put_it(at, tmp_path):
    folder, again = at('imagenet')
    first = again()
    before = first.fingerprint()
    assert first.classes == tuple(sorted(sets.WNIDS)) and isinstance(hold_out(first.train, .5, generator(0))[0].x, ImageFiles)
    for place in 'ILSVRC2012', 'ILSVRC/Data/CLS-LOC', '.':
        new = tmp_path/place
        new.mkdir(parents=True, exist_ok=True)
        for split_ in 'train', 'val': shutil.move(folder/split_, new/split_)
        folder = new
        assert again().fingerprint() == before
    shutil.rmtree(tmp_path/'val')
    with pytest.raises(ValueError, match='it is not downloaded by itself'): again()


def test_imagenet_that_is_wrong(at):
    folder, again = at('imagenet')
    extra = folder/'train/n99999999'
    extra.mkdir()
    with pytest.raises(ValueError, match="n99999999' has no pictures"): again()
    shutil.copy(next((folder/'train'/sets.WNIDS[0]).iterdir()), extra)
    with pytest.raises(ValueError, match='class folder n99999999 is only in train; train and val must have the same'): again()
    shutil.move(extra, folder/'val')
    with pytest.raises(ValueError, match='class folder n99999999 is only in val'): again()
    shutil.rmtree(folder/'val')
    (folder/'val').mkdir()
    with pytest.raises(ValueError, match="val' has no folders; there must be one for each class"): again()


# Pictures in files

@pytest.fixture
def album(tmp_path):
    "Pictures of many sizes and kinds, in files"
    rng, kinds = np.random.default_rng(0), [(80, 300), (300, 80), (224, 200), (500, 375), (375, 500), (64, 64), (33, 47), (256, 256), (90, 91)]
    for i, (h, w) in enumerate(kinds*2):
        picture = Image.fromarray(sets.blob(rng, i, 18, h, w))
        mode = {1: 'L', 3: 'CMYK', 5: 'P', 7: 'RGBA'}.get(i, 'RGB')
        picture.convert(mode).save(tmp_path/f'{i:02}.{"png" if mode in ("P", "RGBA") else "jpg"}')
    names = np.array([os.fsencode(p.name) for p in sorted(tmp_path.iterdir())])
    return Images(ImageFiles(str(tmp_path), names, 224), torch.arange(18) % 3, ('a', 'b', 'c'))


def opened(album): return [Image.open(album.x.path(i)).convert('RGB') for i in range(len(album))]


@pytest.mark.parametrize('side', [224, 64, 32, 1])
def test_the_middle_is_torchvisions(album, side):
    usual = T.Compose([T.Resize(round(side*256/224)), T.CenterCrop(side)])
    truth = [TF.pil_to_tensor(p if p.size == (side, side) else usual(p)) for p in opened(album)]
    files = ImageFiles(album.x.folder, album.x.names, side)
    assert torch.equal(files.read(), torch.stack(truth))
    assert torch.equal(files[2], truth[2]) and torch.equal(files[torch.tensor(4)], truth[4])
    grey = ImageFiles(album.x.folder, album.x.names, side, channels=1)
    assert grey.shape == (18, 1, side, side) and torch.equal(grey[1], truth[1][:1])


def test_a_zoom_is_torchvisions(album):
    zooms = torch.rand(len(album), 4, generator=generator(0, 'zooms'))
    def truth(p, zoom):
        left, top, right, bottom = zoom_box(p.size, zoom)
        return TF.pil_to_tensor(TF.resized_crop(p, top, left, bottom - top, right - left, [224, 224]))
    assert torch.equal(album.x.read(zooms), torch.stack([truth(p, z) for p, z in zip(opened(album), zooms.tolist(), strict=True)]))


def test_zooms_are_spread_as_torchvisions_where_it_does_not_draw_again():
    "A square picture, areas up to 0.7: those fit in any proportion, so both draw area and proportion independently"
    size, n = (1000, 1000), 4000
    torch.manual_seed(0)
    theirs = torch.tensor([T.RandomResizedCrop.get_params(Image.new('L', size), [.08, .7], [3/4, 4/3]) for _ in range(n)]).double()
    zooms = torch.rand(n, 4, generator=generator(0, 'spread'), dtype=torch.float64)
    zooms[:, 0] *= .62/.92
    left, top, right, bottom = torch.tensor([zoom_box(size, z) for z in zooms.tolist()]).double().T
    for a, b in (theirs[:, 2], bottom - top), (theirs[:, 3], right - left), (theirs[:, 0], top), (theirs[:, 1], left):
        apart = (a.sort().values - b.sort().values).abs().mean() # between the distributions, in pixels
        assert apart < 12, apart


def test_files_are_indexed_as_a_tensor_is(album):
    numbers, x = torch.arange(18), album.x
    assert (x.dtype, x.ndim, x.shape, len(x)) == (torch.uint8, 4, (18, 3, 224, 224), 18)
    for index in album.y == 1, torch.tensor([5, 5, 0]), slice(3, None, 4), torch.zeros(18, dtype=torch.bool):
        assert isinstance(x[index], ImageFiles) and [x.path(int(i)) for i in numbers[index]] == [x[index].path(i) for i in range(len(x[index]))]
    assert album[album.y == 1].y.tolist() == [1]*6 and album.shape == (3, 224, 224)
    with pytest.raises(IndexError): x[torch.tensor([18])]
    many = ImageFiles('/data', np.array([b'n01440764/n01440764_%05d.JPEG' % i for i in range(10_000)]), 224)
    assert len(pickle.dumps(many)) < 31*10_000 + 1000


@pytest.mark.filterwarnings('ignore:This DataLoader will create')
def test_batches_are_the_same_from_any_number_of_workers(album, monkeypatch):
    order = torch.randint(18, (130,), generator=generator(0, 'order')).tensor_split(7)
    zooms = [torch.rand(len(i), 4, generator=generator(0, 'zooms', n)) for n, i in enumerate(order)]
    for z in None, zooms:
        truth = [album.x[i].read(None if z is None else z[n]) for n, i in enumerate(order)]
        for workers in 0, 1, 3:
            monkeypatch.setattr(image_files, '_count_workers', lambda order, n=workers: n)
            state = torch.get_rng_state()
            found = list(album.batches(order, None if z is None else iter(z)))
            assert torch.equal(torch.get_rng_state(), state) # nobody drew from the global generator
            assert all(torch.equal(x, t) and torch.equal(y, album.y[i]) for (x, y), t, i in zip(found, truth, order, strict=True))
    assert len(list(album.batches([]))) == 0


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.filterwarnings('ignore:This DataLoader will create')
def test_what_can_not_be_decoded_is_named(album, monkeypatch, workers):
    monkeypatch.setattr(image_files, '_count_workers', lambda order: workers)
    path, order = Path(album.x.path(3)), torch.arange(18).split(3)
    good, deep = path.read_bytes(), io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(deep, 'PNG')
    for bad, why in (good[:len(good)//2], 'truncated'), (b'<html>404</html>', 'it is no JPEG'), (b'', 'it is no JPEG'), (deep.getvalue(), 'it is no JPEG'):
        path.write_bytes(bad)
        with pytest.raises(CorruptImage, match=why) as e: list(album.batches(order))
        assert type(e.value) is CorruptImage and str(e.value).startswith(f"'{path}' can't be decoded (") and '\n' not in str(e.value)
        assert '--skip_corrupt (skip_corrupt=True)' in str(e.value)
    path.unlink() # a picture that has gone is not a corrupt one
    with pytest.raises(FileNotFoundError) as f: list(album.batches(order))
    assert f.value.filename == str(path)
    path.write_bytes(good)
    assert sum(len(y) for _, y in album.batches(order)) == 18
    with pytest.raises(ValueError): list(album.batches(order, [torch.rand(2, 4)]*6)) # too few numbers
    with pytest.raises(ValueError): list(album.batches(order, [torch.rand(3, 4)]*5))


@pytest.mark.parametrize('name', ['tinyimagenet', 'imagenet'])
def test_corrupt_pictures_are_skipped_and_counted(at, name):
    folder, again = at(name)
    whole = again()
    bad = sorted((folder/'train').rglob('*_3.JPEG'))[:2] + sorted((folder/'val').rglob('*.JPEG'))[:1]
    for path in bad: damage(path)
    with pytest.raises(CorruptImage, match=r'can.t be decoded'): everything(again())
    with pytest.warns(UserWarning) as said: d = again(skip_corrupt=True)
    assert [str(w.message) for w in said if 'left out' in str(w.message)] == [f"3 of 32 pictures can't be decoded and are left out; the first is '{bad[0]}'"]
    everything(d)
    assert len(d.train) + len(d.valid) == 22 and len(d.test) == 7 and d.fingerprint() != whole.fingerprint()
    for path in bad:
        path.unlink()
        if (notes := folder/'val/val_annotations.txt').exists(): notes.write_text(re.sub(f'{path.name}.*\n', '', notes.read_text()))
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*left out')
        assert again(skip_corrupt=True).fingerprint() == d.fingerprint() # as if they had never been there


def test_other_loaders_ignore_what_is_corrupt(small):
    assert load('mnist', small, skip_corrupt=True).fingerprint() == load('mnist', small).fingerprint()


def test_moments_of_files(album, monkeypatch):
    x = pixels(album).double()
    mean, std = album.mean_std
    assert torch.allclose(mean.double(), x.mean((0, 2, 3))) and torch.allclose(std.double(), x.std((0, 2, 3), correction=0))
    assert album.mean_std[0] is mean # counted once
    many = album[torch.arange(18).repeat(100)] # 1,800 pictures, of which 1,000 are looked at: evenly spread
    seen = []
    monkeypatch.setattr(Images, 'batches', lambda self, order: (seen.extend(torch.cat(list(order)).tolist()), iter([(x[:1].byte(), 0)]))[1])
    assert len(many.mean_std[0]) == 3 and len(seen) == 1000 and seen == [i*1800//1000 for i in range(1000)]


def test_the_fingerprint_of_files(small, tmp_path):
    shutil.copytree(small/'imagenet', tmp_path/'imagenet')
    first, elsewhere = load('imagenet', small), load('imagenet', tmp_path)
    assert first.fingerprint() == elsewhere.fingerprint() # a folder may move
    assert len({s.fingerprint() for s in (first.train, first.valid, first.test)}) == 3
    test, path = first.test, Path(elsewhere.test.x.path(0))
    assert Images(test.x, test.y.flip(0), test.classes).fingerprint() != test.fingerprint()
    with path.open('ab') as f: f.write(b'\0')
    longer = load('imagenet', tmp_path)
    assert longer.test.fingerprint() != test.fingerprint() and longer.train.fingerprint() == first.train.fingerprint()
    path.rename(path.with_name('n_renamed.JPEG'))
    assert load('imagenet', tmp_path).test.fingerprint() not in (test.fingerprint(), longer.test.fingerprint())


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_pictures_are_never_all_in_memory(small):
    "In a fresh process, whose greatest size is known: 1,200 pictures are 180 MB as bytes, of which a few batches of 2 MB are on their way"
    program = rf'''
import re, torch
from pathlib import Path
from colt.data import load
train = load('imagenet', {str(small)!r}).train
def greatest(): return int(re.search(r'VmHWM:\s*(\d+)', Path('/proc/self/status').read_text())[1])/1024 # getrusage would remember the process before `exec`
order, n = torch.arange(1200).remainder(len(train)).split(16), 0
next(iter(train.batches([order[0]], [torch.rand(16, 4)]))) # everything is imported
before = greatest()
for x, y in train.batches(order, (torch.rand(len(i), 4) for i in order)): n += len(x)*bool(x.numpy().max()) # looks at every pixel
print(n, greatest() - before)
'''
    n, grown = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True, timeout=120).stdout.split()
    assert n == '1200' and float(grown) < 60, grown


def test_a_signal_to_the_whole_job_leaves_time_to_save_and_no_process_waits_at_the_end(small):
    program = rf'''
import os, signal, sys, time, torch
from colt.data import image_files, load
image_files._count_workers = lambda order: 2
train, held = load('imagenet', {str(small)!r}).train, []
signal.signal(signal.SIGTERM, lambda *_: held.append(1))
order = torch.arange(64).remainder(len(train)).split(2)
for i, (x, y) in enumerate(train.batches(order)):
    if i == 1: os.killpg(0, signal.SIGTERM)
left = train.batches(order)
next(left)                         # is not read to its end
print(i, held, flush=True)
'''
    said = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True, timeout=60, start_new_session=True).stdout
    assert said == '31 [1]\n'


# Content decides nothing that the name did not say, and sizes are compared before they are believed

some = settings(deadline=None, derandomize=True, max_examples=60)
KINDS = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.jfif': 'JPEG', '.jpe': 'JPEG', '.png': 'PNG', '.webp': 'WEBP', '.bmp': 'BMP', '.gif': 'GIF',
         '.tif': 'TIFF', '.tiff': 'TIFF', '.ppm': 'PPM', '.pgm': 'PPM', '.pbm': 'PPM', '.pnm': 'PPM'}


def packed(kind, picture=None):
    "A picture of 30 × 20 pixels in one of Pillow's formats"
    file = io.BytesIO()
    (picture or Image.fromarray(sets.blob(np.random.default_rng(0), 1, 4, 20, 30))).save(file, kind)
    return file.getvalue()


def read_one(path): return ImageFiles(str(path.parent), np.array([os.fsencode(path.name)]), 16).read()


@contextmanager
def at_most(megabytes):
    "What is allocated in between, by Python and NumPy, stays below this"
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes*1e6
    finally: tracemalloc.stop()


@pytest.mark.parametrize('ending', KINDS)
def test_the_ending_decides_how_a_picture_is_read(tmp_path, ending, monkeypatch):
    def never(*_, **__): raise AssertionError('a program was started')
    monkeypatch.setattr(subprocess, 'Popen', never)
    monkeypatch.setattr(os, 'system', never)
    path = tmp_path/f'x{ending.upper()}'
    for kind in {*KINDS.values(), 'EPS', 'PDF', 'PCX', 'TGA', 'ICO', 'SGI', 'IM'}:
        path.write_bytes(packed(kind))
        if kind == KINDS[ending] or (ending, kind) == ('.jpeg', 'PNG'): assert read_one(path).shape == (1, 3, 16, 16)
        else:
            with pytest.raises(CorruptImage, match=f"x{ending.upper()}' can't be decoded .*{KINDS[ending]}"): read_one(path)
    path.rename(tmp_path/'x')
    with pytest.raises(CorruptImage, match='its name ends in none of'): read_one(tmp_path/'x')


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path/'a').mkdir()
    (tmp_path/'a/good.png').write_bytes(packed('PNG'))
    (tmp_path/'a/folder.png').mkdir()
    os.mkfifo(tmp_path/'a/fifo.png')
    for name, target in ('dangling', 'nowhere'), ('loop', 'loop.png'), ('device', '/dev/zero'), ('toafolder', '.'):
        (tmp_path/f'a/{name}.png').symlink_to(target)
    images = from_folder(tmp_path, memory=False)
    with pytest.raises(CorruptImage, match=r"dangling.png' can't be decoded \(it is a link that leads nowhere\)"): images.fingerprint()
    for i in range(len(images)):
        if images.x.path(i).endswith('good.png'): continue
        with pytest.raises(CorruptImage, match=re.escape(images.x.path(i)) + '.*it is a (link|folder|pipe)'): images.x[i]
    with pytest.warns(UserWarning, match='6 of 7 pictures'): assert len(from_folder(tmp_path, skip_corrupt=True)) == 1
    for name in 'fifo', 'dangling', 'folder', 'loop', 'device':
        for read in read_idx, read_pickle, lambda path: unpack(path, tmp_path/'set'):
            with pytest.raises(ValueError, match=f'{name}.png.* it is a (link|folder|pipe)'): read(tmp_path/f'a/{name}.png')


def test_without_permission_nothing_is_called_damaged(small, tmp_path, monkeypatch):
    path, true_open = tmp_path/'x.png', io.open
    path.write_bytes(packed('PNG'))
    def refuse(file, *args, **kw):
        if str(file) == str(path): raise PermissionError(13, 'Permission denied', str(file))
        return true_open(file, *args, **kw)
    monkeypatch.setattr('builtins.open', refuse)
    for read in read_one, read_idx, read_pickle, lambda path: unpack(path, tmp_path/'set'):
        with pytest.raises(PermissionError) as e: read(path)
        assert e.value.filename == str(path)


BOMBS = {                                            # each is made by its own test: together they take two seconds
    'many.png': (lambda: packed('PNG', Image.new('1', (9000, 9000))), r'claims 9,000 × 9,000 pixels'),
    'warned.png': (lambda: packed('PNG', Image.new('1', (10_000, 9500))), r'claims (10,000 × 9,500|more than 89,478,485) pixels'),
    'refused.png': (lambda: packed('PNG', Image.new('1', (20_000, 19_000))), r'claims more than 89,478,485 pixels'),
    'long.png': (lambda: packed('PNG', Image.new('1', (9000, 1))), r'has 9,000 × 1 pixels; a side'),
    'copies.webp': (lambda: packed('WEBP', Image.new('RGB', (9000, 1000))), r'claims 9,000 × 1,000 pixels'),
    'claims.bmp': (lambda: packed('BMP')[:18] + (60_000).to_bytes(4, 'little')*2 + packed('BMP')[26:], 'pixels'),
    'claims.ppm': (lambda: b'P6 8000 8000 255\n' + bytes(99), 'claims 8,000 × 8,000'),
    'claims.gif': (lambda: packed('GIF')[:6] + b'\xff'*4 + packed('GIF')[10:], 'pixels'),
    'deep.png': (lambda: packed('PNG', Image.fromarray(np.zeros((9, 9), np.uint16))), '8 bits in a channel'),
    'deep.tif': (lambda: packed('TIFF', Image.fromarray(np.zeros((9, 9), np.float32))), '8 bits in a channel')}


@pytest.mark.parametrize('name', BOMBS)
def test_pictures_that_claim_too_much(tmp_path, name):
    content, why = BOMBS[name]
    (tmp_path/name).write_bytes(content())
    with warnings.catch_warnings(record=True) as said, pytest.raises(CorruptImage, match=rf"{name}' can't be decoded \(.*{why}"):
        warnings.simplefilter('always')
        read_one(tmp_path/name)
    assert said == []


def change(data, good):
    "Some bytes overwritten, and perhaps the end missing"
    bad = bytearray(good)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=6)):
        bad[place] = value
    return bytes(bad[:data.draw(st.one_of(st.just(len(bad)), st.integers(0, len(bad))))])


@pytest.mark.filterwarnings('ignore::UserWarning:PIL')
@pytest.mark.parametrize('kind', sorted({*KINDS.values()}))
def test_any_damage_to_a_picture_is_one_error(tmp_path, kind):
    path, good = tmp_path/f'x{next(e for e in KINDS if KINDS[e] == kind)}', packed(kind)
    @some
    @given(st.data())
    def check(data):
        path.write_bytes(change(data, good))
        try: assert read_one(path).shape == (1, 3, 16, 16)
        except CorruptImage as e: assert str(path) in str(e) and '\n' not in str(e)
    check()


@some
@given(st.lists(st.sampled_from([0, 1, 2, 3, 28, 65_537, 2**32 - 1]), max_size=6), st.integers(0, 40), st.booleans(), st.integers(0, 30))
def test_any_claim_of_an_idx_file_is_compared(shape, n, gz, cut):
    raw = bytes([0, 0, 8, len(shape)]) + b''.join(k.to_bytes(4, 'big') for k in shape) + bytes(range(n))
    honest = cut == 0 and len(shape) < 5 and np.prod([float(k) for k in shape]) == n
    with tempfile.TemporaryDirectory() as folder, at_most(80):
        path = Path(folder)/('x.gz' if gz else 'x')
        raw = gzip.compress(raw) if gz else raw
        path.write_bytes(raw[:len(raw) - cut])
        try: assert read_idx(path).flatten().tolist() == list(range(n)) and honest
        except ValueError as e: assert str(path) in str(e) and not honest


def test_files_that_grow(tmp_path):
    "4 MB that unpack to 4 GB, and files whose size alone is too much"
    for dims in (3, 60_000, 28, 28), (1, 2**32 - 1), (3, 1, 1, 1):
        with gzip.open(tmp_path/'x.gz', 'wb') as f:
            f.write(bytes([0, 0, 8, dims[0]]) + b''.join(k.to_bytes(4, 'big') for k in dims[1:]))
            for _ in range(300): f.write(bytes(10**6))
        with at_most(60), pytest.raises(ValueError, match=r'x.gz has'): read_idx(tmp_path/'x.gz')
    with (tmp_path/'large').open('wb') as f: f.truncate(2**40)
    with at_most(60), pytest.raises(ValueError, match=r'large has 1,099,511,627,776 bytes'): read_pickle(tmp_path/'large')
    with at_most(60), pytest.raises(ValueError, match=r'large is no idx file'): read_idx(tmp_path/'large')
    with (tmp_path/'wnids.txt').open('wb') as f: f.truncate(2**40)
    with at_most(60), pytest.raises(ValueError, match=r'wnids.txt has 1,099,511,627,776 bytes'): folders.read_tinyimagenet(tmp_path)


@pytest.mark.parametrize('batch', ['data_batch_1', 'batches.meta'])
def test_any_damage_to_a_pickle_is_one_error(at, batch):
    folder, again = at('cifar10')
    good = (folder/batch).read_bytes()
    @settings(some, max_examples=100)
    @given(st.data())
    def check(data):
        (folder/batch).write_bytes(change(data, good if len(good) < 999 else good[:200] + good[-200:]))
        try: again(valid=.4)
        except ValueError as e: assert str(folder/batch) in str(e)
    check()


def zip_of(entries, kind=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', kind) as z:
        for name, content in entries: z.writestr(name, content)
    return file.getvalue()


@settings(some, max_examples=150)
@given(st.data())
def test_any_damage_to_a_zip_file_is_one_error(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)/'x.zip'
        path.write_bytes(change(data, zip_of([('set/a', b'abc'*9), ('set/b/c', b'12345')])))
        try: unpack(path, Path(folder)/'set')
        except ValueError as e: assert str(path) in str(e)
        assert {p.name for p in Path(folder).iterdir()} <= {'x.zip', 'set'}


def test_zip_files_that_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, '_MOST_ENTRIES', 300)
    zeros = [(f'set/{i}', bytes(10**8)) for i in range(3)]
    lying = bytearray(zip_of([('set/a', bytes(10**6))]))
    for signature, place in (b'PK\3\4', 22), (b'PK\1\2', 24): # says that it has ten bytes
        at = lying.index(signature) + place
        lying[at:at + 4] = (10).to_bytes(4, 'little')
    for content, why in ((zip_of(zeros), 'claims to contain 300,000,000'), (zip_of(zeros[:1], zipfile.ZIP_BZIP2), 'not deflated'),
                         (zip_of(zeros[:1], zipfile.ZIP_LZMA), 'not deflated'), (bytes(lying), 'is damaged'),
                         (zip_of((f'{i}', b'') for i in range(301)), 'has 301 entries')):
        (tmp_path/'x.zip').write_bytes(content)
        with at_most(100), pytest.raises(ValueError, match=f'x.zip .*{why}'): unpack(tmp_path/'x.zip', tmp_path/'set')
        assert [p.name for p in tmp_path.iterdir()] == ['x.zip']


# Your own

def test_a_folder_in_memory_and_in_files_is_the_same(small, tmp_path):
    inside, outside = (from_folder(small/'imagenet/train', 32, memory=m) for m in (True, False))
    assert isinstance(inside.x, torch.Tensor) and isinstance(outside.x, ImageFiles) and inside.classes == outside.classes == tuple(sorted(sets.WNIDS))
    assert torch.equal(inside.x, pixels(outside)) and torch.equal(inside.y, outside.y)
    (folder := tmp_path/'b').mkdir()
    (tmp_path/'.hidden').mkdir()
    with pytest.raises(ValueError, match="b' has no pictures"): from_folder(tmp_path)
    for name in 'x.JPG', 'y.Png', 'z.webp', 'u.bmp', '._x.JPG', 'notes.txt':
        Image.new('RGB', (9, 8)).save(folder/name, {'.bmp': 'BMP', '.Png': 'PNG', '.webp': 'WEBP'}.get(Path(name).suffix, 'JPEG'))
    assert len(from_folder(tmp_path)) == 4
    with pytest.raises(ValueError, match='is not a folder'): from_folder(tmp_path/'nowhere')


def test_a_picture_stays_found_when_the_process_moves(small, monkeypatch):
    monkeypatch.chdir(small)
    images = from_folder('imagenet/val', 16, memory=False)
    monkeypatch.chdir('/')
    assert len(pixels(images)) == 8


def test_arrays_of_any_kind():
    a, y = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3), np.uint8), np.array([0, 1, 2]*2)
    truth = torch.from_numpy(a.transpose(0, 3, 1, 2).copy())
    frozen = a.copy()
    frozen.flags.writeable = False
    for x in a, frozen, a[::-1, :, ::-1][::-1, :, ::-1], torch.from_numpy(a), truth, truth.numpy(), a/255, (a/255).astype(np.float32), truth.double()/255:
        for labels in y, y.tolist(), torch.from_numpy(y), y.astype(np.uint8), y.astype('>i4'), y*1., y[:, None], np.eye(3, dtype=bool)[y]:
            found = from_arrays(x, labels)
            assert torch.equal(found.x, truth) and found.x.is_contiguous() and found.y.tolist() == y.tolist() and found.classes == ('0', '1', '2')
    held = from_arrays(a, y, ['a', 'b', 'c'])
    a[:] = 0
    assert torch.equal(held.x, truth) and held.classes == ('a', 'b', 'c')
    assert torch.equal(from_arrays(truth[:, 0], y).x, truth[:, :1]) and torch.equal(from_arrays(truth[:, :1].numpy().transpose(0, 2, 3, 1), y).x, truth[:, :1])
    a = truth.numpy()
    for x, labels, message in ((a[:, :2], y, 'with c 1 or 3'), (a[0, 0], y, 'with c 1 or 3'), (a.astype(int), y, 'pass uint8'), (a*1., y, 'divide by 255'),
                               (a*np.nan, y, 'floats must go from 0 to 1'), (a, y*1.1, 'label 1 is 1.1; labels are whole numbers'),
                               (a, ['cat']*6, 'whole numbers'), (a, y[:5], 'one label for each image'), (a, y - 1, 'label 0 is -1'),
                               ([['x']], y, r'picture 0: the picture is a list of shape \(1,\)')):
        with pytest.raises(ValueError, match=message): from_arrays(x, labels)
    with pytest.raises(ValueError, match='there are 2 classes'): from_arrays(a, y, 'ab')


def test_data_sets_of_others(small):
    from torchvision.datasets import FakeData, ImageFolder
    folder = ImageFolder(small/'imagenet/train', T.Compose([T.Resize(36), T.CenterCrop(32)]))
    found = from_dataset(folder)
    assert found.classes == tuple(folder.classes) and found.y.tolist() == folder.targets and found.shape == (3, 32, 32)
    assert torch.equal(found.x[5], TF.pil_to_tensor(folder[5][0]))
    folder.transform = T.Compose([folder.transform, T.ToTensor()])
    assert torch.equal(from_dataset(folder).x, found.x)
    with pytest.raises(ValueError, match=r'picture 1 is .*, picture 0 is .*bring them to one size'): from_dataset(ImageFolder(small/'imagenet/train'))
    grey = from_dataset([(Image.fromarray(np.full((5, 4), i, np.uint8)), torch.tensor(i)) for i in range(3)])
    assert grey.shape == (1, 5, 4) and grey.x[:, 0, 0, 0].tolist() == grey.y.tolist() == [0, 1, 2]
    assert from_dataset([(Image.new('P', (4, 5)), 0)]).shape == (3, 5, 4)
    with pytest.raises(ValueError, match='pass uint8'): from_dataset([(Image.fromarray(np.zeros((4, 4), np.uint16)), 0)])
    d = split(from_dataset(FakeData(30, (3, 8, 8), 2)), valid=.25)
    assert [len(s) for s in (d.train, d.valid, d.test)] == [18, 6, 6]


def test_a_split_is_by_class_and_by_seed():
    images = from_arrays(np.arange(100, dtype=np.uint8)[:, None, None], np.arange(100) % 4)
    a, b, c = split(images), split(images, seed=1), split(images, name='other')
    assert a.test.y.bincount().tolist() == [5]*4 and [len(s) for s in (a.train, a.valid, a.test)] == [72, 8, 20]
    assert a.test.fingerprint() == b.test.fingerprint() != c.test.fingerprint() and a.valid.fingerprint() != b.valid.fingerprint()
    assert sorted(torch.cat([s.x for s in (a.train, a.valid, a.test)]).flatten().tolist()) == list(range(100))
    given = split(images[:80], images[80:])
    assert given.test.fingerprint() == images[80:].fingerprint()
    with pytest.raises(ValueError, match='they belong to different sets'): split(images, Images(images.x, images.y, tuple('abcd')))
    with pytest.raises(ValueError, match='they belong to different sets'): split(images, from_arrays(np.zeros((4, 2, 2), np.uint8), np.arange(4)))


# Values in other people's types

def pictures(n, *shape): return np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)


@settings(some, max_examples=200)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=9),
       st.sampled_from(['bool', 'uint8', 'int8', '>i4', 'int64', 'uint64', 'float16', 'float64', 'object', 'torch', 'bfloat16', 'list', 'scalars']),
       st.sampled_from(['n', 'n1', 'hot']))
def test_labels_of_any_type_and_shape(labels, kind, shape):
    if kind == 'bool' and shape != 'hot': labels = [i % 2 for i in labels]
    y = np.array(labels)
    given = {'n': y, 'n1': y[:, None], 'hot': np.eye(5, dtype=int)[y]}[shape]
    if kind == 'torch': given = torch.tensor(given)
    elif kind == 'bfloat16': given = torch.tensor(given).bfloat16()
    elif kind == 'list': given = given.tolist()
    elif kind == 'scalars': given = [torch.tensor(i) for i in given] if shape == 'n' else [np.array(i) for i in given]
    else: given = given.astype(kind)
    assert from_arrays(pictures(len(y), 4, 4), given, 'abcde').y.tolist() == labels
    if shape == 'hot': assert from_arrays(pictures(len(y), 4, 4), given).classes == tuple('01234')


@some
@given(st.lists(st.one_of(st.integers(-2**70, 2**70), st.floats(), st.sampled_from([10**9, 2**63, .7, 1.2, -1])), min_size=1, max_size=6),
       st.sampled_from([None, 'abc']))
def test_any_other_label_is_refused_without_its_size_in_memory(labels, classes):
    with at_most(5):
        try: found = from_arrays(pictures(len(labels), 2, 2), labels, classes)
        except ValueError as e: assert str(e).startswith('from_arrays: ')
        else: assert found.y.tolist() == labels and max(labels) < len(found.classes) <= 6


def test_labels_that_are_refused_in_words():
    x = pictures(3, 4, 4)
    for y, why in (([0, .7, 1.2], 'label 1 is 0.7'), ([10**9, 0, 1], 'no image has the label 2'), ([[1, 0], [1, 1], [0, 1]], 'row 1 is not one-hot'),
                   ([[.5, .5]]*3, 'row 0 is not one-hot'), (np.zeros((3, 2, 2)), r'y is \(3, 2, 2\)'), ([0, 1, float('nan')], 'label 2 is nan'),
                   ([[0, 1, 2]], r'y is \(1, 3\), but its row 0'), ([0, None, 1], 'label 1 is None'), (5, r'y is \(\)'), ([[0], [1, 2], [1]], 'from_arrays: ')):
        with pytest.raises(ValueError, match=why): from_arrays(x, y)
    with pytest.raises(ValueError, match='labels go from 0 to 1000000000, but there are 2 classes'): from_arrays(x, [0, 1, 10**9], 'ab')
    assert from_arrays(x, [0, 3, 3], 'abcd').y.tolist() == [0, 3, 3] # a gap, where the classes are named


def test_pixels_that_are_refused_in_words():
    y = [0, 1, 2]
    for x, why in ((np.random.default_rng(0).normal(size=(3, 4, 4)), 'these seem to be standardised'), (pictures(3, 4, 4)*1., 'divide by 255'),
                   (np.full((3, 4, 4), np.inf), 'not finite'), (pictures(3, 4, 4).astype(np.uint16), 'x is uint16; .*x/65535'),
                   (np.zeros((3, 0, 4)), 'no pixels'), (np.zeros((3, 4, 4), complex), 'x is complex128'), (['a', 'b', 'c'], 'picture 0: the picture is a str'),
                   ([np.zeros((4, 4)), np.zeros((5, 4)), 0], 'from_arrays: ')):
        with pytest.raises(ValueError, match=why): from_arrays(x, y)
    assert from_arrays(torch.ones(3, 4, 4).bfloat16(), y).x.unique().tolist() == [255]


class Items(Dataset):
    "A data set of torch, with a length that may lie"
    def __init__(self, items, n=None): self.items, self.n = items, len(items) if n is None else n
    def __len__(self): return self.n
    def __getitem__(self, i): return self.items[i]


class Stream(IterableDataset):
    def __init__(self, items): self.items = items
    def __iter__(self): return iter(self.items)


class Sized(Stream):
    def __len__(self): return 3


class Features:
    "Like a data set of Hugging Face: dictionaries, and the names of the classes in its features"
    def __init__(self, items, key):
        self.items = [dict(zip(('img', key), item, strict=True)) for item in items]
        self.features = {key: type('ClassLabel', (), {'names': ['cat', 'dog', 'emu']})()}
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]


@settings(some, max_examples=150)
@given(st.sampled_from([list, Items, Stream, Sized, iter, lambda items: Features(items, 'label'), lambda items: Features(items, 'fine_label'),
                        lambda items: [{'image': x, 'labels': y} for x, y in items], lambda items: Subset(Items(items + items), [0, 1, 2])]),
       st.sampled_from([lambda p: p, Image.fromarray, torch.from_numpy, lambda p: torch.from_numpy(p).permute(2, 0, 1)/255]),
       st.sampled_from([int, float, np.uint8, torch.tensor, lambda i: np.array([i]), lambda i: np.eye(3)[i], lambda i: torch.eye(3)[i].tolist()]))
def test_any_data_set_of_others(wrap, picture, label):
    x = pictures(3, 5, 4, 3)
    found = from_dataset(wrap([(picture(p), label(i)) for i, p in enumerate(x)]))
    assert torch.equal(found.x, from_arrays(x, [0, 1, 2]).x) and found.y.tolist() == [0, 1, 2]
    assert found.classes == (('cat', 'dog', 'emu') if wrap([]).__class__ is Features else ('0', '1', '2'))


def test_data_sets_that_are_refused_in_words():
    good = [(p, i) for i, p in enumerate(pictures(3, 5, 4, 3))]
    p, tensors = good[0][0], TensorDataset(torch.zeros(9, 3, 4, 4), torch.zeros(9).long())
    for dataset, why in (
            ([(p, 0, 'more')], 'item 0: it is a tuple of 3; it must be a pair'), ([good[0], p], 'item 1: it is a ndarray; it must be a pair'),
            ([good[0], {'image': p}], "item 1: it has the keys 'image'"), ({'train': good, 'test': good}, "a dictionary of 'train', 'test'"),
            ([good[0], (p, .5)], 'label 1 is 0.5'), ([good[0], (p, 'cat')], "item 1: the label is 'cat'"), ([good[0], (p, None)], 'item 1: the label is None'),
            ([good[0], (p, [0, 1])], 'label 1 has 2 values, label 0 has 1'), ([(p, np.eye(2))], r'item 0: the label has the shape \(2, 2\)'),
            ([good[0], (p/255*2 - 1, 1)], 'item 1: the picture goes from .* standardised'), ([good[0], (None, 1)], 'item 1: the picture is a NoneType'),
            ([good[0], (p[1:], 1)], 'picture 1 is .* bring them to one size'), ([], 'the data set is empty'), (iter([]), 'the data set is empty'),
            (Items(good, 9), r"item 3 can't be read \(IndexError"), (Items(good, 0), 'the data set is empty'),
            (Sized(good[:2]), 'says that it has 3 items, but it has 2'), (Sized(good*2), 'says that it has 3 items, but it has more'),
            (DataLoader(tensors, 4), r'a DataLoader, which gives batches; pass its `\.dataset`'), (5, 'this is a int, which has no items'),
            (from_arrays(pictures(3, 4, 4), [0, 1, 2]), 'Images already; `split` makes a Dataset'),
            ([(Image.new('I;16', (4, 4)), 0)], 'item 0: x is uint16')):
        with pytest.raises(ValueError, match=why) as e: from_dataset(dataset)
        assert str(e.value).startswith('from_dataset: ') or 'label 1' in why
        assert '\n' not in str(e.value)


def test_a_stream_without_an_end(monkeypatch):
    from itertools import count
    monkeypatch.setattr('colt.data.own._UNCOUNTED', 10**5)
    with pytest.raises(ValueError, match='no length and more than'): from_dataset((pictures(1, 9, 9)[0], 0) for _ in count())


def test_grey_pictures_among_colour_ones_are_converted():
    grey, colour = pictures(1, 5, 4)[0], pictures(1, 5, 4, 3)[0]
    for first, second in (grey, colour), (colour, grey), (Image.fromarray(grey), Image.fromarray(colour)), (grey[None], colour/255):
        found = from_dataset([(first, 0), (second, 1)])
        assert found.shape == (3, 5, 4) and sum(bool((x == x[:1]).all()) for x in found.x) == 1


def test_images_that_are_not_split_or_no_images():
    from colt.plans import plan
    from colt.recipe import Recipe
    images = from_arrays(pictures(40, 4, 4), np.arange(40) % 4)
    with pytest.raises(AttributeError, match=r'`split\(images\)` makes a Dataset'): by_class(images, 2)
    for data in (lambda: plan(Recipe(dataset='own', arch='fc1'), images)), lambda: load('mnist', images):
        with pytest.raises(ValueError, match=r'`split\(images\)` makes a Dataset'): data()
    for wrong, why in (split(images, valid=.2), 'it is split already'), (images.x, '`from_arrays`'), ([], '`from_dataset`'):
        with pytest.raises(ValueError, match=f'split: this is a .*{why}'): split(wrong)
    for x, y, classes, why in ((images.x.numpy(), images.y, tuple('abcd'), 'x is a ndarray'), (images.x, images.y.tolist(), tuple('abcd'), 'y is a list'),
                               (images.x, images.y, 4, 'classes is a int')):
        with pytest.raises(ValueError, match=why): Images(x, y, classes)


def test_what_is_left_out_or_missing_is_said_with_its_number(tmp_path):
    for name in 'a', 'b', 'c', 'd':
        (tmp_path/name).mkdir()
        for i in range(12 if name < 'c' else 1): (tmp_path/name/f'{i}.png').write_bytes(packed('PNG'))
    for name in 'a/x.heic', 'b/y.SVG', 'b/z.heic': (tmp_path/name).touch()
    with pytest.warns(UserWarning, match=r"3 files were left out, because their endings are not read \(.heic 2, .svg 1\); the first is '.*a/x.heic'"):
        images = from_folder(tmp_path, 8)
    with pytest.warns(UserWarning, match=r"own: .*2 of 4 classes have no image for validation \('c', 'd'\)"): split(images)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        split(from_arrays(pictures(40, 4, 4), np.arange(40) % 2))
    for name in 'e', 'f', 'g': (tmp_path/name).mkdir()
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=r"e' has no pictures, and so for 2 more \('f', 'g'\)"): from_folder(tmp_path)
    sets.make(tmp_path, 'tinyimagenet')
    for name in 'n1', 'n2': (tmp_path/f'tiny-imagenet-200/train/{name}').mkdir()
    with pytest.warns(UserWarning, match=r"2 folders or files that wnids.txt does not name; they are left out \('n1', 'n2'\)"): load('tinyimagenet', tmp_path)
    for side in 0, -1, 2.5, '64', 10**9:
        with pytest.raises(ValueError, match='side is'): from_folder(tmp_path, side)
