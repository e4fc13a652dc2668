"""Two to four runs, one above the other from their starts."""

from . import grafana as g
from .common import *
from .runs import RUN, RUN_COLUMNS, history_variable, latest, past

DESCRIPTION = (
    "Runs laid one above the other from their starts: A at its own time, the others shifted to it. "
    "Set the time to A with the link in the first table. Works for backfilled runs "
    "(docs/dashboards.md)."
)

SLOTS = "abcd"
SLOT_COLOURS = {"a": BLUE, "b": ORANGE, "c": GREEN, "d": "purple"}
# Four columns of figures, also on half of a screen.
NARROW = [g.named(slot.upper(), custom__minWidth=70) for slot in SLOTS]
TOOLS_WITHOUT_SERVER = "llama-bench|llama-batched-bench|clpeak"
NO_SPEED = (
    "Nothing of this was measured: no benchmark of it ran, and no server worked; or the time shown "
    "is not that of run A"
)
SPEED_OF = (
    "Of llama-bench its own figure for each repetition, while that lasted, where the run is filled "
    "in from an export (docs/dashboards.md); of a run that was only scraped, or that told no phases, "
    "the mean of each case as a level line, because nobody knows when it was. Of other runs the "
    "speed of servers, where one worked; a server beside a benchmark is not shown."
)
EMPTY = "Nothing at this time: set it to run A with the link in the first table"


def here(title, number):
    """A link to a panel of this dashboard, with the runs that are chosen."""
    uid, _ = DASHBOARDS["run-comparison"]
    url = f"/d/{uid}?${{__all_variables}}&${{__url_time_range}}&viewPanel={number}"
    return {"targetBlank": False, "title": title, "url": url}


def ever(selector):
    """The last value of what is known of runs, before and after the end of the time shown: a
    newer run must be found while an older one is looked at."""
    after = f"last_over_time({selector}[$history:5m] offset -$history)"
    return f"({past(selector)} or {after})"


def run_of(slot, more=""):
    return f'§,run="$run_{slot}"{more}'


def shift(slot):
    """The run of A happens now; those of others at other times."""
    return "" if slot == "a" else f" offset ${{shift_{slot}}}ms"


def during(slot, expression):
    """Values of the machine of a run while that was recorded."""
    active = f"halo_run_active{{{run_of(slot)}}}{shift(slot)} == 1"
    return f"({expression}) and on (job, instance) ({active})"


def start_of(slot):
    return f"max({ever(f'halo_run_start_timestamp_seconds{{{run_of(slot)}}}')})"


def run_variable(slot):
    runs = latest("§", ever)
    if slot != "a":
        others = SLOTS[: SLOTS.index(slot)]
        names = "|".join(f"$run_{one}" for one in others)
        excluded = f'run!~"{names}"'
        runs = latest(f"§,{excluded}", ever)
    named = f'label_replace({runs}, "day", "$1", "run", "([0-9]+T[0-9]+).*")'
    listed = f'max by (choice, run) (label_join({named}, "choice", " ", "day", "name"))'
    if slot in "cd":
        none = 'label_replace(label_replace(vector(0), "run", "none", "", ""), "choice", "none", "", "")'
        listed = f"{listed} or {none}"
    return g.variable(
        f"run_{slot}",
        f"Run {slot.upper()}",
        f"query_result({listed})",
        "A run by its day and name." if slot != "a" else "The run that the others are laid upon.",
        multi=False,
        regex='/choice="(?<text>[^"]*)".*run="(?<value>[^"]+)"/',
        sort=2,
    )


def shift_variable(slot):
    # An offset of 0 is an error in older Prometheus: 1 ms is as good.
    milliseconds = f"round(1000 * ({start_of('a')} - {start_of(slot)}))"
    return g.variable(
        f"shift_{slot}",
        f"shift_{slot}",
        f"query_result(({milliseconds} != 0) or vector(1))",
        f"Milliseconds from the start of run {slot.upper()} to that of A.",
        multi=False,
        regex="/ (-?[0-9]+) [0-9]+/",
        hide=2,
        sort=0,
    )


def overlay(number, title, description, unit, expression, links, **more):
    """One line a run. {shift} stands behind every selector of the expression."""
    queries = [
        g.query(
            during(slot, expression.replace("{shift}", shift(slot))),
            f"{slot.upper()}: ${{run_{slot}:text}}",
        )
        for slot in SLOTS
    ]
    return overlay_of(number, title, description, unit, queries, links, **more)


def overlay_of(number, title, description, unit, queries, links, no_value=EMPTY, **more):
    """One query a run."""
    overrides = [
        g.of_query(slot.upper(), color={"fixedColor": SLOT_COLOURS[slot], "mode": "fixed"})
        for slot in SLOTS
    ]
    # Seen below the others where they coincide.
    overrides.append(g.of_query("A", custom__lineWidth=3))
    return g.time_series(
        number,
        title,
        description,
        unit,
        queries,
        overrides=overrides,
        calcs=["mean", "max"],
        fill=4,
        no_value=no_value,
        links=links,
        **more,
    )


