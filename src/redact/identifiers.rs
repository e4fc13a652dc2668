//! What tells one machine from all others: addresses of networks and of hardware, UUIDs, serial
//! numbers.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::text::line_before;

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// IPv4 or IPv6.
    Network,
    /// A MAC.
    Hardware,
    /// A UUID, or what a machine is known by.
    Identifier,
    /// The serial number of a part.
    Serial,
}

/// Words behind which four numbers are a version.
const VERSIONS: [&str; 21] = [
    "api",
    "bios",
    "build",
    "conformance",
    "driver",
    "firmware",
    "instance",
    "kernel",
    "libdrm",
    "llvm",
    "mesa",
    "package",
    "patch",
    "release",
    "revision",
    "rocm",
    "runtime",
    "tag",
    "ver",
    "version",
    "vulkan",
];

/// Words behind which four numbers are an address.
const ADDRESSES: [&str; 30] = [
    "addr",
    "address",
    "bind",
    "bound",
    "broadcast",
    "client",
    "connect",
    "connected",
    "connecting",
    "dns",
    "endpoint",
    "from",
    "gateway",
    "host",
    "hostname",
    "inet",
    "ip",
    "ipaddr",
    "ipv",
    "listen",
    "listening",
    "nameserver",
    "peer",
    "ping",
    "proxy",
    "remote",
    "route",
    "server",
    "src",
    "via",
];

/// Words behind which a word is a serial number.
const SERIALS: [&str; 17] = [
    "serial",
    "serialno",
    "serialnumber",
    "serial_number",
    "serial_no",
    "sn",
    "s/n",
    "id_serial",
    "id_serial_short",
    "product_serial",
    "board_serial",
    "chassis_serial",
    "unique_id",
    "wwid",
    "service_tag",
    "asset_tag",
    "imei",
];

/// Words behind which digits are what a machine or a start of it is known by.
const MACHINES: [&str; 9] = [
    "machine-id",
    "machine_id",
    "machineid",
    "boot_id",
    "boot-id",
    "hostid",
    "uuid",
    "guid",
    "product_uuid",
];

/// Words behind which twelve digits are a MAC.
const HARDWARE: [&str; 9] =
    ["mac", "hwaddr", "macaddr", "ether", "lladdr", "bssid", "hwaddress", "macaddress", "bdaddr"];

/// Groups of the longest address of hardware, that of InfiniBand, and some more.
const MOST_GROUPS: usize = 32;

/// Characters of the longest IPv6 address.
const LONGEST_V6: usize = 45;

/// Where identifiers stand in a text, in order, none in another.
pub(crate) fn find(text: &str) -> Vec<(Range<usize>, Kind)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_of_word).map(|offset| at + offset) {
        let end =
            text[start..].find(|c| !is_of_word(c)).map_or(text.len(), |offset| start + offset);
        in_word(text, start..end, &mut found);
        at = end;
    }
    found
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".:-_".contains(c)
}

