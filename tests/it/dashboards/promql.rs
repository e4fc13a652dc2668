//! What a query looks at: its selectors with the functions around them, and the labels it names.

use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, BinModifier, Expr, LabelModifier, VectorMatchCardinality};

/// What `$__rate_interval` is taken for: no range that anybody would write.
pub(crate) const RATE_INTERVAL: Duration = Duration::from_secs(7777);

/// One selector of a query.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) name: String,
    pub(crate) matchers: Vec<Matcher>,
    /// The function that takes it directly, with its range where that function takes one.
    pub(crate) function: Option<String>,
    pub(crate) range: Option<Duration>,
}

impl Selector {
    /// Whether a label is chosen with `=~` by a variable of this name.
    pub(crate) fn is_chosen_by(&self, label: &str, variable: &str) -> bool {
        self.matchers.iter().any(|matcher| {
            let is_pattern = matches!(matcher.op, MatchOp::Re(_));
            is_pattern && matcher.name == label && matcher.value == marker(variable)
        })
    }
}

/// A parsed query.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) selectors: Vec<Selector>,
    /// Labels that aggregations and matchings name.
    pub(crate) labels: BTreeSet<String>,
    /// Labels that functions make.
    pub(crate) made: BTreeSet<String>,
}

/// What a variable is replaced by, so that it is found again.
fn marker(variable: &str) -> String {
    format!("of_{variable}")
}

/// The names of variables in a text, Grafana's own left out. `$1` is a part of a regular
/// expression.
pub(crate) fn variables(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('$') {
        let rest = text[at + 1..].trim_start_matches('{');
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        let is_variable = name.starts_with(|c: char| c.is_ascii_lowercase());
        if is_variable && !name.starts_with("__") {
            found.insert(name.to_owned());
        }
    }
    found
}

/// Replaces variables as Grafana would; `with` gives the value of those that are not Grafana's.
pub(crate) fn interpolate(text: &str, with: impl Fn(&str) -> String) -> String {
    let mut text = text.to_owned();
    let own = [("$__rate_interval", "7777s"), ("$__range", "1h"), ("$__interval", "15s")];
    for (name, value) in own {
        text = text.replace(name, value);
    }
    // Longer names first: $tag begins $tag_value.
    for name in variables(&text).into_iter().rev() {
        let value = with(&name);
        text = text.replace(&format!("${{{name}}}"), &value).replace(&format!("${name}"), &value);
    }
    text
}

/// Parses a query of a dashboard.
pub(crate) fn parse(query: &str) -> Parsed {
    let text = interpolate(query, |name| match name {
        "history" => "90d".to_owned(),
        name if name.starts_with("shift_") => "5000".to_owned(),
        name => marker(name),
    });
    let expression = parser::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut parsed = Parsed::default();
    walk(&expression, None, &mut parsed);
    parsed
}

fn walk(expression: &Expr, function: Option<&str>, parsed: &mut Parsed) {
    match expression {
        Expr::Aggregate(aggregation) => {
            if let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) =
                &aggregation.modifier
            {
                parsed.labels.extend(labels.labels.iter().cloned());
            }
            if let Some(parameter) = &aggregation.param {
                // count_values names the label that it makes.
                if let Expr::StringLiteral(label) = parameter.as_ref() {
                    parsed.made.insert(label.val.clone());
                }
                walk(parameter, None, parsed);
            }
            walk(&aggregation.expr, None, parsed);
        }
        Expr::Binary(binary) => {
            if let Some(BinModifier { card, matching, .. }) = &binary.modifier {
                if let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) =
                    matching
                {
                    parsed.labels.extend(labels.labels.iter().cloned());
                }
                if let VectorMatchCardinality::ManyToOne(labels)
                | VectorMatchCardinality::OneToMany(labels) = card
                {
                    parsed.labels.extend(labels.labels.iter().cloned());
                }
            }
            walk(&binary.lhs, None, parsed);
            walk(&binary.rhs, None, parsed);
        }
        Expr::Call(call) => {
            if let ("label_replace" | "label_join", Some(Expr::StringLiteral(label))) =
                (call.func.name, call.args.args.get(1).map(AsRef::as_ref))
            {
                parsed.made.insert(label.val.clone());
            }
            for argument in &call.args.args {
                walk(argument, Some(call.func.name), parsed);
            }
        }
        Expr::Unary(unary) => walk(&unary.expr, None, parsed),
        Expr::Paren(paren) => walk(&paren.expr, function, parsed),
        Expr::Subquery(subquery) => walk(&subquery.expr, None, parsed),
        Expr::VectorSelector(selector) => select(selector, function, None, parsed),
        Expr::MatrixSelector(selector) => {
            select(&selector.vs, function, Some(selector.range), parsed);
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn select(
    selector: &parser::VectorSelector,
    function: Option<&str>,
    range: Option<Duration>,
    parsed: &mut Parsed,
) {
    assert!(selector.matchers.or_matchers.is_empty(), "Prometheus has no `or` of matchers");
    parsed.selectors.push(Selector {
        name: selector.name.clone().expect("a selector names its metric"),
        matchers: selector.matchers.matchers.clone(),
        function: function.map(str::to_owned),
        range,
    });
}

#[test]
fn queries_are_taken_apart() {
    let parsed = parse(
        r#"sum by (mode) (rate(halo_cpu_seconds_total{job=~"$job",mode!="idle"}[$__rate_interval] offset ${shift_b}ms))
        / on (instance) group_left (name) last_over_time(label_replace(up{job=~"x"}, "made", "$1", "job", "(.*)")[5m:1m])"#,
    );
    let names: Vec<&str> = parsed.selectors.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["halo_cpu_seconds_total", "up"]);
    let [counter, up] = &parsed.selectors[..] else { panic!() };
    assert_eq!(counter.function.as_deref(), Some("rate"));
    assert_eq!(counter.range, Some(RATE_INTERVAL));
    assert!(counter.is_chosen_by("job", "job") && !up.is_chosen_by("job", "job"));
    assert_eq!(up.function.as_deref(), Some("label_replace"));
    let labels: Vec<&str> = parsed.labels.iter().map(String::as_str).collect();
    assert_eq!(labels, ["instance", "mode", "name"]);
    assert!(parsed.made.contains("made"));
    let found = variables("$a ${b:text} $__range $1 ${__all_variables}");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}
