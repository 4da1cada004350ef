//! What this program may do as root, once it needs no more than a little of it.
//!
//! Capabilities belong to threads. One thread loads and attaches the probes; all others give theirs up before they do
//! anything, and that one does once everything is attached. None can get any back, not even by running another program
//! (`no_new_privs`). All stay user 0: they own what root owns.

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};
use nix::sys::prctl::set_no_new_privs;

/// For the screen, the recorder and the daemon's control socket.
///
/// `CAP_DAC_OVERRIDE`: recordings are written where the user who called sudo is, and the control socket may belong to
/// a user of the daemon's own. `CAP_SYS_PTRACE`: /proc/PID/root, where a daemon in a container has its socket.
pub const SCREEN: &[Capability] = &[Capability::CAP_DAC_OVERRIDE, Capability::CAP_SYS_PTRACE];

/// For the thread of the probes, after they are attached.
///
/// `CAP_BPF`: kernels before 5.19 ask for it with every look at a map.
/// `CAP_SYS_PTRACE`: /proc/PID/root and /proc/PID/exe, the program that the daemon runs.
pub const PROBES: &[Capability] = &[Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_SYS_PTRACE];

/// For the same thread where it listens to daemons with USDT probes: to attach to one that is started later.
///
/// `CAP_PERFMON`: to attach a program that is loaded. `CAP_SYS_ADMIN`: Debian's and Ubuntu's kernels ask for it with each
/// perf event (`kernel.perf_event_paranoid` above 2), and before Linux 6.6 a probe is one.
pub const PROBES_OF_DAEMONS: &[Capability] =
    &[Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_SYS_PTRACE, Capability::CAP_SYS_ADMIN];

/// Why the privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The capabilities.
    #[error("giving up capabilities: {0}")]
    Capabilities(#[from] CapsError),
    /// The way back.
    #[error("giving up new privileges: {0}")]
    NewPrivileges(#[from] nix::Error),
}

/// From here on this thread, and those that it starts, have these capabilities at most.
pub fn keep(capabilities: &[Capability]) -> Result<(), Error> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = capabilities.iter().copied().filter(|c| permitted.contains(c)).collect();
    set_no_new_privs()?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_stays_given_up_in_this_thread_alone() {
        let before = caps::read(None, CapSet::Permitted).expect("read");
        let done = std::thread::spawn(|| {
            keep(&[Capability::CAP_DAC_OVERRIDE]).expect("fewer are always allowed");
            let nested = std::thread::spawn(|| caps::read(None, CapSet::Permitted).expect("read")).join();
            let again = caps::set(None, CapSet::Permitted, &caps::all());
            (caps::read(None, CapSet::Effective).expect("read"), nested.expect("no panic"), again.is_err())
        });
        let (effective, nested, refused) = done.join().expect("no panic");
        let most = CapsHashSet::from([Capability::CAP_DAC_OVERRIDE]);
        assert!(effective.is_subset(&most) && nested.is_subset(&most), "{effective:?} {nested:?}");
        assert!(refused);
        assert_eq!(caps::read(None, CapSet::Permitted).expect("read"), before);
    }
}
