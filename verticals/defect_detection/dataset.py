"""Pictures of production lines: the core's table functions, for domains that say they are defect detection."""

from functools import partial

from core.data.table_dataset import open_table_dataset
from core.data.vertical_domain import read_vertical_domain

read_domain = partial(read_vertical_domain, vertical="defect_detection", needs_picture=True)
open_dataset = open_table_dataset
