//! A systemd of its own, as process 1 of a few namespaces, that runs one unit file.
//!
//! It is the real service manager and imposes what the unit says. What it cannot impose here:
//! `MemoryMax=` and `TasksMax=` where the machine's cgroups are of version 1 or give these
//! controllers to somebody else. The network is the machine's own, so that a test can scrape.
//! It needs root; on the machine it changes nothing, because its root filesystem is read-only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::process::{HALO, Running, get, output, said};

const UNIT: &str = "halo-exporter.service";

/// A control group of its own, because systemd takes the one that it finds itself in.
const ENTER_GROUP: &str = r#"
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/halo /run/group /run/systemd/system
mount --bind "$1" /run/halo
mount -t cgroup2 cgroup2 /run/group
mkdir "/run/group/$2"
echo 0 > "/run/group/$2/cgroup.procs"
umount /run/group
exec unshare --cgroup sh -c "$3" sh "$4"
"#;

/// A machine without anything to boot; then systemd becomes process 1.
const BOOT: &str = r#"
set -eu
umount --lazy /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /run/halo/users/etc/passwd /etc/passwd
mount --bind /run/halo/users/etc/group /etc/group
cp -r /run/halo/units/. /run/systemd/system
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /
exec env -i container=halo PATH=/usr/sbin:/usr/bin:/sbin:/bin "$1" --system \
  --unit=halo-exporter.service --show-status=no
"#;

/// Removes the group of a systemd that was killed, as soon as its last process is gone.
const REMOVE_GROUP: &str = r#"
mount -t cgroup2 cgroup2 "$1"
for attempt in $(seq 100); do
  find "$1/$2" -depth -type d -exec rmdir {} + 2>/dev/null
  test -d "$1/$2" || exit 0
  sleep 0.05
done
exit 1
"#;

/// The unit `halo-exporter.service` under a systemd.
pub(super) struct Service {
    // Killed before the group is removed: fields are dropped in this order.
    manager: Running,
    _group: Group,
    directory: TempDir,
}

struct Group {
    name: String,
    mount_point: TempDir,
}

impl Drop for Group {
    fn drop(&mut self) {
        // An empty group that is left over harms nobody.
        let _ = Command::new("unshare")
            .args(["--mount", "sh", "-c", REMOVE_GROUP, "sh"])
            .arg(self.mount_point.path())
            .arg(&self.name)
            .status();
    }
}

impl Service {
    /// Starts the unit of `configs/systemd`, with lines as in `/etc/default/halo-exporter`.
    /// The files of `machine` are shown to it as `/run/halo/machine`.
    pub(super) fn start(settings: &str, machine: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(HALO, path.join("halo-exporter")).unwrap();
        assert!(
            output(Command::new("cp").arg("-r").arg(machine).arg(path.join("machine")))
                .status
                .success()
        );
        write_units(path, settings);
        write_users(path);
        let name = path.file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        let group =
            Group { name: format!("halo-{name}"), mount_point: tempfile::tempdir().unwrap() };
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"])
            .args(["sh", "-c", ENTER_GROUP, "sh"])
            .args([
                path.as_os_str(),
                group.name.as_ref(),
                BOOT.as_ref(),
                manager_program().as_ref(),
            ]);
        let manager = Running::start(&mut command, &path.join("log"));
        Self { manager, _group: group, directory }
    }

    /// The exposition, once the service is ready.
    pub(super) fn metrics(&mut self) -> String {
        let address = self.manager.address();
        self.manager.wait("an answer", || get(address, "/metrics"))
    }

    /// A property of the unit, as systemd has it.
    pub(super) fn property(&self, name: &str) -> String {
        said(&self.inside(&["systemctl", "show", "--value", "--property", name, UNIT]))
            .trim()
            .to_owned()
    }

    /// Stops the service as an administrator does.
    pub(super) fn stop(&self) {
        let stopped = self.inside(&["systemctl", "stop", UNIT]);
        assert!(stopped.status.success(), "{}", said(&stopped));
    }

    /// A file of the service's process in `/proc`.
    pub(super) fn process_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.property("MainPID"));
        said(&self.inside(&["cat", &path]))
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn inside(&self, arguments: &[&str]) -> Output {
        let unshare = self.manager.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
        let children = children.unwrap();
        let manager = children.trim();
        output(
            Command::new("nsenter")
                .args(["--target", manager, "--mount", "--pid", "--cgroup"])
                .args(arguments),
        )
    }
}

/// Where distributions put systemd itself.
fn manager_program() -> &'static str {
    let places = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
    places
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("systemd, which .ci/run installs")
}

/// The unit, and beside it what a test must change: where the program and its log are, and that
/// no ordinary boot comes before it.
fn write_units(directory: &Path, settings: &str) {
    let units = directory.join("units");
    let additions = units.join(format!("{UNIT}.d"));
    fs::create_dir_all(&additions).unwrap();
    fs::copy(super::repository().join("configs/systemd").join(UNIT), units.join(UNIT)).unwrap();
    fs::write(directory.join("settings"), settings).unwrap();
    let text = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=\n\
                ExecStart=/run/halo/halo-exporter\nEnvironmentFile=/run/halo/settings\n\
                StandardOutput=append:/run/halo/log\nStandardError=append:/run/halo/log\n";
    fs::write(additions.join("test.conf"), text).unwrap();
}

/// The machine's users and the one that `halo-exporter.sysusers` adds to them.
fn write_users(directory: &Path) {
    let users = directory.join("users");
    fs::create_dir_all(users.join("etc")).unwrap();
    for file in ["passwd", "group"] {
        fs::copy(Path::new("/etc").join(file), users.join("etc").join(file)).unwrap();
    }
    let added = output(
        Command::new("systemd-sysusers")
            .arg(format!("--root={}", users.display()))
            .arg(super::repository().join("configs/systemd/halo-exporter.sysusers")),
    );
    assert!(added.status.success(), "{}", said(&added));
}
