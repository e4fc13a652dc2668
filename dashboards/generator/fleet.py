"""Several machines side by side."""

from . import grafana as g
from .common import *

DESCRIPTION = "Machines side by side: health, power, temperature, memory, speed, and what fails."


def per_machine(number, title, description, unit, expression, links, **more):
    return g.time_series(
        number, title, description, unit, [g.query(expression, "{{instance}}")], links=links, **more
    )


def machines():
    by = "by (job, instance)"
    queries = [
        f"max {by} (up{{§,job=~\"halo.*\"}})",
        ALERT_COUNT,
        f"max {by} (halo:limiter_share:rate1m{{§}})",
        f'max {by} (halo_power_watts{{§device,domain="socket"}})',
        f"max {by} (halo_temperature_celsius{{§device}})",
        f'max {by} (halo_gpu_memory_used_bytes{{§gpu,pool="gtt"}} '
        f'/ halo_gpu_memory_size_bytes{{§gpu,pool="gtt"}} '
        f'unless on (job, instance, gpu) halo_gpu_kind_info{{§,kind="discrete"}})',
        f"sum {by} (halo_llama_generated_tokens_per_second{{§}})",
        f"sum {by} (1 - halo_tuning_check{{§}})",
        f"sum {by} (halo_run_active{{§}})",
    ]
    titles = [
        "Up", "Alerts", "Limiter", "Power", "Hottest", "GTT", "Decode", "To mend", "Recording"
    ]
    names = {"instance": "Machine", "job": "Job", "Value": "Up"}
    names.update({f"Value #{'ABCDEFGHI'[i]}": title for i, title in enumerate(titles)})
    coloured = {"type": "color-text"}
    gauge = {"mode": "basic", "type": "gauge", "valueDisplayMode": "text"}
    return g.table(
        1,
        "Machines",
        "One line a machine, now. Alerts: critical ones and warnings that fire. Limiter: the largest "
        "share of the last minute that a limiter was engaged. Decode: generated tokens per second. "
        "To mend: tuning checks that fail. An empty cell is not known.",
        "short",
        [g.query(one, table=True) for one in queries],
        transformations=[g.merge(), *g.columns(names)],
        overrides=[
            g.named("Machine", custom__width=160, links=[see_machine()]),
            g.named("Job", custom__width=60),
            g.named("Up", mappings=YES_NO, custom__cellOptions=coloured, custom__width=50),
            g.named("Alerts", thresholds=g.steps(GREEN, (1, RED)), custom__cellOptions=coloured,
                    custom__width=70),
            g.named("Limiter", unit="percentunit", decimals=0, thresholds=SHARE_COLOURS, min=0,
                    max=1, custom__cellOptions=gauge, custom__minWidth=95),
            g.named("Power", unit="watt", decimals=1, custom__width=75),
            # As a background: yellow figures cannot be read on white.
            g.named("Hottest", unit="celsius", decimals=0, thresholds=HEAT_COLOURS,
                    custom__cellOptions={"type": "color-background", "mode": "basic"},
                    custom__width=80),
            g.named("GTT", unit="percentunit", decimals=0, thresholds=FULL_COLOURS, min=0, max=1,
                    custom__cellOptions=gauge, custom__minWidth=95),
            g.named("Decode", unit="suffix: tok/s", decimals=1, custom__width=95),
            g.named("To mend", thresholds=COUNT_COLOURS, custom__cellOptions=coloured,
                    custom__width=80),
            g.named("Recording", custom__width=90),
        ],
        no_value="Prometheus scrapes no machine",
        links=[see("One machine", "overview")],
    )


def largest(selector):
    """The ten series whose highest value in the time shown is largest: the same at every step."""
    highest = f"max_over_time({selector}[$__range] @ end())"
    return f"{selector} and on (job, instance, source) topk(10, {highest})"


def see_machine():
    """From a line of a table to its machine."""
    uid, _ = DASHBOARDS["overview"]
    url = f"/d/{uid}?${{datasource:queryparam}}&var-job=${{__data.fields.Job}}"
    url += "&var-instance=${__value.raw}&${__url_time_range}"
    return {"targetBlank": False, "title": "Overview of this machine", "url": url}


