"""Masks are what was stored, whatever tool wrote them; the files are made byte by byte."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal.openmmlab.data_checks import files
from mmseg_pacbal.openmmlab.data_checks.files import read_image
from mmseg_pacbal.openmmlab.data_checks.masks import read_mask, read_stored

VALUES = np.random.default_rng(0).integers(0, 4, (6, 8), np.uint8)
VALUES[0, :4] = range(4)
BINARY = VALUES // 2
COLOURS = np.array([(0, 0, 0), (250, 170, 30), (0, 0, 142), (1, 2, 255)])[VALUES]


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    """Each row in big-endian order, filled up to whole bytes."""
    rows = values.reshape(len(values), -1)
    if bits >= 8:
        return [row.astype(f'>u{bits // 8}').tobytes() for row in rows]
    digits = [np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, -bits:] for row in rows]
    return [np.packbits(row.ravel()).tobytes() for row in digits]


def png(values: np.ndarray, bits: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    kind = 2 if values.ndim == 3 else 0
    header = struct.pack('>IIBBBBB', values.shape[1], len(values), bits, kind, 0, 0, 0)
    body = zlib.compress(b''.join(b'\0' + row for row in packed(values, bits)))
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', body) + chunk(b'IEND', b'')
    )


def tiff(
    values: np.ndarray,
    bits: int,
    photometric: int = 1,
    compression: int = 1,
    sample_format: int = 1,
    copies: tuple[int, ...] = (0,),
) -> bytes:
    """An uncompressed TIFF; a page for each of ``copies``, which are kinds of subfiles."""
    pixels, channels = b''.join(packed(values, bits)), values.shape[2] if values.ndim == 3 else 1
    depth = struct.pack('>' + 'H' * channels, *[bits] * channels)
    tail = 8 + len(pixels) + len(pixels) % 2
    data = b'MM\0*' + struct.pack('>I', tail + len(depth) % 2 + len(depth)) + pixels
    data = data.ljust(tail, b'\0') + depth
    for index, subfile in enumerate(copies):
        wide = channels > 2
        tags = [(254, 4, 1, subfile), (256, 4, 1, values.shape[1]), (257, 4, 1, len(values))]
        tags += [(258, 3, channels, tail if wide else bits << 16), (259, 3, 1, compression << 16)]
        tags += [(262, 3, 1, photometric << 16), (273, 4, 1, 8), (277, 3, 1, channels << 16)]
        tags += [
            (278, 4, 1, len(values)),
            (279, 4, 1, len(pixels)),
            (339, 3, 1, sample_format << 16),
        ]
        following = len(data) + 2 + 12 * len(tags) + 4 if index < len(copies) - 1 else 0
        data += struct.pack('>H', len(tags)) + b''.join(struct.pack('>HHII', *tag) for tag in tags)
        data += struct.pack('>I', following)
    return data


# As it is stored, and the tools that store it so.
STORED = {
    'bool of tifffile and imageio': (tiff(BINARY, 1, photometric=0), BINARY),
    'bits of Pillow': (tiff(BINARY, 1), BINARY),
    '8 bits, white is 0, of tifffile': (tiff(VALUES, 8, photometric=0), VALUES),
    'TIFF of 2 bits of GDAL': (tiff(VALUES, 2), VALUES),
    'TIFF of 4 bits of GDAL': (tiff(VALUES, 4), VALUES),
    'TIFF of 2 bits, white is 0': (tiff(VALUES, 2, photometric=0), VALUES),
    'TIFF of 4 bits, white is 0': (tiff(VALUES, 4, photometric=0), VALUES),
    'PNG of 1 bit': (png(BINARY, 1), BINARY),
    'PNG of 2 bits of GDAL': (png(VALUES, 2), VALUES),
    'PNG of 4 bits of GDAL': (png(VALUES, 4), VALUES),
    'PNG of 16 bits': (png(VALUES, 16), VALUES),
    'bool of scikit-image': (png(255 * BINARY, 8), 255 * BINARY),
    'colours of 16 bits of OpenCV': (png(COLOURS, 16), COLOURS),
    'TIFF with colours of 16 bits': (tiff(COLOURS, 16, photometric=2), COLOURS),
    'GeoTIFF with overviews': (tiff(VALUES, 8, copies=(0, 1)), VALUES),
}


@pytest.mark.parametrize('kind', STORED)
def test_values_are_those_of_the_file(kind, tmp_path):
    data, values = STORED[kind]
    path = tmp_path / 'a.bin'  # the suffix says nothing
    path.write_bytes(data)
    np.testing.assert_array_equal(read_stored(str(path)).values, values)
    shown = np.asarray(Image.open(path))
    if values.ndim == 3:  # which MMSegmentation does not read as labels
        return
    if np.array_equal(shown, values):
        np.testing.assert_array_equal(read_mask(str(path)), values)
    else:
        with pytest.raises(ValueError, match=r'stores \d where LoadAnnotations reads \d+ \(x='):
            read_mask(str(path))


REFUSED = {
    'several pages': (tiff(VALUES, 8, copies=(0, 0)), 'holds several images, of which training'),
    'bright colours of 16 bits': (png(257 * COLOURS, 16), 'has colours of 16 bits beyond 0..255'),
    '64 bits': (
        tiff(VALUES, 64, sample_format=2),
        'is a TIFF of 64-bit signed integers, which Pillow cannot read; save it with 8 bits',
    ),
    'float64': (
        tiff(VALUES, 64, sample_format=3),
        'is a TIFF of 64-bit floating-point numbers, w',
    ),
    '16 bits, white is 0': (tiff(VALUES, 16, photometric=0), 'is a TIFF of 16-bit integers, whi'),
    'LERC': (tiff(VALUES, 8, compression=34887), 'is a TIFF of 8-bit integers, compressed by LERC'),
    'two channels': (tiff(COLOURS[..., :2], 64), 'is a TIFF of 64-bit integers in 2 channels, whi'),
    'cut': (tiff(VALUES, 8)[:30], 'is not an image'),
}


@pytest.mark.parametrize('kind', REFUSED)
def test_what_cannot_be_read_as_stored_is_refused(kind, tmp_path):
    data, sentence = REFUSED[kind]
    path = tmp_path / 'a.tif'
    path.write_bytes(data)
    with pytest.raises(ValueError) as error:
        read_stored(str(path))
    assert str(error.value).startswith(f'mask {path} {sentence}')


@pytest.mark.parametrize(
    ('name', 'options', 'what'),
    [
        ('a.jpg', {}, 'a JPEG file'),
        ('a.tif', dict(compression='jpeg'), 'a TIFF with JPEG inside'),
        ('a.webp', {}, 'a WebP file'),
    ],
)
def test_what_may_change_values_is_refused(name, options, what, tmp_path):
    Image.fromarray(VALUES).save(tmp_path / name, **options)
    with pytest.raises(ValueError, match=f'{name} is {what}, which may not keep the values of pix'):
        read_stored(str(tmp_path / name))


@pytest.mark.parametrize(
    ('greys', 'grey'), [((0, 3, 7, 255), 3), ((0, 1, 2, 3), None), ((0, 255, 0, 255), None)]
)
def test_greys_that_a_gif_numbers_anew(greys, grey, tmp_path):
    """As Pillow saves a mask of 0, 3, 7 and void: they become 0 to 3, void a class."""
    image = Image.fromarray(VALUES)
    image.putpalette(np.repeat(greys, 3).astype(np.uint8).tobytes())
    image.save(tmp_path / 'a.gif', optimize=False)
    if grey is None:
        np.testing.assert_array_equal(read_stored(str(tmp_path / 'a.gif')).values, VALUES)
    else:
        with pytest.raises(ValueError, match=f'is a GIF in which grey {grey} has number 1, as GIF'):
            read_stored(str(tmp_path / 'a.gif'))


def test_bands_that_opencv_drops_are_named(tmp_path):
    """As GDAL writes 3 bands of 16 bits: marked as grey."""
    path = tmp_path / 'a.tif'
    path.write_bytes(tiff(COLOURS * 256, 16, photometric=1))
    with pytest.raises(ValueError, match='is a TIFF of 3 bands marked as grey, of which OpenCV re'):
        read_image(str(path))
    path.write_bytes(tiff(COLOURS * 257, 16, photometric=2))
    np.testing.assert_array_equal(read_image(str(path)), COLOURS[..., ::-1])


def test_image_beyond_the_limit_of_pillow(tmp_path, monkeypatch):
    path = tmp_path / 'a.png'
    Image.fromarray(VALUES).save(path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 20)
    assert read_image(str(path)).max() == 3  # OpenCV reads more
    with pytest.raises(files.UnknownToPillowError, match='has more than 40 pixels, which Pillow'):
        read_stored(str(path))
