//! Which graphics processor a card is.

use std::collections::BTreeMap;

use crate::metric::Samples;
use crate::root::Root;

/// What does not change while a driver is bound to the device.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
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

/// The identities that were read without a problem, by PCI address.
///
/// They are kept because finding one takes a dozen files, none of which changes while the
/// driver is bound.
#[derive(Debug, Default)]
pub(super) struct Identities(BTreeMap<String, Identity>);

impl Identities {
    pub(super) fn of(
        &mut self,
        root: &Root,
        samples: &mut Samples,
        device: &str,
        gpu: &str,
    ) -> Identity {
        if let Some(identity) = self.0.get(gpu) {
            return identity.clone();
        }
        let problems = samples.problems().len();
        let identity = read(root, samples, device, gpu);
        if samples.problems().len() == problems {
            self.0.insert(gpu.to_owned(), identity.clone());
        }
        identity
    }
}

fn read(root: &Root, samples: &mut Samples, device: &str, gpu: &str) -> Identity {
    let mut text =
        |file: &str| samples.known(root.read(&format!("{device}/{file}"))).unwrap_or_default();
    let mut identity = Identity {
        device_id: text("device"),
        revision: text("revision"),
        vbios: text("vbios_version"),
        ..Identity::default()
    };
    identity.gfx = PciAddress::parse(gpu)
        .and_then(|address| instruction_set(root, samples, address))
        .unwrap_or_default();
    if let Some(list) = samples.known(root.read("/usr/share/libdrm/amdgpu.ids")) {
        identity.name =
            marketing_name(&list, &identity.device_id, &identity.revision).unwrap_or_default();
    }
    identity
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
