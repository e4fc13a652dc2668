//! Which devices a program of llama.cpp says that there are and that it uses, and which its command
//! line asks for.
//!
//! Lines as llama.cpp prints them (`ggml/src/ggml-vulkan/ggml-vulkan.cpp`,
//! `ggml/src/ggml-cuda/ggml-cuda.cu`, `src/llama.cpp`, `src/llama-model.cpp`):
//!
//! ```text
//! ggml_vulkan: 0 = Radeon 8060S Graphics (RADV GFX1151) (radv) | uma: 1 | fp16: 1 | warp size: 64
//! ggml_cuda_init: found 1 ROCm devices:
//!   Device 0: AMD Radeon Graphics, gfx1151 (0x1151), VMM: no, Wave Size: 32
//! llama_model_load_from_file_impl: using device Vulkan0 (Radeon 8060S Graphics) (0000:c5:00.0) - 62000 MiB free
//! load_tensors:      Vulkan0 model buffer size = 18000.00 MiB
//! ```

/// A device that a program named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// What the program calls it, as `Vulkan0`.
    pub name: String,
    /// What it says of it, as `Radeon 8060S Graphics (RADV GFX1151)`; empty where it says nothing.
    pub description: String,
    /// Its PCI address, where it says it.
    pub address: Option<String>,
    /// Whether it shares its memory with the processor, where it says that.
    pub is_unified: Option<bool>,
    /// Whether the program said that it uses it, rather than that it is there.
    pub is_used: bool,
}

/// The devices that a program's output names, each once.
pub fn named(output: &str) -> Vec<Device> {
    let mut found: Vec<Device> = Vec::new();
    let mut backend = None;
    for line in output.lines().map(|line| line.trim_end_matches('\r')) {
        if line.contains("ggml_cuda_init: found ") {
            let kinds = ["ROCm", "CUDA", "MUSA"];
            backend = kinds.into_iter().find(|kind| line.contains(&format!("{kind} devices")));
            continue;
        }
        let Some(device) = of_vulkan(line)
            .or_else(|| of_list(line, backend?))
            .or_else(|| of_use(line))
            .or_else(|| of_buffer(line))
        else {
            continue;
        };
        match found.iter_mut().find(|known| known.name == device.name) {
            Some(known) => {
                known.is_used |= device.is_used;
                known.address = known.address.take().or(device.address);
                known.is_unified = known.is_unified.or(device.is_unified);
                if known.description.is_empty() {
                    known.description = device.description;
                }
            }
            None => found.push(device),
        }
    }
    found
}

fn of_vulkan(line: &str) -> Option<Device> {
    let (_, rest) = line.split_once("ggml_vulkan: ")?;
    let (number, rest) = rest.split_once(" = ")?;
    let number: u32 = number.trim().parse().ok()?;
    let mut parts = rest.split(" | ");
    let description = parts.next()?.trim().to_owned();
    let is_unified = parts.find_map(|part| Some(part.trim().strip_prefix("uma: ")? == "1"));
    Some(Device { name: format!("Vulkan{number}"), description, is_unified, ..Device::default() })
}

fn of_list(line: &str, backend: &str) -> Option<Device> {
    let (number, description) = line.trim_start().strip_prefix("Device ")?.split_once(": ")?;
    let number: u32 = number.parse().ok()?;
    Some(Device {
        name: format!("{backend}{number}"),
        description: description.trim().to_owned(),
        ..Device::default()
    })
}

fn of_use(line: &str) -> Option<Device> {
    let (_, rest) = line.split_once("using device ")?;
    let (name, rest) = rest.split_once(' ')?;
    let (about, _) = rest.rsplit_once(" - ").unwrap_or((rest, ""));
    let address = about
        .split(['(', ')'])
        .find(|part| part.len() >= 12 && part.contains('.') && part.split(':').count() == 3)
        .map(str::to_lowercase);
    let description = match about.rsplit_once(" (") {
        Some((before, _)) if address.is_some() => before,
        _ => about,
    };
    Some(Device {
        name: is_device(name).then(|| name.to_owned())?,
        description: description.trim().to_owned(),
        address,
        is_used: true,
        ..Device::default()
    })
}

fn of_buffer(line: &str) -> Option<Device> {
    let (before, _) = line.split_once(" model buffer size =")?;
    let name = before.split_whitespace().next_back()?;
    Some(Device {
        name: is_device(name).then(|| name.to_owned())?,
        is_used: true,
        ..Device::default()
    })
}

/// Whether a word is the name of a GPU, as `Vulkan0`; buffers are named so too, and those of the
/// processor `CPU`, `CPU_Mapped` or `Vulkan_Host`.
fn is_device(word: &str) -> bool {
    let number = word.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    number.len() < word.len() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// What a command line asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// The devices by name; none where the program chooses, empty where no GPU shall be used.
    pub devices: Option<Vec<String>>,
    /// The number of the only one that shall be used, of those that there are.
    pub only: Option<usize>,
    /// The numbers of those that get nothing of the model.
    pub left_out: Vec<usize>,
}