def speed_overlay(number, title, description, phase, family, links):
    """The tool's own speed of each repetition, or its means where nobody knows when those were; of
    runs that need a server that of servers, where one worked while it lasted: a server beside a
    benchmark is not what was measured."""
    case = {"generation": "tg[0-9]+.*", "prompt": "pp[0-9]+[^+]*"}[phase]

    def expression(slot):
        at = shift(slot)
        chosen = run_of(slot)
        own = f'halo_run_tokens_per_second{{{chosen},phase="{phase}"}}'
        # A repetition may be shorter than a step, and is told at its start alone; at its end it is NaN.
        own = f"((max_over_time({own}[$__interval]{at}) >= 0) or ({own}{at} >= 0))"
        own = during(slot, f"max by (job, instance, case) {own}")
        has_own = f"max_over_time(halo_run_tokens_per_second{{{chosen}}}[$__range] @ end(){at})"
        no_server = f'halo_run_info{{{chosen},tool=~"{TOOLS_WITHOUT_SERVER}"}}{at}'
        mean = f'halo_run_result{{{chosen},metric="tokens_per_second",case=~"{case}"}}'
        mean = during(slot, f"max by (job, instance, case) ({ever(mean)})")
        server = during(slot, f"sum by (job, instance) ({family}{{§}}{at})")
        worked = f"max_over_time(({server})[$__range:15s] @ end()) > 0"
        return (
            f"({own}) or (({mean}) and on (job, instance) ({no_server}) "
            f"unless on (job, instance) ({has_own})) "
            f"or (({server}) and on (job, instance) ({worked}) "
            f"unless on (job, instance) ({no_server}))"
        )

    queries = [
        g.query(expression(slot), f"{slot.upper()}: ${{run_{slot}:text}} {{{{case}}}}")
        for slot in SLOTS
    ]
    return overlay_of(
        number, title, description, "suffix: tok/s", queries, links, minimum=0, no_value=NO_SPEED
    )


def slots_table():
    labels = f"slot, {RUN}, name, tool, model, backend, state, verdict"

    def info(slot):
        return f'label_replace({latest(run_of(slot), ever)}, "slot", "{slot.upper()}", "", "")'

    def time(slot, end):
        value = f"1000 * {ever(f'halo_run_{end}_timestamp_seconds{{{run_of(slot)}}}')}"
        return f"0 * {info(slot)} + on ({RUN}) group_left () ({value})"

    def query(end):
        together = " or ".join(f"({time(slot, end)})" for slot in SLOTS)
        return g.query(f"max by ({labels}) ({together})", table=True)

    comparison = DASHBOARDS["run-comparison"][0]
    overview = DASHBOARDS["overview"][0]
    time_of_run = "from=${__data.fields.Start.numeric}&to=${__data.fields.End.numeric}"
    links = [
        {
            "targetBlank": False,
            "title": "Set the time to this run (for A)",
            "url": f"/d/{comparison}?${{__all_variables}}&{time_of_run}",
        },
        {
            "targetBlank": False,
            "title": "The machine meanwhile",
            "url": f"/d/{overview}?${{datasource:queryparam}}"
            f"&var-instance=${{__data.fields.Machine}}&{time_of_run}",
        },
    ]
    return g.table(
        1,
        "The runs",
        "What is compared. A click on a run sets the time to it, which is how A comes into sight; "
        "zoom out to see the end of one that took longer than A.",
        "string",
        [query("start"), query("end")],
        transformations=[
            g.merge(),
            *g.columns(
                {
                    "slot": " ",
                    "Value": "Start",
                    "Value #A": "Start",
                    "name": "Name",
                    "verdict": "Verdict",
                    "state": "State",
                    "model": "Model",
                    "backend": "Backend",
                    "Value #B": "End",
                    "tool": "Tool",
                    "instance": "Machine",
                    "run": "Run",
                }
            ),
        ],
        overrides=[
            g.named(" ", custom__width=40),
            g.named("Start", unit="dateTimeAsIso", custom__width=165),
            g.named("End", unit="dateTimeAsIso", custom__width=165),
            *RUN_COLUMNS,
            g.named("Name", links=links, custom__minWidth=130),
            g.named("Run", links=links, custom__width=320),
        ],
        sort=[{"desc": False, "displayName": " "}],
        no_value=NO_RUNS,
        links=[see("All runs", "runs")],
    )


