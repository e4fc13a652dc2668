//! Why a file gave no value.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a file gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", path.display())]
pub struct ReadError {
    path: PathBuf,
    reason: Reason,
    detail: String,
}

/// The kinds of [`ReadError`]: the fixed set of values of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The file, its directory or its device is not there, or the device has no such sensor
    /// (ENOENT, ENOTDIR, ENODEV, ENXIO, EINVAL, ENODATA, EOPNOTSUPP), or the process has ended
    /// (ESRCH): not a failure.
    Absent,
    /// The device does not answer now (EBUSY, EAGAIN, and EPERM, which amdgpu gives during a
    /// reset and while it is suspended).
    Busy,
    /// What is asked for is switched off there.
    Disabled,
    /// The content is not what the kernel documents.
    Garbage,
    /// Any other error of the system.
    Io,
    /// The kernel is locked down (secure boot), or forbids access to memory.
    Lockdown,
    /// Only another user may read it (EACCES).
    Permission,
    /// Nothing listens at the address.
    Refused,
    /// The firmware rejected the request.
    Rejected,
    /// The content is from so long ago that it may be wrong.
    Stale,
    /// No answer before the deadline.
    Timeout,
    /// A key is missing or wrong.
    Unauthorized,
    /// The firmware's table has an unknown version.
    UnknownTable,
    /// The content is of a version that is not known here.
    Unsupported,
}

impl Reason {
    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Busy => "busy",
            Self::Disabled => "disabled",
            Self::Garbage => "garbage",
            Self::Io => "io",
            Self::Lockdown => "lockdown",
            Self::Permission => "permission",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Stale => "stale",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::UnknownTable => "unknown_table",
            Self::Unsupported => "unsupported",
        }
    }
}

impl ReadError {
    /// A failure that is none of the system's.
    pub fn new(path: impl Into<PathBuf>, reason: Reason, detail: impl Into<String>) -> Self {
        Self { path: path.into(), reason, detail: detail.into() }
    }

    /// A file whose content cannot be believed.
    pub fn garbage(path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Self::new(path, Reason::Garbage, detail)
    }

    /// A file whose content is of an unknown version.
    pub fn unsupported(path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Self::new(path, Reason::Unsupported, detail)
    }

    pub(super) fn system(path: &Path, error: &io::Error) -> Self {
        let reason = match Errno::from_io_error(error) {
            Some(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::NODEV
                | Errno::NXIO
                | Errno::INVAL
                | Errno::NODATA
                | Errno::OPNOTSUPP
                | Errno::SRCH,
            ) => Reason::Absent,
            Some(Errno::BUSY | Errno::AGAIN | Errno::PERM) => Reason::Busy,
            Some(Errno::ACCESS) => Reason::Permission,
            Some(Errno::ISDIR) => Reason::Garbage,
            _ => Reason::Io,
        };
        Self { path: path.to_owned(), reason, detail: error.to_string() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong, without the file.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What kind of failure it is.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the file is simply not there.
    pub fn is_absent(&self) -> bool {
        self.reason == Reason::Absent
    }
}
