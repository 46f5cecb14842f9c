"Data sets as other people have them: each is read to the right bytes and labels, or refused in one sentence"
import re
import runpy
import warnings

import numpy as np
import own_sets
import pytest
import torch
from conftest import TOP
from hypothesis import given, settings
from hypothesis import strategies as st
from own_sets import ROWS

from colt.data import Dataset, Images, as_dataset, from_arrays, from_dataset, from_folder, load, name_of, split

some = settings(deadline=None, derandomize=True, max_examples=60)


def read(data):
    "All images of `data` in its own order, where the package keeps it"
    if isinstance(data, tuple): return from_arrays(*data)
    return from_dataset(data)


def content(*sets): return sorted((x.numpy().tobytes(), int(y)) for images in sets for x, y in zip(images.x, images.y, strict=True))


@pytest.mark.parametrize('row', ROWS, ids=lambda row: f'{row.kind}: {row.what}')
def test_a_data_set_is_read_or_refused_in_one_sentence(tmp_path, row):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        if row.x is None:
            with pytest.raises(ValueError, match=row.said) as e: as_dataset(row.make(tmp_path))
            assert '\n' not in str(e.value) and len(str(e.value)) < 500 # a path may be long
            return
        x, y = row.x, np.asarray(row.y, int)
        if row.kind != 'folders':
            found = read(row.make(tmp_path))
            assert found.x.dtype == torch.uint8 and found.y.dtype == torch.int64 and found.classes == row.classes
            close = 1 if row.said == 'bfloat16' else 0 # which has three digits
            assert np.abs(found.x.numpy().astype(int) - x).max() <= close and found.y.tolist() == y.tolist()
        if len(row.classes) == 1: return # which can't be a data set
        d = as_dataset(row.make(tmp_path/'again' if row.kind == 'folders' else tmp_path), .3)
    assert isinstance(d, Dataset) and d.classes == row.classes
    if row.said != 'bfloat16': assert content(d.train, d.valid, d.test) == sorted((a.tobytes(), int(b)) for a, b in zip(x, y, strict=True))
    said = ' '.join(str(w.message) for w in caught)
    if row.said and row.said != 'bfloat16': assert re.search(row.said, said), said
    elif len(x) >= own_sets.N: assert said == ''
    else: assert 'left out' not in said # few pictures: a class may miss one for the test, which is said


def test_a_division_that_is_there_is_kept(tmp_path):
    d = as_dataset(own_sets.folder(own_sets.THREE)(tmp_path))
    for i, images in enumerate((d.train, d.valid, d.test)):
        assert np.array_equal(images.x.numpy(), own_sets.BIG[2*i:2*i + 2].transpose(0, 3, 1, 2)) and images.y.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"is divided into 'train', 'val', 'test'; .*split\(from_folder\('.*train'\), from_folder\('.*test'\)\)"):
        from_folder(tmp_path) # or training and test would be classes


def test_half_of_the_rows_are_drawn_and_most_kinds_are_read():
    kinds = [row.kind for row in ROWS]
    assert len(ROWS) >= 180 and kinds.count('drawn') >= 72
    words = ' '.join(row.what for row in ROWS if row.kind == 'drawn')
    for kinds in own_sets.PIXEL_KINDS, own_sets.LAYOUTS, own_sets.CONTAINERS, own_sets.LABEL_KINDS: assert all(kind in words for kind in kinds)
    assert sum(row.x is not None for row in ROWS if row.kind == 'drawn') >= 36


def test_the_page_says_what_happens():
    found = runpy.run_path(str(TOP/'tools/your_images.py'))
    assert found['PAGE'].read_text() == found['page'](), 'run python tools/your_images.py'


# Whatever is drawn from a kind

def keys(kinds): return st.sampled_from(sorted(kinds))


@some
@given(keys(own_sets.PIXEL_KINDS), keys(own_sets.LAYOUTS), keys(own_sets.CONTAINERS), keys(own_sets.LABEL_KINDS))
def test_any_member_of_a_kind(pixels, layout, container, labels):
    row = own_sets.one_of(pixels, layout, container, labels)
    try: found = read(row.make(None))
    except ValueError as e: assert row.x is None and re.match(row.said, str(e)) and '\n' not in str(e)
    else: assert row.x is not None and np.array_equal(found.x.numpy(), row.x) and found.y.tolist() == own_sets.Y.tolist()


@some
@given(st.lists(st.sampled_from([p for row in own_sets.LISTS[:7] for p in row.make(None)[0]]), min_size=1, max_size=6))
def test_any_pictures_in_one_list(pictures):
    "Grey and colour, PIL images of any mode, arrays and tensors: each is as if it were read alone"
    labels = [*range(len(pictures))]
    together = from_arrays(pictures, labels).x
    alone = [from_arrays([picture], [0]).x[0] for picture in pictures]
    assert all(torch.equal(x, y.expand(x.shape)) for x, y in zip(together, alone, strict=True))
    assert torch.equal(from_dataset(zip(pictures, labels, strict=True)).x, together)


