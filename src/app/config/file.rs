//! Where the configuration is, and whether it is to be trusted.

use std::{
    env,
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use nix::{fcntl::OFlag, unistd::geteuid};

use crate::app::{filters::BadUsage, say};

/// The most bytes that a configuration may have.
const LIMIT: u64 = 1 << 20;

/// The file that is named, or else the user's own, and its content.
pub fn find(named: Option<&Path>) -> anyhow::Result<Option<(PathBuf, String)>> {
    let read = |file: File| {
        let mut text = String::new();
        file.take(LIMIT + 1).read_to_string(&mut text).map(|_| text)
    };
    let (path, text) = if let Some(path) = named {
        (path.to_owned(), File::open(path).and_then(read))
    } else {
        let Some(path) = own_path(|name| env::var_os(name)) else { return Ok(None) };
        let Some(file) = open_own(&path) else { return Ok(None) };
        (path, read(file))
    };
    let text = text.with_context(|| format!("cannot read the configuration {}", path.display()))?;
    if text.len() as u64 > LIMIT {
        return Err(BadUsage::new(&format!("{} is no configuration: it has more than 1 MB", path.display())).into());
    }
    Ok(Some((path, text)))
}

/// By the XDG base directory specification, which wants absolute paths.
fn own_path(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("ovscope/config.toml"))
}

/// Opens the user's own file, if there is one. What root does may be set by root's file alone: where sudo keeps the user's
/// HOME, the file there is ignored, and a message says so.
fn open_own(path: &Path) -> Option<File> {
    // Without this, a pipe in its place would be waited for.
    let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
        opened => opened.map_err(|error| error.to_string()),
    };
    let trusted = file.and_then(|file| {
        let meta = file.metadata().map_err(|error| error.to_string())?;
        match () {
            () if !meta.is_file() => Err("it is no file".to_owned()),
            () if meta.uid() != geteuid().as_raw() && meta.uid() != 0 => Err("it belongs to another user".to_owned()),
            () if meta.mode() & 0o022 != 0 => Err("others may write to it".to_owned()),
            () => Ok(file),
        }
    });
    let said = |why: &String| {
        say(&format!("{} is not read: {why} (--config names one, whosever it is)", path.display()));
    };
    trusted.inspect_err(said).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn it_is_where_xdg_says() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            own_path(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(with(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]), path("/c/ovscope/config.toml"));
        assert_eq!(with(&[("XDG_CONFIG_HOME", "c"), ("HOME", "/h")]), path("/h/.config/ovscope/config.toml"));
        assert_eq!(with(&[("HOME", "/h")]), path("/h/.config/ovscope/config.toml"));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn a_file_that_others_may_write_is_not_read_unless_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        assert!(open_own(&path).is_none(), "there is none");
        std::fs::write(&path, "[options]\n").expect("room");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("its owner");
        assert!(open_own(&path).is_some());
        std::fs::set_permissions(&path, Permissions::from_mode(0o664)).expect("its owner");
        assert!(open_own(&path).is_none());
        assert!(find(Some(&path)).expect("it is named").is_some());
        assert!(open_own(folder.path()).is_none(), "a folder is no file");
        let missing = find(Some(&folder.path().join("none"))).expect_err("it is named and not there");
        assert!(format!("{missing:#}").contains("none"), "{missing:#}");
    }
}
