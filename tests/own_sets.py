"""Data sets as other people have them, and what happens to each: read to the right bytes and labels, or refused in one sentence

    ROWS        each with the pictures that it must give, made by NumPy and Pillow alone, or with words of the sentence that refuses it

A third are picked by hand, after reports of users of torchvision, timm, Keras and Hugging Face; the others are drawn from kinds of pixels, layouts,
containers and labels. `test_datasets.py` tries them, and `tools/your_images.py` makes a page of them.
"""
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, StackDataset, Subset, TensorDataset

N, SIDE = 30, 8
_rng = np.random.default_rng(0)
GREY, COLOUR = _rng.integers(0, 256, (N, SIDE, SIDE), np.uint8), _rng.integers(0, 256, (N, SIDE, SIDE, 3), np.uint8)
Y = np.arange(N) % 3
GREY_TRUTH, TRUTH = GREY[:, None], COLOUR.transpose(0, 3, 1, 2)


@dataclass(frozen=True)
class Row:
    kind: str # pixels, lists, labels, data sets, folders or drawn
    what: str # in words
    make: Callable[[Path], Any] # what is handed over, made anew in an empty folder
    x: np.ndarray|None = None # uint8 (n, c, h, w): what must be read; None if it is refused
    y: Any = (0, 1, 2)*10 # what the labels must be
    classes: tuple[str, ...] = ('0', '1', '2')
    said: str = '' # words of the error, or of a warning


def grey(kind, what, make, **kw): return Row(kind, what, make, GREY_TRUTH, **kw)
def colour(kind, what, make, **kw): return Row(kind, what, make, TRUTH, **kw)
def refused(kind, what, make, said): return Row(kind, what, make, said=said)
def with_value(value): return np.where(np.arange(N)[:, None, None] == 5, value, GREY/255)


def mapped(path):
    np.save(path/'x.npy', GREY)
    return np.load(path/'x.npy', mmap_mode='r')


def pil(array, mode=None): return Image.fromarray(array).convert(mode) if mode else Image.fromarray(array)
def objects(pictures):
    found = np.empty(len(pictures), object)
    for i, picture in enumerate(pictures): found[i] = picture
    return found
class Column:
    "As a column of a table of pandas: no array, but it becomes one"
    def __init__(self, values): self.values = values
    def __array__(self, dtype=None, copy=None): return self.values
def palette(picture): return pil(picture).convert('P')


