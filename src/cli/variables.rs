//! Variables of the environment that look like halo's and are read by nobody.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::near::near;
use crate::source::SOURCES;

/// What all of halo's variables begin with.
const PREFIX: &str = "HALO_";

/// Variables of the tests of halo itself.
const OF_TESTS: &str = "HALO_TEST_";

/// What the build of halo gives to its tests and to `cargo run`, and images name their version by.
const OF_BUILDS: [&str; 2] = ["HALO_REVISION", "HALO_VERSION"];

/// One line for each variable of this process that begins as those of halo do and is none of them.
///
/// Both programs know the variables of each other: one file of an environment may serve both.
/// A configuration may name variables of its own, which hold keys of servers.
pub fn unknown(config: Option<&Config>) -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut known = known();
    let keys = config.into_iter().flat_map(|config| &config.llama);
    known.extend(keys.filter_map(|llama| llama.api_key_variable.clone()));
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !name.starts_with(OF_TESTS))
        .filter(|name| !OF_BUILDS.contains(&name.as_str()) && !known.contains(name))
        .collect();
    unknown.sort_unstable();
    unknown.iter().map(|name| complaint(name, &known)).collect()
}

fn complaint(name: &str, known: &BTreeSet<String>) -> String {
    let stem = name.strip_prefix(PREFIX).unwrap_or(name);
    let stems = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
    match near(stem, stems).first() {
        Some(meant) => format!("{name}: no such variable, ignored; did you mean {PREFIX}{meant}?"),
        None => format!("{name}: no such variable, ignored; --help lists those that there are"),
    }
}

/// Every variable that one of the two programs reads or sets.
fn known() -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        SOURCES.iter().map(|source| super::collector_variable(source.name)).collect();
    collect(&super::command(), &mut names);
    #[cfg(feature = "record")]
    {
        collect(&super::record::command(), &mut names);
        names.extend(super::record::VARIABLES.map(str::to_owned));
    }
    names
}

fn collect(command: &clap::Command, names: &mut BTreeSet<String>) {
    let of_flags = command.get_arguments().filter_map(|flag| flag.get_env()?.to_str());
    names.extend(of_flags.map(str::to_owned));
    command.get_subcommands().for_each(|subcommand| collect(subcommand, names));
}
