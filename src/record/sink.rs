//! Where a recording is written to: a new file, or a stream.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Why a recording cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is there.
    #[error("{} is there already, and nothing is ever written over: choose another name or move it away", path.display())]
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
    /// Writing failed; what was written before is whole.
    #[error("{0}")]
    Write(String),
}

/// Where bytes go.
pub trait Sink: Write + Send {
    /// Takes back what was written behind the first `len` bytes, so that a failed write leaves no half of a chunk;
    /// an error where that cannot be.
    fn cut(&mut self, len: u64) -> io::Result<()>;

    /// Makes sure that all of it survives a crash of the machine, as far as this sink can.
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