def build():
    caps = [see("What capped when", "power", 12)]
    return dashboard(
        "fleet",
        DESCRIPTION,
        [*machine_variables(), gpu_variable()],
        g.place(
            (9, (24, machines())),
            (9, (12, per_machine(
                2, "Power of the socket", "Power of the whole chip.", "watt",
                'max by (instance) (halo_power_watts{§device,domain="socket"})', caps, minimum=0,
                no_value="No power known")),
             (12, per_machine(
                 3, "Hottest sensor", "The highest temperature of the chip.", "celsius",
                 "max by (instance) (halo_temperature_celsius{§device})",
                 [see("All temperatures", "power", 13)], no_value="No temperature known"))),
            (9, (12, per_machine(
                4, "Strongest limiter",
                "The largest share of the last minute that a limiter was engaged.", "percentunit",
                "max by (instance) (halo:limiter_share:rate1m{§})", caps, minimum=0, maximum=1,
                thresholds=SHARE_COLOURS, no_value=NO_LIMITERS)),
             (12, per_machine(
                 5, "GTT in use", "Share of the memory for models that is in use.", "percentunit",
                 'max by (instance) (halo_gpu_memory_used_bytes{§gpu,pool="gtt"} '
                 '/ halo_gpu_memory_size_bytes{§gpu,pool="gtt"} '
                 'unless on (job, instance, gpu) halo_gpu_kind_info{§,kind="discrete"})',
                 [see("Memory", "tuning", 7)], minimum=0, maximum=1, thresholds=FULL_COLOURS,
                 no_value="No memory of a GPU known"))),
            (9, (12, per_machine(
                6, "Decode", "Generated tokens per second, all servers of a machine.",
                "suffix: tok/s",
                "sum by (instance) (halo_llama_generated_tokens_per_second{§})",
                [see("Per model", "llama", 5)], minimum=0, no_value=NO_LLAMA)),
             (12, per_machine(
                 7, "Joules per generated token",
                 "What a generated token cost over the last minute, whole socket.",
                 "suffix: J/tok",
                 'max by (instance) (halo:llama_joules_per_token:avg1m{§,phase="decode"})',
                 [see("Energy per token", "llama", 11)], minimum=0,
                 no_value="No tokens, or no power, or the shipped rules are not loaded"))),
            g.row(100, "Hardware and software"),
            (8, (24, g.table(
                8,
                "Graphics and neural processors",
                "What each machine has: the graphics processors with firmware and table, and the "
                "neural processing units.",
                "string",
                [g.query("max by (instance, gpu, name, gfx, device_id, revision, vbios, "
                         "gpu_metrics) (halo_gpu_info{§gpu})", table=True),
                 g.query('max by (instance, gpu, name, vbios) (label_replace(label_replace('
                         'halo_npu_info{§}, "gpu", "$1", "device", "(.*)"), '
                         '"vbios", "$1", "firmware", "(.*)"))', table=True)],
                transformations=[g.merge(), *g.columns({
                    "instance": "Machine",
                    "gpu": "PCI address",
                    "name": "Name",
                    "gfx": "gfx",
                    "device_id": "Device",
                    "revision": "Revision",
                    "gpu_metrics": "gpu_metrics",
                    "vbios": "Firmware",
                })],
                overrides=[g.named("Name", custom__minWidth=220)],
                no_value="No graphics processor of the driver amdgpu",
                links=[see("Machine", "tuning", 4)],
            ))),
            (8, (12, g.time_series(
                9,
                "Neural processors at work",
                "Share of time that the columns of the neural processing unit worked.",
                "percentunit",
                [g.query("halo_npu_busy_ratio{§}", "{{instance}} {{device}}")],
                minimum=0,
                maximum=1,
                no_value="No neural processor known",
                links=[see("Power and its limits", "power", 11)],
            )),
             (12, g.time_series(
                 10,
                 "Clock of neural processors",
                 "Clock that firmware aims at.",
                 "hertz",
                 [g.query("halo_npu_clock_hertz{§}", "{{instance}} {{device}}")],
                 minimum=0,
                 no_value="No neural processor known",
                 links=[see("Power and its limits", "power", 11)],
             ))),
            g.row(101, "The exporters themselves"),
            (9, (12, g.table(
                11,
                "Failing sources",
                "Sources, or single files of them, that cannot be read, and why. permission is what "
                "only root may read.",
                "string",
                [g.query("max by (instance, source, reason) (halo_source_failure{§})", table=True)],
                transformations=g.columns(
                    {"instance": "Machine", "source": "Source", "reason": "Reason"}),
                no_value="No source fails, or no machine is scraped",
                links=[see("Alerts", "overview", 20)],
            )),
             (12, g.time_series(
                 12,
                 "Age of readings",
                 "How old the reading of a source is that a scrape shows: the ten that were oldest in "
                 "the time shown. One that grows is a driver that does not answer.",
                 "s",
                 [g.query(largest("halo_source_age_seconds{§}"), "{{instance}} {{source}}")],
                 minimum=0,
                 no_value="No source",
                 links=[see("Failing sources", "fleet", 11)],
             ))),
            (9, (12, g.time_series(
                13,
                "Duration of readings",
                "How long the last reading of a source took: the ten that were slowest in the time "
                "shown.",
                "s",
                [g.query(largest("halo_source_read_duration_seconds{§}"),
                         "{{instance}} {{source}}")],
                minimum=0,
                no_value="No source",
                links=[see("Age of readings", "fleet", 12)],
            )),
             (12, g.time_series(
                 14,
                 "Processor time and memory of halo",
                 "Share of a processor thread that halo-exporter takes; its memory on the right "
                 "axis.",
                 "percentunit",
                 [g.query('rate(process_cpu_seconds_total{§,job=~"halo.*"}[$__rate_interval])',
                          "{{instance}} processor"),
                  g.query('process_resident_memory_bytes{§,job=~"halo.*"}', "{{instance}} memory")],
                 overrides=[g.of_query("B", unit="bytes", custom__axisPlacement="right",
                                       custom__fillOpacity=0)],
                 minimum=0,
                 no_value="halo-exporter does not answer",
                 links=[see("Duration of readings", "fleet", 13)],
             ))),
            (6, (24, g.table(
                15,
                "Versions of halo",
                "Which halo runs where, and since when.",
                "string",
                [g.query("max by (instance, version, revision) (halo_build_info{§})", table=True),
                 g.query('1000 * max by (instance) '
                         '(process_start_time_seconds{§,job=~"halo.*"})', table=True)],
                transformations=[g.merge(), *g.columns({
                    "instance": "Machine",
                    "version": "Version",
                    "revision": "Revision",
                    "Value #B": "Since",
                })],
                overrides=[g.named("Since", unit="dateTimeAsIso")],
                no_value="halo-exporter does not answer",
                links=[see("One machine", "overview")],
            ))),
        ),
        tags=["fleet"],
    )
