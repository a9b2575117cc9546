import math
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")

from dicom_samples import NATIVE, PACKED, as_bytes, dicom, look_up_table, radiograph, ramp  # noqa: E402

from core.images.decoding import BadImage  # noqa: E402
from verticals.chest_xray.dicom.levels import window_fraction  # noqa: E402
from verticals.chest_xray.dicom.reading import read_dicom  # noqa: E402

NEEDED = {"jpeg_lossless": "gdcm", "jpeg_ls": "jpeg_ls"}
FIGURES = {8: (256.0, 128.0), 10: (1024.0, 512.0), 12: (4096.0, 2048.0), 16: (65536.0, 32768.0)}


def pixels_of(raw):
    return read_dicom(raw).pixels


def reason_of(raw):
    with pytest.raises(BadImage) as caught:
        read_dicom(raw)
    return caught.value.reason


def cases():
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        for bits in (8, 10, 12, 16):
            for signed in (False, True):
                for syntax in (*NATIVE, *PACKED):
                    if syntax == "jpeg_baseline" and (bits != 8 or signed):
                        continue  # 8 bits without a sign are all that it can hold
                    if syntax == "jpeg_2000" and signed:
                        continue  # Pillow writes none with a sign
                    yield pytest.param(photometric, bits, signed, syntax, id=f"{photometric}-{bits}-{signed}-{syntax}")


