//! What is wrong is named live, on the kernel that the recordings in tests/verdicts are not of. All causes: `make
//! verdicts`.

use serde_json::Value;

use crate::guest::Guest;

const KERNEL: &str = "7.3";

#[test]
#[ignore = "boots guests of the lab"]
fn what_is_wrong_is_named_within_ten_seconds() {
    let expected = [
        ("full_rate", None),
        ("field_explosion", Some(("field-explosion", "every new udp_src makes a flow"))),
        ("daemon_gone", Some(("daemon-gone", "ovs-vswitchd is gone"))),
    ];
    let guest = Guest::run_alone(KERNEL, "verdicts", &[], &expected.map(|(name, _)| name));
    for (name, expected) in expected {
        let report: Value = serde_json::from_str(&guest.text(&format!("{name}.json"))).expect("a report");
        let verdicts = report["verdicts"].as_array().expect("verdicts");
        let loud: Vec<&Value> = verdicts.iter().filter(|verdict| verdict["severity"] != "note").collect();
        let Some((cause, words)) = expected else {
            assert!(loud.is_empty(), "{name}: {loud:?}");
            continue;
        };
        let [verdict] = loud[..] else { panic!("{name}: {loud:?}") };
        assert_eq!(verdict["cause"], cause, "{name}: {verdict}");
        assert!(verdict["headline"].as_str().is_some_and(|line| line.contains(words)), "{name}: {verdict}");
        if cause == "field-explosion" {
            // By ofproto/trace of the guest's own ovs-vswitchd.
            let rule = &verdict["rules"][0];
            let copies = "uses udp_src: move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]";
            assert_eq!((&rule["bridge"], &rule["table"], &rule["priority"]), (&"br0".into(), &0.into(), &100.into()));
            assert_eq!((&rule["matches"], &rule["says"]), (&"udp".into(), &copies.into()), "{verdict}");
        }
        assert!(verdict["from_second"].as_u64().is_some_and(|second| second <= 10), "{name}: {verdict}");
    }
}