@some
@given(st.integers(1, 40), st.integers(2, 6), st.floats(.05, .6), st.integers(0, 9))
def test_classes_without_an_image_are_counted(n, classes, valid, seed):
    "For any number of images and classes, the warning has the true numbers"
    y = np.random.default_rng(seed).integers(0, classes, n)
    images = Images(torch.arange(n, dtype=torch.uint8)[:, None, None, None], torch.tensor(y), tuple(map(str, range(classes))))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try: d = split(images, valid=valid, seed=seed)
        except ValueError as e:
            assert n < 3 and 'there must be 3 or more' in str(e)
            return
    missing = {purpose: classes - len(s.y.unique()) for purpose, s in (('training', d.train), ('validation', d.valid), ('test', d.test))}
    said = {purpose: int(k) for w in caught for k, purpose in re.findall(r'(\d+) of \d+ classes have no image for (\w+)', str(w.message))}
    assert said == {purpose: k for purpose, k in missing.items() if k}


@some
@given(st.dictionaries(st.sampled_from(['.txt', '.heic', '.svg', '.JSON', '']), st.integers(1, 3), max_size=4), st.integers(0, 2))
def test_files_that_are_left_out_are_counted(tmp_path_factory, endings, hidden):
    path = own_sets.folder(own_sets.FLAT)(tmp_path_factory.mktemp('counted'))
    for ending, n in endings.items():
        for i in range(n): (path/'ab'[i % 2]/f'x{i}{ending}').touch()
    for i in range(hidden): (path/f'a/.{i}.png').touch()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert len(from_folder(path, 8)) == 4
    said = ' '.join(str(w.message) for w in caught)
    listed = ', '.join(f'{ending.lower() or "no ending"} {n}' for ending, n in sorted(endings.items(), key=lambda item: item[0].lower() or 'no ending'))
    n = sum(endings.values())
    assert (f'{n} file{"s were" if n > 1 else " was"} left out, because their endings are not read ({listed})' in said) if endings else said == ''


def test_own_images_have_no_name_that_load_knows(tmp_path):
    for data, name in (('digits', 'digits'), (tmp_path/'digits', 'own-digits'), (tmp_path/'MNIST', 'own-MNIST'), (str(tmp_path/'my pets'), 'my-pets'),
                       (own_sets.TENSORS, 'TensorDataset'), (own_sets.Subset(own_sets.Subset(own_sets.TENSORS, [0]), [0]), 'TensorDataset'),
                       ((1, 2), 'own'), ([], 'own')):
        assert name_of(data) == name
    assert as_dataset('digits', .2, 3).fingerprint() == load('digits', valid=.2, seed=3).fingerprint()


def test_a_recipe_has_the_same_id_with_numbers_of_numpy_and_torch():
    import json
    from dataclasses import asdict, fields

    from colt.recipe import Recipe
    plain = Recipe(seed=3, flip=True, rotate=2.5, sparsity=.75)
    for wrap in np.asarray, torch.tensor, lambda v: np.asarray(v)[()]:
        other = Recipe(**{f.name: wrap(v) if isinstance(v := getattr(plain, f.name), bool | int | float) and not (wrap is torch.tensor and isinstance(v, float))
                          else v for f in fields(plain)})
        assert (other, other.id, json.dumps(asdict(other))) == (plain, plain.id, json.dumps(asdict(plain))) and hash(other) == hash(plain)
        assert all(type(getattr(other, f.name)) is type(getattr(plain, f.name)) for f in fields(plain))
    for wrong in dict(seed=np.float64(3)), dict(flip=np.int64(1)), dict(lr=np.float32(-1)), dict(batch_size=np.ones(1, int)):
        with pytest.raises(ValueError, match=next(iter(wrong))): Recipe(**wrong)


@some
@given(st.lists(st.integers(0, 1), min_size=1, max_size=8), st.sampled_from(['bool', 'uint8', 'int8', 'int64', 'float16', 'float32', 'bfloat16', 'numpy']))
def test_a_mask_of_0_and_1_in_any_type(bits, kind):
    from colt.mask import apply_, layer_sparsity, prune, sparsity
    true = torch.tensor(bits, dtype=torch.bool)
    mask = {'weight': np.array(bits) if kind == 'numpy' else true.to(getattr(torch, kind))}
    weights, net = {'weight': torch.arange(1., len(bits) + 1)}, torch.nn.ParameterDict({'weight': torch.ones(len(bits))})
    kept = prune(weights, mask, .5)['weight']
    assert kept.dtype == torch.bool and torch.equal(kept, prune(weights, {'weight': true}, .5)['weight'])
    assert torch.equal(prune({'weight': weights['weight'].bfloat16()}, mask, .5)['weight'], kept)
    assert sparsity(mask) == layer_sparsity(mask)['weight'] == sparsity({'weight': true})
    apply_(net, mask)
    assert net['weight'].tolist() == bits
    for call in (lambda m: prune(weights, m, .5)), (lambda m: apply_(net, m)), sparsity:
        with pytest.raises(ValueError, match="'weight' has values other than 0 and 1 in the mask"): call({'weight': torch.full((len(bits),), 2)})
