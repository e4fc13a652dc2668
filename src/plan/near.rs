//! Names that somebody may have meant.

/// Fewer letters in common are chance.
const LEAST: usize = 3;

/// More names than this help nobody.
const MOST: usize = 5;

/// The names that have a piece of the text in them, those with the longest first. The piece has
/// half of the text's letters at least, whatever their case.
pub(super) fn near<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let least = LEAST.max(text.len().div_ceil(2));
    let mut scored: Vec<(usize, &str)> = names
        .map(|name| (longest_common(&text, &name.to_lowercase().chars().collect::<Vec<_>>()), name))
        .filter(|(length, _)| *length >= least)
        .collect();
    scored.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    scored.truncate(MOST);
    scored.into_iter().map(|(_, name)| name).collect()
}

/// How many letters the longest piece has that stands in both.
fn longest_common(one: &[char], other: &[char]) -> usize {
    let mut longest = 0;
    // How long the piece is that ends at each letter of the other.
    let mut lengths = vec![0; other.len() + 1];
    for letter in one {
        for place in (0..other.len()).rev() {
            lengths[place + 1] = if other[place] == *letter { lengths[place] + 1 } else { 0 };
            longest = longest.max(lengths[place + 1]);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_almost_right_is_found() {
        let names = ["qwen3.5-2b-q4", "gemma-4-31b-q3xl", "glm-4.7-flash-q6"];
        let near = |text| near(text, names.into_iter());
        assert_eq!(near("qwen3.5-2b-q5"), ["qwen3.5-2b-q4"]);
        assert_eq!(near("GEMMA4"), ["gemma-4-31b-q3xl"]);
        assert_eq!(near("glm-4.7-flush"), ["glm-4.7-flash-q6"]);
        assert_eq!(near("llama"), [""; 0]);
        assert_eq!(near(""), [""; 0]);
    }
}
