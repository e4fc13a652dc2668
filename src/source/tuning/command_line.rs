//! The kernel's command line, split and understood as the kernel does it: pure functions on text.
//!
//! Kernel code: `next_arg` in `lib/cmdline.c`, `parse_args` in `kernel/params.c`, `iommu_setup` in
//! `arch/x86/kernel/pci-dma.c`, `parse_amd_iommu_options` in `drivers/iommu/amd/init.c`,
//! `iommu_set_def_domain_type` in `drivers/iommu/iommu.c`.

use crate::root::is_word;

/// Parameters that change how a model runs. The rest of the line stays private: it names disks
/// and hosts.
const KNOWN: [&str; 21] = [
    "amd_iommu",
    "amd_pstate",
    "amdgpu.cwsr_enable",
    "amdgpu.gttsize",
    "amdgpu.no_system_mem_limit",
    "amdgpu.noretry",
    "amdgpu.ppfeaturemask",
    "amdgpu.runpm",
    "amdttm.page_pool_size",
    "amdttm.pages_limit",
    "iomem",
    "iommu",
    "iommu.passthrough",
    "iommu.strict",
    "mitigations",
    "pcie_aspm",
    "processor.max_cstate",
    "transparent_hugepage",
    "ttm.page_pool_size",
    "ttm.pages_limit",
    "zswap.enabled",
];

/// Parameters whose values are lists of words and add up: a second one takes nothing back.
const LISTS: [&str; 2] = ["amd_iommu", "iommu"];

/// All parameters of `ttm` and of `amdttm` (`drivers/gpu/drm/ttm/ttm_tt.c` and `ttm_pool.c`).
const TTM: [&str; 3] = ["dma32_pages_limit", "page_pool_size", "pages_limit"];

/// Words that guides give to these parameters and the kernel does not know: it says so in its log
/// and goes on.
const MISTAKEN: [(&str, &[&str]); 2] =
    [("amd_iommu", &["on", "pt", "nopt", "passthrough"]), ("iommu", &["on", "passthrough"])];

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parameter<'a> {
    /// Its name with underscores, which the kernel takes for the same as dashes.
    name: String,
    /// Its value without quotes; `None` where it has no equals sign.
    value: Option<&'a str>,
}

impl Parameter<'_> {
    /// The value, or what a parameter without one counts as.
    fn value(&self) -> &str {
        self.value.unwrap_or("1")
    }

    /// The words of a list.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.value().split(',').filter(|word| !word.is_empty())
    }

    /// What of it the kernel ignores, as it stands on the line.
    fn ignored(&self) -> Vec<String> {
        let name = &*self.name;
        if let Some((_, mistaken)) = MISTAKEN.iter().find(|(known, _)| *known == name) {
            let words = self.words().filter(|word| mistaken.contains(word));
            return words.map(|word| format!("{name}={word}")).collect();
        }
        let is_ignored = match name.split_once('.') {
            Some(("ttm" | "amdttm", parameter)) => !TTM.contains(&parameter),
            Some(("iommu", "passthrough")) => truth(self.value()).is_none(),
            Some(("amdgpu", _)) => {
                // `amdgpu.gtt_size` where `amdgpu.gttsize` is meant.
                let squeezed = |name: &str| name.replace('_', "");
                KNOWN.iter().any(|known| *known != name && squeezed(known) == squeezed(name))
            }
            _ => false,
        };
        if is_ignored { vec![format!("{name}={}", self.value())] } else { Vec::new() }
    }
}

/// Splits a line. What follows `--` is for the first process.
fn parameters(line: &str) -> impl Iterator<Item = Parameter<'_>> {
    let mut is_quoted = false;
    let is_boundary = move |character: char| {
        is_quoted ^= character == '"';
        character.is_ascii_whitespace() && !is_quoted
    };
    let words = line.split(is_boundary).filter(|word| !word.is_empty());
    words.take_while(|word| *word != "--").map(|word| {
        // The quotes may be around the whole or around the value.
        let word = match word.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').unwrap_or(rest),
            None => word,
        };
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.trim_matches('"'))),
            None => (word, None),
        };
        Parameter { name: name.replace('-', "_"), value }
    })
}

