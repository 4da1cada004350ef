//! The fuzz targets take their seeds; `make fuzz` goes on from there.

use std::{fs, path::Path};

use ovscope::fuzzing::TARGETS;

#[test]
fn every_target_makes_something_of_its_seeds() {
    let folder = Path::new("fuzz/seeds");
    for (name, target) in TARGETS {
        let seeds = fs::read_dir(folder.join(name)).unwrap_or_else(|why| panic!("fuzz/seeds/{name}: {why}"));
        let made: usize = seeds.map(|seed| target(&fs::read(seed.expect("a file").path()).expect("a file"))).sum();
        assert!(made > 0, "no seed of {name} gets past its first check");
    }
    assert_eq!(fs::read_dir(folder).expect("a folder").count(), TARGETS.len(), "seeds of a target that is none");
}

#[test]
fn every_target_has_its_program() {
    let manifest = fs::read_to_string("fuzz/Cargo.toml").expect("it is there");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let program = fs::read_to_string(format!("fuzz/fuzz_targets/{name}.rs")).expect("it is there");
        assert!(program.contains(&format!("ovscope::fuzzing::{name}(bytes)")), "{program}");
    }
}

#[test]
fn the_targets_are_locked_to_what_the_program_needs() {
    let names = |section: &str, manifest: &str| -> Vec<String> {
        let lines =
            manifest.lines().skip_while(|line| *line != section).skip(1).take_while(|line| !line.starts_with('['));
        lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
    };
    let manifest = fs::read_to_string("Cargo.toml").expect("it is there");
    let needed = ["[dependencies]", "[build-dependencies]"].map(|section| names(section, &manifest)).concat();
    assert!(needed.len() > 20, "{needed:?}");
    let lock = fs::read_to_string("fuzz/Cargo.lock").expect("it is there");
    let (_, own) = lock.split_once("name = \"ovscope\"\n").expect("it is locked");
    let (own, _) = own.split_once("\n]").expect("a list");
    for name in needed {
        let is_locked = own.contains(&format!("\"{name}\"")) || own.contains(&format!("\"{name} "));
        assert!(is_locked, "{name}: «cargo update --offline --workspace» in fuzz/ adds it");
    }
}
