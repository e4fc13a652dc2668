//! How much memory Linux manages on this machine, and which file says so.
//!
//! In a container `/proc/meminfo` may be the container's own (lxcfs puts a file over it that shows
//! the limit of the control group), while the GPU's memory is the machine's. The files of the
//! memory's nodes are not virtualized.

use super::bytes_of;
use crate::root::Root;

/// Memory modules come in multiples of this.
pub const MODULE: u64 = 8 << 30;

/// Of a machine's memory the kernel and firmware keep less than this part.
const KEPT: f64 = 16.0;

/// Blocks of memory are up to 2 GiB large, and those at the borders of holes are full of holes.
const BORDERS: u64 = 8 << 30;

/// Both files count the same pages; what differs by less than this part was taken from the machine
/// by a balloon meanwhile.
const ROUNDING: u64 = 64;

/// The memory that Linux manages, in bytes. What is unknown is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linux {
    /// All of it.
    pub total: Option<u64>,
    /// At least this much of it is available without swapping.
    pub least_available: Option<u64>,
    /// What `/proc/meminfo` says, where that is a container's.
    pub container: Option<u64>,
    /// The file that tells the total, or why none does.
    pub evidence: String,
    /// Whether the total is that of `/proc/meminfo`, and nothing confirms it.
    is_unconfirmed: bool,
}

impl Linux {
    /// What there is to know, beside the text of `/proc/meminfo`.
    pub fn read(root: &Root, meminfo: &str) -> Self {
        let own = bytes_of(meminfo, "MemTotal").filter(|&bytes| bytes > 0);
        let Some(own) = own else {
            return Self {
                evidence: "/proc/meminfo has no MemTotal".to_owned(),
                ..Self::default()
            };
        };
        let machine = Self {
            total: Some(own),
            least_available: bytes_of(meminfo, "MemAvailable").filter(|&bytes| bytes <= own),
            evidence: "MemTotal of /proc/meminfo".to_owned(),
            ..Self::default()
        };
        if let Some(nodes) = Nodes::read(root) {
            if nodes.total <= own + own / ROUNDING {
                return machine;
            }
            return Self {
                total: Some(nodes.total),
                least_available: nodes.free.filter(|&free| free <= nodes.total),
                container: Some(own),
                evidence: "MemTotal of /sys/devices/system/node; /proc/meminfo is a container's"
                    .to_owned(),
                ..Self::default()
            };
        }
        match why_not_the_machines(root, own) {
            Some(why) => Self { container: Some(own), evidence: why, ..Self::default() },
            None => Self { is_unconfirmed: true, ..machine },
        }
    }

    /// What of this can be true beside the memory of a GPU, in bytes.
    ///
    /// Where nothing confirms `/proc/meminfo`, it is not believed to be the machine's if the GPU
    /// has more of it than there is. A limit of GTT may be larger than the memory (the kernel
    /// takes any), so then the sizes must be those of no machine too.
    #[must_use]
    pub fn beside(self, vram: Option<f64>, gtt: Option<f64>, gtt_used: Option<f64>) -> Self {
        let (Some(total), true) = (self.total, self.is_unconfirmed) else { return self };
        let known = total as f64 + vram.unwrap_or(0.0);
        let module = MODULE as f64;
        let installed = (known / module).ceil() * module;
        let is_whole = installed - known < installed / KEPT;
        let is_too_small = gtt.is_some_and(|gtt| gtt > installed) && !is_whole;
        if !is_too_small && gtt_used.is_none_or(|used| used <= total as f64) {
            return self;
        }
        Self {
            container: Some(total),
            evidence:
                "the GPU has more GTT than MemTotal of /proc/meminfo, which may be a container's"
                    .to_owned(),
            ..Self::default()
        }
    }
}

/// What the nodes of the memory say, added up, in bytes.
struct Nodes {
    total: u64,
    free: Option<u64>,
}

