//! The control socket's side of the hub.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};

use super::{
    execute::Executor,
    protocol::{Envelope, LINE_BYTES_MAX, Response},
    socket::socket_path,
};
use crate::hub::Core;

/// Command lines at a time.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(600);

/// The bound control socket.
pub(crate) struct Server {
    listener: UnixListener,
}

impl Server {
    /// Binds the socket in `data_dir` with mode 0600. What a hub that was killed left behind is replaced: the lock on the
    /// data directory, which we hold, says that nobody else is there.
    pub(crate) fn bind(data_dir: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let path = socket_path(data_dir);
        let bind = || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // The folder is closed to others, so that nobody slips in before the mode is set.
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        bind()
            .map(|listener| Self { listener })
            .map_err(|error| (path.clone(), error))
    }

    /// Serves until the hub stops.
    pub(crate) async fn run(self, core: Arc<Core>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = core.stopping() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let core = Arc::clone(&core);
            tokio::spawn(async move {
                if let Err(error) = serve(stream, core).await {
                    tracing::debug!(%error, "control connection lost");
                }
                drop(place);
            });
        }
    }
}

async fn serve(stream: UnixStream, core: Arc<Core>) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    let mut executor = Executor::open(&core).await.map_err(io::Error::other)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let mut limited = (&mut input).take(limit);
        let read = tokio::time::timeout(SILENCE, limited.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let response = if line.len() > LINE_BYTES_MAX {
            Response::Refused(format!("a request may have at most {LINE_BYTES_MAX} bytes"))
        } else {
            match serde_json::from_slice::<Envelope>(&line) {
                Ok(envelope) if envelope.version == env!("CARGO_PKG_VERSION") => {
                    executor.execute(envelope.request).await
                }
                Ok(envelope) => Response::Refused(format!(
                    "the hub that runs is version {}, this command line is version {}: use the same",
                    env!("CARGO_PKG_VERSION"),
                    envelope.version
                )),
                Err(error) => Response::Refused(format!("not a request: {error}")),
            }
        };
        let mut answer = serde_json::to_vec(&response).map_err(io::Error::other)?;
        answer.push(b'\n');
        output.write_all(&answer).await?;
        if line.len() > LINE_BYTES_MAX {
            return Ok(());
        }
    }
}
