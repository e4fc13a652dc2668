//! Files of other projects and of people who reported what halo got wrong. They are not part of
//! this repository: `HALO_TEST_CASES` names the folder that holds them. Kinds of faults that need
//! no third party's file are tested where their code is.

use std::path::PathBuf;

mod gpu;
mod results;

/// The path of a file or directory below the cases, as `peers/vangogh/gpu_metrics`.
fn case(name: &str) -> PathBuf {
    let folder = std::env::var_os("HALO_TEST_CASES")
        .expect("HALO_TEST_CASES names the folder with the cases of others");
    let path = PathBuf::from(folder).join(name);
    assert!(path.exists(), "no case at {}", path.display());
    path
}
