//! The command line (DESIGN §4): each command asks the hub that runs, or the data of one that does not.

mod account;
pub mod args;
mod node;
mod node_args;
mod print;
mod session;
mod status;
mod target;

use std::{io, os::unix::net::SocketAddr, path::PathBuf, process::ExitCode};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use self::{
    args::{Cli, Command, ConfigCommand, EXIT_FAILED, EXIT_USAGE},
    target::Target,
};
use crate::{
    admin::{ControlError, protocol::Response, socket_path},
    config::{Config, ConfigError},
    hub::{Hub, StartError},
    log,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Wrong usage: status 2.
    #[error("{0}")]
    Usage(String),
    /// Wrong configuration: status 2.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// It was not done: status 1.
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("{0}")]
    Start(#[from] StartError),
}

impl CommandError {
    fn unexpected(response: &Response) -> Self {
        tracing::debug!(?response, "answer of another kind");
        Self::Failed("the hub gave an answer of another kind".to_owned())
    }

    const fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => EXIT_USAGE,
            Self::Failed(_) | Self::Control(_) | Self::Start(_) => EXIT_FAILED,
        }
    }
}

/// Runs what was asked; the status is the process's.
pub fn run(cli: Cli) -> ExitCode {
    let level = cli.log.log_level.as_deref();
    // Commands other than `serve` print their result; what happens inside is worth a line only if it is wrong.
    let level = match (&cli.command, level, std::env::var_os("RUST_LOG")) {
        (Command::Serve, level, _) | (_, level @ Some(_), _) => level,
        (_, None, Some(_)) => None,
        (_, None, None) => Some("warn"),
    };
    if let Err(error) = log::start(cli.log.log_format, level) {
        eprintln!("leveret: {error}");
        return ExitCode::from(EXIT_USAGE);
    }
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leveret: {error}");
            ExitCode::from(error.status())
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), CommandError> {
    let path = cli.config;
    let config = Config::load(path.as_deref())?;
    match cli.command {
        Command::Config(ConfigCommand::Check) => {
            check_surroundings(&config)?;
            for odd in config.advice() {
                eprintln!("leveret: warning: {odd}");
            }
            let file = path.map_or_else(
                || "the defaults".to_owned(),
                |path| path.display().to_string(),
            );
            print::line(&format!("{file}: ok"));
            Ok(())
        }
        Command::Config(ConfigCommand::Show) => {
            print::line(config.to_toml_with_defaults().trim_end());
            Ok(())
        }
        Command::Serve => {
            check_socket_path(&config)?;
            let runtime = runtime(Builder::new_multi_thread())?;
            runtime.block_on(serve(config, path))
        }
        command => {
            let runtime = runtime(Builder::new_multi_thread())?;
            runtime.block_on(ask(command, cli.json, &config))
        }
    }
}

/// What is not in the file and must be right all the same.
fn check_surroundings(config: &Config) -> Result<(), CommandError> {
    check_socket_path(config)?;
    for component in &config.component {
        let loaded = component.load();
        loaded.map_err(|error| CommandError::Usage(error.to_string()))?;
    }
    Ok(())
}

/// Systems bound the path of a socket, to some hundred bytes.
fn check_socket_path(config: &Config) -> Result<(), CommandError> {
    let path = socket_path(&config.data_dir);
    match SocketAddr::from_pathname(&path) {
        Ok(_) => Ok(()),
        Err(_) => Err(CommandError::Usage(format!(
            "`data_dir` is too long a path: its control socket {} would have {} bytes, and this system allows about a hundred",
            path.display(),
            path.as_os_str().len()
        ))),
    }
}

fn runtime(mut builder: Builder) -> Result<Runtime, CommandError> {
    builder
        .enable_all()
        .build()
        .map_err(|error| CommandError::Failed(format!("the runtime does not start: {error}")))
}

async fn ask(command: Command, json: bool, config: &Config) -> Result<(), CommandError> {
    let mut target = Target::find(config).await?;
    let result = match command {
        Command::Account(command) => account::run(command, json, &config.domain, &mut target).await,
        Command::Node(command) => node::run(command, json, &config.domain, &mut target).await,
        Command::Session(command) => session::run(command, json, &config.domain, &mut target).await,
        Command::Status { deep } => status::run(deep, json, &mut target).await,
        // `dispatch` has done these.
        Command::Serve | Command::Config(_) => Ok(()),
    };
    target.close().await;
    result
}

/// Runs the hub until SIGTERM or SIGINT; SIGHUP reloads.
async fn serve(config: Config, path: Option<PathBuf>) -> Result<(), CommandError> {
    raise_descriptor_limit();
    let signals = |kind| {
        signal(kind)
            .map_err(|error| CommandError::Failed(format!("signals cannot be caught: {error}")))
    };
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut hang_up = signals(SignalKind::hangup())?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        domain = %config.domain,
        data = %config.data_dir.display(),
        "Leveret starts"
    );
    let mut hub = Hub::start(config, path)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => hub.reload(),
        }
    }
    tracing::info!("stopping: sessions are told, the store is closed");
    hub.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// A session is a file descriptor: take as many as the system gives us.
fn raise_descriptor_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => warn_descriptors(&error),
    }
}

fn warn_descriptors(error: &io::Error) {
    tracing::warn!(%error, "the limit of file descriptors cannot be raised: it bounds the sessions");
}
