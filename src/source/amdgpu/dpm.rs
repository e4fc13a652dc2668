//! The clock lists `pp_dpm_*` of amdgpu, as a pure function on text.
//!
//! A line is `"%d: %uMhz %s\n"` with `*` for the level in use
//! (`smu_v14_0_0_print_clk_levels`, `smu_v13_0_4_print_clk_levels`).

/// What a clock list says, in hertz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// The lowest clock that may be chosen now.
    pub minimum: f64,
    /// The highest clock that may be chosen now.
    pub maximum: f64,
    /// The clock in use, where the list marks one.
    pub current: Option<f64>,
}

/// Reads a clock list. `Ok(None)` is the empty list of a clock that the chip does not have.
///
/// APUs mark no level where the filtered clock equals none, and two where two are equal. The
/// list of the graphics clock is made up of the minimum, a line in between and the maximum; the
/// line in between holds the current clock or a meaningless 1100, so it bounds nothing.
pub fn parse(text: &str) -> Result<Option<Levels>, BadLine> {
    let mut levels = Vec::new();
    let mut marked = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (mega, in_use) = level(line).ok_or_else(|| BadLine(line.to_owned()))?;
        levels.push(mega);
        if in_use {
            marked.push(mega);
        }
    }
    if let [first, _, last] = levels[..] {
        levels = vec![first, last];
    }
    marked.dedup();
    let (Some(minimum), Some(maximum)) = (levels.iter().min(), levels.iter().max()) else {
        return Ok(None);
    };
    let hertz = |mega: u32| f64::from(mega) * 1e6;
    let current = if let [only] = marked[..] { Some(hertz(only)) } else { None };
    Ok(Some(Levels { minimum: hertz(*minimum), maximum: hertz(*maximum), current }))
}

/// A line that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no line of a clock list")]
pub struct BadLine(String);

/// The clock of a line in MHz, and whether it is in use.
fn level(line: &str) -> Option<(u32, bool)> {
    let (index, rest) = line.split_once(':')?;
    // A discrete card in deep sleep shows its clock as level S.
    if index != "S" {
        index.parse::<u8>().ok()?;
    }
    let (clock, in_use) = match rest.trim().strip_suffix('*') {
        Some(clock) => (clock.trim_end(), true),
        None => (rest.trim(), false),
    };
    let unit = clock.len().checked_sub(3)?;
    let (number, unit) = (clock.get(..unit)?, clock.get(unit..)?);
    let mega: u32 = number.trim_end().parse().ok().filter(|&mega| mega <= 10_000)?;
    unit.eq_ignore_ascii_case("mhz").then_some((mega, in_use))
}

#[cfg(test)]
mod tests {
    use super::{Levels, parse};

    fn check(text: &str, minimum: u32, maximum: u32, current: Option<u32>) {
        let hertz = |mega| f64::from(mega) * 1e6;
        let expected = Levels {
            minimum: hertz(minimum),
            maximum: hertz(maximum),
            current: current.map(hertz),
        };
        assert_eq!(parse(text), Ok(Some(expected)), "{text:?}");
    }

    #[test]
    fn graphics_list_of_apus_is_bounds_and_current() {
        check("0: 600Mhz \n1: 848Mhz *\n2: 2900Mhz \n", 600, 2900, Some(848));
        check("0: 2900Mhz \n1: 1100Mhz \n2: 2900Mhz *\n", 2900, 2900, Some(2900));
    }

    #[test]
    fn any_number_of_levels_may_be_marked() {
        check("0: 400Mhz \n1: 800Mhz \n2: 937Mhz \n3: 1000Mhz \n", 400, 1000, None);
        check("0: 800Mhz *\n1: 800Mhz *\n2: 1000Mhz \n3: 1100Mhz \n", 800, 1100, Some(800));
        check("0: 800Mhz *\n1: 900Mhz *\n", 800, 900, None);
    }

    #[test]
    fn order_and_spelling_do_not_matter() {
        check("0: 2000MHz *\n1: 1600mhz\n2: 1200Mhz\n3: 400Mhz", 400, 2000, Some(2000));
        check("S: 19Mhz *\n0: 500Mhz \n1: 2304Mhz \n2: 2482Mhz ", 19, 2482, Some(19));
    }

    #[test]
    fn a_clock_that_does_not_exist_has_an_empty_list() {
        assert_eq!(parse("\n"), Ok(None));
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn nonsense_is_refused_by_line() {
        for line in ["x", "0:", "0: Mhz", "0: 5", "0: -5Mhz", "0: 5Ghz", "0: 99999Mhz", "é: é"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
