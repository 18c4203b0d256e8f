//! The command line's side: the control socket of a hub that runs, or the data of one that does not.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    execute::Executor,
    protocol::{Envelope, Request, Response},
};
use crate::{
    config::Config,
    hub::{Inner, StartError},
};

/// Where the control socket of a data directory is.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Why the hub, or its data, could not be asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum ControlError {
    #[error("the hub at {} closed the control connection: {error}", path.display())]
    Lost { path: PathBuf, error: io::Error },
    #[error("the control socket {} cannot be opened: {error}", path.display())]
    Socket { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Refused(String),
}

/// A hub that runs.
pub struct Online {
    path: PathBuf,
    input: BufReader<OwnedReadHalf>,
    output: OwnedWriteHalf,
}

impl Online {
    /// Connects to the hub that runs on `data_dir`; `None` if none does.
    pub async fn connect(data_dir: &Path) -> Result<Option<Self>, ControlError> {
        let path = socket_path(data_dir);
        match UnixStream::connect(&path).await {
            Ok(stream) => {
                let (input, output) = stream.into_split();
                Ok(Some(Self {
                    path,
                    input: BufReader::new(input),
                    output,
                }))
            }
            // Refused: a hub that was killed left its socket behind.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(ControlError::Socket { path, error }),
        }
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&mut self, request: Request) -> Result<Response, ControlError> {
        self.exchange(request)
            .await
            .map_err(|error| ControlError::Lost {
                path: self.path.clone(),
                error,
            })
    }

    async fn exchange(&mut self, request: Request) -> io::Result<Response> {
        let envelope = Envelope {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            request,
        };
        let mut line = serde_json::to_vec(&envelope).map_err(io::Error::other)?;
        line.push(b'\n');
        self.output.write_all(&line).await?;
        let mut answer = String::new();
        if self.input.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&answer).map_err(io::Error::other)
    }
}

/// The data of a hub that does not run, held exclusively while this lives.
pub struct Offline {
    executor: Executor,
    inner: Inner,
}

impl Offline {
    /// Opens the data.
    pub async fn open(config: &Config) -> Result<Self, ControlError> {
        let inner = Inner::open(config)?;
        let executor = Executor::offline(&inner, config)
            .await
            .map_err(ControlError::Refused)?;
        Ok(Self { executor, inner })
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&mut self, request: Request) -> Response {
        self.executor.execute(request).await
    }

    /// Closes the data; everything answered is on the disk.
    pub async fn close(self) {
        let Self { executor, inner } = self;
        drop(executor);
        let store = inner.store;
        if tokio::task::spawn_blocking(move || store.shutdown())
            .await
            .is_err()
        {
            tracing::error!("the store did not close cleanly");
        }
    }
}
