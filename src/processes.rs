//! Finds ovs-vswitchd among this host's processes, whatever namespaces it runs in. Reads /proc and nothing else.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The daemon's name, `/proc/PID/comm`.
const DAEMON: &str = "ovs-vswitchd";
/// By its bit, `include/uapi/linux/capability.h`: without it no datapath can be worked on.
const CAP_NET_ADMIN: u64 = 1 << 12;

/// A file, whatever its name, by device and inode.
pub type FileId = (u64, u64);

/// Which file a path leads to.
pub fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// A process that is an ovs-vswitchd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Its process id, as this process sees it: in a container it knows itself by another.
    pub pid: u32,
    dir: PathBuf,
}

/// Every ovs-vswitchd that runs now, also in containers, the oldest number first.
///
/// Anybody can call a process so. What is told of those here is used with the rights of root, so they must have rights
/// that an ordinary user cannot give: `CAP_NET_ADMIN` in this process's own user namespace.
pub fn daemons() -> Vec<Daemon> {
    daemons_in(Path::new("/proc"))
}

/// The same, with another /proc.
fn daemons_in(proc: &Path) -> Vec<Daemon> {
    let own_users = fs::read_link(proc.join("self/ns/user")).ok();
    let mut found: Vec<Daemon> = fs::read_dir(proc)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let daemon = Daemon { pid, dir: proc.join(pid.to_string()) };
            let named = fs::read_to_string(daemon.dir.join("comm")).is_ok_and(|comm| comm.trim_end() == DAEMON);
            (named && daemon.may_have_a_datapath() && fs::read_link(daemon.dir.join("ns/user")).ok() == own_users)
                .then_some(daemon)
        })
        .collect();
    found.sort_unstable_by_key(|daemon| daemon.pid);
    found
}

