//! The file that an export is written to: a new one, or one that replaces another.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::record::create_new;

/// A file being written, for its owner alone: packets are in it.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// Where it is written until it is whole, and where it then goes.
    replaces: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// Makes the file. An existing one is replaced only with `force`, and only once the new one is whole; what is not a regular
    /// file is never replaced, and neither is the recording itself.
    pub fn create(path: &Path, force: bool, recording: &Path) -> anyhow::Result<Self> {
        let there = path.symlink_metadata();
        let (true, Ok(there)) = (force, there) else { return Ok(Self { file: create_new(path)?, replaces: None }) };
        if !there.is_file() {
            bail!("{} is no regular file, and only such a one is replaced: choose another name", path.display());
        }
        if recording.metadata().is_ok_and(|of| (of.dev(), of.ino()) == (there.dev(), there.ino())) {
            bail!("{} is the recording itself: choose another name for the export", path.display());
        }
        let name = path.file_name().context("the output has no name")?.to_string_lossy();
        let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        Ok(Self { file: create_new(&part)?, replaces: Some((part, path.to_owned())) })
    }

    /// The file is whole: puts it in its place, so that it is there even after a crash of the machine.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some((part, path)) = &self.replaces {
            fs::rename(part, path)?;
        }
        self.replaces = None;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.replaces {
            let _ = fs::remove_file(part);
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
