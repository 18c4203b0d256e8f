//! Whom a command asks: the hub that runs on the data directory, or the data themselves.

use crate::{
    admin::{
        ControlError, Offline, Online,
        protocol::{Request, Response},
    },
    config::Config,
};

/// A hub that runs, or the data of one that does not.
pub(super) enum Target {
    Online(Box<Online>),
    Offline(Box<Offline>),
}

impl Target {
    /// Finds out which.
    pub(super) async fn find(config: &Config) -> Result<Self, ControlError> {
        match Online::connect(&config.data_dir).await? {
            Some(online) => Ok(Self::Online(Box::new(online))),
            None => Ok(Self::Offline(Box::new(Offline::open(config).await?))),
        }
    }

    /// Asks; a refusal is an error.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Response, ControlError> {
        let response = match self {
            Self::Online(online) => online.ask(request).await?,
            Self::Offline(offline) => offline.ask(request).await,
        };
        match response {
            Response::Refused(why) => Err(ControlError::Refused(why)),
            response => Ok(response),
        }
    }

    /// Lets go of the data.
    pub(super) async fn close(self) {
        if let Self::Offline(offline) = self {
            offline.close().await;
        }
    }
}
