//! Finds the daemon's control socket.

use std::{
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{net::UnixStream, time::timeout};

use crate::processes::{self, FileId, file_id};

/// Where Open vSwitch keeps its sockets when nothing else is said (`--with-rundir` of the distributions).
const DEFAULT_DIRS: [&str; 2] = ["/var/run/openvswitch", "/run/openvswitch"];
/// Sockets of one directory that are tried at most; left over ones are tried too, and each daemon leaves one at most.
const SOCKETS_TRIED: usize = 16;
/// A local socket accepts at once or not at all; this bounds what should not happen.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The places where the socket is looked for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    places: Vec<PathBuf>,
    /// Then where the daemons that run have theirs, whatever namespaces they run in.
    of_daemons: bool,
}

/// A socket that accepted a connection.
#[derive(Debug)]
pub struct Found {
    /// Its path.
    pub path: PathBuf,
    /// The daemon's process id: the one in the socket's name (which is the daemon's own view of it, also in a
    /// container), else the one that the kernel knows of the other end; 0 when neither says.
    pub pid: u32,
    /// The connection.
    pub stream: UnixStream,
}

/// No socket accepted a connection. Says what was tried, with what result, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    tried: Vec<Tried>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tried {
    path: PathBuf,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// No such file or directory.
    Absent,
    /// A directory without a daemon's socket in it.
    Empty,
    /// A socket that nobody listens on.
    Stale,
    /// Not allowed.
    Denied,
    /// It does not accept: its queue of connections is full.
    Busy,
    /// Anything else.
    Other(String),
}

impl Search {
    /// Looks only at `explicit` (a directory, or the socket itself) where it is given; else in `$OVS_RUNDIR`,
    /// `/var/run/openvswitch` and `/run/openvswitch`, then in the run directories of every ovs-vswitchd that runs, in a
    /// container too.
    pub fn new(explicit: Option<PathBuf>) -> Self {
        Self::with_rundir(explicit, std::env::var_os("OVS_RUNDIR"))
    }

    /// The same, with the value of `$OVS_RUNDIR` passed in.
    pub fn with_rundir(explicit: Option<PathBuf>, rundir: Option<OsString>) -> Self {
        let of_daemons = explicit.is_none();
        let places = match explicit {
            Some(path) => vec![path],
            None => rundir
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from)
                .into_iter()
                .chain(DEFAULT_DIRS.map(PathBuf::from))
                .collect(),
        };
        Self { places, of_daemons }
    }

    /// Connects to the first daemon that accepts. In a directory: the one that `ovs-vswitchd.pid` names, else any
    /// `ovs-vswitchd.*.ctl`, newest first (in a container the pid file can speak of another one's process).
    pub async fn find(&self) -> Result<Found, NotFound> {
        let (mut tried, mut seen) = (Vec::new(), Vec::new());
        for place in &self.places {
            if let Some(found) = look_in(place, &mut seen, &mut tried).await {
                return Ok(found);
            }
        }
        if self.of_daemons {
            let places = processes::daemons().into_iter().flat_map(|daemon| daemon.run_directories());
            // Only some of them are there.
            for place in places.filter(|place| place.exists()) {
                if let Some(found) = look_in(&place, &mut seen, &mut tried).await {
                    return Ok(found);
                }
            }
        }
        Err(NotFound { tried })
    }
}

/// The first daemon at a place that accepts. /var/run is a link to /run on most hosts, and processes share their
/// directories: what was `seen` is not tried, or told of, twice.
async fn look_in(place: &Path, seen: &mut Vec<FileId>, tried: &mut Vec<Tried>) -> Option<Found> {
    if let Some(id) = file_id(place) {
        if seen.contains(&id) {
            return None;
        }
        seen.push(id);
    }
    match sockets(place) {
        Err(why) => tried.push(Tried { path: place.to_owned(), why }),
        Ok(paths) => {
            for path in paths {
                match connect(&path).await {
                    Ok(stream) => return Some(Found { pid: daemon_pid(&path, &stream), path, stream }),
                    Err(why) => tried.push(Tried { path, why }),
                }
            }
        }
    }
    None
}

