//! `leveret-bench`: a bounded load on an XMPP server on this machine, and what it cost the server.
//!
//! Costs are the server's own: CPU time and memory from `/proc/PID`, not this program's clock. The client speaks
//! raw bytes and looks for needles in what comes back, so it works alike against the hub, Prosody and ejabberd.

mod client;
mod measure;
mod nodes;
mod scenario;
mod scram;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use client::{BenchError, Target};

/// Nobody needs more on one machine, and a mistyped number should not fill it.
const SESSIONS_MAX: u32 = 50_000;

#[derive(Parser)]
#[command(
    about = "Loads an XMPP server on this machine and reports what that cost it",
    version
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Args)]
struct Common {
    /// Process of the server; its children count too
    #[arg(long, global = true, default_value_t = 0)]
    server: u32,
    /// Where it listens; loopback only
    #[arg(long, global = true, default_value = "127.0.0.1:5222")]
    addr: SocketAddr,
    #[arg(long, global = true, default_value = "localhost")]
    domain: String,
    /// Speak TLS at once on --addr
    #[arg(long, global = true, requires = "ca")]
    tls: bool,
    /// Certificate authority of the server
    #[arg(long, global = true)]
    ca: Option<PathBuf>,
    /// Accounts are PREFIX0, PREFIX1, ...
    #[arg(long, global = true, default_value = "b")]
    prefix: String,
    #[arg(long, global = true, default_value = "bench")]
    password: String,
    /// Sessions that one account opens before the next account is used
    #[arg(long, global = true, default_value_t = 1)]
    sessions_per_account: u32,
    /// SCRAM instead of PLAIN when signing in: SCRAM-SHA-1 or SCRAM-SHA-256
    #[arg(long, global = true)]
    mechanism: Option<String>,
    /// Give up after this long
    #[arg(long, global = true, default_value_t = 300)]
    seconds: u64,
    /// One line of JSON instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Scenario {
    /// Memory per session that is bound and present and says nothing
    Idle {
        #[arg(long, default_value_t = 10_000)]
        sessions: u32,
        /// How long the sessions are idle before memory is read: some servers shrink a session only after a while
        #[arg(long, default_value_t = 3)]
        settle: u64,
    },
    /// One publisher, many subscribers of one node
    Fanout {
        #[arg(long, default_value_t = 1_000)]
        subscribers: u32,
        /// Bytes of payload text
        #[arg(long, default_value_t = 100)]
        payload: usize,
        #[arg(long, default_value_t = 4)]
        in_flight: u32,
        #[arg(long, default_value_t = 100)]
        items: u32,
        /// The node keeps its items
        #[arg(long)]
        stored: bool,
        /// The next item waits until every subscriber has the last: nothing can share a write (use --in-flight 1)
        #[arg(long)]
        paced: bool,
        /// Publishes a second; 0: as fast as they are answered
        #[arg(long, default_value_t = 0)]
        rate: u32,
    },
    /// Many devices, each publishing to its own node, one console that hears all
    Fanin {
        #[arg(long, default_value_t = 1_000)]
        devices: u32,
        #[arg(long, default_value_t = 100)]
        payload: usize,
        #[arg(long, default_value_t = 10)]
        rounds: u32,
        #[arg(long)]
        stored: bool,
        /// The console subscribes to one filter instead of each node (the hub only)
        #[arg(long)]
        filter: bool,
    },
    /// Pairs that send each other messages in turn
    Messages {
        #[arg(long, default_value_t = 500)]
        pairs: u32,
        /// Messages of each side
        #[arg(long, default_value_t = 40)]
        rounds: u32,
        #[arg(long, default_value_t = 100)]
        payload: usize,
    },
    /// Connections that sign in, bind and leave
    Signin {
        #[arg(long, default_value_t = 1_000)]
        times: u32,
        #[arg(long, default_value_t = 16)]
        at_once: u32,
    },
    /// Nodes by the million, each made by its first publish; then publishes at one and at any of them
    Nodes {
        #[arg(long, default_value_t = 100_000)]
        nodes: u32,
        #[arg(long, default_value_t = 8)]
        sessions: u32,
        /// Unanswered publishes of one session
        #[arg(long, default_value_t = 32)]
        in_flight: u32,
        #[arg(long, default_value_t = 100)]
        payload: usize,
        /// Publishes measured at one node, and at any
        #[arg(long, default_value_t = 10_000)]
        probes: u32,
    },
    /// One node with many subscribers, some of them online
    Subscribers {
        #[arg(long, default_value_t = 100_000)]
        subscribers: u32,
        /// Accounts that are online, with --sessions-per-account sessions each
        #[arg(long, default_value_t = 100)]
        online: u32,
        #[arg(long, default_value_t = 50)]
        items: u32,
        #[arg(long, default_value_t = 100)]
        payload: usize,
    },
    /// Presence changes of contacts, as one watcher sees them
    Presence {
        #[arg(long, default_value_t = 1_000)]
        contacts: u32,
        #[arg(long, default_value_t = 5)]
        rounds: u32,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = raise_open_files() {
        eprintln!("leveret-bench: open files: {error}");
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leveret-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes as many descriptors as the system gives: one per session, and a few.
fn raise_open_files() -> rustix::io::Result<()> {
    let now = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: now.maximum,
            maximum: now.maximum,
        },
    )
}

fn run(cli: Cli) -> Result<(), BenchError> {
    let Common {
        server,
        addr,
        domain,
        tls,
        ca,
        prefix,
        password,
        sessions_per_account,
        mechanism,
        seconds,
        json,
    } = cli.common;
    if !addr.ip().is_loopback() {
        return Err(BenchError::Usage(
            "--addr must be a loopback address".into(),
        ));
    }
    if server == 0 {
        return Err(BenchError::Usage(
            "--server PID is needed: the costs are read from /proc/PID".into(),
        ));
    }
    let tls = match (tls, ca) {
        (true, Some(ca)) => Some(client::tls_config(&ca)?),
        _ => None,
    };
    let target = Arc::new(Target {
        addr,
        domain,
        tls,
        prefix,
        password,
        sessions_per_account: sessions_per_account.max(1),
        mechanism,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    let report = runtime.block_on(local.run_until(async {
        let work = async {
            match cli.scenario {
                Scenario::Idle { sessions, settle } => {
                    let settle = Duration::from_secs(settle);
                    scenario::idle(target, server, bounded(sessions)?, settle).await
                }
                Scenario::Fanout {
                    subscribers,
                    payload,
                    in_flight,
                    items,
                    stored,
                    paced,
                    rate,
                } => {
                    let load = scenario::Fanout {
                        subscribers: bounded(subscribers)?,
                        payload,
                        in_flight,
                        items,
                        stored,
                        paced,
                        rate,
                    };
                    scenario::fanout(target, server, load).await
                }
                Scenario::Fanin {
                    devices,
                    payload,
                    rounds,
                    stored,
                    filter,
                } => {
                    let load = scenario::Fanin {
                        devices: bounded(devices)?,
                        payload,
                        rounds,
                        stored,
                        filter,
                    };
                    scenario::fanin(target, server, load).await
                }
                Scenario::Messages {
                    pairs,
                    rounds,
                    payload,
                } => scenario::messages(target, server, bounded(pairs)?, rounds, payload).await,
                Scenario::Signin { times, at_once } => {
                    scenario::sign_in(target, server, times, at_once.clamp(1, 256)).await
                }
                Scenario::Nodes {
                    nodes,
                    sessions,
                    in_flight,
                    payload,
                    probes,
                } => {
                    let load = nodes::Nodes {
                        nodes,
                        sessions: bounded(sessions)?,
                        in_flight,
                        payload,
                        probes,
                    };
                    nodes::nodes(target, server, load).await
                }
                Scenario::Subscribers {
                    subscribers,
                    online,
                    items,
                    payload,
                } => {
                    let load = nodes::Subscribers {
                        subscribers,
                        online: bounded(online)?,
                        items,
                        payload,
                    };
                    nodes::subscribers(target, server, load).await
                }
                Scenario::Presence { contacts, rounds } => {
                    scenario::presence(target, server, bounded(contacts)?, rounds).await
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(seconds), work)
            .await
            .map_err(|_| BenchError::Late(seconds))?
    }))?;
    if json {
        println!("{}", report.json());
    } else {
        print!("{}", report.text());
    }
    Ok(())
}

fn bounded(sessions: u32) -> Result<u32, BenchError> {
    match sessions {
        1..=SESSIONS_MAX => Ok(sessions),
        _ => Err(BenchError::Usage(format!(
            "between 1 and {SESSIONS_MAX} sessions"
        ))),
    }
}
