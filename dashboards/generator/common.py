"""What the dashboards share: variables, annotations, links, and panels that several show."""

from . import grafana as g

# The dashboards by the name of their file: uid and title. A uid never changes: links of users
# hold it.
DASHBOARDS = {
    "overview": ("halo-overview", "halo / Overview"),
    "power": ("halo-power", "halo / Power and thermal caps"),
    "llama": ("halo-llama", "halo / llama-server"),
    "tuning": ("halo-tuning", "halo / Tuning"),
    "run-comparison": ("halo-run-comparison", "halo / Run comparison"),
    "runs": ("halo-runs", "halo / Runs"),
    "fleet": ("halo-fleet", "halo / Fleet"),
}

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "#808080"

# What a reader must know where limits are missing.
NO_LIMITS = "No power limits known: load ryzen_smu or install halo-ryzenadj.timer"
NO_LIMITERS = "No limiter known: this machine's firmware tells none, or the rules are not loaded"
NO_LLAMA = "No llama-server: name it under [[llama]] in halo.toml"
NO_RULES = "No data: are the shipped rules loaded?"
NO_RUNS = "No run in the archive: halo-record run -- COMMAND"

SHARE_COLOURS = g.steps(GREEN, (0.05, YELLOW), (0.1, ORANGE), (0.5, RED))
HEAT_COLOURS = g.steps(GREEN, (85, YELLOW), (95, RED))
FULL_COLOURS = g.steps(GREEN, (0.85, YELLOW), (0.95, RED))
COUNT_COLOURS = g.steps(GREEN, (1, ORANGE))
# How many alerts fire that call for somebody; 0 only where the rules are known to be loaded.
ALERT_COUNT = (
    'count by (job, instance) (ALERTS{§,alertstate="firing",severity=~"critical|warning"}) '
    "or 0 * count by (job, instance) (halo:limiter_share:rate1m{§})"
)
YES_NO = g.value_map({"0": ("no", RED), "1": ("yes", GREEN)})


def see(title, dashboard, number=None):
    """A link to a dashboard, or to one panel of it, with the same machines and time."""
    uid, _ = DASHBOARDS[dashboard]
    url = f"/d/{uid}?${{datasource:queryparam}}&${{job:queryparam}}&${{instance:queryparam}}"
    url += "&${__url_time_range}"
    if number is not None:
        url += f"&viewPanel={number}"
    return {"targetBlank": False, "title": title, "url": url}


def machine_variables(family="halo_build_info"):
    """The data source, and which machines are shown."""
    return [
        {
            "current": {},
            "description": "The Prometheus that scrapes halo-exporter.",
            "hide": 0,
            "includeAll": False,
            "label": "Data Source",
            "multi": False,
            "name": "datasource",
            "options": [],
            "query": "prometheus",
            "refresh": 1,
            "regex": "",
            "skipUrlSync": False,
            "type": "datasource",
        },
        g.variable("job", "job", f"label_values({family}, job)", "The job that scrapes halo."),
        g.variable(
            "instance",
            "instance",
            f'label_values({family}{{job=~"$job"}}, instance)',
            "The machines.",
        ),
    ]


def gpu_variable(family="halo_gpu_info"):
    return g.variable(
        "gpu",
        "gpu",
        f"label_values({family}{{§}}, gpu)",
        "The graphics processors, by PCI address.",
    )


def annotations():
    """Runs and alerts over every panel."""
    grafana = {"type": "grafana", "uid": "-- Grafana --"}
    builtin = {
        "builtIn": 1,
        "datasource": grafana,
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }

    def of_query(name, colour, expression, title, text, tags):
        return {
            "datasource": g.DATASOURCE,
            "enable": True,
            "expr": g.expand(expression),
            "hide": False,
            "iconColor": colour,
            "name": name,
            "step": "15s",
            "tagKeys": tags,
            "textFormat": text,
            "titleFormat": title,
        }

    runs = "halo_run_active{§} == 1"
    # What is only worth knowing can fire for weeks and would colour every panel.
    alerts = (
        'max by (instance, alertname, severity) (ALERTS{§,alertstate="firing",'
        'alertname=~"Halo.+",severity=~"critical|warning"})'
    )
    return {
        "list": [
            builtin,
            of_query("Runs", BLUE, runs, "{{run}}", "recorded on {{instance}}", "instance"),
            of_query("Alerts", RED, alerts, "{{alertname}}", "{{instance}}", "severity,instance"),
        ]
    }


