"""Is the machine healthy, is it capped, how fast are the models, and at what cost?"""

from . import grafana as g
from .common import *

DESCRIPTION = (
    "Whether machines that run local models are healthy and what limits them. "
    "The first row tells; panels link to the cause."
)


def health():
    """The first row: green is well."""
    return [
        g.stat(
            1,
            "Exporter",
            "Whether Prometheus gets an answer from halo-exporter.",
            "short",
            [g.query('up{§,job=~"halo.*"}', "{{instance}}", instant=True)],
            mappings=g.value_map({"0": ("down", RED), "1": ("up", GREEN)}),
            thresholds=g.steps(RED, (1, GREEN)),
            no_value="not scraped",
            links=[see("All machines", "fleet")],
        ),
        g.stat(
            2,
            "Alerts",
            "How many alerts of severity critical or warning fire. No data where the shipped rules "
            "are not loaded.",
            "short",
            [
                g.query(ALERT_COUNT, "{{instance}}", instant=True)
            ],
            thresholds=g.steps(GREEN, (1, RED)),
            no_value="no rules",
            links=[see("What fires", "overview", 20)],
        ),
        g.stat(
            3,
            "Strongest limiter",
            "The largest share of the last minute that a limiter was engaged.",
            "percentunit",
            [
                g.query(
                    "max by (instance) (halo:limiter_share:rate1m{§})", "{{instance}}", instant=True
                )
            ],
            decimals=0,
            thresholds=SHARE_COLOURS,
            no_value="no limiter",
            links=[see("Which limiter, and since when", "power", 10)],
        ),
        g.stat(
            4,
            "Hottest sensor",
            "The highest temperature of the chip; firmware slows it down at 100 °C.",
            "celsius",
            [
                g.query(
                    "max by (instance) (halo_temperature_celsius{§device})",
                    "{{instance}}",
                    instant=True,
                )
            ],
            decimals=0,
            thresholds=HEAT_COLOURS,
            no_value="no sensor",
            links=[see("All temperatures", "power", 13)],
        ),
        g.stat(
            5,
            "GTT in use",
            "The share of the memory for models that is in use.",
            "percentunit",
            [
                g.query(
                    'max by (instance) (halo_gpu_memory_used_bytes{§gpu,pool="gtt"} '
                    '/ halo_gpu_memory_size_bytes{§gpu,pool="gtt"} '
                    'unless on (job, instance, gpu) halo_gpu_kind_info{§,kind="discrete"})',
                    "{{instance}}",
                    instant=True,
                )
            ],
            decimals=0,
            thresholds=FULL_COLOURS,
            no_value="no GPU",
            links=[
                see("Memory and what is free", "tuning", 7),
                see("Which process holds it", "llama", 13),
            ],
        ),
        g.stat(
            6,
            "Settings to mend",
            "How many tuning checks fail.",
            "short",
            [
                g.query(
                    "sum by (instance) (1 - halo_tuning_check{§})", "{{instance}}", instant=True
                )
            ],
            thresholds=COUNT_COLOURS,
            no_value="no check",
            links=[see("Which, and how to set them", "tuning", 3)],
        ),
        g.stat(
            7,
            "Failing sources",
            "How many sources of halo-exporter cannot be read, so that their values are missing.",
            "short",
            [
                g.query(
                    "sum by (instance) (1 - halo_source_up{§})", "{{instance}}", instant=True
                )
            ],
            thresholds=COUNT_COLOURS,
            no_value="no source",
            links=[see("Which, and why", "fleet", 11)],
        ),
        g.stat(
            8,
            "Being recorded",
            "How many runs halo-record is recording now.",
            "short",
            [g.query("sum by (instance) (halo_run_active{§})", "{{instance}}", instant=True)],
            thresholds=g.steps(GREY, (1, BLUE)),
            no_value="no archive",
            links=[see("The runs", "runs")],
        ),
    ]


