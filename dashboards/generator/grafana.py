"""Panels, variables and dashboards as Grafana's classic JSON (schemaVersion 39) has them.

Every panel has all options that Grafana would write, so that a dashboard that is opened and saved
again differs in what was changed alone.
"""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# What chooses a machine, a graphics processor, and what a device of either is called.
MACHINE = 'job=~"$job",instance=~"$instance"'
GPU = MACHINE + ',gpu=~"$gpu"'
DEVICE = MACHINE + ',device=~"$gpu|package"'


def expand(expression):
    """Writes out the short forms: {§}, {§gpu} and {§device} begin a selector."""
    lines = [line.strip() for line in expression.strip().splitlines()]
    text = " ".join(lines)
    for short, long in [("§gpu", GPU), ("§device", DEVICE), ("§", MACHINE)]:
        text = text.replace(short, long)
    return text


def query(expression, legend="__auto", instant=False, table=False):
    """One query of a panel; its letter is given by the panel."""
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expand(expression),
        "format": "table" if table else "time_series",
        "instant": instant or table,
        "legendFormat": legend,
        "range": not (instant or table),
    }


def steps(*colours):
    """Thresholds: a colour, then pairs of a value and the colour from there on."""
    first, *rest = colours
    later = [{"color": colour, "value": value} for value, colour in rest]
    return {"mode": "absolute", "steps": [{"color": first, "value": None}, *later]}


def unknown(text):
    """What stands where nothing is known. Grafana would give it the colour of the lowest threshold,
    which is that of what is well."""
    result = {"color": "#808080", "index": 0, "text": text}
    return {"options": {"match": "null+nan", "result": result}, "type": "special"}


def value_map(pairs):
    """Texts and colours for values: {"1": ("up", "green")}; a colour may be None."""
    options = {}
    for index, (value, (text, colour)) in enumerate(pairs.items()):
        options[value] = {"color": colour, "index": index, "text": text}
        if colour is None:
            del options[value]["color"]
    return [{"options": options, "type": "value"}]


def override(matcher, name, **properties):
    """What differs for some fields; names of properties have __ for a dot."""
    return {
        "matcher": {"id": matcher, "options": name},
        "properties": [
            {"id": key.replace("__", "."), "value": value} for key, value in properties.items()
        ],
    }


def of_query(letter, **properties):
    return override("byFrameRefID", letter, **properties)


def named(name, **properties):
    return override("byName", name, **properties)


def dashed(letter):
    """A limit: dashed and without a filling, so that it differs from what it limits."""
    return of_query(
        letter,
        custom__lineStyle={"dash": [8, 8], "fill": "dash"},
        custom__fillOpacity=0,
        custom__lineWidth=2,
    )


def panel(kind, number, title, description, unit, queries, options, custom, **more):
    """What all kinds share."""
    defaults = {
        "color": more.get("color", {"mode": "thresholds"}),
        "custom": custom,
        "decimals": more.get("decimals"),
        "links": more.get("data_links", []),
        "mappings": more.get("mappings", []),
        "max": more.get("maximum"),
        "min": more.get("minimum"),
        "noValue": more.get("no_value", "No data"),
        "thresholds": more.get("thresholds", steps("green")),
        "unit": unit,
    }
    optional = ["decimals", "max", "min"]
    defaults = {k: v for k, v in defaults.items() if not (k in optional and v is None)}
    letters = "ABCDEFGHIJKLMNOP"
    return {
        "datasource": DATASOURCE,
        "description": description,
        "fieldConfig": {"defaults": defaults, "overrides": more.get("overrides", [])},
        "gridPos": {"h": 0, "w": 0, "x": 0, "y": 0},
        "id": number,
        "links": more.get("links", []),
        "maxDataPoints": more.get("points"),
        "options": options,
        "targets": [{**one, "refId": letters[i]} for i, one in enumerate(queries)],
        "title": title,
        "transformations": more.get("transformations", []),
        "transparent": False,
        "type": kind,
    }


REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}
HIDE_FROM = {"legend": False, "tooltip": False, "viz": False}


def stat(number, title, description, unit, queries, **more):
    """A figure of now; its colour says whether it is well."""
    options = {
        "colorMode": more.get("color_mode", "background"),
        "graphMode": "none",
        "justifyMode": "auto",
        # Machines one below the other: side by side, their names would be too small to read.
        "orientation": "horizontal",
        "percentChangeColorMode": "standard",
        "reduceOptions": REDUCE,
        "showPercentChange": False,
        "text": {},
        "textMode": more.get("text_mode", "auto"),
        "wideLayout": True,
    }
    more["mappings"] = [unknown(more["no_value"]), *more.get("mappings", [])]
    return panel("stat", number, title, description, unit, queries, options, {}, **more)


def bar_gauge(number, title, description, unit, queries, **more):
    options = {
        "displayMode": "basic",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "maxVizHeight": 300,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "auto",
        "orientation": "horizontal",
        "reduceOptions": REDUCE,
        "showUnfilled": True,
        "sizing": "auto",
        "text": {},
        # Yellow figures cannot be read on white.
        "valueMode": "text",
    }
    more["mappings"] = [unknown(more["no_value"])]
    return panel("bargauge", number, title, description, unit, queries, options, {}, **more)


