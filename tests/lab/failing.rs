//! Whatever is missing, the program says what it is and what to do, and does not panic.

use crate::guest::Guest;

#[test]
#[ignore = "boots a guest of the lab"]
fn what_is_missing_is_named_with_what_to_do() {
    let guest = Guest::run("6.12", "failing");
    let check = |name: &str, status: u32, words: &[&str]| {
        let text = guest.text(name);
        assert!(text.ends_with(&format!("status {status}\n")), "{name}:\n{text}");
        for word in words {
            assert!(text.contains(word), "{name} does not say «{word}»:\n{text}");
        }
        assert!(!text.contains("panicked"), "{name}:\n{text}");
    };
    check("no-module", 1, &["no openvswitch kernel datapath", "modprobe openvswitch", "ovscope demo"]);
    check("no-module-doctor", 1, &["no openvswitch kernel datapath", "modprobe openvswitch"]);
    check("no-root", 1, &["not allowed to load BPF programs", "sudo ovscope"]);
    check("no-root-doctor", 1, &["not allowed to load BPF programs", "sudo ovscope"]);
    check("no-btf", 1, &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"]);
    check("no-btf-doctor", 1, &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"]);
    check("no-terminal", 1, &["not a terminal", "ovscope stat"]);
    // Without a daemon the kernel still counts.
    check("no-daemon", 0, &[]);
    check("no-daemon-doctor", 0, &["ovs-vswitchd", "start ovs-vswitchd"]);
    check("good-doctor", 0, &["ovs-vswitchd (Open vSwitch) 3.5", "flow_lookup", "attached"]);
    check("good-doctor-json", 0, &["\"capabilities\""]);
    check("dead-daemon-doctor", 0, &["ovs-vswitchd"]);
    check("file-there", 1, &["/root/there is there already"]);
}