impl Nodes {
    fn read(root: &Root) -> Option<Self> {
        const NODES: &str = "/sys/devices/system/node";
        let names = root.list(NODES).ok()?;
        let is_node = |name: &&String| {
            name.strip_prefix("node").is_some_and(|number| number.parse::<u16>().is_ok())
        };
        let mut nodes = Self { total: 0, free: Some(0) };
        for name in names.iter().filter(is_node) {
            let text = root.read(&format!("{NODES}/{name}/meminfo")).ok()?;
            // Each line begins with the node: `Node 0 MemTotal:  131087380 kB`.
            let bytes = |key: &str| {
                let line = text.lines().find(|line| line.contains(&format!(" {key}:")))?;
                bytes_of(&line[line.find(key)?..], key)
            };
            nodes.total = nodes.total.checked_add(bytes("MemTotal")?)?;
            nodes.free =
                nodes.free.zip(bytes("MemFree")).and_then(|(sum, one)| sum.checked_add(one));
        }
        (nodes.total > 0).then_some(nodes)
    }
}

/// Why `/proc/meminfo` is not the machine's, where something tells.
fn why_not_the_machines(root: &Root, own: u64) -> Option<String> {
    if is_mounted_over(root) {
        return Some("/proc/meminfo is a container's: a file is mounted over it".to_owned());
    }
    if let Some(blocks) = memory_blocks(root).filter(|&blocks| blocks > own + own / 8 + BORDERS) {
        let gibibytes = blocks >> 30;
        return Some(format!(
            "/proc/meminfo is a container's: the blocks of /sys/devices/system/memory have {gibibytes} GiB"
        ));
    }
    let (limit, file) = cgroup_limit(root)?;
    // It is given in kB.
    (limit.abs_diff(own) < 1024)
        .then(|| format!("/proc/meminfo is a container's: it shows the limit of {file}"))
}

/// Whether something is mounted on `/proc/meminfo`, as lxcfs does.
fn is_mounted_over(root: &Root) -> bool {
    let place = root.name_in_mounts("/proc/meminfo");
    // Whose mount points these are is the user's business.
    let lists = [
        ("/proc/self/mounts", 1),
        ("/proc/mounts", 1),
        ("/proc/self/mountinfo", 4),
        ("/proc/1/mountinfo", 4),
    ];
    let list = lists.iter().find_map(|(path, column)| Some((root.private(path).ok()?, *column)));
    list.is_some_and(|(bytes, column)| {
        let text = String::from_utf8_lossy(&bytes);
        text.lines().any(|line| line.split_ascii_whitespace().nth(column) == Some(&*place))
    })
}

/// The size of all blocks that memory can be switched on and off in, in bytes.
fn memory_blocks(root: &Root) -> Option<u64> {
    const MEMORY: &str = "/sys/devices/system/memory";
    let size = root.read(&format!("{MEMORY}/block_size_bytes")).ok()?;
    let size = u64::from_str_radix(&size, 16).ok()?;
    let names = root.list(MEMORY).ok()?;
    let is_block = |name: &&String| {
        name.strip_prefix("memory").is_some_and(|number| number.parse::<u32>().is_ok())
    };
    size.checked_mul(u64::try_from(names.iter().filter(is_block).count()).ok()?)
}

/// The limit of memory that this process has with others of its control group, in bytes, and the
/// file that says so; of nested groups the lowest.
pub fn cgroup_limit(root: &Root) -> Option<(u64, String)> {
    // Its names are those of the user's services and containers.
    let groups = root.private("/proc/self/cgroup").unwrap_or_default();
    let groups = String::from_utf8_lossy(&groups);
    let place = |controller: &str| {
        let group = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            fields.next()?.split(',').any(|one| one == controller).then(|| fields.next())?
        });
        group.unwrap_or("/").trim_matches('/').to_owned()
    };
    let versions = [
        ("/sys/fs/cgroup", place(""), "memory.max"),
        ("/sys/fs/cgroup/memory", place("memory"), "memory.limit_in_bytes"),
    ];
    // A version 1 that has no limit says so with a number of pages that no machine has.
    let is_limit = |bytes: &u64| *bytes < 1 << 60;
    let limits = versions.iter().flat_map(|(mount, group, file)| {
        let groups: Vec<&str> = group.split('/').filter(|name| !name.is_empty()).collect();
        (0..=groups.len()).filter_map(move |depth| {
            let mut path = (*mount).to_owned();
            for name in &groups[..depth] {
                path = format!("{path}/{name}");
            }
            let path = format!("{path}/{file}");
            let text = root.private(&path).ok()?;
            let bytes = std::str::from_utf8(&text).ok()?.trim().parse().ok().filter(is_limit)?;
            Some((bytes, path))
        })
    });
    limits.min()
}
