//! Which graphics processor a card is.

use crate::metric::Samples;
use crate::root::Root;
use crate::source::amdgpu::{Kind, uevent_value};

/// Files of a device that the driver shows for discrete cards alone (`amdgpu_pm.c`,
/// `default_attr_update`).
const OF_DISCRETE: [&str; 2] = ["mem_busy_percent", "pcie_bw"];

/// Sensors of a card that the driver shows for discrete cards alone (`amdgpu_pm.c`,
/// `hwmon_attributes_visible`): fans, and the hottest spot.
const SENSORS_OF_DISCRETE: [&str; 2] = ["fan1_input", "temp2_input"];

/// What does not change while a driver is bound to the device.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    /// The PCI address, as `0000:c5:00.0`.
    pub(super) gpu: String,
    /// The card's directory of sensors, as `hwmon6`.
    pub(super) hwmon: Option<String>,
    /// The name in libdrm's list, as `AMD Radeon 8060S Graphics`.
    pub(super) name: String,
    /// The instruction set, as `gfx1151`.
    pub(super) gfx: String,
    /// The PCI device, as `0x1586`.
    pub(super) device_id: String,
    /// The PCI revision, as `0xc1`.
    pub(super) revision: String,
    /// The version of the video BIOS.
    pub(super) vbios: String,
    /// The version of the SMU's firmware.
    pub(super) smu_firmware: Option<u32>,
    /// What it is part of, where that is known.
    pub(super) kind: Option<Kind>,
}

impl Identity {
    /// Finds out what a card is; `None` where it is not amdgpu's.
    pub(super) fn find(root: &Root, samples: &mut Samples, card: &str) -> Option<Self> {
        let device = format!("/sys/class/drm/{card}/device");
        let path = format!("{device}/uevent");
        let uevent = samples.known(root.read(&path)).unwrap_or_default();
        let driver = uevent_value(&uevent, "DRIVER");
        let gpu = uevent_value(&uevent, "PCI_SLOT_NAME");
        let address = match (driver, gpu.and_then(PciAddress::parse)) {
            (Some("amdgpu"), Some(address)) => address,
            (Some("amdgpu"), None) => {
                samples.problem(root.not_a("PCI device's uevent", &path, &uevent));
                return None;
            }
            (Some(_), _) => return None,
            (None, _) => {
                // A card without a driver cannot be; what AMD made is worth a word.
                if root.read(&format!("{device}/vendor")).is_ok_and(|id| id == "0x1002") {
                    samples.problem(root.not_a("bound device's uevent", &path, &uevent));
                }
                return None;
            }
        };
        let chips = samples.known(root.list(&format!("{device}/hwmon"))).unwrap_or_default();
        let mut text =
            |file: &str| samples.known(root.word(&format!("{device}/{file}"))).unwrap_or_default();
        let mut identity = Self {
            gpu: gpu.unwrap_or_default().to_owned(),
            hwmon: chips.into_iter().find(|chip| chip.starts_with("hwmon")),
            device_id: text("device"),
            revision: text("revision"),
            vbios: text("vbios_version"),
            ..Self::default()
        };
        if identity.device_id.is_empty() {
            let device = uevent_value(&uevent, "PCI_ID").and_then(|id| id.split_once(':'));
            identity.device_id =
                device.map(|(_, id)| format!("0x{}", id.to_lowercase())).unwrap_or_default();
        }
        let firmware = samples.known(root.word(&format!("{device}/fw_version/smc_fw_version")));
        identity.smu_firmware = firmware
            .and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok())
            .filter(|&version| version > 0);
        let node = ComputeNode::at(root, samples, address);
        identity.gfx = node.as_ref().map(ComputeNode::instruction_set).unwrap_or_default();
        identity.kind = Kind::of_chip(&identity.gfx, &identity.device_id)
            .or_else(|| node.filter(|node| node.has_cores).map(|_| Kind::Apu))
            .or_else(|| identity.shows_files_of_discrete(root, samples, &device));
        identity.name = name(root, samples, &identity).unwrap_or_default();
        Some(identity)
    }

    /// A discrete card by the files that no APU has.
    fn shows_files_of_discrete(
        &self,
        root: &Root,
        samples: &mut Samples,
        device: &str,
    ) -> Option<Kind> {
        let mut has = |directory: &str, names: &[&str]| {
            let files = samples.known(root.list(directory)).unwrap_or_default();
            files.iter().any(|file| names.contains(&file.as_str()))
        };
        let is_discrete = has(device, &OF_DISCRETE)
            || self
                .hwmon
                .as_ref()
                .is_some_and(|chip| has(&format!("{device}/hwmon/{chip}"), &SENSORS_OF_DISCRETE));
        is_discrete.then_some(Kind::Discrete)
    }
}