def results_table():
    def result(slot):
        return f"max by (task, case, metric, unit) ({ever(f'halo_run_result{{{run_of(slot)}}}')})"

    each = [g.slot(slot.upper(), result(slot)) for slot in SLOTS]
    each += [
        g.slot(f"{slot.upper()} to A", f"{result(slot)} / {result('a')} - 1") for slot in SLOTS[1:]
    ]
    joined = f'label_join({" or ".join(each)}, "what", " ", "task", "case", "metric", "unit")'
    differences = ["B to A", "C to A", "D to A"]
    return g.table(
        2,
        "Results",
        "Means over the repetitions, and the difference to A: 10 % is a tenth more than A. Whether "
        "more is better depends on the metric. halo-record compare says whether it is more than "
        "noise.",
        "none",
        [g.query(f"max by (what, slot) ({joined})", table=True)],
        transformations=g.matrix("Result", ["A", "B", "C", "D", *differences]),
        overrides=[
            g.named("Result", custom__width=370),
            *NARROW,
            *[
                g.named(one, unit="percentunit", decimals=1, custom__minWidth=70)
                for one in differences
            ],
        ],
        no_value="These runs have no results, or none is found",
        links=[
            here("Conditions", 3),
            here("Settings that differ", 4),
            here("Why they are flagged", 5),
            see("Results over time", "runs", 2),
        ],
    )


# A discrete card has power of its own, and its clock and heat are not the chip's. An export has no
# halo_gpu_kind_info.
OF_CARD_DEVICE = (
    'unless on (job, instance, device) halo_power_watts{§device,domain=~"card|ppt"}{shift}'
)
OF_CARD = (
    'unless on (job, instance, gpu) label_replace('
    'halo_power_watts{§device,domain=~"card|ppt"}{shift}, "gpu", "$1", "device", "(.+)")'
)


def conditions_table():
    """Means over each run: what it ran under."""
    conditions = [
        ("Power of the socket, mean (W)", "avg",
         'max by (job, instance) (halo_power_watts{§device,domain="socket"}{shift})'),
        ("Hottest sensor, highest (°C)", "max",
         f"max by (job, instance) (halo_temperature_celsius{{§device}}{{shift}} {OF_CARD_DEVICE})"),
        ("Sustained limit, lowest (W)", "min",
         'max by (job, instance) (halo_power_limit_watts{§,limit="stapm"}{shift})'),
        ("Graphics clock, mean (MHz)", "avg",
         f'max by (job, instance) (halo_gpu_clock_hertz{{§gpu,domain="gfx"}}{{shift}} {OF_CARD}) / 1e6'),
        ("Held by a limiter, mean (% of time)", "avg",
         "100 * max by (job, instance) (clamp_max(rate(halo_throttle_residency_total{§gpu}[1m]{shift})"
         " / 1000, 1))"),
        ("Memory available, lowest (GiB)", "min",
         "max by (job, instance) (halo_memory_available_bytes{§}{shift}) / 1073741824"),
        ("Waiting for memory, mean (% of time)", "avg",
         '100 * max by (job, instance) (rate(halo_pressure_stalled_seconds_total{§,'
         'resource="memory",kind="some"}[1m]{shift}))'),
        ("Settings to mend", "max", "sum by (job, instance) (1 - halo_tuning_check{§}{shift})"),
    ]

    each = []
    for slot in SLOTS:
        for what, operation, expression in conditions:
            moments = during(slot, expression.replace("{shift}", shift(slot)))
            value = f"{operation}_over_time(({moments})[$__range:15s])"
            named = f'label_replace({value}, "what", "{what}", "", "")'
            each.append(f"({g.slot(slot.upper(), named)})")
    return g.table(
        3,
        "Conditions",
        "What each run ran under, as far as the time shown covers it.",
        "none",
        [g.query(f"max by (what, slot) ({' or '.join(each)})", table=True)],
        transformations=g.matrix("Condition", ["A", "B", "C", "D"]),
        overrides=[g.named("Condition", custom__width=370), *NARROW],
        decimals=1,
        sort=[{"desc": False, "displayName": "Condition"}],
        no_value=EMPTY,
        links=[see("What capped when", "power", 12)],
    )


def settings_of(slot):
    """Settings of the machine while a run lasted, as setting and value."""
    at = shift(slot)
    facts = " or ".join(
        f'label_replace(label_replace(halo_host_info{{§}}{at}, "value", "$1", "{label}", "(.*)"), '
        f'"setting", "{label}", "", "")'
        for label in ["kernel", "bios", "cpu"]
    )
    settings = (
        f'count_values by (job, instance, setting) ("value", halo_tuning_value{{§}}{at}) '
        f"or halo_tuning_info{{§}}{at} or {facts}"
    )
    return f"max by (setting, value) (last_over_time(({during(slot, settings)})[$__range:15s]))"


