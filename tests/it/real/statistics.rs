//! What `SciPy` says of the samples that halo's statistics are held against.

use std::process::Command;

use super::process::{output, said};
use crate::machine::fixtures;

#[test]
fn the_expected_statistics_are_those_of_scipy() {
    let python = std::env::var_os("HALO_TEST_PYTHON")
        .expect("HALO_TEST_PYTHON names a Python that has SciPy; .ci/run makes one");
    let checked = output(Command::new(python).arg(fixtures().join("stats/make.py")).arg("--check"));
    assert!(checked.status.success(), "{}", said(&checked));
}
