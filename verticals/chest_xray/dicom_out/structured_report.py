"""An opinion as a TID 1500 measurement report in a Comprehensive SR."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from verticals.chest_xray.dicom_out.identity import CHARACTER_SET, REPORT_SERIES, new_uid, study_identity
from verticals.chest_xray.dicom_out.opinion import Opinion

if TYPE_CHECKING:
    from highdicom.sr import AlgorithmIdentification, ComprehensiveSR, MeasurementReport, ObservationContext
    from highdicom.sr import MeasurementsAndQualitativeEvaluations as MeasurementGroup
    from pydicom.dataset import Dataset

MANUFACTURER, ALGORITHM = "Crossdomain", "Crossdomain chest_xray"
SCHEME = "99CROSSDOMAIN"  # PS3.16 8.1: designators that begin with 99 are those of private schemes
PLAIN_CHEST_XRAY = ("399208008", "SCT", "Plain chest X-ray")
IMPRESSIONS = {"normal": "ImagingResultNormal", "finding": "ImagingResultAbnormal", "refer": "ImagingResultEquivocal"}
IS_KNOWN_INPUT = ("input_is_known", SCHEME, "Input is of the kind the model learned from")
ABSTAINS = ("model_abstains", SCHEME, "Model abstains, a physician must decide")


def structured_report(source: Dataset, opinion: Opinion) -> ComprehensiveSR:
    """The report, in a new series of the source's study, with a reference to the source.

    Raises:
        BadInputError: the source lacks a UID that the reference needs.

    Source: DICOM PS3.16 TID 1500, 1501, 300 and 4019.
    """
    from highdicom.base import CodingSchemeIdentificationItem
    from highdicom.sr import ComprehensiveSR

    identity = study_identity(source)
    return ComprehensiveSR(
        evidence=[identity],
        content=_content(identity, opinion),
        series_instance_uid=new_uid(),
        series_number=REPORT_SERIES,
        series_description=f"AI opinion: {opinion.mark}",
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=ALGORITHM,
        software_versions=opinion.model_version,
        is_complete=True,
        is_final=False,
        is_verified=False,
        specific_character_set=CHARACTER_SET,
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name="Crossdomain private codes", version="1")],
    )


def _content(identity: Dataset, opinion: Opinion) -> MeasurementReport:
    """The tree of TID 1500, with the notice as a comment of its own."""
    from highdicom.sr import CodedConcept, MeasurementReport, RelationshipTypeValues, TextContentItem
    from pydicom.sr.codedict import codes

    report = MeasurementReport(
        observation_context=_observer(opinion),
        procedure_reported=CodedConcept(*PLAIN_CHEST_XRAY),
        imaging_measurements=[_measurements(identity, opinion)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    comment = TextContentItem(codes.DCM.Comment, opinion.notice, RelationshipTypeValues.CONTAINS)
    report[0].ContentSequence.append(comment)
    return report


def _observer(opinion: Opinion) -> ObservationContext:
    """A device and no person; its UID is the same for one version of the model."""
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes

    number = uuid.UUID(bytes=hashlib.sha256(f"{ALGORITHM} {opinion.model_version}".encode()).digest()[:16], version=4)
    device = DeviceObserverIdentifyingAttributes(
        uid=f"2.25.{number.int}",
        name=ALGORITHM,
        manufacturer_name=MANUFACTURER,
        model_name=opinion.model_version,
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _measurements(identity: Dataset, opinion: Opinion) -> MeasurementGroup:
    """Probability, decision, abstention and the input check, of the one source picture."""
    from highdicom.sr import (
        CodedConcept,
        FindingSite,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        RelationshipTypeValues,
        SourceImageForMeasurementGroup,
        TextContentItem,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes

    def answer(question: tuple[str, str, str], *, is_yes: bool) -> QualitativeEvaluation:
        return QualitativeEvaluation(CodedConcept(*question), codes.SCT.Yes if is_yes else codes.SCT.No)

    impression = getattr(codes.SCT, IMPRESSIONS[opinion.decision])
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=new_uid(), identifier="AI opinion on the whole picture"),
        finding_type=codes.SCT.Disease,
        finding_sites=[FindingSite(codes.SCT.Chest)],
        algorithm_id=_algorithm(opinion),
        measurements=[Measurement(codes.DCM.Probability, opinion.probability, codes.UCUM.NoUnits)],
        qualitative_evaluations=[
            QualitativeEvaluation(codes.DCM.Impression, impression),
            answer(ABSTAINS, is_yes=opinion.abstain),
            answer(IS_KNOWN_INPUT, is_yes=not opinion.is_ood),
        ],
        source_images=[SourceImageForMeasurementGroup(identity.SOPClassUID, identity.SOPInstanceUID)],
    )
    if opinion.ood_reason:
        text = f"The input check objects: {opinion.ood_reason}"
        group[0].ContentSequence.append(TextContentItem(codes.DCM.Comment, text, RelationshipTypeValues.CONTAINS))
    return group


def _algorithm(opinion: Opinion) -> AlgorithmIdentification:
    """Name, version and operating point."""
    from highdicom.sr import AlgorithmIdentification
    from pydicom.sr.codedict import codes

    return AlgorithmIdentification(
        name=ALGORITHM,
        version=opinion.model_version,
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=MANUFACTURER,
        parameters=[f"threshold={opinion.threshold:.6f}", f"decision={opinion.decision}", f"data={opinion.mark}"],
    )
