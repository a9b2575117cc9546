"""Import a lender's own table; columns with well-known names get the vertical's shared words, for review."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.domain import ColumnSpec, DomainSpec
from core.data.importing import ImportReport, import_table
from core.data.known_columns import KnownColumns

# lower-case column name -> (concept, kind); whole names only: tying the wrong columns costs more than tying none
KNOWN_NAMES: Mapping[str, tuple[str, str]] = {
    "loan_amount": ("loan_amount", "number"),
    "loan_amnt": ("loan_amount", "number"),
    "funded_amnt": ("loan_amount", "number"),
    "credit_amount": ("loan_amount", "number"),
    "loan_term": ("duration_months", "number"),
    "duration_months": ("duration_months", "number"),
    "duration_in_month": ("duration_months", "number"),
    "interest_rate": ("interest_rate", "number"),
    "int_rate": ("interest_rate", "number"),
    "installment": ("instalment", "number"),
    "loan_subgrade": ("lender_grade", "category"),
    "sub_grade": ("lender_grade", "category"),
    "loan_purpose": ("purpose", "category"),
    "purpose": ("purpose", "category"),
    "age": ("age_years", "number"),
    "age_years": ("age_years", "number"),
    "age_in_years": ("age_years", "number"),
    "annual_income": ("annual_income", "number"),
    "annual_inc": ("annual_income", "number"),
    "dti": ("debt_to_income", "number"),
    "debt_to_income": ("debt_to_income", "number"),
    "employ_length": ("employment_years", "number"),
    "emp_length": ("employment_years", "number"),
    "employ_title": ("job_title", "text"),
    "emp_title": ("job_title", "text"),
    "home_owner": ("housing", "category"),
    "homeownership": ("housing", "category"),
    "home_ownership": ("housing", "category"),
    "housing": ("housing", "category"),
    "address_state": ("address_state", "category"),
    "addr_state": ("address_state", "category"),
    "state": ("address_state", "category"),
    "verif_status": ("verified_income", "category"),
    "verification_status": ("verified_income", "category"),
    "verified_income": ("verified_income", "category"),
    "earliest_credit": ("earliest_credit", "date"),
    "delinq_2_yrs": ("num_delinquencies_2y", "number"),
    "delinq_2yrs": ("num_delinquencies_2y", "number"),
    "inquiry_6_mos": ("num_inquiries_6m", "number"),
    "inq_last_6mths": ("num_inquiries_6m", "number"),
    "open_accounts": ("num_accounts_open", "number"),
    "total_accounts": ("num_accounts_total", "number"),
    "months_since_last_record": ("months_since_public_record", "number"),
    "revol_util": ("revolving_utilisation", "number"),
    "initial_list_status": ("listing_status", "category"),
    "description": ("loan_description", "text"),
    "desc": ("loan_description", "text"),
    "sex": ("sex", "category"),
    "gender": ("sex", "category"),
    "marital_status": ("marital_status", "category"),
    "num_dependents": ("num_dependents", "number"),
}
KNOWN_WORDS: Mapping[str, Mapping[str, str]] = {
    "housing": {"own": "own", "owner": "own", "mortgage": "own", "rent": "rent", "free": "free"}
    | {"for free": "free", "parents": "free", "other": "other", "none": "other"},
    "purpose": {"car": "car", "debt_consolidation": "debt", "credit_card": "debt", "house": "home"}
    | {"home_improvement": "home", "renewable_energy": "home", "small_business": "business"}
    | {"business": "business", "education": "education", "educational": "education", "medical": "medical"}
    | {"major_purchase": "goods", "moving": "other", "vacation": "other", "wedding": "other", "other": "other"},
    "verified_income": {"not verified": "no", "verified": "yes", "source verified": "source"},
    "marital_status": {"single": "single", "married": "married", "divorced": "divorced"}
    | {"separated": "divorced", "widow": "widowed", "widowed": "widowed"},
    "sex": {"f": "female", "female": "female", "m": "male", "male": "male"},
    "listing_status": {"w": "whole", "whole": "whole", "f": "fractional", "fractional": "fractional"},
}

# Direction of the risk where it is beyond dispute; used only by learners that are told to obey it (`use_monotone`).
KNOWN_DIRECTIONS: Mapping[str, int] = {
    "interest_rate": 1,
    "debt_to_income": 1,
    "num_delinquencies_2y": 1,
    "num_inquiries_6m": 1,
    "revolving_utilisation": 1,
    "annual_income": -1,
}
# name and concept of a ratio -> (concept above, concept below, meaning, direction of the risk)
KNOWN_RATIOS: Mapping[str, tuple[str, str, str, int]] = {
    "loan_to_income": ("loan_amount", "annual_income", "Loan amount against income", 1),
    "instalment_to_income": ("instalment", "annual_income", "Monthly instalment against income", 1),
    "amount_per_month": ("loan_amount", "duration_months", "Loan amount for each month of its duration", 0),
    "open_to_total_accounts": (
        "num_accounts_open",
        "num_accounts_total",
        "Share of all accounts ever held that are open",
        0,
    ),
}
KNOWN_COLUMNS = KnownColumns(names=KNOWN_NAMES, words=KNOWN_WORDS, directions=KNOWN_DIRECTIONS)


def import_domain(path: Path, data_folder: Path, domain: str, **declared: Any) -> ImportReport:
    """Take in a table as a credit domain; `declared` are the keywords of `core.data.importing.import_table`.

    Raises:
        BadInputError: the file or a declaration is wrong, the batch is there already, or no row is left.
        MissingArtifactError: there is no such file.
    """
    return import_table(
        path,
        data_folder,
        "credit_risk",
        domain,
        complete_column=KNOWN_COLUMNS.complete,
        derive_columns=suggest_ratios,
        **declared,
    )


def suggest_ratios(spec: DomainSpec) -> list[ColumnSpec]:
    """The burden ratios that credit officers look at, where the domain has both of their concepts as numbers."""
    numbers = {c.concept: c for c in spec.with_use("feature") if c.kind == "number" and not c.is_after_outcome}
    ratios = []
    for name, (above, below, meaning, monotone) in KNOWN_RATIOS.items():
        if above in numbers and below in numbers:
            parts = numbers[above], numbers[below]
            ratios.append(
                ColumnSpec(
                    name=name,
                    kind="number",
                    concept=name,
                    meaning=meaning,
                    # of both units, so that ratios in other units are matched by rank
                    unit=" per ".join(part.unit for part in parts) if all(part.unit for part in parts) else "",
                    monotone=monotone,
                    is_protected=any(part.is_protected for part in parts),
                    ratio=(parts[0].name, parts[1].name),
                )
            )
    return ratios
