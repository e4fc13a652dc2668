//! Which graphics processor a card is.

use crate::metric::Samples;
use crate::root::Root;
use crate::source::amdgpu::uevent_value;

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
        identity.gfx = instruction_set(root, samples, address).unwrap_or_default();
        if let Some(list) = samples.known(root.read("/usr/share/libdrm/amdgpu.ids")) {
            identity.name =
                marketing_name(&list, &identity.device_id, &identity.revision).unwrap_or_default();
        }
        Some(identity)
    }
}

/// The instruction set of the compute node (KFD) at a PCI address.
fn instruction_set(root: &Root, samples: &mut Samples, address: PciAddress) -> Option<String> {
    const NODES: &str = "/sys/class/kfd/kfd/topology/nodes";
    let nodes = samples.known(root.list(NODES))?;
    nodes.iter().find_map(|node| {
        let properties = samples.known(root.read(&format!("{NODES}/{node}/properties")))?;
        let property = |key: &str| -> Option<u32> {
            properties.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
        };
        let here =
            property("domain ")? == address.domain && property("location_id ")? == address.location;
        let version = property("gfx_target_version ").filter(|&version| version > 0)?;
        here.then(|| format!("gfx{}{:x}{:x}", version / 10_000, version / 100 % 100, version % 100))
    })
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
