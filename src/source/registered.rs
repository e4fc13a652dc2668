//! What does not change while a device is registered.

use std::collections::BTreeMap;

use crate::metric::Samples;
use crate::root::Entry;

/// What was found out about each entry of a directory in `/sys/class`, for as long as it is there.
///
/// Which driver and which sensors a device has is decided when it is registered, and finding out
/// takes more files than reading its values. A device that is registered anew has another inode.
#[derive(Debug)]
pub(super) struct Registered<T>(BTreeMap<Entry, T>);

impl<T> Default for Registered<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Registered<T> {
    /// Finds out about the entries that are new, forgets those that are gone, and reads each.
    /// What was not found out without a problem is found out again next time.
    pub(super) fn read(
        &mut self,
        entries: Vec<Entry>,
        samples: &mut Samples,
        find: impl Fn(&mut Samples, &str) -> T,
        mut read: impl FnMut(&mut Samples, &str, &T),
    ) {
        let mut known = std::mem::take(&mut self.0);
        for entry in entries {
            let problems = samples.problems().len();
            let device = known.remove(&entry).unwrap_or_else(|| find(samples, &entry.name));
            let is_whole = samples.problems().len() == problems;
            read(samples, &entry.name, &device);
            if is_whole {
                self.0.insert(entry, device);
            }
        }
    }
}