def busy_with_power():
    return g.time_series(
        11,
        "Busy, and the power it takes",
        "Share of time that engines worked, beside the power of the graphics part on the right "
        "axis. Busy without power is a phantom: two idle ROCm clients, or a hang "
        "(docs/alerts.md, HaloGpuPhantomBusy and HaloGpuHang).",
        "percentunit",
        [
            g.query("halo_gpu_busy_ratio{§gpu}", "{{instance}} {{gpu}} {{engine}} busy"),
            g.query(
                'halo_power_watts{§device,domain="gfx"} '
                'or halo_power_watts{§device,domain="socket"} unless on (job, instance, device) '
                'halo_power_watts{§device,domain="gfx"}',
                "{{instance}} {{domain}} power",
            ),
        ],
        overrides=[
            g.of_query(
                "B",
                unit="watt",
                custom__axisPlacement="right",
                custom__fillOpacity=0,
                custom__lineWidth=2,
                max=None,
            )
        ],
        minimum=0,
        maximum=1,
        no_value="No activity known: this needs amdgpu",
        links=[see("What holds it down", "power", 10), see("What the servers do", "llama", 5)],
    )


def active_runs():
    uid, _ = DASHBOARDS["run-comparison"]
    comparison = {
        "targetBlank": False,
        "title": "Compare it with others",
        "url": f"/d/{uid}?${{datasource:queryparam}}&var-run_a=${{__data.fields.Run}}"
        "&${__url_time_range}",
    }
    return g.table(
        21,
        "Runs being recorded",
        "What halo-record measures now on these machines. A click on a run leads to its comparison "
        "with others.",
        "string",
        [
            g.query(
                "max by (instance, run, name, model, backend) (halo_run_info{§} "
                "and on (job, instance, run) halo_run_active{§} == 1)",
                table=True,
            )
        ],
        transformations=g.columns(
            {
                "name": "Name",
                "model": "Model",
                "backend": "Backend",
                "instance": "Machine",
                "run": "Run",
            }
        ),
        overrides=[
            g.named("Name", links=[comparison]),
            g.named("Model", custom__minWidth=180),
            g.named("Backend", custom__width=90),
            g.named("Machine", custom__minWidth=150),
            g.named("Run", custom__minWidth=320, links=[comparison]),
        ],
        no_value="Nothing is being recorded, or no archive is known",
        links=[see("All runs", "runs"), see("Compare runs", "run-comparison")],
    )


def build():
    caps = [see("What capped when", "power", 12), see("Limits, values and requests", "power", 9)]
    return dashboard(
        "overview",
        DESCRIPTION,
        [*machine_variables(), gpu_variable()],
        g.place(
            g.row(100, "Healthy?"),
            *[(5, *[(6, one) for one in line]) for line in (health()[:4], health()[4:])],
            g.row(101, "Capped?"),
            (9, (12, power_over_time(9, caps)),
             (12, temperature_over_time(10, [
                 see("What heat did", "power", 12), see("Fans", "power", 16)]))),
            (11, (12, busy_with_power()),
             (12, clocks_over_time(12, [see("Clocks held down", "power", 14)]))),
            (9, (24, share_over_time(13, caps))),
            g.row(102, "How fast, and at what cost?"),
            (10, (12, speed_over_time(14, [
                see("Per model and slot", "llama", 5), see("What capped when", "power", 12)])),
             (12, joules_over_time(15, [
                 see("What capped when", "power", 12), see("Tokens in a batch", "llama", 7)]))),
            (9, (24, memory_over_time(16, [
                see("Which process holds it", "llama", 13), see("Pressure", "tuning", 9)]))),
            g.row(103, "What goes on?"),
            (9, (14, firing_alerts(20, [
                see("What capped when", "power", 12), see("Checks", "tuning", 3)])),
             (10, active_runs())),
        ),
        tags=["overview"],
    )