/// Looks through a word; what it is as a whole counts before what is in it.
fn in_word(text: &str, word: Range<usize>, found: &mut Vec<(Range<usize>, Kind)>) {
    if let Some(kind) = by_its_name(text, &word) {
        found.push((word, kind));
        return;
    }
    // SN:PF3K9X2L
    if let Some((name, value)) = text[word.clone()].split_once(':')
        && SERIALS.contains(&name.to_ascii_lowercase().as_str())
        && value.len() > 4
        && value.contains(|c: char| c.is_ascii_digit())
    {
        found.push((word.end - value.len()..word.end, Kind::Serial));
        return;
    }
    let mut at = word.start;
    while at < word.end {
        let begins = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let rest = &text[at..word.end];
        let is_digit = rest.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':');
        let next = if is_digit { first(text, at, word.end, begins) } else { None };
        match next {
            Some((length, kind)) => {
                found.push((at..at + length, kind));
                at += length;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
}

/// What begins here: its length and what it is. A word may go on in front of an address, as in
/// `ip192.168.1.2`, `enx525400ab12cd`, where the digits begin.
fn first(text: &str, at: usize, end: usize, begins: bool) -> Option<(usize, Kind)> {
    let rest = &text[at..end];
    let before = text[..at].chars().next_back();
    let is_behind_digit = before.is_some_and(|c| c.is_ascii_hexdigit());
    if !is_behind_digit && let Some(length) = uuid(rest) {
        return Some((length, Kind::Identifier));
    }
    if (begins || !is_behind_digit)
        && let Some(length) = hardware(rest)
    {
        return Some((length, Kind::Hardware));
    }
    if let Some(length) = bare_hardware(text, at, rest) {
        return Some((length, Kind::Hardware));
    }
    if begins && let Some(length) = v6(rest) {
        return Some((length, Kind::Network));
    }
    let is_behind_number = before.is_some_and(|c| c.is_ascii_digit())
        || (before == Some('.') && text[..at - 1].ends_with(|c: char| c.is_ascii_digit()));
    if !is_behind_number && let Some(length) = v4(text, at, end) {
        // The port tells nothing without the address.
        let port = rest[length..]
            .strip_prefix(':')
            .map_or(0, |port| port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len()));
        return Some((length + if port > 0 { 1 + port } else { 0 }, Kind::Network));
    }
    None
}

/// The length of a UUID.
fn uuid(text: &str) -> Option<usize> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let mut at = 0;
    for (number, group) in GROUPS.into_iter().enumerate() {
        if number > 0 {
            at += usize::from(text[at..].starts_with(['-', '_']));
            if !text[..at].ends_with(['-', '_']) {
                return None;
            }
        }
        let digits = text.get(at..at + group)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        at += group;
    }
    ends(&text[at..]).then_some(at)
}

fn ends(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The length of a MAC of six or more groups, or of three as Cisco writes it.
fn hardware(text: &str) -> Option<usize> {
    for separator in [':', '-', '_'] {
        let mut groups = Vec::new();
        let mut at = 0;
        loop {
            let rest = &text[at..];
            let length = rest.bytes().take(3).take_while(u8::is_ascii_hexdigit).count();
            if !(1..=2).contains(&length) || groups.len() > MOST_GROUPS {
                break;
            }
            groups.push(length);
            at += length;
            if !text[at..].starts_with(separator) {
                break;
            }
            at += 1;
        }
        let length = at - usize::from(text[..at].ends_with(separator));
        let is_full = groups.iter().all(|group| *group == 2);
        // Some leave leading zeros away.
        let has_form = (groups.len() >= 6 && is_full) || (separator == ':' && groups.len() == 6);
        if has_form && ends(&text[length..]) {
            return Some(length);
        }
    }
    let groups: Vec<&str> = text.splitn(4, '.').collect();
    let [one, two, three, ..] = groups[..] else { return None };
    let three = three.get(..4)?;
    let is_group = |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_hexdigit());
    // Four numbers of four digits are more likely a date or a size.
    let has_letter = [one, two, three].concat().contains(|c: char| c.is_ascii_alphabetic());
    let is_cisco = [one, two, three].into_iter().all(is_group) && has_letter && ends(&text[14..]);
    is_cisco.then_some(14)
}

/// The length of a MAC without separators: behind a word that says so, in the name of an interface,
/// or in capitals, in which nobody writes a hash.
fn bare_hardware(text: &str, at: usize, rest: &str) -> Option<usize> {
    let digits = rest.get(..12)?;
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && ends(&rest[12..]);
    if !is_hexadecimal || text[..at].ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let is_interface = ["enx", "wlx", "wwx", "dev_"].iter().any(|name| text[..at].ends_with(name));
    let begins = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let is_capital = digits.bytes().any(|byte| byte.is_ascii_uppercase())
        && digits.bytes().any(|byte| byte.is_ascii_digit())
        && !digits.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_named = begins && word_before(text, at).is_some_and(|word| HARDWARE.contains(&&*word));
    (is_interface || is_named || (begins && is_capital)).then_some(12)
}

