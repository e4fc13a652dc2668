//! Whether a file can be executed, and why not: the kernel tells no more than a number, and the
//! same one for a script whose interpreter is missing as for a file that is missing itself.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

/// The part of a file that is looked at: the kernel itself reads 256 bytes, and linkers put the
/// name of the loader right behind the headers.
const HEAD: u64 = 64 * 1024;

/// Where further formats of programs are registered, as those of other processors for QEMU.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// Why a program cannot be executed. Its text is one line that ends with what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing is called so.
    #[error("{0}: no such program; check the name or give its whole path")]
    Missing(String),
    /// It is in the working directory, where programs are not looked for.
    #[error("{0}: no such program on PATH; for the one in this directory say ./{0}")]
    Here(String),
    /// A link that leads nowhere.
    #[error("{}: a link to {}, which is not there; correct the link", .0.display(), .1.display())]
    Dangling(PathBuf, PathBuf),
    /// A directory.
    #[error("{}: a directory, not a program; name the program in it", .0.display())]
    Directory(PathBuf),
    /// A device, socket or pipe.
    #[error("{}: not a regular file, so it cannot be executed; name a program", .0.display())]
    Special(PathBuf),
    /// Nobody may execute it.
    #[error("{path}: not executable; `chmod +x {path}` makes it so", path = .0.display())]
    NoBit(PathBuf),
    /// Others may execute it.
    #[error("{}: permission denied: its mode is {:o} and its owner has the user ID {}; ask the owner", .0.display(), .1, .2)]
    Denied(PathBuf, u32, u32),
    /// A directory on the way cannot be searched.
    #[error("{path}: permission denied on the way to it; `namei -l {path}` shows where", path = .0.display())]
    Unreachable(PathBuf),
    /// The mount forbids it.
    #[error("{}: on a file system mounted noexec; copy it to another one", .0.display())]
    NoExec(PathBuf),
    /// The interpreter of a script cannot be executed.
    #[error("{}: a script for {}, which cannot be executed: {}", .0.display(), .1.display(), .2)]
    Interpreter(PathBuf, PathBuf, Box<Fault>),
    /// A script that was written on Windows.
    #[error("{path}: a script whose lines end as on Windows, so its interpreter is not found; `sed -i 's/\\r$//' {path}` mends it", path = .0.display())]
    CarriageReturn(PathBuf),
    /// The loader of a program is not there.
    #[error("{}: needs the loader {}, which is not there: it was built for another system; get one for this system", .0.display(), .1.display())]
    Loader(PathBuf, PathBuf),
    /// It is for another processor.
    #[error("{}: built for {}, and this machine is {}; get one for this machine", .0.display(), .1, std::env::consts::ARCH)]
    Machine(PathBuf, &'static str),
    /// It is for another operating system.
    #[error("{}: a program for Windows; get one for Linux", .0.display())]
    Windows(PathBuf),
    /// It has no content.
    #[error("{}: an empty file; get or build it again", .0.display())]
    Empty(PathBuf),
    /// The kernel knows no such format.
    #[error("{path}: neither a program nor a script that begins with #!; `sh {path}` runs it as a shell script", path = .0.display())]
    Format(PathBuf),
    /// Anything else.
    #[error("{}: {}; check the path", .0.display(), .1)]
    System(PathBuf, io::Error),
}

/// Where a program is, as the system would find it.
pub fn find_program(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    candidates(name.as_ref()).into_iter().find(|path| is_executable(path))
}

/// Makes sure that the system can execute a program.
///
/// # Errors
///
/// Why it cannot.
pub(super) fn check(name: &OsStr) -> Result<(), Fault> {
    let candidates = candidates(name);
    if let Some(path) = candidates.iter().find(|path| is_executable(path)) {
        return check_format(path, has_handlers());
    }
    if has_slash(name) {
        return Err(candidates.first().map_or_else(|| missing(name), |path| fault_of(path)));
    }
    let there = candidates.iter().find(|path| path.is_file());
    Err(match there {
        Some(path) => fault_of(path),
        None if !name.is_empty() && is_executable(Path::new(name)) => {
            Fault::Here(name.display().to_string())
        }
        None => missing(name),
    })
}

fn missing(name: &OsStr) -> Fault {
    Fault::Missing(if name.is_empty() { "\"\"".to_owned() } else { name.display().to_string() })
}

fn has_slash(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'/')
}

/// Where a program may be.
fn candidates(name: &OsStr) -> Vec<PathBuf> {
    if has_slash(name) {
        return vec![PathBuf::from(name)];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path).map(|directory| directory.join(name)).collect()
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// Why a file is not one that may be executed.
fn fault_of(path: &Path) -> Fault {
    let owned = path.to_owned();
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return unreadable(path, error),
    };
    if metadata.is_dir() {
        return Fault::Directory(owned);
    }
    if !metadata.is_file() {
        return Fault::Special(owned);
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o111 == 0 {
        return Fault::NoBit(owned);
    }
    let flags = statvfs(path).map(|mount| mount.f_flag);
    if flags.is_ok_and(|flags| flags.contains(StatVfsMountFlags::NOEXEC)) {
        return Fault::NoExec(owned);
    }
    Fault::Denied(owned, mode, Metadata::uid(&metadata))
}

fn unreadable(path: &Path, error: io::Error) -> Fault {
    let owned = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => match path.read_link() {
            Ok(target) => Fault::Dangling(owned, target),
            Err(_) => missing(path.as_os_str()),
        },
        io::ErrorKind::PermissionDenied => Fault::Unreachable(owned),
        _ => Fault::System(owned, error),
    }
}