/// The known parameters with the value that counts, as of a parameter that is given twice the
/// last, in the order of the line.
pub fn known(line: &str) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for parameter in parameters(line) {
        let Some(name) = KNOWN.iter().find(|name| **name == parameter.name) else { continue };
        let value = parameter.value();
        let earlier = found.iter().position(|(known, _)| known == name);
        let earlier = earlier.map(|index| found.remove(index).1);
        let value = match earlier {
            Some(earlier) if LISTS.contains(name) => format!("{earlier},{value}"),
            _ => value.to_owned(),
        };
        found.push((name, value));
    }
    found.retain(|(_, value)| is_word(value));
    found
}

/// What the kernel ignores of the line, as far as that is known; `None` where there is nothing.
pub fn ignored(line: &str) -> Option<String> {
    let ignored: Vec<String> = parameters(line).flat_map(|one| one.ignored()).collect();
    Some(ignored.join(" ")).filter(|text| !text.is_empty() && is_word(text))
}

/// The part of a line that says nothing about the owner.
pub fn public(line: &str) -> String {
    let is_public = |one: &Parameter<'_>| {
        (KNOWN.contains(&&*one.name) || !one.ignored().is_empty()) && is_word(one.value())
    };
    let word = |one: Parameter<'_>| match one.value {
        Some(value) if value.contains(char::is_whitespace) => format!("{}=\"{value}\"", one.name),
        Some(value) => format!("{}={value}", one.name),
        None => one.name,
    };
    parameters(line).filter(is_public).map(word).collect::<Vec<_>>().join(" ")
}

/// What a line asks of the IOMMU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Iommu {
    /// Whether it is switched off: no later word switches it on again.
    pub is_off: bool,
    /// Whether devices see memory as it is; `None` where the line leaves that to the kernel. The
    /// last of `iommu=pt`, `iommu=nopt` and `iommu.passthrough` counts.
    pub is_passthrough: Option<bool>,
}

/// What a line asks of the IOMMU.
pub fn iommu(line: &str) -> Iommu {
    let mut asked = Iommu::default();
    for parameter in parameters(line) {
        match (&*parameter.name, parameter.value) {
            ("iommu.passthrough", Some(value)) => {
                asked.is_passthrough = truth(value).or(asked.is_passthrough);
            }
            ("amd_iommu", Some(_)) => {
                asked.is_off |= parameter.words().any(|word| word.starts_with("off"));
            }
            ("iommu", Some(_)) => {
                for word in parameter.words() {
                    // The kernel compares beginnings, and stops at this word.
                    if word.starts_with("usedac") {
                        break;
                    }
                    asked.is_off |= word.starts_with("off");
                    if word.starts_with("pt") {
                        asked.is_passthrough = Some(true);
                    } else if word.starts_with("nopt") {
                        asked.is_passthrough = Some(false);
                    }
                }
            }
            _ => {}
        }
    }
    asked
}

