//! Guests of the lab: boots one, runs a script in it, gives back what it said and left.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Condvar, Mutex, PoisonError},
};

use ovscope::event::Event;
use tempfile::TempDir;

/// Guests that can run at once: each is busy for half of its time at most, on the two cores of a small machine.
const GUESTS: u32 = 2;

/// How many there are, and who waits for that.
static RUNNING: Mutex<u32> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// Leave to run one guest, or one with nothing beside it.
pub struct Turn(u32);

impl Turn {
    /// Waits for its turn to run a guest beside another one.
    fn beside_another() -> Self {
        Self::take(1)
    }

    /// Waits for its turn to run a guest alone: one with a storm wants all the processors that there are.
    pub fn alone() -> Self {
        Self::take(GUESTS)
    }

    fn take(share: u32) -> Self {
        // A test that failed while it had its turn has told so itself.
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let room = ENDED.wait_while(running, |running| *running + share > GUESTS);
        *room.unwrap_or_else(PoisonError::into_inner) += share;
        Self(share)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        ENDED.notify_all();
    }
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

    /// The same with more options for `lab/run`.
    pub fn run_with(kernel: &str, script: &str, options: &[&str]) -> Self {
        Self::run_in(&Turn::beside_another(), kernel, script, options, &[])
    }

    /// The same with nothing beside it, with more options for `lab/run` and words for the script.
    pub fn run_alone(kernel: &str, script: &str, options: &[&str], words: &[&str]) -> Self {
        Self::run_in(&Turn::alone(), kernel, script, options, words)
    }

    fn run_in(_: &Turn, kernel: &str, script: &str, options: &[&str], words: &[&str]) -> Self {
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
        let guest = Self { said, out };
        assert!(done.status.success(), "{script} on {kernel}: {}\n{}{}", done.status, guest.said, guest.errors());
        guest
    }

    /// What programs said that the script ran, by the files they said it to.
    fn errors(&self) -> String {
        let files = std::fs::read_dir(self.out.path()).into_iter().flatten().flatten().map(|file| file.path());
        let errors = files.filter(|path| path.extension().is_some_and(|e| e == "err"));
        let text = |path: PathBuf| Some(format!("{}: {}\n", path.display(), std::fs::read_to_string(&path).ok()?));
        errors.filter_map(text).collect()
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