/// Whether formats beside the kernel's own are registered; what they are is theirs to know.
fn has_handlers() -> bool {
    let own = [OsStr::new("register"), OsStr::new("status")];
    std::fs::read_dir(HANDLERS).is_ok_and(|entries| {
        entries.flatten().any(|entry| !own.contains(&entry.file_name().as_os_str()))
    })
}

/// Makes sure that the kernel knows what to do with the content of a file.
fn check_format(path: &Path, has_handlers: bool) -> Result<(), Fault> {
    let mut head = Vec::new();
    // What may be executed and not read is the kernel's to judge.
    let Ok(file) = File::open(path) else { return Ok(()) };
    if file.take(HEAD).read_to_end(&mut head).is_err() {
        return Ok(());
    }
    let owned = path.to_owned();
    if let Some(line) = head.strip_prefix(b"#!") {
        return check_interpreter(path, line);
    }
    if head.starts_with(b"\x7fELF") {
        if let Some(machine) = foreign_machine(&head).filter(|_| !has_handlers) {
            return Err(Fault::Machine(owned, machine));
        }
        return match loader(&head).filter(|loader| !loader.exists()) {
            Some(loader) if foreign_machine(&head).is_none() => Err(Fault::Loader(owned, loader)),
            _ => Ok(()),
        };
    }
    match () {
        () if has_handlers => Ok(()),
        () if head.is_empty() => Err(Fault::Empty(owned)),
        () if head.starts_with(b"MZ") => Err(Fault::Windows(owned)),
        () => Err(Fault::Format(owned)),
    }
}

/// Makes sure that the interpreter of a script can be executed: the one that the line behind `#!`
/// names, and the one that `env` looks for.
fn check_interpreter(script: &Path, rest: &[u8]) -> Result<(), Fault> {
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Err(Fault::CarriageReturn(script.to_owned()));
    }
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (interpreter, argument) = line.split_at(end);
    let interpreter = OsString::from_vec(interpreter.to_vec());
    if interpreter.is_empty() {
        return Err(Fault::Format(script.to_owned()));
    }
    let refuse = |name: &OsStr, fault: Fault| {
        Err(Fault::Interpreter(script.to_owned(), name.into(), Box::new(fault)))
    };
    // The kernel takes it as a path, with a slash or without.
    if !is_executable(Path::new(&interpreter)) {
        return refuse(&interpreter, fault_of(Path::new(&interpreter)));
    }
    let is_env = Path::new(&interpreter).file_name() == Some(OsStr::new("env"));
    let argument = argument.trim_ascii();
    // Flags and variables of env are its own business.
    if is_env && !argument.is_empty() && !argument.starts_with(b"-") && !argument.contains(&b'=') {
        let name = OsStr::from_bytes(argument);
        if find_program(name).is_none() {
            return refuse(name, missing(name));
        }
    }
    Ok(())
}

/// The kind of processor that a program in ELF is for, where it is not for this one. See elf(5).
fn foreign_machine(head: &[u8]) -> Option<&'static str> {
    let bytes = head.get(18..20)?;
    // The fifth byte after the magic says in which order they stand: 1 is the least first.
    let machine = match head[5] {
        1 => u16::from_le_bytes([bytes[0], bytes[1]]),
        _ => u16::from_be_bytes([bytes[0], bytes[1]]),
    };
    let machine = match machine {
        3 => "x86",
        20 | 21 => "powerpc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        258 => "loongarch64",
        _ => "another processor",
    };
    // Kernels of 64 bits execute programs of 32 bits where they are built so.
    let is_own = match std::env::consts::ARCH {
        "x86_64" => ["x86_64", "x86"].contains(&machine),
        "aarch64" => ["aarch64", "arm"].contains(&machine),
        own => own == machine,
    };
    (!is_own).then_some(machine)
}

/// The loader that a program of 64 bits names, in the order of bytes of this processor.
fn loader(head: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: u32 = 3;
    let number = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    if head.get(4..6)? != [2, 1] {
        return None;
    }
    let (table, entry) = (usize::try_from(number(32)?).ok()?, usize::from(half(54)?));
    for index in 0..usize::from(half(56)?) {
        let header = table.checked_add(index * entry)?;
        let kind = head.get(header..header.checked_add(4)?)?;
        if u32::from_le_bytes(kind.try_into().ok()?) == PT_INTERP {
            let begin = usize::try_from(number(header + 8)?).ok()?;
            let length = usize::try_from(number(header + 32)?).ok()?;
            let name = head.get(begin..begin.checked_add(length)?)?;
            let name = name.split(|byte| *byte == 0).next()?;
            return Some(PathBuf::from(OsStr::from_bytes(name)));
        }
    }
    None
}

#[cfg(test)]
mod tests;
