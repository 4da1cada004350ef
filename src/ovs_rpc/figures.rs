//! What `upcall/show`, `coverage/show` and `dpif-netlink/dispatch-mode` say, as numbers and words.

use std::collections::BTreeMap;

use crate::event::UdpifFigures;

/// Of `upcall/show`: a name with a colon, then lines that begin with spaces. Lines that say something else are passed
/// over.
pub fn udpifs(text: &str) -> Vec<UdpifFigures> {
    let mut udpifs: Vec<UdpifFigures> = Vec::new();
    for line in text.lines() {
        if !line.starts_with(' ') && !line.trim().is_empty() {
            let name = line.trim().trim_end_matches(':').to_owned();
            udpifs.push(UdpifFigures { name, ..UdpifFigures::default() });
            continue;
        }
        let (Some(udpif), Some((what, said))) = (udpifs.last_mut(), line.split_once(':')) else { continue };
        match what.trim() {
            "flows" => {
                let of = |name: &str| {
                    let word = said.split('(').find_map(|word| word.trim_end().strip_suffix(')')?.strip_prefix(name));
                    word.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
                };
                (udpif.flows, udpif.flows_average) = (of("current "), of("avg "));
                (udpif.flows_max, udpif.limit) = (of("max "), of("limit "));
            }
            "dump duration" => udpif.dump_ms = said.trim().trim_end_matches("ms").parse().unwrap_or(0),
            _ => {}
        }
    }
    udpifs
}

/// Of `coverage/show`: in each line a name, rates, and behind `total:` the count since the daemon began.
pub fn coverage(text: &str) -> BTreeMap<String, u64> {
    let counter = |line: &str| {
        let (name, said) = line.split_once(char::is_whitespace)?;
        let total = said.rsplit_once("total:")?.1.trim().parse().ok()?;
        Some((name.to_owned(), total)).filter(|_| total > 0)
    };
    text.lines().filter_map(counter).collect()
}

/// Of `dpif-netlink/dispatch-mode`: in each line a datapath's name and its mode.
pub fn dispatch(text: &str) -> BTreeMap<String, String> {
    let mode = |line: &str| {
        let (name, mode) = line.rsplit_once(": ")?;
        Some((name.trim().to_owned(), mode.trim().strip_suffix(" dispatch mode")?.to_owned()))
    };
    text.lines().filter_map(mode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_daemon_of_3_5_says() {
        let said = "system@ovs-system:\n  flows         : (current 7) (avg 5) (max 12) (limit 200000)\n  \
                    dump duration : 1ms\n  ufid enabled : true\n\n  21: (keys 2)\n  22: (keys 5)\n";
        let expected = UdpifFigures {
            name: "system@ovs-system".to_owned(),
            flows: 7,
            flows_average: 5,
            flows_max: 12,
            limit: 200_000,
            dump_ms: 1,
        };
        assert_eq!(udpifs(said), [expected]);
        let said = "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=3d3b9d3a:\n\
                    bridge_reconfigure         0.0/sec     0.050/sec        0.0008/sec   total: 3\n\
                    mac_learning_moved       120.2/sec    12.000/sec        0.2000/sec   total: 721\n\
                    dpif_purge                 0.0/sec     0.000/sec        0.0000/sec   total: 0\n\
                    84 events never hit\n";
        let expected = [("bridge_reconfigure".to_owned(), 3), ("mac_learning_moved".to_owned(), 721)];
        assert_eq!(coverage(said), BTreeMap::from(expected));
        let said = "ovs-system: per-cpu dispatch mode\nold: per-vport dispatch mode\n";
        let expected = [("old", "per-vport"), ("ovs-system", "per-cpu")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(dispatch(said), BTreeMap::from(expected));
    }

    #[test]
    fn anything_else_is_nothing() {
        assert_eq!(udpifs(""), []);
        assert_eq!(udpifs("  flows : (current 7)\n"), [], "of no datapath");
        assert_eq!(udpifs("x:\n  flows : (current x) (limit -1)\n  dump duration : soon\n")[0].limit, 0);
        assert_eq!(coverage("a total: b\ntotal: 5\nx total:\n"), BTreeMap::new());
        assert_eq!(dispatch("per-cpu dispatch mode\nx: y\n"), BTreeMap::new());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,300}") {
            udpifs(&text);
            coverage(&text);
            dispatch(&text);
        }
    }
}
