"""The terrain and what was delineated from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from weppdemo.errors import NotReady
from weppdemo.nodb.base import NoDb
from weppdemo.terrain.flow import FlowField
from weppdemo.terrain.network import Channel, Hillslope


@dataclass
class Watershed(NoDb):
    """Delineation settings and results; `csa` in hectares, the outlet a cell number."""

    document: ClassVar[str] = "watershed"

    dem_source: str = ""
    method: str = ""
    csa: float = 0.0
    outlet: int | None = None
    outlet_chosen: bool = False
    channels: list[dict[str, Any]] = field(default_factory=list)
    flow: dict[str, list[int]] = field(default_factory=dict)
    hillslopes: list[dict[str, Any]] = field(default_factory=list)
    relief: dict[str, float] = field(default_factory=dict)

    def channel_objects(self) -> list[Channel]:
        """The channels; raises `NotReady` before they are built."""
        if not self.channels:
            raise NotReady("build the channels first")
        return [Channel(**raw) for raw in self.channels]

    def hillslope_objects(self) -> list[Hillslope]:
        """The hillslopes; raises `NotReady` before they are built."""
        if not self.hillslopes:
            raise NotReady("build the subcatchments first")
        return [Hillslope(**raw) for raw in self.hillslopes]

    def flow_field(self) -> FlowField:
        """The flow field that the channels were found in."""
        return FlowField(self.flow["receiver"], self.flow["order"])

    def keep_channels(self, flow: FlowField, outlet: int, channels: list[Channel]) -> None:
        """Store a new delineation; hillslopes of an older one are dropped."""
        self.flow = {"receiver": flow.receiver, "order": flow.order}
        self.outlet = outlet
        self.channels = [asdict(channel) for channel in channels]
        self.hillslopes = []

    def keep_hillslopes(self, hillslopes: list[Hillslope]) -> None:
        """Store the hillslopes."""
        self.hillslopes = [asdict(hillslope) for hillslope in hillslopes]

    @property
    def area(self) -> float:
        """Area of all hillslopes, in square metres."""
        return float(sum(hillslope["area"] for hillslope in self.hillslopes))
