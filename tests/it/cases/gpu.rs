//! Machines and tables of other graphics processors.

use super::case;

#[test]
fn the_tables_of_others_are_there() {
    assert!(case("peers/vangogh/gpu_metrics").is_file());
    assert!(case("peers/dgpu_socket/combo").is_dir());
}
