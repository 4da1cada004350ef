//! What the papers quote is what the program says, their links lead somewhere, nothing that doctor can print is left out of
//! docs/troubleshooting.md, and the licence is the same wherever it is named.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ovscope::{
    model::Cause,
    probes::{self, Missing, Prerequisite},
    ui::View,
};

const TROUBLESHOOTING: &str = include_str!("../docs/troubleshooting.md");
const STORMS: &str = include_str!("../docs/reading-an-upcall-storm.md");
const VIEWS: &str = include_str!("../docs/views/README.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a directory with this ending.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("its entries").path();
        if path.is_dir() {
            all.extend(files(&path, ending));
        } else if path.extension().is_some_and(|found| found == ending) {
            all.push(path);
        }
    }
    all
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All Rust of the program as one line, in which a literal that goes on in the next line is whole.
fn program() -> String {
    let mut all = String::new();
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(path).expect("a source");
        let mut pieces = text.split("\\\n");
        all += pieces.next().unwrap_or_default();
        pieces.for_each(|piece| all += piece.trim_start());
    }
    on_one_line(&all)
}

#[test]
fn what_is_quoted_is_what_the_program_says() {
    let said = program();
    let mut papers = files(&root().join("docs/views"), "md");
    papers.push(root().join("docs/troubleshooting.md"));
    let mut quotes = 0;
    for path in papers {
        let paper = on_one_line(&fs::read_to_string(&path).expect("a paper"));
        for quote in paper.split('«').skip(1).map(|rest| rest.split('»').next().unwrap_or_default()) {
            quotes += 1;
            for part in quote.split('…').map(str::trim).filter(|part| part.len() > 1) {
                assert!(said.contains(part), "{}: nothing in src/ says «{part}»", path.display());
            }
        }
    }
    assert!(quotes > 100, "{quotes} quotes were found");
}

#[test]
fn every_prerequisite_has_its_section_with_what_to_do() {
    for what in Prerequisite::ALL {
        let heading = format!("\n### {}\n", what.name());
        let (_, section) = TROUBLESHOOTING.split_once(&heading).unwrap_or_else(|| panic!("no section {}", what.name()));
        let section = on_one_line(section.split("\n#").next().unwrap_or_default());
        let remedy = Missing { what, why: String::new() }.remedy();
        assert!(section.contains(remedy), "{} does not say «{remedy}»", what.name());
    }
}

#[test]
fn every_capability_has_its_row() {
    let rows: Vec<&str> =
        TROUBLESHOOTING.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let capabilities = probes::survey();
    assert!(capabilities.len() > 20, "{} capabilities", capabilities.len());
    for capability in capabilities {
        assert!(rows.contains(&capability.name.as_str()), "no row for {}", capability.name);
    }
}

#[test]
fn every_view_has_its_page_with_a_picture() {
    for view in View::ALL {
        let page = format!("{}.md", view.title().to_lowercase());
        assert!(VIEWS.contains(&format!("[{}]({page})", view.title())), "{page} is not in the table");
        let text = fs::read_to_string(root().join("docs/views").join(&page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        assert!(text.contains("](../pictures/"), "{page} has no picture");
    }
}

#[test]
fn every_cause_is_among_the_storms() {
    let known = [Cause::FieldExplosion, Cause::Unknown];
    for cause in Cause::ALL.iter().filter(|cause| !known.contains(cause)) {
        let recording = format!("`{}`", cause.name().replace('-', "_"));
        assert!(STORMS.contains(&recording), "no {recording}");
        assert!(root().join(format!("tests/verdicts/{}.mcap", recording.trim_matches('`'))).exists());
    }
}

#[test]
fn links_lead_somewhere() {
    let mut papers = files(&root().join("docs"), "md");
    papers.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut links = 0;
    for path in papers {
        let text = fs::read_to_string(&path).expect("a paper");
        let folder = path.parent().expect("a paper is in a folder");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            links += 1;
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { path.clone() } else { folder.join(file) };
            assert!(to.exists(), "{}: {target}", path.display());
            if !place.is_empty() {
                let headings = fs::read_to_string(&to).expect("a paper").to_lowercase().replace(' ', "-");
                assert!(headings.contains(&format!("#-{place}\n")), "{}: {target}", path.display());
            }
        }
    }
    assert!(links > 50, "{links} links were found");
}

#[test]
fn the_licence_is_the_same_everywhere() {
    let licence = env!("CARGO_PKG_LICENSE");
    for name in ["README.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(name)).expect("a paper");
        assert!(text.contains(licence), "{name}");
    }
    let deny = fs::read_to_string(root().join("deny.toml")).expect("it is there");
    assert!(deny.contains(&format!("\n    \"{licence}\",\n")), "deny.toml allows {licence}");
    let mut sources: Vec<PathBuf> = ["h", "c"].iter().flat_map(|ending| files(&root().join("bpf"), ending)).collect();
    sources.extend(files(&root().join("src"), "c"));
    assert!(sources.len() > 20, "{sources:?}");
    for path in sources {
        let text = fs::read_to_string(&path).expect("a source");
        let first = text.lines().next().unwrap_or_default().trim_end_matches(" */");
        assert!(first.ends_with(&format!(" SPDX-License-Identifier: {licence}")), "{}: {first}", path.display());
    }
    // The texts of both versions, by which a built program and its sources are passed on.
    for (name, version) in [("LICENSE", "Version 2, June 1991"), ("LICENSE-GPL-3", "Version 3, 29 June 2007")] {
        let text = fs::read_to_string(root().join(name)).expect("a licence");
        assert!(text.contains("GNU GENERAL PUBLIC LICENSE") && text.contains(version), "{name}");
    }
    // The same by Debian's names.
    let copyright = fs::read_to_string(root().join("packaging/copyright")).expect("it is there");
    assert!(copyright.contains("License: GPL-2+\n") && copyright.contains("common-licenses/GPL-3"), "{copyright}");
}
