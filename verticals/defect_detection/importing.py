"""Import a line's own pictures; the keywords are those of `core.pictures.importing.import_pictures`."""

from functools import partial

from core.pictures.importing import import_pictures

import_domain = partial(import_pictures, "defect_detection")
