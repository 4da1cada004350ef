//! One connection to the daemon: a request at a time, each with a deadline.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, net::UnixStream, time::timeout};

use super::{Command, Found, FrameError, Framer};

/// Bytes that are read at once.
const READ: usize = 4 << 10;

/// A connection. At most one request is ever under way on it, even when the caller gives up waiting: what comes late
/// is taken before the next one is sent, so a stalled daemon gets no heap of requests to work off.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    pid: u32,
    framer: Framer,
    last_id: u64,
    /// The request whose reply has not come yet.
    owed: Option<u64>,
}

/// Why a command gave no text. All but [`CallError::Refused`] and [`CallError::TimedOut`] are the connection's end.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The daemon said no; `text` is its own.
    #[error("ovs-vswitchd refuses {command}: {}", text.trim_end())]
    Refused {
        /// What was asked.
        command: String,
        /// What it said. From outside: may hold anything.
        text: String,
    },
    /// The deadline passed. The connection is good still: the reply may come yet.
    #[error(
        "ovs-vswitchd ({}) did not answer {command} within {deadline:?}: its main thread is busy or stopped. \
         What to do: look at its log for 'Unreasonably long' and at its CPU time; it is asked again", path.display()
    )]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// What was asked.
        command: String,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// The other end closed the connection.
    #[error("ovs-vswitchd closed {}: it ended or starts anew. What to do: look at its log; it is looked for again", .0.display())]
    Closed(
        /// The socket.
        PathBuf,
    ),
    /// The connection broke.
    #[error("{}: {error}. What to do: look whether ovs-vswitchd runs; it is looked for again", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// What came is no reply to what was asked.
    #[error("{} does not speak as ovs-vswitchd does: {why}. What to do: name the right socket with --ovs-rundir", path.display())]
    Strange {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl CallError {
    /// Whether the connection is of no use any more.
    pub fn ends_connection(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::TimedOut { .. })
    }
}

impl Client {
    /// Speaks over a connection that was found.
    pub fn new(found: Found) -> Self {
        let Found { path, pid, stream } = found;
        Self { stream, path, pid, framer: Framer::default(), last_id: 0, owed: None }
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The daemon's process id, as in [`Found::pid`].
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends one command and waits for its text, so long at most. When an earlier call timed out, its reply is waited
    /// for first, within the same deadline, and nothing is sent before it came.
    pub async fn call(&mut self, command: &Command, deadline: Duration) -> Result<String, CallError> {
        match timeout(deadline, self.exchange(command)).await {
            Ok(answer) => answer?.map_err(|text| CallError::Refused { command: command.to_string(), text }),
            Err(_) => {
                Err(CallError::TimedOut { path: self.path.clone(), command: command.name().to_owned(), deadline })
            }
        }
    }

    /// Waits, for ever, until something happens on the idle connection: `Ok` when the reply of a call that timed out
    /// has come, an error when the connection is at its end. May be dropped at any time.
    pub async fn watch(&mut self) -> Result<(), CallError> {
        self.reply_to(self.owed).await.map(drop)
    }

    async fn exchange(&mut self, command: &Command) -> Result<Result<String, String>, CallError> {
        if self.owed.is_some() {
            self.watch().await?;
        }
        self.last_id += 1;
        let id = self.last_id;
        let request = command.request(id);
        // Before the first byte is out: a call that is dropped in the middle is owed a reply all the same.
        self.owed = Some(id);
        self.stream.write_all(&request).await.map_err(|error| self.broken(error))?;
        self.reply_to(Some(id)).await
    }

    /// The reply to this request, or, where there is none to wait for, the end of the connection.
    async fn reply_to(&mut self, id: Option<u64>) -> Result<Result<String, String>, CallError> {
        let mut bytes = [0; READ];
        loop {
            match self.framer.next_reply().map_err(|error: FrameError| self.strange(error.to_string()))? {
                Some(reply) if Some(reply.id) == id => {
                    self.owed = None;
                    return Ok(reply.answer);
                }
                Some(reply) => return Err(self.strange(format!("a reply to {} that nobody waits for", reply.id))),
                None => {}
            }
            self.stream.readable().await.map_err(|error| self.broken(error))?;
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return Err(CallError::Closed(self.path.clone())),
                Ok(count) => self.framer.push(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// The kernel's word for "the other end is gone" depends on which side was first.
    fn broken(&self, error: io::Error) -> CallError {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => CallError::Closed(self.path.clone()),
            _ => CallError::Broken { path: self.path.clone(), error },
        }
    }

    fn strange(&self, why: String) -> CallError {
        CallError::Strange { path: self.path.clone(), why }
    }
}
