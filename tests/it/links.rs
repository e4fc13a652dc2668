//! Symbolic links below the directories that stand for `/proc`, `/sys` and `/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use halo::root::{Reason, Root};

/// A machine made of files and links: where a link leads, or what a file holds.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for part in ["proc", "sys", "root"] {
            fs::create_dir(machine.0.path().join(part)).unwrap();
        }
        machine
    }

    fn file(&self, path: &str, content: &str) -> &Self {
        fs::write(self.place(path), content).unwrap();
        self
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) -> &Self {
        symlink(target, self.place(path)).unwrap();
        self
    }

    fn place(&self, path: &str) -> std::path::PathBuf {
        let place = self.0.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    fn read(&self, path: &str) -> Result<String, Reason> {
        Root::at(self.0.path()).read(path).map_err(|error| error.reason())
    }
}

#[test]
fn links_lead_where_they_lead_on_the_machine() {
    let machine = Machine::new();
    machine
        .file("root/nix/store/1-etc/etc/os-release", "NixOS")
        .link("root/etc/static", "/nix/store/1-etc/etc")
        .link("root/etc/os-release", "/etc/static/os-release")
        .file("root/usr/lib/os-release", "Fedora")
        .link("root/etc/relative", "../usr/lib/os-release")
        .link("root/etc/dotted", "./../usr/./lib/../lib/os-release")
        .link("root/lib", "usr/lib")
        .link("root/usr/up", "..");
    for path in ["/etc/os-release", "/etc/static/os-release"] {
        assert_eq!(machine.read(path), Ok("NixOS".to_owned()), "{path}");
    }
    for path in [
        "/etc/relative",
        "/etc/dotted",
        "/lib/os-release",
        "/lib/../lib/os-release",
        "/usr/up/lib/os-release",
    ] {
        assert_eq!(machine.read(path), Ok("Fedora".to_owned()), "{path}");
    }
}

/// Also a link of one directory into another, as `/etc/mtab` has.
#[test]
fn links_of_captured_kernel_files_are_followed_too() {
    let machine = Machine::new();
    machine
        .file("sys/devices/pci0000:00/0000:c5:00.0/vendor", "0x1002")
        .link("sys/class/drm/card1/device", "../../../devices/pci0000:00/0000:c5:00.0")
        .link("sys/class/drm/card2", "/sys/class/drm/card1")
        .file("proc/4711/mounts", "proc /proc proc rw 0 0")
        .link("proc/self", "4711")
        .link("proc/mounts", "self/mounts")
        .link("root/etc/mtab", "../proc/self/mounts")
        .link("root/etc/card", "/sys/class/drm/card2/device");
    for path in [
        "/sys/class/drm/card1/device/vendor",
        "/sys/class/drm/card2/device/vendor",
        "/etc/card/vendor",
    ] {
        assert_eq!(machine.read(path), Ok("0x1002".to_owned()), "{path}");
    }
    for path in ["/proc/mounts", "/etc/mtab", "/proc/self/mounts"] {
        assert_eq!(machine.read(path), Ok("proc /proc proc rw 0 0".to_owned()), "{path}");
    }
    let root = Root::at(machine.0.path());
    assert_eq!(root.list("/etc/card").unwrap(), ["vendor"]);
    // The name that a link itself bears is not followed, the way to it is.
    assert_eq!(root.link("/sys/class/drm/card2/device").unwrap(), "0000:c5:00.0");
    assert!(root.stamp("/etc/mtab").is_ok() && root.age("/etc/mtab").is_ok());
}

#[test]
fn no_link_leads_out() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "of this machine").unwrap();
    let machine = Machine::new();
    machine
        .link("root/etc/absolute", &secret)
        .link(
            "root/etc/dots",
            Path::new("../../../../../../../..").join(secret.strip_prefix("/").unwrap()),
        )
        .link("root/etc/directory", outside.path())
        .link(
            "sys/class/dots",
            Path::new("../../../../../../..").join(secret.strip_prefix("/").unwrap()),
        )
        .link("proc/absolute", &secret);
    for path in
        ["/etc/absolute", "/etc/dots", "/etc/directory/secret", "/sys/class/dots", "/proc/absolute"]
    {
        assert_eq!(machine.read(path), Err(Reason::Absent), "{path}");
    }
    // Above the top there is the top: what lies there by that name is what is meant.
    machine.file("root/top", "of that machine").link("root/etc/up", "../../../top");
    assert_eq!(machine.read("/etc/up"), Ok("of that machine".to_owned()));
    let place = machine.place("root").join(secret.strip_prefix("/").unwrap());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, "of that machine").unwrap();
    for path in ["/etc/absolute", "/etc/dots", "/etc/directory/secret", "/sys/class/dots"] {
        assert_eq!(machine.read(path), Ok("of that machine".to_owned()), "{path}");
    }
}

#[test]
fn a_loop_ends() {
    let machine = Machine::new();
    machine
        .link("root/etc/self", "self")
        .link("root/etc/one", "/etc/two")
        .link("root/etc/two", "one")
        .link("root/etc/deep", "deep/deep")
        .link("root/dangling", "/nowhere");
    for path in ["/etc/self", "/etc/one", "/etc/two/file", "/etc/deep"] {
        assert_eq!(machine.read(path), Err(Reason::Io), "{path}");
    }
    assert_eq!(machine.read("/dangling"), Err(Reason::Absent));
    // As many links as the kernel follows, and one more.
    machine.file("root/chain/0", "end");
    for number in 1..=41 {
        machine.link(&format!("root/chain/{number}"), (number - 1).to_string());
    }
    assert_eq!(machine.read("/chain/40"), Ok("end".to_owned()));
    assert_eq!(machine.read("/chain/41"), Err(Reason::Io));
}

/// What the user names may be links: they are not the machine's.
#[test]
fn the_directories_themselves_may_be_links() {
    let machine = Machine::new();
    machine
        .file("root/etc/static/os-release", "NixOS")
        .link("root/etc/os-release", "/etc/static/os-release")
        .file("sys/class/dmi/id/board_name", "8D01");
    let elsewhere = tempfile::tempdir().unwrap();
    for part in ["proc", "sys", "root"] {
        symlink(machine.0.path().join(part), elsewhere.path().join(part)).unwrap();
    }
    let root = Root::at(elsewhere.path());
    assert_eq!(root.read("/etc/os-release").unwrap(), "NixOS");
    assert_eq!(root.read("/sys/class/dmi/id/board_name").unwrap(), "8D01");
}
