//! What a host must have before anything can be seen.

use std::{fmt, fs, path::Path};

/// Something a host must have before anything can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prerequisite {
    /// To load BPF programs.
    Privilege,
    /// Programs may read the kernel's memory.
    Lockdown,
    /// Functions can be traced.
    Ftrace,
    /// Types of the running kernel.
    KernelBtf,
    /// The openvswitch module.
    Module,
    /// Types of the openvswitch module.
    ModuleBtf,
}

impl Prerequisite {
    /// All, in the order they are looked at.
    pub const ALL: [Self; 6] =
        [Self::Privilege, Self::Lockdown, Self::Ftrace, Self::KernelBtf, Self::Module, Self::ModuleBtf];

    /// What it is, for a list.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privilege => "allowed to load BPF programs",
            Self::Lockdown => "the kernel lets itself be read",
            Self::Ftrace => "the kernel's functions can be traced",
            Self::KernelBtf => "the kernel describes its types",
            Self::Module => "the openvswitch module is loaded",
            Self::ModuleBtf => "the openvswitch module describes its types",
        }
    }
}

/// It is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub what: Prerequisite,
    /// How it stands, in a clause.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.why, self.remedy())
    }
}

impl std::error::Error for Missing {}

impl Missing {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self.what {
            Prerequisite::Privilege => "run it as root: sudo ovscope",
            Prerequisite::Lockdown => {
                "boot with lockdown=integrity, which is all that Secure Boot asks for, or without"
            }
            Prerequisite::Ftrace => "switch it on: sysctl kernel.ftrace_enabled=1",
            Prerequisite::KernelBtf => {
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian 11, Ubuntu 20.10, RHEL 8.2 and later have it)"
            }
            Prerequisite::Module => {
                "load it (modprobe openvswitch) or start Open vSwitch; to see what ovscope shows without one: ovscope demo"
            }
            Prerequisite::ModuleBtf => {
                "without them its structs cannot be read. Use the module that came with the kernel, and a kernel built with \
                 CONFIG_DEBUG_INFO_BTF_MODULES=y; a module built by hand has them where vmlinux and pahole were at hand. \
                 Whether the kernel refused them: dmesg | grep BTF"
            }
        }
    }
}

/// By its bit, `include/uapi/linux/capability.h`. `CAP_BPF` and `CAP_PERFMON` do not suffice: the types of the openvswitch
/// module are asked for by their id.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Looks at each prerequisite: what is missing, all of it.
pub fn look_all() -> Vec<Missing> {
    look_all_in(Path::new("/"))
}

/// Whether the probes can start at all: the first thing that is missing.
pub fn look() -> Result<(), Missing> {
    look_all().into_iter().next().map_or(Ok(()), Err)
}

/// The same, with another root directory.
fn look_all_in(root: &Path) -> Vec<Missing> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let exists = |path: &str| root.join(path).exists();
    let mut missing = Vec::new();
    let mut miss = |what, why: &str| missing.push(Missing { what, why: why.to_owned() });
    // Of this thread: others may have given theirs up already.
    let effective = read("proc/thread-self/status")
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    if effective & CAP_SYS_ADMIN == 0 {
        miss(Prerequisite::Privilege, "not allowed to load BPF programs");
    }
    if read("sys/kernel/security/lockdown").contains("[confidentiality]") {
        miss(Prerequisite::Lockdown, "the kernel is locked down: no program may read its memory");
    }
    if read("proc/sys/kernel/ftrace_enabled").trim() == "0" {
        miss(
            Prerequisite::Ftrace,
            "function tracing is switched off: probes could be attached, but none would ever run",
        );
    }
    if !exists("sys/kernel/btf/vmlinux") {
        miss(Prerequisite::KernelBtf, "this kernel does not describe its types (no /sys/kernel/btf/vmlinux)");
    }
    if !exists("sys/module/openvswitch") {
        miss(Prerequisite::Module, "there is no openvswitch kernel datapath here (the module is not loaded)");
    } else if !exists("sys/kernel/btf/openvswitch") {
        // By the module's taint flags: O for one that was built outside of the kernel's tree.
        let by_hand = read("sys/module/openvswitch/taint").contains('O');
        let whose = if by_hand { ", which was built outside of the kernel's tree," } else { "" };
        let why = format!("the openvswitch module{whose} does not describe its types (no /sys/kernel/btf/openvswitch)");
        miss(Prerequisite::ModuleBtf, &why);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> Vec<Missing> {
        let root = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        look_all_in(root.path())
    }

    const GOOD: [(&str, &str); 6] = [
        ("proc/thread-self/status", "Name:\tovscope\nCapEff:\t000001ffffffffff\n"),
        ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
        ("proc/sys/kernel/ftrace_enabled", "1\n"),
        ("sys/kernel/btf/vmlinux", ""),
        ("sys/module/openvswitch/taint", "O\n"),
        ("sys/kernel/btf/openvswitch", ""),
    ];

    #[test]
    fn a_host_that_has_all_lacks_nothing() {
        assert_eq!(host(&GOOD), []);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let bad = [
            ("proc/thread-self/status", "CapEff:\t000000c000000000\n"),
            ("sys/kernel/security/lockdown", "none integrity [confidentiality]\n"),
            ("proc/sys/kernel/ftrace_enabled", "0\n"),
        ];
        let whats: Vec<Prerequisite> = host(&bad).iter().map(|m| m.what).collect();
        assert_eq!(whats, Prerequisite::ALL[..5]);
        let without_types: Vec<(&str, &str)> = GOOD[..5].to_vec();
        let missing = host(&without_types);
        assert_eq!(missing.len(), 1);
        assert!(missing[0].to_string().contains("built outside of the kernel's tree"), "{}", missing[0]);
    }
}
