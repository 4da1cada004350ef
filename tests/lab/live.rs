//! The live screen as an operator has it: over ssh, on a real datapath under traffic, in the command that `make run` is.

use std::{cell::OnceCell, path::Path};

use crate::{guest::Turn, pty::Screen};

/// It is started on a small disk of its own, which is filled when it has four files there: two that are saved, and two
/// recordings, of which the second is under way.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=48m none /mnt && cd /mnt && { \
    (until [ \"$(ls | wc -l)\" -ge 4 ]; do sleep 0.2; done; cat /dev/zero >rest 2>/dev/null) & \
    exec ovscope \"$@\"; }";

#[test]
#[ignore = "boots a guest of the lab"]
fn an_operator_over_ssh_sees_the_storm_asks_the_daemon_records_and_leaves() {
    let _turn = Turn::alone();
    let live = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/live");
    let triggered = ["--trigger", "verdict=storm", "--trigger-after", "1s", "--trigger-max", "1"];
    let shell = ["--bin", env!("CARGO_BIN_EXE_ovscope"), "--", "sh", "-c", ON_A_SMALL_DISK, "sh"];
    let command = [&shell[..], &triggered].concat();
    let mut screen = Screen::start(&live, &command, (80, 24));
    screen.wait_until("the alternate screen", vt100::Screen::alternate_screen);
    screen.wait_for("1 Storm");
    screen.wait_for("OVS 3.5");
    // The traffic has an upcall storm every 45 seconds.
    screen.wait_for("STORM");
    screen.wait_for("p4_l");
    screen.wait_for("verdict=storm: saved");

    // Back to before the storm, while it goes on, and to now again.
    screen.press("[");
    screen.wait_for("LOOKING BACK");
    screen.wait_for("-1 s");
    screen.press("{");
    screen.wait_until("before the storm", |s| !s.contents().contains("STORM"));
    screen.press("mbefore it\r");
    screen.wait_for("marked");
    screen.press("\u{1b}");
    screen.wait_until("now", |s| !s.contents().contains("LOOKING BACK"));
    screen.press("w");
    screen.wait_for("saved");

    screen.resize(120, 40);
    // What was said of the save stays on the last line until a key is pressed.
    screen.press("3");
    screen
        .wait_until("the hints on the last line", |s| s.contents().lines().nth(39).is_some_and(|l| l.contains("help")));

    // The flow with the most hits: the daemon is asked for it, and for the rule that it comes from.
    screen.press("2");
    screen.wait_for("hits/s");
    screen.press("\r");
    screen.wait_for("OpenFlow rules");
    screen.wait_for("priority 100");
    screen.press("\u{1b}");

    screen.press("4");
    screen.press("\r");
    screen.wait_for("flow_lookup");
    screen.press("\u{1b}");

    screen.press("R");
    screen.wait_for("REC");
    screen.press("R");
    screen.wait_for("recorded");

    screen.press("6R");
    screen.wait_for("REC");
    screen.wait_for("the disk is full");
    let ports = |s: &vt100::Screen| s.contents().lines().filter(|line| line.contains("_l ")).collect::<String>();
    let before = OnceCell::new();
    screen.wait_until("it goes on", |s| {
        let now = ports(s);
        !now.is_empty() && *before.get_or_init(|| now.clone()) != now
    });

    screen.press("q");
    let (said, status) = screen.ended();
    assert!(status.exit_code() == 1 && said.contains("the disk is full"), "{status:?}: {said}");
}
