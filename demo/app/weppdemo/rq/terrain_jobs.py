"""Jobs that make the terrain and the watershed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from weppdemo.catalog import run_config
from weppdemo.nodb.ron import Ron
from weppdemo.nodb.watershed import Watershed
from weppdemo.queues import enqueue
from weppdemo.rq.support import job_connection, progress
from weppdemo.terrain.flow import FlowField
from weppdemo.terrain.grid import Grid, read_ascii, write_ascii
from weppdemo.terrain.network import Hillslope, assign_cells, build_hillslopes, extract_channels
from weppdemo.workspace import Workspace


def fetch_dem_and_build_channels(runid: str) -> str:
    """Enqueue the two steps and return: they run after this job has finished."""
    connection = job_connection()
    fetched = enqueue(connection, fetch_dem, runid)
    enqueue(connection, build_channels, runid, after=[fetched])
    return f"{runid}: 2 jobs"


def fetch_dem(runid: str) -> str:
    """Take the uploaded terrain if there is one, else synthesise the configuration's."""
    workspace = Workspace.open(runid)
    uploaded = workspace.upload_path("dem")
    if uploaded.is_file():
        grid, source = read_ascii(uploaded), "upload"
    else:
        from weppdemo.terrain.synth import synthesise

        dem = run_config(Ron.load(workspace).config)["dem"]
        grid = synthesise(dem["rows"], dem["cols"], dem["cellsize"], dem["relief"], dem["seed"])
        source = "synthetic"
    write_ascii(workspace.path("dem", "dem.asc"), grid)
    with Watershed.edit(workspace) as watershed:
        watershed.dem_source = source
    progress(workspace, "fetch_dem")
    return source


def build_channels(runid: str) -> int:
    """Delineate by the run's method and keep the channels; returns how many there are."""
    workspace = Workspace.open(runid)
    grid = read_ascii(workspace.path("dem", "dem.asc"))
    with Watershed.edit(workspace) as watershed:
        flow, outlet, orders_wanted = _delineate(watershed, grid)
        if watershed.outlet_chosen and watershed.outlet is not None:
            outlet = watershed.outlet
        channels = extract_channels(flow, outlet, cells_for(watershed.csa, grid))
        if orders_wanted:
            from weppdemo.terrain.wbt import stream_orders

            links: dict[int, list[int]] = {}
            for channel in channels[1:]:
                links.setdefault(channel.downstream or 0, []).append(channel.id)
            orders = stream_orders(links, channels[0].id)
            for channel in channels:
                channel.order = orders[channel.id]
        watershed.keep_channels(flow, outlet, channels)
    progress(workspace, "build_channels")
    return len(channels)


def _delineate(watershed: Watershed, grid: Grid) -> tuple[FlowField, int, bool]:
    if watershed.method == "wbt":
        from weppdemo.terrain import wbt

        flow = wbt.flow_field(grid)
        return flow, wbt.find_outlet(grid, flow), True
    from weppdemo.terrain import topaz

    flow = topaz.flow_field(grid)
    return flow, topaz.find_outlet(grid, flow), False


def cells_for(hectares: float, grid: Grid) -> int:
    """How many cells make up that area; at least four."""
    return max(4, round(hectares * 10_000.0 / grid.cellsize**2))


def build_subcatchments(runid: str) -> str:
    """Make the hillslopes, then let a child job abstract them."""
    workspace = Workspace.open(runid)
    grid = read_ascii(workspace.path("dem", "dem.asc"))
    with Watershed.edit(workspace) as watershed:
        channels = watershed.channel_objects()
        flow, outlet = watershed.flow_field(), channels[0].cells[-1]
        owner = assign_cells(flow, outlet, channels)
        watershed.keep_hillslopes(build_hillslopes(grid, flow, owner, channels))
        count = len(watershed.hillslopes)
    enqueue(job_connection(), abstract_watershed, runid)
    progress(workspace, "build_subcatchments")
    return f"{count} hillslopes"


def abstract_watershed(runid: str) -> dict[str, float]:
    """Profile every hillslope in a pool of threads, write the maps, and keep the watershed's relief."""
    workspace = Workspace.open(runid)
    grid = read_ascii(workspace.path("dem", "dem.asc"))
    hillslopes = Watershed.load(workspace).hillslope_objects()
    with ThreadPoolExecutor(max_workers=3, thread_name_prefix="abstract") as pool:
        profiles = list(pool.map(lambda hillslope: slope_profile(grid, hillslope), hillslopes))
    relief = {
        "lowest": min(profile[-1] for profile in profiles),
        "highest": max(profile[0] for profile in profiles),
        "mean_drop": round(sum(profile[0] - profile[-1] for profile in profiles) / len(profiles), 2),
    }
    with Watershed.edit(workspace) as watershed:
        watershed.relief = relief
    from weppdemo.export.geojson import write_channels, write_subcatchments

    write_channels(workspace, grid)
    write_subcatchments(workspace, grid)
    progress(workspace, "abstract_watershed")
    return relief


def slope_profile(grid: Grid, hillslope: Hillslope, points: int = 9) -> list[float]:
    """Elevations from the top of a hillslope to its foot, at quantiles of its cells' heights."""
    heights = sorted((grid.values[cell] for cell in hillslope.cells), reverse=True)
    last = len(heights) - 1
    return [round(heights[round(last * point / (points - 1))], 2) for point in range(points)]