/// The sockets to try at a place.
fn sockets(place: &Path) -> Result<Vec<PathBuf>, Why> {
    if !fs::metadata(place).map_err(|e| Why::from(&e))?.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(place)
        .map_err(|e| Why::from(&e))?
        .filter_map(Result::ok)
        .filter(|entry| pid_in_name(&entry.path()).is_some())
        .map(|entry| (entry.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH), entry.path()))
        .collect();
    // The newest is the likeliest to live; the path decides between equals, so that the order is always the same.
    found.sort_unstable_by(|a, b| b.cmp(a));
    let named =
        fs::read_to_string(place.join("ovs-vswitchd.pid")).ok().and_then(|text| text.trim().parse::<u32>().ok());
    if let Some(first) = found.iter().position(|(_, path)| named.is_some() && pid_in_name(path) == named) {
        found[..=first].rotate_right(1);
    }
    found.truncate(SOCKETS_TRIED);
    if found.is_empty() { Err(Why::Empty) } else { Ok(found.into_iter().map(|(_, path)| path).collect()) }
}

/// The number in `ovs-vswitchd.<pid>.ctl`.
fn pid_in_name(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("ovs-vswitchd.")?.strip_suffix(".ctl")?.parse().ok()
}

fn daemon_pid(path: &Path, stream: &UnixStream) -> u32 {
    let of_peer = || stream.peer_cred().ok()?.pid()?.try_into().ok();
    pid_in_name(path).or_else(of_peer).unwrap_or(0)
}

async fn connect(path: &Path) -> Result<UnixStream, Why> {
    match timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await {
        Ok(connected) => connected.map_err(|e| Why::from(&e)),
        Err(_) => Err(Why::Busy),
    }
}

impl From<&io::Error> for Why {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            io::ErrorKind::ConnectionRefused => Self::Stale,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::WouldBlock => Self::Busy,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "is not there",
            Self::Empty => "has no ovs-vswitchd.<pid>.ctl",
            Self::Stale => "refuses, left over from a daemon that is gone",
            Self::Denied => "permission denied",
            Self::Busy => "does not accept, the daemon is stalled",
            Self::Other(text) => text,
        })
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no ovs-vswitchd found: ")?;
        for (index, Tried { path, why }) in self.tried.iter().enumerate() {
            write!(f, "{}{} {why}", if index > 0 { "; " } else { "" }, path.display())?;
        }
        f.write_str(". What to do: ")?;
        f.write_str(if self.tried.iter().any(|t| t.why == Why::Denied) {
            "run as root, or as the user that the daemon runs as"
        } else if self.tried.iter().any(|t| t.why == Why::Busy) {
            "look at the daemon's log and its CPU time; it is tried again"
        } else {
            "start ovs-vswitchd, or name its run directory or its .ctl socket with --ovs-rundir"
        })
    }
}