/// The length of an IPv6 address that means a machine.
fn v6(text: &str) -> Option<usize> {
    let is_of_address = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
    // The longest has eight groups, or six and an IPv4 address.
    let length = text.chars().take(LONGEST_V6 + 1).take_while(|c| is_of_address(*c)).count();
    if length > LONGEST_V6 {
        return None;
    }
    let candidate = text[..length].trim_end_matches(['.', ':']);
    let whole =
        if text[..length].ends_with("::") { &text[..candidate.len() + 2] } else { candidate };
    if whole.matches(':').count() < 2 || !ends(&text[length..]) {
        return None;
    }
    // The names of C++ have two colons too.
    let has_number = whole.contains(|c: char| c.is_ascii_digit());
    let address: Ipv6Addr = whole.parse().ok()?;
    let is_nobodys = address.is_loopback() || address.is_unspecified();
    (has_number && !is_nobodys && whole.len() > 4).then_some(whole.len())
}

/// The length of an IPv4 address that means a machine, and is no version.
fn v4(text: &str, at: usize, end: usize) -> Option<usize> {
    let rest = &text[at..end];
    for separator in ['.', '-'] {
        let (mut length, mut numbers) = (0, Vec::new());
        while numbers.len() < 4 {
            let digits = &rest[length..];
            let count = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let Ok(number) = digits[..count].parse::<u8>() else { break };
            numbers.push(number);
            length += count;
            if numbers.len() < 4 {
                if !rest[length..].starts_with(separator) {
                    break;
                }
                length += 1;
            }
        }
        let Ok(octets) = <[u8; 4]>::try_from(numbers) else { continue };
        // A fifth number makes it something else, and so does a letter; the ending of a file or of a
        // name does not.
        let behind = &rest[length..];
        let mut more = behind.chars();
        let goes_on = match (more.next(), more.next()) {
            (Some(c), next) if c == separator => next.is_some_and(|c| c.is_ascii_digit()),
            (Some(c), _) => c.is_ascii_alphanumeric(),
            _ => false,
        };
        // The name of a host of a cloud: ip-10-0-0-12.
        let is_name = separator == '-' && text[..at].ends_with("ip-");
        let is_written = separator == '.' && !goes_on;
        if is_name || (is_written && is_address(text, at, at + length, octets)) {
            return Some(length);
        }
    }
    None
}

/// Whether four numbers are the address of a machine and no version, by what stands around them and
/// by their size.
fn is_address(text: &str, at: usize, end: usize, octets: [u8; 4]) -> bool {
    let address = Ipv4Addr::from(octets);
    // No machine has an address that begins with 0.
    if address.is_loopback() || octets[0] == 0 || octets[0] == 255 {
        return false;
    }
    let behind = &text[end..];
    let mut next = behind.chars().skip(1);
    let has_port = behind.starts_with(':') && next.next().is_some_and(|c| c.is_ascii_digit());
    let has_mask = behind.starts_with('/') && behind[1..].starts_with(|c: char| c.is_ascii_digit());
    let before = &text[..at];
    if has_port || has_mask || before.ends_with("//") || before.ends_with('@') {
        return true;
    }
    let word = word_before(text, at);
    let word = word.as_deref();
    if word.is_some_and(|word| ADDRESSES.contains(&word)) {
        return true;
    }
    // v1.2.3.4, package-1.2.3.4, "version": "1.2.3.4".
    let is_glued = before.ends_with(|c: char| c.is_ascii_alphabetic() || "-_".contains(c));
    let is_named = word.is_some_and(|word| VERSIONS.contains(&word) || word.ends_with("version"));
    let is_shared = octets[0] == 100 && octets[1] & 0xc0 == 64;
    if address.is_private() || address.is_link_local() || is_shared {
        // Only 10.1.2.3 may be a version too.
        let is_v = before
            .strip_suffix(['v', 'V'])
            .is_some_and(|before| !before.ends_with(|c: char| c.is_ascii_alphanumeric()));
        return octets[0] != 10 || !(is_v || is_named);
    }
    if is_named {
        return false;
    }
    let large = octets.iter().filter(|octet| **octet > 31).count();
    !is_glued && (large > 1 || octets.iter().any(|octet| *octet > 99))
}

