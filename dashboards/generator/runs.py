"""The archive: runs as a table, and their results over time."""

from . import grafana as g
from .common import *

DESCRIPTION = (
    "The archive of halo-record: runs by kind, model, backend, tag and verdict, and their speeds "
    "and scores over time. Older runs than the exporter shows come with halo-record export "
    "--format openmetrics (docs/dashboards.md)."
)

FILTER = (
    '§,kind=~"$kind",tool=~"$tool",model=~"$model",backend=~"$backend",verdict=~"$verdict"'
)
TAG = '§,key=~"$tag",value=~"$tag_value"'
RUN = "job, instance, run"
NAME_OF_SERIES = '"task", "case", "metric", "model", "backend", "instance"'
SPEED = 'metric=~".*tokens_per_second"'
# Results with the unit of a score that are none.
NO_SCORE = ".*(tokens|_solved|_standard_error|_standard_deviation)"
INFO = "instance, run, campaign, kind, name, tool, model, backend, state, verdict"


def history_variable():
    return g.choice(
        "history",
        "Runs of the last",
        ["30d", "90d", "400d"],
        "30d",
        "How far from the end of the time shown runs are looked for, beside those that the exporter "
        "shows at that time. Further takes longer.",
    )


def past(selector):
    """The last value of what is known of runs: that of the end of the time shown, or else that of
    the newest of the instants every 5 minutes before it. Those find every run, because Prometheus
    shows a value for 5 minutes."""
    return f"({selector} or last_over_time({selector}[$history:5m]))"


def latest(matchers, ever=past):
    """Every run once: its labels change when it ends, and those of its end count."""
    ended = ever(f'halo_run_info{{{matchers},state!="running"}}')
    judged = ever(f'halo_run_info{{{matchers},verdict!="unknown"}}')
    every = ever(f"halo_run_info{{{matchers}}}")
    return f"topk by ({RUN}) (1, 3 * {judged} or 2 * {ended} or {every})"


def chosen():
    """The runs that the filters leave. A run without tags is found where no tag is asked for: only
    then does the empty label match."""
    tagged = f"{past(f'halo_run_tag_info{{{TAG}}}')} or {past(f'halo_run_info{{{TAG}}}')}"
    return (
        f"({latest('§')} and {past(f'halo_run_info{{{FILTER}}}')} and on ({RUN}) ({tagged}))"
    )


def with_labels(expression):
    """Values of runs with the labels of the runs that the filters leave."""
    return f"max by ({INFO}) (0 * {chosen()} + on ({RUN}) group_left () ({expression}))"


def time_of(end):
    return f"1000 * {past(f'halo_run_{end}_timestamp_seconds{{§}}')}"


def run_links():
    """From a line of a table to its run, at its time; the numbers are milliseconds."""
    time = "from=${__data.fields.Start.numeric}&to=${__data.fields.End.numeric}"
    machine = "${datasource:queryparam}&var-instance=${__data.fields.Machine}"
    overview, comparison = DASHBOARDS["overview"][0], DASHBOARDS["run-comparison"][0]
    compare = f"/d/{comparison}?${{datasource:queryparam}}&${{history:queryparam}}&{time}"
    return [
        {
            "targetBlank": False,
            "title": "Compare it with others",
            "url": f"{compare}&var-run_a=${{__data.fields.Run}}",
        },
        {
            "targetBlank": False,
            "title": "The machine meanwhile",
            "url": f"/d/{overview}?{machine}&{time}",
        },
    ]


VERDICT_COLOURS = g.value_map(
    {"clean": ("clean", GREEN), "flagged": ("flagged", ORANGE), "unknown": ("unknown", GREY)}
)
STATE_COLOURS = g.value_map(
    {
        "complete": ("complete", GREEN),
        "running": ("running", BLUE),
        "failed": ("failed", RED),
        "cancelled": ("cancelled", ORANGE),
        "interrupted": ("interrupted", ORANGE),
    }
)
COLOURED = {"type": "color-text"}
# How columns look that say what a run is.
RUN_COLUMNS = [
    g.named("State", mappings=STATE_COLOURS, custom__cellOptions=COLOURED, custom__width=100),
    g.named("Verdict", mappings=VERDICT_COLOURS, custom__cellOptions=COLOURED, custom__width=90),
    g.named("Model", custom__minWidth=180),
    g.named("Backend", custom__width=90),
    g.named("Tool", custom__width=110),
    g.named("Machine", custom__minWidth=150),
]


