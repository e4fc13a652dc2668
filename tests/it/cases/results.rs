//! What tools printed elsewhere.

use super::case;

#[test]
fn the_results_of_others_are_there() {
    assert!(case("peers/clpeak/two.txt").is_file());
    assert!(case("peers/inspect/log_streaming.eval").is_file());
}
