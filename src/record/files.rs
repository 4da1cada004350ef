//! A recording in one file or, divided by size and age, in a row of them.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Header, Preamble,
    sink::{RecordError, RecordingFile, Sink, create},
    writer::{CHUNK_BYTES, Summary, Writer},
};
use crate::event::Told;

/// How big a sealed chunk may be, with its index.
const CHUNK_ROOM: u64 = CHUNK_BYTES as u64 + (CHUNK_BYTES as u64 >> 1);
/// The least size that files may be limited to: some chunks, and the state that each file begins with.
pub const FILE_MIN: u64 = 8 << 20;

/// How a recording's files are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Replace a file that is there: it is removed, and a new one is made.
    pub force: bool,
    /// Before a file has more bytes than this, the next one is begun. At least [`FILE_MIN`]; less is taken as that.
    pub max_size: Option<u64>,
    /// When a file is this old, the next one is begun.
    pub max_age: Option<Duration>,
    /// All files of the recording together have no more bytes than this: the oldest of them go. Needs a `max_size` that
    /// is at most half of it: the open file stays until the next one is there.
    pub max_total: Option<u64>,
}

impl Files {
    /// Whether there will be a row of files.
    pub fn is_row(&self) -> bool {
        self.max_size.is_some() || self.max_age.is_some()
    }