def runs_table():
    return g.table(
        1,
        "Runs",
        "Every run that the filters leave. A click on a run leads to its comparison with others, or "
        "to the machine at that time. verdict: clean, flagged for a reason, or unknown where "
        "evidence is missing.",
        "string",
        [
            g.query(with_labels(time_of("start")), table=True),
            g.query(with_labels(time_of("end")), table=True),
            g.query(
                with_labels(f"{time_of('end')} - {time_of('start')}"), table=True
            ),
        ],
        transformations=[
            g.merge(),
            *g.columns(
                {
                    "Value": "Start",
                    "Value #A": "Start",
                    "name": "Name",
                    "verdict": "Verdict",
                    "state": "State",
                    "model": "Model",
                    "backend": "Backend",
                    "Value #C": "Lasted",
                    "tool": "Tool",
                    "kind": "Kind",
                    "campaign": "Campaign",
                    "instance": "Machine",
                    "Value #B": "End",
                    "run": "Run",
                }
            ),
        ],
        overrides=[
            g.named("Start", unit="dateTimeAsIso", custom__width=165),
            g.named("End", unit="dateTimeAsIso", custom__width=165),
            g.named("Lasted", unit="ms", decimals=1, custom__width=100),
            g.named("Kind", custom__width=110),
            g.named("Campaign", custom__width=110),
            *RUN_COLUMNS,
            g.named("Name", links=run_links(), custom__minWidth=130),
            g.named("Run", links=run_links(), custom__width=320),
        ],
        filterable=True,
        sort=[{"desc": True, "displayName": "Start"}],
        no_value=NO_RUNS,
        links=[see("Compare runs", "run-comparison")],
    )


def results(matchers):
    return past(f'halo_run_result{{§,metric=~"$metric",case=~"$case",{matchers}}}')


def over_time(number, title, description, unit, matchers, no_value, against_mean=False, **more):
    """Results as points at the start of their runs. The first query has the values, the second
    the times, with the same labels."""
    info = f"group_left (model, backend) (0 * {chosen()})"

    def series(expression):
        joined = f'label_join({expression}, "series", " ", {NAME_OF_SERIES})'
        return f"max by (series, run) ({joined})"

    found = results(matchers)
    values = series(f"{found} + on ({RUN}) {info}")
    if against_mean:
        values = f"{values} / on (series) group_left () avg by (series) ({values}) - 1"
    times = series(
        f"(0 * {found} + on ({RUN}) {info}) + on ({RUN}) group_left () ({time_of('start')})"
    )
    transformations = [
        g.merge(),
        {
            "id": "groupingToMatrix",
            "options": {
                "columnField": "series",
                "emptyValue": "null",
                "rowField": "Value #B",
                "valueField": "Value #A",
            },
        },
        {
            "id": "convertFieldType",
            "options": {
                "conversions": [{"destinationType": "time", "targetField": "Value #B\\series"}],
                "fields": {},
            },
        },
        {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "Value #B\\series"}]}},
    ]
    return g.time_series(
        number,
        title,
        description,
        unit,
        [g.query(values, table=True), g.query(times, table=True)],
        transformations=transformations,
        show_points="always",
        point_size=8,
        span_nulls=True,
        fill=0,
        no_value=no_value,
        links=[see("Compare runs", "run-comparison"), see("Runs", "runs", 1)],
        **more,
    )


def filter_variable(name, label, description, family="halo_run_info", of=None, more=""):
    return g.variable(
        name, label, f"label_values({family}{{§{more}}}, {of or name})", description, all_value=".*"
    )


