//! What docs/troubleshooting.md quotes is what the program says, and nothing that doctor can print is left out.

use std::{fs, path::Path};

use ovscope::probes::{self, Missing, Prerequisite};

const PAPER: &str = include_str!("../docs/troubleshooting.md");

/// All Rust below a directory, as one text in which a literal that goes on in the next line is whole.
fn sources(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).expect("a directory of the sources") {
        let path = entry.expect("its entries").path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let mut pieces = text.split("\\\n");
            all += pieces.next().unwrap_or_default();
            pieces.for_each(|piece| all += piece.trim_start());
        }
    }
    all
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_quoted_is_what_the_program_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = on_one_line(&sources(&root.join("src")));
    let paper = on_one_line(PAPER);
    let quotes: Vec<&str> = paper.split('«').skip(1).map(|rest| rest.split('»').next().unwrap_or_default()).collect();
    assert!(quotes.len() > 80, "{} quotes were found", quotes.len());
    for quote in quotes {
        for part in quote.split('…').map(str::trim).filter(|part| part.len() > 1) {
            assert!(said.contains(part), "nothing in src/ says «{part}»");
        }
    }
}

#[test]
fn every_prerequisite_has_its_section_with_what_to_do() {
    for what in Prerequisite::ALL {
        let heading = format!("\n### {}\n", what.name());
        let (_, section) = PAPER.split_once(&heading).unwrap_or_else(|| panic!("no section {}", what.name()));
        let section = on_one_line(section.split("\n#").next().unwrap_or_default());
        let remedy = Missing { what, why: String::new() }.remedy();
        assert!(section.contains(remedy), "{} does not say «{remedy}»", what.name());
    }
}

#[test]
fn every_capability_has_its_row() {
    let rows: Vec<&str> = PAPER.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let capabilities = probes::survey();
    assert!(capabilities.len() > 20);
    for capability in capabilities {
        assert!(rows.contains(&capability.name.as_str()), "no row for {}", capability.name);
    }
}
