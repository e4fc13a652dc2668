//! Names of hosts, users and others, as whole words whatever their case.

use std::ops::Range;

/// How the name of a host ends that only its own network knows.
const PRIVATE_DOMAINS: [&str; 12] = [
    ".corp",
    ".fritz.box",
    ".home",
    ".home.arpa",
    ".internal",
    ".intranet",
    ".lan",
    ".local",
    ".localdomain",
    ".private",
    ".tailnet",
    ".ts.net",
];

/// The numbers of people's accounts: what is below belongs to the system, what is above to nobody.
const PEOPLE: std::ops::RangeInclusive<u32> = 1000..=60_000;

/// The names of people's accounts, and what they are called.
pub fn people(accounts: &str) -> Vec<String> {
    let person = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, _, about, ..] = fields[..] else { return Vec::new() };
        if !number.parse().is_ok_and(|number: u32| PEOPLE.contains(&number)) {
            return Vec::new();
        }
        let full = about.split(',').next().unwrap_or_default();
        let mut names = vec![name.to_owned()];
        // The parts of a name tell as much as the whole.
        names.extend(full.split_whitespace().filter(|part| part.len() > 2).map(str::to_owned));
        names
    };
    accounts.lines().flat_map(person).collect()
}

/// Where a name stands in a text: as a word of its own, and not as a part of one.
pub(crate) fn find(text: &str, name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let begins = !text[..at].ends_with(char::is_alphanumeric);
        match begins.then(|| length(&text[at..], name)).flatten() {
            Some(length) => {
                found.push(at..at + length);
                at += length;
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    found
}

/// How much of a text is the name, where it begins with it.
fn length(text: &str, name: &str) -> Option<usize> {
    let mut rest = text.char_indices();
    for expected in name.chars() {
        let (_, character) = rest.next()?;
        if character != expected && !character.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
    }
    let end = rest.offset();
    (!text[end..].starts_with(char::is_alphanumeric)).then_some(end)
}

/// Where hosts of a private network stand: `nas.local`, `box.fritz.box.`.
pub(super) fn private_hosts(text: &str) -> Vec<Range<usize>> {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    words(text, is_of_word, |word| {
        let name = word.trim_end_matches(['.', '-', '_']);
        let small = name.to_ascii_lowercase();
        let is_private = PRIVATE_DOMAINS.iter().any(|domain| small.ends_with(domain));
        (is_private && !small.starts_with('.')).then_some(0..name.len())
    })
}

/// Where accounts stand: `somebody@example.org`, `me@box`.
pub(super) fn accounts(text: &str) -> Vec<Range<usize>> {
    let is_of_word = |c: char| c.is_alphanumeric() || "._-+%@".contains(c);
    words(text, is_of_word, |word| {
        let name = word.trim_end_matches(['.', '-', '@']);
        let (user, host) = name.split_once('@')?;
        // An image with its digest, a package with its version, pass@k and tg128@d4096.
        let is_host = host.starts_with(char::is_alphabetic) && !host.starts_with("sha");
        (is_host && !user.is_empty()).then_some(0..name.len())
    })
    .into_iter()
    .filter(|range| {
        let host = text[range.clone()].rsplit('@').next().unwrap_or_default();
        let before = text[..range.start].trim_end();
        let is_asked = ["ssh", "scp", "rsync", "sftp", "mosh", "from", "to", "as"]
            .iter()
            .any(|word| before.ends_with(word));
        host.contains('.') || text[range.end..].starts_with(':') || is_asked
    })
    .collect()
}

fn words(
    text: &str,
    is_of_word: impl Fn(char) -> bool,
    part: impl Fn(&str) -> Option<Range<usize>>,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(&is_of_word).map(|offset| at + offset) {
        let end =
            text[start..].find(|c| !is_of_word(c)).map_or(text.len(), |length| start + length);
        let part = part(&text[start..end]);
        found.extend(part.map(|part| start + part.start..start + part.end));
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{accounts, find, people, private_hosts};

    fn all(text: &str, ranges: Vec<std::ops::Range<usize>>) -> Vec<&str> {
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn a_name_is_found_in_any_case_and_as_a_word_alone() {
        let text = "JO jo's /home/jo, joy enjoy jo2 my-jo_x Ömer ÖMER";
        assert_eq!(all(text, find(text, "jo")), ["JO", "jo", "jo", "jo"]);
        assert_eq!(all(text, find(text, "ömer")), ["Ömer", "ÖMER"]);
    }

    #[test]
    fn people_are_told_from_accounts_of_the_system() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\n\
                        jo:x:1000:1000:Johanna Öst,,,:/home/jo:/bin/bash\n\
                        nobody:x:65534:65534:nobody:/nonexistent:/bin/false\nbroken\n";
        assert_eq!(people(accounts), ["jo", "Johanna", "Öst"]);
    }

    #[test]
    fn hosts_and_accounts_are_found() {
        let text = "nas.local. http://box.fritz.box:80 a.local.b localhost me@nas: k@example.org. pass@k tg128@d4096 pass@1 img:t@sha256:ab x@1.2";
        assert_eq!(all(text, private_hosts(text)), ["nas.local", "box.fritz.box"]);
        assert_eq!(all(text, accounts(text)), ["me@nas", "k@example.org"]);
    }
}
