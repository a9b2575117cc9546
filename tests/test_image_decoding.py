import io

import numpy as np
import pytest
from PIL import Image

from core.images.decoding import BadImage, decode, decode_with_notes

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def animation():
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def huge_header():
    """A PNG that says 20,000 x 20,000 px and holds next to nothing."""
    raw = encoded(Image.new("1", (20_000, 20_000)))
    assert len(raw) < 200_000
    return raw


BAD = {
    "zero_byte": (b"", "empty"),
    "text": (b"file,label\na.png,good\n" * 20, "no picture"),
    "html": (b"<html><body>404</body></html>", "no picture"),
    "pdf": (b"%PDF-1.4 and so on", "no picture"),
    "eps_is_never_run": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "no picture"),
    "truncated_png": (encoded(GREY)[:-200], "truncated"),
    "truncated_jpeg": (encoded(COLOUR, "JPEG")[:400], "truncated"),
    "truncated_bmp": (encoded(COLOUR, "BMP")[:300], "truncated"),
    "header_only": (encoded(GREY)[:20], ""),
    "animated": (animation(), "animated"),
    "several_pages": (
        encoded(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(GREY)]),
        "several pages",
    ),
    "one_pixel": (encoded(GREY[:1, :1]), "too small"),
    "one_line": (encoded(GREY[:7]), "too small"),
    "bomb": (huge_header(), "100,000,000"),
}


@pytest.mark.parametrize("name", BAD)
def test_decode_of_a_bad_file_is_refused_with_its_reason(name):
    raw, reason = BAD[name]
    with pytest.raises(BadImage) as caught:
        decode(raw)
    assert reason in caught.value.reason


def test_decode_of_too_many_pixels_is_refused_before_the_pixels_are_read():
    raw = encoded(GREY)[:60]  # the header and a piece; decoding it would say "truncated"
    with pytest.raises(BadImage, match="more than the allowed 100 pixels"):
        decode(raw, max_pixels=100)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_decode_of_lossless_files_gives_their_pixels(kind):
    np.testing.assert_array_equal(decode(encoded(GREY, kind)), GREY)
    np.testing.assert_array_equal(decode(encoded(COLOUR, kind)), COLOUR)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_decode_of_16_bits_keeps_them(kind):
    deep = (GREY.astype(np.uint16) << 4) + 3
    pixels = decode(encoded(deep, kind))
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, deep)


def test_decode_turns_a_picture_as_its_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it 90 degrees clockwise
    np.testing.assert_array_equal(decode(encoded(GREY, "PNG", exif=exif)), np.rot90(GREY, -1))


def test_decode_of_palette_cmyk_and_alpha_is_converted_and_told():
    palette = Image.fromarray(COLOUR).quantize(16)
    found = decode_with_notes(encoded(palette))
    np.testing.assert_array_equal(found.pixels, np.asarray(palette.convert("RGB")))
    assert "palette" in found.notes[0]

    flat = Image.new("RGB", (30, 20), (200, 30, 60)).convert("CMYK")
    found = decode_with_notes(encoded(flat, "JPEG", quality=100))
    assert np.abs(found.pixels.astype(int) - [200, 30, 60]).max() <= 4
    assert "CMYK" in found.notes[0]

    opaque = np.dstack([COLOUR, np.full((20, 30), 255, dtype=np.uint8)])
    found = decode_with_notes(encoded(opaque))
    np.testing.assert_array_equal(found.pixels, COLOUR)
    assert "alpha channel dropped" in found.notes

    half = opaque.copy()
    half[:10, :, 3] = 0
    found = decode_with_notes(encoded(half))
    assert not found.pixels[:10].any() and (found.pixels[10:] == COLOUR[10:]).all()
    assert "transparent parts made black" in found.notes


def test_decode_of_floats_spreads_them_and_refuses_those_that_are_not_finite():
    values = np.linspace(-1, 1, 600, dtype=np.float32).reshape(20, 30)
    pixels = decode(encoded(Image.fromarray(values), "TIFF"))
    assert pixels.dtype == np.uint16 and pixels.min() == 0 and pixels.max() == 65535
    values[3, 3] = np.nan
    with pytest.raises(BadImage, match="finite"):
        decode(encoded(Image.fromarray(values), "TIFF"))


def test_random_damage_never_raises_anything_else():
    random = np.random.default_rng(2)
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP"):
        raw = encoded(COLOUR, kind)
        for _ in range(60):
            broken = bytearray(raw[: random.integers(1, len(raw) + 1)])
            for position in random.integers(0, len(broken), 5):
                broken[position] = random.integers(0, 256)
            try:
                decode(bytes(broken))
            except BadImage as error:
                assert error.reason