/// Where libdrm's list of names is: as distributions and AMD's own packages install it, on NixOS
/// and on Guix.
const NAMES: [&str; 5] = [
    "/usr/share/libdrm",
    "/usr/local/share/libdrm",
    "/opt/amdgpu/share/libdrm",
    "/run/current-system/sw/share/libdrm",
    "/run/current-system/profile/share/libdrm",
];

/// Where packages lie that are in no system profile, as libdrm is behind the graphics drivers.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// The name of a chip, from the first list that has it: an old one may lie beside a new one.
fn name(root: &Root, samples: &mut Samples, identity: &Identity) -> Option<String> {
    let mut in_list = |directory: &str| {
        let list = samples.known(root.read(&format!("{directory}/amdgpu.ids")))?;
        marketing_name(&list, &identity.device_id, &identity.revision)
    };
    if let Some(name) = NAMES.iter().find_map(|directory| in_list(directory)) {
        return Some(name);
    }
    STORES.iter().find_map(|store| {
        let packages = root.list(store).ok()?;
        // A name begins with a hash: `0c3…-libdrm-2.4.129`.
        let is_libdrm = |name: &&String| {
            name.split_once('-').is_some_and(|(_, package)| package.starts_with("libdrm-"))
        };
        let mut packages = packages.iter().filter(is_libdrm);
        packages.find_map(|package| in_list(&format!("{store}/{package}/share/libdrm")))
    })
}

/// What the compute node (KFD) of a card says.
struct ComputeNode {
    /// The instruction set, as 110501 for gfx1151.
    version: u32,
    /// Whether it has cores of a processor too, as the node of an APU whose firmware describes it so.
    has_cores: bool,
}

impl ComputeNode {
    fn at(root: &Root, samples: &mut Samples, address: PciAddress) -> Option<Self> {
        const NODES: &str = "/sys/class/kfd/kfd/topology/nodes";
        let nodes = samples.known(root.list(NODES))?;
        nodes.iter().find_map(|node| {
            let properties = samples.known(root.read(&format!("{NODES}/{node}/properties")))?;
            let property = |key: &str| -> Option<u32> {
                properties.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
            };
            let here = property("domain ")? == address.domain
                && property("location_id ")? == address.location;
            let version = property("gfx_target_version ").filter(|&version| version > 0)?;
            let has_cores = property("cpu_cores_count ").is_some_and(|count| count > 0);
            here.then_some(Self { version, has_cores })
        })
    }

    fn instruction_set(&self) -> String {
        let version = self.version;
        format!("gfx{}{:x}{:x}", version / 10_000, version / 100 % 100, version % 100)
    }
}

/// The name in libdrm's list, whose lines are `1586, C1, AMD Radeon 8060S Graphics` with tabs.
fn marketing_name(list: &str, device_id: &str, revision: &str) -> Option<String> {
    let (device_id, revision) = (device_id.strip_prefix("0x")?, revision.strip_prefix("0x")?);
    list.lines().find_map(|line| {
        let mut fields = line.splitn(3, ',').map(str::trim);
        let matches = fields.next()?.eq_ignore_ascii_case(device_id)
            && fields.next()?.eq_ignore_ascii_case(revision);
        matches.then(|| fields.next().map(str::to_owned))?
    })
}

/// A PCI address in the form in which KFD gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PciAddress {
    domain: u32,
    /// Bus, device and function in 16 bits.
    location: u32,
}

impl PciAddress {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (domain, rest) = text.split_once(':')?;
        let (bus, rest) = rest.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        let hex = |text: &str, length: usize| {
            (text.len() >= length).then(|| u32::from_str_radix(text, 16).ok())?
        };
        let location = hex(bus, 2)? << 8 | hex(device, 2)? << 3 | hex(function, 1)?;
        Some(Self { domain: hex(domain, 4)?, location })
    }
}
