//! Names that somebody may have meant.

/// Fewer letters are like anything.
const LEAST: usize = 3;

/// More names than this help nobody.
const MOST: usize = 5;

/// The names of which a piece is almost the text, the nearest first: one letter of three may be
/// wrong, missing or too much, whatever their case.
pub(crate) fn near<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    if text.len() < LEAST {
        return Vec::new();
    }
    let mut scored: Vec<(usize, &str)> = names
        .map(|name| (distance(&text, &name.to_lowercase().chars().collect::<Vec<_>>()), name))
        .filter(|(distance, _)| *distance <= text.len() / 3)
        .collect();
    scored.sort_by_key(|(distance, _)| *distance);
    scored.truncate(MOST);
    scored.into_iter().map(|(_, name)| name).collect()
}

/// Whether one letter more, less or otherwise, or two that changed places, make one text of the
/// other.
pub(crate) fn is_one_slip(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[same..], &other[same..]);
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    match (&one[..one.len() - same], &other[..other.len() - same]) {
        ([_], [] | [_]) | ([], [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

/// How many letters have to be changed, added or taken away to make a piece of the name from the
/// text: the edit distance of Levenshtein, where the piece may begin and end anywhere (Sellers).
fn distance(text: &[char], name: &[char]) -> usize {
    // For each place in the name, the distance of the text so far to the piece that ends there.
    let mut row = vec![0; name.len() + 1];
    for (done, letter) in text.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for place in 0..name.len() {
            let changed = diagonal + usize::from(name[place] != *letter);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row.into_iter().min().unwrap_or(text.len())
}

/// Whether a pattern matches a whole text, whatever its case: `*` stands for any characters and `?` for
/// one, and neither for a slash.
#[cfg(feature = "record")]
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (pattern, text) = (lower(pattern), lower(text));
    // For each place in the text, whether the pattern so far matches what stands before it.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for sign in pattern {
        let mut next = vec![false; text.len() + 1];
        for place in 0..=text.len() {
            let before = place.checked_sub(1);
            next[place] = match sign {
                '*' => reached[place] || before.is_some_and(|at| next[at] && text[at] != '/'),
                '?' => before.is_some_and(|at| reached[at] && text[at] != '/'),
                _ => before.is_some_and(|at| reached[at] && text[at] == sign),
            };
        }
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_almost_right_is_found() {
        let names = ["qwen3.5-2b-q4", "gemma-4-31b-q3xl", "glm-4.7-flash-q6"];
        let near = |text| near(text, names.into_iter());
        assert_eq!(near("qwen3.5-2b-q5"), ["qwen3.5-2b-q4"]);
        assert_eq!(near("quen"), ["qwen3.5-2b-q4"]);
        assert_eq!(near("GEMMA4"), ["gemma-4-31b-q3xl"]);
        assert_eq!(near("glm-4.7-flush"), ["glm-4.7-flash-q6"]);
        for nothing in ["llama", "", "q", "xy"] {
            assert_eq!(near(nothing), [""; 0], "{nothing}");
        }
    }

    #[test]
    #[cfg(feature = "record")]
    fn a_pattern_matches_a_whole_text() {
        for (pattern, text) in [
            ("qwen*", "Qwen3-8B"),
            ("*q4*", "a-Q4_K_M"),
            ("a?c", "abc"),
            ("/m/*.gguf", "/m/x.gguf"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("qwen", "qwen3"), ("*.gguf", "m/x.gguf"), ("a?c", "ac"), ("", "a"), ("*a", "ab")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn one_slip_is_told_from_two() {
        for (one, other) in [("tga", "tag"), ("tga", "tg"), ("tg", "tga"), ("tag", "teg")] {
            assert!(is_one_slip(one, other), "{one} {other}");
        }
        for (one, other) in [("tag", "tag"), ("tgas", "tag"), ("abc", "cba"), ("", "ab")] {
            assert!(!is_one_slip(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_distance_is_that_to_the_nearest_piece() {
        let distance = |text: &str, name: &str| {
            distance(&text.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        assert_eq!(distance("cd", "abcdef"), 0);
        assert_eq!(distance("cxd", "abcdef"), 1);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("bxdxf", "abcdef"), 2);
    }
}
