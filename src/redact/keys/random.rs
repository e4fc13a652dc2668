//! What is so random that it can be nothing but a key.
//!
//! Entropy of single characters cannot tell a key from the name of a model: both have letters of
//! both cases and digits. What tells them apart is how often the kind of character changes: in
//! `Qwen3-30B-A3B-Instruct-2507` seldom within a word, in a key at most places.

use std::ops::Range;

/// The fewest letters and digits of a key that nothing else gives away.
const SHORTEST: usize = 20;

/// The least share of neighbours that are of different kinds: 0.62 of them are where the 62 letters
/// and digits are drawn at random.
const LEAST_CHANGES: f64 = 0.4;

/// Letters and digits for each separator at least: names have more separators.
const LETTERS_A_SEPARATOR: usize = 8;

/// Where such a thing stands.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "-_+/=~".contains(c);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_of_word).map(|offset| at + offset) {
        let end =
            text[start..].find(|c| !is_of_word(c)).map_or(text.len(), |offset| start + offset);
        found.extend(
            parts(&text[start..end]).into_iter().map(|part| start + part.start..start + part.end),
        );
        at = end;
    }
    found
}

/// The word where it is random as a whole, else those of its parts that are: a key in a path, behind
/// the name of its variable, at the end of a name.
fn parts(word: &str) -> Vec<Range<usize>> {
    // Names of C++ as linkers know them.
    if word.starts_with("_Z") {
        return Vec::new();
    }
    if is_random(word) {
        return std::iter::once(0..word.len()).collect();
    }
    let mut start = 0;
    let pieces = word.split_inclusive(['/', '=', '-', '_', '+', '~']).map(|piece| {
        let range = start..start + piece.trim_end_matches(['/', '=', '-', '_', '+', '~']).len();
        start += piece.len();
        range
    });
    pieces.filter(|piece| is_random(&word[piece.clone()])).collect()
}

fn is_random(word: &str) -> bool {
    let kind = |c: char| match c {
        'a'..='z' => Some(0),
        'A'..='Z' => Some(1),
        '0'..='9' => Some(2),
        _ => None,
    };
    let kinds: Vec<Option<usize>> = word.chars().map(kind).collect();
    let count = |wanted: usize| kinds.iter().filter(|kind| **kind == Some(wanted)).count();
    let counts = [count(0), count(1), count(2)];
    let letters: usize = counts.iter().sum();
    let separators = word.trim_end_matches('=').len() - letters.min(word.len());
    if letters < SHORTEST || counts.contains(&0) || separators * LETTERS_A_SEPARATOR > letters {
        return false;
    }
    // Words, as in names of classes: the more letters stand in runs of small ones, the less is random.
    let in_words: usize = kinds
        .chunk_by(|one, other| one == other)
        .filter(|run| run[0] == Some(0) && run.len() > 2)
        .map(<[_]>::len)
        .sum();
    if in_words * 2 > letters {
        return false;
    }
    let pairs = kinds.windows(2).filter_map(|pair| Some((pair[0]?, pair[1]?)));
    let (mut all, mut changes) = (0_u32, 0_u32);
    for (one, other) in pairs {
        all += 1;
        changes += u32::from(one != other);
    }
    all > 0 && f64::from(changes) / f64::from(all) >= LEAST_CHANGES
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_random_word_is_found_whatever_stands_around_it() {
        for text in [
            "wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPL3K3Y",
            "a=wJalrXUtn1FEMIK7MDENGbPxRfiCYEXAMP b",
            "/x/wJalrXUtn1FEMIK7MDENGbPxRfiCYEXAMP/y",
            "je7MtGbClwBF-2Zp9Utkh3yCo8nvbEXAMPLEKEY",
            "my-key-of-a-b-c-d-e-f-wJalrXUtn1FEMIK7MDENGbPxRfi",
        ] {
            assert_eq!(find(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn names_are_not_random() {
        for text in [
            "Qwen3-30B-A3B-Instruct-2507-UD-Q4_K_XL.gguf",
            "DeepSeek-R1-0528-Qwen3-8B-UD-Q6_K_XL",
            "Llama-4-Scout-17B-16E-Instruct-UD-Q3_K_XL-00001-of-00002.gguf",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "sha256-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "Cijk_Ailk_Bljk_HHS_BH_MT64x64x16_MI16x16x16x1_SN_K1_AFC1_AFEM1_AFEM1_ASEM1",
            "_ZN4ggml3cpu10gemm_bloc8Q4K8Q8KILb1EEEvPKvS3_Pfm",
            "20261124T035512.123Z-llama-bench-qwen3",
            "TheQuickBrownFoxJumpsOver13LazyDogs",
            "GGML_CUDA_FORCE_CUBLAS_COMPUTE_16F",
        ] {
            assert!(find(text).is_empty(), "{text}");
        }
    }
}
