"""Is the machine set as it should be, what changed, and is memory short?"""

import pathlib
import re

from . import grafana as g
from .common import *

DESCRIPTION = (
    "Every tuning check with what it is, should be and how to set it, drift over time, and memory "
    "with its pressure. docs/tuning.md gives the reasons."
)

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "tuning.md"

# Which check a setting belongs to, as regular expressions that label_replace takes.
CHECK_OF_SETTING = [
    (r"vm\\.(.+)", "$1"),
    (r"transparent_hugepage\\.(.+)", "thp_$1"),
    (r"(?:amd)?ttm\\.pages_limit", "ttm_pages_limit"),
    (r"amdgpu\\.gttsize", "gttsize_agrees"),
    (r"cmdline\\.(?:amd_)?iommu", "iommu"),
    (r"amd_pstate\\.status", "amd_pstate"),
    (r"cpu\\.(governor)", "cpu_$1"),
    (r"cpu\\.(energy_performance_preference)", "$1"),
    (r"power_dpm_force_(performance_level)", "$1"),
    (r"tuned\\.profile", "tuned_profile"),
    (r"(platform_profile)", "$1"),
    (r"iommu_groups\\.type", "iommu"),
    (r"ec_su_axb35\\.power_mode", "board_power_mode"),
]


def checks():
    """The checks of docs/tuning.md: name, what it should be, how to set it."""
    rows = re.findall(
        r"^\| `(\w+)` \| .+? \| (.+?) \| .+ \| (.+?) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    return [(name, plain(should), plain(how)) for name, should, how in rows]


def plain(text):
    return text.replace("`", "")


def texts(number):
    """A mapping of each check to one of its texts."""
    return [
        {
            "options": {one[0]: {"index": i, "text": one[number]} for i, one in enumerate(checks())},
            "type": "value",
        }
    ]


def current():
    """What each check looks at, in the label `is`."""
    setting = (
        'count_values by (job, instance, setting) ("is", halo_tuning_value{§}) '
        'or label_replace(halo_tuning_info{§}, "is", "$1", "value", "(.*)")'
    )
    for pattern, check in CHECK_OF_SETTING:
        setting = f'label_replace({setting}, "check", "{check}", "setting", "{pattern}")'

    def of_machine(check, expression):
        return f'label_replace({expression}, "check", "{check}", "", "")'

    def mebibytes(pool):
        values = f'halo_gpu_memory_size_bytes{{§,pool="{pool}"}} / 1048576'
        counted = f'count_values by (job, instance) ("is", {values})'
        return f'label_replace({counted}, "is", "$1 MiB", "is", "(.*)")'

    every = [
        setting,
        of_machine(
            "kernel_version", 'label_replace(halo_host_info{§}, "is", "$1", "kernel", "(.*)")'
        ),
        of_machine(
            "mains",
            'count_values by (job, instance) ("is", max by (job, instance) (halo_supply_online{§}))',
        ),
        of_machine("carve_out", mebibytes("vram")),
        of_machine("gtt_size", mebibytes("gtt")),
    ]
    together = " or ".join(f"({one})" for one in every)
    return (
        f"max by (instance, check, is) ({together}) and on (instance, check) "
        "max by (instance, check) (halo_tuning_check{§})"
    )


def build():
    drift = [see("Settings that changed", "tuning", 6)]
    return dashboard(
        "tuning",
        DESCRIPTION,
        [*machine_variables(), gpu_variable()],
        g.place(
            g.row(100, "Settings"),
            (5, (12, g.stat(
                1,
                "Settings to mend",
                "How many tuning checks fail.",
                "short",
                [g.query("sum by (instance) (1 - halo_tuning_check{§})", "{{instance}}",
                         instant=True)],
                thresholds=COUNT_COLOURS,
                no_value="no check",
                links=[see("Which", "tuning", 3)],
            )),
             (12, g.stat(
                 2,
                 "Drifted today",
                 "How many checks passed within the last day and fail now.",
                 "short",
                 [g.query("count by (instance) (halo_tuning_check{§} == 0 "
                          "and max_over_time(halo_tuning_check{§}[1d]) == 1) "
                          "or 0 * sum by (instance) (halo_tuning_check{§})", "{{instance}}",
                          instant=True)],
                 thresholds=g.steps(GREEN, (1, RED)),
                 no_value="no check",
                 links=[see("When", "tuning", 5)],
             ))),
            (6, (24, g.table(
                4,
                "Machine",
                "Kernel, system, processor, board and firmware.",
                "string",
                [g.query("max by (instance, kernel, os, cpu, board, bios) (halo_host_info{§})",
                         table=True)],
                transformations=g.columns({
                    "instance": "Machine",
                    "kernel": "Kernel",
                    "os": "System",
                    "cpu": "Processor",
                    "board": "Board",
                    "bios": "BIOS",
                }),
                overrides=[g.named("Processor", custom__minWidth=340)],
                no_value="Nothing known of the machine",
                links=[see("All machines", "fleet")],
            ))),
            (20, (24, g.table(
                3,
                "Checks",
                "Every check: what the setting is, what it should be, and what sets it. What cannot "
                "be told is left out. The eye in a cell shows a text that is cut off; docs/tuning.md "
                "says why each should be so.",
                "string",
                [g.query(current(), table=True),
                 g.query("max by (instance, check, group) (halo_tuning_check{§})", table=True),
                 g.query('label_replace(max by (instance, check) (halo_tuning_check{§}), '
                         '"should", "$1", "check", "(.*)")', table=True),
                 g.query('label_replace(max by (instance, check) (halo_tuning_check{§}), '
                         '"how", "$1", "check", "(.*)")', table=True)],
                transformations=[g.merge(), *g.columns({
                    "Value #B": "Passes",
                    "check": "Check",
                    "instance": "Machine",
                    "is": "Is",
                    "should": "Should be",
                    "how": "Set with",
                    "group": "Group",
                })],
                overrides=[
                    g.named("Passes", mappings=YES_NO, custom__width=110,
                            custom__cellOptions={"type": "color-background", "mode": "basic"}),
                    g.named("Group", custom__width=90),
                    g.named("Check", custom__width=235),
                    g.named("Machine", custom__width=150),
                    g.named("Is", unit="string", custom__width=180),
                    g.named("Should be", mappings=texts(1), custom__minWidth=200),
                    g.named("Set with", mappings=texts(2), custom__minWidth=300),
                ],
                filterable=True,
                inspect=True,
                sort=[{"desc": False, "displayName": "Passes"}],
                no_value="No check can be told: the source tuning is off, or its files are not mounted",
                links=drift,
            ))),
            g.row(101, "Drift"),
            (14, (24, g.state_timeline(
                5,
                "Checks over time",
                "Checks that failed in the time shown: green passes, red fails. What turned red at a "
                "reboot, an update or a resume was not made to last.",
                "short",
                [g.query("max by (instance, check) (halo_tuning_check{§}) "
                         "and on (instance, check) min by (instance, check) "
                         "(min_over_time(halo_tuning_check{§}[$__range] @ end())) == 0",
                         "{{instance}} {{check}}")],
                mappings=g.value_map({"0": ("fails", RED), "1": ("passes", GREEN)}),
                points=300,
                no_value="No check failed in this time, or none can be told",
                links=drift,
            ))),
            (9, (12, g.state_timeline(
                6,
                "Settings that changed",
                "Settings that are words and had several values in the time shown: a bar that ends "
                "and another that begins is a change.",
                "short",
                [g.query("max by (instance, setting, value) (halo_tuning_info{§}) "
                         "and on (instance, setting) count by (instance, setting) "
                         "(count by (instance, setting, value) "
                         "(last_over_time(halo_tuning_info{§}[$__range] @ end()))) > 1",
                         "{{instance}} {{setting}} = {{value}}")],
                mappings=g.value_map({"1": ("set", BLUE)}),
                points=300,
                no_value="No setting changed, or none is known",
                links=[see("Checks", "tuning", 3)],
            )),
             (12, g.table(
                 12,
                 "Numbers that changed",
                 "Numeric settings that changed in the time shown: how often, and what they are "
                 "now.",
                 "string",
                 [g.query("max by (instance, setting) "
                          "(changes(halo_tuning_value{§}[$__range]) > 0)", table=True),
                  g.query("max by (instance, setting) (halo_tuning_value{§} "
                          "and changes(halo_tuning_value{§}[$__range]) > 0)", table=True)],
                 transformations=[g.merge(), *g.columns({
                     "instance": "Machine",
                     "setting": "Setting",
                     "Value #A": "Changes",
                     "Value #B": "Is now",
                 })],
                 overrides=[
                     g.named("Machine", custom__minWidth=130),
                     g.named("Setting", custom__minWidth=110),
                     g.named("Changes", unit="none", custom__width=85),
                     g.named("Is now", unit="none", custom__width=100),
                 ],
                 no_value="No number changed, or none is known",
                 links=[see("Checks", "tuning", 3)],
             ))),
            g.row(102, "Memory"),
            (9, (12, memory_over_time(7, [
                see("Which process holds it", "llama", 13), see("Context of slots", "llama", 9)])),
             (12, g.time_series(
                 8,
                 "Main memory and swap",
                 "available: what programs can still get without swapping. A model that is swapped "
                 "out answers slowly. huge pages: memory in transparent huge pages.",
                 "bytes",
                 [g.query("halo_memory_available_bytes{§}", "{{instance}} available"),
                  g.query("halo_memory_size_bytes{§}", "{{instance}} size"),
                  g.query("halo_swap_used_bytes{§}", "{{instance}} swap used"),
                  g.query("halo_swap_size_bytes{§}", "{{instance}} swap size"),
                  g.query("halo_memory_huge_anonymous_bytes{§}", "{{instance}} huge pages")],
                 overrides=[g.dashed("B"), g.dashed("D")],
                 minimum=0,
                 no_value="No memory known",
                 links=[see("Pressure", "tuning", 9), see("Which process holds it", "llama", 15)],
             ))),
            (9, (12, g.time_series(
                9,
                "Pressure",
                "Share of time that tasks waited for processor, memory or disks: some of them, or "
                "all (full). Memory above 10 % while a model is loaded is trouble.",
                "percentunit",
                [g.query("rate(halo_pressure_stalled_seconds_total{§}[$__rate_interval])",
                         "{{instance}} {{resource}} {{kind}}")],
                minimum=0,
                no_value="No pressure known: add psi=1 to the kernel command line",
                links=[see("Main memory and swap", "tuning", 8)],
            )),
             (12, g.time_series(
                 10,
                 "Processor time",
                 "Processor threads at work, by mode; user includes guests. idle is left out.",
                 "short",
                 [g.query('sum by (instance, mode) (rate(halo_cpu_seconds_total{§,mode!="idle"}'
                          "[$__rate_interval]))", "{{instance}} {{mode}}")],
                 minimum=0,
                 no_value="No processor time known",
                 links=[see("Pressure", "tuning", 9)],
             ))),
            (8, (24, g.time_series(
                11,
                "Processor clocks",
                "The lowest, mean and highest clock of the threads that are online.",
                "hertz",
                [g.query("halo_cpu_clock_hertz{§}", "{{instance}} {{stat}}")],
                minimum=0,
                no_value="No clock of the processor known",
                links=[see("Clocks held down", "power", 14)],
            ))),
        ),
        time="now-24h",
        refresh="1m",
        tags=["tuning"],
    )
