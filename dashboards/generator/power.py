"""What caps the chip, when, and how far it is from its limits."""

from . import grafana as g
from .common import *

DESCRIPTION = (
    "Power limits with the values that firmware holds against them and what was asked for, the "
    "share of time that each limiter was engaged, temperatures, and clocks that are held down."
)


def engaged():
    return g.bar_gauge(
        1,
        "Engaged in this time",
        "Share of the time shown that each limiter was engaged, its mean, the strongest first.",
        "percentunit",
        [
            g.query(
                "sort_desc(max by (instance, limiter) "
                "(avg_over_time(halo:limiter_share:rate1m{§}[$__range])))",
                "{{limiter}} {{instance}}",
                instant=True,
            )
        ],
        minimum=0,
        maximum=1,
        decimals=1,
        thresholds=SHARE_COLOURS,
        no_value="no limiter",
        links=[see("Tokens per second meanwhile", "llama", 5)],
    )


def limits_now():
    def column(name, expression):
        values = f'label_join({expression}, "what", " ", "instance", "limit")'
        return g.slot(name, f"max by (what) ({values})")

    value, limit = "halo_power_limit_value_watts{§}", "halo_power_limit_watts{§}"
    every = [
        column("Enforced", limit),
        column("Value", value),
        column("Requested", "halo_power_limit_requested_watts{§}"),
        column("Used", f"{value} / {limit}"),
    ]
    return g.table(
        9,
        "Limits now",
        "Enforced: what firmware enforces. Value: what it holds against that. Requested: what "
        "[power.requested] in halo.toml says that you asked for. Firmware that enforces less than "
        "requested took it back: after a resume, on battery, with another profile.",
        "watt",
        [g.query(" or ".join(every), table=True)],
        transformations=g.matrix("Limit", ["Enforced", "Value", "Requested", "Used"]),
        overrides=[
            g.named("Limit", custom__width=230),
            *[g.named(one, custom__width=85) for one in ["Enforced", "Value", "Requested"]],
            g.named(
                "Used",
                custom__minWidth=70,
                unit="percentunit",
                min=0,
                max=1,
                thresholds=g.steps(GREEN, (0.9, YELLOW), (0.97, RED)),
                custom__cellOptions={"mode": "basic", "type": "gauge", "valueDisplayMode": "text"},
            )
        ],
        decimals=1,
        no_value=NO_LIMITS,
        links=[see("Supply and profiles", "power", 20)],
    )


def limit_over_time(number, limit, name, meaning):
    return g.time_series(
        number,
        name,
        f"{meaning} Filled: the value that firmware holds against it. Dashed: the limit that firmware enforces; thin: what was asked for.",
        "watt",
        [
            g.query(f'halo_power_limit_value_watts{{§,limit="{limit}"}}', "{{instance}} value"),
            g.query(f'halo_power_limit_watts{{§,limit="{limit}"}}', "{{instance}} enforced"),
            g.query(
                f'halo_power_limit_requested_watts{{§,limit="{limit}"}}', "{{instance}} requested"
            ),
        ],
        overrides=[g.dashed("B"), g.of_query("C", custom__fillOpacity=0)],
        minimum=0,
        no_value=NO_LIMITS,
        links=[see("Supply and profiles", "power", 20)],
    )


def timeline():
    return g.state_timeline(
        12,
        "What capped when",
        "Each limiter over time: green is not engaged, yellow 5 % of a minute, orange 10 %, red "
        "half of it. Limiters that were never engaged are left out.",
        "percentunit",
        [
            g.query(
                "max by (instance, limiter) (halo:limiter_share:rate1m{§}) "
                "and on (instance, limiter) max by (instance, limiter) "
                "(max_over_time(halo:limiter_share:rate1m{§}[$__range] @ end())) > 0.01",
                "{{instance}} {{limiter}}",
            )
        ],
        minimum=0,
        maximum=1,
        decimals=0,
        points=300,
        thresholds=SHARE_COLOURS,
        no_value="No limiter was engaged in this time, or none is known",
        links=[see("Tokens per second meanwhile", "llama", 5)],
    )


def held_down():
    return g.time_series(
        14,
        "Clocks held down",
        "The highest clock that firmware allows now, as a share of the highest that the driver may "
        "choose: below 1, a limiter holds the clock down.",
        "percentunit",
        [
            g.query(
                "halo_gpu_clock_limit_hertz{§gpu} "
                "/ on (job, instance, gpu, domain) halo_gpu_clock_maximum_hertz{§gpu}",
                "{{instance}} {{gpu}} {{domain}} allowed",
            ),
            g.query(
                'halo_gpu_clock_minimum_hertz{§gpu,domain="gfx"} '
                "/ on (job, instance, gpu, domain) halo_gpu_clock_maximum_hertz{§gpu}",
                "{{instance}} {{gpu}} {{domain}} at least",
            ),
        ],
        overrides=[g.dashed("B"), g.of_query("B", custom__lineWidth=1)],
        minimum=0,
        maximum=1.05,
        no_value="No allowed clock known: this needs gpu_metrics v3.0",
        links=[see("What capped when", "power", 12)],
    )


