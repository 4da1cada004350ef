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
