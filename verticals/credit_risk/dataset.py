"""Credit tables: the core's table functions, for domains that say they are credit risk."""

from functools import partial

from core.data.table_dataset import open_table_dataset
from core.data.vertical_domain import read_vertical_domain

read_domain = partial(read_vertical_domain, vertical="credit_risk")
open_dataset = open_table_dataset
