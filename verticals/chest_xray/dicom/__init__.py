"""DICOM radiographs in: pixels as a film shows them, tags without a person in them, pseudonyms, lists to import."""