/// The last word in front of a place, in small letters, over quotes, spaces and signs.
fn word_before(text: &str, at: usize) -> Option<String> {
    let line = line_before(text, at);
    let before = line.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    // What stands further away says nothing.
    if line.len() - before.len() > 6 {
        return None;
    }
    let start = before.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
    (start < before.len()).then(|| before[start..].to_ascii_lowercase())
}

/// What a word is because of its name in front of it, or of how it begins.
fn by_its_name(text: &str, word: &Range<usize>) -> Option<Kind> {
    let value = &text[word.clone()];
    for begin in ["eui.", "wwn-0x", "naa.", "nvme.", "uuid."] {
        if let Some(rest) = value.strip_prefix(begin) {
            let digits = rest.chars().take_while(char::is_ascii_hexdigit).count();
            return (digits >= 4).then_some(Kind::Serial);
        }
    }
    // As udev names disks: nvme-Samsung_SSD_990_PRO_2TB_S6Z2NJ0W123456.
    let is_disk =
        ["nvme-", "ata-", "usb-", "scsi-", "mmc-"].iter().any(|bus| value.starts_with(bus));
    let last = value.rsplit('_').next().unwrap_or_default();
    if is_disk && last.len() >= 8 && last.contains(|c: char| c.is_ascii_digit()) {
        return Some(Kind::Serial);
    }
    let value = value.trim_matches(['.', ':', '-', '_']);
    if value.len() < 5 || !value.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let line = line_before(text, word.start);
    let before = line.trim_end_matches([' ', '\t', '"', '\'', '=', '#', '\\']);
    // A colon belongs to the word before it.
    let name = before.trim_end_matches([':', '.']).trim_end_matches(['"', '\'', ' ', '\\']);
    let is_apart = before.len() < line.len();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
    let mut name = name[name.trim_end_matches(is_of_name).len()..].to_ascii_lowercase();
    if ["number", "no", "num", "tag", "id"].contains(&name.as_str()) {
        let before = name_start(before, &name);
        let words = ["serial", "service", "asset", "part", "machine", "boot", "unique"];
        let begins = words.iter().any(|word| before.ends_with(word));
        name = if begins { "serial".to_owned() } else { name };
    }
    if !is_apart {
        return None;
    }
    let is_hexadecimal = |least: usize| {
        let digits = value.chars().filter(char::is_ascii_hexdigit).count();
        digits >= least && value.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
    };
    if MACHINES.contains(&name.as_str()) && is_hexadecimal(8) {
        return Some(Kind::Identifier);
    }
    SERIALS.contains(&name.as_str()).then_some(Kind::Serial)
}