    /// The name of a row's file, from 1: `storm-0001.mcap` for `storm.mcap`.
    pub fn name(path: &Path, number: u32) -> PathBuf {
        let mut name = OsString::from(path.file_stem().unwrap_or_default());
        name.push(format!("-{number:04}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    }
}

/// A file of the row that is sealed.
#[derive(Debug)]
struct Sealed {
    path: PathBuf,
    bytes: u64,
    /// Its device and inode: another file of its name is not this recording's.
    identity: Option<(u64, u64)>,
}

/// A row of files: when the next one begins, and which exist.
#[derive(Debug)]
struct Row {
    files: Files,
    /// The path that the names are made from.
    base: PathBuf,
    path: PathBuf,
    number: u32,
    /// When its first event came, once there is one.
    began: Instant,
    header: Header,
    sealed: VecDeque<Sealed>,
    deleted: u64,
    /// The last sealed file on its way to the disk.
    syncing: Option<JoinHandle<io::Result<()>>>,
}

/// Writes a recording: to one sink, or to one file after the other, each whole in itself.
pub(super) struct Volumes {
    writer: Writer<Box<dyn Sink>>,
    row: Option<Row>,
    /// What the sealed files hold.
    before: Summary,
    /// Events lost so far, and how many of them the sealed files report.
    lost: (u64, u64),
    /// The file's size when it was last looked at: it grows by chunks.
    looked_at: u64,
    /// The open file can be sealed: what failed was the next one.
    next_failed: bool,
}

impl Volumes {
    /// To one sink.
    pub(super) fn to_sink(sink: Box<dyn Sink>, header: &Header, preamble: &Preamble) -> io::Result<Self> {
        let writer = Writer::new(sink, header, preamble)?;
        Ok(Self { writer, row: None, before: Summary::default(), lost: (0, 0), looked_at: 0, next_failed: false })
    }

    /// To a new file, or to the first of a row; with its path.
    pub(super) fn create(
        path: &Path,
        files: Files,
        header: &Header,
        preamble: &Preamble,
    ) -> Result<(Self, PathBuf), RecordError> {
        let first = if files.is_row() { Files::name(path, 1) } else { path.to_owned() };
        let file = create(&first, files.force)?;
        let begun = Self::to_sink(Box::new(RecordingFile::new(file)), header, preamble);
        let mut volumes = begun.map_err(|error| {
            // Made by this call and of no use: left there, it would only be in the way of the next try.
            let _ = fs::remove_file(&first);
            RecordError::Write(super::recorder::why(&first.display().to_string(), &error))
        })?;
        volumes.row = files.is_row().then(|| Row {
            files,
            base: path.to_owned(),
            path: first.clone(),
            number: 1,
            began: Instant::now(),
            header: header.clone(),
            sealed: VecDeque::new(),
            deleted: 0,
            syncing: None,
        });
        Ok((volumes, first))
    }

    /// Adds what was told.
    pub(super) fn write(&mut self, told: &[Told]) -> io::Result<()> {
        for told in told {
            if self.writer.sealed().bytes != self.looked_at {
                self.turn_over()?;
            }
            // Until its first event a file does not age: probes take their time to be attached.
            if self.writer.events() == 0
                && let Some(row) = &mut self.row
            {
                row.began = Instant::now();
            }
            self.writer.write_told(std::slice::from_ref(told))?;
        }
        Ok(())
    }

    /// Seals the open chunk.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// So many events were lost before those that come, since the start.
    pub(super) fn lost(&mut self, lost: u64) {
        self.lost.0 = lost;
    }

    /// Whether the open chunk has events in it.
    pub(super) fn has_unsealed(&self) -> bool {
        self.writer.events() > self.writer.sealed().events
    }

    /// Events taken so far.
    pub(super) fn events(&self) -> u64 {
        self.before.events + self.writer.events()
    }

    /// What all files have so far, always whole chunks.
    pub(super) fn sealed(&self) -> Summary {
        self.before.and(self.writer.sealed())
    }

    /// What the sealed files have, without the open one.
    pub(super) fn before(&self) -> &Summary {
        &self.before
    }

    /// How many files were made, and how many of them had to go.
    pub(super) fn files(&self) -> (u64, u64) {
        self.row.as_ref().map_or((1, 0), |row| (row.number.into(), row.deleted))
    }

    /// The file that is being written to; none where there is no row of them.
    pub(super) fn path(&self) -> Option<&Path> {
        self.row.as_ref().map(|row| row.path.as_path())
    }

    /// Whether the open file can still be sealed after an error.
    pub(super) fn can_be_sealed(&self) -> bool {
        self.next_failed
    }

    /// Seals the last file and makes sure that all of them survive a crash of the machine. With what all hold.
    pub(super) fn finish(&mut self) -> io::Result<Summary> {
        self.writer.not_recorded(self.lost.0 - std::mem::replace(&mut self.lost.1, self.lost.0));
        let last = self.writer.finish()?;
        self.row.as_mut().map_or(Ok(()), Row::synced)?;
        Ok(self.before.and(&last))
    }

    /// The last file's sink, and its size up to the last whole chunk.
    pub(super) fn into_sink(self) -> (Box<dyn Sink>, u64) {
        let bytes = self.writer.sealed().bytes;
        (self.writer.into_sink(), bytes)
    }

    /// Begins the next file where this one is full or old enough.
    fn turn_over(&mut self) -> io::Result<()> {
        self.looked_at = self.writer.sealed().bytes;
        let Some(row) = self.row.as_mut().filter(|_| self.writer.events() > 0) else { return Ok(()) };
        let is_full = row.files.max_size.is_some_and(|size| {
            // Every chunk has its place in the index at the end.
            let index = self.writer.sealed().bytes >> 10;
            self.writer.sealed().bytes + index + 2 * CHUNK_ROOM > size.max(FILE_MIN)
        });
        if !is_full && row.files.max_age.is_none_or(|age| row.began.elapsed() < age) {
            return Ok(());
        }
        self.writer.flush()?;
        row.make_room(self.writer.sealed().bytes);
        let path = Files::name(&row.base, row.number + 1);
        let begun = create(&path, row.files.force).map_err(io::Error::other).and_then(|file| {
            let next =
                Writer::new(Box::new(RecordingFile::new(file)) as Box<dyn Sink>, &row.header, self.writer.state());
            next.inspect_err(|_| drop(fs::remove_file(&path)))
        });
        let next = begun.inspect_err(|_| self.next_failed = true)?;
        self.writer.not_recorded(self.lost.0 - std::mem::replace(&mut self.lost.1, self.lost.0));
        let summary = self.writer.finish()?;
        self.before = self.before.and(&summary);
        let file = std::mem::replace(&mut self.writer, next).into_sink();
        // The new file may happen to have as many bytes as the old one had.
        self.looked_at = 0;
        row.seal(file, summary.bytes, path)
    }
}

impl Row {
    /// The file that was written is sealed, and the next one, at `next`, is open.
    fn seal(&mut self, mut file: Box<dyn Sink>, bytes: u64, next: PathBuf) -> io::Result<()> {
        self.synced()?;
        // It may take its time, in which events would be lost.
        self.syncing = Some(std::thread::Builder::new().name("ovscope-sync".to_owned()).spawn(move || file.sync())?);
        let path = std::mem::replace(&mut self.path, next);
        let identity = fs::symlink_metadata(&path).ok().map(|file| (file.dev(), file.ino()));
        self.sealed.push_back(Sealed { path, bytes, identity });
        self.number += 1;
        self.began = Instant::now();
        Ok(())
    }

    /// Waits until the last sealed file is on the disk.
    fn synced(&mut self) -> io::Result<()> {
        let Some(syncing) = self.syncing.take() else { return Ok(()) };
        syncing.join().unwrap_or_else(|_| Err(io::Error::other("the thread that waits for the disk ended by itself")))
    }

    /// Deletes the oldest files until there is room for one more, besides the `open` bytes of the one being written.
    fn make_room(&mut self, open: u64) {
        let (Some(total), Some(size)) = (self.files.max_total, self.files.max_size) else { return };
        let mut taken = self.sealed.iter().map(|file| file.bytes).sum::<u64>() + open;
        while taken + size.max(FILE_MIN) > total
            && let Some(oldest) = self.sealed.pop_front()
        {
            let is_own =
                fs::symlink_metadata(&oldest.path).is_ok_and(|file| oldest.identity == Some((file.dev(), file.ino())));
            // One that is gone already takes no room; one that was put in its place is somebody else's.
            if is_own && fs::remove_file(&oldest.path).is_ok() {
                self.deleted += 1;
            }
            taken -= oldest.bytes;
        }
    }
}