impl std::error::Error for NotFound {}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn rundir() -> tempfile::TempDir {
        tempfile::tempdir().expect("a directory for the test")
    }

    fn listen(dir: &Path, name: &str) -> UnixListener {
        UnixListener::bind(dir.join(name)).expect("a socket in it")
    }

    async fn found_in(dir: &Path) -> Result<Found, NotFound> {
        Search::with_rundir(Some(dir.to_owned()), None).find().await
    }

    #[test]
    fn the_environment_comes_before_the_usual_places_and_a_given_path_is_the_only_one() {
        let places = |explicit: Option<&str>, rundir: Option<&str>| {
            Search::with_rundir(explicit.map(PathBuf::from), rundir.map(OsString::from)).places
        };
        assert_eq!(places(Some("/a"), Some("/b")), [PathBuf::from("/a")]);
        assert_eq!(places(None, Some("/b")), ["/b", DEFAULT_DIRS[0], DEFAULT_DIRS[1]].map(PathBuf::from));
        assert_eq!(places(None, Some("")), DEFAULT_DIRS.map(PathBuf::from));
    }

    #[tokio::test]
    async fn the_pid_file_names_the_daemon() {
        let dir = rundir();
        let _named = listen(dir.path(), "ovs-vswitchd.7.ctl");
        let _newer = listen(dir.path(), "ovs-vswitchd.8.ctl");
        fs::write(dir.path().join("ovs-vswitchd.pid"), "7\n").expect("written");
        assert_eq!(found_in(dir.path()).await.expect("the named one").pid, 7);
    }

    #[tokio::test]
    async fn a_stale_socket_is_passed_over() {
        let dir = rundir();
        drop(listen(dir.path(), "ovs-vswitchd.7.ctl"));
        let _alive = listen(dir.path(), "ovs-vswitchd.3.ctl");
        fs::write(dir.path().join("ovs-vswitchd.pid"), "7\n").expect("written");
        let found = found_in(dir.path()).await.expect("the one that lives");
        assert_eq!((found.pid, found.path), (3, dir.path().join("ovs-vswitchd.3.ctl")));
    }

    #[tokio::test]
    async fn the_socket_itself_can_be_named_and_the_kernel_knows_its_process() {
        let dir = rundir();
        let _alive = listen(dir.path(), "mine");
        let found = found_in(&dir.path().join("mine")).await.expect("the named one");
        assert_eq!(found.pid, std::process::id());
    }

    #[tokio::test]
    async fn another_programs_socket_is_not_taken() {
        let dir = rundir();
        let _other = (listen(dir.path(), "ovsdb-server.7.ctl"), listen(dir.path(), "ovs-vswitchd.x.ctl"));
        let text = found_in(dir.path()).await.expect_err("no daemon").to_string();
        assert!(text.contains("has no ovs-vswitchd.<pid>.ctl. What to do: start ovs-vswitchd"), "{text}");
    }

    #[tokio::test]
    async fn what_was_tried_and_what_to_do_is_said() {
        let dir = rundir();
        drop(listen(dir.path(), "ovs-vswitchd.7.ctl"));
        let search = Search {
            of_daemons: false,
            places: vec![dir.path().to_owned(), dir.path().join("."), dir.path().join("none")],
        };
        let text = search.find().await.expect_err("no daemon").to_string();
        let (dir, told) = (dir.path().display(), "refuses, left over from a daemon that is gone");
        assert_eq!(
            text,
            format!(
                "no ovs-vswitchd found: {dir}/ovs-vswitchd.7.ctl {told}; {dir}/none is not there. \
                 What to do: start ovs-vswitchd, or name its run directory or its .ctl socket with --ovs-rundir"
            )
        );
    }

    #[test]
    fn a_denied_socket_says_who_may() {
        let denied = Why::from(&io::Error::from(io::ErrorKind::PermissionDenied));
        let text = NotFound { tried: vec![Tried { path: "/run/x".into(), why: denied }] }.to_string();
        assert_eq!(
            text,
            "no ovs-vswitchd found: /run/x permission denied. What to do: run as root, or as the user that the daemon runs as"
        );
    }

    #[tokio::test]
    async fn a_full_queue_of_connections_is_a_stalled_daemon() {
        let dir = rundir();
        let socket = tokio::net::UnixSocket::new_stream().expect("a socket");
        socket.bind(dir.path().join("ovs-vswitchd.7.ctl")).expect("bound");
        let _never_accepts = socket.listen(4).expect("listening");
        let mut held = Vec::new();
        let text = loop {
            match found_in(dir.path()).await {
                Ok(found) => held.push(found),
                Err(error) => break error.to_string(),
            }
            assert!(held.len() < 100, "the queue never fills");
        };
        assert!(text.contains("does not accept, the daemon is stalled"), "{text}");
    }
}
