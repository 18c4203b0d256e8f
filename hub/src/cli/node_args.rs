//! The command line of `leveret node`.

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand};

/// `leveret node`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List nodes, in the order of their names
    ///
    /// Nodes are printed as they come, so that a list of millions needs no memory. PUBLISHED is of the last minute and this one;
    /// it is unknown of nodes that are not in memory, where nothing has happened for a while.
    #[command(
        after_long_help = "Examples:\n  leveret node list devices/dev7\n  leveret node list --prefix devices/dev --long --max 20\n  leveret --json node list --after devices/dev7/temp --max 1000"
    )]
    List {
        /// Only this node and those below it
        #[arg(value_name = "SUBTREE", conflicts_with = "prefix")]
        subtree: Option<String>,

        /// Only nodes whose names begin so
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,

        /// Only nodes that come after this name
        #[arg(long, value_name = "NODE")]
        after: Option<String>,

        /// At most this many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        max: Option<u64>,

        /// Items, their bytes, subscribers, class and traffic of each node too
        #[arg(long)]
        long: bool,
    },

    /// Print a node's configuration, affiliations, subscriptions, counts and traffic
    #[command(after_long_help = "Example:\n  leveret node show devices/dev7/temp")]
    Show {
        /// The node
        node: String,
    },

    /// Make a node
    #[command(
        after_long_help = "Example:\n  leveret node create sites/7/temp max_items=1 access_model=open"
    )]
    Create {
        /// The node
        node: String,

        /// Fields of its configuration, with or without the pubsub# or leveret# before them, as `leveret node show` prints them; one that
        /// has several values is repeated
        #[arg(value_name = "FIELD=VALUE", value_parser = setting)]
        fields: Vec<(String, String)>,

        /// The same
        #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = setting)]
        settings: Vec<(String, String)>,
    },

    /// Change a node's configuration
    #[command(
        after_long_help = "Examples:\n  leveret node configure sites/7/temp max_items=100 title=Boiler\n  leveret node configure sites/7/temp history_items=5000 history_age=2592000\n  leveret node configure sites/7/fall class=alarm"
    )]
    #[command(group(ArgGroup::new("changes").required(true).multiple(true).args(["fields", "settings"])))]
    Configure {
        /// The node
        node: String,

        /// Fields of its configuration, with or without the pubsub# or leveret# before them, as `leveret node show` prints them; one that
        /// has several values is repeated
        #[arg(value_name = "FIELD=VALUE", value_parser = setting)]
        fields: Vec<(String, String)>,

        /// The same
        #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = setting)]
        settings: Vec<(String, String)>,
    },

    /// Say what an account is to a node
    #[command(after_long_help = "Example:\n  leveret node affiliate sites/7/temp panel member")]
    Affiliate {
        /// The node
        node: String,

        /// The account's name, or its bare address
        #[arg(value_name = "NAME")]
        address: String,

        /// What it is to be
        #[arg(value_parser = ["owner", "publisher", "publish-only", "member", "none", "outcast"])]
        affiliation: String,
    },

    /// Subscribe an account to a node
    ///
    /// It is told so. The access rules hold all the same: a subscription that they deny ends when the account comes.
    #[command(after_long_help = "Example:\n  leveret node subscribe sites/7/temp panel")]
    Subscribe {
        /// The node
        node: String,

        /// The account's name, or its bare address
        #[arg(value_name = "NAME")]
        address: String,
    },

    /// End an account's subscription of a node; it is told so
    #[command(after_long_help = "Example:\n  leveret node unsubscribe sites/7/temp panel")]
    Unsubscribe {
        /// The node
        node: String,

        /// The account's name or its bare address; a full address for what one session is subscribed to
        #[arg(value_name = "JID")]
        address: String,
    },

    /// Retract items: subscribers are told, and an alarm is owed to nobody any more
    ///
    /// Its subscribers are told. Where the node keeps history, its archive keeps that the item was there, without its payload.
    #[command(after_long_help = "Example:\n  leveret node retract devices/dev7/fall 4f2a")]
    Retract {
        /// The node
        node: String,

        /// The ids of the items, as `leveret node items` prints them
        #[arg(value_name = "ITEM", required = true)]
        ids: Vec<String>,
    },

    /// Remove all items of a node; its subscribers are told
    ///
    /// Alarms that are owed stay so: retract those that are over before, or delete the node.
    #[command(after_long_help = "Example:\n  leveret node purge sites/7/temp")]
    Purge {
        /// The node
        node: String,
    },

    /// Delete a node with its items and subscriptions
    #[command(after_long_help = "Example:\n  leveret node delete sites/7/temp")]
    Delete {
        /// The node
        node: String,
    },

    /// Print a node's items, the newest first
    #[command(after_long_help = "Example:\n  leveret --json node items sites/7/temp --max 1")]
    Items {
        /// The node
        node: String,

        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        max: u32,
    },

    /// Publish an item
    ///
    /// The payload is one XML element with its namespace, JSON, or any other text or data.
    #[command(
        after_long_help = "Examples:\n  leveret node publish sites/7/temp '{\"celsius\": 21.5}'\n  leveret node publish sites/7/photo --file photo.jpg --id latest"
    )]
    #[command(group(ArgGroup::new("payload_source").required(true).multiple(false).args(["payload", "file"])))]
    Publish {
        /// The node
        node: String,

        /// The payload
        payload: Option<String>,

        /// Read the payload from this file; - is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,

        /// The item's id; without one the hub makes it
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.to_owned(), value.to_owned())),
        _ => Err("expected FIELD=VALUE, such as max_items=1".to_owned()),
    }
}
