"""Water and sediment down the channel network."""

from __future__ import annotations

from weppdemo.terrain.network import Channel, Hillslope


def route(
    channels: list[Channel],
    hillslopes: list[Hillslope],
    results: dict[str, dict[str, float]],
    critical_shear: float,
) -> dict[str, dict[str, float]]:
    """Totals at the end of each channel: runoff (m³), sediment (kg), and what was deposited (kg)."""
    routed: dict[str, dict[str, float]] = {
        str(channel.id): {"runoff_m3": 0.0, "sediment": 0.0, "deposited": 0.0} for channel in channels
    }
    for hillslope in hillslopes:
        reach = routed[str(hillslope.channel)]
        reach["runoff_m3"] += results[str(hillslope.id)]["runoff_m3"]
        reach["sediment"] += results[str(hillslope.id)]["sediment"]
    # Channels are numbered from the outlet upwards: the highest numbers lie furthest up.
    for channel in sorted(channels, key=lambda channel: -channel.id):
        reach = routed[str(channel.id)]
        reach["deposited"] = round(deposition(reach["sediment"], reach["runoff_m3"], critical_shear), 3)
        reach["sediment"] = round(reach["sediment"] - reach["deposited"], 3)
        reach["runoff_m3"] = round(reach["runoff_m3"], 3)
        if channel.downstream is not None:
            below = routed[str(channel.downstream)]
            below["runoff_m3"] += reach["runoff_m3"]
            below["sediment"] += reach["sediment"]
    return routed


def deposition(sediment: float, runoff: float, critical_shear: float) -> float:
    """Sediment (kg) that the water can't carry on; a channel that is hard to shear carries more."""
    capacity = runoff * (2.0 + critical_shear / 5.0)
    return max(0.0, sediment - capacity) * 0.5


def baseflow(routed: dict[str, dict[str, float]], area: float) -> dict[str, float]:
    """Groundwater added to the outlet: a fifth of a millimetre a day from the whole area."""
    return {"baseflow_m3": round(0.0002 * area * 365.0, 1), "outlet_runoff_m3": routed["1"]["runoff_m3"]}
