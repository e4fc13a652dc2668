"""How fast models are, prefill and decode apart, how full, and what a token costs."""

from . import grafana as g
from .common import *

DESCRIPTION = (
    "llama-server: speed of prefill and decode by model, requests, context of slots, cache, "
    "speculative decoding, and energy per token."
)

SERVER = '§,server=~"$server",model=~"$model"'
NAME = "{{instance}} {{server}} {{model}}"


def of(family):
    return f"{family}{{{SERVER}}}"


def increase(family):
    return f"rate({of(family)}[$__rate_interval])"


def ratio(number, title, description, above, below, no_value, links):
    return g.time_series(
        number,
        title,
        description,
        "percentunit",
        [g.query(f"{increase(above)} / ({below} > 0)", NAME)],
        minimum=0,
        maximum=1,
        show_points="always",
        no_value=no_value,
        links=links,
    )


def speed(number, title, description, family, links):
    return g.time_series(
        number,
        title,
        description,
        "suffix: tok/s",
        [g.query(of(family), NAME)],
        minimum=0,
        no_value=NO_LLAMA,
        links=links,
    )


def build():
    causes = [see("What capped when", "power", 12), see("Memory and pressure", "tuning", 7)]
    states = {
        "ready": GREEN,
        "sleeping": BLUE,
        "loading": YELLOW,
        "metrics_disabled": ORANGE,
        "unauthorized": ORANGE,
        "down": RED,
        "unreachable": ORANGE,
    }
    return dashboard(
        "llama",
        DESCRIPTION,
        [
            *machine_variables(),
            gpu_variable(),
            g.variable(
                "server", "server", "label_values(halo_llama_up{§}, server)", "The llama-servers.",
                all_value=".*",
            ),
            g.variable(
                "model",
                "model",
                'label_values(halo_llama_model_info{§,server=~"$server"}, model)',
                "The models that servers have loaded.",
                all_value=".*",
            ),
        ],
        g.place(
            g.row(100, "Servers"),
            (6, (8, g.state_timeline(
                1,
                "State of servers",
                "ready, loading, sleeping, down, or a server that answers without its metrics: "
                "unauthorized (give halo its key), metrics_disabled (start it with --metrics) and "
                "unreachable (a model behind it cannot be asked; docs/llama-servers.md).",
                "short",
                [g.query(" or ".join(
                    f'{index} * max by (instance, server) '
                    f'(halo_llama_state{{§,server=~"$server",state="{state}"}})'
                    for index, state in enumerate(states, 1)), "{{instance}} {{server}}")],
                mappings=g.value_map({
                    str(index): (state, colour)
                    for index, (state, colour) in enumerate(states.items(), 1)}),
                points=300,
                no_value=NO_LLAMA,
                links=[see("Failing sources", "fleet", 11), see("Memory", "tuning", 8)],
            )),
             (16, g.table(
                 2,
                 "Models",
                 "What is loaded, by which build of llama.cpp, how many tokens of context a slot "
                 "has, and why a model behind another server cannot be asked.",
                 "string",
                 [g.query(f"max by (instance, server, model, build, context) "
                          f"({of('halo_llama_model_info')})", table=True),
                  g.query('max by (instance, server) (halo_llama_up{§,server=~"$server"})',
                          table=True),
                  g.query(f"max by (instance, server, model, reason) "
                          f"({of('halo_llama_model_failure')})", table=True)],
                 transformations=[g.merge(), *g.columns({
                     "instance": "Machine",
                     "server": "Server",
                     "Value": "Answers",
                     "Value #B": "Answers",
                     "model": "Model",
                     "context": "Context",
                     "build": "Build",
                     "reason": "Not asked",
                 })],
                 overrides=[g.named("Answers", mappings=YES_NO, custom__width=90,
                                    custom__cellOptions={"type": "color-text"}),
                            g.named("Model", custom__minWidth=240),
                            g.named("Context", custom__width=90)],
                 no_value=NO_LLAMA,
                 links=[see("Memory and pressure", "tuning", 7)],
             ))),
            g.row(101, "Speed"),
            (9, (12, speed(
                4, "Prefill: prompt tokens per second",
                "Prompt tokens per second over all slots, live. Prefill is bound by computing: "
                "power and temperature caps lower it first.",
                "halo_llama_prompt_tokens_per_second", causes)),
             (12, speed(
                 5, "Decode: generated tokens per second",
                 "Generated tokens per second over all slots, live, also while requests run. Decode "
                 "is bound by the bandwidth of memory.",
                 "halo_llama_generated_tokens_per_second", causes))),
            (10, (12, g.time_series(
                6,
                "Speed of ended requests",
                "Tokens per second of one slot, as servers counted them in requests that ended "
                "in the interval: generated on the left, prompt on the right axis.",
                "suffix: tok/s",
                [g.query(f"{increase('halo_llama_generated_tokens_total')} "
                         f"/ ({increase('halo_llama_generation_seconds_total')} > 0)",
                         "generated " + NAME),
                 g.query(f"{increase('halo_llama_prompt_tokens_total')} "
                         f"/ ({increase('halo_llama_prompt_seconds_total')} > 0)",
                         "prompt " + NAME)],
                overrides=[g.of_query("B", custom__axisPlacement="right",
                                      custom__axisLabel="prompt", custom__fillOpacity=0)],
                axis="generated",
                minimum=0,
                show_points="always",
                no_value="No request ended in this time, or no server tells",
                links=causes,
            )),
             (12, g.time_series(
                 7,
                 "Tokens in a batch",
                 "Tokens for each computed batch: above 1 in decode, slots share the weights that "
                 "are read, and the sum of their speeds grows.",
                 "suffix: tok",
                 [g.query(f"({increase('halo_llama_generated_tokens_total')} "
                          f"+ {increase('halo_llama_prompt_tokens_total')}) "
                          f"/ ({increase('halo_llama_decodes_total')} > 0)", NAME)],
                 log=True,
                 no_value="No batch was computed in this time, or no server tells",
                 links=[see("Requests", "llama", 8)],
             ))),
            g.row(102, "Load"),
            (10, (12, g.time_series(
                8,
                "Requests",
                "Requests that are worked on, and those that wait for a slot (deferred).",
                "short",
                [g.query(of("halo_llama_requests"), "{{state}} " + NAME)],
                interpolation="stepAfter",
                minimum=0,
                decimals=0,
                no_value=NO_LLAMA,
                links=[see("Speed", "llama", 5)],
            )),
             (12, g.time_series(
                 9,
                 "Context of slots",
                 "Share of its context that a working slot holds; at 1 the request is cut or "
                 "shifted. A long context makes decode slower.",
                 "percentunit",
                 [g.query(of("halo_llama_context_used_ratio"), "slot {{slot}} " + NAME)],
                 minimum=0,
                 maximum=1,
                 thresholds=FULL_COLOURS,
                 no_value="No slot works, or the server does not tell (builds before b9713)",
                 links=[see("Memory and pressure", "tuning", 7)],
             ))),
            (9, (12, ratio(
                3, "Prompt tokens from the cache",
                "Share of prompt tokens that were taken from the cache and cost nothing.",
                "halo_llama_prompt_cached_tokens_total",
                f"({increase('halo_llama_prompt_cached_tokens_total')} "
                f"+ {increase('halo_llama_prompt_tokens_total')})",
                "No prompt in this time, or a build that does not tell (before August 2026)",
                [see("Prefill", "llama", 4)])),
             (12, ratio(
                 10, "Guessed tokens that were accepted",
                 "Speculative decoding: share of guessed tokens that the model agreed to. Below "
                 "about a half, guessing costs more than it gives.",
                 "halo_llama_draft_accepted_tokens_total",
                 increase("halo_llama_draft_tokens_total"),
                 "No speculative decoding in this time, or no server tells",
                 [see("Decode", "llama", 5)]))),
            g.row(103, "Cost"),
            (9, (12, joules_over_time(11, [
                see("Power and its limits", "power", 11), see("Tokens in a batch", "llama", 7)])),
             (12, g.time_series(
                 12,
                 "Speed for each watt",
                 "Tokens per second for each watt of the socket, over the last minute: what a lower "
                 "power limit may improve.",
                 "suffix: tok/s/W",
                 [g.query("halo:llama_tokens_per_second_per_watt:avg1m{§}",
                          "{{instance}} {{phase}}")],
                 minimum=0,
                 no_value="No tokens, or no power, or the shipped rules are not loaded",
                 links=[see("Limits now", "power", 9)],
             ))),
            g.row(104, "Processes on the GPU"),
            (9, (12, g.time_series(
                13,
                "Memory of the GPU by process",
                "Memory that processes hold; what several share counts for each. The source "
                "process_gpu is off by default.",
                "bytes",
                [g.query("halo_process_gpu_memory_bytes{§gpu}",
                         "{{instance}} {{comm}} {{pid}} {{pool}}")],
                minimum=0,
                no_value="Not collected: --collector.process_gpu switches it on",
                links=[see("Memory and pressure", "tuning", 7)],
            )),
             (12, g.time_series(
                 14,
                 "Engines of the GPU by process",
                 "Share of time that engines worked for a process; compute of ROCm is not in it.",
                 "percentunit",
                 [g.query("rate(halo_process_gpu_seconds_total{§gpu}[$__rate_interval])",
                          "{{instance}} {{comm}} {{pid}} {{engine}}")],
                 minimum=0,
                 no_value="Not collected: --collector.process_gpu switches it on",
                 links=[see("Busy, and the power it takes", "overview", 11)],
             ))),
            (8, (24, g.time_series(
                15,
                "Main memory of processes on the GPU",
                "Main memory that processes hold which use the GPU.",
                "bytes",
                [g.query("halo_process_resident_bytes{§}", "{{instance}} {{comm}} {{pid}}")],
                minimum=0,
                no_value="Not collected: --collector.process_gpu switches it on",
                links=[see("Memory and pressure", "tuning", 7)],
            ))),
        ),
        tags=["llama"],
    )
