//! Marks that are made in a replay: kept beside the recording, which is never changed.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

use crate::event::Bookmark;

/// How many bytes are read at most: more than anybody's notes.
const LIMIT: u64 = 4 << 20;

/// Where marks are kept.
pub trait MarkKeeper {
    /// Keeps a mark. Returns what to tell the user, or why it could not be kept.
    fn keep(&mut self, mark: &Bookmark) -> Result<String, String>;
}

/// The marks of a recording: `FILE.marks`, a line of JSON for each.
#[derive(Debug)]
pub struct Beside {
    path: PathBuf,
}

impl Beside {
    /// The marks of this recording.
    pub fn of(recording: &Path) -> Self {
        let mut path = OsString::from(recording);
        path.push(".marks");
        Self { path: path.into() }
    }

    /// All marks there are. Lines that are no marks are skipped; an error says why the file cannot be read.
    pub fn load(&self) -> Result<Vec<Bookmark>, String> {
        let mut text = Vec::new();
        let file = open(OpenOptions::new().read(true), &self.path);
        match file.and_then(|file| file.take(LIMIT).read_to_end(&mut text)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|error| format!("{} cannot be read: {error}", self.path.display()))?,
        };
        Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}

impl MarkKeeper for Beside {
    fn keep(&mut self, mark: &Bookmark) -> Result<String, String> {
        let mut line = serde_json::to_vec(mark).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let file = open(OpenOptions::new().append(true).create(true).mode(0o600), &self.path);
        file.and_then(|mut file| file.write_all(&line))
            .map(|()| format!("marked, in {}", self.path.display()))
            .map_err(|error| format!("{} cannot be written: {error}", self.path.display()))
    }
}

/// Opens a regular file. In a folder that others may write to, a link in its place could lead anywhere, and opening a pipe
/// would block.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn marks_are_kept_beside_the_recording() {
        let folder = tempfile::tempdir().expect("a folder");
        let recording = folder.path().join("storm.mcap");
        let mut beside = Beside::of(&recording);
        assert_eq!(beside.load(), Ok(Vec::new()));
        let marks = [(5, "here it \n begins"), (3, "")].map(|(at, note)| Bookmark { at, note: note.to_owned() });
        for mark in &marks {
            beside.keep(mark).expect("room");
        }
        let path = folder.path().join("storm.mcap.marks");
        OpenOptions::new().append(true).open(&path).and_then(|mut f| f.write_all(b"what?\n{}\n")).expect("room");
        assert_eq!(beside.load(), Ok(marks.to_vec()));
        let text = std::fs::read_to_string(&path).expect("text");
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn they_are_their_owners_and_not_written_through_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = Bookmark { at: 7, note: String::new() };
        Beside::of(&folder.path().join("own")).keep(&mark).expect("room");
        let mode = std::fs::metadata(folder.path().join("own.marks")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::os::unix::fs::symlink(folder.path().join("precious"), folder.path().join("led.marks")).expect("a link");
        let why = Beside::of(&folder.path().join("led")).keep(&mark).expect_err("it is a link");
        assert!(why.contains("led.marks cannot be written"), "{why}");
        assert!(!folder.path().join("precious").exists());
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("led.marks");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        // With a reader at its other end it could be written to.
        let _end = OpenOptions::new().read(true).write(true).open(&pipe).expect("both ends");
        let mut beside = Beside::of(&folder.path().join("led"));
        let why = beside.keep(&Bookmark { at: 7, note: String::new() }).expect_err("it is a pipe");
        assert!(why.contains("it is no regular file"), "{why}");
        assert!(beside.load().is_err_and(|why| why.contains("it is no regular file")));
    }

    #[test]
    fn where_it_cannot_be_written_it_says_so() {
        let why = Beside::of(Path::new("/proc/nothing/storm.mcap")).keep(&Bookmark { at: 1, note: String::new() });
        assert!(why.expect_err("no such folder").contains("/proc/nothing/storm.mcap.marks"));
    }
}