impl Choice {
    /// Reads the flags of llama.cpp's programs, the last of a kind, and all devices of several tests.
    pub fn of(words: &[String]) -> Self {
        let mut choice = Self::default();
        let (mut main, mut split) = (None, None);
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (flag, inline) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
                _ => (word, None),
            };
            let mut value = || inline.or_else(|| words.next()).unwrap_or_default();
            match flag {
                "-dev" | "--device" => {
                    let named = value();
                    // An engine of containers has such a flag too, for files.
                    if !named.starts_with('/') {
                        choice.devices = names(named);
                    }
                }
                "-mg" | "--main-gpu" => main = value().parse().ok(),
                "-sm" | "--split-mode" => split = Some(value()),
                "-ts" | "--tensor-split" => choice.left_out = left_out(value()),
                _ => {}
            }
        }
        if split == Some("none") {
            choice.only = Some(main.unwrap_or(0));
        }
        choice
    }

    /// The same of one test of llama-bench, by the fields of its row.
    pub fn of_row(field: impl Fn(&str) -> Option<String>) -> Self {
        let split = field("split_mode");
        let main = field("main_gpu").and_then(|number| number.parse().ok());
        Self {
            devices: field("devices").and_then(|text| names(&text)),
            only: main.filter(|_| split.as_deref() == Some("none")),
            left_out: field("tensor_split").map(|text| left_out(&text)).unwrap_or_default(),
        }
    }
}

/// A list of devices, between commas or slashes; none where the program chooses.
fn names(text: &str) -> Option<Vec<String>> {
    let names = text.split([',', '/']).map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    match names.first().map(String::as_str) {
        None | Some("auto") => None,
        Some("none") => Some(Vec::new()),
        Some(_) => Some(names),
    }
}

/// The numbers of the devices whose share is 0; nothing where all shares are, which is no split.
fn left_out(text: &str) -> Vec<usize> {
    let shares: Vec<f64> =
        text.split([',', '/', ';']).filter_map(|share| share.trim().parse().ok()).collect();
    if shares.iter().all(|share| *share == 0.0) {
        return Vec::new();
    }
    let left_out = shares.iter().enumerate().filter(|(_, share)| **share == 0.0);
    left_out.map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::{Choice, Device, named};

    const VULKAN: &str = "ggml_vulkan: Found 2 Vulkan devices:\n\
        ggml_vulkan: 0 = Radeon 8060S Graphics (RADV GFX1151) (radv) | uma: 1 | fp16: 1 | warp size: 64\n\
        ggml_vulkan: 1 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0 | fp16: 1\r\n";

    #[test]
    fn devices_that_are_there_are_named_with_what_is_said_of_them() {
        let found = named(VULKAN);
        let names: Vec<_> = found.iter().map(|device| (&*device.name, device.is_unified)).collect();
        assert_eq!(names, [("Vulkan0", Some(true)), ("Vulkan1", Some(false))]);
        assert_eq!(found[1].description, "AMD Radeon RX 7900 XTX (RADV NAVI31) (radv)");
        let rocm = "ggml_cuda_init: found 1 ROCm devices (Total VRAM: 98304 MiB):\n  Device 0: AMD \
            Radeon Graphics, gfx1151 (0x1151), VMM: no, Wave Size: 32\n";
        assert_eq!(named(rocm)[0].name, "ROCm0");
        let cuda = "ggml_cuda_init: found 1 CUDA devices:\n  Device 0: NVIDIA GeForce RTX 4090, \
            compute capability 8.9, VMM: yes\n";
        assert_eq!(named(cuda)[0].name, "CUDA0");
        assert!(named("  Device 0: of nobody\nload_tensors: done\n").is_empty());
    }

    #[test]
    fn devices_that_are_used_are_told_from_those_that_are_there() {
        let log = format!(
            "{VULKAN}llama_model_load_from_file_impl: using device Vulkan1 (AMD Radeon RX 7900 XTX \
             (RADV NAVI31)) (0000:03:00.0) - 24000 MiB free\n\
             load_tensors:   CPU_Mapped model buffer size =   205.49 MiB\n\
             load_tensors:      Vulkan1 model buffer size =  1918.35 MiB\n"
        );
        let used: Vec<Device> = named(&log).into_iter().filter(|device| device.is_used).collect();
        let [only] = &used[..] else { panic!("{used:?}") };
        assert_eq!((&*only.name, only.address.as_deref()), ("Vulkan1", Some("0000:03:00.0")));
        let short = named("load_tensors:        ROCm0 model buffer size =  1918.35 MiB\n");
        assert_eq!((&*short[0].name, short[0].is_used), ("ROCm0", true));
    }

    #[test]
    fn flags_choose_devices_by_name_number_and_share() {
        let choice =
            |line: &str| Choice::of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let devices = |line| choice(line).devices.map(|names| names.join(" "));
        assert_eq!(devices("-dev Vulkan1"), Some("Vulkan1".to_owned()));
        assert_eq!(devices("--device=ROCm0/ROCm1"), Some("ROCm0 ROCm1".to_owned()));
        assert_eq!(devices("-dev none"), Some(String::new()));
        assert_eq!(devices("-dev auto"), None);
        assert_eq!(devices("--device /dev/dri"), None, "podman's");
        assert_eq!(choice("-sm none -mg 1").only, Some(1));
        assert_eq!(choice("-mg 1").only, None, "it splits all the same");
        assert_eq!(choice("-ts 1/0").left_out, [1]);
        assert!(choice("-ts 0/0").left_out.is_empty());
    }
}
