//! What docs/security.md and docs/faults.md say is so: the tests that they name are there, the capabilities those of the
//! service and the code.

use std::{collections::BTreeSet, fs, path::Path};

use ovscope::{fuzzing::TARGETS, privileges};

const PAPER: &str = include_str!("../docs/security.md");
const FAULTS: &str = include_str!("../docs/faults.md");
const UNIT: &str = include_str!("../packaging/ovscope-record.service");

/// What stands between backquotes in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// How many tests the items of the lists in a text name, each of them there, and the fuzz targets among them.
fn named(text: &str) -> (usize, BTreeSet<&str>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut tests, mut targets) = (0, BTreeSet::new());
    // An item of the list, with its lines behind it.
    for item in text.split("\n- ").skip(1).map(|item| item.split("\n\n").next().unwrap_or_default()) {
        let mut words = quoted(item).take_while(|word| *word != "record");
        if item.starts_with("fuzz target") {
            targets.extend(words);
            continue;
        }
        let file = words.next().expect("a file");
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        for name in words {
            assert!(text.contains(&format!("fn {name}(")), "{file} has no test {name}");
            tests += 1;
        }
    }
    (tests, targets)
}

#[test]
fn every_test_that_is_named_is_there() {
    let (_, threats) = PAPER.split_once("## Threats and answers").expect("its heading");
    let (threats, _) = threats.split_once("\n## ").expect("another heading");
    let (tests, targets) = named(threats);
    assert!(tests >= 40, "{tests} tests were found in the list");
    assert_eq!(targets, TARGETS.iter().map(|(name, _)| *name).collect());
    let (tests, targets) = named(FAULTS);
    assert!(tests >= 30 && targets.is_empty(), "{tests} tests were found of faults");
}

#[test]
fn the_service_begins_with_what_the_table_says() {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("a bounding set");
    let of_unit: BTreeSet<&str> = line.split(' ').collect();
    let row = PAPER.lines().find(|line| line.starts_with("| `live`, `record`, `stat` |")).expect("a row");
    let to_begin = row.split('|').nth(2).expect("a column");
    assert_eq!(of_unit, quoted(to_begin).collect(), "the unit and the table");
    let kept = privileges::PROBES.iter().chain(privileges::PROBES_OF_DAEMONS).chain(privileges::SCREEN);
    for capability in kept {
        let name = capability.to_string();
        assert!(of_unit.contains(name.as_str()), "{name} is kept and the service has it not");
        assert!(row.split('|').nth(3).expect("a column").contains(&format!("`{name}`")), "{name} is not in the table");
    }
    assert!(UNIT.lines().any(|line| line == "NoNewPrivileges=yes"));
}