def time_series(number, title, description, unit, queries, **more):
    """Lines over time."""
    custom = {
        "axisBorderShow": False,
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "axisLabel": more.get("axis", ""),
        "axisPlacement": "auto",
        "barAlignment": 0,
        "barWidthFactor": 0.6,
        "drawStyle": more.get("style", "line"),
        "fillOpacity": more.get("fill", 8),
        "gradientMode": "none",
        "hideFrom": HIDE_FROM,
        "insertNulls": False,
        "lineInterpolation": more.get("interpolation", "linear"),
        "lineWidth": 1,
        "pointSize": more.get("point_size", 5),
        "scaleDistribution": {"log": 2, "type": "log"} if more.get("log") else {"type": "linear"},
        "showPoints": more.get("show_points", "auto"),
        "spanNulls": more.get("span_nulls", False),
        "stacking": {"group": "A", "mode": "none"},
        "thresholdsStyle": {"mode": "dashed" if "thresholds" in more else "off"},
    }
    options = {
        "legend": {
            "calcs": more.get("calcs", []),
            "displayMode": "table" if more.get("calcs") else "list",
            "placement": "bottom",
            "showLegend": True,
        },
        "tooltip": {"hideZeros": False, "mode": "multi", "sort": "desc"},
    }
    more.setdefault("color", {"mode": "palette-classic"})
    return panel("timeseries", number, title, description, unit, queries, options, custom, **more)


def state_timeline(number, title, description, unit, queries, **more):
    """What was so when."""
    custom = {
        "fillOpacity": 80,
        "hideFrom": HIDE_FROM,
        "insertNulls": False,
        "lineWidth": 0,
        "spanNulls": False,
    }
    options = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "perPage": 20,
        "rowHeight": 0.85,
        "showValue": more.get("show_value", "never"),
        "tooltip": {"hideZeros": False, "mode": "single", "sort": "none"},
    }
    return panel(
        "state-timeline", number, title, description, unit, queries, options, custom, **more
    )


def table(number, title, description, unit, queries, **more):
    custom = {
        "align": "auto",
        "cellOptions": {"type": "auto", "wrapText": False},
        "filterable": more.get("filterable", False),
        "inspect": more.get("inspect", False),
    }
    options = {
        "cellHeight": "sm",
        "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
        "showHeader": True,
        "sortBy": more.get("sort", []),
    }
    # The text for a panel without data would stand in every empty cell, too.
    empty_cell = override("byRegexp", "/.*/", noValue=" ")
    more["overrides"] = [empty_cell, *more.get("overrides", [])]
    return panel("table", number, title, description, unit, queries, options, custom, **more)


def merge():
    """Rows of several queries with the same labels become one."""
    return {"id": "merge", "options": {}}


def columns(names):
    """Fields in an order and under a name; all others are left out."""
    order = list(names)
    return [
        {"id": "filterFieldsByName", "options": {"include": {"names": order}}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {},
                "includeByName": {},
                "indexByName": {name: index for index, name in enumerate(order)},
                "renameByName": {old: new for old, new in names.items() if old != new},
            },
        },
    ]


def matrix(title, order):
    """One row a label `what`, one column a label `slot`, of a single query. Several queries would
    lose the names of their columns where all but one are empty."""
    header = "what\\slot"
    names = {header: title, **{one: one for one in order}}
    grouping = {
        "columnField": "slot",
        "emptyValue": "null",
        "rowField": "what",
        "valueField": "Value",
    }
    return [{"id": "groupingToMatrix", "options": grouping}, *columns(names)]


def slot(name, expression):
    """Values for one column of a matrix."""
    return f'label_replace({expression}, "slot", "{name}", "", "")'


def row(number, title):
    return {
        "collapsed": False,
        "gridPos": {"h": 1, "w": 24, "x": 0, "y": 0},
        "id": number,
        "panels": [],
        "title": title,
        "type": "row",
    }


def place(*lines):
    """Gives panels their places: each line is a height and panels with their widths, or a row."""
    placed, y = [], 0
    for line in lines:
        if isinstance(line, dict):
            placed.append({**line, "gridPos": {**line["gridPos"], "y": y}})
            y += 1
            continue
        height, *entries = line
        x = 0
        for width, one in entries:
            placed.append({**one, "gridPos": {"h": height, "w": width, "x": x, "y": y}})
            x += width
        assert x == 24, f"{entries[0][1]['title']}: {x} of 24 columns"
        y += height
    return placed


def variable(name, label, expression, description, multi=True, **more):
    """A variable whose values Prometheus knows; it is asked again when the time changes."""
    is_all = multi and more.get("all_value", ".+") is not None
    current = {"selected": True, "text": ["All"], "value": ["$__all"]} if is_all else {}
    return {
        "allValue": more.get("all_value", ".+") if is_all else None,
        "current": current,
        "datasource": DATASOURCE,
        "definition": expand(expression),
        "description": description,
        "hide": more.get("hide", 0),
        "includeAll": is_all,
        "label": label,
        "multi": multi,
        "name": name,
        "options": [],
        "query": {"query": expand(expression), "refId": f"Prometheus-{name}"},
        "refresh": 2,
        "regex": more.get("regex", ""),
        "skipUrlSync": more.get("hide", 0) == 2,
        "sort": more.get("sort", 1),
        "type": "query",
    }


def choice(name, label, values, chosen, description):
    """A variable with values of its own."""
    def option(value):
        return {"selected": value == chosen, "text": value, "value": value}

    return {
        "allValue": None,
        "current": option(chosen),
        "description": description,
        "hide": 0,
        "includeAll": False,
        "label": label,
        "multi": False,
        "name": name,
        "options": [option(value) for value in values],
        "query": ",".join(values),
        "skipUrlSync": False,
        "type": "custom",
    }