impl Daemon {
    fn may_have_a_datapath(&self) -> bool {
        let status = fs::read_to_string(self.dir.join("status")).unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|caps| caps & CAP_NET_ADMIN != 0)
    }

    /// Whether it is still there.
    pub fn is_alive(&self) -> bool {
        fs::read_to_string(self.dir.join("comm")).is_ok_and(|comm| comm.trim_end() == DAEMON)
    }

    /// The program that it runs: a path to that very file, also where it was deleted or replaced since, or has no name
    /// in this mount namespace.
    pub fn program(&self) -> PathBuf {
        self.dir.join("exe")
    }

    /// The libraries of Open vSwitch that it runs with, where they are not built in; paths like [`Self::program`]'s.
    pub fn libraries(&self) -> Vec<PathBuf> {
        let maps = fs::read_to_string(self.dir.join("maps")).unwrap_or_default();
        maps.lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (range, access, name) = (words.next()?, words.next()?, words.nth(3)?);
                let base = name.rsplit('/').next()?;
                let is_ovs = ["libopenvswitch", "libofproto"].iter().any(|lib| base.starts_with(lib));
                (is_ovs && access.contains('x')).then(|| self.dir.join("map_files").join(range))
            })
            .collect()
    }

    /// The inodes of its sockets.
    fn sockets(&self) -> BTreeSet<String> {
        fs::read_dir(self.dir.join("fd"))
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let link = fs::read_link(entry.ok()?.path()).ok()?;
                Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
            })
            .collect()
    }

    /// Directories where it may have its control socket: where it has one bound, and the usual one, each by a path
    /// that leads there from this mount namespace. Whether they are there is not looked at.
    pub fn run_directories(&self) -> Vec<PathBuf> {
        // Names of sockets are any bytes.
        let sockets = fs::read(self.dir.join("net/unix")).unwrap_or_default();
        let sockets = String::from_utf8_lossy(&sockets);
        let own = self.sockets();
        let bound: BTreeSet<&Path> = sockets
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace().skip(6);
                let (inode, path) = (words.next()?, Path::new(words.next()?));
                let is_control = path.file_name()?.to_str()?.starts_with(DAEMON) && own.contains(inode);
                path.parent().filter(|dir| is_control && dir.is_absolute())
            })
            .collect();
        let root = self.dir.join("root");
        let usual = Path::new("/run/openvswitch");
        // /var/run mostly is a link, and one to /run would lead back into this mount namespace.
        let without_link =
            |dir: &Path| dir.strip_prefix("/var").map_or(dir.to_owned(), |rest| Path::new("/").join(rest));
        let mut dirs = Vec::new();
        for dir in [usual].into_iter().chain(bound) {
            for dir in [without_link(dir), dir.to_owned()] {
                let path = root.join(dir.strip_prefix("/").unwrap_or(&dir));
                if !dirs.contains(&path) {
                    dirs.push(path);
                }
            }
        }
        dirs
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Proc(tempfile::TempDir);

    impl Proc {
        fn new() -> Self {
            let proc = Self(tempfile::tempdir().expect("a directory for the test"));
            proc.process("self", "ovscope", "0", "user:[1]");
            proc
        }

        fn process(&self, pid: &str, comm: &str, caps: &str, users: &str) -> PathBuf {
            let dir = self.0.path().join(pid);
            fs::create_dir_all(dir.join("ns")).expect("made");
            fs::create_dir_all(dir.join("net")).expect("made");
            fs::write(dir.join("comm"), format!("{comm}\n")).expect("written");
            fs::write(dir.join("status"), format!("Name:\t{comm}\nCapEff:\t{caps}\n")).expect("written");
            symlink(users, dir.join("ns/user")).expect("linked");
            dir
        }

        fn pids(&self) -> Vec<u32> {
            daemons_in(self.0.path()).iter().map(|daemon| daemon.pid).collect()
        }
    }

    #[test]
    fn several_daemons_are_found_and_nobody_else() {
        let proc = Proc::new();
        proc.process("30", "ovs-vswitchd", "000001ffffffffff", "user:[1]");
        proc.process("4", "ovs-vswitchd", "0000000000001000", "user:[1]");
        proc.process("5", "ovsdb-server", "000001ffffffffff", "user:[1]");
        assert_eq!(proc.pids(), [4, 30]);
    }

    #[test]
    fn a_process_that_only_calls_itself_so_is_not_taken() {
        let proc = Proc::new();
        proc.process("6", "ovs-vswitchd", "0000000000000000", "user:[1]");
        proc.process("7", "ovs-vswitchd", "000001ffffffffff", "user:[2]");
        assert_eq!(proc.pids(), [0u32; 0]);
    }

    #[test]
    fn its_end_is_seen_also_where_another_process_gets_its_number() {
        let proc = Proc::new();
        let dir = proc.process("4", "ovs-vswitchd", "0000000000001000", "user:[1]");
        let daemon = daemons_in(proc.0.path()).remove(0);
        assert!(daemon.is_alive());
        fs::write(dir.join("comm"), "bash\n").expect("written");
        assert!(!daemon.is_alive());
    }

    #[test]
    fn libraries_of_its_own_are_named_by_their_mappings() {
        let proc = Proc::new();
        let dir = proc.process("4", "ovs-vswitchd", "0000000000001000", "user:[1]");
        fs::write(
            dir.join("maps"),
            "7f00-7f01 r--p 00000000 fe:00 7 /usr/lib64/libopenvswitch-3.5.so.0.0.1\n\
             7f01-7f02 r-xp 00000000 fe:00 7 /usr/lib64/libopenvswitch-3.5.so.0.0.1\n\
             7f03-7f04 r-xp 00000000 fe:00 8 /usr/lib64/libc.so.6\n\
             7f05-7f06 rw-p 00000000 00:00 0\n",
        )
        .expect("written");
        assert_eq!(daemons_in(proc.0.path())[0].libraries(), [dir.join("map_files/7f01-7f02")]);
    }

    #[test]
    fn its_run_directory_is_where_its_own_sockets_are_bound() {
        let proc = Proc::new();
        let dir = proc.process("4", "ovs-vswitchd", "0000000000001000", "user:[1]");
        fs::write(
            dir.join("net/unix"),
            "Num RefCount Protocol Flags Type St Inode Path\n\
             0: 00000002 00000000 00010000 0001 01 11 /opt/ovs/run/ovs-vswitchd.9.ctl\n\
             1: 00000002 00000000 00010000 0001 01 12 /run/other/thing\n\
             1: 00000002 00000000 00010000 0001 01 14 /tmp/of-another/ovs-vswitchd.9.ctl\n\
             2: 00000002 00000000 00000000 0001 01 13\n",
        )
        .expect("written");
        fs::create_dir(dir.join("fd")).expect("made");
        for (fd, inode) in [("3", 11), ("4", 12)] {
            symlink(format!("socket:[{inode}]"), dir.join("fd").join(fd)).expect("linked");
        }
        let root = dir.join("root");
        assert_eq!(
            daemons_in(proc.0.path())[0].run_directories(),
            [root.join("run/openvswitch"), root.join("opt/ovs/run")]
        );
    }
}
