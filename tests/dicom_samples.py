"""Small DICOM radiographs, made with pydicom, of any photometric interpretation, depth and transfer syntax."""

import io

import numpy as np
from PIL import Image

NATIVE = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big_endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
}
PACKED = {
    "rle": "1.2.840.10008.1.2.5",
    "jpeg_lossless": "1.2.840.10008.1.2.4.70",
    "jpeg_ls": "1.2.840.10008.1.2.4.80",
    "jpeg_2000": "1.2.840.10008.1.2.4.90",
    "jpeg_baseline": "1.2.840.10008.1.2.4.50",
}
CR_CLASS = "1.2.840.10008.5.1.4.1.1.1"


def ramp(bits=12, *, signed=False, height=24, width=32):
    """(H, W) levels that rise along the picture from the least to the greatest that the bits hold."""
    low = -(1 << (bits - 1)) if signed else 0
    levels = np.linspace(low, low + (1 << bits) - 1, height * width).round().reshape(height, width)
    dtype = {True: {8: np.int8, 16: np.int16}, False: {8: np.uint8, 16: np.uint16}}[signed][8 if bits <= 8 else 16]
    return levels.astype(dtype)


def radiograph(pixels, bits=12, syntax="explicit", **tags):
    """A dataset of these stored pixels; a tag of None is left out."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import generate_uid

    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR_CLASS, generate_uid()
    dataset.StudyInstanceUID, dataset.Modality, dataset.PatientID = generate_uid(), "CR", "P1"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = NATIVE.get(syntax, NATIVE["explicit"])
    order = ">" if syntax == "big_endian" else "<"
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 and syntax != "implicit" else "OW"
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CR_CLASS)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    if syntax in PACKED:
        _compress(dataset, pixels, syntax)
    return dataset


def as_bytes(dataset):
    """The dataset as a file."""
    from pydicom import dcmwrite

    file = io.BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def dicom(pixels, bits=12, syntax="explicit", **tags):
    return as_bytes(radiograph(pixels, bits, syntax, **tags))


def look_up_table(first, bits, entries, count=None):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) if count is None else count, first, bits])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return item


def _compress(dataset, pixels, syntax):
    from pydicom.encaps import encapsulate

    uid = PACKED[syntax]
    if syntax in {"rle", "jpeg_ls"}:
        dataset.compress(uid, generate_instance_uid=False)
        return
    if syntax == "jpeg_lossless":
        stream = _by_gdcm(dataset)
    else:
        file = io.BytesIO()
        kind = "JPEG2000" if syntax == "jpeg_2000" else "JPEG"
        Image.fromarray(pixels).save(file, kind, **({"no_jp2": True} if kind == "JPEG2000" else {"quality": 100}))
        stream = file.getvalue()
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"


def _by_gdcm(dataset):
    """The codestream of JPEG lossless, which only GDCM writes here."""
    import tempfile
    from pathlib import Path

    import gdcm
    import pydicom
    from pydicom.encaps import generate_frames

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "a.dcm", Path(folder) / "b.dcm"
        before.write_bytes(as_bytes(dataset))
        reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(before))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(after))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return next(generate_frames(pydicom.dcmread(after).PixelData, number_of_frames=1))


# A person who does not exist; none of these texts may be found in what is written.
PERSON = {
    "PatientName": "Zyxwomann^Quirinella",
    "PatientID": "MRN7700419",
    "PatientBirthDate": "19610704",
    "PatientSex": "F",
    "InstitutionName": "Hospital Blaugrund",
    "InstitutionAddress": "Nebelgasse 12",
    "ReferringPhysicianName": "Ohnesorg^Traugott",
    "OperatorsName": "Knipser",
    "AccessionNumber": "ACC9912345",
    "StudyID": "STU5511",
    "StudyDate": "20210317",
    "StudyTime": "101112.987",
    "StudyDescription": "PA chest of Zyxwomann",
    "StationName": "RAUM17B",
    "DeviceSerialNumber": "SER000777",
    "PatientComments": "lives in Nebelgasse",
    "ViewPosition": "PA",
    "BodyPartExamined": "CHEST",
    "Manufacturer": "Siemens",
}
PERSON_WORDS = (
    "Zyxwomann", "Quirinella", "MRN7700419", "19610704", "1961-07-04", "Blaugrund", "Nebelgasse", "Ohnesorg",
    "Knipser", "ACC9912345", "STU5511", "20210317", "2021-03-17", "101112.987", "RAUM17B", "SER000777",
)  # fmt: skip


def chest_like(seed=0, height=48, width=40):
    """(H, W) uint16 of 12 bits: two dark lungs in a grey body, with noise, never twice the same."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    lungs = sum(np.exp(-(((rows - 0.5) / 0.3) ** 2) - ((columns - middle) / 0.13) ** 2) for middle in (0.3, 0.7))
    return np.clip(2800 - 2000 * lungs + generator.normal(0, 60, (height, width)), 0, 4095).astype(np.uint16)


def folder_bytes(folder):
    """Names and contents of all files below a folder in lower case, Parquet and PNG texts unpacked beside the bytes."""
    import pandas as pd

    pieces = []
    for path in sorted(folder.rglob("*")):
        pieces.append(str(path.relative_to(folder)).encode())
        if path.is_file():
            pieces.append(path.read_bytes())
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            for column in table.columns:
                pieces += [cell if isinstance(cell, bytes) else str(cell).encode() for cell in (column, *table[column])]
    return b"\n".join(pieces).lower()
