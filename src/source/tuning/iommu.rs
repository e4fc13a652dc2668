//! How devices see memory, as the kernel itself says.
//!
//! Kernel documentation: `Documentation/ABI/testing/sysfs-kernel-iommu_groups`.

use super::checks::awake_cards;
use crate::metric::Samples;
use crate::root::Root;
use crate::source::amdgpu::uevent_value;

/// What stands for a kernel that has no group, because its IOMMU does not work.
pub(super) const NONE: &str = "none";

/// The type of the groups of the GPUs; where theirs are not known, of all groups, and [`NONE`]
/// where there is none.
pub(super) fn domain_type(root: &Root, samples: &mut Samples) -> Option<String> {
    const GROUPS: &str = "/sys/kernel/iommu_groups";
    let cards = awake_cards(root, samples);
    let files = cards.iter().map(|device| format!("{device}/iommu_group/type"));
    let of_cards = types(root, samples, files);
    if of_cards.is_some() {
        return of_cards;
    }
    let groups = samples.known(root.list(GROUPS))?;
    if groups.is_empty() {
        return Some(NONE.to_owned());
    }
    let addresses: Vec<String> = cards
        .iter()
        .filter_map(|device| root.read(&format!("{device}/uevent")).ok())
        .filter_map(|uevent| uevent_value(&uevent, "PCI_SLOT_NAME").map(str::to_owned))
        .collect();
    let holds_card = |group: &&String| {
        let devices = root.list(&format!("{GROUPS}/{group}/devices")).unwrap_or_default();
        devices.iter().any(|device| addresses.contains(device))
    };
    let with_cards: Vec<&String> = groups.iter().filter(holds_card).collect();
    let wanted = if with_cards.is_empty() { groups.iter().collect() } else { with_cards };
    types(root, samples, wanted.into_iter().map(|group| format!("{GROUPS}/{group}/type")))
}

/// What the files say, joined by a plus where they disagree.
fn types(
    root: &Root,
    samples: &mut Samples,
    files: impl Iterator<Item = String>,
) -> Option<String> {
    let mut types: Vec<String> = files.filter_map(|file| samples.known(root.word(&file))).collect();
    types.sort();
    types.dedup();
    (!types.is_empty()).then(|| types.join("+"))
}