def supply():
    return g.state_timeline(
        20,
        "Supply and profiles",
        "What changes limits: mains, the platform profile, tuned, and how the GPU chooses clocks. "
        "A bar that ends and another that begins is a change.",
        "short",
        [
            g.query("halo_supply_online{§}", "{{instance}} supply {{supply}}"),
            g.query(
                '2 * halo_tuning_info{§,setting=~"platform_profile|tuned.profile"}',
                "{{instance}} {{setting}} {{value}}",
            ),
            g.query(
                "2 * halo_gpu_performance_level_info{§gpu}", "{{instance}} {{gpu}} level {{level}}"
            ),
            g.query(
                "2 * halo_gpu_runtime_status_info{§gpu}", "{{instance}} {{gpu}} runtime {{status}}"
            ),
        ],
        mappings=g.value_map({"0": ("off", RED), "1": ("on", GREEN), "2": ("set", BLUE)}),
        points=300,
        no_value="Neither supply nor profile known",
        links=[see("Tuning over time", "tuning", 5)],
    )


def build():
    uses = [see("Limits now", "power", 9), see("What capped when", "power", 12)]
    return dashboard(
        "power",
        DESCRIPTION,
        [*machine_variables(), gpu_variable()],
        g.place(
            g.row(100, "Caps"),
            (9, (10, engaged()), (14, limits_now())),
            (9, (24, timeline())),
            (9, (24, share_over_time(10, uses))),
            g.row(101, "Power against each limit"),
            (9, (24, power_over_time(11, uses))),
            (8, (8, limit_over_time(2, "stapm", "Sustained limit (STAPM)",
                                    "The sustained limit acts over minutes.")),
             (8, limit_over_time(3, "slow", "Slow limit (PPT slow)", "The slow limit acts over seconds.")),
             (8, limit_over_time(4, "fast", "Fast limit (PPT fast)",
                                 "The fast limit acts at once."))),
            (8, (12, limit_over_time(5, "apu_slow", "Slow limit of the APU",
                                     "The slow limit of the APU alone; its value is not known to be "
                                     "true, so no alert uses it.")),
             (12, g.time_series(
                 6,
                 "Power from energy (RAPL)",
                 "Mean power from the processor's energy counters, a second source beside firmware's "
                 "figure. Root alone may read them on most systems.",
                 "watt",
                 [g.query("rate(halo_energy_joules_total{§}[$__rate_interval])",
                          "{{instance}} {{domain}}")],
                 minimum=0,
                 no_value="No energy counter: only root may read RAPL",
                 links=uses,
             ))),
            g.row(102, "Heat"),
            (9, (12, temperature_over_time(13, [
                see("What capped when", "power", 12), see("Fans", "power", 16),
                see("Heat and power", "power", 17)])),
             (12, g.time_series(
                 15,
                 "Temperatures around the chip",
                 "Disks, memory modules, network and chassis.",
                 "celsius",
                 [g.query("halo_board_temperature_celsius{§}",
                          "{{instance}} {{chip}} {{device}} {{sensor}}")],
                 no_value="No sensor of the board known",
                 links=[see("Fans", "power", 16)],
             ))),
            (8, (12, g.time_series(
                16,
                "Fans",
                "Speed of fans; 0 is one that stands still.",
                "rotrpm",
                [g.query("halo_fan_speed_rpm{§}", "{{instance}} {{chip}} {{fan}}")],
                minimum=0,
                no_value="No fan known: the board's driver shows none",
                links=[see("Temperatures", "power", 13)],
            )),
             (12, g.time_series(
                 17,
                 "Heat and power",
                 "Degrees of the hottest sensor above 25 °C for each watt of the socket: a cooler "
                 "that fills with dust shows as a line that rises over weeks.",
                 "suffix: °C/W",
                 [g.query(
                     "(max by (job, instance) (halo_temperature_celsius{§device}) - 25) "
                     "/ (max by (job, instance) (avg_over_time("
                     'halo_power_watts{§device,domain="socket"}[5m])) > 20)',
                     "{{instance}}")],
                 no_value="No load above 20 W in this time, or no power known",
                 links=[see("Fans", "power", 16)],
             ))),
            g.row(103, "Clocks, and what changes limits"),
            (9, (12, clocks_over_time(18, [see("What capped when", "power", 12)])),
             (12, held_down())),
            (9, (12, supply()),
             (12, g.state_timeline(
                 19,
                 "Limiter bits",
                 "Limiters of firmware that gives bits instead of counters (APUs up to Phoenix): "
                 "engaged at the moment of a scrape.",
                 "short",
                 [g.query("max by (instance, limiter) (halo_throttle_active{§gpu})",
                          "{{instance}} {{limiter}}")],
                 mappings=g.value_map({"0": ("free", GREEN), "1": ("engaged", RED)}),
                 points=300,
                 no_value="No bits: this firmware has counters, or tells nothing",
                 links=[see("What capped when", "power", 12)],
             ))),
            (7, (12, g.time_series(
                21,
                "Limiter counters",
                "Firmware's ticks per second for each limiter; the tick is not documented, about "
                "1 ms, so that 1000 a second is always engaged.",
                "cps",
                [g.query("rate(halo_throttle_residency_total{§gpu}[$__rate_interval])",
                         "{{instance}} {{gpu}} {{limiter}}")],
                minimum=0,
                no_value="No counters: this needs gpu_metrics v3.0",
                links=uses,
            )),
             (12, g.time_series(
                 22,
                 "Age of the helper's reading",
                 "How old the file of power limits is that halo-ryzenadj writes; absent where limits "
                 "come from the module ryzen_smu.",
                 "s",
                 [g.query("halo_power_reading_age_seconds{§}", "{{instance}}")],
                 minimum=0,
                 thresholds=g.steps(GREEN, (180, RED)),
                 no_value="Limits do not come from the helper, or none are known",
                 links=[see("Failing sources", "fleet", 11)],
             ))),
        ),
        tags=["power"],
    )
