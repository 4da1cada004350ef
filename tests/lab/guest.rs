//! One guest of the lab at a time: boots it, runs a script in it, gives back what it said and left.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ovscope::event::Event;
use tempfile::TempDir;

/// A guest takes both cores of a small machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits for its turn to run a guest.
pub fn in_turn() -> MutexGuard<'static, ()> {
    // A test that failed while it had its turn has told so itself.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a script said and left.
pub struct Guest {
    /// Its output, with its errors.
    pub said: String,
    out: TempDir,
}

impl Guest {
    /// Runs `tests/lab/SCRIPT.sh` as root on this kernel, with the program on its PATH; panics with all that was said
    /// when it fails.
    pub fn run(kernel: &str, script: &str) -> Self {
        Self::run_with(kernel, script, &[])
    }

    /// The same, with more options for `lab/run`.
    pub fn run_with(kernel: &str, script: &str, options: &[&str]) -> Self {
        Self::run_for(kernel, script, options, &[])
    }

    /// The same, with words for the script.
    pub fn run_for(kernel: &str, script: &str, options: &[&str], words: &[&str]) -> Self {
        let _turn = in_turn();
        let out = tempfile::tempdir().expect("a directory for what the guest leaves");
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(here.join("lab/run"))
            .args(["--kernel", kernel])
            .args(options)
            .args(["--bin", env!("CARGO_BIN_EXE_ovscope"), "--out"])
            .arg(out.path())
            .arg(here.join("tests/lab").join(script).with_extension("sh"))
            .arg("--")
            .args(words)
            .output()
            .expect("lab/run starts");
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{script} on {kernel}: {}\n{said}", done.status);
        Self { said, out }
    }

    /// A file that the script left in /out.
    pub fn file(&self, name: &str) -> PathBuf {
        self.out.path().join(name)
    }

    /// Its text.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.said))
    }

    /// The events of an export it left, as lines of JSON.
    pub fn events(&self, name: &str) -> Vec<Event> {
        let parse = |(n, line): (usize, &str)| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{name} line {}: {e}: {line}", n + 1))
        };
        self.text(name).lines().enumerate().map(parse).collect()
    }
}