def build():
    return dashboard(
        "runs",
        DESCRIPTION,
        [
            *machine_variables("halo_run_info"),
            history_variable(),
            filter_variable("kind", "kind", "What the runs are, as benchmark or run."),
            filter_variable("tool", "tool", "What measured."),
            filter_variable("model", "model", "The model that was measured."),
            filter_variable("backend", "backend", "What computed."),
            filter_variable("verdict", "verdict", "Whether the run may be believed."),
            filter_variable("tag", "tag", "A tag of runs.", "halo_run_tag_info", "key"),
            filter_variable("tag_value", "its value", "The value of that tag.", "halo_run_tag_info",
                            "value", ',key=~"$tag"'),
            filter_variable("metric", "metric", "What was measured.", "halo_run_result"),
            filter_variable("case", "case", "In which case, as pp512 or tg128.", "halo_run_result"),
        ],
        g.place(
            (12, (24, runs_table())),
            (13, (12, over_time(
                2,
                "Speeds over time",
                "Tokens per second of each case, at the start of its run.",
                "suffix: tok/s",
                SPEED,
                "No speed in these runs",
                log=True,
            )),
             (12, over_time(
                 6,
                 "Speeds against their mean",
                 "The same speeds against the mean of the runs shown: a line that steps down is a "
                 "regression. Compare the runs on both sides of the step.",
                 "percentunit",
                 SPEED,
                 "No speed in these runs",
                 against_mean=True,
             ))),
            (13, (12, over_time(
                3,
                "Scores over time",
                "What evals scored, as accuracy or pass@1, at the start of their runs. A step that "
                "is larger than the interval of the score (halo-record show) is a regression.",
                "none",
                f'unit="",metric!~"{NO_SCORE}"',
                "No eval in these runs",
            )),
             (12, over_time(
                 7,
                 "Energy per token over time",
                 "What a token cost, whole socket, at the start of its run. One that rises while "
                 "speed stays is a limit or a cooler that changed.",
                 "suffix: J/tok",
                 'metric=~".*joules_per_token"',
                 "No energy in these runs",
                 log=True,
                 decimals=2,
             ))),
            (11, (24, over_time(
                8,
                "Other results over time",
                "Results with other units: latencies, durations, energy of whole tasks, bandwidths.",
                "short",
                'unit!="",metric!~".*(tokens_per_second|joules_per_token)"',
                "No other result in these runs",
                log=True,
            ))),
            (9, (12, g.table(
                4,
                "Why runs are flagged",
                "The reasons of the verdict of each run that the filters leave.",
                "string",
                [g.query(f"max by (instance, run, name, reason) ({past('halo_run_flag_info{§}')} "
                         f"+ on ({RUN}) group_left (name) (0 * {chosen()}))", table=True)],
                transformations=g.columns(
                    {"name": "Name", "reason": "Reason", "run": "Run", "instance": "Machine"}),
                overrides=[g.named("Run", custom__minWidth=320)],
                sort=[{"desc": True, "displayName": "Run"}],
                no_value="No run is flagged, or none is found",
                links=[see("What capped when", "power", 12)],
            )),
             (12, g.table(
                 5,
                 "Tags",
                 "The tags of the runs that the filters leave.",
                 "short",
                 [g.query(f"max by (instance, run, name, key, value) "
                          f"({past('halo_run_tag_info{§}')} + on ({RUN}) group_left (name) "
                          f"(0 * {chosen()}))", table=True)],
                 transformations=g.columns({
                     "name": "Name",
                     "key": "Tag",
                     "value": "Value",
                     "run": "Run",
                     "instance": "Machine",
                 }),
                 overrides=[g.named("Run", custom__minWidth=320)],
                 sort=[{"desc": True, "displayName": "Run"}],
                 no_value="No run has a tag, or none is found",
                 links=[see("Compare runs", "run-comparison")],
             ))),
        ),
        time="now-90d",
        refresh="",
        tags=["runs"],
    )