def dashboard(name, description, variables, panels, time="now-1h", refresh="30s", tags=()):
    uid, title = DASHBOARDS[name]
    return {
        "annotations": annotations(),
        "description": description,
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [
            {
                "asDropdown": True,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "tags": ["halo"],
                "targetBlank": False,
                "title": "halo",
                "tooltip": "The other dashboards of halo",
                "type": "dashboards",
                "url": "",
            }
        ],
        "panels": panels,
        "refresh": refresh,
        "schemaVersion": 39,
        "tags": ["halo", *tags],
        "templating": {"list": variables},
        "time": {"from": time, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }


def power_over_time(number, links):
    return g.time_series(
        number,
        "Power and its limits",
        "Power of the whole chip (socket) and of its parts; the socket includes the parts. "
        "Dashed: the limits that firmware enforces now. A socket that runs along a limit is capped.",
        "watt",
        [
            g.query("halo_power_watts{§device}", "{{instance}} {{domain}}"),
            g.query("halo_power_limit_watts{§}", "{{instance}} limit {{limit}}"),
        ],
        overrides=[g.dashed("B")],
        minimum=0,
        no_value="No power known: this needs amdgpu",
        links=links,
    )


def temperature_over_time(number, links):
    return g.time_series(
        number,
        "Temperatures and their limits",
        "Temperatures of the chip by sensor. Dashed: where firmware begins to slow the part down; "
        "all limits seen on this chip are 100 °C.",
        "celsius",
        [
            g.query("halo_temperature_celsius{§device}", "{{instance}} {{sensor}}"),
            g.query("halo_temperature_limit_celsius{§}", "{{instance}} limit {{sensor}}"),
        ],
        overrides=[g.dashed("B")],
        no_value="No temperature known: load amdgpu and k10temp",
        links=links,
    )


def clocks_over_time(number, links):
    return g.time_series(
        number,
        "Clocks and what firmware allows",
        "Clocks that firmware aims at, by part of the chip. Dashed: the highest clock that firmware "
        "allows now; it falls while a power or temperature limit is engaged.",
        "hertz",
        [
            g.query("halo_gpu_clock_hertz{§gpu}", "{{instance}} {{gpu}} {{domain}}"),
            g.query("halo_gpu_clock_limit_hertz{§gpu}", "{{instance}} {{gpu}} limit {{domain}}"),
        ],
        overrides=[g.dashed("B")],
        minimum=0,
        no_value="No clock known: this needs amdgpu",
        links=links,
    )


def share_over_time(number, links):
    return g.time_series(
        number,
        "Share of time that limiters were engaged",
        "Share of the last minute that each limiter held the chip down. spl: sustained power, "
        "sppt: slow, fppt: fast, thm_*: temperature, prochot: the board. evidence says how it is "
        "known (docs/alerts.md): residency counts every engagement, limit compares with 97 % of "
        "the limit.",
        "percentunit",
        [g.query("halo:limiter_share:rate1m{§}", "{{instance}} {{limiter}} ({{evidence}})")],
        minimum=0,
        maximum=1,
        thresholds=SHARE_COLOURS,
        no_value=NO_LIMITERS,
        links=links,
    )


def speed_over_time(number, links):
    return g.time_series(
        number,
        "Tokens per second",
        "Live speed over all slots: prompt is prefill, generated is decode. Prefill is drawn "
        "against the right axis, because it is many times faster.",
        "suffix: tok/s",
        [
            g.query(
                "halo_llama_generated_tokens_per_second{§}",
                "generated {{instance}} {{server}} {{model}}",
            ),
            g.query(
                "halo_llama_prompt_tokens_per_second{§}",
                "prompt {{instance}} {{server}} {{model}}",
            ),
        ],
        overrides=[
            g.of_query(
                "B",
                custom__axisPlacement="right",
                custom__axisLabel="prompt",
                custom__fillOpacity=0,
            )
        ],
        axis="generated",
        minimum=0,
        no_value=NO_LLAMA,
        links=links,
    )


def joules_over_time(number, links):
    return g.time_series(
        number,
        "Energy per token",
        "What a token cost over the last minute, whole socket and idle power included, over the "
        "moments in which servers did one thing alone: decode while no prompt was processed, "
        "prefill the other way round.",
        "suffix: J/tok",
        [g.query("halo:llama_joules_per_token:avg1m{§}", "{{instance}} {{phase}}")],
        minimum=0,
        no_value="No tokens, or no power, or the shipped rules are not loaded",
        links=links,
    )


def memory_over_time(number, links):
    return g.time_series(
        number,
        "Memory of the GPU, and what is free",
        "What the GPU uses; models lie in gtt, vram is what the BIOS set aside. Dashed: how much "
        "each may become. free: memory that programs and the GPU can still get without swapping, "
        "since they share one.",
        "bytes",
        [
            g.query("halo_gpu_memory_used_bytes{§gpu}", "{{instance}} {{gpu}} {{pool}} used"),
            g.query("halo_gpu_memory_size_bytes{§gpu}", "{{instance}} {{gpu}} {{pool}} size"),
            g.query("halo_memory_available_bytes{§}", "{{instance}} free"),
        ],
        overrides=[g.dashed("B"), g.of_query("C", custom__fillOpacity=0, custom__lineWidth=2)],
        minimum=0,
        no_value="No memory of a GPU known: this needs amdgpu",
        links=links,
    )


def firing_alerts(number, links):
    alerts = 'ALERTS{§,alertstate="firing",alertname=~"Halo.+"}'
    ranks = {"1": ("critical", RED), "2": ("warning", ORANGE), "3": ("info", BLUE)}
    # The worst first, which the alphabet does not give.
    for rank, (severity, _) in ranks.items():
        alerts = f'label_replace({alerts}, "rank", "{rank}", "severity", "{severity}")'
    about = f'label_join({alerts}, "about", " ", "limiter", "check", "source", "limit", "sensor")'
    return g.table(
        number,
        "Firing alerts",
        "What fires now, and which limiter, check, source, limit or sensor it is about. "
        "docs/alerts.md says what each means and what to do.",
        "string",
        [
            g.query(
                f"max by (alertname, rank, instance, about) ({about})",
                table=True,
            )
        ],
        transformations=g.columns(
            {
                "rank": "Severity",
                "alertname": "Alert",
                "about": "About",
                "instance": "Machine",
            }
        ),
        overrides=[
            g.named("Alert", custom__width=205),
            g.named("About", custom__minWidth=100),
            g.named("Machine", custom__minWidth=100),
            g.named(
                "Severity",
                custom__width=90,
                custom__cellOptions={"type": "color-text"},
                mappings=g.value_map(ranks),
            ),
        ],
        sort=[{"desc": False, "displayName": "Severity"}],
        no_value="Nothing fires, or the shipped rules are not loaded",
        links=links,
    )
