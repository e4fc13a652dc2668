//! The clock lists `pp_dpm_*` of amdgpu, as a pure function on text.
//!
//! A line is `"%d: %uMhz %s\n"` with `*` for the level in use
//! (`smu_v14_0_0_print_clk_levels`, `smu_v13_0_4_print_clk_levels`), `"S: %uMhz *\n"` for a deep sleep
//! (`smu_v13_0_0_print_clk_levels`) or `"   %uMhz *\n"` for a clock that is no level
//! (`renoir_print_clk_levels`, `vangogh_print_clk_levels`).

/// What a clock list says, in hertz; what it does not say is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Levels {
    /// The lowest clock that may be chosen now.
    pub minimum: Option<f64>,
    /// The highest clock that may be chosen now.
    pub maximum: Option<f64>,
    /// The clock in use, where the list marks one.
    pub current: Option<f64>,
}

/// Reads a clock list. `Ok(None)` is the empty list of a clock that the chip does not have.
///
/// APUs mark no level where the filtered clock equals none, and two where two are equal; Renoir and
/// Van Gogh then print the clock in a line without a number. Discrete cards show a deep sleep as level
/// `S`. Neither bounds anything, and neither does a level of 0 MHz, which is a hole in the firmware's
/// table (`vangogh_print_clk_levels` leaves such levels out). The list of the graphics clock is made
/// up of the minimum, a line in between and the maximum; the line in between holds the current clock
/// or a meaningless 1100, so it bounds nothing.
pub fn parse(text: &str) -> Result<Option<Levels>, BadLine> {
    let (mut clocks, mut marked) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = Line::parse(line).ok_or_else(|| BadLine(line.to_owned()))?;
        if line.is_level {
            clocks.push(line.mega);
        }
        // A level of 0 MHz is none, marked or not; what is asleep may stand still.
        if line.is_marked && (line.mega > 0 || !line.is_level) {
            marked.push(line.mega);
        }
    }
    let is_clock = |mega: &u32| *mega > 0;
    let (minimum, maximum) = if let [first, _, last] = clocks[..] {
        let ends = [first, last].iter().all(is_clock);
        (Some(first.min(last)).filter(|_| ends), Some(first.max(last)).filter(is_clock))
    } else {
        let levels = || clocks.iter().copied().filter(is_clock);
        (levels().min(), levels().max())
    };
    marked.dedup();
    let current = if let [only] = marked[..] { Some(only) } else { None };
    let hertz = |mega: Option<u32>| mega.map(|mega| f64::from(mega) * 1e6);
    let levels =
        Levels { minimum: hertz(minimum), maximum: hertz(maximum), current: hertz(current) };
    Ok((levels != Levels::default()).then_some(levels))
}

/// A line that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no line of a clock list")]
pub struct BadLine(String);

/// A line of a clock list.
struct Line {
    mega: u32,
    /// Whether it is a level that may be chosen.
    is_level: bool,
    is_marked: bool,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (index, rest) = match line.split_once(':') {
            Some((index, rest)) => (Some(index), rest.trim()),
            None => (None, line),
        };
        let (clock, is_marked) = match rest.strip_suffix('*') {
            Some(clock) => (clock.trim_end(), true),
            None => (rest, false),
        };
        let is_level = match index {
            Some("S") => false,
            Some(index) => index.parse::<u8>().is_ok().then_some(true)?,
            // The driver prints such a line for the clock in use alone.
            None => is_marked.then_some(false)?,
        };
        let unit = clock.len().checked_sub(3)?;
        let (number, unit) = (clock.get(..unit)?, clock.get(unit..)?);
        let mega = number.trim_end().parse().ok().filter(|&mega| mega <= 10_000)?;
        unit.eq_ignore_ascii_case("mhz").then_some(Self { mega, is_level, is_marked })
    }
}

#[cfg(test)]
mod tests {
    use super::{Levels, parse};

    fn check(
        text: &str,
        minimum: impl Into<Option<u32>>,
        maximum: impl Into<Option<u32>>,
        current: Option<u32>,
    ) {
        let hertz = |mega: Option<u32>| mega.map(|mega| f64::from(mega) * 1e6);
        let expected = Levels {
            minimum: hertz(minimum.into()),
            maximum: hertz(maximum.into()),
            current: hertz(current),
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
    }

    #[test]
    fn a_deep_sleep_is_a_clock_and_no_level() {
        check("S: 19Mhz *\n0: 500Mhz \n1: 2304Mhz \n2: 2482Mhz ", 500, 2482, Some(19));
        check("S: 0Mhz *\n0: 500Mhz \n1: 2304Mhz ", 500, 2304, Some(0));
        check("S: 17Mhz *\n", None, None, Some(17));
    }

    #[test]
    fn a_line_without_a_number_is_the_clock_in_use() {
        let levels = "0: 400Mhz \n1: 600Mhz \n2: 800Mhz \n3: 1000Mhz \n";
        check(&format!("{levels}   550Mhz *\n"), 400, 1000, Some(550));
        check("0: 400Mhz \n1: 1200Mhz \n   1333Mhz *\n", 400, 1200, Some(1333));
        check("   1333Mhz *\n", None, None, Some(1333));
        assert!(parse("0: 400Mhz \n   550Mhz \n").is_err(), "the driver marks such a line");
    }

    #[test]
    fn a_level_of_0_is_a_hole_and_bounds_nothing() {
        check("0: 0Mhz *\n1: 800Mhz \n2: 900Mhz \n3: 1000Mhz ", 800, 1000, None);
        check("0: 400Mhz *\n1: 800Mhz \n2: 1000Mhz \n3: 0Mhz ", 400, 1000, Some(400));
        // The line between says nothing, so without the first the least is unknown.
        check("0: 0Mhz \n1: 1100Mhz \n2: 1600Mhz *\n", None, 1600, Some(1600));
        assert_eq!(parse("0: 0Mhz \n1: 0Mhz *\n"), Ok(None));
    }

    #[test]
    fn a_clock_that_does_not_exist_has_an_empty_list() {
        assert_eq!(parse("\n"), Ok(None));
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn nonsense_is_refused_by_line() {
        for line in [
            "x",
            "*",
            "550Mhz",
            "T: 5Mhz",
            "0:",
            "0: Mhz",
            "0: 5",
            "0: -5Mhz",
            "0: 5Ghz",
            "0: 99999Mhz",
            "é: é",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
