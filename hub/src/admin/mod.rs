//! Administration: what the command line asks of a hub that runs, over a socket in `data_dir` that only its owner can
//! open, or of the data of a hub that does not run, in the command line's own process. Both ways end in `execute`.

mod convert;
mod execute;
mod nodes;
pub mod protocol;
mod server;
mod session;
mod socket;

pub(crate) use self::server::Server;
pub use self::socket::{ControlError, Offline, Online, socket_path};