/// A truth value as the kernel reads it (`kstrtobool`): by its first letters.
fn truth(text: &str) -> Option<bool> {
    let mut letters = text.bytes().map(|letter| letter.to_ascii_lowercase());
    match (letters.next()?, letters.next()) {
        (b'y' | b't' | b'1', _) | (b'o', Some(b'n')) => Some(true),
        (b'n' | b'f' | b'0', _) | (b'o', Some(b'f')) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Iommu, ignored, iommu, known, public};

    fn asks(line: &str) -> Iommu {
        iommu(line)
    }

    const NOTHING: Iommu = Iommu { is_off: false, is_passthrough: None };
    const OFF: Iommu = Iommu { is_off: true, is_passthrough: None };
    const PASSTHROUGH: Iommu = Iommu { is_off: false, is_passthrough: Some(true) };
    const TRANSLATED: Iommu = Iommu { is_off: false, is_passthrough: Some(false) };

    #[test]
    fn of_synonyms_the_last_one_counts() {
        for line in [
            "ro iommu=pt quiet",
            "iommu.passthrough=1",
            "iommu.passthrough=on",
            "iommu.passthrough=Y",
            "iommu=nopt iommu=pt",
            "iommu.passthrough=0 iommu=pt",
            "iommu=nopt iommu.passthrough=1",
            "iommu=soft,pt",
            "iommu=nopt,pt",
            r#""iommu=pt" quiet"#,
            r#"iommu="pt" quiet"#,
            "iommu=pt iommu.passthrough=maybe",
        ] {
            assert_eq!(asks(line), PASSTHROUGH, "{line}");
        }
        for line in [
            "iommu=nopt",
            "iommu.passthrough=0",
            "iommu.passthrough=off",
            "iommu=pt iommu.passthrough=0",
            "iommu.passthrough=1 iommu=nopt",
            "iommu=pt,nopt",
            "iommu=pt iommu=nopt",
        ] {
            assert_eq!(asks(line), TRANSLATED, "{line}");
        }
    }

    #[test]
    fn off_is_not_taken_back() {
        for line in [
            "amd_iommu=off",
            "iommu=off",
            "amd-iommu=off",
            "amd_iommu=off amd_iommu=on",
            "amd_iommu=pgtbl_v2,off",
        ] {
            assert_eq!(asks(line), OFF, "{line}");
        }
        assert!(asks("iommu=off iommu=pt").is_off && asks("iommu=pt amd_iommu=off").is_off);
    }

    #[test]
    fn what_the_kernel_does_not_know_asks_for_nothing() {
        for line in [
            "",
            "amd_iommu=pt",
            "amd_iommu=on",
            "amd_iommu",
            "iommu=on",
            "iommu.passthrough=pt",
            "xiommu=pt",
            "rd.iommu=pt",
            "-- iommu=pt amd_iommu=off",
            "quiet -- iommu.passthrough=1",
            r#"dyndbg="file x +p; iommu=pt""#,
        ] {
            assert_eq!(asks(line), NOTHING, "{line}");
        }
    }

    #[test]
    fn what_is_ignored_is_said() {
        let said = |line| ignored(line).unwrap_or_default();
        assert_eq!(said("ro amd_iommu=pt quiet"), "amd_iommu=pt");
        assert_eq!(said("amd_iommu=force_isolation,pt"), "amd_iommu=pt");
        assert_eq!(said("ttm.page_limit=31457280"), "ttm.page_limit=31457280");
        assert_eq!(said("ttm.pages-pool-size=1"), "ttm.pages_pool_size=1");
        assert_eq!(said("amdttm.page_limit=5"), "amdttm.page_limit=5");
        assert_eq!(said("amdgpu.gtt_size=126976"), "amdgpu.gtt_size=126976");
        assert_eq!(said("iommu.passthrough=pt"), "iommu.passthrough=pt");
        let good = "iommu=pt amd_iommu=off ttm.pages-limit=1 amdgpu.gttsize=1 amdgpu.dcdebugmask=0x10 \
                    iommu.passthrough=0 -- ttm.page_limit=1";
        assert_eq!(said(good), "");
    }

    #[test]
    fn known_parameters_have_the_value_that_counts() {
        let values = |line| -> Vec<(&str, String)> { known(line) };
        let one = |name, value: &str| vec![(name, value.to_owned())];
        assert_eq!(values("ttm.pages_limit=1 ttm.pages-limit=2"), one("ttm.pages_limit", "2"));
        assert_eq!(values("iommu=off iommu=pt"), one("iommu", "off,pt"));
        assert_eq!(values("a=b -- iommu=pt"), []);
        assert_eq!(values("mitigations root=UUID=1"), one("mitigations", "1"));
    }

    #[test]
    fn what_is_public_means_the_same_as_the_whole() {
        for line in [
            "BOOT_IMAGE=/vmlinuz root=UUID=abc ro iommu=nopt amd_iommu=off,pt iommu=pt",
            "ttm.page_limit=5 secret=1 ttm.pages_limit=7 -- iommu=pt",
            r#"root=x "iommu=pt" amd_pstate="a b" mitigations"#,
        ] {
            let kept = public(line);
            assert!(!kept.contains("root") && !kept.contains("secret"), "{kept}");
            assert_eq!((iommu(&kept), known(&kept)), (iommu(line), known(line)), "{kept}");
            assert_eq!(ignored(&kept), ignored(line), "{kept}");
        }
    }
}