def settings_table():
    """One line a value: a setting that changed while a run lasted has several there."""
    every = " or ".join(g.slot(slot.upper(), settings_of(slot)) for slot in SLOTS)
    differs = f"count by (setting) (count by (setting, value) ({every})) > 1"
    is_known = f"count by (setting) (count by (setting, slot) ({every})) > 1"
    found = f"({every}) and on (setting) ({differs}) and on (setting) ({is_known})"
    joined = f'label_join({found}, "what", " = ", "setting", "value")'
    return g.table(
        4,
        "Settings that differ",
        "Settings, kernel, BIOS and processor that were not the same while the runs lasted, where two "
        "runs or more tell them, and which run had which value. An export has numeric settings alone.",
        "none",
        [g.query(f"max by (what, slot) ({joined})", table=True)],
        transformations=g.matrix("Setting", ["A", "B", "C", "D"]),
        mappings=g.value_map({"1": ("yes", None)}),
        overrides=[g.named("Setting", custom__width=370), *NARROW],
        sort=[{"desc": False, "displayName": "Setting"}],
        no_value="No difference known",
        links=[see("Tuning", "tuning", 3)],
    )


def words_table(number, title, description, family, key, word, no_value, links):
    """What is said of each run in a column of its own: a word, where $1 is the label `value`."""
    def of_slot(slot):
        selector = ever(f"{family}{{{run_of(slot)}}}")
        return g.query(
            f'max by ({key}, {slot}) (label_replace({selector}, "{slot}", "{word}", "value", "(.*)"))',
            table=True,
        )

    names = {key: key.capitalize(), **{slot: slot.upper() for slot in SLOTS}}
    return g.table(
        number,
        title,
        description,
        "string",
        [of_slot(slot) for slot in SLOTS],
        transformations=[g.merge(), *g.columns(names)],
        overrides=[g.named(names[key], custom__minWidth=160), *NARROW],
        no_value=no_value,
        links=links,
    )


def build():
    to_power = [here("Conditions", 3), see("What capped when", "power", 12)]
    to_llama = [here("Strongest limiter", 13), see("llama-server", "llama", 5)]
    return dashboard(
        "run-comparison",
        DESCRIPTION,
        [
            *machine_variables("halo_run_info"),
            # An export has no halo_gpu_info.
            gpu_variable("halo_gpu_clock_hertz"),
            history_variable(),
            *[run_variable(slot) for slot in SLOTS],
            *[shift_variable(slot) for slot in SLOTS[1:]],
        ],
        g.place(
            (6, (24, slots_table())),
            (9, (24, results_table())),
            (10, (12, overlay(
                10, "Power of the socket", "Power of the whole chip while each run lasted.", "watt",
                'max by (job, instance) (halo_power_watts{§device,domain="socket"}{shift})', to_power,
                minimum=0)),
             (12, overlay(
                 11, "Hottest sensor", "The highest temperature of the chip while each run lasted.",
                 "celsius",
                 f"max by (job, instance) (halo_temperature_celsius{{§device}}{{shift}} {OF_CARD_DEVICE})",
                 to_power))),
            (10, (12, overlay(
                12, "Graphics clock", "Clock of the graphics part while each run lasted.", "hertz",
                f'max by (job, instance) (halo_gpu_clock_hertz{{§gpu,domain="gfx"}}{{shift}} {OF_CARD})', to_power,
                minimum=0)),
             (12, overlay(
                 13, "Strongest limiter",
                 "The largest share of time that a limiter was engaged, from firmware's "
                 "counters, because recording rules do not reach back to a run that is filled in.",
                 "percentunit",
                 "max by (job, instance) (clamp_max(rate(halo_throttle_residency_total{§gpu}[$__rate_interval]"
                 "{shift}) / 1000, 1))", to_power, minimum=0, maximum=1))),
            (10, (12, speed_overlay(
                14, "Decode", "Generated tokens per second while each run lasted. " + SPEED_OF,
                "generation", "halo_llama_generated_tokens_per_second", to_llama)),
             (12, speed_overlay(
                 15, "Prefill", "Prompt tokens per second while each run lasted. " + SPEED_OF,
                 "prompt", "halo_llama_prompt_tokens_per_second", to_llama))),
            (10, (24, conditions_table())),
            (9, (24, settings_table())),
            (8, (12, words_table(
                5, "Why they are flagged",
                "The reasons of the verdicts. A reason that stands in one column alone is a "
                "difference.",
                "halo_run_flag_info", "reason", "yes", "No run is flagged, or none is found",
                to_power)),
             (12, words_table(
                 6, "Tags", "What the runs were tagged with.", "halo_run_tag_info", "key", "$1",
                 "No run has a tag, or none is found", [see("All runs", "runs", 5)]))),
        ),
        time="now-1h",
        refresh="",
        tags=["runs"],
    )
