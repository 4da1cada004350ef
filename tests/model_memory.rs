//! The model in an endless storm, with its default limits, by the kernel's own account of this process. Alone in its
//! program, so that nothing else grows meanwhile.

use ovscope::model::Model;

#[path = "events/storm.rs"]
mod storm;

/// Bytes in memory: the second number of `/proc/self/statm` is pages (proc(5)).
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("its second field is a number");
    pages * nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096, |n| n as u64)
}

#[test]
fn an_endless_storm_takes_about_115_megabytes() {
    let before = resident();
    let mut model = Model::default();
    let mut storm = |packets: std::ops::Range<u64>| {
        for n in packets {
            model.apply_all(&storm::upcalled_packet(n, 1_000_000_000 + n * 200_000));
        }
        assert!(model.packets().len() > 10_000);
        resident() - before
    };
    let full = storm(0..120_000);
    assert!(full < 120 << 20, "{full} bytes when every table is full");
    let later = storm(120_000..150_000);
    assert!(later < full + (8 << 20), "{later} bytes, {full} before");
}
