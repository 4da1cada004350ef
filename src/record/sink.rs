//! Where a recording is written to: a new file, or a stream.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a recording cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is there.
    #[error("{} is there already, and is not written over: choose another name or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("{} cannot be made: {why}; choose a folder that is there and that you may write to", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// Writing failed; what was written before it is whole.
    #[error("{0}")]
    Write(String),
    /// It is a pipe whose reader has gone.
    #[error("{name}: who read the recording has gone")]
    Unread {
        /// The pipe.
        name: String,
    },
}

/// Where bytes go.
pub trait Sink: Write + Send {
    /// Removes what was written after the first `len` bytes, so that a failed write leaves no half of a chunk; an error where
    /// that is impossible.
    fn cut(&mut self, len: u64) -> io::Result<()>;

    /// How long an open chunk may wait for more events before it is written: somebody may be watching.
    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Makes sure that everything written survives a crash of the machine, as far as this sink can.
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A recording's file. If somebody removes it while it is being written, nobody could ever read the rest: the next flush then
/// fails with `NotFound`. If it is moved, it is still good.
#[derive(Debug)]
pub(super) struct RecordingFile {
    file: File,
    /// Some file systems count no links.
    counts_links: bool,
}

impl RecordingFile {
    pub(super) fn new(file: File) -> Self {
        let counts_links = links(&file).is_ok_and(|links| links > 0);
        Self { file, counts_links }
    }
}

fn links(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.nlink())
}

impl Write for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if self.counts_links && links(&self.file)? == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
    }
}

impl Sink for RecordingFile {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.cut(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

/// A sink that only goes forward, such as stdout.
#[derive(Debug)]
pub struct Stream<W>(pub W);

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Sink for Stream<W> {
    fn cut(&mut self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Makes a file that was not there, for its owner alone: packets are in it.
pub fn create_new(path: &Path) -> Result<File, RecordError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists => RecordError::Exists { path: path.to_owned() },
        _ => RecordError::Create { path: path.to_owned(), why },
    })
}

/// The same; with `force` a file or a link of that name is removed first. What a link points to is left alone.
pub(super) fn create(path: &Path, force: bool) -> Result<File, RecordError> {
    let made = create_new(path);
    if !force || !matches!(made, Err(RecordError::Exists { .. })) {
        return made;
    }
    let removed = std::fs::symlink_metadata(path).and_then(|there| {
        // A device or a pipe is no recording.
        let kind = there.file_type();
        if kind.is_file() || kind.is_symlink() {
            std::fs::remove_file(path)
        } else {
            Err(io::Error::other("what is there is no file"))
        }
    });
    removed.map_err(|why| RecordError::Create { path: path.to_owned(), why })?;
    create_new(path)
}