PIXELS = [
    grey('pixels', 'bytes, n × height × width', lambda p: (GREY, Y)),
    colour('pixels', 'bytes, channels last', lambda p: (COLOUR, Y)),
    colour('pixels', 'bytes, channels first', lambda p: (TRUTH, Y)),
    grey('pixels', 'floats from 0 to 1', lambda p: ((GREY/255).astype(np.float32), Y)),
    grey('pixels', 'floats that rounding takes just beyond 0 and 1', lambda p: (GREY/255*1.0002 - .0001, Y)),
    Row('pixels', 'True and False', lambda p: (GREY > 99, Y), (GREY_TRUTH > 99)*np.uint8(255)),
    grey('pixels', 'nested lists of floats', lambda p: ((GREY/255).tolist(), Y)),
    grey('pixels', 'an array that is mapped from a file', lambda p: (mapped(p), Y)),
    grey('pixels', 'a masked array in which nothing is masked', lambda p: (np.ma.masked_array(GREY), Y)),
    grey('pixels', 'a bfloat16 tensor', lambda p: ((torch.tensor(GREY)/255).bfloat16(), Y), said='bfloat16'),
    grey('pixels', 'a tensor that requires a gradient', lambda p: ((torch.tensor(GREY)/255).requires_grad_(), Y)),
    colour('pixels', 'a tensor with the memory format channels_last',
           lambda p: (torch.tensor(TRUTH).contiguous(memory_format=torch.channels_last), Y)),
    refused('pixels', 'a masked array in which pixels are masked', lambda p: (np.ma.masked_array(GREY, GREY > 200), Y), 'some values are masked'),
    refused('pixels', 'whole numbers in int64', lambda p: (GREY.astype(np.int64), Y), 'x is int64; pass uint8'),
    refused('pixels', 'nested lists of whole numbers', lambda p: (GREY.tolist(), Y), 'picture 0: x is int64; pass uint8'),
    refused('pixels', '16 bits', lambda p: (GREY.astype(np.uint16)*257, Y), 'x/65535'),
    refused('pixels', 'floats from 0 to 255', lambda p: (GREY*1., Y), 'divide by 255'),
    refused('pixels', 'floats from 0 to 16, as in scikit-learn', lambda p: (GREY//16*1., Y), 'divide by what white is'),
    refused('pixels', 'standardised', lambda p: (GREY/255*2 - 1, Y), 'seem to be standardised'),
    refused('pixels', 'one standardised picture among others', lambda p: (with_value(-.5), Y), 'picture 5 goes from -0.5'),
    refused('pixels', 'a picture of NaN', lambda p: (with_value(np.nan), Y), 'picture 5 .* not finite'),
    refused('pixels', 'an infinite pixel', lambda p: (with_value(np.inf), Y), 'picture 5 .* not finite'),
    refused('pixels', 'complex numbers', lambda p: (GREY + 0j, Y), 'x is complex128'),
    refused('pixels', 'one row for each picture', lambda p: (GREY.reshape(N, -1), Y), 'reshape its rows'),
    refused('pixels', 'an alpha channel', lambda p: (np.concatenate([COLOUR, COLOUR[..., :1]], -1), Y), 'leave out the alpha channel'),
    refused('pixels', 'twelve channels', lambda p: (np.zeros((N, 12, 8, 8), np.uint8), Y), 'with c 1 or 3'),
    refused('pixels', 'a single picture', lambda p: (GREY[0], [0]), r'x is \(8, 8\)'),
    refused('pixels', 'no picture', lambda p: (GREY[:0], []), 'there are no pixels in it'),
    refused('pixels', 'pictures of no height', lambda p: (GREY[:, :0], Y), 'there are no pixels in it'),
    refused('pixels', 'None', lambda p: (None, Y), r'x is \(\)')]

MODES = '1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'YCbCr', 'HSV'
IN_MODES = [pil(picture, mode) for mode, picture in zip(MODES, COLOUR)]

LISTS = [
    grey('lists', 'PIL images in grey', lambda p: ([*map(pil, GREY)], Y)),
    colour('lists', 'PIL images in colour', lambda p: ([*map(pil, COLOUR)], Y)),
    Row('lists', 'PIL images with a palette', lambda p: ([*map(palette, COLOUR)], Y),
        np.stack([np.array(palette(picture).convert('RGB')) for picture in COLOUR]).transpose(0, 3, 1, 2)),
    Row('lists', f'PIL images of the modes {", ".join(MODES)}', lambda p: (IN_MODES, [0]*9),
        np.stack([np.array(picture.convert('RGB')) for picture in IN_MODES]).transpose(0, 3, 1, 2), [0]*9, ('0',)),
    Row('lists', 'PIL images of the modes 1 and LA', lambda p: ([pil(x, m) for x, m in zip(GREY[:6], ('1', 'LA')*3)], Y[:6]),
        np.stack([np.array(pil(x, m).convert('L')) for x, m in zip(GREY[:6], ('1', 'LA')*3)])[:, None], Y[:6]),
    Row('lists', 'grey pictures among pictures in colour', lambda p: ([pil(GREY[0]), COLOUR[1], torch.tensor(GREY[2])], [0, 1, 2]),
        np.stack([np.stack([GREY[0]]*3), TRUTH[1], np.stack([GREY[2]]*3)]), [0, 1, 2]),
    Row('lists', 'bytes, floats and True and False together', lambda p: ([GREY[0], GREY[1]/255, GREY[2] > 99], [0, 1, 2]),
        np.stack([GREY[0], GREY[1], (GREY[2] > 99)*np.uint8(255)])[:, None], [0, 1, 2]),
    grey('lists', 'an array of objects, each a picture', lambda p: (objects(GREY), Y)),
    grey('lists', 'a column of a table, each a picture', lambda p: (Column(objects(GREY)), Column(Y))),
    refused('lists', 'an array of objects, of different sizes', lambda p: (objects([*GREY[:3], GREY[3, 1:]]), [0, 1, 2, 0]), 'picture 3 is '),
    refused('lists', 'pictures of different sizes', lambda p: ([*GREY[:3], GREY[3, 1:]], [0, 1, 2, 0]), r'picture 3 is \[7, 8\], picture 0 is \[8, 8\]'),
    refused('lists', '16-bit PIL images', lambda p: ([pil(GREY[0].astype(np.uint16))], [0]), 'picture 0: x is uint16'),
    refused('lists', 'names of files', lambda p: (['cat.png', 'dog.png'], [0, 1]), 'picture 0: the picture is a str'),
    refused('lists', 'a picture that is missing', lambda p: ([GREY[0], None], [0, 1]), 'picture 1: the picture is a NoneType'),
    refused('lists', 'nothing', lambda p: ([], []), 'x is empty')]

NAMES = ['ape', 'bee', 'cow']
LABELS = [
    grey('labels', 'a column, (n, 1)', lambda p: (GREY, Y[:, None])),
    grey('labels', 'one-hot', lambda p: (GREY, np.eye(3)[Y])),
    grey('labels', 'whole numbers as floats', lambda p: (GREY, Y*1.)),
    grey('labels', "Python's numbers in an array of objects", lambda p: (GREY, Y.astype(object))),
    grey('labels', 'a list of tensors', lambda p: (GREY, [torch.tensor(i) for i in Y])),
    grey('labels', 'True and False', lambda p: (GREY, Y > 0), y=Y > 0, classes=('0', '1')),
    grey('labels', 'one-hot, with a class that no image has', lambda p: (GREY, np.eye(4)[Y]), classes=tuple('0123'),
         said="1 of 4 classes have no image for training"),
    grey('labels', 'the range of all images', lambda p: (GREY, range(N)), y=range(N), classes=tuple(map(str, range(N))), said='classes have no image'),
    refused('labels', '.7 and 1.2', lambda p: (GREY, [.7, 1.2]*15), 'label 0 is 0.7; labels are whole numbers'),
    refused('labels', 'a label that is NaN', lambda p: (GREY, [0., 1, float('nan')]*10), 'label 2 is nan'),
    refused('labels', 'names', lambda p: (GREY, NAMES*10), "label 0 is 'ape'; labels are whole numbers"),
    refused('labels', 'a name among numbers', lambda p: (GREY, np.array([0, 1, 'two']*10, object)), "label 0 is '0'; labels are"),
    refused('labels', 'a label that is missing', lambda p: (GREY, [0, None, 1]*10), 'label 1 is None'),
    refused('labels', 'numbers with gaps', lambda p: (GREY, [0, 5]*15), 'no image has the label 1, but one has 5'),
    refused('labels', 'numbers from 1', lambda p: (GREY, Y + 1), 'no image has the label 0'),
    refused('labels', 'a label of 10⁹', lambda p: (GREY, [0, 10**9]*15), 'no image has the label 1, but one has 1000000000'),
    refused('labels', 'a label of 2⁷⁰', lambda p: (GREY, [0, 1, 2**70]*10), 'label 2 is 1180591620717411303424'),
    refused('labels', '-1 for no label, as in Hugging Face’s test sets', lambda p: (GREY, [0, 1, -1]*10), 'label 2 is -1'),
    refused('labels', 'shares of classes', lambda p: (GREY, np.full((N, 3), 1/3)), 'its row 0 is not one-hot'),
    refused('labels', 'several classes for an image', lambda p: (GREY, np.eye(3)[Y] + np.eye(3)[0]), 'its row 0 is not one-hot'),
    refused('labels', 'masked labels', lambda p: (GREY, np.ma.masked_array(Y, Y == 2)), 'some values are masked'),
    refused('labels', 'fewer labels than images', lambda p: (GREY, Y[:5]), 'one label for each image'),
    refused('labels', 'complex numbers', lambda p: (GREY, Y + 0j), 'label 0 is 0j; labels are whole numbers')]


class Items(Dataset):
    "A data set of torch, with whatever attributes"
    def __init__(self, items, **more): self.__dict__ = more | {'items': items}
    def __len__(self): return getattr(self, 'n', len(self.items))
    def __getitem__(self, i): return self.items[i]


class Stream(IterableDataset):
    def __init__(self, items): self.items = items
    def __iter__(self): return iter(self.items)


class Broken(Items):
    def __getitem__(self, i): return self.items[i] if i != 5 else 1/0


class Nameless(Items):
    classes = property(lambda self: 1/0)


def closed():
    picture = pil(COLOUR[0])
    picture.close()
    return [(picture, 0)]


def pairs(pictures=COLOUR, labels=Y): return [(pil(picture), int(label)) for picture, label in zip(pictures, labels)]
def dicts(picture='image', label='label', **more): return [{picture: x, label: y, **more} for x, y in pairs()]
def features(key): return {key: type('ClassLabel', (), {'names': NAMES})()}


def fake(transform=None):
    from torchvision.datasets import FakeData
    return FakeData(N, (3, SIDE, SIDE), 3, transform)


def fake_truth(): return np.stack([np.array(picture) for picture, _ in fake()]).transpose(0, 3, 1, 2), [label for _, label in fake()]


def normalised():
    from torchvision import transforms as T
    return T.Compose([T.ToTensor(), T.Normalize([.5]*3, [.5]*3)])


def to_tensor():
    from torchvision import transforms as T
    return T.ToTensor()


def image_folder(path):
    from torchvision.datasets import ImageFolder
    for i, c in enumerate(Y): save(path/NAMES[c]/f'{i:02}.png', COLOUR[i])
    return ImageFolder(path)


BY_CLASS = np.argsort(Y, kind='stable') # as folders give them
FAKE_X, FAKE_Y = fake_truth()
TENSORS = TensorDataset(torch.tensor(GREY), torch.tensor(Y))
SETS = [
    grey('data sets', 'TensorDataset', lambda p: TENSORS),
    Row('data sets', "torchvision's FakeData", lambda p: fake(), FAKE_X, FAKE_Y),
    Row('data sets', "torchvision's FakeData with ToTensor", lambda p: fake(to_tensor()), FAKE_X, FAKE_Y),
    Row('data sets', "torchvision's ImageFolder", image_folder, TRUTH[BY_CLASS], Y[BY_CLASS], tuple(NAMES)),
    colour('data sets', 'a list of pairs', lambda p: pairs()),
    colour('data sets', 'a list of lists', lambda p: [*map(list, pairs())]),
    Row('data sets', 'a Subset that misses a class', lambda p: Subset(Items(pairs(), classes=NAMES), [0, 2, 3, 5]), TRUTH[[0, 2, 3, 5]], [0, 2, 0, 2],
        tuple(NAMES), 'classes have no image'),
    Row('data sets', 'joined data sets', lambda p: ConcatDataset([Items(pairs(), classes=NAMES)]*2), np.concatenate([TRUTH]*2), [*Y]*2, tuple(NAMES)),
    colour('data sets', "dictionaries as Hugging Face's, image and label", lambda p: Items(dicts(), features=features('label')), classes=tuple(NAMES)),
    colour('data sets', "Hugging Face's CIFAR-100: img, fine_label and coarse_label",
           lambda p: Items(dicts('img', 'fine_label', coarse_label=0), features=features('fine_label')), classes=tuple(NAMES)),
    colour('data sets', 'StackDataset of dictionaries', lambda p: StackDataset(image=Items(COLOUR), label=Items(Y.tolist()))),
    colour('data sets', 'an iterable data set', lambda p: Stream(pairs())),
    colour('data sets', 'a generator', lambda p: (pair for pair in pairs())),
    colour('data sets', 'a DataLoader without batches', lambda p: DataLoader(Items([(torch.tensor(x), y) for x, y in zip(COLOUR, Y)]), None)),
    colour('data sets', 'labels in vectors of one number', lambda p: [(x, torch.tensor([y])) for x, y in pairs()]),
    colour('data sets', 'one-hot labels', lambda p: [(x, torch.eye(3)[y]) for x, y in pairs()]),
    colour('data sets', 'classes as tuples of names', lambda p: Items(pairs(), classes=[('ape', 'monkey'), ('bee',), ('cow',)]),
           classes=('ape, monkey', 'bee', 'cow')),
    refused('data sets', 'joined data sets of different classes', lambda p: ConcatDataset([Items(pairs(), classes=NAMES), Items(pairs(), classes=NAMES[::-1])]),
            'data set 1 of those that are joined has the classes'),
    refused('data sets', 'a Subset with gaps in its labels', lambda p: Subset(Items(pairs()), [0, 2]), 'no image has the label 1'),
    refused('data sets', 'FakeData with Normalize', lambda p: fake(normalised()), 'item 0: .*seem to be standardised'),
    refused('data sets', 'triples', lambda p: TensorDataset(*TENSORS.tensors, torch.zeros(N)), 'item 0: it is a tuple of 3'),
    refused('data sets', 'pictures without labels', lambda p: TensorDataset(torch.tensor(GREY)), 'item 0: it is a tuple of 1'),
    refused('data sets', 'the label first', lambda p: [(y, x) for x, y in pairs()], 'item 0: the picture is a int'),
    refused('data sets', 'other keys', lambda p: dicts('photo', 'kind'), "item 0: it has the keys 'photo', 'kind'"),
    refused('data sets', 'two labels', lambda p: dicts(target=0), "item 0: it has the keys 'image', 'label', 'target'"),
    refused('data sets', "a dictionary of data sets, as Hugging Face's load_dataset gives", lambda p: {'train': dicts(), 'test': dicts()}, "of 'train', 'test'"),
    refused('data sets', 'a dictionary of arrays', lambda p: {'x': GREY, 'y': Y}, r"of 'x', 'y'; .* or call from_arrays\(x, y\) if they are arrays"),
    refused('data sets', 'loaders for training and for the test', lambda p: (DataLoader(TENSORS, 4),)*2,
            r'a tuple of 2 loaders; .*from_dataset\(train\.dataset\)'),
    refused('data sets', 'pictures that are not decoded', lambda p: [{'image': {'bytes': b'', 'path': None}, 'label': 0}], 'item 0: the picture is a dict'),
    refused('data sets', 'labels of boxes', lambda p: [(x, {'boxes': 0, 'labels': y}) for x, y in pairs()], 'item 0: the label is'),
    refused('data sets', 'labels of pixels', lambda p: [(x, GREY[0]) for x, _ in pairs()], r'item 0: the label has the shape \(8, 8\)'),
    refused('data sets', 'names as labels', lambda p: [(x, NAMES[y]) for x, y in pairs()], "item 0: the label is 'ape'"),
    refused('data sets', 'one-hot labels and numbers', lambda p: [(GREY[0], [0, 1]), (GREY[1], 1)], 'label 1 has 1 values'),
    refused('data sets', 'batches', lambda p: DataLoader(TENSORS, 4), r'pass its `\.dataset`'),
    refused('data sets', 'pictures of different sizes', lambda p: [(GREY[0], 0), (GREY[1, 1:], 1)], r'picture 1 is \[7, 8\]'),
    refused('data sets', 'an item that fails', lambda p: Broken(pairs()), "item 5 can't be read .ZeroDivisionError"),
    refused('data sets', 'classes that fail', lambda p: Nameless(pairs()), "its `classes` can't be read.* ZeroDivisionError"),
    refused('data sets', 'a picture that is closed', lambda p: closed(), 'item 0: '),
    refused('data sets', 'a picture on the device meta', lambda p: [(torch.zeros(8, 8, device='meta'), 0)], 'item 0: .*meta tensor'),
    refused('data sets', 'a sparse picture', lambda p: [(torch.ones(8, 8).to_sparse(), 0)], 'item 0: .*to_dense'),
    refused('data sets', 'a length that is wrong', lambda p: Items(pairs(), n=99), "item 30 can't be read"),
    refused('data sets', 'an empty data set', lambda p: Items([]), 'is empty'),
    refused('data sets', 'an empty generator', lambda p: iter(()), 'is empty'),
    refused('data sets', 'a number', lambda p: 5, 'this is a int, which has no items')]


def save(path, picture, **kw):
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture if isinstance(picture, Image.Image) else pil(picture)).save(path, **kw)


def folder(files):
    "A function that makes a folder with these files: name -> picture, bytes, or None for an empty folder"
    def make(path):
        for name, content in files.items():
            if isinstance(content, bytes):
                (path/name).parent.mkdir(parents=True, exist_ok=True)
                (path/name).write_bytes(content)
            elif content is None: (path/name).mkdir(parents=True)
            else: save(path/name, content)
        return path
    return make


def linked(path):
    folder(FLAT)(path)
    (path/'a/link.png').symlink_to(path/'b/0.png')
    return path


def misnamed(path):
    folder(FLAT)(path)
    pil(COLOUR[0]).save(path/'a/photo.jpg', 'PNG')
    return path


BIG = np.repeat(np.repeat(COLOUR, 8, 1), 8, 2) # of the size to which folders are read
FLAT = {'a/0.png': BIG[0], 'a/1.png': BIG[1], 'b/0.png': BIG[2], 'b/1.png': BIG[3]}
ENDS = {'a/0.bmp': BIG[0], 'a/1.PNG': BIG[1], 'b/0.webp': BIG[2], 'b/1.tif': BIG[3], 'b/2.tiff': BIG[4], 'b/3.ppm': BIG[5]}
LOSSY = {'a/0.jpg': BIG[0], 'a/1.jpeg': BIG[1], 'b/0.gif': BIG[2], 'b/1.jfif': BIG[3], 'b/2.jpe': BIG[4]}
DIVIDED = {f'{split}/{c}/{i}.png': BIG[3*k + i] for k, (split, c) in enumerate((('train', 'a'), ('train', 'b'), ('test', 'a'), ('test', 'b')))
           for i in range(3)}
THREE = {f'{split}/{c}/0.png': BIG[i] for i, (split, c) in enumerate((s, c) for s in ('train', 'val', 'test') for c in 'ab')}


def in_folder(what, make, pictures, y, said='', classes=('a', 'b')):
    return Row('folders', what, make, np.stack(pictures).transpose(0, 3, 1, 2), y, classes, said)


def decoded(files):
    "As Pillow reads them"
    import io
    formats, found = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.jfif': 'JPEG', '.jpe': 'JPEG', '.gif': 'GIF'}, []
    for name, picture in files.items():
        file = io.BytesIO()
        pil(picture).save(file, formats[Path(name).suffix])
        found.append(np.array(Image.open(file).convert('RGB')))
    return found


def webp_lossless(path):
    folder({k: v for k, v in ENDS.items() if 'webp' not in k})(path)
    save(path/'b/0.webp', BIG[2], lossless=True)
    return path


FOLDERS = [
    in_folder('a folder for each class', folder(FLAT), BIG[:4], [0, 0, 1, 1]),
    in_folder('.bmp, .PNG, .webp, .tif, .tiff and .ppm', webp_lossless, BIG[:6], [0, 0, 1, 1, 1, 1]),
    in_folder('.jpg, .jpeg, .jpe, .jfif and .gif', folder(LOSSY), decoded(dict(sorted(LOSSY.items()))), [0, 0, 1, 1, 1]),
    in_folder('hidden files and folders', folder(FLAT | {'a/._0.png': b'x', '.DS_Store': b'', '.ipynb_checkpoints/0.png': BIG[0]}), BIG[:4], [0, 0, 1, 1]),
    in_folder('a link to a picture', linked, [BIG[0], BIG[1], BIG[2], BIG[2], BIG[3]], [0, 0, 0, 1, 1]),
    in_folder('grey pictures among pictures in colour', folder(FLAT | {'b/2.png': np.repeat(np.repeat(GREY[0], 8, 0), 8, 1)}),
              [*BIG[:4], np.repeat(np.stack([np.repeat(GREY[0], 8, 0)]*3, -1), 8, 1)], [0, 0, 1, 1, 1]),
    in_folder('files with other endings', folder(FLAT | {'a/x.heic': b'', 'a/y.heic': b'', 'b/notes.txt': b'', 'labels.csv': b''}), BIG[:4], [0, 0, 1, 1],
              r'4 files were left out, because their endings are not read \(.csv 1, .heic 2, .txt 1\)'),
    in_folder('folders within a class folder', folder(FLAT | {'a/more/0.png': BIG[0]}), BIG[:4], [0, 0, 1, 1], '1 folder was left out'),
    in_folder('a class of one picture', folder(FLAT | {'c/0.png': BIG[4]}), BIG[:5], [0, 0, 1, 1, 2], r'classes have no image for validation \(.*\'c\'',
              ('a', 'b', 'c')),
    in_folder('letters of other languages, blanks', folder({'größe/ä.png': BIG[0], 'a b/c d.png': BIG[1], '日本/0.png': BIG[2]}), BIG[[1, 0, 2]], [0, 1, 2],
              'classes have no image', ('a b', 'größe', '日本')),
    in_folder('numbers as names: 10 comes before 2', folder({f'{c}/0.png': BIG[i] for i, c in enumerate((2, 10, 1))}), BIG[[2, 1, 0]], [0, 1, 2],
              'classes have no image', ('1', '10', '2')),
    in_folder('train, val and test', folder(THREE), BIG[:6], [0, 1]*3),
    in_folder('train and test', folder(DIVIDED), BIG[:12], [0, 0, 0, 1, 1, 1]*2),
    in_folder('a picture beside the class folders', folder(FLAT | {'loose.png': BIG[5]}), BIG[:4], [0, 0, 1, 1],
              r"1 picture was left out, because pictures are read from the class folders alone; the first is '.*loose.png'"),
    in_folder('a hidden folder of pictures', folder(FLAT | {'.c/0.png': BIG[5], '.d/notes.txt': b''}), BIG[:4], [0, 0, 1, 1],
              r"1 folder was left out, because names that begin with a dot are hidden; the first is '.*\.c'"),
    refused('folders', 'a folder one level too high', folder({f'pictures/{name}': x for name, x in FLAT.items()}), r"if these are the classes, .* name '.*pictures'"),
    refused('folders', 'train and test one level too high', folder({f'data/{name}': x for name, x in DIVIDED.items()}), r"or train and test, name '.*data'"),
    refused('folders', 'train and dev', folder({name.replace('test', 'dev'): x for name, x in DIVIDED.items()}), 'must be some of train, .*val, .*test'),
    refused('folders', 'training_set and test_set', folder({f'{a}_set/{b}': x for a, _, b in (name.partition('/') for name in DIVIDED) for x in BIG[:1]}),
            'must be some of train, training, val, valid, validation, test, testing'),
    refused('folders', 'train and test with different classes', folder(DIVIDED | {'test/c/0.png': BIG[0]}), 'the class folder c is only in test'),
    refused('folders', 'pictures of train and test without class folders', folder({'train/0.png': BIG[0], 'test/0.png': BIG[1]}), "train' has no folders"),
    refused('folders', 'a class folder without pictures', folder(FLAT | {'c': None, 'd': None}), r"c' has no pictures, and so for 1 more \('d'\)"),
    refused('folders', 'a class with pictures in inner folders alone', folder(FLAT | {'c/more/0.png': BIG[0]}), "c' has no pictures"),
    refused('folders', 'a single class', folder({'a/0.png': BIG[0], 'a/1.png': BIG[1], 'a/2.png': BIG[2]}), "there is only the class 'a'"),
    refused('folders', 'pictures without class folders', folder({'cat.0.png': BIG[0], 'dog.0.png': BIG[1]}), 'has no folders'),
    refused('folders', 'an empty folder', folder({}), 'has no folders'),
    refused('folders', 'a file that is no picture', folder(FLAT | {'a/2.png': b'<html>404</html>'}), r"a/2.png' can't be decoded \(it is no PNG\)"),
    refused('folders', 'an empty file', folder(FLAT | {'a/2.jpg': b''}), r"a/2.jpg' can't be decoded \(it is no JPEG\)"),
    refused('folders', 'a PNG under the name .jpg', misnamed, r"photo.jpg' can't be decoded \(it is no JPEG\)"),
    refused('folders', '16 bits in grey', folder(FLAT | {'a/2.png': pil(np.zeros((9, 9), np.uint16))}), r"a/2.png' can't be decoded \(more than 8 bits"),
    refused('folders', 'a file instead of a folder', lambda p: (save(p/'x.png', BIG[0]), p/'x.png')[1], 'there is no folder'),
    refused('folders', 'a folder that is not there', lambda p: p/'nowhere', 'there is no folder'),
    refused('folders', 'a name that is not known', lambda p: 'digit', "there is no folder 'digit', and no data set of this name")]


# Drawn: kinds of pixels × layouts × containers × labels

PIXEL_KINDS = { # from bytes; the second is whether they are read
    'uint8': (lambda a: a, True), 'float16': (lambda a: (a/255).astype(np.float16), True), 'float32': (lambda a: (a/255).astype(np.float32), True),
    'float64': (lambda a: a/255, True), 'big-endian float32': (lambda a: (a/255).astype('>f4'), True), 'bool': (lambda a: a > 127, True),
    'longdouble': (lambda a: (a/255).astype(np.longdouble), True), 'int8': (lambda a: (a//2).astype(np.int8), False),
    'int16': (lambda a: a.astype(np.int16), False), 'uint16': (lambda a: a.astype(np.uint16), False), 'int32': (lambda a: a.astype(np.int32), False),
    'uint64': (lambda a: a.astype(np.uint64), False), '0 to 255 in float32': (lambda a: a.astype(np.float32), False),
    'standardised': (lambda a: (a/255 - .45)/.25, False)}
LAYOUTS = { # from (n, h, w, 3); the second gives the truth
    'height × width': (lambda a: a[..., 0], lambda a: a[..., :1]), 'height × width × 1': (lambda a: a[..., :1], lambda a: a[..., :1]),
    '1 × height × width': (lambda a: a[..., 0][:, None], lambda a: a[..., :1]), 'height × width × 3': (lambda a: a, lambda a: a),
    '3 × height × width': (lambda a: a.transpose(0, 3, 1, 2), lambda a: a), 'height × width × 4': (lambda a: np.concatenate([a, a[..., :1]], -1), None)}
CONTAINERS = {
    'an array': lambda x, y: (x, y), 'a view': lambda x, y: (x[::-1][::-1], y), 'a list of arrays': lambda x, y: (list(x), y),
    'a tensor': lambda x, y: (as_tensor(x), y), 'a list of tensors': lambda x, y: (list(as_tensor(x)), y),
    'a list of pairs': lambda x, y: list(zip(x, y)), 'a data set': lambda x, y: Items(list(zip(as_tensor(x), y))),
    'a Subset': lambda x, y: Subset(Items([*zip(x, y)]*2), range(len(x))), 'an iterable': lambda x, y: Stream([*zip(x, y)]),
    'dictionaries': lambda x, y: [{'image': a, 'label': b} for a, b in zip(x, y)], 'a generator': lambda x, y: zip(x, y)}
LABEL_KINDS = {
    'int64': (lambda y: y, True), 'uint8': (lambda y: y.astype(np.uint8), True), 'big-endian int32': (lambda y: y.astype('>i4'), True),
    'float32': (lambda y: y.astype(np.float32), True), 'float16': (lambda y: y.astype(np.float16), True), 'a list': (lambda y: y.tolist(), True),
    'a tensor': (torch.tensor, True), 'bfloat16': (lambda y: torch.tensor(y).bfloat16(), True), 'a column': (lambda y: y[:, None], True),
    'one-hot': (lambda y: np.eye(3, dtype=np.float32)[y], True), 'one-hot in bool': (lambda y: np.eye(3, dtype=bool)[y], True),
    'halves': (lambda y: y + .5, False), 'from 1': (lambda y: y + 1, False), 'with a gap': (lambda y: y*2, False), 'negative': (lambda y: y - 1, False),
    'names': (lambda y: np.array(NAMES)[y], False), 'shares': (lambda y: np.full((len(y), 3), 1/3), False), '10⁹': (lambda y: y*10**9, False)}


def as_tensor(x):
    native = x.astype(x.dtype.newbyteorder('=')) if x.dtype.byteorder in '<>' else x
    return torch.tensor(native.astype(np.float64) if x.dtype == np.longdouble else native)


def drawn(n=72, seed=0):
    "Each kind at least once; two thirds are of kinds that are read"
    rng, decks = random.Random(seed), {}
    def draw(name, kinds):
        if not decks.get(name): decks[name] = rng.sample(kinds, len(kinds))
        return decks[name].pop()
    good_pixels, good_labels = ([k for k, v in kinds.items() if v[1]] for kinds in (PIXEL_KINDS, LABEL_KINDS))
    good_layouts = [k for k, v in LAYOUTS.items() if v[1]]
    for i in range(n):
        bad = i % 3 # which of pixels, layout and labels may be of a kind that is refused; 0 for none
        pixels = draw('any pixels', list(PIXEL_KINDS)) if bad == 1 else draw('pixels', good_pixels)
        labels = draw('any labels', list(LABEL_KINDS)) if bad == 2 else draw('labels', good_labels)
        layout = draw('any layout', list(LAYOUTS)) if bad == 1 and i % 4 == 0 else draw('layout', good_layouts)
        yield one_of(pixels, layout, draw('container', list(CONTAINERS)), labels)


def one_of(pixels, layout, container, labels):
    (as_pixels, pixels_fit), (arrange, keep), (as_labels, labels_fit) = PIXEL_KINDS[pixels], LAYOUTS[layout], LABEL_KINDS[labels]
    what = f'{pixels}, {layout}, in {container}; labels: {labels}'
    def make(path): return CONTAINERS[container](as_pixels(arrange(COLOUR)), as_labels(Y))
    if not (pixels_fit and keep and labels_fit): return refused('drawn', what, make, '^from_(arrays|dataset): ')
    truth = keep(COLOUR).transpose(0, 3, 1, 2)
    return Row('drawn', what, make, (truth > 127)*np.uint8(255) if pixels == 'bool' else truth)


ROWS = [*PIXELS, *LISTS, *LABELS, *SETS, *FOLDERS, *drawn()]