@pytest.mark.parametrize(("photometric", "bits", "signed", "syntax"), cases())
def test_reading_of_every_kind_gives_the_windowed_ramp(photometric, bits, signed, syntax):
    if syntax in NEEDED:
        pytest.importorskip(NEEDED[syntax])
    stored = ramp(bits, signed=signed)
    width, center = FIGURES[bits]
    center = 0.0 if signed else center
    tags = {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": "LINEAR_EXACT"}
    picture = read_dicom(dicom(stored, bits, syntax, PhotometricInterpretation=photometric, **tags))
    full = 255 if bits == 8 else 65535
    expected = np.empty(stored.shape)
    for row, column in np.ndindex(stored.shape):
        value = float(stored[row, column])
        share = min(1.0, max(0.0, (value - center) / width + 0.5))
        expected[row, column] = full * (1 - share if photometric == "MONOCHROME1" else share)
    assert picture.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    tolerance = 8 if syntax == "jpeg_baseline" else 1
    assert np.abs(picture.pixels.astype(float) - expected).max() <= tolerance
    assert picture.tags.bits_stored == bits and picture.tags.is_signed is signed


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(100.0, 50.0), (2047.5, 1.0), (-20.0, 4096.0), (1500.0, 801.0)])
def test_window_fraction_equals_the_standards_pseudocode_and_pydicom(function, center, width):
    values = np.linspace(-500, 4095, 300)
    got = window_fraction(values, center, width, function)
    for value, share in zip(values, got, strict=True):
        if function == "LINEAR":
            if value <= center - 0.5 - (width - 1) / 2:
                wanted = 0.0
            elif value > center - 0.5 + (width - 1) / 2:
                wanted = 1.0
            else:
                wanted = (value - (center - 0.5)) / (width - 1) + 0.5
        elif function == "LINEAR_EXACT":
            if value <= center - width / 2:
                wanted = 0.0
            elif value > center + width / 2:
                wanted = 1.0
            else:
                wanted = (value - center) / width + 0.5
        else:
            exponent = -4 * (value - center) / width
            wanted = 0.0 if exponent > 700 else 1 / (1 + math.exp(exponent))
        assert share == pytest.approx(wanted, abs=1e-9)
    dataset = radiograph(ramp(12), 12, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    with np.errstate(over="ignore"):
        theirs = pydicom.pixels.apply_windowing(values, dataset)
    np.testing.assert_allclose(got * 4095, theirs, atol=1e-6)


def test_rescale_comes_before_the_window():
    stored = ramp(12)
    raw = dicom(stored, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=1000, WindowWidth=2001)
    expected = np.empty(stored.shape)
    for row, column in np.ndindex(stored.shape):
        value = float(stored[row, column]) * 2 - 1024
        expected[row, column] = 65535 * min(1, max(0, (value - 999.5) / 2000 + 0.5))
    assert np.abs(pixels_of(raw) - expected).max() <= 1


def test_negative_slope_turns_the_picture():
    raw = dicom(ramp(8), 8, RescaleSlope=-1, RescaleIntercept=255)
    np.testing.assert_array_equal(pixels_of(raw), 255 - ramp(8))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_voi_table_of_any_depth_is_looked_up_by_plain_indexing(bits):
    stored = ramp(12)
    entries = [round((1 - i / 3999) * ((1 << bits) - 1)) for i in range(4000)]
    raw = dicom(stored, VOILUTSequence=[look_up_table(48, bits, entries)])
    expected = np.empty(stored.shape)
    for row, column in np.ndindex(stored.shape):
        place = min(3999, max(0, int(stored[row, column]) - 48))
        expected[row, column] = entries[place] / ((1 << bits) - 1) * (255 if bits == 8 else 65535)
    assert np.abs(pixels_of(raw) - expected).max() <= 1


def test_voi_table_for_signed_values_begins_below_zero():
    entries = list(range(4096))
    raw = dicom(ramp(12, signed=True), VOILUTSequence=[look_up_table(-2048, 12, entries)])
    pixels = pixels_of(raw)
    assert pixels[0, 0] == 0 and pixels[-1, -1] == 65535 and (np.diff(pixels.astype(int).ravel()) >= 0).all()


def test_modality_table_comes_before_the_window():
    entries = [i // 16 for i in range(4096)]
    tags = {"WindowCenter": 128, "WindowWidth": 256}
    pixels = pixels_of(dicom(ramp(12), ModalityLUTSequence=[look_up_table(0, 8, entries)], **tags))
    expected = [round(min(255, max(0, (value // 16 - 127.5) / 255 * 255 + 127.5))) for value in ramp(12).ravel()]
    assert pixels.dtype == np.uint8  # of the twelve stored bits the table leaves eight
    assert np.abs(pixels.ravel().astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("photometric", "shape", "is_turned"),
    [("MONOCHROME2", None, False), ("MONOCHROME2", "IDENTITY", False), ("MONOCHROME2", "INVERSE", True),
     ("MONOCHROME1", None, True), ("MONOCHROME1", "IDENTITY", True), ("MONOCHROME1", "INVERSE", True)],
)  # fmt: skip
def test_inversion_happens_once(photometric, shape, is_turned):
    tags = {} if shape is None else {"PresentationLUTShape": shape}
    pixels = pixels_of(dicom(ramp(8), 8, PhotometricInterpretation=photometric, **tags))
    np.testing.assert_array_equal(pixels, 255 - ramp(8) if is_turned else ramp(8))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_black_and_does_not_set_the_range(photometric):
    stored = ramp(12) // 4 + 1000
    stored[:, :6] = 4095
    raw = dicom(stored, PhotometricInterpretation=photometric, PixelPaddingValue=4090, PixelPaddingRangeLimit=4095)
    picture = read_dicom(raw)
    assert (picture.pixels[:, :6] == 0).all()
    assert picture.pixels[:, 6:].max() == 65535 and "padding made black" in picture.notes


@pytest.mark.parametrize("syntax", ["explicit", "rle"])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_do_not_count(syntax, signed):
    clean = ramp(12, signed=signed)
    dirty = clean.copy()
    dirty[::2] = (clean[::2].astype(np.int32) & 0x0FFF | 0x5000).astype(np.uint16).view(clean.dtype)
    tags = {"WindowCenter": 0 if signed else 2048, "WindowWidth": 4096}
    dataset = radiograph(clean, 12, syntax, **tags)
    raw = as_bytes(dataset)
    if syntax == "explicit":
        raw = raw.replace(clean.tobytes(), dirty.tobytes())
        assert dirty.tobytes() in raw
    np.testing.assert_array_equal(pixels_of(raw), pixels_of(dicom(clean, 12, **tags)))


def test_no_window_spreads_deep_pixels_and_leaves_eight_bits_alone():
    deep = read_dicom(dicom((ramp(12) // 8 + 500).astype(np.uint16)))
    assert (deep.pixels.min(), deep.pixels.max()) == (0, 65535) and any("percentiles" in note for note in deep.notes)
    np.testing.assert_array_equal(pixels_of(dicom(ramp(8) // 2, 8)), ramp(8) // 2)


@pytest.mark.parametrize(
    "tags",
    [{"WindowCenter": 90000, "WindowWidth": 10}, {"WindowCenter": 5, "WindowWidth": 0}, {"WindowCenter": 5},
     {"RescaleSlope": 0, "RescaleIntercept": 3}],
)  # fmt: skip
def test_unusable_tags_are_passed_over_with_a_note(tags):
    picture = read_dicom(dicom(ramp(12), **tags))
    assert np.ptp(picture.pixels) == 65535 and any("passed over" in note for note in picture.notes)


def test_burned_in_text_and_another_body_part_are_notes_not_refusals():
    notes = read_dicom(dicom(ramp(8), 8, BurnedInAnnotation="YES", BodyPartExamined="HAND")).notes
    assert any("burned" in note for note in notes) and any("HAND" in note for note in notes)


def bad_files():
    good = ramp(12)
    rgb = radiograph(ramp(8), 8)
    rgb.PhotometricInterpretation, rgb.SamplesPerPixel, rgb.PlanarConfiguration = "RGB", 3, 0
    rgb.PixelData = rgb.PixelData * 3
    hollow = radiograph(good)
    del hollow.PixelData
    two = radiograph(good, NumberOfFrames=2)
    two.PixelData = two.PixelData * 2
    cut = as_bytes(radiograph(good, 12, "rle"))
    cut = cut[: len(cut) - 300]
    broken = bytearray(as_bytes(radiograph(good, 12, "jpeg_2000")))
    start = broken.index(b"\xff\x4f\xff\x51") + 4  # the size segment of the JPEG 2000 codestream
    broken[start : start + 60] = b"\0" * 60
    unknown = radiograph(good, 12, "jpeg_2000")
    unknown.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    return [
        ("empty", b"", "empty"),
        ("text", b"this is a text, no picture\n" * 40, "no DICOM file"),
        ("png", b"\x89PNG\r\n\x1a\n" + b"\0" * 400, "no DICOM file"),
        ("no pixels", as_bytes(hollow), "without pixels"),
        ("colour", as_bytes(rgb), "colour (RGB)"),
        ("three samples", dicom(good, SamplesPerPixel=3), "wrong photometric"),
        ("unknown photometric", dicom(good, PhotometricInterpretation="MONOCHROME3"), "photometric interpretation"),
        ("no photometric", dicom(good, PhotometricInterpretation=None), "photometric interpretation is missing"),
        ("frames", as_bytes(two), "multi-frame (2"),
        ("ct", dicom(good, Modality="CT"), "a CT slice"),
        ("ct by class", dicom(good, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "CT Image Storage"),
        ("mr", dicom(good, Modality="MR"), "an MR slice"),
        ("odd modality", dicom(good, Modality="DOE JANE"), "its modality is no radiograph's"),
        ("cut uncompressed", dicom(good)[:-200], "truncated"),
        ("cut rle", cut, "truncated"),
        ("broken", bytes(broken), "truncated or damaged (JPEG 2000"),
        ("video", as_bytes(unknown), "transfer syntax is not read"),
        ("small", dicom(np.ones((1, 1), np.uint16)), "too small"),
        ("huge", dicom(good, Rows=20000, Columns=20000), "100,000,000 pixels"),
        ("no rows", dicom(good, Rows=None), "rows or columns"),
        ("black", dicom(np.zeros((16, 16), np.uint16)), "all its pixels are the same"),
        ("padding", dicom(np.full((16, 16), 7, np.uint16), PixelPaddingValue=7), "all its pixels are padding"),
        ("bits", dicom(good, BitsAllocated=32), "32 bits allocated"),
        ("bits stored", dicom(good, BitsStored=20), "bits stored"),
        ("directory", dicom(good, SOPClassUID="1.2.840.10008.1.3.10"), "DICOMDIR"),
    ]


@pytest.mark.parametrize(("raw", "words"), [pytest.param(raw, words, id=name) for name, raw, words in bad_files()])
def test_bad_file_is_refused_with_its_own_reason(raw, words):
    reason = reason_of(raw)
    assert words in reason and len(reason) < 160 and "DOE" not in reason


def test_reasons_of_bad_files_differ():
    assert len({reason_of(raw) for _, raw, _ in bad_files()}) >= 20


def test_missing_decoder_names_its_package(monkeypatch):
    raw = dicom(ramp(12), 12, "rle").replace(PACKED["rle"].encode() + b"\0", b"1.2.840.10008.1.2.4.80"[:20])
    from pydicom.pixels.decoders.base import Decoder

    pytest.importorskip("jpeg_ls")
    raw = dicom(ramp(12), 12, "jpeg_ls")
    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    assert reason_of(raw) == "no decoder is installed for JPEG-LS Lossless Image Compression: pip install pyjpegls"


def test_deflated_bomb_is_refused_before_it_fills_the_memory(monkeypatch):
    from verticals.chest_xray.dicom import stored_pixels

    raw = dicom(ramp(12, height=300, width=300), 12, "deflated")
    monkeypatch.setattr(stored_pixels, "MAX_INFLATED_BYTES", 10_000)
    assert "inflates to more than" in reason_of(raw)


@pytest.mark.parametrize("place", [200, 400, 700, 900])
def test_random_damage_is_a_bad_image_or_a_picture_and_never_another_error(place):
    generator = np.random.default_rng(place)
    for syntax in ("explicit", "rle", "jpeg_2000"):
        raw = bytearray(dicom(ramp(12), 12, syntax, PatientName="Doe^Jane"))
        for _ in range(10):
            hurt = raw.copy()
            hurt[place : place + 8] = generator.bytes(8)
            try:
                read_dicom(bytes(hurt))
            except BadImage as error:
                assert "Doe" not in error.reason


def test_files_that_pydicom_ships_are_read_or_refused_with_a_reason():
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < 500_000]
    assert len(files) > 50
    read = {}
    for path in files:
        try:
            read[path.name] = read_dicom(path.read_bytes()).pixels
        except BadImage as error:
            assert 10 < len(error.reason) < 160
    radiographs = {path.name for path in (folder / "dicomdirtests").rglob("CR*/*") if path.is_file()}
    assert radiographs and radiographs <= set(read)
    assert not any(name.startswith(("CT_small", "MR_small", "SC_rgb")) for name in read)