/// What stands in front of the last word of a text, in small letters, without the space between.
fn name_start(text: &str, last: &str) -> String {
    let text = text.to_ascii_lowercase();
    let end = text.rfind(last).unwrap_or(0);
    text[..end].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Kind, find};

    fn found(text: &str) -> Vec<(&str, Kind)> {
        find(text).into_iter().map(|(range, kind)| (&text[range], kind)).collect()
    }

    #[test]
    fn what_tells_one_machine_is_found_whatever_stands_around_it() {
        for (text, expected, kind) in [
            ("on 192.168.17.4:8080", "192.168.17.4:8080", Kind::Network),
            ("192.168.17.4.", "192.168.17.4", Kind::Network),
            ("worker-10.1.2.3.log", "10.1.2.3", Kind::Network),
            ("192.168.1.20.log", "192.168.1.20", Kind::Network),
            ("node_10.1.2.3", "10.1.2.3", Kind::Network),
            ("SN:PF3K9X2L", "PF3K9X2L", Kind::Serial),
            ("Unique ID: 0x1a2b3c4d5e6f7081", "0x1a2b3c4d5e6f7081", Kind::Serial),
            ("ip192.168.17.4", "192.168.17.4", Kind::Network),
            ("http://10.0.0.7/v1", "10.0.0.7", Kind::Network),
            ("host=203.0.113.7", "203.0.113.7", Kind::Network),
            ("203.0.113.7", "203.0.113.7", Kind::Network),
            ("100.64.3.2", "100.64.3.2", Kind::Network),
            ("listening on 1.2.3.4:80", "1.2.3.4:80", Kind::Network),
            ("ip-10-0-0-12.ec2", "10-0-0-12", Kind::Network),
            ("inet6:fe80::1ff:fe23:4567:890a%eth0", "fe80::1ff:fe23:4567:890a", Kind::Network),
            ("[2001:db8::8a2e:370:7334]:80", "2001:db8::8a2e:370:7334", Kind::Network),
            ("52:54:00:ab:cd:ef", "52:54:00:ab:cd:ef", Kind::Hardware),
            ("x-52-54-00-AB-CD-EF.", "52-54-00-AB-CD-EF", Kind::Hardware),
            ("dev_52_54_00_ab_cd_ef", "52_54_00_ab_cd_ef", Kind::Hardware),
            ("5254.00ab.cdef", "5254.00ab.cdef", Kind::Hardware),
            ("enx525400abcdef", "525400abcdef", Kind::Hardware),
            ("mac=525400abcdef", "525400abcdef", Kind::Hardware),
            ("525400ABCDEF", "525400ABCDEF", Kind::Hardware),
            ("8:0:27:a:b:c", "8:0:27:a:b:c", Kind::Hardware),
            (
                "luks-3f2504e0-4f89-41d3-9a0c-0305e82c3301.",
                "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
                Kind::Identifier,
            ),
            ("serial: S6Z2NJ0W123456", "S6Z2NJ0W123456", Kind::Serial),
            ("\"serial\":\"PF3K9X2L\"", "PF3K9X2L", Kind::Serial),
            ("Serial Number: PF3K9X2L", "PF3K9X2L", Kind::Serial),
            ("ID_SERIAL_SHORT=S6Z2NJ0W123456", "S6Z2NJ0W123456", Kind::Serial),
            ("eui.0025385b21404bd8", "eui.0025385b21404bd8", Kind::Serial),
            (
                "nvme-WD_BLACK_SN850X_23456W800123",
                "nvme-WD_BLACK_SN850X_23456W800123",
                Kind::Serial,
            ),
            (
                "machine-id 0123456789abcdef0123456789abcdef",
                "0123456789abcdef0123456789abcdef",
                Kind::Identifier,
            ),
        ] {
            assert_eq!(found(text), [(expected, kind)], "{text}");
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for text in [
            "127.0.0.1:8080",
            "0.0.0.0",
            "::1",
            "[::]:8080",
            "0000:c5:00.0",
            "version 1.2.3.4",
            "ROCm 7.0.2.1",
            "v10.0.19.1",
            "driver: 0.9.1.2",
            "6.17.0.5",
            "llama-cpp-python-0.3.16.1",
            "7.0.2.70002",
            "1.2.3.4.5",
            "12:34:56",
            "2026-11-27",
            "std::vector",
            "ggml::cpu",
            "b7f8ef50cc12",
            "7f8ef50cc",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "tg128 pp512 q4_0",
            "the serial port",
            "gfx1151",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
