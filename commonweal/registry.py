"""Names: versioned ids of dilemmas, and of institutions. To add one is to add one line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from commonweal.errors import UnknownName, require

if TYPE_CHECKING:
    from commonweal.envs.base import Dilemma
    from commonweal.institutions.base import Institution

DILEMMAS: dict[str, str] = {
    # commons
    "fishery-v0": "commonweal.envs.fishery:Fishery",
    "fish_war-v0": "commonweal.envs.fish_war:FishWar",
    "govsim-v0": "commonweal.envs.govsim:GovSim",
    "forest-v0": "commonweal.envs.forest:Forest",
    "irrigation-v0": "commonweal.envs.irrigation:Irrigation",
    "appropriation-v0": "commonweal.envs.appropriation:Appropriation",
    "routing-v0": "commonweal.envs.routing:Routing",
    # public goods
    "public_goods-v0": "commonweal.envs.public_goods:PublicGoods",
    "climate_risk-v0": "commonweal.envs.climate_risk:ClimateRisk",
    "escape_room-v0": "commonweal.envs.escape_room:EscapeRoom",
    # markets
    "exchange-v0": "commonweal.envs.exchange:Exchange",
    "double_auction-v0": "commonweal.envs.double_auction:DoubleAuction",
    "auction-v0": "commonweal.envs.auction:Auction",
    "multi_unit_auction-v0": "commonweal.envs.multi_unit_auction:MultiUnitAuction",
    "production-v0": "commonweal.envs.production:Production",
    "labour-v0": "commonweal.envs.labour:Labour",
    "lemons-v0": "commonweal.envs.lemons:Lemons",
    "signalling-v0": "commonweal.envs.signalling:Signalling",
    "screening-v0": "commonweal.envs.screening:Screening",
    # principals and agents
    "employment-v0": "commonweal.envs.employment:Employment",
    "moral_hazard-v0": "commonweal.envs.moral_hazard:MoralHazard",
    "holdup-v0": "commonweal.envs.holdup:Holdup",
    # platforms and AI
    "attention-v0": "commonweal.envs.attention:Attention",
    "ai_race-v0": "commonweal.envs.ai_race:AIRace",
    # games
    "matrix-v0": "commonweal.envs.matrix:Matrix",
}

INSTITUTIONS: dict[str, str] = {
    "laissez-faire": "commonweal.institutions.laissez_faire:LaissezFaire",
    "taxation": "commonweal.institutions.taxation:Taxation",
    "income-tax": "commonweal.institutions.taxation:IncomeTax",
    "vote": "commonweal.institutions.voting:Vote",
    "rights": "commonweal.institutions.rights:Rights",
    "tradable-quotas": "commonweal.institutions.permits:TradableQuotas",
    "contract": "commonweal.institutions.contracts:FormalContract",
    "classifier": "commonweal.institutions.classification:Classifier",
    "mediator": "commonweal.institutions.mediation:Mediator",
    "inspection": "commonweal.institutions.inspection:Inspection",
    "quota": "commonweal.institutions.quota:Quota",
    "peer-sanctions": "commonweal.institutions.sanctions:PeerSanctions",
}


def _find(kind: str, table: Mapping[str, str], name: str) -> Any:
    if not isinstance(name, str) or name not in table:
        raise UnknownName(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def dilemma_class(name: str) -> type[Dilemma]:
    """The class behind a dilemma's id."""
    found: type[Dilemma] = _find("dilemma", DILEMMAS, name)
    return found


def institution_class(name: str) -> type[Institution]:
    """The class behind an institution's id."""
    found: type[Institution] = _find("institution", INSTITUTIONS, name)
    return found


def make(name: str, /, preset: str | None = None, **parameters: Any) -> Dilemma:
    """A dilemma by its id, from a published preset where one is named."""
    cls = dilemma_class(name)
    if preset is not None:
        if not isinstance(preset, str) or preset not in cls.presets:
            raise UnknownName(f"preset of {name}", preset, cls.presets)
        parameters = {**cls.presets[preset], **parameters}
    return cls.from_dict(parameters)


def institution(name: str, /, **parameters: Any) -> Institution:
    """An institution by its id."""
    return institution_class(name).from_dict(parameters)


def describe(part: Dilemma | Institution) -> dict[str, Any]:
    """A dilemma or an institution as plain JSON values."""
    return {"id": part.id, **part.to_dict()}


def dilemma_from(plain: Mapping[str, Any]) -> Dilemma:
    """What `describe` wrote."""
    name, values = _parted("dilemma", plain)
    return make(name, **values)


def institution_from(plain: Mapping[str, Any]) -> Institution:
    """What `describe` wrote."""
    name, values = _parted("institution", plain)
    return institution(name, **values)


def _parted(kind: str, plain: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The id and the parameters."""
    told = isinstance(plain, Mapping) and "id" in plain and all(isinstance(key, str) for key in plain)
    require(told, kind, plain, "a table of an id and its parameters")
    values = dict(plain)
    return values.pop("id"), values
